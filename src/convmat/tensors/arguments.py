"""The tensors and arguments of a call -> its :class:`~convmat.Geometry`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import NoneType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from convmat.geometry import (
    Geometry,
    GeometryError,
    Padding,
    PerAxis,
    check_positive,
    kind_of,
    layer_arguments,
    per_axis_ints,
    shown,
)
from convmat.tensors.watching import has_autocast, is_compiling

DIRECT_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED_LAYERS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTION_LAYERS = (*DIRECT_LAYERS, *TRANSPOSED_LAYERS)


def conv_geometry(
    weight: Tensor,
    input_size: PerAxis,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    in_channels: int | None = None,
) -> Geometry:
    """The geometry of a convolution with a weight of shape (out, in/groups, *kernel).

    ``in_channels`` are those of the input, to be checked; without it they follow from the weight.
    """
    check_is_tensor(weight, "weight")
    sizes, kernel_size = _sizes(weight, input_size)
    check_positive(groups=groups)
    out_channels, in_per_group = weight.shape[:2]
    if out_channels % groups or out_channels < groups:
        raise GeometryError(
            f"weight of shape {shape_of(weight)} has {out_channels} output channels: "
            f"need a positive multiple of groups={groups}"
        )
    in_channels = in_per_group * groups if in_channels is None else in_channels
    if in_channels != in_per_group * groups:
        raise GeometryError(
            f"input has {in_channels} channels, but weight of shape {shape_of(weight)} with groups={groups} reads "
            f"weight.shape[1]*groups = {in_per_group}*{groups} = {in_per_group * groups}"
        )
    return _cached(
        Geometry.conv,
        (sizes, kernel_size, stride, padding, dilation, groups),
        padding_mode=padding_mode,
        in_channels=in_channels,
        out_channels=out_channels,
    )


def conv_transpose_geometry(
    weight: Tensor,
    input_size: PerAxis,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    output_size: PerAxis | None = None,
    padding_mode: str = "zeros",
    in_channels: int | None = None,
) -> Geometry:
    """The geometry of a transposed convolution with a weight of shape (in, out/groups, *kernel)."""
    check_is_tensor(weight, "weight")
    sizes, kernel_size = _sizes(weight, input_size)
    check_positive(groups=groups)
    weight_channels, out_per_group = weight.shape[:2]
    if in_channels is not None and in_channels != weight_channels:
        raise GeometryError(
            f"input has {in_channels} channels, but weight of shape {shape_of(weight)} reads "
            f"weight.shape[0] = {weight_channels}"
        )
    if weight_channels % groups:
        raise GeometryError(
            f"weight of shape {shape_of(weight)} has {weight_channels} input channels: "
            f"need a multiple of groups={groups}"
        )
    return _cached(
        Geometry.conv_transpose,
        (sizes, kernel_size, stride, padding, output_padding, groups, dilation),
        output_size=output_size,
        padding_mode=padding_mode,
        in_channels=weight_channels,
        out_channels=out_per_group * groups,
    )


def layer_geometry(module: nn.Module, in_shape: Sequence[int]) -> Geometry:
    """The geometry of a convolution layer on an input of ``in_shape`` (channels and sizes, without the batch)."""
    if not isinstance(module, CONVOLUTION_LAYERS):
        known = ", ".join(layer.__name__ for layer in CONVOLUTION_LAYERS)
        raise TypeError(f"layer is a {kind_of(module)}: need one of {known}")
    read = layer_arguments(module, in_shape)
    weight, mode, channels = _shaped_as_weight(module), read.padding_mode, read.channels
    if not read.transposed:
        return conv_geometry(weight, read.sizes, read.stride, read.padding, read.dilation, read.groups, mode, channels)
    return conv_transpose_geometry(
        weight,
        read.sizes,
        read.stride,
        read.padding,
        read.output_padding,
        read.groups,
        read.dilation,
        padding_mode=mode,
        in_channels=channels,
    )


def _shaped_as_weight(module: Any) -> Tensor:
    """The weight of a layer, or an empty one where computing it may change the layer.

    Spectral norm takes another step of its power iteration whenever its weight is read in training.
    """
    if not parametrize.is_parametrized(module, "weight"):
        return cast("Tensor", module.weight)
    channels = module.in_channels, module.out_channels
    rows, columns = channels if module.transposed else channels[::-1]
    return torch.empty(rows, columns // module.groups, *module.kernel_size, device="meta")


def check_tensors(ndim: int, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Check that the tensors of a call over ``ndim`` axes go together, channels and sizes apart."""
    check_input(input, ndim + 2, f"a {ndim}-d convolution", "(batch, channels, sizes)")
    others = [("weight", weight)] if bias is None else [("weight", weight), ("bias", bias)]
    for name, other in others:
        check_is_tensor(other, name)
    if weight.ndim != ndim + 2:
        hint = f"; {_ONE_CHANNEL} would do, as one channel" if weight.ndim == ndim else ""
        raise GeometryError(
            f"weight of shape {shape_of(weight)} has {weight.ndim} dimensions: a {ndim}-d convolution needs "
            f"{ndim + 2}, (channels, channels/groups, kernel sizes){hint}"
        )
    if input.is_quantized or not (input.is_floating_point() and has_autocast(input.device.type)):
        check_dtype(input)
    for name, other in others:
        if other.is_quantized:
            check_dtype(other, name)
        # Under autocast, dtypes are made equal later.
        if other.dtype != input.dtype and not has_autocast(input.device.type):
            hint = "input.to(weight.dtype)" if name == "weight" else f"{name}.to(input.dtype)"
            raise GeometryError(
                f"input is {input.dtype} and {name} is {other.dtype}: they should be the same; {hint} would do"
            )
        if other.device != input.device:
            raise GeometryError(
                f"input is on {input.device} and {name} on {other.device}: they should be on the same device"
            )


