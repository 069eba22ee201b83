"""Reading the input: packing the window that a box of cells reads, zeros around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from convmat.kernel.microkernel.memory import clear_bytes, moves, pointer
from convmat.kernel.microkernel.transposing import transposing
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.task import (
    BATCH_INNER,
    CHANNELS,
    COPIES,
    INPUT,
    INPUT_STRIDE,
    PITCH,
    PLANE,
    READ,
    USED,
    WINDOW,
)

_I8 = np.int64


def build_reading(pieces: Pieces) -> Any:
    """Compile the packing of windows.

    Returns:
        ``pack_window(t, window, row_starts, table, batch, depth, height, width, group)``: copies the cells that a box
        reads, zeros around, to (channels, copies, cells). The numbers from ``batch`` to ``width`` are the first cell;
        ``row_starts`` and ``table`` are memory to work in.
    """
    size = pieces.vectors.size
    part_inside = _build_part_inside(pieces)
    pack_channels_last, pack_batch_inner = _build_transposing(pieces, part_inside)
    pack_rows = _build_rows(pieces, part_inside)

    @pieces.inlined
    def pack_window(t, window, row_starts, table, batch, depth, height, width, group):  # type: ignore[no-untyped-def]
        along = 0 if t[BATCH_INNER] else 4  # the axis of neighbours in the window
        if t[INPUT_STRIDE + 1] == 1 and t[INPUT_STRIDE + along] != 1:
            clear_bytes(window, t[CHANNELS] * t[COPIES] * t[PLANE] * size)
            pack_channels_last(t, window, table, batch, depth, height, width, group)
        elif t[BATCH_INNER] != 0 and t[INPUT_STRIDE + 4] == 1 and t[INPUT_STRIDE] != 1:
            clear_bytes(window, t[CHANNELS] * t[PLANE] * size)
            pack_batch_inner(t, window, table, batch, depth, height, width, group)
        else:
            pack_rows(t, window, row_starts, batch, depth, height, width, group)

    return pack_window


def _build_part_inside(pieces: Pieces) -> Any:
    @pieces.compiled
    def part_inside(t, axis, first):  # type: ignore[no-untyped-def]
        """The cells of a window along an axis that lie inside the input: from ``left`` to ``stop``, end excluded."""
        left = min(max(-first, 0), t[WINDOW + axis])
        return left, max(min(t[READ + axis] - first, t[WINDOW + axis]), left)

    return part_inside


def _build_transposing(pieces: Pieces, part_inside: Any) -> Any:
    """What transposes while it packs: inputs with their channels last, and images of a batch side by side."""
    lanes, size, transpose = pieces.lanes, pieces.vectors.size, transposing(pieces.vectors)

    @pieces.compiled
    def transpose_all(target, pitch, source, step, table, rows, columns):  # type: ignore[no-untyped-def]
        """Transpose: rows ``step`` bytes apart become neighbours, and neighbouring columns ``pitch`` bytes apart."""
        places = carray(pointer(table), (lanes,), _I8)
        for row in range(lanes):
            places[row] = row * step
        for row in range(0, rows, lanes):
            for column in range(0, columns, lanes):
                to, of = target + column * pitch + row * size, source + row * step + column * size
                transpose(to, pitch, of, table, min(lanes, rows - row), min(lanes, columns - column))

    @pieces.compiled
    def pack_channels_last(t, window, table, batch, depth, height, width, group):  # type: ignore[no-untyped-def]
        channels, copies, plane = t[CHANNELS], t[COPIES], t[PLANE] * size
        inner = t[BATCH_INNER] != 0
        step = t[INPUT_STRIDE + (0 if inner else 4)] * size
        images = min(t[WINDOW], t[READ] - batch)
        left_d, stop_d = part_inside(t, 1, depth)
        left_h, stop_h = part_inside(t, 2, height)
        for copy in range(copies):
            left, stop = part_inside(t, 3, width + copy)
            rows = images if inner else stop - left
            for b in range(1 if inner else images):
                for d in range(left_d, stop_d):
                    for h in range(left_h, stop_h):
                        for w in range(left, stop if inner else min(left + 1, stop)):
                            source = (batch + b) * t[INPUT_STRIDE] + (depth + d) * t[INPUT_STRIDE + 2]
                            source += (height + h) * t[INPUT_STRIDE + 3] + (width + copy + w) * t[INPUT_STRIDE + 4]
                            cell = b * t[PITCH] + d * t[PITCH + 1] + h * t[PITCH + 2] + w * t[PITCH + 3]
                            transpose_all(
                                window + copy * plane + cell * size,
                                copies * plane,
                                t[INPUT] + (source + group * channels) * size,
                                step,
                                table,
                                rows,
                                channels,
                            )

    @pieces.compiled
    def pack_batch_inner(t, window, table, batch, depth, height, width, group):  # type: ignore[no-untyped-def]
        """Transpose, so that the images of a batch become neighbours instead of the cells along the width."""
        channels, images = t[CHANNELS], min(t[WINDOW], t[READ] - batch)
        left_d, stop_d = part_inside(t, 1, depth)
        left_h, stop_h = part_inside(t, 2, height)
        left, stop = part_inside(t, 3, width)
        for channel in range(channels):
            for d in range(left_d, stop_d):
                for h in range(left_h, stop_h):
                    source = batch * t[INPUT_STRIDE] + (group * channels + channel) * t[INPUT_STRIDE + 1]
                    source += (depth + d) * t[INPUT_STRIDE + 2] + (height + h) * t[INPUT_STRIDE + 3] + width + left
                    cell = d * t[PITCH + 1] + h * t[PITCH + 2] + left * t[PITCH + 3]
                    transpose_all(
                        window + (channel * t[PLANE] + cell) * size,
                        t[PITCH + 3] * size,
                        t[INPUT] + source * size,
                        t[INPUT_STRIDE] * size,
                        table,
                        images,
                        stop - left,
                    )

    return pack_channels_last, pack_batch_inner


def _build_rows(pieces: Pieces, part_inside: Any) -> Any:
    size, (copy_row, gather_row) = pieces.vectors.size, _build_row(pieces)

    @pieces.compiled
    def pack_rows(t, window, row_starts, batch, depth, height, width, group):  # type: ignore[no-untyped-def]
        """Copy row by row where the cells along the width are neighbours, else number by number."""
        channels, copies, plane, used = t[CHANNELS], t[COPIES], t[PLANE] * size, t[USED] * size
        whole, rows, pitch = t[WINDOW + 3], t[WINDOW] * t[WINDOW + 1] * t[WINDOW + 2], t[PITCH + 3]
        apart, across = t[INPUT_STRIDE + 1] * size, t[INPUT_STRIDE + 4] * size
        starts = carray(
            pointer(row_starts), (2 * rows,), _I8
        )  # where each row starts: in the window, and in the input (-1: a row of zeros)
        row = 0
        for b in range(t[WINDOW]):
            for d in range(t[WINDOW + 1]):
                for h in range(t[WINDOW + 2]):
                    starts[2 * row] = (b * t[PITCH] + d * t[PITCH + 1] + h * t[PITCH + 2]) * size
                    at_b, at_d, at_h = batch + b, depth + d, height + h
                    starts[2 * row + 1] = -1
                    if at_b < t[READ] and 0 <= at_d < t[READ + 1] and 0 <= at_h < t[READ + 2]:
                        at = at_b * t[INPUT_STRIDE] + at_d * t[INPUT_STRIDE + 2] + at_h * t[INPUT_STRIDE + 3]
                        starts[2 * row + 1] = at * size
                    row += 1
        for channel in range(channels):
            of_channel = t[INPUT] + (group * channels + channel) * apart
            for copy in range(copies):
                to_plane = window + (channel * copies + copy) * plane
                first = width + copy
                left, stop = part_inside(t, 3, first)  # cells outside of the input are zeros
                for row in range(rows):
                    to = to_plane + starts[2 * row]
                    source = of_channel + starts[2 * row + 1] + first * across
                    last = stop if starts[2 * row + 1] >= 0 else left
                    if pitch == 1 and across == size:
                        copy_row(to, source, left, last, whole)
                    else:
                        gather_row(to, source, left, last, whole, pitch, across)
                clear_bytes(to_plane + used, plane - used)  # the last vector reads beyond the last cell

    return pack_rows


def _build_row(pieces: Pieces) -> Any:
    number, lanes, size = pieces.number, pieces.lanes, pieces.vectors.size
    move, move_some = moves(pieces.vectors)

    @pieces.compiled
    def copy_row(to, source, left, stop, whole):  # type: ignore[no-untyped-def]
        """Copy by whole vectors. The last one writes beyond the row, which the next row or the clearing overwrites."""
        for cell in range(0, whole, lanes):
            at = cell * size
            if left <= cell and cell + lanes <= stop:
                move(to + at, source + at)
            else:
                move_some(to + at, source + at, left - cell, stop - cell)

    @pieces.compiled
    def gather_row(to, source, left, stop, whole, pitch, across):  # type: ignore[no-untyped-def]
        cells = carray(pointer(to), (whole * pitch,), number)
        for cell in range(left):
            cells[cell * pitch] = 0
        for cell in range(stop, whole):
            cells[cell * pitch] = 0
        step = across // size
        numbers = carray(pointer(source), (whole * step,), number)
        for cell in range(left, stop):
            cells[cell * pitch] = numbers[cell * step]

    return copy_row, gather_row
