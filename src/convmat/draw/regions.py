"""unfold (im2col) and the one matrix product that a convolution becomes by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convmat.draw import colors
from convmat.draw.sheet import Frame, Grid, Sheet
from convmat.draw.steps import Index, checked_step, read_grid, steps_of
from convmat.draw.subject import Subject, number_text, subject_of
from convmat.draw.words import Words, describe
from convmat.geometry import GeometryError
from convmat.geometry.boards import padded_board

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PLACES = ((colors.WINDOW, colors.BLUE), (colors.READ, colors.ORANGE), (colors.MADE, colors.GREEN))


def unfold(
    geometry: Any,
    in_shape: Any = None,
    *,
    places: Sequence[int | Sequence[int]] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw a convolution as one matrix product: the kernel as a row, times the regions of the input as columns.

    The kernel stands at the left of the output, each region above the number that it makes: multiply along the row and
    down the column. Some places of the kernel are marked in the input, among the regions and in the output.

    Args:
        geometry, in_shape, arguments: as in :func:`arithmetic`, of a direct convolution.
        places: up to three outputs to mark, by number or index. Default: the first and the last
        title, ax, font_size, lang: as in :func:`arithmetic`.

    Raises:
        GeometryError: if the convolution is transposed, or as of :func:`arithmetic`.

    >>> from convmat import Geometry
    >>> figure = unfold(Geometry.conv((3, 6), (2, 3)))
    """
    subject, words = subject_of(geometry, in_shape, **arguments), Words(lang)
    if subject.geometry.transposed:
        raise GeometryError("draw.unfold is about direct convolutions: geometry.transpose() would do")
    every = steps_of(subject, "gather")
    chosen = [every[0], every[-1]] if places is None else list(places)
    if len(chosen) > len(_PLACES):
        raise GeometryError(f"{len(chosen)} places are too many to tell apart: need at most {len(_PLACES)}")
    marked = [checked_step(subject, "gather", place) for place in chosen]
    boards = [read_grid(subject, channel) for channel in range(subject.geometry.in_channels)]
    kernels, regions, outputs = _kernel_rows(subject), _regions(subject), _outputs(subject)
    boards[0].heading, kernels.heading = words("input"), words("kernel")
    regions.heading, outputs.heading = words("regions"), words("output")
    for board in boards:
        board.colors[...] = np.where(board.colors == colors.READ, colors.WHITE, board.colors)
    columns = list(np.ndindex(*subject.geometry.written))
    for place, (color, edge) in zip(marked, _PLACES, strict=False):
        _mark(subject, boards, place, color, edge)
        column = columns.index(place[1:])
        for grid, rows, first in ((regions, regions.texts.shape[0], 0), (outputs, 1, place[0])):
            grid.colors[first : first + rows, column] = color
            grid.frames.append(Frame(first, column, rows, 1, edge))
    sheet = Sheet([*boards, kernels, regions, outputs], ax, font_size, words)
    y = sheet.lines([describe(subject.geometry, words, subject.ndim) if title is None else title], 0, 1.05, bold=True)
    left = max(sheet.width(boards), sheet.width([kernels]))
    right = max(sheet.width([regions]), sheet.width([outputs]))
    below = max(sheet.stack(boards, 0, y, left), sheet.stack([regions], left + 3 * sheet.gap, y, right))
    sheet.say(left + 1.5 * sheet.gap, below + sheet.line * 1.4 + kernels.shape[0] / 2, "∙", 1.4)
    width = sheet.width([kernels])
    sheet.stack([kernels], left - width, below + 0.4 * sheet.line, width)
    sheet.stack([outputs], left + 3 * sheet.gap, below + 0.4 * sheet.line, right)
    return sheet.done()


def _kernel_rows(subject: Subject) -> Grid:
    """The weight as a matrix: a row for each output channel, blank across groups."""
    geometry = subject.geometry
    taps = list(np.ndindex(*geometry.kernel_size))
    texts = np.full((geometry.out_channels, geometry.in_channels * len(taps)), "", object)
    for out, channel in np.ndindex(geometry.out_channels, geometry.in_channels):
        pair = geometry.weight_channels(out, channel)
        if pair is not None:
            texts[out, channel * len(taps) : (channel + 1) * len(taps)] = subject.kernel(pair).ravel()
    return Grid(texts, np.full(texts.shape, colors.WINDOW, object))


def _regions(subject: Subject) -> Grid:
    """Every region of the input as a column."""
    geometry = subject.geometry
    tables = [axis.source() for axis in geometry.axes]
    taps, places = list(np.ndindex(*geometry.kernel_size)), list(np.ndindex(*geometry.written))
    grid = Grid(np.full((geometry.in_channels * len(taps), len(places)), "0", object))
    for row, (channel, tap) in enumerate((c, t) for c in range(geometry.in_channels) for t in taps):
        for column, place in enumerate(places):
            cell = tuple(int(table[o, t]) for table, o, t in zip(tables, place, tap, strict=True))
            if min(cell) >= 0:
                grid.texts[row, column] = subject.read_text((channel, *cell))
            else:
                grid.hatches[row, column], grid.colors[row, column] = colors.PADDED_HATCH, colors.PALE
    return grid


def _outputs(subject: Subject) -> Grid:
    """The output, a row for each channel."""
    geometry, values = subject.geometry, subject.outputs()
    places = list(np.ndindex(*geometry.written))
    texts = np.full((geometry.out_channels, len(places)), "", object)
    for channel, (column, place) in ((c, p) for c in range(geometry.out_channels) for p in enumerate(places)):
        index = (channel, *place)
        texts[channel, column] = subject.element("y", index) if values is None else number_text(values[index].item())
    return Grid(texts)


def _mark(subject: Subject, boards: list[Grid], place: Index, color: str, edge: str) -> None:
    """Mark a region in the input."""
    meets = [padded_board(a).places.reads(o) for a, o in zip(subject.geometry.axes, place[1:], strict=True)]
    for board in boards:
        for row in meets[0]:
            for column in meets[1]:
                board.colors[row[1], column[1]] = color
        (top, bottom), (left, right) = ((pairs[0][1], pairs[-1][1]) for pairs in meets)
        board.frames.append(Frame(top, left, bottom - top + 1, right - left + 1, edge))
