"""A sheet measured in cells: grids of words, frames around some of them, and lines of text.

All cells of a sheet have one size, so that its longest word fits, and the sheet is as large as its cells want. Drawn on
given axes it is made smaller, letters included, until it fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convmat.draw.colors import GREY, HATCH_COLOR, WHITE, ink_on
from convmat.draw.figures import check_ax, checked_font, figure_of, ink_of, new_figure, share_that_fits
from convmat.draw.words import Words
from convmat.geometry import GeometryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Strings = npt.NDArray[np.object_]

FONT = 10.0  # points
_CORNER = 0.66  # the size of letters in corners, as a share of the others
_MOST_CELLS = 4000
_GAP = 0.6  # between grids, in heights of cells


@dataclass
class Frame:
    """A thick line around some cells of a grid, which may reach beyond it."""

    row: int
    column: int
    rows: int
    columns: int
    color: str


@dataclass
class Grid:
    """Cells with a word in each.

    Attributes:
        texts: the words, of shape (rows, columns).
        colors: of each cell. Default: white
        hatches: of each cell, as matplotlib names them. Default: none
        corners: small words in the lower right corner of a cell, by its row and column.
        frames: around some of the cells.
        heading: a line above.
    """

    texts: Strings
    colors: Strings = field(default_factory=lambda: np.empty(0, object))
    hatches: dict[tuple[int, ...], str] = field(default_factory=dict)
    corners: dict[tuple[int, ...], str] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    heading: str = ""

    def __post_init__(self) -> None:
        if not self.colors.size:
            self.colors = np.full(self.texts.shape, WHITE, object)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, with those of frames that reach beyond."""
        rows, columns = self.texts.shape
        return (
            max(rows, *(f.row + f.rows for f in self.frames), 0),
            max(columns, *(f.column + f.columns for f in self.frames), 0),
        )


# What stands side by side: grids below one another, or a sign between them.
Stack = list[Grid] | str


