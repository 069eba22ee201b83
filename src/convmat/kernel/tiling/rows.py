"""How the rows of the products are cut into tiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import accumulate, product
from math import prod

import numpy as np

from convmat.geometry.product import Geometry
from convmat.geometry.table import IntArray
from convmat.kernel.tiling import winograd
from convmat.kernel.tiling.phases import AxisPhases, PhaseClass, PhaseOut, PhasePart, axis_phases, phase_classes
from convmat.kernel.tiling.processor import AXES, RUN, Processor

_MOST_ROWS = 64  # of a stripe, whose results should stay in a cache
_MOST_CHANNELS = 16  # of a stripe
# The same in Winograd's form: the most channels; of the numbers of a window for each cell, how many rows of results
# have a place in the cache beside them.
_MOST_TRANSFORMED, _BESIDE_WINDOW = 64, 0.25
_STRIPES = 16  # there should be so many, to be divided among threads, unless each had fewer channels than above
# Cycles to read a vector of 32 bytes from the second-level cache, beyond those from the first.
_FROM_SECOND = 1.0


@dataclass(frozen=True, eq=False)
class RowTiling:
    """How the rows of the products are cut into tiles: what packed weights depend on.

    A *stripe* is the rows that make whole lines of the output: a few channels, one class of phases along depth and
    height, all along width. It holds matrix products for each class along width, one for each combination of parts, cut
    into tiles of rows. The first one of each class makes all rows; what the others make is added.

    Args:
        axes: the phases out along depth, height and width.
        merge: for each axis, whether its phases are one class.
        channels: output channels of a group.
        apart: how far apart the weights of these lie.
        together: how many of these a stripe takes.
        most: the most rows of a tile.
        transformed: along how many of the last axes the product has Winograd's form
            (:mod:`~convmat.kernel.tiling.winograd`). Default: 0
        by_channels: whether a tile is one of vectors of output channels (:mod:`~convmat.kernel.tiling.by_channels`).
            Default: ``False``
        by_line: whether such a tile ends where a line of cells does, and leaves out what that does not read inside of
            the input (:mod:`~convmat.kernel.tiling.padding`). Default: ``False``
    """

    axes: tuple[AxisPhases, ...]
    merge: tuple[bool, ...]
    channels: int
    apart: int
    together: int
    most: int
    transformed: int = 0
    by_channels: bool = False
    by_line: bool = False

    @cached_property
    def classes(self) -> tuple[tuple[PhaseClass, ...], ...]:
        """The classes of phases along each axis."""
        ways = zip(self.axes, self.merge, (False, False, True), strict=True)
        return tuple(phase_classes(axis, merge, is_width) for axis, merge, is_width in ways)

    @cached_property
    def parts(self) -> tuple[tuple[PhasePart, ...], ...]:
        """The parts of all classes along each axis."""
        return tuple(tuple(part for c in classes for part in c.parts) for classes in self.classes)

    @cached_property
    def deltas(self) -> tuple[tuple[int, ...], ...]:
        """All deltas along each axis."""
        return tuple(tuple(d for part in parts for d in part.deltas) or (0,) for parts in self.parts)

    @cached_property
    def reaches(self) -> tuple[tuple[int, int, int], ...]:
        """Lowest and highest delta along each axis, in cells, and how many cells a phase may start beyond its class."""
        starts = [max(start for c in classes for start in c.starts) for classes in self.classes]
        return tuple(
            (min(deltas) // axis.step_in, max(deltas) // axis.step_in, start)
            for deltas, axis, start in zip(self.deltas, self.axes, starts, strict=True)
        )

    @cached_property
    def phases_in(self) -> tuple[tuple[int, ...], ...]:
        """The phases of the input that have a place in a window: those that are read, in Winograd's form all planes."""
        return tuple(
            tuple(range(axis.step_in) if axis.products > 1 else sorted({d % axis.step_in for d in deltas}))
            for deltas, axis in zip(self.deltas, self.axes, strict=True)
        )

    @property
    def packed_together(self) -> int:
        """How many phases along the width are packed together: all, if none is missing, so that a line is read once."""
        step = self.axes[-1].step_in
        return step if len(self.phases_in[-1]) == step else 1

    @cached_property
    def cells_of_deltas(self) -> tuple[IntArray, IntArray]:
        """For each delta of all products, the cell that it reads, along the axes, and which of all phases in of it."""
        cells, phases = np.divmod(self.tables.deltas, [axis.step_in for axis in self.axes])
        number = np.zeros(len(phases), dtype=np.int64)
        for a, read in enumerate(self.phases_in):
            number = number * len(read) + np.searchsorted(read, phases[:, a])
        return cells, number

    @property
    def places_of_line(self) -> int:
        """How many rows of results make a line."""
        return self.axes[1].products * len(self.axes[2].phases)

    @property
    def has_lines(self) -> bool:
        """Whether each row of results is a line of the output, so that it may be stored there at once."""
        return not (self.transformed or self.by_channels or any(axis.step_out > 1 for axis in self.axes))

    def is_single(self, channels: int) -> bool:
        """Whether each row is one product of few factors, and a line of the output: those of a depthwise convolution.

        Args:
            channels: input channels of a group.
        """
        if not self.has_lines or [rows for rows, _ in self.tables.kinds] != [1]:
            return False
        return channels * len(self.tables.deltas) <= RUN

    @cached_property
    def tables(self) -> RowTables:
        """The tiles, lines and taps of one group, as arrays."""
        return _row_tables(self)


