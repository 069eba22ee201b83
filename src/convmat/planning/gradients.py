"""The gradients of a convolution, each by whichever way should be the fastest.

That with respect to the input is the other direction, by our kernel or by PyTorch's backward pass. That with respect to
the weight is PyTorch's, asked in the way that suits it.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.methods import native, unfold
from convmat.methods.numbers import prepare_numbers
from convmat.methods.tiles import is_for_kernel, will_be_contiguous
from convmat.planning.costs import estimate_input_gradient, estimate_weight_gradient
from convmat.tensors.calls import Call, call_of
from convmat.tensors.padding import pad
from convmat.tensors.strides import Layout, memory_format_of, with_usual_strides

Wanted = tuple[bool, bool, bool]  # of the gradients with respect to input, weight and bias


class _Ways(NamedTuple):
    """How gradients are computed: by PyTorch's backward pass of the layer, or in a way of ours.

    Args:
        input: whether our kernel computes the one with respect to the input.
        weight: whether to ask PyTorch for the one of the direct convolution, and with its outputs halved; ``None`` for
            that of the layer.
    """

    input: bool = False
    weight: bool | None = None


def gradients(
    geometry: Geometry, grad: Tensor, input: Tensor, weight: Tensor, wanted: Wanted
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The numbers of the gradients with respect to input, weight and bias, those that are wanted.

    Args:
        geometry: direct or transposed, padded with zeros.
        grad: the gradient with respect to the output.
        input, weight: the operands, batch first.
        wanted: which are wanted.
    """
    grad, input, weight = map(with_usual_strides, (grad, input, weight))
    ways = _ways(geometry, call_of(input, weight, grad)) if input.numel() and weight.numel() else _Ways()
    of_input = of_weight = None
    if wanted[0] and ways.input:
        of_input = _input_gradient(geometry, grad, weight).contiguous(memory_format=memory_format_of(input))
    if wanted[1] and ways.weight is not None:
        x, y = (grad, input) if geometry.transposed else (input, grad)
        direct = _transpose(geometry) if geometry.transposed else geometry
        of_weight = native.weight_gradient(x, y, direct, halved=ways.weight)
    missing = wanted[0] and of_input is None, wanted[1] and of_weight is None, wanted[2]
    if not any(missing):
        return of_input, of_weight, None
    theirs = native.gradients(grad, input, weight, geometry, missing)
    return (of_input if theirs[0] is None else theirs[0], of_weight if theirs[1] is None else theirs[1], theirs[2])


def _ways(geometry: Geometry, call: Call) -> _Ways:
    """The fastest ways by estimate, found among the notes on the geometry or chosen now."""
    if not (is_for_kernel(geometry, call) and computing.is_worthwhile() and computing.is_ready(call.dtype)):
        return _Ways()
    threads = computing.thread_count()
    call = call.untracked()._replace(keeps_weight=False)
    ways: _Ways = geometry.notes.plans.get_or_make(
        ("gradients", call, threads), lambda: _fastest_ways(geometry, call, threads)
    )
    return ways


def _fastest_ways(geometry: Geometry, call: Call, threads: int) -> _Ways:
    ours, theirs = estimate_input_gradient(geometry, call, threads)
    of_weight, theirs_of_weight = estimate_weight_gradient(geometry, call, threads)
    fastest = min(of_weight, key=of_weight.__getitem__)
    return _Ways(ours < theirs, fastest if of_weight[fastest] < theirs_of_weight else None)


def _input_gradient(geometry: Geometry, grad: Tensor, weight: Tensor) -> Tensor:
    """The other direction, by our kernel."""
    call = call_of(grad, weight, None)
    if call.layout is Layout.APART:
        grad = grad.contiguous()
    contiguous = will_be_contiguous(call)
    compute = prepare_numbers(_transpose(geometry), call.batch, call.dtype, contiguous=contiguous, keep=False)
    return compute(grad, weight, None)


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
