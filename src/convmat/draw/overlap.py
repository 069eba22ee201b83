"""How often each output of a transposed convolution is hit: where checkerboards come from."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from convmat.draw.figures import new_figure
from convmat.geometry import Geometry, GeometryError, geometry_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

_MOST_NUMBERED = 24
_MOST_CELLS = 4_000_000


def overlap(
    geometry: Geometry | nn.Module, in_shape: Sequence[int] | None = None, *, title: str | None = None
) -> Figure:
    """Draw how many taps reach each output of Cᵀ.

    An uneven map is a checkerboard in waiting: see Odena et al. (2016), "Deconvolution and checkerboard artifacts".

    Args:
        geometry: over one or two axes, or a convolution layer.
        in_shape: with a layer, channels and spatial sizes of its input.
        title: above the picture. Default: kernel and stride
    """
    geometry = geometry_of(geometry, in_shape)
    if geometry.ndim > 2:
        raise GeometryError(f"a geometry over {geometry.ndim} axes cannot be drawn: need 1 or 2")
    if prod(geometry.inputs) > _MOST_CELLS:
        raise GeometryError(
            f"an overlap of {prod(geometry.inputs)} cells is too large to draw: need at most {_MOST_CELLS}; a smaller "
            "layer looks the same"
        )
    counts = np.atleast_2d(geometry.overlap())
    height, width = counts.shape
    scale = 6 / max(height, width)
    figure = new_figure(max(width * scale, 2.5) + 1.4, max(height * scale, 1.2) + 0.8)
    axes = figure.add_subplot()
    image = axes.imshow(counts, cmap="magma", vmin=0, interpolation="nearest")
    axes.locator_params(integer=True)
    kernel, stride = ("x".join(map(str, sizes)) for sizes in (geometry.kernel_size, geometry.stride))
    axes.set_title(title or f"taps per output: kernel {kernel}, stride {stride}")
    figure.colorbar(image, ax=axes, ticks=np.unique(counts), shrink=0.8)
    if max(height, width) <= _MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            color = "black" if count > counts.max() / 2 else "white"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=7)
    return figure
