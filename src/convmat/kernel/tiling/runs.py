"""The cells of a box as runs: neighbours in a flattened window, which the products of a tile go over in one loop."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from convmat.kernel.tiling.processor import AXES, RUN
from convmat.kernel.tiling.windows import Problem, Way, Window, odd_lines

_ACROSS = 1.07  # times as slow where vectors of the window straddle cache lines
# Of lines that are stored at once, cycles to finish and store a vector, a long one and a shorter one. Where each is a
# product by itself: cycles to start it, and for a factor of a vector of it; of two lines together, for a factor, and
# for a vector of that.
_STORED_AT_ONCE, _STORED_AT_ONCE_SHORTER = 5.0, 1.0
_ROW_AT_ONCE, _VECTOR_AT_ONCE = 6.0, 1.25
_FACTOR_OF_PAIR, _VECTOR_OF_PAIR = 0.45, 0.55
_SHORT_AT_ONCE = 1.8  # times as long where a line is a product by itself, in shorter vectors
# Cycles to begin a tile of a further run, and to begin writing a line of it; in Winograd's form, others have them.
_TILE_OF_RUN, _LINE_OF_RUN = 130.0, 100.0
_KEPT = 8.0  # cycles to add a vector of sums to the sums that are kept in the second-level cache


class Run(NamedTuple):
    """The cells of a box that are one run, while the outer axes are looped over."""

    cycles: float
    looped: int
    cells: int
    blocks: int


def lines_at_once(problem: Problem, box: tuple[int, ...], window: Window) -> Run:
    """The lines of a box, which are stored once they are finished."""
    rows, lanes = problem.rows, problem.processor.lanes
    if rows.is_single(problem.channels):
        vectors, factors = -(-box[AXES] // lanes), problem.channels * len(rows.tables.deltas)
        factor = _FACTOR_OF_PAIR + vectors * _VECTOR_OF_PAIR if box[AXES - 1] > 1 else vectors * _VECTOR_AT_ONCE
        cycles = prod(box[:AXES]) * rows.tables.all_rows * (_ROW_AT_ONCE + factors * factor)
        return Run(cycles if problem.processor.is_long else cycles * _SHORT_AT_ONCE, AXES, 0, 1)
    looped, cells = AXES, box[AXES]
    # Lines without a gap, neither in the window nor in the output, are one line.
    while looped > 1 and box[looped] == problem.cells[looped] and window.pitches[looped - 1] == cells:
        looped -= 1
        cells *= box[looped]
    vectors, fits = -(-cells // lanes), window.numbers <= most_numbers(problem)
    stored = _STORED_AT_ONCE if problem.processor.is_long else _STORED_AT_ONCE_SHORTER
    cycles = _run_cycles(problem, vectors, fits) * _ACROSS + rows.tables.all_rows * vectors * stored
    return Run(prod(box[:looped]) * cycles, looped, cells, 1)


def _cells_of_run(problem: Problem, box: tuple[int, ...], way: Way, window: Window, looped: int) -> int:
    """The cells of a flattened window from the first of a run to its last."""
    return 1 + sum((box[a] + problem.starts[a] - 1) * window.pitches[a] for a in way.order[looped:])


def pitch_of_results(problem: Problem, box: tuple[int, ...], way: Way, window: Window, looped: int) -> int:
    """How far apart the results of rows lie: the last vector of a run reaches beyond its last cell."""
    lanes = problem.processor.lanes
    if problem.at_once and problem.channels * max(deltas for _, deltas in problem.rows.tables.kinds) <= RUN:
        return lanes * problem.processor.widest[0]  # each tile is stored at once
    if problem.at_once:
        return odd_lines(prod(box[looped:]) + lanes, lanes)
    return odd_lines(_cells_of_run(problem, box, way, window, looped) + lanes, lanes)


def best_run(problem: Problem, box: tuple[int, ...], way: Way, window: Window) -> Run:
    """The cells along as many of the inner axes as should take the fewest cycles."""
    processor = problem.processor
    computed, fits = [box[a] + problem.starts[a] for a in way.order], window.numbers <= most_numbers(problem)
    tables, runs = problem.rows.tables, []
    begin = 0.0 if problem.rows.transformed else len(tables.tiles) * _TILE_OF_RUN + len(tables.lines) * _LINE_OF_RUN
    for looped in range(AXES + 1):
        if looped < AXES and computed[looped] == 1:
            continue  # looping over a single cell changes nothing
        cells = _cells_of_run(problem, box, way, window, looped)
        vectors, times = -(-cells // processor.lanes), prod(computed[:looped])
        blocks = 1 if fits or times > 1 else -(-problem.channels // RUN)
        cycles = times * _run_cycles(problem, vectors, fits or blocks > 1) * (1 if way.inner else _ACROSS)
        cycles += (times - 1) * begin
        cycles += (blocks - 1) * vectors * _KEPT * problem.rows.tables.all_rows
        runs.append(Run(cycles, looped, cells, blocks))
        if looped < AXES and problem.starts[way.order[looped]]:
            break  # a line also needs results of the next cell along this axis, so they must be in the same run
    return min(runs, key=lambda run: (run.cycles, -run.looped))


def _run_cycles(problem: Problem, vectors: int, fits: bool) -> float:
    """Cycles for all stripes over a run of cells."""
    return sum(
        count * problem.processor.run_cycles(rows, vectors, deltas * problem.channels, fits)
        for (rows, deltas), count in problem.rows.tables.kinds.items()
    )


def most_numbers(problem: Problem) -> int:
    """The most numbers of a channel in a window that fits the cache."""
    return problem.processor.window // (problem.channels * problem.processor.itemsize)
