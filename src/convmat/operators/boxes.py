"""A box of what an operator writes, from boxes of what it reads: how volumes are mapped block by block.

A large kernel is transformed once for all blocks of a size, and kept: by its values, since each task has a copy of its
own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

import torch
from torch import Tensor

from convmat.geometry import Border, Geometry
from convmat.geometry.notes import Bounded
from convmat.operators.many_products import pays_by_spectra
from convmat.planning import run
from convmat.tensors.fourier import fast_lengths, from_spectrum, to_spectrum
from convmat.tensors.padding import copy_cells, insert_zeros, pad_zeros

Ranges: TypeAlias = Sequence[tuple[int, int]]
# Gives the cells in some ranges, of shape (batch, channels, *sizes).
Read: TypeAlias = Callable[[Ranges], Tensor]

_spectra: Bounded[Tensor] = Bounded(2)  # of a kernel, for C and for Cᵀ
_making = threading.Lock()


@dataclass(frozen=True)
class Box:
    """Which cells are wanted.

    Attributes:
        ranges: for each axis the first cell, and the one after the last.
        batch: how many items are read at a time. Default: 1
        usual: the size of most boxes, so that smaller ones at the ends can share their spectra. Default: of this one
    """

    ranges: Ranges
    batch: int = 1
    usual: tuple[int, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(stop - start for start, stop in self.ranges)

    def of(self, ranges: Ranges) -> Box:
        """Another box of the same items."""
        return Box(ranges, self.batch, self.usual)


@dataclass(frozen=True)
class Cost:
    """What the box in the middle of an operator's output takes.

    Attributes:
        read: for each axis, how many cells it reads.
        cells: how many numbers are held at a time, about.
        kept: how many numbers are kept for the other boxes.
        work: in units of a number that goes through a transform, about.
    """

    read: tuple[int, ...]
    cells: int
    kept: int
    work: float

    @classmethod
    def of(cls, geometry: Geometry, method: str, sizes: tuple[int, ...]) -> Cost:
        """Of a convolution."""
        starts = [(whole - size) // 2 for whole, size in zip(geometry.written, sizes, strict=True)]
        ranges = [(start, start + size) for start, size in zip(starts, sizes, strict=True)]
        read, cells, kept = (0,) * geometry.ndim, 0, 0
        written = prod(sizes) * geometry.out_channels
        for part in geometry.part(ranges):  # one after the other; in the middle there is one, but for small axes
            read = tuple(map(max, read, part.geometry.read))
            held, direct = prod(part.geometry.in_shape), part.geometry
            direct = direct.transpose() if direct.transposed else direct
            if pays_by_spectra(direct, method):
                kept = prod(_lengths(part.geometry, Box(ranges))) * geometry.in_channels
                cells = max(cells, held + 3 * kept + written)
            else:
                cells = max(cells, 4 * (held + prod(part.geometry.out_shape)) + written)
        return cls(read, cells, kept, max(kept, prod(read) * geometry.in_channels, written))


def compute(geometry: Geometry, weight: Tensor, method: str, read: Read, box: Box) -> Tensor:
    """The cells in a box of what a convolution writes, of shape (batch, channels, *sizes).

    Args:
        geometry: direct or transposed, with any padding mode.
        weight: of shape ``geometry.weight_shape``.
        method: a name from :func:`convmat.available_methods`.
        read: gives cells of the input; no others are asked for than those that the box depends on.
        box: the wanted cells.
    """
    total: Tensor | None = None
    parts = geometry.part(box.ranges)
    for part in parts:
        found = _map(part.geometry, weight, method, _gather(read, part.read), box)
        if len(parts) == 1 and all(runs == (Border(0, 1, n),) for runs, n in zip(part.written, box.sizes, strict=True)):
            return found
        total = _zeros(geometry, weight, box) if total is None else total
        _add(total, found, part.written)
    return _zeros(geometry, weight, box) if total is None else total


def _zeros(geometry: Geometry, weight: Tensor, box: Box) -> Tensor:
    return weight.new_zeros(box.batch, geometry.out_channels, *box.sizes)


def _gather(read: Read, runs: tuple[tuple[Border, ...], ...], ranges: tuple[tuple[int, int], ...] = ()) -> Tensor:
    """The runs of cells of each axis, joined."""
    a = len(ranges)
    if a == len(runs):
        return read(ranges)
    found = []
    for run_of_cells in runs[a]:
        first = run_of_cells.lowest
        cells = _gather(read, runs, (*ranges, (first, first + run_of_cells.distinct)))
        here = Border(run_of_cells.start - first, run_of_cells.step, run_of_cells.count)
        found.append(cells if run_of_cells.step == 1 else copy_cells(cells, a - len(runs), here))
    return found[0] if len(found) == 1 else torch.cat(found, a - len(runs))


def _add(total: Tensor, found: Tensor, runs: tuple[tuple[Border, ...], ...], dim: int = 2) -> None:
    """Add to the cells of each axis' runs: the transpose of gathering."""
    if dim == total.ndim:
        total += found
        return
    counts = [cells.count for cells in runs[dim - 2]]
    for cells, piece in zip(runs[dim - 2], found.split(counts, dim), strict=True):
        if cells.step == 0:
            piece = piece.sum(dim, keepdim=True, dtype=piece.dtype)
        elif cells.step < 0:
            piece = piece.flip(dim)
        _add(total.narrow(dim, cells.lowest, cells.distinct), piece, runs, dim + 1)


