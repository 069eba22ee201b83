"""Where the entries of a matrix are, and which tap or number stands in each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convmat import matrices
from convmat.draw.colors import ink_on
from convmat.draw.figures import (
    check_ax,
    checked_font,
    figure_of,
    ink_of,
    new_figure,
    panels,
    points_of,
    share_that_fits,
)
from convmat.draw.subject import as_tensor, number_text, with_weight
from convmat.draw.words import Words
from convmat.geometry import PADDING_MODES, Geometry, GeometryError, IntArray, ints, shown
from convmat.matrices.symbols import symbolic_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_FONT = 8.0
_SMALLEST_FONT = 3.0  # below which words on given axes are left out
_KEY_FONT = 7.0
_KEY_GAP = 8.0  # points between a matrix and its key
_LARGEST_SIDE = 24.0  # inches, of a picture with words
_UNNAMED_SIDE = 5.0  # inches, of each of several pictures without words
_MOST_NAMED = 6000
_MOST_RULED_CELLS = 150
_MOST_PIXELS = 800
_MOST_ENTRIES = 20_000_000
_MOST_TAPS_IN_KEY = 64


def sparsity(
    geometry: Any,
    in_shape: Any = None,
    *,
    rows: Sequence[int] | None = None,
    entries: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw the matrix of a geometry: one colour per tap, white where it is zero.

    Matrices whose entries can be read show their numbers, or the names of the taps; of others a key beside the picture
    tells the colours apart. The largest are drawn in blocks, each with the tap that comes first in it.

    Args:
        geometry: direct (draws C) or transposed (draws Cᵀ); a convolution layer; a weight, as in :func:`conv_matrix`;
            or any matrix, whose colours are its numbers.
        in_shape: of a layer, channels and spatial sizes of its input; of a weight, sizes of its input (also
            ``input_size=``).
        rows: which rows to draw, in this order, of a small matrix. Default: all
        entries: what to write, ``"names"`` of the taps or ``"numbers"``. Default: numbers where there is a weight
        title: above the picture. Default: the matrix' name and size
        ax: matplotlib's axes to draw on. Default: a new figure
        font_size: of the entries, in points; cells grow with it, and on small axes words shrink. Default: 8
        lang: ``"en"`` or ``"zh"``. Default: ``"en"``
        arguments: of a weight, those of :func:`conv_matrix` by keyword, and with ``transposed=True`` those of
            :func:`conv_transpose_matrix`; of a geometry, ``weight``.

    Returns:
        The figure, which shows itself in a notebook; ``savefig`` writes PNG, SVG or PDF.

    Raises:
        GeometryError: if arguments do not go together, or the matrix is too large.

    >>> from convmat import Geometry
    >>> figure = sparsity(Geometry.conv((4, 4), (3, 3)))
    >>> figure.savefig("matrix.png")  # doctest: +SKIP
    """
    words = Words(lang)
    check_ax(ax)
    font = checked_font(font_size, _FONT)
    tensor = as_tensor(geometry)
    if tensor is not None and tensor.ndim == 2 and in_shape is None and not arguments:
        drawn = _of_numbers(tensor.numpy())
    else:
        drawn = _of_geometry(*with_weight(geometry, in_shape, **arguments), entries)
    if rows is not None:
        drawn.choose(rows)
    return drawn.draw(title, ax, font, words)


