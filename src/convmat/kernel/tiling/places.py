"""Where the factors of products, their results and the cells of a box lie in memory: tables that a task points to."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from convmat.geometry.table import IntArray
from convmat.kernel.tiling.processor import AXES, TOGETHER
from convmat.kernel.tiling.rows import RowTiling


class Places(NamedTuple):
    """All that the tables depend on, besides the rows: boxes that are cut alike mostly have the same.

    Args:
        pitches: how far apart neighbours lie in the flattened window, along batch, depth, height and width; 0 along
            axes on which it has one cell.
        before: cells that the first window starts before the first input, along these axes.
        plane: how far apart the planes of a window lie.
        channel_pitch: how far apart its channels lie.
        planes: how many planes a channel has.
        copies: how many of these are copies of one phase.
        results: how far apart the results of the rows lie.
        box: cells of a box along these axes, where lanes are output channels; else empty.
    """

    pitches: tuple[int, ...]
    before: tuple[int, ...]
    plane: int
    channel_pitch: int
    planes: int
    copies: int
    results: int
    box: tuple[int, ...]

    def offsets(self, rows: RowTiling, channels: int) -> tuple[npt.NDArray[np.int32], IntArray]:
        """Where the factors of each product lie, seen from a cell of the window, and where these numbers begin.

        They are (channels, deltas) numbers, product by product; or where lines leave out deltas, (blocks of channels,
        deltas, channels of a block) numbers.
        """
        of_channels, of_deltas, begins = _factors(rows, channels)
        apart = (*self.pitches[1:AXES], self.plane if self.copies > 1 else self.pitches[AXES])
        cells, phases = rows.cells_of_deltas
        steps = (cells + self.before[1:]) @ np.array(apart) + phases * (self.copies * self.plane)
        offsets = of_channels * np.int32(self.channel_pitch)
        offsets += steps.astype(np.int32)[of_deltas]
        return offsets, begins

    def pairs(self, rows: RowTiling, channels: int) -> tuple[npt.NDArray[np.int32], tuple[int, int, int]]:
        """The inputs of two neighbouring rows of the only product, and how many the first, both and the second read.

        They are (inputs, 3) numbers: where the input lies, and its factor in the first row and in the second. In
        pictures with steps of one, both rows add their products in the same order.
        """
        offsets, _ = self.offsets(rows, channels)
        of_first = {offset: k for k, offset in sorted(enumerate(offsets.tolist()), key=itemgetter(1))}
        of_second = {offset + self.pitches[AXES - 1]: k for offset, k in of_first.items()}
        alone = [(offset, k, 0) for offset, k in of_first.items() if offset not in of_second]
        both = [(offset, k, of_second[offset]) for offset, k in of_first.items() if offset in of_second]
        second = [(offset, 0, k) for offset, k in of_second.items() if offset not in of_first]
        return np.array(alone + both + second, dtype=np.int32), (len(alone), len(both), len(second))

    def of_lines(self, rows: RowTiling) -> IntArray:
        """Where the results of each line and width phase lie, among those of a stripe."""
        return rows.tables.places @ np.array((self.results, *self.pitches[1:]))

    def of_cells(self) -> IntArray:
        """Where the cells of a box lie in the window, one after the other."""
        return np.stack(np.unravel_index(np.arange(prod(self.box)), self.box), axis=1) @ np.array(self.pitches)


@lru_cache(maxsize=64)
def _factors(rows: RowTiling, channels: int) -> tuple[npt.NDArray[np.int32], IntArray, IntArray]:
    """The factors of each product: their input channels, the numbers of their deltas, and where these begin."""
    counts = rows.tables.delta_counts
    ends = np.cumsum(counts)
    together = TOGETHER if rows.by_line else 1
    whole = channels // together * together
    blocks = np.arange(whole).reshape(-1, 1, together), np.arange(whole, channels).reshape(1, 1, -1)
    of_channels, of_deltas = [], []
    for count, end in zip(counts.tolist(), ends.tolist(), strict=True):
        for channels_of_block in blocks:
            channel, delta = np.broadcast_arrays(channels_of_block, np.arange(end - count, end).reshape(1, -1, 1))
            of_channels.append(channel.ravel())
            of_deltas.append(delta.ravel())
    channel_numbers = np.concatenate(of_channels).astype(np.int32)
    return channel_numbers, np.concatenate(of_deltas), np.concatenate([[0], ends * channels])
