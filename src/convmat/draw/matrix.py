"""Where the entries of a matrix are, and which tap stands in each."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from convmat import matrices
from convmat.draw.figures import new_figure
from convmat.geometry import Geometry, GeometryError, IntArray, geometry_of
from convmat.matrices.symbols import symbolic_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn

_MOST_NAMED_CELLS = 20
_MOST_RULED_CELLS = 150
_MOST_PIXELS = 800
_MOST_ENTRIES = 20_000_000


def sparsity(
    geometry: Geometry | nn.Module, in_shape: Sequence[int] | None = None, *, title: str | None = None
) -> Figure:
    """Draw the matrix of a geometry: one colour per tap, white where it is zero.

    Small matrices show the names of the taps; large ones are drawn in blocks, each with the tap that comes first in it.

    Args:
        geometry: direct (draws C) or transposed (draws Cᵀ), or a convolution layer.
        in_shape: with a layer, channels and spatial sizes of its input.
        title: above the picture. Default: the matrix' name and size
    """
    geometry = geometry_of(geometry, in_shape)
    if geometry.most_entries() > _MOST_ENTRIES:
        raise GeometryError(
            f"the {matrices.size_text(geometry)} is too large to draw: need at most {_MOST_ENTRIES} entries; "
            "a smaller layer looks the same"
        )
    rows, columns = geometry.matrix_shape
    picture, block = _tap_picture(geometry)
    height, width = picture.shape
    scale = 7.5 / max(height, width)
    figure = new_figure(max(width * scale, 2.5) + 0.8, max(height * scale, 1.6) + 0.8)
    axes = figure.add_subplot()
    axes.imshow(
        np.ma.masked_less(picture, 0),
        cmap="viridis",
        vmin=0,
        vmax=max(prod(geometry.kernel_size) - 1, 1) * 1.15,  # the palest yellow would hide the names
        interpolation="nearest",
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
        aspect="equal",
    )
    name = "Cᵀ" if geometry.transposed else "C"
    axes.set_title(title or f"{name}: {rows} x {columns}")
    axes.set_xlabel("input cell")
    axes.set_ylabel("output cell")
    axes.locator_params(integer=True)
    if block == 1:
        _rule_blocks(axes, geometry)
        if max(rows, columns) <= _MOST_NAMED_CELLS:
            _write_names(axes, geometry, picture)
    return figure


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


def _write_names(axes: Axes, geometry: Geometry, picture: IntArray) -> None:
    bright = prod(geometry.kernel_size) * 0.6  # of the palette, from here on
    for row, names in enumerate(symbolic_matrix(geometry)):
        for column, name in enumerate(names):
            if name != "0":
                color = "black" if picture[row, column] > bright else "white"
                size = 8 if len(name) < 5 else 5
                axes.text(column, row, name, ha="center", va="center", color=color, fontsize=size)