class _Matrix:
    """A matrix to be drawn: a picture of its entries, and words for them if they are few.

    Attributes:
        picture: the number of each entry's colour, masked where there is none; a pixel for ``block**2`` entries.
        words: of each entry, empty for none.
        colors: of the numbers in the picture.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, int],
        picture: Any,
        block: int,
        words: list[list[str]] | None,
        limits: tuple[float, float],
        geometry: Geometry | None = None,
    ) -> None:
        self.name, self.shape, self.picture, self.block = name, shape, picture, block
        self.words, self.limits, self.geometry = words, limits, geometry
        self.chosen: list[int] | None = None

    def choose(self, rows: Sequence[int]) -> None:
        """Keep some rows, in an order."""
        if self.block > 1:
            raise GeometryError(f"rows= goes with matrices of at most {_MOST_PIXELS} rows and columns")
        chosen = list(ints(rows, "rows"))
        wrong = [row for row in chosen if not 0 <= row < self.shape[0]]
        if wrong or not chosen:
            raise GeometryError(f"rows={shown(chosen)}: need some of 0 to {self.shape[0] - 1}")
        self.picture, self.chosen = self.picture[chosen], chosen
        self.words = None if self.words is None else [self.words[row] for row in chosen]
        self.shape = (len(chosen), self.shape[1])

    def colormap(self) -> Colormap:
        from matplotlib import colormaps

        return colormaps["viridis" if self.geometry is not None else "coolwarm"]

    def draw(
        self,
        title: str | None,
        ax: Axes | None,
        font: float,
        words: Words,
        cell: tuple[float, float] | None = None,
    ) -> Figure:
        """Draw it, in cells of a size in points, by default as large as its words need."""
        rows, columns = self.shape
        width, height = cell or self.cell(font, words)
        size = columns * width / 72, rows * height / 72
        named = self.words is not None and (ax is not None or max(size) <= _LARGEST_SIDE)
        if not named:
            scale = 7.5 / max(rows, columns)
            size, width, height = (columns * scale, rows * scale), 1.0, 1.0
        if ax is None:
            figure = new_figure(max(size[0], 2.5) + 0.8, max(size[1], 1.6) + 0.8)
            axes = figure.add_subplot()
        else:
            axes = ax
        axes.imshow(
            self.picture,
            cmap=self.colormap(),
            vmin=self.limits[0],
            vmax=self.limits[1],
            interpolation="nearest",
            extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
            aspect=height / width,
        )
        self._label(axes, f"{self.name}: {rows} x {columns}" if title is None else title, words)
        share = 1.0 if ax is None else share_that_fits(axes, columns * width, rows * height)
        if named and font * share >= _SMALLEST_FONT:
            self._write(axes, font * share, words)
        elif self.geometry is not None:
            self._key(axes, words)
        return figure_of(axes)

    def _label(self, axes: Axes, title: str, words: Words) -> None:
        ink = ink_of(axes)
        text: dict[str, Any] = {"fontfamily": words.families, "color": ink}
        axes.set_title(title, **text)
        axes.set_xlabel(words("input cell"), **text)
        axes.set_ylabel(words("output cell"), **text)
        axes.tick_params(colors=ink)
        axes.locator_params(integer=True)
        if self.chosen is not None:
            axes.set_yticks(range(len(self.chosen)), [str(row) for row in self.chosen])
        elif self.block == 1 and self.geometry is not None:
            _rule_blocks(axes, self.geometry)

    def cell(self, font: float, words: Words) -> tuple[float, float]:
        """The width and the height, in points, of cells that the longest word fits into; square if it is short."""
        height = 2.0 * font
        longest: set[str] = set()
        if self.words is not None:
            every = {word for row in self.words for word in row}
            most = max(map(len, every), default=0)
            longest = {word for word in every if len(word) >= most - 1}
        sizes = [words.size(word) for word in longest]
        width = max((size[0] * font for size in sizes), default=0.0) + 0.7 * font
        lines = max((word.count("\n") + 1 for word in longest), default=1)
        height = max(height, (1.25 * lines + 0.5) * font)
        return (max(width, height), max(width, height) if width < 1.5 * height else height)

    def _write(self, axes: Axes, font: float, words: Words) -> None:
        colors = self.colormap()
        span = (self.limits[1] - self.limits[0]) or 1.0
        for (row, column), number in np.ndenumerate(self.picture.astype(float).filled(np.nan)):
            word = self.words[row][column] if self.words is not None else ""
            if word:
                background = colors((number - self.limits[0]) / span) if number == number else "white"
                axes.text(
                    column,
                    row,
                    word,
                    ha="center",
                    va="center" if "\n" in word else "center_baseline",
                    linespacing=1.05,
                    color=ink_on(background),
                    fontsize=font,
                    fontfamily=words.families,
                    parse_math=False,
                    gid="cell",
                )

    def _key(self, axes: Axes, words: Words) -> None:
        """Which colour is which tap, in a small kernel beside the picture."""
        names, side = self._key_names(), self._key_cell(words)
        if not len(names):
            return
        room = points_of(axes)
        width, height = names.shape[1] * side / room[0], names.shape[0] * side / room[1]
        key = axes.inset_axes((1 + _KEY_GAP / room[0], 1 - height, width, height))
        kernel = np.arange(names.size).reshape(names.shape)
        key.imshow(kernel, cmap=self.colormap(), vmin=self.limits[0], vmax=self.limits[1], aspect="auto")
        key.set_xticks([])
        key.set_yticks([])
        for (row, column), name in np.ndenumerate(names):
            number = kernel[row, column]
            color = self.colormap()((number - self.limits[0]) / (self.limits[1] - self.limits[0]))
            ink = ink_on(color)
            key.text(column, row, name, ha="center", va="center_baseline", color=ink, fontsize=_KEY_FONT)

    def key_width(self, words: Words) -> float:
        """How many points the key takes, with the gap before it."""
        names = self._key_names()
        return _KEY_GAP + names.shape[1] * self._key_cell(words) if len(names) else 0.0

    def _key_cell(self, words: Words) -> float:
        return max((words.size(name)[0] for name in self._key_names().flat), default=0.0) * _KEY_FONT + 0.8 * _KEY_FONT

    def _key_names(self) -> NDArray[np.object_]:
        """The names of the taps, in rows and columns; none of a kernel that is too large."""
        kernel_size = self.geometry.kernel_size if self.geometry is not None else (0,)
        if prod(kernel_size) > _MOST_TAPS_IN_KEY:
            kernel_size = (0,)
        names = [_tap_word(index, kernel_size) for index in np.ndindex(*kernel_size)]
        return np.array(names, object).reshape(-1, max(kernel_size[-1], 1))


def _tap_word(index: Sequence[int], kernel_size: Sequence[int]) -> str:
    return "w" + "".join(map(str, index)) if max(kernel_size) <= 10 else "w" + ",".join(map(str, index))


def _of_numbers(matrix: Any) -> _Matrix:
    """Any matrix: blue where it is negative, red where it is positive."""
    rows, columns = matrix.shape
    if not matrix.size:
        raise GeometryError(f"a matrix of shape {shown(matrix.shape)} has no entries to draw")
    block = -(-max(rows, columns) // _MOST_PIXELS)
    strength = np.abs(matrix) if np.iscomplexobj(matrix) else matrix
    picture = np.zeros((-(-rows // block), -(-columns // block)))
    row, column = np.nonzero(matrix)
    picture[row // block, column // block] = strength[row, column]
    most = float(np.nanmax(np.abs(picture), initial=0.0)) or 1.0
    words = None
    if matrix.size <= _MOST_NAMED:
        words = [[number_text(value) if value != 0 else "" for value in line] for line in matrix.tolist()]
    return _Matrix("A", (rows, columns), np.ma.masked_equal(picture, 0), block, words, (-most * 1.6, most * 1.6))


def _of_geometry(geometry: Geometry, weight: Any, entries: str | None) -> _Matrix:
    if geometry.most_entries() > _MOST_ENTRIES:
        raise GeometryError.of(
            "the {matrix} is too large to draw: need at most {most} entries; a smaller layer looks the same",
            matrix=matrices.size_text(geometry),
            most=_MOST_ENTRIES,
        )
    if entries is not None and (not isinstance(entries, str) or entries not in ("names", "numbers")):
        raise GeometryError(f"entries={shown(entries)} is unknown: need 'names' or 'numbers'")
    if entries == "numbers" and weight is None:
        raise GeometryError("entries='numbers' needs a weight: a geometry has none; weight= would do")
    picture, block = _tap_picture(geometry)
    words = None
    if prod(geometry.matrix_shape) <= _MOST_NAMED:
        if weight is None or entries == "names":
            words = [[_on_lines(name) if name != "0" else "" for name in row] for row in symbolic_matrix(geometry)]
        else:
            values = matrices.dense(geometry, weight).tolist()
            words = [
                [number_text(value) if tap >= 0 else "" for value, tap in zip(row, taps, strict=True)]
                for row, taps in zip(values, picture.tolist(), strict=True)
            ]
    most = max(prod(geometry.kernel_size) - 1, 1) * 1.15  # the palest yellow is hard to see on white
    name = "Cᵀ" if geometry.transposed else "C"
    masked = np.ma.masked_less(picture, 0)
    return _Matrix(name, geometry.matrix_shape, masked, block, words, (0, most), geometry)


def _on_lines(name: str) -> str:
    """The name of an entry, on two lines where it names channels: they would make cells twice as wide."""
    return re.sub(r"w\[(\d+,\d+,)", r"w[\1\n", name).replace("+", "+\n") if "[" in name else name


def _tap_picture(geometry: Geometry) -> tuple[IntArray, int]:
    """The number of the tap in each entry, -1 for none, and how many entries a pixel's side stands for."""
    rows, columns = geometry.matrix_shape
    block = -(-max(rows, columns) // _MOST_PIXELS)
    picture = np.full((-(-rows // block), -(-columns // block)), -1, dtype=np.int64)
    first_taps = _first_taps(geometry)
    for channel in range(geometry.out_channels):
        row, column, taps = geometry.channel_entries(channel)
        picture[row // block, column // block] = first_taps[taps % len(first_taps)]
    return picture, block


def _first_taps(geometry: Geometry) -> IntArray:
    """For each combination of tap sets, the flat number of its first tap."""
    number = np.zeros((), dtype=np.int64)
    for axis in geometry.axes:
        first = np.array([tap_set[0] for tap_set in axis.tap_sets()])
        number = number[..., None] * axis.kernel + first
    return number.reshape(-1)


def _rule_blocks(axes: Axes, geometry: Geometry) -> None:
    """Rule off the channels; of a single one in a small picture, the rows of its grid."""
    for rule, shape in ((axes.axvline, geometry.in_shape), (axes.axhline, geometry.out_shape)):
        total = prod(shape)
        step = total // shape[0] if shape[0] > 1 else shape[-1]
        if 1 < step < total and (shape[0] > 1 or total <= _MOST_RULED_CELLS):
            for at in range(step, total, step):
                rule(at - 0.5, color="0.6", linewidth=0.7)


def padding_modes(
    geometry: Any,
    in_shape: Any = None,
    *,
    modes: Sequence[str] = PADDING_MODES,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw the matrix of one convolution under several padding modes, side by side.

    Padding that repeats inputs lets taps meet in one entry, which is their sum.

    Args:
        geometry, in_shape, arguments: as in :func:`sparsity`, without a bare matrix.
        modes: the padding modes. Default: all four
        ax, font_size, lang: as in :func:`sparsity`.

    Raises:
        GeometryError: if a mode cannot pad that far, or as of :func:`sparsity`.

    >>> from convmat import Geometry
    >>> figure = padding_modes(Geometry.conv((6,), 5, padding=2))
    """
    words = Words(lang)
    font = checked_font(font_size, _FONT)
    found, weight = with_weight(geometry, in_shape, **arguments)
    drawn = []
    for mode in modes:
        axes = tuple(replace(axis, padding_mode=mode) for axis in found.axes)
        drawn.append(_of_geometry(replace(found, axes=axes), weight, None))
    if not drawn:
        raise GeometryError("modes=() is empty: need at least one padding mode")
    cell = max(matrix.cell(font, words) for matrix in drawn)  # the widest, for all
    (rows, columns), (width, height) = found.matrix_shape, cell
    size = width * columns / 72, height * rows / 72
    share = min(_LARGEST_SIDE / (len(drawn) * size[0]), _LARGEST_SIDE / size[1], 1.0)  # of both sides, as cells shrink
    named = drawn[0].words is not None and font * share >= _SMALLEST_FONT
    if not named:
        size, share = (columns, rows), _UNNAMED_SIDE / max(rows, columns)
        for matrix in drawn:
            matrix.words = None  # so cells are square
    beside = 0.0 if named else drawn[0].key_width(words)
    figure, places = panels(ax, len(drawn), size[0] * share, size[1] * share, beside=beside)
    for matrix, mode, place in zip(drawn, modes, places, strict=True):
        matrix.draw(words(mode), place, font, words, cell)
        place.set(xlabel="", ylabel="", xticks=[], yticks=[])
    return figure
