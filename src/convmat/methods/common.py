"""Steps that several methods share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from convmat.geometry import Geometry

CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)


def convolve(input: Tensor, weight: Tensor, groups: int, dilation: Sequence[int] | int = 1) -> Tensor:
    """An ordinary convolution with stride 1 and no padding, over as many axes as the weight has."""
    return CONVOLUTIONS[weight.ndim - 3](input, weight, dilation=dilation, groups=groups)


def insert_zeros(input: Tensor, steps: Sequence[int]) -> Tensor:
    """Spread the last axes: ``step - 1`` zeros between neighbours, none after the last."""
    first, sizes = input.ndim - len(steps), input.shape[input.ndim - len(steps) :]
    if all(step == 1 for step in steps):
        return input
    cells = input.reshape(*input.shape[:first], *(n for size in sizes for n in (size, 1)))
    fill = [n for step in reversed(steps) for n in (0, step - 1, 0, 0)]
    spread = F.pad(cells, fill).reshape(*input.shape[:first], *(n * s for n, s in zip(sizes, steps, strict=True)))
    for dim, step in enumerate(steps, start=first):
        spread = spread.narrow(dim, 0, spread.shape[dim] - (step - 1))
    return spread


def take_every(input: Tensor, steps: Sequence[int], counts: Sequence[int]) -> Tensor:
    """The transpose of :func:`insert_zeros`: along the last axes, every ``step``-th element, ``count`` of them."""
    for dim, (step, count) in enumerate(zip(steps, counts, strict=True), start=input.ndim - len(steps)):
        input = input[(slice(None),) * dim + (slice(None, None, step),)].narrow(dim, 0, count)
    return input


def no_small_integers(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """The reason why a method built on PyTorch's dilated convolution refuses small integers."""
    is_integer = not (dtype.is_floating_point or dtype.is_complex)
    if is_integer and dtype != torch.int64 and max(geometry.dilation) > 1:
        return f"PyTorch's dilated convolution takes no {dtype}"
    return None


def no_bool(dtype: torch.dtype) -> str | None:
    """The reason why a method built on sums and products refuses bool."""
    return "it sums products, which torch.bool does not have" if dtype == torch.bool else None
