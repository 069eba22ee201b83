"""Columns: the cells under each window of a tensor, and their sum back into place (im2col and col2im).

Both go over a *view* in which every window has its own axes, so that no column is stored before it is asked for.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.tensors.derivatives import own_storage
from convmat.tensors.padding import insert_zeros, pad_or_crop, pad_zeros
from convmat.tensors.watching import is_compiling, is_traced_by_jit


def window_view(padded: Tensor, geometry: Geometry) -> Tensor:
    """View a padded tensor window by window.

    Args:
        padded: of shape (batch, channels, *padded sizes).
        geometry: whose axes say where the windows lie.

    Returns:
        A view of shape (batch, channels, *outputs, *kernel). Along the kernel's axes it overlaps itself; with these
        fixed it does not, so that adding to one tap's cells is safe.
    """
    for dim, axis in enumerate(geometry.axes, start=2):
        # The windows take the place of the axis, their cells become a new last dimension.
        padded = padded.unfold(dim, axis.extent, axis.stride)[..., :: axis.dilation].narrow(dim, 0, axis.outputs)
    return padded


def add_columns(target: Tensor, columns: Tensor, kernel_size: tuple[int, ...]) -> None:
    """Add columns to the cells that they stand for, in place and tap by tap: the transpose of reading them.

    Args:
        target: a view made by :func:`window_view`, or a part of it, of shape (..., *kernel).
        columns: of the same shape.
        kernel_size: how many taps to go through.
    """
    whole = (slice(None),) * (target.ndim - len(kernel_size))
    for tap in product(*map(range, kernel_size)):
        target[whole + tap] += columns[whole + tap]


def im2col(input: Tensor, geometry: Geometry) -> Tensor:
    """Unfold (im2col), differentiably: (batch, channels, *inputs) -> (batch, channels*taps, output cells)."""
    return _apply(input, geometry, scatter=False)


def col2im(columns: Tensor, geometry: Geometry) -> Tensor:
    """Fold (col2im), the transpose: (batch, channels*taps, output cells) -> (batch, channels, *inputs)."""
    return _apply(columns, geometry, scatter=True)


def zero_padding(geometry: Geometry) -> list[tuple[int, int]]:
    """The zeros before and after each axis."""
    return [(axis.lo, axis.hi) for axis in geometry.axes]


def crop_padding(padded: Tensor, geometry: Geometry) -> Tensor:
    """Take the zeros away again."""
    return pad_or_crop(padded, [(-axis.lo, -axis.hi) for axis in geometry.axes])


def padded_sizes(geometry: Geometry) -> tuple[int, ...]:
    """The spatial sizes of what the windows lie on."""
    return tuple(axis.padded for axis in geometry.axes)


def _apply(tensor: Tensor, geometry: Geometry, scatter: bool) -> Tensor:
    # Traced code must not write where views overlap, and derives the rest by itself.
    if is_compiling() or is_traced_by_jit():
        return _sum_taps(tensor, geometry) if scatter else _gather(tensor, geometry)
    result: Tensor = _Columns.apply(tensor, geometry, scatter)  # type: ignore[no-untyped-call]
    return result


class _Columns(torch.autograd.Function):
    """Gather or scatter: two linear maps, each the transpose and so the derivative of the other."""

    generate_vmap_rule = True

    @staticmethod
    def forward(tensor: Tensor, geometry: Geometry, scatter: bool) -> Tensor:
        return own_storage(_scatter(tensor, geometry) if scatter else _gather(tensor, geometry))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Geometry, bool], output: Tensor) -> None:
        ctx.geometry, ctx.scatter = inputs[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _apply(grad, ctx.geometry, not ctx.scatter), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return _apply(tangent, ctx.geometry, ctx.scatter)


def _gather(input: Tensor, geometry: Geometry) -> Tensor:
    view = window_view(pad_zeros(input, zero_padding(geometry)), geometry)
    n = geometry.ndim
    taps_first = view.permute(0, 1, *range(2 + n, 2 + 2 * n), *range(2, 2 + n))
    rows = input.shape[1] * prod(geometry.kernel_size)
    return taps_first.reshape(input.shape[0], rows, prod(geometry.outputs))


def _scatter(columns: Tensor, geometry: Geometry) -> Tensor:
    n, taps_first = geometry.ndim, _taps_first(columns, geometry)
    total = columns.new_zeros(*taps_first.shape[:2], *padded_sizes(geometry))
    taps_last = taps_first.permute(0, 1, *range(2 + n, 2 + 2 * n), *range(2, 2 + n))
    add_columns(window_view(total, geometry), taps_last, geometry.kernel_size)
    return crop_padding(total, geometry).contiguous()


def _sum_taps(columns: Tensor, geometry: Geometry) -> Tensor:
    """The same out of place: spread the cells of each tap over the padded sizes, and sum."""
    taps_first = _taps_first(columns, geometry)
    total = columns.new_zeros(*taps_first.shape[:2], *padded_sizes(geometry))
    whole = (slice(None),) * 2
    for tap in product(*map(range, geometry.kernel_size)):
        cells = insert_zeros(taps_first[whole + tap], geometry.stride)
        around = [axis.around_tap(t) for axis, t in zip(geometry.axes, tap, strict=True)]
        total = total + pad_zeros(cells, around)
    return crop_padding(total, geometry)


def _taps_first(columns: Tensor, geometry: Geometry) -> Tensor:
    """(batch, channels*taps, output cells) -> (batch, channels, *kernel, *outputs)."""
    channels = columns.shape[1] // prod(geometry.kernel_size)
    return columns.reshape(columns.shape[0], channels, *geometry.kernel_size, *geometry.outputs)