def check_input(input: Tensor, batched_ndim: int, what: str, dimensions: str) -> None:
    """Check that an input has a batch, or is one dimension short of it."""
    check_is_tensor(input, "input")
    if input.ndim not in (batched_ndim, batched_ndim - 1):
        hint = "; input[None] would do, as one channel" if 0 < input.ndim == batched_ndim - 2 else ""
        raise GeometryError(
            f"input of shape {shape_of(input)} has {input.ndim} dimensions: {what} needs {batched_ndim}, "
            f"{dimensions}, or {batched_ndim - 1} without a batch{hint}"
        )


def check_is_tensor(tensor: Any, name: str) -> None:
    """Check that an argument is a tensor."""
    if not isinstance(tensor, Tensor):
        raise no_tensor(tensor, name)


def no_tensor(value: Any, name: str) -> TypeError:
    """What to raise of an argument that should be a tensor."""
    hint = ""
    if isinstance(value, tuple) and value and all(type(size) is int for size in value):
        hint = f"; that is a shape: torch.randn{shown(tuple(value))} would do"
    elif isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
        hint = f"; torch.as_tensor({name}) would do"
    elif isinstance(value, nn.Module) and name == "weight":
        hint = "; layer.weight would do, or what takes a layer: convmat.matrix, ConvOperator.from_module"
    return TypeError(f"{name} must be a torch.Tensor, not {kind_of(value)}{hint}")


_ONE_CHANNEL = "weight[None, None]"  # what to write where a kernel of one channel has no channels


_DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.complex64,
    torch.complex128,
    torch.complex32,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
)
_MOVED = ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
# Which PyTorch can copy, but not sum.
_MOVED_DTYPES = tuple(getattr(torch, name) for name in _MOVED if hasattr(torch, name))


