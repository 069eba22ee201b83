"""A dask array onto the disk: once, checked, and with a fingerprint by which it is known again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from convmat.geometry import GeometryError, Sentence, chunk_slices
from convmat.geometry.memory import human
from convmat.operators.volumes.disk import Disk

if TYPE_CHECKING:
    import dask.array as da

_SIDE = 64  # cells along an axis that are copied at a time, at least: as many as a chunk on the disk has


@dataclass(frozen=True)
class Survey:
    """What was seen on the way.

    Attributes:
        total: the sum of the data.
        largest: the largest of them.
        squares: the sum of their squares.
        fingerprint: of all values and their places; whatever the chunks.
    """

    total: float
    largest: float
    squares: float
    fingerprint: str


def copy(y: da.Array, disk: Disk, name: str | None, memory: int, counts: bool) -> Survey:
    """Copy an array of shape (channels, *sizes), some of its chunks at a time.

    Args:
        y: the data.
        disk: where to.
        name: of the array there, or ``None`` to look at the data only.
        memory: how many bytes may be held at a time.
        counts: whether they must not be negative.

    Raises:
        GeometryError: if values are negative, NaN or infinite; it says in which chunk.
    """
    total = squares = 0.0
    largest, mark = -np.inf, 0
    for region in _regions(y, memory):
        cells = np.ascontiguousarray(y[tuple(slice(start, stop) for start, stop in region)].compute())
        _check(cells, region, y.chunks, counts)
        total += float(cells.real.sum(dtype=np.float64))
        squares += _squares(cells)
        largest = max(largest, float(cells.real.max()))
        mark = (mark + _fingerprint(cells, region, y.shape)) % 2**64
        if name is not None:
            disk.write(name, region[1:], torch.from_numpy(cells)[None])
    return Survey(total, largest, squares, f"{mark:016x}")


def _squares(cells: npt.NDArray[Any]) -> float:
    """The sum of squares, in double precision, without a copy of all of it."""
    lines = cells.reshape(-1, cells.shape[-1])
    step = max(2**20 // max(lines.shape[1], 1), 1)
    wide = np.complex128 if np.iscomplexobj(cells) else np.float64
    parts = (lines[i : i + step].astype(wide) for i in range(0, len(lines), step))
    return sum(float(np.vdot(part, part).real) for part in parts)


def _regions(y: da.Array, memory: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Whole chunks, as many as make a cube of some size, or fewer where the memory is small."""
    side = _SIDE
    while True:
        # All channels, for they lie together on the disk.
        cuts = [[0, y.shape[0]], *(_merged(sizes, side) for sizes in y.chunks[1:])]
        held = 5 * y.dtype.itemsize * prod(max(b - a for a, b in pairwise(cut)) for cut in cuts)
        if held <= memory:
            break
        if side == 1:
            largest = (y.shape[0], *map(max, y.chunks[1:]))
            raise GeometryError.of(
                "memory={memory} is too little to copy a chunk of y, with all channels {largest}: that takes {held}; "
                "smaller chunks where y is made, or more memory, would do",
                memory=human(memory),
                largest=largest,
                held=human(held),
            )
        side //= 2
    yield from product(*(list(pairwise(cut)) for cut in cuts))


def _merged(sizes: Sequence[int], side: int) -> list[int]:
    """Bounds of chunks, of which the next ones are at least ``side`` apart."""
    cuts, bounds = [0], list(accumulate(sizes))
    for bound in bounds[:-1]:
        if bound - cuts[-1] >= side:
            cuts.append(bound)
    return [*cuts, bounds[-1]]


def _check(
    cells: npt.NDArray[Any], region: Sequence[tuple[int, int]], chunks: Sequence[tuple[int, ...]], counts: bool
) -> None:
    wrong, what = ~np.isfinite(cells), Sentence("values that are NaN or infinite: need finite ones")
    if counts and not wrong.any():
        wrong = cells < 0
        what = Sentence("negative values: need values of at least 0; subtract the offset, or y.clip(0)")
    if wrong.any():
        first = [int(at) + start for at, (start, _) in zip(np.argwhere(wrong)[0], region, strict=True)]
        chunk = tuple(chunk_slices(sizes, at, at + 1)[0].chunk for sizes, at in zip(chunks, first, strict=True))
        raise GeometryError.of(
            "y has {what} (in chunk {chunk}, the first of them at {first})", what=what, chunk=chunk, first=tuple(first)
        )


def _fingerprint(cells: npt.NDArray[Any], region: Sequence[tuple[int, int]], shape: Sequence[int]) -> int:
    """The sum over cells of their bits times numbers that belong to their places, modulo 2**64."""
    word = np.uint32 if cells.dtype.itemsize % 8 else np.uint64
    per_cell = cells.dtype.itemsize // np.dtype(word).itemsize
    rest: npt.NDArray[np.uint64] = cells.view(word).astype(np.uint64)
    for axis in reversed(range(cells.ndim)):
        words = per_cell if axis == cells.ndim - 1 else 1
        random = np.random.default_rng(axis).integers(0, 2**63, shape[axis] * words, dtype=np.uint64) * np.uint64(2)
        start, stop = region[axis]
        rest = rest @ (random[start * words : stop * words] + np.uint64(1))
    return int(rest)