@dataclass(frozen=True, eq=False)
class RowTables:
    """The rows of one group, stripe by stripe.

    Args:
        stripes: (first tile, first line) of each stripe, and of the one after the last.
        tiles: (rows, deltas, number of its product, first row in the stripe, first of ``taps``, step from row to row,
            whether it is added to what is there) of each tile.
        lines: (channel, depth phase, height phase) of each line of the output.
        places: (row in the stripe, depth start, height start, width start) of each line and width phase, in Winograd's
            form of each product of a line.
        taps: for each tile, delta and row: the place of the tap among the weights of one input channel.
        products: the number of the part along each axis, of each product.
        deltas: the deltas along each axis, of each product one after the other.
        delta_counts: how many of these a product has.
        most_rows: rows of the longest stripe.
        kinds: how many tiles there are of so many rows and deltas.
    """

    stripes: IntArray
    tiles: IntArray
    lines: IntArray
    places: IntArray
    taps: IntArray
    products: IntArray
    deltas: IntArray
    delta_counts: IntArray
    most_rows: int
    kinds: dict[tuple[int, int], int]

    @cached_property
    def all_rows(self) -> int:
        """Rows of all stripes."""
        return sum(count * rows for (rows, _), count in self.kinds.items())


def row_tilings(geometry: Geometry, processor: Processor, transforms: bool = True) -> Iterator[RowTiling]:
    """Cut the rows of a convolution, as it is and in each of Winograd's forms.

    A tiling depends on channels, kernel, stride, dilation and padding, not on the sizes (where there is more than one
    input).

    Args:
        geometry: the convolution.
        processor: what it runs on.
        transforms: whether Winograd's forms are wanted. Default: ``True``
    """
    for transformed in (0, *(winograd.forms(geometry, processor.lanes) if transforms else ())):
        yield _tiling_of(geometry, processor, transformed)