def check_dtype(tensor: Tensor, name: str = "input", is_summed: bool = True) -> None:
    """Check that a tensor is of a dtype with which PyTorch computes."""
    dtype = tensor.dtype
    if dtype in _DTYPES or (not is_summed and dtype in _MOVED_DTYPES):
        return
    if tensor.is_quantized:
        raise GeometryError(
            f"{name} is quantized ({dtype}), and convmat computes with no quantized numbers: {name}.dequantize() would "
            "do, or call convmat.restore(model) before a model is quantized, and accelerate what is left last"
        )
    way = "float()" if tensor.is_floating_point() else "to(torch.int64)"
    raise GeometryError.of(
        "{name} is {dtype}, with which PyTorch does not compute: need float16 to float64, bfloat16, "
        "complex64, complex128, uint8 or int8 to int64; {name}.{way} would do",
        name=name,
        dtype=dtype,
        way=way,
    )


def shape_of(tensor: Tensor) -> str:
    """The shape of a tensor as messages show it."""
    return shown(tuple(tensor.shape))


def check_bias(bias: Tensor | None, channels: int) -> None:
    """Check that a bias has one number per output channel."""
    if bias is not None and tuple(bias.shape) != (channels,):
        raise GeometryError(f"bias of shape {shape_of(bias)}: need ({channels},), one number per output channel")


def _sizes(weight: Tensor, input_size: PerAxis) -> tuple[tuple[int, ...], tuple[int, ...]]:
    kernel_size = tuple(weight.shape[2:])
    if not kernel_size:
        raise GeometryError(
            f"weight of shape {shape_of(weight)} has no kernel: need (channels, channels/groups, kernel sizes)"
            + (f"; {_ONE_CHANNEL} would do, as one channel" if weight.ndim else "")
        )
    # A tuple of types, since Dynamo of PyTorch 2.8 and 2.9 does not trace ``list | tuple``.
    if isinstance(input_size, (list, tuple)) and len(input_size) != len(kernel_size):
        shorter = tuple(input_size)[-len(kernel_size) :]
        hint = f"; {shown(shorter)} would do" if len(input_size) > len(kernel_size) else ""
        raise GeometryError(
            f"input_size={shown(tuple(input_size))} must hold the {len(kernel_size)} spatial sizes alone, "
            f"for weight of shape {shape_of(weight)}{hint}"
        )
    return per_axis_ints(input_size, len(kernel_size), "input_size"), kernel_size


def _cached(build: Any, arguments: tuple[Any, ...], **options: Any) -> Geometry:
    """Build a geometry, or find it: layers ask for the same few again and again.

    Only plain integers and strings are looked up: True and 2.0 would be found as 1 and 2 before they are refused.
    """
    if is_compiling():
        return _build_anew(build, *arguments, **options)
    known = is_hashable((*arguments, *options.values()))  # as they are, mostly
    if not known:
        options = {name: _as_hashable(value) for name, value in options.items()}
        arguments = tuple(map(_as_hashable, arguments))
        known = is_hashable((*arguments, *options.values()))
    return (_build if known else _build_anew)(build, *arguments, **options)


def _build_anew(build: Any, *arguments: Any, **options: Any) -> Geometry:
    geometry: Geometry = build(*arguments, **options)
    return geometry


_build = lru_cache(maxsize=256)(_build_anew)


def forget() -> None:
    """Forget all geometries, and what was worked out for them."""
    _build.cache_clear()


def is_hashable(values: tuple[Any, ...]) -> bool:
    """Whether all values are integers, strings or ``None``, or tuples of such values: then equal ones mean the same."""
    for value in values:
        kind = type(value)
        if kind not in _PLAIN and not (kind is tuple and is_hashable(value)):
            return False
    return True


_PLAIN = frozenset((int, str, NoneType))


def _as_hashable(value: Any) -> Any:
    """Lists, arrays and tensors as tuples; what is wrong with anything else, the geometry says."""
    if is_hashable((value,)):  # as it is, mostly
        return value
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) <= 1 and not getattr(value, "is_meta", False):
        value = value.tolist()
    return tuple(map(_as_hashable, value)) if isinstance(value, (list, tuple)) else value
