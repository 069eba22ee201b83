"""A part of an axis' map: some of the cells that it writes, as an axis of its own.

That is the one rule of halos: what a block of a larger volume must read, how it is padded then, and where its results
go. Blocks of dask, boxes of a kernel and windows of a page follow it.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from convmat.geometry.axis import Axis
from convmat.geometry.borders import Border


class AxisPart(NamedTuple):
    """One part along one axis.

    Attributes:
        axis: padded by zeros, if at all.
        read: what it reads: runs of cells of the whole, joined one after the other.
        written: which cells of the wanted range its results are added to, run by run.
    """

    axis: Axis
    read: tuple[Border, ...]
    written: tuple[Border, ...]


def parts_of(axis: Axis, start: int, stop: int, transposed: bool) -> tuple[AxisPart, ...]:
    """The parts that make the cells ``start`` to ``stop`` of what C writes, or Cᵀ: their sum. None are zeros.

    C has one at most. Cᵀ has up to three, for padding modes that read cells: those of Pᵀ, which adds what overhangs at
    one end to cells near the other end, or near its own.
    """
    if transposed:
        found = [_transposed_part(axis, first, cells) for first, cells in axis.copies(start, stop)]
    else:
        found = [_direct_part(axis, start, stop)]
    return tuple(part for part in found if part is not None)


def _direct_part(axis: Axis, start: int, stop: int) -> AxisPart | None:
    first, end = axis.reads_range(start, stop)
    runs = axis.copied(first, end)
    there = sum(run.count for run in runs)
    if not there:
        return None
    # What is no copy of a cell is a zero: at the ends, for in between the cells follow one another.
    lo = max(axis.lo - first, 0) if axis.padding_mode == "zeros" else 0
    part = Axis(there, stop - start, axis.kernel, axis.stride, axis.dilation, lo, end - first - there - lo)
    return AxisPart(part, runs, (Border(0, 1, stop - start),))


def _transposed_part(axis: Axis, first: int, cells: tuple[Border, ...]) -> AxisPart | None:
    count = sum(run.count for run in cells)
    start, stop = axis.feeds_range(first, first + count)
    if start == stop:
        return None
    start = min(start, first // axis.stride)  # a window that begins after the first cell: one more before it
    lo = first - start * axis.stride
    hi = max((stop - start - 1) * axis.stride + axis.extent - lo - count, 0)
    part = Axis(count, stop - start, axis.kernel, axis.stride, axis.dilation, lo, hi)
    return AxisPart(part, (Border(start, 1, stop - start),), cells)


class ChunkSlice(NamedTuple):
    """Cells of one chunk: ``first`` to ``end`` on the whole axis, which are ``start`` to ``stop`` of the chunk."""

    chunk: int
    first: int
    end: int
    start: int
    stop: int


def chunk_slices(chunks: tuple[int, ...], first: int, end: int) -> list[ChunkSlice]:
    """The cells ``first`` to ``end`` of an axis that is cut into chunks, chunk by chunk.

    >>> chunk_slices((3, 2, 4), 2, 6)
    [ChunkSlice(chunk=0, first=2, end=3, start=2, stop=3), ChunkSlice(chunk=1, first=3, end=5, start=0, stop=2), \
ChunkSlice(chunk=2, first=5, end=6, start=0, stop=1)]
    """
    found = []
    for number, (size, after) in enumerate(zip(chunks, accumulate(chunks), strict=True)):
        before = after - size
        low, high = max(first, before), min(end, after)
        if low < high:
            found.append(ChunkSlice(number, low, high, low - before, high - before))
    return found


def regular_chunk_slices(size: int, chunk: int, first: int, end: int) -> list[ChunkSlice]:
    """The same of an axis of ``size`` cells that is cut into chunks of one size; the last one may be smaller.

    >>> regular_chunk_slices(9, 4, 3, 9)
    [ChunkSlice(chunk=0, first=3, end=4, start=3, stop=4), ChunkSlice(chunk=1, first=4, end=8, start=0, stop=4), \
ChunkSlice(chunk=2, first=8, end=9, start=0, stop=1)]
    """
    found = []
    for number in range(first // chunk, -(-min(end, size) // chunk)):
        before = number * chunk
        low, high = max(first, before), min(end, before + chunk, size)
        found.append(ChunkSlice(number, low, high, low - before, high - before))
    return found