class Sheet:
    """An empty sheet for some grids.

    Args:
        grids: all grids that will be drawn: cells are as large as their words need.
        ax: the axes to draw on. Default: a new figure
        font_size: of the words in cells, in points. Default: 10
        words: of the language.
        alike: grids of other sheets that are to have cells of the same size.

    Raises:
        GeometryError: if there are too many cells to draw one by one.
    """

    def __init__(
        self,
        grids: Iterable[Grid],
        ax: Axes | None,
        font_size: float | None,
        words: Words,
        alike: Iterable[Grid] = (),
    ) -> None:
        grids = list(grids)
        check_ax(ax)
        cells = sum(grid.texts.size for grid in grids)
        if cells > _MOST_CELLS:
            raise GeometryError.of(
                "a picture of {cells} cells is too large to draw: need at most {most}; a smaller layer looks the same",
                cells=cells,
                most=_MOST_CELLS,
            )
        self.words, self.font = words, checked_font(font_size, FONT)
        self._axes = ax
        grids += alike
        in_cells = {text for grid in grids for text in grid.texts.ravel().tolist()}
        in_corners = {text for grid in grids for text in grid.corners.values()}
        widths = [self._points(text)[0] for text in in_cells]
        widths += [self._points(text)[0] * _CORNER + 0.3 * self.font for text in in_corners]
        self.cell_height = 2.5 * self.font
        self.cell_width = max(self.cell_height, max(widths, default=0.0) + 0.8 * self.font)
        self._sized: list[Text] = []
        self._right = self._bottom = 0.0

    def _points(self, text: str, bold: bool = False) -> tuple[float, float]:
        """The size of a text in points."""
        width, height = self.words.size(text, bold)
        return width * self.font, height * self.font

    @cached_property
    def axes(self) -> Axes:
        """The axes, in cells, with y downwards."""
        axes = self._axes
        if axes is None:
            axes = new_figure(1, 1, layout=None).add_axes((0.0, 0.0, 1.0, 1.0))
        axes.axis("off")
        return axes

    # -- what stands on it ---------------------------------------------------------------------------------------------

    def grid(self, grid: Grid, x: float, y: float) -> None:
        """A grid, the upper left corner at (x, y)."""
        for (row, column), text in np.ndenumerate(grid.texts):
            color, hatch = grid.colors[row, column], grid.hatches.get((row, column))
            at = (x + column, y + row)
            self._box(at, facecolor=color, edgecolor=GREY, linewidth=0.7, zorder=1)
            if hatch:
                self._box(at, fill=False, hatch=hatch, edgecolor=HATCH_COLOR, linewidth=0, zorder=1.2)
            corner = grid.corners.get((row, column))
            if text:
                self._write(at[0] + 0.5, at[1] + (0.5 if corner is None else 0.36), text, ink_on(color), gid="cell")
            if corner:
                inset = 0.18 * self.font / self.cell_width
                self._write(
                    at[0] + 1 - inset, at[1] + 0.97, corner, ink_on(color), _CORNER, "right", "bottom", gid="corner"
                )
        for frame in grid.frames:
            self.frame(frame, x, y)
        self.reach(x + grid.shape[1], y + grid.shape[0])

    def frame(self, frame: Frame, x: float, y: float) -> None:
        """A frame of a grid whose upper left corner is at (x, y)."""
        at, size = (x + frame.column, y + frame.row), (frame.columns, frame.rows)
        self._box(at, size, fill=False, edgecolor=frame.color, linewidth=2.6, zorder=3, gid="frame")

    def _box(self, at: tuple[float, float], size: tuple[int, int] = (1, 1), **style: Any) -> None:
        """A rectangle; ``add_patch`` would look for the limits of the axes each time, which ``done`` sets."""
        from matplotlib.patches import Rectangle

        self.axes.add_artist(Rectangle(at, *size, clip_on=False, **style))

    def say(self, x: float, y: float, text: str, share: float = 1.0, ha: str = "center", bold: bool = False) -> None:
        """A line of text, its middle at the height y."""
        bold = bold and self.words.language == "en"  # few Chinese fonts have bold letters
        width = self.width_of(text, share, bold)
        self._write(x, y, text, ink_of(self.axes), share, ha, gid="words", bold=bold)
        self.reach(x + {"left": width, "center": width / 2, "right": 0}[ha], y + 0.7 * self.line)

    def _write(
        self,
        x: float,
        y: float,
        text: str,
        color: str,
        share: float = 1.0,
        ha: str = "center",
        va: str = "center",
        *,
        gid: str,
        bold: bool = False,
    ) -> None:
        self._sized.append(
            self.axes.text(
                x,
                y,
                text,
                color=color,
                fontsize=self.font * share,
                ha=ha,
                va=va if va != "center" else "center_baseline" if "\n" not in text else "center",
                fontfamily=self.words.families,
                fontweight="bold" if bold else "normal",
                parse_math=False,
                gid=gid,
                zorder=4,
            )
        )

    def reach(self, x: float, y: float) -> None:
        """Make the sheet reach to (x, y)."""
        self._right, self._bottom = max(self._right, x), max(self._bottom, y)

    # -- where it stands -----------------------------------------------------------------------------------------------

    @property
    def line(self) -> float:
        """The height of a line of text, in cells."""
        return 1.7 * self.font / self.cell_height

    def width_of(self, text: str, share: float = 1.0, bold: bool = False) -> float:
        """The width of a text, in cells."""
        return self._points(text, bold)[0] * share / self.cell_width

    @property
    def gap(self) -> float:
        """The space between things side by side, in cells."""
        return _GAP * self.cell_height / self.cell_width

    def row(self, stacks: Sequence[Stack], x: float = 0.0, y: float = 0.0) -> tuple[float, float]:
        """Stacks of grids side by side, their middles at one height; returns the right and the lower end."""
        height = max(self._height(stack) for stack in stacks)
        for stack in stacks:
            width = self.width(stack)
            if isinstance(stack, str):
                self.say(x + width / 2, y + self._headroom(stacks) / 2 + height / 2, stack, 1.4)
            else:
                self.stack(stack, x, y + (height - self._height(stack)) / 2, width)
            x += width + self.gap
        self.reach(x - self.gap, y + height)
        return x - self.gap, y + height

    def stack(self, grids: Stack, x: float, y: float, width: float) -> float:
        """Grids below one another, in the middle of a width; returns where they end."""
        assert not isinstance(grids, str)
        for grid in grids:
            if grid.heading:
                self.say(x + width / 2, y + self.line / 2, grid.heading, 0.9)
                y += self.line
            self.grid(grid, x + (width - grid.shape[1]) / 2, y)
            y += grid.shape[0] + _GAP
        return y - _GAP

    def _height(self, stack: Stack) -> float:
        if isinstance(stack, str):
            return self.line
        return sum(grid.shape[0] + _GAP + (self.line if grid.heading else 0) for grid in stack) - _GAP

    def width(self, stack: Stack) -> float:
        """The width of a stack or a sign, in cells."""
        if isinstance(stack, str):
            return self.width_of(stack, 1.4)
        return max(max(grid.shape[1], self.width_of(grid.heading, 0.9)) for grid in stack)

    def _headroom(self, stacks: Sequence[Stack]) -> float:
        """Signs stand at the middle of the grids, and not of what is above them."""
        return self.line if any(grid.heading for stack in stacks if not isinstance(stack, str) for grid in stack) else 0

    def lines(self, texts: Iterable[str], y: float, share: float = 1.0, bold: bool = False) -> float:
        """Lines of text at the left, from y downwards; returns where they end."""
        for text in texts:
            if text:
                self.say(0, y + self.line * share / 2, text, share, "left", bold)
                y += self.line * share
        return y

    def wrapped(self, text: str, width: float, share: float) -> list[str]:
        """A sum on as many lines as it takes in a width."""
        first, *terms = text.split(" + ")
        lines = [first]
        for term in terms:
            longer = f"{lines[-1]} + {term}"
            if self.width_of(longer, share) <= width:
                lines[-1] = longer
            else:
                lines.append(f"    + {term}")
        return lines

    def done(self) -> Figure:
        """Size the figure, or make everything fit the given axes."""
        margin_x, margin_y = 0.4 * self.font / self.cell_width, 0.4 * self.font / self.cell_height
        left, right, top, bottom = -margin_x, self._right + margin_x, -margin_y, self._bottom + margin_y
        self.axes.set(xlim=(left, right), ylim=(bottom, top), aspect=self.cell_height / self.cell_width)
        width, height = (right - left) * self.cell_width, (bottom - top) * self.cell_height
        if self._axes is None:
            figure = figure_of(self.axes)
            figure.set_size_inches(width / 72, height / 72)
            return figure
        share = share_that_fits(self.axes, width, height)
        for text in self._sized:
            text.set_fontsize(float(text.get_fontsize()) * share)
        return figure_of(self.axes)


def page(stacks: Sequence[Stack], title: str, notes: Sequence[str], sheet: Sheet, alike: Iterable[str] = ()) -> Figure:
    """A title, stacks side by side, and notes below, with room for other last ones ``alike``."""
    y = sheet.lines([title], 0.0, 1.05, bold=True)
    right, y = sheet.row(stacks, 0.0, y + (0.3 * sheet.line if title else 0.0))
    right = max(right, sheet.width_of(title, 1.05, bold=True))
    *first, last = notes or [""]
    lines, others = sheet.wrapped(last, right, 0.95), [sheet.wrapped(text, right, 0.95) for text in alike]
    y = sheet.lines([*first, *lines], y + 0.4 * sheet.line, 0.95)
    more = max((len(other) - len(lines) for other in others), default=0)
    sheet.reach(right, y + max(more, 0) * 0.95 * sheet.line)
    return sheet.done()


def grids_of(stacks: Iterable[Stack]) -> list[Grid]:
    """All grids of some stacks."""
    return [grid for stack in stacks if not isinstance(stack, str) for grid in stack]
