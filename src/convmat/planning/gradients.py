"""The gradients of a convolution, each by whichever way should be the fastest.

That with respect to the input is the other direction. That with respect to the weight is a convolution of the input,
whose kernel is the output's gradient. Each is computed by our kernel, or by PyTorch's backward pass, asked in the way
that suits it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

from torch import Tensor

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.methods import native, unfold
from convmat.methods.common import Computation
from convmat.methods.numbers import prepare_numbers
from convmat.methods.tiles import is_for_kernel
from convmat.planning.costs import WeightWay, estimate_input_gradient, estimate_weight_gradient, geometry_of_weight
from convmat.tensors.calls import Call
from convmat.tensors.padding import pad
from convmat.tensors.strides import MemoryFormat, output_format_of, with_usual_strides

Wanted: TypeAlias = tuple[bool, bool, bool]  # of the gradients with respect to input, weight and bias
Found: TypeAlias = tuple[Tensor | None, Tensor | None, Tensor | None]
Gradients: TypeAlias = Callable[[Tensor, Tensor, Tensor, Wanted], Found]


class _Ways(NamedTuple):
    """What computes the gradients that PyTorch's backward pass of the layer does not; ``None`` where that does.

    Args:
        input: with respect to the input, from the output's gradient and the weight.
        weight: with respect to the weight, from the output's gradient and the input.
    """

    input: Callable[[Tensor, Tensor], Tensor] | None = None
    weight: Callable[[Tensor, Tensor], Tensor] | None = None


def prepare_gradients(geometry: Geometry, call: Call) -> Gradients:
    """What computes the numbers of the gradients of a call, found among the notes on the geometry or made now.

    Args:
        geometry: direct or transposed, padded with zeros.
        call: of operands with their usual strides.

    Returns:
        A function of the output's gradient, input, weight, and which gradients are wanted.
    """
    is_ours = is_for_kernel(geometry, call) and computing.is_worthwhile() and computing.is_ready(call.dtype)
    if not is_ours or not call.batch or 0 in (*geometry.in_shape, *geometry.weight_shape):
        return partial(_compute, geometry, _Ways())
    threads = computing.thread_count()
    call = call.untracked()._replace(keeps_weight=False)
    gradients: Gradients = geometry.notes.plans.get_or_make(
        ("gradients", call, threads, computing.is_forked()),
        lambda: partial(_compute, geometry, _prepare_ways(geometry, call, *_fastest_ways(geometry, call, threads))),
    )
    return gradients


def _fastest_ways(geometry: Geometry, call: Call, threads: int) -> tuple[bool, WeightWay]:
    """By estimate: whether our kernel computes the input's gradient, and how the weight's is computed."""
    ours, theirs = estimate_input_gradient(geometry, call, threads)
    of_weight = estimate_weight_gradient(geometry, call, threads)
    return ours < theirs, min(of_weight, key=of_weight.__getitem__)


def _prepare_ways(geometry: Geometry, call: Call, ours: bool, way: WeightWay) -> _Ways:
    other = _transpose(geometry)
    is_contiguous = call.memory_format is not MemoryFormat.CHANNELS_LAST  # as is then the output's gradient
    of_input = prepare_numbers(other, call.batch, call.dtype, contiguous=is_contiguous, keep=False) if ours else None
    return _Ways(
        None if of_input is None else partial(_input_gradient, of_input),
        None if way is WeightWay.LAYER else _prepare_weight_gradient(geometry, call, way),
    )


def _input_gradient(computation: Computation, grad: Tensor, weight: Tensor) -> Tensor:
    return computation(grad, weight, None)


def _prepare_weight_gradient(geometry: Geometry, call: Call, way: WeightWay) -> Callable[[Tensor, Tensor], Tensor]:
    """That of the direct convolution, by our kernel or by PyTorch."""
    direct = _transpose(geometry) if geometry.transposed else geometry
    if way is WeightWay.KERNEL:
        of_weight, channels = geometry_of_weight(direct, call.batch), direct.in_channels // direct.groups
        convolve = prepare_numbers(of_weight, channels, call.dtype, contiguous=True, keep=False)
        compute = partial(_convolve_for_weight, convolve, direct.groups)
    else:
        compute = partial(native.weight_gradient, geometry=direct, halved=way is WeightWay.HALVES)
    return compute if geometry.transposed else partial(_exchanged, compute)


def _exchanged(compute: Callable[[Tensor, Tensor], Tensor], grad: Tensor, input: Tensor) -> Tensor:
    """What a direct convolution reads is the input; what it writes has the output's gradient."""
    return compute(input, grad)


def _convolve_for_weight(computation: Computation, groups: int, x: Tensor, y: Tensor) -> Tensor:
    """See :meth:`Geometry.of_weight`."""
    x, y = (tensor.unflatten(1, (groups, -1)) for tensor in (x, y))
    x = x.transpose(0, 2).flatten(1, 2).contiguous()  # of (input channels of a group, groups * batch, *sizes)
    y = y.movedim(0, 2).flatten(0, 1)  # of (output channels, batch, *sizes)
    return computation(x, y, None).transpose(0, 1).contiguous()


def _compute(geometry: Geometry, ways: _Ways, grad: Tensor, input: Tensor, weight: Tensor, wanted: Wanted) -> Found:
    memory_format = output_format_of(input)
    grad = with_usual_strides(grad).contiguous(memory_format=memory_format)  # once, for all that read it
    of_input = wanted[0] and ways.input
    of_weight = wanted[1] and ways.weight
    # PyTorch computes the bias' gradient along with the weight's; alone, it may take as long as both.
    is_summed = wanted[2] and not (wanted[1] and not of_weight)
    theirs = wanted[0] and not of_input, wanted[1] and not of_weight, wanted[2] and not is_summed
    made = native.gradients(grad, input, weight, geometry, theirs) if any(theirs) else (None, None, None)
    return (
        of_input(grad, weight).contiguous(memory_format=memory_format) if of_input else made[0],
        of_weight(grad, input) if of_weight else made[1],
        grad.sum((0, *range(2, grad.ndim))) if is_summed else made[2],
    )


def _transpose(geometry: Geometry) -> Geometry:
    """The geometry of the transposed map: the same object in every call, with its notes."""
    if geometry.notes.transposed is None:
        geometry.notes.transposed = geometry.transpose()
    transposed: Geometry = geometry.notes.transposed
    return transposed


def weight_gradient(geometry: Geometry, input: Tensor, output: Tensor) -> Tensor:
    """The gradient of ``<output, C(w) input>`` with respect to ``w``, which is linear in both; differentiable.

    Args:
        geometry: direct or transposed, with any padding mode.
        input: of shape (batch, *in_shape).
        output: of shape (batch, *out_shape).

    Returns:
        A tensor of shape ``geometry.weight_shape``.
    """
    x, y = (output, input) if geometry.transposed else (input, output)
    direct = geometry.transpose() if geometry.transposed else geometry
    padded, unpadded = pad(x, direct), direct.unpadded()
    if native.refuses(unpadded, x.dtype) or x.is_complex():  # of complex numbers, PyTorch's own lacks this one
        return unfold.weight_gradient(padded, y, unpadded)
    return native.weight_gradient(padded, y, unpadded)
