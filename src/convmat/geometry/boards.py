"""One axis as pictures show it: a row of cells, and which of them the kernel covers in each of its places."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convmat.geometry.axis import Axis
from convmat.geometry.table import IntArray

# What a cell is that is no copy of an element: a zero between two elements, or a zero of the padding.
INSERTED, PADDED = -1, -2


@dataclass(frozen=True)
class Board:
    """The cells that the kernel slides over along one axis.

    Attributes:
        cells: of shape (cells,): the element that each is a copy of, or :data:`INSERTED` or :data:`PADDED`.
        places: ``places.reads(o)`` are the ``(position in the kernel, cell)`` pairs of output ``o``.
        taps: the tap at each position in the kernel: in order, or backwards where the kernel is flipped.
        own: the first and the last cell, exclusive, that is no padding.
    """

    cells: IntArray
    places: Axis
    taps: tuple[int, ...]
    own: tuple[int, int]


@dataclass(frozen=True)
class Canvas:
    """The sum of the stamps of Cᵀ along one axis, before it is cropped.

    Attributes:
        stamps: ``stamps.reads(i)`` are the ``(tap, cell)`` pairs that input ``i`` of Cᵀ puts a copy of the kernel on.
        frame: the first and the last cell, exclusive, of the output. It may reach beyond the last stamp.
        size: cells that hold the stamps and the frame.
    """

    stamps: Axis
    frame: tuple[int, int]
    size: int


def padded_board(axis: Axis) -> Board:
    """The padded input of C, on which the windows lie.

    >>> padded_board(Axis.conv(4, kernel=3, padding=1)).cells
    array([-2,  0,  1,  2,  3, -2])
    """
    sources = axis.padding_source()
    places = replace(axis, inputs=axis.padded, lo=0, hi=0, padding_mode="zeros")
    cells = np.where(sources < 0, PADDED, sources)
    return Board(cells, places, tuple(range(axis.kernel)), (axis.lo, axis.lo + axis.inputs))


def inserted_board(axis: Axis) -> Board:
    """The input of Cᵀ with zeros inserted and padded, on which the flipped kernel lies (zero padding alone).

    >>> inserted_board(Axis.conv_transpose(3, kernel=3, stride=2, padding=1)).cells
    array([-2,  0, -1,  1, -1,  2, -2])
    """
    before, _ = axis.zero_insertion_padding()
    steps, rests = np.divmod(np.arange(axis.inputs + axis.extent - 1) - before, axis.stride)
    cells = np.where(rests == 0, steps, INSERTED)
    pulled = (axis.outputs - 1) * axis.stride + 1
    inside = (steps >= 0) & (steps * axis.stride + rests < pulled)
    places = Axis(len(cells), axis.inputs, axis.kernel, 1, axis.dilation)
    own = (max(before, 0), max(min(before + pulled, len(cells)), 0))
    return Board(np.where(inside, cells, PADDED), places, tuple(reversed(range(axis.kernel))), own)


def canvas(axis: Axis) -> Canvas:
    """The stamps of Cᵀ, and the output as a frame on their sum.

    ``padding`` moves the near edge of the frame in; ``output_padding`` moves the far edge out.

    >>> canvas(Axis.conv_transpose(3, kernel=3, stride=2, padding=1, output_padding=1)).frame
    (1, 7)
    """
    size = axis.padded - axis.slack
    stamps = replace(axis, inputs=size, lo=0, hi=0, padding_mode="zeros")
    frame = (axis.lo, axis.lo + axis.inputs)
    return Canvas(stamps, frame, max(size, frame[1]))
