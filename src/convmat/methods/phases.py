"""The sub-pixel view: one stride-1 convolution makes all phases of Cᵀ as channels; interleave them.

Cell ``i`` of Cᵀ belongs to phase ``(i + lo) % stride`` and is fed by the taps of that phase only. So all phases are
one convolution with ``stride`` times the channels and ``1/stride`` of the kernel along each axis. Where the kernel
does not divide evenly (it is no multiple of the stride, or dilated), a missing tap is a zero (times
which a NaN or an infinity is a NaN, in more outputs than read it).

The transpose of this splits the inputs of the direct convolution into phases, and convolves these with stride 1.
"""

from __future__ import annotations

from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor

from convmat.geometry import Geometry
from convmat.methods.common import convolve, no_bool, no_complex_half
from convmat.tensors.padding import pad_or_crop


def direct(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Split the input into phases, convolve them with stride 1."""
    windows = [axis.phase_window() for axis in geometry.axes]
    whole = pad_or_crop(input, [window.whole_padding for window in windows])
    phases = _split(whole, geometry.stride)
    phases = pad_or_crop(phases, [window.fine_padding for window in windows])
    n = geometry.ndim
    kernel = _phase_kernel(weight, geometry)  # (rows, columns/groups, *residues, *shifts)
    return convolve(phases, kernel.flatten(1, 1 + n), geometry.groups)


def transposed(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Convolve with stride 1 to make the phases, interleave them, crop."""
    n, groups = geometry.ndim, geometry.groups
    windows = [axis.phase_window() for axis in geometry.axes]
    kernel = _phase_kernel(weight, geometry).flip(tuple(range(2 + n, 2 + 2 * n)))
    kernel = kernel.unflatten(0, (groups, -1)).movedim(1, 2 + n)  # (groups, columns, *residues, rows, *shifts)
    phases = convolve(
        pad_or_crop(input, [window.coarse_padding for window in windows]), kernel.flatten(0, 1 + n), groups
    )
    output = _interleave(phases, geometry.stride)
    for dim, (window, size) in enumerate(zip(windows, geometry.inputs, strict=True), start=2):
        output = output.narrow(dim, window.offset, size)
    return output


def _phase_kernel(weight: Tensor, geometry: Geometry) -> Tensor:
    """Sort the taps by phase: (rows, columns, *kernel) -> (rows, columns, *residues, *shifts); no tap is a zero."""
    n = geometry.ndim
    with_zero = F.pad(weight, [0, 1] * n)  # tap -1 reads this last, zero cell
    for dim, axis in zip(range(2, 2 + 2 * n, 2), geometry.axes, strict=True):
        table = torch.from_numpy(axis.phase_table() % (axis.kernel + 1)).to(weight.device)
        with_zero = with_zero.index_select(dim, table.flatten()).unflatten(dim, table.shape)
    return with_zero.permute(0, 1, *range(2, 2 + 2 * n, 2), *range(3, 3 + 2 * n, 2))


def _split(whole: Tensor, stride: tuple[int, ...]) -> Tensor:
    """(batch, channels, *cells*stride) -> (batch, channels*residues, *cells)."""
    n = len(stride)
    for dim, step in zip(range(2, 2 + 2 * n, 2), stride, strict=True):
        whole = whole.unflatten(dim, (whole.shape[dim] // step, step))
    return whole.permute(0, 1, *range(3, 3 + 2 * n, 2), *range(2, 2 + 2 * n, 2)).flatten(1, 1 + n)


def _interleave(phases: Tensor, stride: tuple[int, ...]) -> Tensor:
    """The transpose of splitting: (batch, channels*residues, *cells) -> (batch, channels, *cells*stride)."""
    n = len(stride)
    apart = phases.unflatten(1, (-1, *stride))
    pairs = chain.from_iterable((2 + n + a, 2 + a) for a in range(n))
    output = apart.permute(0, 1, *pairs)
    for dim in range(2, 2 + n):
        output = output.flatten(dim, dim + 1)
    return output


def refuses(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the method cannot take a case, if it cannot."""
    return no_bool(dtype) or no_complex_half(dtype)
