"""PyTorch's own convolutions.

What these cannot express (different padding at the two ends, fewer outputs than would fit) is padded before or cropped
after.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from convmat.geometry import Axis, Geometry
from convmat.methods.common import CONVOLUTIONS, add_bias, no_bool, no_small_integers
from convmat.tensors.padding import pad_or_crop, pad_zeros
from convmat.tensors.watching import is_symbolic, is_traced_by_jit

TRANSPOSED_CONVOLUTIONS = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def direct(input: Tensor, weight: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """``conv(x)``."""
    both, beyond = zip(*map(_direct_padding, geometry.axes), strict=True)
    convolve = CONVOLUTIONS[geometry.ndim - 1]
    output = convolve(pad_zeros(input, beyond), weight, bias, geometry.stride, both, geometry.dilation, geometry.groups)
    return _crop(output, [(0, axis.outputs) if axis.slack >= axis.stride else None for axis in geometry.axes])


def transposed(input: Tensor, weight: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """``conv_transpose(y)``."""
    convolve = TRANSPOSED_CONVOLUTIONS[geometry.ndim - 1]
    is_compiling = torch.compiler.is_compiling()
    # torch.jit traces twice and compares line by line: it must not find the second time what the first worked out.
    known = None if is_compiling or is_traced_by_jit() else computation(geometry)
    if known is not None:
        return known(input, weight, bias)
    both, beyond, output_padding = zip(*(axis.even_padding() for axis in geometry.axes), strict=True)
    if is_compiling and any(map(operator.ge, output_padding, geometry.stride)):
        # ONNX Runtime refuses this, so what is exported appends the cells, which no tap reaches, by itself.
        output = convolve(input, weight, None, geometry.stride, 0, 0, geometry.groups, geometry.dilation)
        return add_bias(pad_or_crop(output, [(-axis.lo, axis.slack - axis.hi) for axis in geometry.axes]), bias)
    output = convolve(input, weight, bias, geometry.stride, both, output_padding, geometry.groups, geometry.dilation)
    kept = [
        (lo, axis.inputs) if lo or hi > axis.slack else None
        for (lo, hi), axis in zip(beyond, geometry.axes, strict=True)
    ]
    if not (is_compiling or any(kept)):
        geometry.memo["native"] = partial(  # all that there is to do
            convolve,
            stride=geometry.stride,
            padding=both,
            output_padding=output_padding,
            groups=geometry.groups,
            dilation=geometry.dilation,
        )
    return _crop(output, kept)


def computation(geometry: Geometry) -> Callable[[Tensor, Tensor, Tensor | None], Tensor] | None:
    """A function of input, weight and bias, if PyTorch's own is all that there is to it and was called before."""
    known: Callable[[Tensor, Tensor, Tensor | None], Tensor] | None = geometry.memo.get("native")
    return known


def transposed_gradients(
    grad: Tensor, input: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, ...]:
    """The gradients with respect to input, weight and bias, those that are wanted, by PyTorch's own backward pass."""
    both, beyond, output_padding = zip(*(axis.even_padding() for axis in geometry.axes), strict=True)
    # What was cropped had no influence: its gradient is zero.
    sizes = [
        (axis.outputs - 1) * axis.stride + axis.extent - 2 * even + more
        for axis, even, more in zip(geometry.axes, both, output_padding, strict=True)
    ]
    around = [(lo, size - lo - axis.inputs) for axis, size, (lo, _) in zip(geometry.axes, sizes, beyond, strict=True)]
    return tuple(
        torch.ops.aten.convolution_backward(
            pad_or_crop(grad, around),
            input,
            weight,
            [geometry.out_channels],
            geometry.stride,
            both,
            geometry.dilation,
            True,
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
        return f"PyTorch convolves over at most {len(CONVOLUTIONS)} axes"
    is_integer = not (dtype.is_floating_point or dtype.is_complex)
    if geometry.transposed and is_integer and dtype != torch.int64:
        return f"PyTorch's transposed convolution takes no {dtype}"
    return no_bool(dtype) or no_small_integers(geometry, dtype)
