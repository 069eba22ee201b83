"""How the window of a box of cells can be laid out in memory."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from convmat.kernel.tiling.processor import AXES, MOST_TAKEN, Processor
from convmat.kernel.tiling.rows import RowTiling

# Cycles to pack a window: for each row, and each vector of it; for each round of shuffles that takes the phases of a
# line apart; for each vector of a line beyond the first, where one phase of it is taken; for a number by itself, where
# steps are wider; in Winograd's form, for a vector of a plane, and for a shorter one over two axes.
_ROW, _ROW_VECTOR, _SHUFFLE, _ROW_STEP, _ROW_NUMBER = 20.0, 2.5, 1.0, 3.0, 2.5
_TRANSFORM, _TRANSFORM_BOTH_SHORTER = 6.0, 10.0
# Of products, the times as long that they take where the input lies in phases, and in Winograd's form.
APART, _APART_TRANSFORMED = 1.15, 1.08


class Problem(NamedTuple):
    """What is to be cut; ``windows`` are those that have been laid out so far."""

    rows: RowTiling
    processor: Processor
    channels: int
    groups: int
    # Along batch, depth, height and width:
    cells: tuple[int, ...]
    inputs: tuple[int, ...]
    lows: tuple[int, ...]
    highs: tuple[int, ...]
    starts: tuple[int, ...]
    widths: tuple[int, ...]  # cells of a window beyond those of its box
    phases_in: tuple[tuple[int, ...], ...]
    at_once: bool
    windows: dict[tuple[tuple[int, ...], Way], Window]


class Way(NamedTuple):
    """One way to lay a window out: with the images of a batch as neighbours, or with copies."""

    inner: bool
    copied: bool

    @property
    def order(self) -> tuple[int, ...]:
        """The axes from the outermost to that of neighbours."""
        return (1, 2, 3, 0) if self.inner else (0, 1, 2, 3)


class Window(NamedTuple):
    """A window in memory: see :class:`~convmat.kernel.tiling.boxes.BoxTiling`."""

    cells: tuple[int, ...]
    pitches: tuple[int, ...]
    used: int
    copies: int
    numbers: int  # of a channel


def window_of(problem: Problem, box: tuple[int, ...], way: Way) -> Window:
    """The window of a box."""
    found = problem.windows.get((box, way))
    if found is None:
        found = problem.windows[box, way] = _new_window(problem, box, way)
    return found


def _new_window(problem: Problem, box: tuple[int, ...], way: Way) -> Window:
    widths, copies = list(problem.widths), 1
    if way.copied:
        copies, widths[AXES] = widths[AXES] + 1, 0
    window, pitches, pitch, used = list(box), [0] * (AXES + 1), 1, 1
    for a in reversed(way.order):
        pitches[a] = pitch
        cells = window[a] = box[a] + widths[a]
        used += (cells - 1) * pitch
        pitch *= cells - (_shared_zeros(problem, a) if widths[a] and box[a] == problem.cells[a] else 0)
    return Window(tuple(window), tuple(pitches), used, copies, used * copies * prod(map(len, problem.phases_in)))


def _shared_zeros(problem: Problem, a: int) -> int:
    """The zeros at both ends of a whole line, which lie in a window once, after one line and before the next."""
    after = problem.cells[a] + problem.highs[a] + problem.starts[a] - problem.inputs[a]
    return max(min(-problem.lows[a], after), 0)


def odd_lines(cells: int, lanes: int) -> int:
    """Round up to an odd number of vectors: with a power of two, all channels would share the same cache lines."""
    return (-(-cells // lanes) | 1) * lanes


def packing_cycles(problem: Problem, window: Window) -> float:
    """Cycles to pack the planes of a channel row by row."""
    *outer, width = window.cells
    rows = prod(outer) * window.numbers // window.used
    step, lanes = problem.rows.axes[-1].step_in, problem.processor.lanes
    if problem.rows.transformed:
        planes = prod(axis.step_in for axis in problem.rows.axes[-problem.rows.transformed :])
        is_slower = problem.rows.transformed == 2 and not problem.processor.is_long
        of_vector = _TRANSFORM_BOTH_SHORTER if is_slower else _TRANSFORM
        return rows / planes * _ROW + rows * -(-width // lanes) * of_vector
    if step > MOST_TAKEN:
        return rows * (_ROW + width * _ROW_NUMBER)
    vectors = rows * -(-width // lanes)
    if problem.rows.packed_together == step and window.copies == 1:
        return rows / step * _ROW + vectors * (_ROW_VECTOR + (step - 1).bit_length() * _SHUFFLE)
    return rows * _ROW + vectors * (_ROW_VECTOR + (step - 1) * _ROW_STEP)


def reading_again(rows: RowTiling, apart: float = APART) -> float:
    """How many times as long products take where the input lies in phases.

    Fewer taps read each phase, and so read a number again while it is in the nearest cache.
    """
    *outer, width = rows.axes
    if rows.transformed:
        return _APART_TRANSFORMED if width.stride > 1 and any(axis.step_in > 1 for axis in outer) else 1.0
    return apart if any(len(phases) > 1 for phases in rows.phases_in) else 1.0
