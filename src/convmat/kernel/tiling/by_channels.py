"""Products whose lanes are output channels, and not cells.

Elsewhere the lanes of a vector are neighbouring cells: 7x7 cells fill only 49 of the 64 lanes of four vectors, and a
window holds cells that no output needs. Here a vector holds one weight of each of several output channels, which is
multiplied with one number of each of some cells. So no lane is empty, wherever the cells lie in the window. The weights
are packed as always: the rows of a tile are neighbours, and here a tile has as many rows as its vectors have lanes.

The cells of a tile follow one another in the box, from line to line. Where many inputs are zeros of the padding, tiles
end where lines do, and leave those out (:mod:`~convmat.kernel.tiling.padding`); then the factors of some input channels
are packed delta by delta, so that those left are neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import prod

from convmat.geometry.product import Geometry
from convmat.kernel.tiling.boxes import BoxTiling, count_boxes, problem_of, tiling_with
from convmat.kernel.tiling.padding import share_inside
from convmat.kernel.tiling.processor import AXES, MOST_VECTORS, UNITS, VECTORS_BY_LINE, Processor, most_rows
from convmat.kernel.tiling.rows import RowTiling, row_tiling_by_channels
from convmat.kernel.tiling.windows import APART, Problem, Way, odd_lines, packing_cycles, reading_again, window_of

_TRIED = 3  # boxes that fit the cache
_USUAL = 64  # cells, for which the vectors of a tile are chosen: packed weights are to serve images of all sizes
# Cycles of each factor, beyond what overlaps; to write an output whose phases are interleaved.
_FACTOR, _SCATTER = 1.0, 8.0
_LATENCY = 5.0  # cycles until a sum can be added to, and a bit more
_BY_LINE = 0.94  # of the cycles of other tiles: what those that end with lines may take
# With the longest vectors and with shorter ones: bytes per cycle of a weight, which comes from far away once; how many
# times as slow a window is in a slower cache; cycles to write an output, of one phase; how many times as slow products
# are where the input lies in phases.
_LONGEST = 10.0, 2.0, 1.0, APART
_SHORTER = 7.0, 1.1, 2.5, 1.05


def row_tilings(geometry: Geometry, processor: Processor) -> Iterator[RowTiling]:
    """Cut the rows of a convolution into stripes of whole vectors of output channels, if the channels are such."""
    channels = geometry.out_channels // geometry.groups
    if channels % processor.lanes == 0:
        most = min(MOST_VECTORS, processor.widest[0], channels // processor.lanes)
        vectors = min(range(1, most + 1), key=lambda vectors: _cycles_of_factor(channels, vectors, processor))
        is_by_line = _pays_by_line(geometry, vectors, processor)
        together = (VECTORS_BY_LINE if is_by_line else vectors) * processor.lanes
        yield row_tiling_by_channels(geometry, together, is_by_line)


def can_be_by_line(rows: RowTiling, processor: Processor) -> bool:
    """Whether tiles may end where lines do: the input has one phase along each axis, and all tiles as many channels."""
    has_code = rows.together == VECTORS_BY_LINE * processor.lanes and rows.channels % rows.together == 0
    return has_code and all(axis.step_in == 1 for axis in rows.axes)


def _pays_by_line(geometry: Geometry, vectors: int, processor: Processor) -> bool:
    """Whether what lines leave out takes longer than what tiles lose that end with lines.

    Args:
        geometry: the convolution.
        vectors: of other tiles.
        processor: what it runs on.
    """
    rows = row_tiling_by_channels(geometry, VECTORS_BY_LINE * processor.lanes)
    if not can_be_by_line(rows, processor):
        return False
    problem = problem_of(rows, geometry, 1, processor, at_once=False)
    share = share_inside(rows, problem.inputs[1:], problem.cells[1:])
    by_line = share * _cycles_each(problem.cells[AXES], VECTORS_BY_LINE, processor)
    return by_line < _BY_LINE * min(_cycles_each(_USUAL, n, processor) for n in (vectors, VECTORS_BY_LINE))


def _cycles_each(cells: int, vectors: int, processor: Processor) -> float:
    """Cycles for a factor, a cell and a vector."""
    return _factor_cycles(cells, vectors, processor) / (cells * vectors)


def _cycles_of_factor(channels: int, vectors: int, processor: Processor) -> float:
    """Cycles of a thread for one factor, where threads share the output channels."""
    chunks = -(-channels // (vectors * processor.lanes))
    return -(-chunks // processor.threads) * _factor_cycles(_USUAL, vectors, processor)


def _factor_cycles(cells: int, vectors: int, processor: Processor) -> float:
    """Cycles for one factor of some cells and vectors of channels: arithmetic or loads, whichever take longer."""
    tiles = -(-cells // most_rows(vectors, processor.widest))
    of_tile = cells / tiles
    return tiles * (_FACTOR + max(max(of_tile * vectors, vectors + of_tile + 1) / UNITS, _LATENCY))


def box_tiling(rows: RowTiling, geometry: Geometry, batch: int, processor: Processor) -> BoxTiling:
    """Cut the cells into boxes of whole images, or these along their outermost axis, as large as fit the cache."""
    problem, way = problem_of(rows, geometry, batch, processor, at_once=False), Way(False, False)
    most = processor.window // (problem.channels * processor.itemsize)
    smallest = (*(1,) * _outermost(problem), 1, *problem.cells[_outermost(problem) + 1 :])
    fitting = (box for box in _boxes(problem) if window_of(problem, box, way).numbers <= most)
    tilings = [_tiling(problem, box, way) for box in islice(fitting, _TRIED)]
    return min(tilings or [_tiling(problem, smallest, way)], key=lambda tiling: tiling.cycles)


def recut(like: BoxTiling, rows: RowTiling, geometry: Geometry, batch: int, processor: Processor) -> BoxTiling:
    """Cut a convolution as another one was cut, whose sizes are nearly equal and no smaller: into as many boxes."""
    problem = problem_of(rows, geometry, batch, processor, at_once=False)
    box = tuple(-(-cells // boxes) for cells, boxes in zip(problem.cells, like.boxes, strict=True))
    return _tiling(problem, box, Way(False, False))


def _outermost(problem: Problem) -> int:
    """The outermost axis of an image along which there is more than one cell."""
    return next((a for a in range(1, AXES + 1) if problem.cells[a] > 1), AXES)


def _boxes(problem: Problem) -> Iterator[tuple[int, ...]]:
    """Boxes from the largest on: some images, then an image cut along its outermost axis."""
    threads = problem.processor.threads
    for a in (0, _outermost(problem)):
        count, cells = 1, problem.cells[a]
        while count <= cells:
            yield (*(1,) * a, -(-cells // count), *problem.cells[a + 1 :])
            count = count + 1 if count < threads else -(-(count + count // 8 + 1) // threads) * threads


def _tiling(problem: Problem, box: tuple[int, ...], way: Way) -> BoxTiling:
    rows, processor, window = problem.rows, problem.processor, window_of(problem, box, way)
    stripes, boxes = len(rows.tables.stripes) - 1, count_boxes(problem, box)
    outputs = prod(box) * rows.tables.all_rows
    pitch = odd_lines(rows.tables.most_rows, processor.lanes)
    far, slower, write, apart = _LONGEST if processor.is_long else _SHORTER
    cycles = _product_cycles(problem, box) * reading_again(rows, apart)
    cycles += outputs * (write if rows.axes[-1].step_out == 1 else _SCATTER)
    cycles += problem.channels * len(rows.tables.taps) * processor.itemsize / far
    if problem.channels * window.numbers * processor.itemsize > processor.window:
        cycles *= slower
    packing = problem.channels * packing_cycles(problem, window)
    each, divided = divmod(boxes, processor.threads)
    share = -(-divided * stripes // processor.threads) / stripes
    return tiling_with(
        problem,
        box,
        window,
        batch_inner=False,
        blocks=1,
        looped=0,
        results=1,
        undivided=boxes - divided,
        parts=stripes,
        at_once=False,
        cycles=each * (packing + cycles) + share * cycles + divided * packing,
        sums_pitch=(*(prod(box[a:]) * pitch for a in range(1, AXES + 1)), pitch),
    )


def _product_cycles(problem: Problem, box: tuple[int, ...]) -> float:
    rows, processor = problem.rows, problem.processor
    lines, cells = (prod(box[:AXES]), box[AXES]) if rows.by_line else (1, prod(box))
    cycles = 0.0
    for (channels, deltas), count in rows.tables.kinds.items():
        vectors = channels // processor.lanes
        cycles += count * deltas * problem.channels * lines * _factor_cycles(cells, vectors, processor)
    return cycles * share_inside(rows, problem.inputs[1:], problem.cells[1:]) if rows.by_line else cycles
