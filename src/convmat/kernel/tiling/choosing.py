"""Which form a convolution has in the kernel, and into how many boxes it is cut.

All forms and many boxes are tried, which takes longer than a small layer itself. So the choice is made for the longest
axes that are like those at hand (:meth:`~convmat.Axis.longest_alike`), and kept: a model that meets a new length in
every call mostly finds it. What is computed with, such as where windows begin, is worked out for the sizes at hand.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from convmat.geometry.notes import Bounded
from convmat.geometry.product import Geometry
from convmat.kernel.tiling import boxes, by_channels
from convmat.kernel.tiling.boxes import BoxTiling
from convmat.kernel.tiling.processor import Processor
from convmat.kernel.tiling.rows import RowTiling, row_tilings

# Cycles to pack a number of a weight, and to do so in Winograd's form.
_PACK, _TRANSFORM = 2.8, 10.0
_FLOAT32 = 4  # bytes of the numbers that Winograd's form is for
_MOST_KEPT = 2048


class Wanted(NamedTuple):
    """What the choice depends on, besides the geometry.

    Args:
        batch: number of inputs.
        processor: what it runs on.
        contiguous: whether inputs are; only then can it have Winograd's form.
        keep: whether packed weights are kept; if not, packing them is part of each call.
    """

    batch: int
    processor: Processor
    contiguous: bool
    keep: bool


_choices: Bounded[tuple[RowTiling, BoxTiling]] = Bounded(_MOST_KEPT)


def tiling_of(geometry: Geometry, wanted: Wanted) -> tuple[RowTiling, BoxTiling]:
    """How rows and cells are cut; geometries that are alike have the same rows, and as many boxes."""
    rows, like = _choices.get_or_make((geometry.alike, wanted), lambda: _choose(geometry.longest_alike(), wanted))
    recut = by_channels.recut if rows.by_channels else boxes.recut
    return rows, recut(like, rows, geometry, wanted.batch, wanted.processor)


def weight_cycles(geometry: Geometry, wanted: Wanted, rows: RowTiling) -> float:
    """Cycles to pack the weight, if that is part of each call."""
    weights = prod(geometry.weight_shape)
    return 0.0 if wanted.keep else weights * (_TRANSFORM if rows.transformed else _PACK / wanted.processor.threads)


def _choose(geometry: Geometry, wanted: Wanted) -> tuple[RowTiling, BoxTiling]:
    transforms = wanted.contiguous and wanted.processor.itemsize == _FLOAT32
    ways = list(row_tilings(geometry, wanted.processor, transforms))
    if wanted.contiguous:
        ways += by_channels.row_tilings(geometry, wanted.processor)

    # By what one image takes: an image is computed to the same bits alone and among others.
    cuts = [(rows, _cut(rows, geometry, wanted._replace(batch=1))) for rows in ways]
    rows, cells = min(cuts, key=lambda cut: cut[1].cycles + weight_cycles(geometry, wanted, cut[0]))
    return rows, cells if wanted.batch == 1 else _cut(rows, geometry, wanted)


def _cut(rows: RowTiling, geometry: Geometry, wanted: Wanted) -> BoxTiling:
    if rows.by_channels:
        return by_channels.box_tiling(rows, geometry, wanted.batch, wanted.processor)
    return boxes.box_tiling(rows, geometry, wanted.batch, wanted.processor, wanted.contiguous)