def row_tiling_by_channels(geometry: Geometry, together: int, by_line: bool = False) -> RowTiling:
    """Cut the rows into stripes, and into tiles, of ``together`` output channels; tiles may end where lines do."""
    axes, apart = _axes_of(geometry, 0)
    return _row_tiling_by_channels(axes, geometry.out_channels // geometry.groups, apart, together, by_line)


@lru_cache(maxsize=256)
def _row_tiling_by_channels(
    axes: tuple[AxisPhases, ...], channels: int, apart: int, together: int, by_line: bool
) -> RowTiling:
    merge = (False,) * AXES
    return RowTiling(axes, merge, channels, apart, together, most=together, by_channels=True, by_line=by_line)


def _tiling_of(geometry: Geometry, processor: Processor, transformed: int) -> RowTiling:
    axes, apart = _axes_of(geometry, transformed)
    channels = geometry.in_channels // geometry.groups, geometry.out_channels // geometry.groups
    return _row_tiling(axes, channels, apart, processor, transformed)


def _axes_of(geometry: Geometry, transformed: int) -> tuple[tuple[AxisPhases, ...], int]:
    """The phases along all axes, and how far apart the weights of output channels lie."""
    plain = geometry.axes[: geometry.ndim - transformed]
    axes = (_POINT,) * (AXES - geometry.ndim) + tuple(axis_phases(axis, geometry.transposed) for axis in plain)
    if transformed:
        axes += winograd.transformed_phases(geometry, transformed)
    taps = prod(axis.kernel for axis in axes)
    by_input = geometry.transposed or transformed
    apart = taps if by_input else taps * geometry.in_channels // geometry.groups
    return axes, apart


_POINT = AxisPhases(1, 1, 1, (PhaseOut(0, (0,), (0,)),))


@lru_cache(maxsize=256)
def _row_tiling(
    axes: tuple[AxisPhases, ...], channels: tuple[int, int], apart: int, processor: Processor, transformed: int
) -> RowTiling:
    """Of some ways, the one that should take the fewest cycles; channels are those of the input and of the output."""
    of_input, of_output = channels
    most, together = len(processor.widest), _MOST_CHANNELS
    if transformed:
        together = max(min(of_output // _STRIPES, _MOST_TRANSFORMED), together)
    can_merge = not transformed and any(len(axis.phases) > 1 for axis in axes)
    merges = [tuple(a >= AXES - merged for a in range(AXES)) for merged in range(AXES + 1 if can_merge else 1)]
    ways = [
        RowTiling(axes, merge, of_output, apart, count, most, transformed)
        for merge, count in product(merges, range(min(of_output, together), 0, -1))
    ]
    return min(ways, key=lambda way: _cost(way, processor, of_input))


def _cost(tiling: RowTiling, processor: Processor, in_channels: int) -> float:
    """Cycles for a cell and input channel, about."""
    stripes, rest = divmod(tiling.channels, tiling.together)
    cost, longest = 0.0, 0
    kinds = [Counter(map(_outline, classes)) for classes in tiling.classes]
    for channels, count in ((tiling.together, stripes), (rest, 1)):
        if not channels:
            continue
        for outer in product(*(kind.items() for kind in kinds[:2])):
            rows_of_stripe = 0
            for inner in kinds[2].items():
                axes = (*outer, inner)
                rows_of_stripe += channels * prod(members for ((members, _), _) in axes) * inner[1]
                cycles = _class_cycles(channels, [parts for ((_, parts), _) in axes], tiling, processor)
                cost += count * prod(number for _, number in axes) * cycles
            longest = max(longest, rows_of_stripe)
    merged = sum(tiling.merge)  # cells more along each such axis
    most_rows = _MOST_ROWS
    if tiling.transformed:
        most_rows = max(int(_BESIDE_WINDOW * in_channels * prod(axis.step_in for axis in tiling.axes)), most_rows)
    return cost * (1 + 0.02 * merged) * (1 + max(0, longest - most_rows) / 512)


def _outline(phase_class: PhaseClass) -> tuple[int, tuple[tuple[int, int], ...]]:
    """What the cost of a class depends on: how many members it has, and how many members and deltas its parts have."""
    return len(phase_class.members), tuple((len(part.members), len(part.deltas)) for part in phase_class.parts)


def _class_cycles(
    channels: int, axes: list[tuple[tuple[int, int], ...]], tiling: RowTiling, processor: Processor
) -> float:
    # In Winograd's form, the first tile of a product finds its plane of the window in the second-level cache.
    first = _FROM_SECOND * processor.lanes * processor.itemsize / 32 if tiling.transformed else 0.0
    cycles = 0.0
    for parts in product(*axes):
        rows = channels * prod(members for members, _ in parts)
        for start, stop in _evenly(rows, tiling.most):
            widest = processor.widest[stop - start - 1]
            cycles += prod(d for _, d in parts) * processor.factor_cycles(stop - start, widest) / widest
        cycles += first
    return cycles


def _evenly(count: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut a range into as few parts as may be, of about the same length."""
    parts = -(-count // most)
    for part in range(parts):
        yield count * part // parts, count * (part + 1) // parts


# -- the tables --------------------------------------------------------------------------------------------------------


@dataclass
class _Builder:
    """Collects the rows of one stripe after the other."""

    tiling: RowTiling
    parts_before: tuple[tuple[int, ...], ...]  # the class, along each axis
    products: dict[tuple[int, ...], int] = field(default_factory=dict)
    stripes: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    tiles: list[tuple[int, ...]] = field(default_factory=list)
    lines: list[tuple[int, int, int]] = field(default_factory=list)
    places: list[IntArray] = field(default_factory=list)
    taps: list[IntArray] = field(default_factory=list)
    taps_so_far: int = 0
    most_rows: int = 0

    def add_stripe(self, channels: range, depth: int, height: int) -> None:
        """All phases along width of some channels and of one class along depth and height."""
        c1, c2 = self.tiling.classes[0][depth], self.tiling.classes[1][height]
        outer = list(product(channels, range(len(c1.members)), range(len(c2.members))))
        places = np.empty((len(outer), len(self.tiling.axes[2].phases), 4), dtype=np.int64)
        places[:, :, 1] = np.array([c1.starts[a] for _, a, _ in outer])[:, None]
        places[:, :, 2] = np.array([c2.starts[b] for _, _, b in outer])[:, None]
        row = 0
        for c3, before in zip(self.tiling.classes[2], self.parts_before[2], strict=True):
            sizes = (len(c1.members), len(c2.members), len(channels), len(c3.members))
            rows = row + np.arange(prod(sizes)).reshape(sizes).transpose(2, 0, 1, 3)
            classes, firsts = (c1, c2, c3), (self.parts_before[0][depth], self.parts_before[1][height], before)
            for numbers in product(*(range(len(c.parts)) for c in classes)):
                parts = tuple(c.parts[number] for c, number in zip(classes, numbers, strict=True))
                of_product = tuple(first + number for first, number in zip(firsts, numbers, strict=True))
                self._add_tiles(of_product, channels, parts, rows)
            places[:, c3.members, 0] = rows.reshape(len(outer), -1)
            places[:, c3.members, 3] = c3.starts
            row += rows.size
        self.places.append(places.reshape(-1, 4))
        # The rows of all products of a phase are one line.
        of_line = self.tiling.axes[1].products
        self.lines += [(channel, c1.members[a], c2.members[b] // of_line) for channel, a, b in outer[::of_line]]
        self.stripes.append((len(self.tiles), len(self.lines)))
        self.most_rows = max(self.most_rows, row)

    def _add_tiles(
        self, numbers: tuple[int, ...], channels: range, parts: tuple[PhasePart, ...], rows: IntArray
    ) -> None:
        taps, added = _tap_places(self.tiling, channels, parts), any(part.added for part in parts)
        if added and not taps.shape[1]:
            return
        product_number = self.products.setdefault(numbers, len(self.products))
        of_rows = rows[np.ix_(range(len(channels)), *(part.members for part in parts))].reshape(-1)
        order = np.argsort(of_rows)
        of_rows, taps = of_rows[order], taps[order]
        for start, stop, step in _progressions(of_rows.tolist(), self.tiling.most):
            count, deltas = stop - start, taps.shape[1]
            self.tiles.append((count, deltas, product_number, int(of_rows[start]), self.taps_so_far, step, int(added)))
            self.taps.append(taps[start:stop].T.reshape(-1))
            self.taps_so_far += count * deltas

    def tables(self) -> RowTables:
        """All of it."""
        stripes, tiles, lines, products = (
            np.array(rows, dtype=np.int64) for rows in (self.stripes, self.tiles, self.lines, list(self.products))
        )
        kinds = Counter((rows, deltas) for rows, deltas, *_ in self.tiles)
        places, taps = np.concatenate(self.places), np.concatenate(self.taps)
        deltas = [self._deltas(numbers) for numbers in self.products]
        counts = np.array([len(of_product) for of_product in deltas], dtype=np.int64)
        together = np.concatenate(deltas)
        return RowTables(stripes, tiles, lines, places, taps, products, together, counts, self.most_rows, dict(kinds))

    def _deltas(self, numbers: tuple[int, ...]) -> IntArray:
        """The deltas of a product, of shape (deltas, axes)."""
        along = [self.tiling.parts[a][number].deltas for a, number in enumerate(numbers)]
        return np.array(list(product(*along)), dtype=np.int64).reshape(-1, AXES)


def _row_tables(tiling: RowTiling) -> RowTables:
    counts = ([len(c.parts) for c in classes] for classes in tiling.classes)
    builder = _Builder(tiling, tuple(tuple(accumulate(count, initial=0))[:-1] for count in counts))
    for first in range(0, tiling.channels, tiling.together):
        channels = range(first, min(first + tiling.together, tiling.channels))
        for depth, height in product(*map(range, map(len, tiling.classes[:2]))):
            builder.add_stripe(channels, depth, height)
    return builder.tables()


def _progressions(rows: Sequence[int], most: int) -> Iterator[tuple[int, int, int]]:
    """Cut rows into tiles of at most so many, evenly spaced: (start, stop, step from row to row)."""
    start = 0
    while start < len(rows):
        step = rows[start + 1] - rows[start] if start + 1 < len(rows) else 1
        stop = start + 1
        while stop < len(rows) and rows[stop] - rows[stop - 1] == step:
            stop += 1
        for first, last in _evenly(stop - start, most):
            yield start + first, start + last, step
        start = stop


def _tap_places(tiling: RowTiling, channels: range, parts: Sequence[PhasePart]) -> IntArray:
    """Of shape (rows, deltas): where the tap of each lies among the weights of one input channel."""
    place = np.zeros((1,) * (1 + 2 * AXES), dtype=np.int64)  # channels, members, deltas
    for a, (part, axis) in enumerate(zip(parts, tiling.axes, strict=True)):
        shape = [1] * place.ndim
        shape[1 + a], shape[1 + AXES + a] = len(part.members), len(part.deltas)
        place = place * axis.kernel + np.array(part.taps, dtype=np.int64).reshape(shape)
    first = np.arange(channels.start, channels.stop, dtype=np.int64) * tiling.apart
    place = place + first.reshape(-1, *(1,) * 2 * AXES)
    return place.reshape(prod(place.shape[: 1 + AXES]), prod(place.shape[1 + AXES :]))
