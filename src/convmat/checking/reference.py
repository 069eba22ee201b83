"""PyTorch's own answer for every geometry, to compare with.

A direct convolution is PyTorch's padding and PyTorch's convolution. A transposed one is their gradient: so PyTorch
answers even where it has no transposed convolution (padding modes, different padding at the two ends).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from convmat.geometry import Geometry, GeometryError

# Not shared with the methods: what is compared with should not hang on what is compared.
_CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)


def reference(geometry: Geometry, input: Tensor, weight: Tensor) -> Tensor:
    """Compute ``C x`` or ``Cᵀ y`` with functions of PyTorch alone.

    Args:
        geometry: over 1, 2 or 3 axes, direct or transposed.
        input: of shape (batch, *geometry.in_shape).
        weight: of shape ``geometry.weight_shape``.

    Returns:
        Of shape (batch, *geometry.out_shape).

    >>> y, weight = torch.ones(1, 1, 2), torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> reference(Geometry.conv_transpose((2,), 3, stride=2), y, weight)
    tensor([[[1., 2., 4., 2., 3.]]])
    """
    if geometry.ndim > len(_CONVOLUTIONS):
        raise GeometryError.of(
            "PyTorch convolves over at most {most} axes, not {ndim}", most=len(_CONVOLUTIONS), ndim=geometry.ndim
        )
    if not geometry.transposed:
        return _convolve(geometry, input, weight)
    at = input.new_zeros(len(input), *geometry.out_shape)
    return torch.func.vjp(lambda x: _convolve(geometry, x, weight), at)[1](input)[0]


def _convolve(geometry: Geometry, input: Tensor, weight: Tensor) -> Tensor:
    ndim = geometry.ndim
    for a, axis in enumerate(geometry.axes):
        if axis.lo + axis.hi:
            later = ndim - 1 - a  # F.pad starts with the last axis
            amounts = [0, 0] * later + [axis.lo, axis.hi] + [0, 0] * a
            input = F.pad(input, amounts, mode="constant" if axis.padding_mode == "zeros" else axis.padding_mode)
    output = _CONVOLUTIONS[ndim - 1](
        input, weight, stride=geometry.stride, dilation=geometry.dilation, groups=geometry.groups
    )
    for dim, size in enumerate(geometry.outputs, start=2):
        output = output.narrow(dim, 0, size)
    return output
