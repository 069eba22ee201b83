"""One step of a convolution, as grids: which cells meet which taps, and what they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convmat.draw import colors
from convmat.draw.sheet import Frame, Grid, Stack, Strings
from convmat.draw.subject import Numbers, Subject, number_text
from convmat.draw.words import Words
from convmat.geometry import GeometryError, Sentence, ints, shown, unknown
from convmat.geometry.boards import INSERTED, PADDED, Canvas, canvas, inserted_board, padded_board

VIEWS = ("gather", "scatter")
_MOST_TERMS = 9

Index = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One step: the stacks of grids, and the sum that is made in it."""

    stacks: list[Stack]
    sum: str


def checked_view(subject: Subject, view: str | None) -> str:
    """The view asked for, by default the one that the map is defined by."""
    if view is None:
        return "scatter" if subject.geometry.transposed else "gather"
    if not isinstance(view, str) or view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if view == "gather" and subject.geometry.transposed and subject.geometry.padding_mode != "zeros":
        raise GeometryError.of(
            "view='gather' inserts zeros, and padding_mode={padding_mode!r} pads with others; view='scatter' would do",
            padding_mode=subject.geometry.padding_mode,
        )
    return view


def steps_of(subject: Subject, view: str) -> list[Index]:
    """The cells that the steps are about: outputs that are gathered, or inputs that are scattered."""
    geometry = subject.geometry
    return list(np.ndindex(*(geometry.out_shape if view == "gather" else geometry.in_shape)))


