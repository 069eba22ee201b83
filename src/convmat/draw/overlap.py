"""How often each output of a transposed convolution is hit: where checkerboards come from."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from convmat.draw.colors import ink_on
from convmat.draw.figures import (
    check_ax,
    checked_font,
    figure_of,
    ink_of,
    new_figure,
    share_that_fits,
)
from convmat.draw.subject import as_tensor, with_weight
from convmat.draw.words import Words, sizes_text
from convmat.geometry import GeometryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FONT = 8.0
_MOST_NUMBERED = 4000
_LARGEST_SIDE = 24.0  # inches, of a picture with numbers
_MOST_CELLS = 4_000_000


def overlap(
    geometry: Any,
    in_shape: Any = None,
    *,
    title: str | None = None,
    most: int | None = None,
    ax: Axes | None = None,
    font_size: float | None = None,
    lang: str = "en",
    **arguments: Any,
) -> Figure:
    """Draw how many taps reach each output of Cᵀ.

    An uneven map is a checkerboard in waiting: see Odena et al. (2016), "Deconvolution and checkerboard artifacts".

    Args:
        geometry: over one or two axes; a convolution layer; a weight, as in :func:`conv_matrix`; or a matrix C, of
            whose columns the entries are counted.
        in_shape: of a layer, channels and spatial sizes of its input; of a weight, sizes of its input (also
            ``input_size=``).
        title: above the picture. Default: kernel and stride
        most: the count of the brightest colour, for pictures to compare. Default: the largest
        ax: matplotlib's axes to draw on. Default: a new figure
        font_size: of the counts, in points; cells grow with it, and on small axes they shrink. Default: 8
        lang: ``"en"`` or ``"zh"``. Default: ``"en"``
        arguments: as in :func:`sparsity`.

    Raises:
        GeometryError: if arguments do not go together, or the picture would be too large.

    >>> from convmat import Geometry
    >>> figure = overlap(Geometry.conv_transpose((4, 6), (3, 3), stride=2))
    """
    words, font = Words(lang), checked_font(font_size, _FONT)
    check_ax(ax)
    counts, default = _counts(geometry, in_shape, arguments, words)
    rows, columns = counts.shape
    texts = {str(count) for count in np.unique(counts)}
    cell = max(max(words.size(text)[0] for text in texts) + 0.7, 2.0) * font
    numbered = counts.size <= _MOST_NUMBERED and max(rows, columns) * cell / 72 <= _LARGEST_SIDE
    side = cell / 72 if numbered else 6 / max(rows, columns)
    if ax is None:
        figure = new_figure(max(columns * side, 2.5) + 1.4, max(rows * side, 1.2) + 0.8)
        axes = figure.add_subplot()
    else:
        axes = ax
    image = axes.imshow(counts, cmap="magma", vmin=0, vmax=most, interpolation="nearest")
    axes.locator_params(integer=True)
    ink = ink_of(axes)
    axes.set_title(default if title is None else title, fontfamily=words.families, color=ink)
    axes.tick_params(colors=ink)
    if not numbered:
        figure_of(axes).colorbar(image, ax=axes, ticks=np.unique(counts), shrink=0.8)
        return figure_of(axes)
    share = 1.0 if ax is None else share_that_fits(axes, columns * cell, rows * cell)
    for (row, column), count in np.ndenumerate(counts):
        axes.text(
            column,
            row,
            str(count),
            ha="center",
            va="center_baseline",
            color=ink_on(image.cmap(image.norm(count))),
            fontsize=font * share,
            fontfamily=words.families,
            gid="cell",
        )
    return figure_of(axes)


def _counts(geometry: Any, in_shape: Any, arguments: dict[str, Any], words: Words) -> tuple[Any, str]:
    """The counts as rows and columns, and a title."""
    tensor = as_tensor(geometry)
    if tensor is not None and tensor.ndim == 2 and in_shape is None and not arguments:
        return (tensor != 0).sum(0).numpy()[None], words("overlap.matrix")
    found, _ = with_weight(geometry, in_shape, **arguments)
    if found.ndim > 2:
        raise GeometryError.of("a geometry over {ndim} axes cannot be drawn: need 1 or 2", ndim=found.ndim)
    if prod(found.inputs) > _MOST_CELLS:
        raise GeometryError.of(
            "an overlap of {cells} cells is too large to draw: need at most {most}; a smaller layer looks the same",
            cells=prod(found.inputs),
            most=_MOST_CELLS,
        )
    sizes: list[Sequence[int]] = [found.kernel_size, found.stride]
    kernel, stride = sizes_text(sizes[0], in_full=True), sizes_text(sizes[1])
    return np.atleast_2d(found.overlap()), words("overlap", kernel=kernel, stride=stride)
