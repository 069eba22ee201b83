"""The nonzero entries of an axis' matrix: how many there are, and which."""

from __future__ import annotations

from functools import cached_property
from math import gcd

import numpy as np

from convmat.geometry.table import IntArray, TapTable

_MOST_LISTED = 2**16  # entries that are listed to count them exactly


class TableEntries(TapTable):
    """The table as a matrix, with a row for each output and a column for each input."""

    # -- how many there are --------------------------------------------------------------------------------------------

    def most_entries(self) -> int:
        """An upper bound on the nonzero entries of this axis' matrix, exact unless padding is very wide."""
        if self.padding_mode == "zeros":
            return sum(max(stop - start, 0) for start, stop in map(self.readers, range(self.kernel)))
        # Windows that lie inside read as many inputs as they have taps.
        first = min(-(-self.lo // self.stride), self.outputs)
        end = min(max((self.lo + self.inputs - self.extent) // self.stride + 1, first), self.outputs)
        of_borders = self._distinct_sources(first, end)
        if of_borders is None:
            return self.outputs * min(self.kernel, self.inputs)
        return (end - first) * self.kernel + len(of_borders)

    def most_in_row(self, transposed: bool = False) -> int:
        """An upper bound on the nonzero entries in a row, exact where cells are many unless padding is very wide."""
        if not transposed:
            return min(self.kernel, self.inputs)
        # The taps that one copy of a cell is fed through lie this far apart.
        apart = self.stride // gcd(self.stride, self.dilation)
        of_one_copy = min(-(-self.kernel // apart), self.outputs)
        if self.padding_mode == "zeros":
            return of_one_copy
        # Only cells near the ends have several copies.
        near = max(self.lo, self.hi)
        first = min((self.lo + near) // self.stride + 1, self.outputs)
        end = min(max(-(-(self.lo + self.inputs - near - self.extent) // self.stride), first), self.outputs)
        of_borders = self._distinct_sources(first, end)
        if of_borders is None:
            return min(-(-self.kernel // apart) * self._copies_at_most(), self.outputs)
        counts = np.unique(of_borders, return_counts=True)[1]
        return max(of_one_copy, int(counts.max(initial=0)))

    def _distinct_sources(self, first: int, end: int) -> IntArray | None:
        """The inputs that each output but those from ``first`` to ``end`` reads, once each; ``None`` if too many."""
        count = first + self.outputs - end
        if count * self.kernel > _MOST_LISTED:
            return None
        outputs = np.concatenate([np.arange(first), np.arange(end, self.outputs)])
        sources = np.sort(self.source_of(outputs[:, None], np.arange(self.kernel)[None, :]), axis=1)
        is_first = np.ones(sources.shape, dtype=bool)
        is_first[:, 1:] = np.diff(sources, axis=1) != 0
        return np.asarray(sources[is_first], dtype=np.int64)

    def _copies_at_most(self) -> int:
        """An upper bound on the padded cells that are copies of one input."""
        if self.padding_mode == "circular":
            return -(-self.padded // self.inputs)
        if self.padding_mode == "replicate":
            return max(self.lo, self.hi) + 1 if self.inputs > 1 else self.padded
        return 2 if self.lo + self.hi < self.inputs - 1 else 3

    # -- which there are -----------------------------------------------------------------------------------------------

    def _pairs(self) -> tuple[IntArray, IntArray, IntArray]:
        """All (output, input, tap) triples of the table, sorted by output, then input."""
        sources = self.source()
        outputs, taps = np.nonzero(sources >= 0)
        inputs = sources[outputs, taps]
        if self.padding_mode != "zeros":  # with zeros, the sources of an output ascend already
            order = np.lexsort((taps, inputs, outputs))
            outputs, inputs, taps = outputs[order], inputs[order], taps[order]
        return outputs, inputs, taps

    @cached_property
    def _entries(self) -> tuple[IntArray, IntArray, IntArray, tuple[tuple[int, ...], ...]]:
        """The entries (output, input) with the number of the tap set that meets there, and these sets."""
        outputs, inputs, taps = self._pairs()
        if self.padding_mode == "zeros":
            return outputs, inputs, taps, tuple((t,) for t in range(self.kernel))
        first = np.ones(len(taps), dtype=bool)
        first[1:] = (np.diff(outputs) != 0) | (np.diff(inputs) != 0)
        starts = np.flatnonzero(first)
        members = _ragged_rows(taps, np.diff(np.append(starts, len(taps))))
        sets, numbers = np.unique(members, axis=0, return_inverse=True)
        tap_sets = tuple(tuple(t for t in row if t >= 0) for row in sets.tolist())
        return outputs[starts], inputs[starts], numbers.reshape(-1).astype(np.int64), tap_sets

    def tap_sets(self) -> tuple[tuple[int, ...], ...]:
        """The sets of taps that meet in an entry of the matrix: with zero padding, each tap by itself.

        >>> from convmat import Axis
        >>> Axis.conv(3, kernel=3, padding=1, padding_mode="replicate").tap_sets()
        ((0,), (0, 1), (1,), (1, 2), (2,))
        """
        return self._entries[3]

    def entries(self, transposed: bool = False) -> tuple[IntArray, IntArray]:
        """The nonzero entries of the axis' matrix, row by row: two arrays of shape (rows, most entries in a row).

        The first holds the columns, ascending, the second the number of the tap set there; both end in -1 where a row
        has fewer entries. Rows are outputs and columns inputs; ``transposed`` exchanges them.
        """
        rows, columns, sets = self._entries[:3]
        if transposed:
            order = np.argsort(columns, kind="stable")
            rows, columns, sets = columns[order], rows[order], sets[order]
        counts = np.bincount(rows, minlength=self.inputs if transposed else self.outputs)
        return _ragged_rows(columns, counts), _ragged_rows(sets, counts)


def _ragged_rows(values: IntArray, counts: IntArray) -> IntArray:
    """Lay consecutive runs of ``counts`` values out as the rows of an array, filled up with -1."""
    rows = np.full((len(counts), int(counts.max(initial=0))), -1, dtype=np.int64)
    rows[np.arange(rows.shape[1]) < np.asarray(counts)[:, None]] = values
    return rows
