"""PyTorch's own convolutions.

What these cannot express (different padding at the two ends, fewer outputs than would fit) is padded before or cropped
after.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from convmat.geometry import Axis, Geometry, Sentence
from convmat.methods.common import CONVOLUTIONS, Computation, activated, add_bias, no_bool, no_small_integers
from convmat.tensors.calls import Call
from convmat.tensors.padding import pad_or_crop, pad_zeros
from convmat.tensors.strides import MemoryFormat
from convmat.tensors.watching import is_compiling, is_symbolic, surely_zero

TRANSPOSED_CONVOLUTIONS = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


# From this dilation on, oneDNN multiplies all the zeros of the padding, unless the channels come last; and the largest
# share of products with inputs, not with zeros, for which it pays to bring them there.
_WIDE_DILATION, _INSIDE = 9, 0.8


def prepare(geometry: Geometry, call: Call) -> Computation:
    """PyTorch's function with its arguments, found among the notes on the geometry or made now."""
    if is_compiling():
        return _prepare_transposed(geometry) if geometry.transposed else _prepare_direct(geometry)
    if geometry.notes.native is None:
        geometry.notes.native = _prepare_transposed(geometry) if geometry.transposed else _prepare_direct(geometry)
    prepared: Computation = geometry.notes.native
    if _wants_channels_last(geometry, call):
        prepared = partial(_with_channels_last, prepared)
    return activated(prepared, call.activation)


def _wants_channels_last(geometry: Geometry, call: Call) -> bool:
    """Whether copies with the channels last take less time than they save: wide atrous convolutions of images."""
    if geometry.transposed or geometry.ndim != 2 or geometry.groups > 1 or not call.is_plain or call.needs_gradient:
        return False
    if call.dtype != torch.float32 or call.memory_format is not MemoryFormat.CONTIGUOUS:
        return False
    if min(geometry.dilation) < _WIDE_DILATION:
        return False
    return prod(map(_inside, geometry.axes)) <= _INSIDE


def _inside(axis: Axis) -> float:
    """The share of an axis' products that are with inputs, not with zeros of the padding."""
    read = sum(max(stop - start, 0) for start, stop in map(axis.readers, range(axis.kernel)))
    return read / (axis.kernel * axis.outputs)


