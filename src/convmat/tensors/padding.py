"""P, which extends the input of a convolution, and its transpose.

A padded convolution is ``C = Z P``, with Z the unpadded one, so ``Cᵀ = Pᵀ Zᵀ``. Reflect, replicate and circular padding
are done here, once, so that methods only know zeros; zero padding is left to them, for most can do without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from convmat.geometry import Axis, Border, Geometry, kept_range
from convmat.tensors.watching import surely_zero


def pad(input: Tensor, geometry: Geometry) -> Tensor:
    """P: extend every axis that does not pad with zeros.

    Args:
        input: of shape (..., *inputs).
        geometry: whose axes say how to pad.

    Returns:
        The tensor of shape (..., *padded) that ``geometry.unpadded()`` reads.
    """
    for dim, axis in _bordered(geometry):
        before, after = (copy_cells(input, dim, border) for border in axis.borders())
        input = torch.cat([before, input, after], dim)
    return input


def pad_transpose(output: Tensor, geometry: Geometry) -> Tensor:
    """Pᵀ: crop what P added and add it back to where P read it.

    For circular padding this makes a transposed convolution periodic. For reflect and replicate it is the exact
    adjoint, which does not keep constants constant: cells at the border are sums of more terms.

    Args:
        output: of shape (..., *padded), made by the transpose of ``geometry.unpadded()``.
        geometry: whose axes say how to pad.

    Returns:
        The tensor of shape (..., *inputs).
    """
    for dim, axis in _bordered(geometry):
        before, output, after = output.split([axis.lo, axis.inputs, axis.hi], dim)
        for border, overhang in zip(axis.borders(), (before, after), strict=True):
            output = _add_back(output, dim, border, overhang)
    return output


def _bordered(geometry: Geometry) -> list[tuple[int, Axis]]:
    """The axes whose padding reads the input, with their (negative) dimension."""
    ndim = geometry.ndim
    return [
        (a - ndim, axis)
        for a, axis in enumerate(geometry.axes)
        if axis.padding_mode != "zeros" and not (surely_zero(axis.lo) and surely_zero(axis.hi))
    ]


def copy_cells(input: Tensor, dim: int, border: Border) -> Tensor:
    """The cells of a border."""
    if border.step == 0:
        cell = input.narrow(dim, border.start, 1)
        return cell.expand([border.count if d - input.ndim == dim else size for d, size in enumerate(input.shape)])
    cells = input.narrow(dim, border.lowest, border.count)
    return cells.flip(dim) if border.step < 0 else cells


def _add_back(inner: Tensor, dim: int, border: Border, overhang: Tensor) -> Tensor:
    """The transpose of copying: add a border to the cells that it is a copy of."""
    if surely_zero(border.count):
        return inner
    if border.step == 0:
        overhang = overhang.sum(dim, keepdim=True, dtype=overhang.dtype)
    elif border.step < 0:
        overhang = overhang.flip(dim)
    count = overhang.shape[dim]
    first, cells, last = inner.split([border.lowest, count, inner.shape[dim] - border.lowest - count], dim)
    return torch.cat([first, cells + overhang, last], dim)


def pad_zeros(input: Tensor, amounts: Sequence[tuple[int, int]]) -> Tensor:
    """Extend the last axes by zeros; no amount is negative."""
    fill = [amount for pair in reversed(amounts) for amount in pair]  # F.pad starts with the last axis
    return input if all(map(surely_zero, fill)) else F.pad(input, fill)


def pad_or_crop(input: Tensor, amounts: Sequence[tuple[int, int]]) -> Tensor:
    """Extend the last axes by zeros, or crop them where an amount is negative (even by more than there is)."""
    fill: list[int] = []
    for dim, (lo, hi) in enumerate(amounts, start=-len(amounts)):
        start, length, before, after = kept_range(input.shape[dim], lo, hi)
        if length < input.shape[dim]:
            input = input.narrow(dim, start, length)
        fill = [before, after, *fill]  # F.pad starts with the last axis
    return F.pad(input, fill) if any(fill) else input


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