def _map(geometry: Geometry, weight: Tensor, method: str, x: Tensor, box: Box) -> Tensor:
    """Map a part, padded by zeros, as a whole."""
    direct = geometry.transpose() if geometry.transposed else geometry
    if not pays_by_spectra(direct, method):
        return run(geometry, x, weight, None, method)
    return (_adjoint if geometry.transposed else _forward)(direct, weight, x, _lengths(geometry, box))


def _lengths(geometry: Geometry, box: Box) -> list[int]:
    """Of the transforms: a box and the reach of the kernel. What wraps around is cropped."""
    usual = box.usual or box.sizes
    sizes = [
        max(n, most, axis.inputs if geometry.transposed else axis.outputs) + axis.extent - 1
        for n, most, axis in zip(box.sizes, usual, geometry.axes, strict=True)
    ]
    return fast_lengths(sizes, False)


def _forward(geometry: Geometry, weight: Tensor, x: Tensor, lengths: list[int]) -> Tensor:
    """C x: a correlation."""
    padded = pad_zeros(x, [(axis.lo, 0) for axis in geometry.axes])  # zeros after it come with the transform
    return _product(padded, weight, geometry, lengths, True, [(0, axis.outputs) for axis in geometry.axes])


def _adjoint(geometry: Geometry, weight: Tensor, y: Tensor, lengths: list[int]) -> Tensor:
    """Cᵀ y: a convolution, cropped."""
    return _product(y, weight, geometry, lengths, False, [(axis.lo, axis.inputs) for axis in geometry.axes])


def _product(
    x: Tensor, weight: Tensor, geometry: Geometry, lengths: list[int], correlate: bool, kept: list[tuple[int, int]]
) -> Tensor:
    is_complex = weight.is_complex()
    product = to_spectrum(x, lengths).mul_(_spectrum(weight, geometry.dilation, lengths, correlate))
    cells = from_spectrum(product, lengths, is_complex)
    for dim, (start, size) in enumerate(kept, start=-len(kept)):
        cells = cells.narrow(dim, start, size)
    return cells


def _spectrum(weight: Tensor, dilation: tuple[int, ...], lengths: list[int], correlate: bool) -> Tensor:
    def make() -> Tensor:
        kernel = insert_zeros(weight[:, 0], dilation)
        # Of a correlation with the weight itself, the conjugate of the spectrum of its conjugate.
        return to_spectrum(kernel.conj(), lengths).conj().resolve_conj() if correlate else to_spectrum(kernel, lengths)

    values = hashlib.blake2b(weight.detach().cpu().contiguous().numpy().tobytes(), digest_size=16).digest()
    key = values, weight.dtype, str(weight.device), tuple(weight.shape), dilation, tuple(lengths), correlate
    with _making:  # threads that start together need it at the same time
        return _spectra.get_or_make(key, make)


@dataclass(frozen=True)
class Sensitivity:
    """Cᵀ1 cell by cell: a small table, and which of its rows each cell of an axis takes.

    Along an axis most cells are read through all taps, and those near its ends through some, so there are few kinds of
    cells.

    Args:
        table: of shape (channels, *kinds of cells along each axis).
        kinds: for each axis, of shape (cells,): the kind of each cell.
    """

    table: Tensor
    kinds: tuple[Tensor, ...]

    @classmethod
    def of(cls, geometry: Geometry, weight: Tensor) -> Sensitivity:
        """Of a convolution: what its transpose makes of ones."""
        groups = geometry.groups
        grouped = weight.detach().double().unflatten(0, (groups, weight.shape[0] // groups))
        # (channels of the input, *kernel)
        table = grouped.sum(2).flatten(0, 1) if geometry.transposed else grouped.sum(1).flatten(0, 1)
        kinds = []
        for dim, axis in enumerate(geometry.axes, start=1):
            rows, of_cells = torch.unique(torch.from_numpy(axis.hits(geometry.transposed)), dim=0, return_inverse=True)
            table = torch.tensordot(table, rows.to(table), dims=([dim], [1])).movedim(-1, dim)
            kinds.append(of_cells)
        return cls(table.to(weight.dtype).contiguous(), tuple(kinds))

    def __call__(self, ranges: Ranges) -> Tensor:
        """The cells in some ranges, of shape (1, channels, *sizes)."""
        found = self.table
        for dim, (kinds, (start, stop)) in enumerate(zip(self.kinds, ranges, strict=True), start=1):
            here = kinds[start:stop]
            if bool((here == here[0]).all()):  # as it is nearly everywhere
                size = [stop - start if d == dim else n for d, n in enumerate(found.shape)]
                found = found.narrow(dim, int(here[0]), 1).expand(size)
            else:
                found = found.index_select(dim, here)
        return found[None]


@contextmanager
def one_thread(always: bool = False) -> Iterator[None]:
    """Let PyTorch compute with one thread, where others compute beside it: in all threads of Python but the main one.

    ``always``: there as well, so that sums are rounded in one way wherever they are made.
    """
    before = torch.get_num_threads()
    if before == 1 or (not always and threading.current_thread() is threading.main_thread()):
        yield
        return
    torch.set_num_threads(1)  # of this thread, and of those that begin now
    try:
        yield
    finally:
        torch.set_num_threads(before)


def corners(counts: Sequence[int]) -> list[tuple[int, ...]]:
    """All indices into a grid, in row-major order."""
    return list(product(*map(range, counts)))