def _with_channels_last(computation: Computation, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    output = computation(input.contiguous(memory_format=torch.channels_last), weight, bias)
    return output.contiguous(memory_format=torch.contiguous_format)


def _prepare_direct(geometry: Geometry) -> Computation:
    both, beyond = zip(*map(_direct_padding, geometry.axes), strict=True)
    convolve = partial(
        CONVOLUTIONS[geometry.ndim - 1],
        stride=geometry.stride,
        padding=both,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )
    kept = [(0, axis.outputs) if axis.slack >= axis.stride else None for axis in geometry.axes]
    if all(surely_zero(end) for ends in beyond for end in ends) and not any(kept):
        return convolve
    return partial(_pad_and_crop, convolve, beyond, kept)


def _pad_and_crop(
    convolve: Computation,
    beyond: Sequence[tuple[int, int]],
    kept: Sequence[tuple[int, int] | None],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    return _crop(convolve(pad_zeros(input, beyond), weight, bias), kept)


def _prepare_transposed(geometry: Geometry) -> Computation:
    both, beyond, output_padding = zip(*(axis.even_padding() for axis in geometry.axes), strict=True)
    if is_compiling() and any(map(operator.ge, output_padding, geometry.stride)):
        return partial(_append_cells, geometry)
    convolve = partial(
        TRANSPOSED_CONVOLUTIONS[geometry.ndim - 1],
        stride=geometry.stride,
        padding=both,
        output_padding=output_padding,
        groups=geometry.groups,
        dilation=geometry.dilation,
    )
    kept = [
        (lo, axis.inputs) if lo or hi > axis.slack else None
        for (lo, hi), axis in zip(beyond, geometry.axes, strict=True)
    ]
    return partial(_convolve_and_crop, convolve, kept) if any(kept) else convolve


def _convolve_and_crop(
    convolve: Computation,
    kept: Sequence[tuple[int, int] | None],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    return _crop(convolve(input, weight, bias), kept)


def _append_cells(geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """With ``output_padding >= stride``, which ONNX Runtime refuses: append the cells, which no tap reaches."""
    convolve = TRANSPOSED_CONVOLUTIONS[geometry.ndim - 1]
    output = convolve(input, weight, None, geometry.stride, 0, 0, geometry.groups, geometry.dilation)
    return add_bias(pad_or_crop(output, [(-axis.lo, axis.slack - axis.hi) for axis in geometry.axes]), bias)


def gradients(
    grad: Tensor, input: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, ...]:
    """The gradients with respect to input, weight and bias, those that are wanted, by PyTorch's own backward pass."""
    compute = _transposed_gradients if geometry.transposed else _direct_gradients
    return compute(grad, input, weight, geometry, wanted)


def weight_gradient(x: Tensor, y: Tensor, geometry: Geometry, *, halved: bool = False) -> Tensor:
    """The gradient of ``<y, C(w) x>`` with respect to ``w``.

    Args:
        x: what the direct convolution reads.
        y: what it writes.
        geometry: direct.
        halved: whether to take the outputs for a batch of two halves. PyTorch computes batches of small images and
            volumes faster than single ones, which it leaves to im2col. Default: ``False``
    """
    if halved:
        x, y, geometry = _halves(x, y, geometry)
    weight = y.new_empty(()).expand(geometry.weight_shape)  # of which only the shape is read
    _, gradient, _ = gradients(y, x, weight, geometry, (False, True, False))
    assert gradient is not None
    return gradient


def _halves(x: Tensor, y: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor, Geometry]:
    """Two halves of the outputs along the first axis, and what they read, as a batch."""
    pieces, rest = geometry.axes[0].pieces(2), geometry.axes[1:]
    alike = [(0, 0)] * len(rest)
    read = pad_or_crop(x, [pieces.padding, *alike]).unfold(2, pieces.axis.inputs, pieces.step)
    written = pad_or_crop(y, [(0, pieces.further), *alike]).unflatten(2, (2, pieces.axis.outputs))
    x, y = (half.movedim(2, 1).flatten(0, 1) for half in (read.movedim(-1, 3), written))
    return x, y, replace(geometry, axes=(pieces.axis, *rest))


def _direct_gradients(
    grad: Tensor, input: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, ...]:
    both, beyond, _ = zip(*(axis.even_padding() for axis in geometry.axes), strict=True)
    rows = [(0, axis.further_outputs) for axis in geometry.axes]
    padding = both, [0] * geometry.ndim
    of_input, *others = _backward(pad_zeros(grad, rows), pad_zeros(input, beyond), weight, geometry, *padding, wanted)
    if of_input is not None:
        of_input = pad_or_crop(of_input, [(-lo, -hi) for lo, hi in beyond])
    return of_input, *others


def _transposed_gradients(
    grad: Tensor, input: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, ...]:
    both, beyond, output_padding = zip(*(axis.even_padding() for axis in geometry.axes), strict=True)
    # What was cropped had no influence: its gradient is zero.
    sizes = [
        (axis.outputs - 1) * axis.stride + axis.extent - 2 * even + more
        for axis, even, more in zip(geometry.axes, both, output_padding, strict=True)
    ]
    around = [(lo, size - lo - axis.inputs) for axis, size, (lo, _) in zip(geometry.axes, sizes, beyond, strict=True)]
    return _backward(pad_or_crop(grad, around), input, weight, geometry, both, output_padding, wanted)


def _backward(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    geometry: Geometry,
    padding: Sequence[int],
    output_padding: Sequence[int],
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor | None, ...]:
    return tuple(
        torch.ops.aten.convolution_backward(
            grad,
            input,
            weight,
            [geometry.out_channels],
            geometry.stride,
            padding,
            geometry.dilation,
            geometry.transposed,
            output_padding,
            geometry.groups,
            wanted,
        )
    )


def _direct_padding(axis: Axis) -> tuple[int, tuple[int, int]]:
    """What PyTorch pads on both sides, and what must be padded before: all of it, if that depends on the size."""
    if is_symbolic(axis.lo) or is_symbolic(axis.hi):  # "same" with a stride
        return 0, (axis.lo, axis.hi)
    return axis.even_padding()[:2]


def _crop(output: Tensor, kept: Sequence[tuple[int, int] | None]) -> Tensor:
    """Keep ``(start, length)`` of each spatial axis, or all of it; the result has no gaps, as PyTorch's have none."""
    for dim, part in enumerate(kept, start=2):
        if part:
            output = output.narrow(dim, *part)
    return output.clone() if any(kept) else output


def refuses(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the method cannot take a case, if it cannot."""
    if geometry.ndim > len(CONVOLUTIONS):
        return Sentence("PyTorch convolves over at most {most} axes", most=len(CONVOLUTIONS))
    is_integer = not (dtype.is_floating_point or dtype.is_complex)
    if geometry.transposed and is_integer and dtype != torch.int64:
        return Sentence("PyTorch's transposed convolution takes no {dtype}", dtype=dtype)
    return no_bool(dtype) or no_small_integers(geometry, dtype)
