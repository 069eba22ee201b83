"""What lines of cells read inside of the input, and not among the zeros around it.

A line is the cells along the width. Where lanes are output channels, and each tile is of one line, it leaves out the
deltas through which that line reads zeros alone: of a kernel of 3x3x3 over 6x6x6 inputs, with a padding of 1, a fifth.
The input has one phase along each axis.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import NamedTuple

import numpy as np

from convmat.geometry.table import IntArray
from convmat.kernel.tiling.rows import RowTiling

_OUTER = 2  # axes beside the width: depth and height


class LinesInside(NamedTuple):
    """The deltas through which lines read the input.

    Args:
        parts: the first of these deltas, and the one after the last: for each part of the phases along depth, and each
            cell along depth; then the same for height.
        products: for each product, where the cells of its part along depth begin, and of that along height; and how
            many of its deltas belong to one along depth, and to one along height.
    """

    parts: IntArray
    products: IntArray


def lines_inside(rows: RowTiling, read: tuple[int, ...], cells: tuple[int, ...]) -> LinesInside:
    """The deltas through which lines read the input.

    Args:
        rows: how the rows are cut; each phase along depth and height is a class by itself.
        read: inputs along depth, height and width.
        cells: cells along these.
    """
    inside = [of_part for a in range(_OUTER) for of_part in _of_parts(rows, a, read[a], cells[a])]
    begins = np.array(list(accumulate(map(len, inside), initial=0)))
    places = rows.tables.products[:, :_OUTER] + np.array([0, len(rows.parts[0])])
    deltas = [[len(rows.parts[a][n].deltas) for a, n in enumerate(numbers)] for numbers in rows.tables.products]
    of_width = np.array(deltas)[:, -1]
    of_height = np.array(deltas)[:, -2] * of_width
    return LinesInside(np.concatenate(inside), np.stack([*begins[places].T, of_height, of_width], axis=1))


def share_inside(rows: RowTiling, read: tuple[int, ...], cells: tuple[int, ...]) -> float:
    """The share of all products that lines do not leave out; the arguments are those of :func:`lines_inside`."""
    return prod(_share_along(rows, a, read[a], cells[a]) for a in range(_OUTER))


def _share_along(rows: RowTiling, a: int, read: int, cells: int) -> float:
    inside = sum(int(np.diff(of_part).sum()) for of_part in _of_parts(rows, a, read, cells))
    return inside / max(cells * sum(len(part.deltas) for part in rows.parts[a]), 1)


def _of_parts(rows: RowTiling, a: int, read: int, cells: int) -> list[IntArray]:
    """For each part along an axis and each cell: its first delta inside of the input, and the one after the last."""
    return [_inside(part.deltas, read, cells) for part in rows.parts[a]]


def _inside(deltas: tuple[int, ...], read: int, cells: int) -> IntArray:
    at = np.arange(cells)[:, None] + np.array(deltas, dtype=np.int64)
    is_inside = (at >= 0) & (at < read)
    count = is_inside.sum(axis=1)  # they are neighbours
    first = np.where(count > 0, is_inside.argmax(axis=1), 0) if deltas else count
    return np.stack([first, first + count], axis=1)
