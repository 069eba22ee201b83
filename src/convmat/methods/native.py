"""PyTorch's own convolutions.

What these cannot express (different padding at the two ends, fewer outputs than would fit) is padded before or cropped
after.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from convmat.geometry import Geometry
from convmat.methods.common import CONVOLUTIONS, no_bool, no_small_integers
from convmat.padding import pad_or_crop

TRANSPOSED_CONVOLUTIONS = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def direct(input: Tensor, weight: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """``conv(x)``."""
    both, beyond, _ = zip(*(axis.even_padding() for axis in geometry.axes), strict=True)
    convolve = CONVOLUTIONS[geometry.ndim - 1]
    output = convolve(
        pad_or_crop(input, beyond), weight, bias, geometry.stride, both, geometry.dilation, geometry.groups
    )
    for dim, size in enumerate(geometry.outputs, start=2):
        output = output.narrow(dim, 0, size)
    return output


def transposed(input: Tensor, weight: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """``conv_transpose(y)``."""
    both, beyond, output_padding = zip(*(axis.even_padding() for axis in geometry.axes), strict=True)
    convolve = TRANSPOSED_CONVOLUTIONS[geometry.ndim - 1]
    output = convolve(input, weight, bias, geometry.stride, both, output_padding, geometry.groups, geometry.dilation)
    for dim, ((lo, _), size) in enumerate(zip(beyond, geometry.inputs, strict=True), start=2):
        output = output.narrow(dim, lo, size)
    return output


def refuses(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the method cannot take a case, if it cannot."""
    if geometry.ndim > len(CONVOLUTIONS):
        return f"PyTorch convolves over at most {len(CONVOLUTIONS)} axes"
    is_integer = not (dtype.is_floating_point or dtype.is_complex)
    if geometry.transposed and is_integer and dtype != torch.int64:
        return f"PyTorch's transposed convolution takes no {dtype}"
    return no_bool(dtype) or no_small_integers(geometry, dtype)
