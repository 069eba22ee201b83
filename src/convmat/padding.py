"""P, which extends the input of a convolution, and its transpose.

A padded convolution is ``C = Z P``, with Z the unpadded one, so ``Cᵀ = Pᵀ Zᵀ``. Reflect, replicate and circular padding
are done here, once, so that methods only know zeros; zero padding is left to them, for most can do without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from convmat.geometry import Axis, Geometry, kept_range


def pad(input: Tensor, geometry: Geometry) -> Tensor:
    """P: extend every axis that does not pad with zeros.

    Args:
        input: of shape (..., *inputs).
        geometry: whose axes say how to pad.

    Returns:
        The tensor of shape (..., *padded) that ``geometry.unpadded()`` reads.
    """
    for dim, axis in _bordered(geometry):
        source = torch.from_numpy(axis.padding_source()).to(input.device)
        input = input.index_select(dim, source)
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
        source = torch.from_numpy(axis.padding_source()).to(output.device)
        before, inner, after = output.split([axis.lo, axis.inputs, axis.hi], dim)
        overhang = torch.cat([source[: axis.lo], source[axis.lo + axis.inputs :]])
        output = inner.index_add(dim, overhang, torch.cat([before, after], dim))
    return output


def _bordered(geometry: Geometry) -> list[tuple[int, Axis]]:
    """The axes whose padding reads the input, with their (negative) dimension."""
    ndim = geometry.ndim
    return [
        (a - ndim, axis) for a, axis in enumerate(geometry.axes) if axis.padding_mode != "zeros" and axis.lo + axis.hi
    ]


def pad_or_crop(input: Tensor, amounts: Sequence[tuple[int, int]]) -> Tensor:
    """Extend the last axes by zeros, or crop them where an amount is negative (even by more than there is)."""
    fill: list[int] = []
    for dim, (lo, hi) in enumerate(amounts, start=-len(amounts)):
        start, length, before, after = kept_range(input.shape[dim], lo, hi)
        if length < input.shape[dim]:
            input = input.narrow(dim, start, length)
        fill = [before, after, *fill]  # F.pad starts with the last axis
    return F.pad(input, fill) if any(fill) else input
