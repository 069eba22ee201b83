"""What each kind of linear layer does, as the entries of its matrix.

Three ideas serve nearly all of them:

- a convolution has a geometry, and entries that are taps of its weight;
- what only moves elements (padding, shuffling, flattening, nearest-neighbour upsampling) tells where each one comes
  from if it is given their numbers;
- what works along each axis by itself (pooling, interpolation) is a Kronecker product of one small matrix per axis.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial, reduce
from math import prod
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convmat.geometry import Geometry, GeometryError, kind_of, per_axis_ints, shortened, shown
from convmat.geometry.resampling import PROFILES, Entries1d, adaptive_pooling, interpolation, pooling
from convmat.matrices.convolutions import listed
from convmat.matrices.entries import Entries, check_memory
from convmat.tensors.arguments import CONVOLUTION_LAYERS, layer_geometry
from convmat.tensors.im2col import im2col

Shape: TypeAlias = tuple[int, ...]
LayerMatrix: TypeAlias = Callable[[Any, Shape], tuple[Shape, Entries]]

_CPU = torch.device("cpu")


# -- convolutions and matrices -----------------------------------------------------------------------------------------


def _convolution(module: Any, in_shape: Shape) -> tuple[Shape, Entries]:
    geometry = layer_geometry(module, in_shape)
    return geometry.out_shape, listed(geometry, module.weight)


def _linear(module: nn.Linear, in_shape: Shape) -> tuple[Shape, Entries]:
    """The weight, for each of the vectors along the last axis."""
    weight = module.weight
    if not in_shape or in_shape[-1] != weight.shape[1]:
        raise GeometryError(
            f"Linear reads in_features={weight.shape[1]}, but the last size of in_shape={shown(in_shape)} is another"
        )
    outputs, inputs = weight.shape
    vectors = prod(in_shape[:-1])
    check_memory((vectors * outputs, vectors * inputs), vectors * outputs * inputs, 3 * 8, weight.device)
    rows, columns = torch.arange(outputs, device=weight.device), torch.arange(inputs, device=weight.device)
    of_one = Entries((outputs, inputs), rows.repeat_interleave(inputs), columns.repeat(outputs), weight.flatten())
    return (*in_shape[:-1], outputs), Entries.identity(vectors).to(weight.dtype, weight.device).kron(of_one)


def _normalisation(module: Any, in_shape: Shape, *, ndims: Sequence[int]) -> tuple[Shape, Entries]:
    """The factor that each channel is scaled by; the shift is left out."""
    kind = kind_of(module)
    if module.training or module.running_var is None:
        reason = (
            "is in train mode: call model.eval() first"
            if module.training and module.running_var is not None
            else "keeps no running statistics: make it with track_running_stats=True, or leave it out"
        )
        raise GeometryError(f"{kind} is not linear where it normalises by its input, and this one {reason}")
    if len(in_shape) not in ndims or in_shape[0] != module.num_features:
        raise GeometryError(
            f"{kind} needs num_features={module.num_features} channels and {' or '.join(str(n - 1) for n in ndims)} "
            f"spatial sizes, without the batch, not in_shape={shown(in_shape)}"
        )
    scale = torch.rsqrt(module.running_var + module.eps)
    if module.weight is not None:
        scale = scale * module.weight
    cells = Entries.identity(prod(in_shape[1:])).to(scale.dtype, scale.device)
    return in_shape, Entries.diagonal(scale).kron(cells)


# -- what moves elements -----------------------------------------------------------------------------------------------


def _selection(function: Callable[[Tensor], Tensor], in_shape: Shape) -> tuple[Shape, Entries]:
    """A map whose every output is an input or a zero, read off what it does to the numbers of the inputs."""
    out_shape = output_shape(function, in_shape)
    shape = prod(out_shape), prod(in_shape)
    check_memory(shape, sum(shape), 6 * 8, _CPU)
    # float64, for most layers take no integers; exact up to 2**53 elements.
    numbers = torch.arange(1, shape[1] + 1, dtype=torch.float64, device=_CPU).reshape(1, *in_shape)
    sources = function(numbers).to(torch.int64).flatten() - 1
    rows = (sources >= 0).nonzero().flatten()
    return out_shape, Entries(shape, rows, sources[rows], torch.ones(len(rows), dtype=torch.float64, device=_CPU))


def _module_selection(module: nn.Module, in_shape: Shape) -> tuple[Shape, Entries]:
    return _selection(module.forward, in_shape)  # no hooks


def _constant_padding(module: Any, in_shape: Shape) -> tuple[Shape, Entries]:
    """Zeros, whatever the value: that is a shift."""
    return _selection(lambda x: F.pad(x, module.padding), in_shape)


def _fold(module: nn.Fold, in_shape: Shape) -> tuple[Shape, Entries]:
    """The transpose of what unfolds its output."""
    out_shape = output_shape(module.forward, in_shape)
    kernel_size = per_axis_ints(module.kernel_size, len(out_shape) - 1, "kernel_size")

    def unfolded(x: Tensor) -> Tensor:
        channels, *sizes = x.shape[1:]
        geometry = Geometry.conv(
            sizes, kernel_size, module.stride, module.padding, module.dilation, in_channels=channels
        )
        return im2col(x, geometry)

    return out_shape, _selection(unfolded, out_shape)[1].transpose()


def _identity(module: nn.Module, in_shape: Shape) -> tuple[Shape, Entries]:
    return in_shape, Entries.identity(prod(in_shape))


def _dropout(module: Any, in_shape: Shape) -> tuple[Shape, Entries]:
    if module.training and module.p:
        raise GeometryError(
            f"{kind_of(module)} is in train mode, where it is another map at every call: call model.eval() first"
        )
    return _identity(module, in_shape)


# -- what works along each axis by itself ------------------------------------------------------------------------------


def _axis_by_axis(
    in_shape: Shape, out_shape: Shape, most: Sequence[int], axes: Sequence[Callable[[], Entries1d]]
) -> Entries:
    """The Kronecker product of the matrices along the last axes, each made when it is known to fit.

    Args:
        in_shape: of the input.
        out_shape: of the output.
        most: for each of these axes, the most inputs that an output reads.
        axes: for each, what makes its entries.
    """
    ndim = len(axes)
    lead = prod(in_shape[:-ndim])
    terms = prod(out_shape) * prod(most)
    check_memory((prod(out_shape), prod(in_shape)), terms, 12 * 8, _CPU)
    matrices = [Entries.identity(lead)]
    for inputs, outputs, axis in zip(in_shape[-ndim:], out_shape[-ndim:], axes, strict=True):
        rows, columns, values = map(torch.from_numpy, axis())
        matrices.append(Entries.summed((outputs, inputs), rows, columns, values))
    return reduce(Entries.kron, matrices)


def _average_pooling(module: Any, in_shape: Shape, *, ndim: int) -> tuple[Shape, Entries]:
    out_shape = output_shape(module.forward, in_shape)
    override = getattr(module, "divisor_override", None)  # AvgPool1d has none
    count = "one" if override else "padded" if module.count_include_pad else "inputs"
    kernel = per_axis_ints(module.kernel_size, ndim, "kernel_size")
    stride = per_axis_ints(module.stride, ndim, "stride")
    padding = per_axis_ints(module.padding, ndim, "padding")
    axes = [
        partial(pooling, *arguments, count)
        for arguments in zip(in_shape[-ndim:], out_shape[-ndim:], kernel, stride, padding, strict=True)
    ]
    entries = _axis_by_axis(in_shape, out_shape, kernel, axes)
    if override:
        entries = Entries(entries.shape, entries.rows, entries.columns, entries.values / override)
    return out_shape, entries


def _adaptive_pooling(module: Any, in_shape: Shape, *, ndim: int) -> tuple[Shape, Entries]:
    out_shape = output_shape(module.forward, in_shape)
    sizes = list(zip(in_shape[-ndim:], out_shape[-ndim:], strict=True))
    most = [inputs // max(outputs, 1) + 2 for inputs, outputs in sizes]
    return out_shape, _axis_by_axis(in_shape, out_shape, most, [partial(adaptive_pooling, *pair) for pair in sizes])


def _upsampling(module: nn.Upsample, in_shape: Shape) -> tuple[Shape, Entries]:
    if module.mode.startswith("nearest"):
        return _selection(module.forward, in_shape)
    if module.mode == "area":  # by another name
        return _adaptive_pooling(module, in_shape, ndim=len(in_shape) - 1)
    out_shape = output_shape(module.forward, in_shape)
    profile, support = PROFILES["bicubic" if module.mode == "bicubic" else "bilinear"]
    reach, ndim = int(support), len(in_shape) - 1

    def axis(inputs: int, outputs: int, scale: float | None) -> Entries1d:
        if inputs == outputs and module.mode != "bicubic":
            scale = None  # PyTorch copies then, whatever the factor
        step = _step(inputs, outputs, scale, bool(module.align_corners))
        rows, columns, distances = interpolation(inputs, outputs, step, bool(module.align_corners), reach)
        weights = profile(distances)
        read = weights != 0
        return rows[read], columns[read], weights[read]

    axes = [
        partial(axis, *arguments)
        for arguments in zip(in_shape[1:], out_shape[1:], _scale_factors(module, ndim), strict=True)
    ]
    return out_shape, _axis_by_axis(in_shape, out_shape, (2 * reach,) * ndim, axes)


def _step(inputs: int, outputs: int, scale: float | None, align_corners: bool) -> float:
    """Inputs from one output to the next."""
    if align_corners:
        return (inputs - 1) / (outputs - 1) if outputs > 1 else 0.0
    return 1 / scale if scale else inputs / outputs


def _scale_factors(module: nn.Upsample, ndim: int) -> Sequence[float | None]:
    """The factors as given, which the ratio of the sizes is not if they are fractions; ``None`` for that ratio."""
    given = module.scale_factor
    if given is None or module.recompute_scale_factor:
        return (None,) * ndim
    return given if isinstance(given, tuple) else (given,) * ndim


def output_shape(function: Callable[[Tensor], Tensor], in_shape: Shape) -> Shape:
    """What PyTorch makes of the shape, without any numbers; its own complaint if it does not take it."""
    batch = 2
    try:
        output = function(torch.empty(batch, *in_shape, device="meta"))
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        complaint = shortened(str(error).splitlines()[0], most=200)
        raise GeometryError(f"in_shape={shown(in_shape)} (without the batch) does not fit: {complaint}") from None
    if not output.ndim or len(output) != batch:
        raise GeometryError("it mixes the batch with the rest: dimension 0 is the batch, so let it begin at 1")
    return tuple(output.shape[1:])


# -- who does what -----------------------------------------------------------------------------------------------------

LAYERS: dict[type[nn.Module], LayerMatrix] = {
    **dict.fromkeys(CONVOLUTION_LAYERS, _convolution),
    nn.Linear: _linear,
    nn.BatchNorm1d: partial(_normalisation, ndims=(1, 2)),
    nn.BatchNorm2d: partial(_normalisation, ndims=(3,)),
    nn.BatchNorm3d: partial(_normalisation, ndims=(4,)),
    nn.InstanceNorm1d: partial(_normalisation, ndims=(2,)),
    nn.InstanceNorm2d: partial(_normalisation, ndims=(3,)),
    nn.InstanceNorm3d: partial(_normalisation, ndims=(4,)),
    nn.AvgPool1d: partial(_average_pooling, ndim=1),
    nn.AvgPool2d: partial(_average_pooling, ndim=2),
    nn.AvgPool3d: partial(_average_pooling, ndim=3),
    nn.AdaptiveAvgPool1d: partial(_adaptive_pooling, ndim=1),
    nn.AdaptiveAvgPool2d: partial(_adaptive_pooling, ndim=2),
    nn.AdaptiveAvgPool3d: partial(_adaptive_pooling, ndim=3),
    nn.Upsample: _upsampling,
    nn.Fold: _fold,
    **dict.fromkeys((nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d), _constant_padding),
    **dict.fromkeys((nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d), _module_selection),
    **dict.fromkeys((nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d), _module_selection),
    **dict.fromkeys((nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d), _module_selection),
    **dict.fromkeys((nn.Unfold, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle), _module_selection),
    **dict.fromkeys((nn.Flatten, nn.Unflatten), _module_selection),
    nn.Identity: _identity,
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), _dropout),
    **dict.fromkeys((nn.AlphaDropout, nn.FeatureAlphaDropout), _dropout),
}

# By the files of PyTorch that they stand in; what is linear there, is above.
_NONLINEAR = ("activation", "pooling", "normalization", "rnn", "transformer", "distance", "loss")


def known_kind(module: nn.Module, kinds: Collection[type[nn.Module]]) -> type[nn.Module] | None:
    """The first of these kinds that a module is or inherits from, unless it computes in a way of its own."""
    kind = next((base for base in type(module).__mro__ if base in kinds), None)
    return kind if kind is not None and _computes_as(module, kind) else None


def _computes_as(module: nn.Module, kind: type) -> bool:
    """Whether what a module runs was written for this kind, or by us, whose layers do what their attributes say."""
    for name in ("forward", "_conv_forward"):
        writer = next((base for base in type(module).__mro__ if name in vars(base)), None)
        ours = writer is not None and writer.__module__.split(".")[0] == "convmat"
        if name in vars(module) or not (writer is None or ours or issubclass(kind, writer)):
            return False
    return True


def is_convolution(module: nn.Module) -> bool:
    """Whether a module is a convolution, direct or transposed, that computes as PyTorch's does."""
    return known_kind(module, CONVOLUTION_LAYERS) is not None


def nonlinear_layer(module: nn.Module) -> tuple[str, nn.Module] | None:
    """The first layer of PyTorch's in a module that is known not to be linear, with its path."""
    for path, part in module.named_modules():
        is_nonlinear = _is_pytorchs(part) and type(part).__module__.split(".")[-1] in _NONLINEAR
        if is_nonlinear and known_kind(part, LAYERS) is None:
            return path, part
    return None


def refusal(module: Any) -> str | None:
    """Why a module can have no matrix, and what would do, if that is known before it is tried."""
    kind = kind_of(module)
    if not isinstance(module, nn.Module):
        return f"{kind} is not an nn.Module: need a layer of PyTorch's, or a module that computes with them"
    if nonlinear_layer(module) is not None and _is_pytorchs(module):
        return f"{kind} is not linear: leave it out, or take the matrices of what comes before and after it"
    return None


def _is_pytorchs(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.")