def checked_step(subject: Subject, view: str, at: Any) -> Index:
    """The cell that a step is about, in full: channel, row and column.

    Args:
        subject: what is drawn.
        view: whether it is an output (gather) or an input (scatter).
        at: its number in row-major order, or its index, with or without the channel. Default: the one in the middle
    """
    shape = subject.geometry.out_shape if view == "gather" else subject.geometry.in_shape
    if at is None:
        return tuple(size // 2 if axis else 0 for axis, size in enumerate(shape))
    numbers = ints(at if isinstance(at, Sequence) else [at], "at")
    own = (shape[0], *shape[3 - subject.ndim :])
    if isinstance(at, Sequence):
        if len(numbers) == subject.ndim:
            numbers = (0, *numbers)
        if len(numbers) == len(own) and all(0 <= n < size for n, size in zip(numbers, own, strict=True)):
            return (numbers[0], *(0,) * (2 - subject.ndim), *numbers[1:])
    elif 0 <= numbers[0] < prod(shape):
        return tuple(int(n) for n in np.unravel_index(numbers[0], shape))
    what = Sentence("output" if view == "gather" else "input")
    raise GeometryError.of(
        "at={at} is no {what} cell: need an index into {own}, with or without the channel, or a number below {count}",
        at=shown(at),
        what=what,
        own=own,
        count=prod(shape),
    )


def step_of(subject: Subject, view: str, at: Index, so_far: bool, words: Words) -> Step:
    """A step of either view."""
    if view == "gather":
        return _gather(subject, at, so_far, words)
    return (_stamp if subject.geometry.transposed else _scatter)(subject, at, so_far, words)


# -- gather: one output, from the cells under the kernel ---------------------------------------------------------------


def _gather(subject: Subject, at: Index, so_far: bool, words: Words) -> Step:
    geometry = subject.geometry
    boards, kernels, terms = [], [], []
    for channel in range(geometry.in_channels):
        board = read_grid(subject, channel)
        pair = geometry.weight_channels(at[0], channel)
        if pair is not None:
            terms += _lay_kernel(subject, board, at[1:], pair, channel)
            kernels.append(_kernel_grid(subject, pair, flipped=geometry.transposed))
        boards.append(board)
    boards[0].heading = words(
        "inserted_input" if geometry.transposed else "padded_input" if any(map(_pads, geometry.axes)) else "input"
    )
    kernels[0].heading = words("flipped" if geometry.transposed else "kernel")
    made = [at] if not so_far else [index for index in steps_of(subject, "gather") if index <= at]
    outputs = output_grids(subject, words, shown_only=set(made) if so_far else None)
    outputs[at[0]].colors[at[1:]] = colors.MADE
    outputs[at[0]].frames.append(Frame(at[1], at[2], 1, 1, colors.GREEN))
    value = subject.outputs()
    result = "" if value is None else number_text(value[at].item())
    return Step([boards, "∗", kernels, "=", outputs], _sum_text(subject.element("y", at), terms, result, words))


def _pads(axis: Any) -> bool:
    return bool(axis.lo or axis.hi)


def read_grid(subject: Subject, channel: int) -> Grid:
    """What the kernel slides over in one channel: the padded input, or the input with zeros inserted."""
    geometry = subject.geometry
    boards = [(inserted_board if geometry.transposed else padded_board)(axis) for axis in geometry.axes]
    rows, columns = boards
    shape = len(rows.cells), len(columns.cells)
    grid = Grid(np.empty(shape, object))
    for row, column in np.ndindex(*shape):
        cell = int(rows.cells[row]), int(columns.cells[column])
        own = all(b.own[0] <= i < b.own[1] for b, i in zip(boards, (row, column), strict=True))
        if min(cell) >= 0:
            grid.texts[row, column] = subject.read_text((channel, *cell))
            grid.colors[row, column] = colors.READ if own else colors.PALE
        else:
            grid.texts[row, column] = "0"
            is_padding = PADDED in cell
            grid.colors[row, column] = colors.PALE if is_padding else colors.WHITE
            grid.hatches[row, column] = colors.PADDED_HATCH if is_padding else colors.INSERTED_HATCH
            assert is_padding or INSERTED in cell
    return grid


def _lay_kernel(
    subject: Subject, grid: Grid, output: Index, pair: tuple[int, int], channel: int
) -> list[tuple[str, str]]:
    """Mark the cells under the kernel with their taps; returns the (tap, cell) that are multiplied."""
    geometry = subject.geometry
    boards = [(inserted_board if geometry.transposed else padded_board)(axis) for axis in geometry.axes]
    meets = [board.places.reads(o) for board, o in zip(boards, output, strict=True)]
    terms = []
    for met in product(*meets):
        tap = tuple(board.taps[position] for board, (position, _) in zip(boards, met, strict=True))
        cell = met[0][1], met[1][1]
        grid.colors[cell] = colors.WINDOW
        grid.corners[cell] = subject.tap((*pair, *tap))
        if min(int(board.cells[i]) for board, i in zip(boards, cell, strict=True)) >= 0:
            terms.append((grid.corners[cell], grid.texts[cell]))
    first, last = ((meets[0][end][1], meets[1][end][1]) for end in (0, -1))
    (top, left), (bottom, right) = first, last
    grid.frames.append(Frame(top, left, bottom - top + 1, right - left + 1, colors.BLUE))
    return terms


def _kernel_grid(subject: Subject, pair: tuple[int, int], flipped: bool = False) -> Grid:
    texts = subject.kernel(pair)
    return Grid(texts[::-1, ::-1] if flipped else texts, np.full(texts.shape, colors.WINDOW, object))


def output_grids(subject: Subject, words: Words, shown_only: set[Index] | None = None) -> list[Grid]:
    """The output, channel by channel: its numbers, or its names where it has none."""
    values = subject.outputs()
    grids = []
    for channel in range(subject.geometry.out_channels):
        texts = np.empty(subject.geometry.written, object)
        for cell in np.ndindex(*texts.shape):
            index = (channel, *cell)
            text = subject.element("y", index) if values is None else number_text(values[index].item())
            texts[cell] = text if shown_only is None or index in shown_only else ""
        grids.append(Grid(texts))
    grids[0].heading = words("output")
    return grids


# -- scatter: one input, to all cells that it feeds --------------------------------------------------------------------


def canvases(subject: Subject) -> tuple[Canvas, Canvas]:
    """The canvas of each axis."""
    rows, columns = map(canvas, subject.geometry.axes)
    return rows, columns


def canvas_sums(subject: Subject, made: Sequence[Index]) -> Numbers:
    """The sum of the stamps of some inputs, of shape (out_channels, rows, columns), and how many reach each cell."""
    planes = canvases(subject)
    sums = np.zeros((2, subject.geometry.out_channels, *(plane.size for plane in planes)), dtype=object)
    for index in made:
        for channel, cell, tap in stamp(subject, index):
            sums[1, channel][cell] += 1
            if subject.weight is not None:
                sums[0, channel][cell] += subject.product(tap, index)
    return sums


def stamp(subject: Subject, at: Index) -> list[tuple[int, Index, Index]]:
    """What one input of Cᵀ puts on the canvas: the channel, the cell and the tap of each product."""
    planes = canvases(subject)
    meets = list(product(*(plane.stamps.reads(i) for plane, i in zip(planes, at[1:], strict=True))))
    found: list[tuple[int, Index, Index]] = []
    for channel in range(subject.geometry.out_channels):
        pair = subject.geometry.weight_channels(channel, at[0])
        if pair is not None:
            found += [(channel, (c0, c1), (*pair, t0, t1)) for (t0, c0), (t1, c1) in meets]
    return found


def canvas_grids(subject: Subject, sums: Numbers, texts: str) -> list[Grid]:
    """The canvas of each output channel, with the output as a frame.

    Args:
        subject: a transposed convolution.
        sums: as of :func:`canvas_sums`.
        texts: what to write: ``"sums"`` or ``"counts"``; cells that no stamp has reached stay empty.
    """
    planes = canvases(subject)
    (top, bottom), (left, right) = (plane.frame for plane in planes)
    is_cropped = subject.geometry.padding_mode == "zeros"
    grids = []
    for channel in range(subject.geometry.out_channels):
        grid = Grid(np.full(sums.shape[2:], "", object))
        for cell in np.ndindex(*grid.texts.shape):
            inside = top <= cell[0] < bottom and left <= cell[1] < right
            count = sums[1, channel][cell]
            if count:
                number = count if texts == "counts" else sums[0, channel][cell]
                grid.texts[cell] = number_text(number)
            grid.colors[cell] = colors.WHITE if inside or not is_cropped else colors.PALE
        grid.frames.append(Frame(top, left, bottom - top, right - left, colors.VERMILLION))
        grids.append(grid)
    return grids


def mark_unreached(subject: Subject, grids: list[Grid]) -> None:
    """Hatch the cells of the output that no tap reaches: they are zeros, computed like all others."""
    planes = canvases(subject)
    reached = [plane.stamps.overlap() for plane in planes]
    for grid in grids:
        for cell in np.ndindex(*grid.texts.shape):
            if not all(i < len(counts) and counts[i] for counts, i in zip(reached, cell, strict=True)):
                grid.hatches[cell] = colors.UNREACHED_HATCH
                inside = all(p.frame[0] <= i < p.frame[1] for p, i in zip(planes, cell, strict=True))
                grid.texts[cell] = "0" if inside else ""


def input_grids(subject: Subject, words: Words, done: Sequence[Index] = ()) -> list[Grid]:
    """The input, channel by channel; cells that have been read are tinted."""
    grids = []
    for channel in range(subject.geometry.in_channels):
        texts: Strings = np.empty(subject.geometry.read, object)
        for cell in np.ndindex(*texts.shape):
            texts[cell] = subject.read_text((channel, *cell))
        grids.append(Grid(texts))
    for index in done:
        grids[index[0]].colors[index[1:]] = colors.READ
    grids[0].heading = words("input")
    return grids


def _light(grid: Grid, cell: Index) -> None:
    grid.colors[cell] = colors.READ
    grid.frames.append(Frame(cell[0], cell[1], 1, 1, colors.ORANGE))


def _stamp(subject: Subject, at: Index, so_far: bool, words: Words) -> Step:
    geometry = subject.geometry
    every = steps_of(subject, "scatter")
    made = [index for index in every if index <= at] if so_far else every
    grids = canvas_grids(subject, canvas_sums(subject, made), "sums")
    if subject.weight is None:
        for grid in grids:
            grid.texts[...] = ""
    if len(made) == len(every):
        mark_unreached(subject, grids)
    for channel, cell, tap in stamp(subject, at):
        grids[channel].colors[cell] = colors.FED
        if subject.weight is None:
            grids[channel].texts[cell] = subject.tap(tap)
        else:
            grids[channel].corners[cell] = _signed(subject.product(tap, at))
    inputs = input_grids(subject, words, made if so_far else ())
    _light(inputs[at[0]], at[1:])
    kernels = _kernels_from(subject, at[0], words)
    grids[0].heading = words("canvas")
    stacks: list[Stack] = [inputs, "∗", kernels, "→", grids]
    if geometry.padding_mode != "zeros" and not so_far:
        stacks += ["→", output_grids(subject, words)]
    return Step(stacks, "")


def _kernels_from(subject: Subject, channel: int, words: Words) -> list[Grid]:
    """The kernels that one channel of the input goes through."""
    pairs = (subject.geometry.weight_channels(out, channel) for out in range(subject.geometry.out_channels))
    kernels = [_kernel_grid(subject, pair) for pair in pairs if pair is not None]
    kernels[0].heading = words("kernel")
    return kernels


def _scatter(subject: Subject, at: Index, so_far: bool, words: Words) -> Step:
    """One input of C: the outputs that read it, each through another tap."""
    geometry = subject.geometry
    every = steps_of(subject, "scatter")
    made = [index for index in every if index <= at] if so_far else every
    outputs = output_grids(subject, words)
    if so_far:
        _write_partial_sums(subject, outputs, made)
    fed = geometry.feeds(at[1:])
    for channel in range(geometry.out_channels):
        pair = geometry.weight_channels(channel, at[0])
        for tap, cell in fed if pair is not None else ():
            assert pair is not None
            grid, index = outputs[channel], (*pair, *tap)
            grid.colors[cell] = colors.FED
            text = subject.tap(index) if subject.weight is None else _signed(subject.product(index, at))
            grid.corners[cell] = grid.corners[cell] + text if cell in grid.corners else text
    inputs = input_grids(subject, words, made if so_far else ())
    _light(inputs[at[0]], at[1:])
    return Step([inputs, "∗", _kernels_from(subject, at[0], words), "→", outputs], "")


def _write_partial_sums(subject: Subject, outputs: list[Grid], made: Sequence[Index]) -> None:
    """Write what some inputs have made so far."""
    partial = subject.input.new_zeros(subject.input.shape)
    for index in made:
        partial[index] = subject.input[index]
    values = subject.outputs(partial)
    reached = {
        (channel, *cell)
        for index in made
        for channel in range(subject.geometry.out_channels)
        if subject.geometry.weight_channels(channel, index[0]) is not None
        for _, cell in subject.geometry.feeds(index[1:])
    }
    for channel, grid in enumerate(outputs):
        for cell in np.ndindex(*grid.texts.shape):
            index = (channel, *cell)
            known = values is not None and index in reached
            grid.texts[cell] = number_text(values[index].item()) if known and values is not None else ""


def _signed(value: Any) -> str:
    text = number_text(value)
    return text if text.startswith("-") else f"+{text}"


def _sum_text(name: str, terms: list[tuple[str, str]], result: str, words: Words) -> str:
    """The sum written out, at most nine terms of it."""
    if not terms:
        return f"{name} = 0"
    written = " + ".join(f"{tap}·{cell}" for tap, cell in terms[:_MOST_TERMS])
    if len(terms) > _MOST_TERMS:
        written += f" + {words('more', count=len(terms) - _MOST_TERMS)}"
    return f"{name} = {written}" + (f" = {result}" if result else "")
