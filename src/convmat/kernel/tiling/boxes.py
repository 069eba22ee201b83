"""How the cells of the products are cut into boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import lcm, prod
from typing import Any, NamedTuple

from convmat.geometry.product import Geometry
from convmat.kernel.tiling.places import Places
from convmat.kernel.tiling.processor import AXES, Processor
from convmat.kernel.tiling.rows import RowTiling
from convmat.kernel.tiling.runs import best_run, lines_at_once, most_numbers, pitch_of_results
from convmat.kernel.tiling.windows import Problem, Way, Window, odd_lines, packing_cycles, reading_again, window_of

_UNITS = 8  # units of work per thread where threads share a box: small enough that no thread waits long for another
# Cycles to write a line of the output, and per number of it.
_LINE = 25.0
_WEAVE = 0.4
# Cycles to pack a number of a window that is transposed, in long vectors and in shorter ones.
_COPY_TRANSPOSED, _COPY_SHORTER = 0.7, 2.8
# With vectors of 16 numbers, cycles to write a number that is transposed; and one of the results in Winograd's form,
# where over two axes with strides these lie in rows far apart.
_VECTOR = 16
_WEAVE_TRANSPOSED, _WEAVE_TRANSFORMED, _WEAVE_PHASES = 3.0, 0.3, 0.6
# Of the estimated cycles, in its form over two axes, with the longest vectors: many short tiles take less time than the
# estimate says.
_BOTH = 0.92
# Likewise in all its forms, where a tile is one vector wide.
_NARROW = 0.85
# Likewise of Cᵀ with two taps along one axis, with shorter vectors, where the sums of all stripes are kept.
_TWO_TAPS_KEPT = 0.87
# With shorter vectors, in its form along one axis, boxes whose windows are so many times as large as fits the cache are
# tried, too.
_LARGER = 2
_FEW = (1, 2, 4, 8)  # cells of a box along its outermost axis, where it is cut along the others, too
_WAIT = 0.02  # of a unit of work: the time that the other threads wait for the last one, on average
_FARTHEST = 8 << 20  # bytes of a window: more leave the third-level cache, which threads share
# Cycles of overhead for each box, or part of a box; and for one whose lines are products by themselves.
_BOX, _BOX_AT_ONCE = 1000.0, 100.0


class BoxTiling(NamedTuple):
    """How the cells of the products are cut into boxes, for one size of the input.

    Along batch, depth, height and width:

    Args:
        cells: cells there are.
        box: cells of a box; the last ones may have fewer.
        reach: cells computed beyond these, because the phases of a class start apart.
        window: cells of the input that a box reads.
        before: cells that the first window starts before the first input.
        pitches: how far apart neighbours lie in the flattened window.

    And for all together:

    Args:
        used: cells of a flattened window.
        plane: how far apart the planes of a window lie; each holds one phase of a channel, or one copy of it.
        channel_pitch: how far apart the channels of a window lie.
        phases_in: the phases of the input that are read, along depth, height and width.
        copies: copies of a phase, each a cell of width further, for windows without cells beyond the box in a line.
        batch_inner: whether the images of a batch are neighbours in the window, and not cells along the width.
        blocks: into how many blocks of ``RUN`` channels a window that fits no cache is divided; the sums of all stripes
            of a part are kept meanwhile.
        looped: how many outer axes are gone through one by one; the cells along the others are one run.
        results: how far apart the results of the rows lie.
        undivided: how many boxes of a group, or of several, are one thread's work.
        parts: into how many parts the stripes of each other box are cut, to keep all threads busy.
        at_once: whether lines are stored once they are finished, tile by tile, and no results are kept.
        cycles: about how many cycles it takes, of each thread.
        sums_pitch: how far apart neighbours lie among the sums of a row. Default: as in the window
    """

    cells: tuple[int, ...]
    box: tuple[int, ...]
    reach: tuple[int, ...]
    window: tuple[int, ...]
    before: tuple[int, ...]
    pitches: tuple[int, ...]
    used: int
    plane: int
    channel_pitch: int
    phases_in: tuple[tuple[int, ...], ...]
    copies: int
    batch_inner: bool
    blocks: int
    looped: int
    results: int
    undivided: int
    parts: int
    at_once: bool
    cycles: float
    sums_pitch: tuple[int, ...] = ()

    @property
    def boxes(self) -> tuple[int, ...]:
        """How many boxes there are along each axis."""
        return tuple(-(-cells // box) for cells, box in zip(self.cells, self.box, strict=True))

    @property
    def planes(self) -> int:
        """How many planes of a window a channel has: phase by phase, copy by copy."""
        return self.copies * prod(map(len, self.phases_in))

    def sums_of_stripe(self, rows: RowTiling) -> int:
        """How many numbers the sums of a stripe are."""
        if rows.by_channels:
            return self.box[0] * self.sums_pitch[0]
        if self.at_once:  # one tile after the other
            return self.results * max(count for count, _ in rows.tables.kinds)
        return self.results * rows.tables.most_rows

    @property
    def places(self) -> Places:
        """Where its numbers lie in memory."""
        steps = tuple(pitch if cells > 1 else 0 for pitch, cells in zip(self.pitches, self.window, strict=True))
        box = self.box if self.sums_pitch else ()
        return Places(steps, self.before, self.plane, self.channel_pitch, self.planes, self.copies, self.results, box)


def box_tiling(
    rows: RowTiling, geometry: Geometry, batch: int, processor: Processor, contiguous: bool = True
) -> BoxTiling:
    """Cut the cells of a convolution into boxes: of some ways, the one that should take the fewest cycles.

    Args:
        rows: how its rows are cut.
        geometry: the convolution.
        batch: number of inputs.
        processor: what it runs on.
        contiguous: whether inputs and outputs are. Default: ``True``
    """
    problem = problem_of(rows, geometry, batch, processor, at_once=False)
    ways = [(problem, Way(False, False))]
    # Where phases start apart, a line also reads results of cells beyond the box.
    if not (problem.starts[AXES] or rows.transformed):
        if problem.highs[AXES] > problem.lows[AXES]:
            ways.append((problem, Way(False, True)))
        if batch > 1 and rows.axes[-1].step_in == 1:
            ways.append((problem, Way(True, False)))
    if contiguous and rows.has_lines:
        at_once = problem._replace(at_once=True), Way(False, False)
        ways = [at_once] if rows.is_single(problem.channels) else [*ways, at_once]
    return min((tiling for way in ways for tiling in _boxes(*way)), key=lambda tiling: tiling.cycles)


def recut(like: BoxTiling, rows: RowTiling, geometry: Geometry, batch: int, processor: Processor) -> BoxTiling:
    """Cut a convolution as another one was cut, whose sizes are nearly equal and no smaller: into as many boxes.

    Planes and results lie as far apart as there, so that tables of places need not be made again.
    """
    problem, way = problem_of(rows, geometry, batch, processor, like.at_once), Way(like.batch_inner, like.copies > 1)
    box = _box_like(problem, like, way.order[-1])
    window, boxes = window_of(problem, box, way), count_boxes(problem, box)
    results = max(pitch_of_results(problem, box, way, window, like.looped), like.results)
    _, divided, parts = _share(problem, boxes, like.blocks, results)
    return tiling_with(
        problem,
        box,
        window,
        like.plane,
        batch_inner=way.inner,
        blocks=like.blocks,
        looped=like.looped,
        results=results,
        undivided=boxes - divided,
        parts=parts,
        at_once=like.at_once,
        cycles=like.cycles * prod(problem.cells) / prod(like.cells),
    )


def _box_like(problem: Problem, like: BoxTiling, last: int) -> tuple[int, ...]:
    """The cells of a box where there are as many boxes as in another tiling; ``last`` is the axis of neighbours."""
    box = [-(-cells // boxes) for cells, boxes in zip(problem.cells, like.boxes, strict=True)]
    if box[last] < problem.cells[last]:
        together = problem.rows.axes[-1].together
        whole = -(-box[last] // problem.processor.lanes) * problem.processor.lanes
        box[last] = min(-(-whole // together) * together, like.box[last], problem.cells[last])
    return tuple(box)


def problem_of(rows: RowTiling, geometry: Geometry, batch: int, processor: Processor, at_once: bool) -> Problem:
    """What is to be cut into boxes; ``at_once`` says whether products are stored at once."""
    ones = (1,) * (AXES - geometry.ndim)
    cells = (batch, *(axis.cells(m) for m, axis in zip(ones + geometry.written, rows.axes, strict=True)))
    inputs = (batch, *(-(-m // a.step_in) for m, a in zip(ones + geometry.read, rows.axes, strict=True)))
    lows, highs, starts = zip((0, 0, 0), *rows.reaches, strict=True)
    channels = geometry.in_channels // geometry.groups
    widths = tuple(high - low + start for low, high, start in zip(lows, highs, starts, strict=True))
    sizes = (cells, inputs, lows, highs, starts, widths)
    return Problem(rows, processor, channels, geometry.groups, *sizes, rows.phases_in, at_once, {})


def _boxes(problem: Problem, way: Way) -> Iterator[BoxTiling]:
    """Boxes whose window fits the cache, as large as can be or of an even number."""
    most = most_numbers(problem)
    # A larger window is read from a slower cache, which may still beat many small boxes; but not in Winograd's form
    # along two axes, whose windows and sums are at least four and twice as large.
    if most < window_of(problem, problem.cells, way).numbers <= _most_far(problem) and problem.rows.transformed < 2:
        yield _tiling(problem, problem.cells, way)
    if problem.rows.transformed == 1 and prod(problem.cells[1:AXES]) == 1 and not problem.processor.is_long:
        yield from _cut_along(problem, way, _LARGER * most, way.order, problem.cells)
    yield from _cut_along(problem, way, most, way.order, problem.cells)


def _most_far(problem: Problem) -> int:
    """The most numbers of a channel in a window that lies in a slower cache."""
    return _FARTHEST // (problem.channels * problem.processor.itemsize)


def _cut_along(
    problem: Problem, way: Way, most: int, axes: tuple[int, ...], box: tuple[int, ...]
) -> Iterator[BoxTiling]:
    """Cut boxes along the first of some axes; where the window of one cell is still too large, along the next as well.

    Args:
        problem: what is to be cut.
        way: how windows are laid out.
        most: the most numbers of a channel in a window.
        axes: along which boxes may be cut, from the outermost.
        box: the cells along all axes, where it is not cut.
    """
    (a, *inner), processor, is_last = axes, problem.processor, len(axes) == 1
    cells, before, after = problem.cells[a], box[:a], box[a + 1 :]
    if cells == 1 and not is_last:
        yield from _cut_along(problem, way, most, tuple(inner), box)
        return
    largest = _largest(problem, (before, after), way, most)
    fewest = -(-cells // largest)
    even = -(-fewest // processor.threads) * processor.threads
    counts = {fewest, fewest + 1, even, max(even, 2 * processor.threads)}
    sizes = {-(-cells // min(count, cells)) for count in counts}
    if is_last:
        together = problem.rows.axes[-1].together  # cells that no box separates
        sizes = {_whole_vectors(size, largest, cells, processor) if size < cells else size for size in sizes}
        sizes = {-(-size // together) * together for size in sizes}
        sizes.add(min(lcm(together, processor.lanes), cells))  # the fewest that fill their vectors
    for size in sorted(sizes, reverse=True):
        if is_last or _fits(problem, (*before, size, *after), way, most):
            yield _tiling(problem, (*before, size, *after), way)
    fits = is_last or _fits(problem, (*before, largest, *after), way, most)
    if is_last or (fits and largest > problem.widths[a]):
        return
    # Of several cells along an axis, each input is read into fewer windows.
    for few in _FEW if problem.widths[a] else (1,):
        wider = (*before, few, *after)
        if few <= cells and (few > largest or not fits) and (few == 1 or _fits_thin(problem, wider, way, most, inner)):
            yield from _cut_along(problem, way, most, tuple(inner), wider)


def _fits_thin(problem: Problem, box: tuple[int, ...], way: Way, most: int, inner: Sequence[int]) -> bool:
    """Whether the window of a box fits where it has one cell along the inner axes, and a vector along the last."""
    thin = list(box)
    for a in inner:
        thin[a] = min(problem.cells[a], problem.processor.lanes if a == inner[-1] else 1)
    return _fits(problem, tuple(thin), way, most)


def _fits(problem: Problem, box: tuple[int, ...], way: Way, most: int) -> bool:
    return window_of(problem, box, way).numbers <= most


def _whole_vectors(size: int, largest: int, cells: int, processor: Processor) -> int:
    """A box size near the wanted one that is a multiple of the vector's lanes."""
    rounded = -(-size // processor.lanes) * processor.lanes
    if rounded > largest:
        tile = processor.lanes * processor.widest[-1]
        rounded = max(largest // tile * tile, min(tile, rounded))
    return min(rounded, cells)


def _largest(problem: Problem, around: tuple[tuple[int, ...], tuple[int, ...]], way: Way, most: int) -> int:
    """The most cells of a box along an axis, at least one; ``around`` are those along the axes before and after."""
    before, after = around
    cells = problem.cells[len(before)]

    def numbers(count: int) -> int:
        return window_of(problem, (*before, count, *after), way).numbers

    if cells < 3 or numbers(cells) <= most:
        return next((count for count in range(cells, 1, -1) if numbers(count) <= most), 1)
    one = numbers(1)
    each = max(numbers(2) - one, 1)  # further cell adds the same number
    return min(max((most - one) // each + 1, 1), cells - 1)


def _tiling(problem: Problem, box: tuple[int, ...], way: Way) -> BoxTiling:
    window, processor = window_of(problem, box, way), problem.processor
    run = lines_at_once(problem, box, window) if problem.at_once else best_run(problem, box, way, window)
    results = pitch_of_results(problem, box, way, window, run.looped)
    boxes = count_boxes(problem, box)
    each, divided, parts = _share(problem, boxes, run.blocks, results)
    numbers = problem.channels * window.numbers
    shorter = _VECTOR / processor.lanes
    if way.inner:
        packing = numbers * (_COPY_TRANSPOSED if processor.is_long else _COPY_SHORTER)
    else:
        packing = problem.channels * packing_cycles(problem, window)
    outputs = prod(box) * problem.rows.tables.all_rows
    lines = outputs / (box[AXES] * problem.rows.places_of_line)
    weave = _WEAVE_TRANSFORMED * shorter if problem.rows.transformed else _WEAVE
    if problem.rows.transformed == 2 and problem.rows.axes[-1].products < len(problem.rows.axes[-1].phases):
        weave = _WEAVE_PHASES * shorter
    is_single = problem.at_once and problem.rows.is_single(problem.channels)
    cycles, overhead = run.cycles, _BOX_AT_ONCE if is_single else _BOX
    if not problem.at_once:
        cycles += outputs * _WEAVE_TRANSPOSED * shorter if way.inner else outputs * weave + lines * _LINE
    if problem.rows.transformed == 2 and processor.is_long:
        cycles *= _BOTH
    if not is_single:
        cycles *= reading_again(problem.rows)
    if problem.rows.transformed and run.cells <= processor.lanes:
        cycles *= _NARROW
    cycles += processor.weight_cycles(problem.channels * len(problem.rows.tables.taps))
    if run.blocks > 1:
        cycles += parts * numbers * processor.itemsize / processor.far
        width = problem.rows.axes[-1]
        if not processor.is_long and problem.rows.transformed == 1 and width.products == 3 and width.stride == 1:
            cycles *= _TWO_TAPS_KEPT
    rounds = -(-divided * parts // processor.threads)  # in which all threads share a box; each packs its own window
    last = (cycles + packing) / (parts if divided else 1)  # the last unit, which the other threads may have to wait for
    boxes_of_thread = each * (overhead + cycles + packing) + rounds * (overhead + cycles / parts) + divided * packing
    return tiling_with(
        problem,
        box,
        window,
        batch_inner=way.inner,
        blocks=run.blocks,
        looped=run.looped,
        results=results,
        undivided=boxes - divided,
        parts=parts,
        at_once=problem.at_once,
        cycles=boxes_of_thread + _WAIT * last,
    )


def count_boxes(problem: Problem, box: tuple[int, ...]) -> int:
    """How many boxes there are in all groups."""
    return problem.groups * prod(-(-cells // size) for cells, size in zip(problem.cells, box, strict=True))


def tiling_with(problem: Problem, box: tuple[int, ...], window: Window, least_plane: int = 0, **rest: Any) -> BoxTiling:
    """The tiling of a box whose window is laid out so; ``rest`` is how it is computed."""
    lanes = problem.processor.lanes
    # Rows are copied, and cells computed, by whole vectors.
    plane = max(odd_lines(window.used + lanes, lanes), least_plane)
    planes = window.copies * prod(map(len, problem.phases_in))
    return BoxTiling(
        cells=problem.cells,
        box=box,
        reach=problem.starts,
        window=window.cells,
        before=tuple(-low for low in problem.lows),
        pitches=window.pitches,
        used=window.used,
        plane=plane,
        channel_pitch=odd_lines(planes * plane, lanes),
        phases_in=problem.phases_in,
        copies=window.copies,
        **rest,
    )


def _share(problem: Problem, boxes: int, blocks: int, results: int) -> tuple[int, int, int]:
    """How many boxes each thread computes by itself, how many are divided, and into how many parts."""
    processor, stripes = problem.processor, len(problem.rows.tables.stripes) - 1
    each, divided = (0, boxes) if blocks > 1 else divmod(boxes, processor.threads)
    parts = -(-_UNITS * processor.threads // divided) if divided else 1
    if blocks > 1:  # the sums of a part should stay in the cache, too
        sums = stripes * problem.rows.tables.most_rows * results * processor.itemsize
        parts = max(parts, -(-4 * sums // processor.window))
    return each, divided, min(parts, stripes)
