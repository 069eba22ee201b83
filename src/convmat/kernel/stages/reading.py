"""Reading the input: packing the window that a box of cells reads, zeros around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from convmat.kernel.microkernel.memory import clear_bytes, pointer
from convmat.kernel.microkernel.packing import AHEAD, phase_packing, phases_packing
from convmat.kernel.microkernel.transposing import transposing
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.stages.transformed import build_transformed_reading
from convmat.kernel.task import (
    BATCH_INNER,
    CHANNEL_PITCH,
    CHANNELS,
    COPIES,
    INPUT,
    INPUT_STRIDE,
    PACKED_TOGETHER,
    PHASES_IN,
    PITCH,
    PLANE,
    PLANES,
    READ,
    STEP_IN,
    TRANSFORMED,
    USED,
    WINDOW,
)
from convmat.kernel.tiling.processor import MOST_TAKEN

_I8 = np.int64


def build_reading(pieces: Pieces) -> Any:
    """Compile the packing of windows.

    Returns:
        ``pack_window(t, window, row_starts, table, batch, depth, height, width, group)``: copies the cells that a box
        reads, zeros around, to (channels, phases, copies, cells). The numbers from ``batch`` to ``width`` are the first
        cell; ``row_starts`` and ``table`` are memory to work in.
    """
    size = pieces.vectors.size
    part_inside = _build_part_inside(pieces)
    pack_channels_last, pack_batch_inner = _build_transposing(pieces, part_inside)
    pack_rows = _build_rows(pieces, part_inside)
    pack_transformed = build_transformed_reading(pieces)

    @pieces.compiled
    def pack_window(t, window, row_starts, table, batch, depth, height, width, group, again):  # type: ignore[no-untyped-def]
        along = 0 if t[BATCH_INNER] else 4  # the axis of neighbours in the window
        if t[TRANSFORMED]:
            pack_transformed(t, window, batch, depth, height, width, group)
        elif t[INPUT_STRIDE + 1] == 1 and t[INPUT_STRIDE + along] != 1:
            clear_bytes(window, t[CHANNELS] * t[CHANNEL_PITCH] * size)
            pack_channels_last(t, window, table, batch, depth, height, width, group)
        elif t[BATCH_INNER] != 0 and t[INPUT_STRIDE + 4] == 1 and t[INPUT_STRIDE] != 1:
            clear_bytes(window, t[CHANNELS] * t[CHANNEL_PITCH] * size)
            pack_batch_inner(t, window, table, batch, depth, height, width, group)
        else:
            pack_rows(t, window, row_starts, batch, depth, height, width, group, again)

    return pack_window


def _build_part_inside(pieces: Pieces) -> Any:
    @pieces.compiled
    def part_inside(t, axis, first, phase):  # type: ignore[no-untyped-def]
        """The cells of a window along an axis whose phase is inside the input: from ``left`` to before ``stop``."""
        step = t[STEP_IN + axis - 1]
        left = min(max(-first, 0), t[WINDOW + axis])
        return left, max(min((t[READ + axis] - phase + step - 1) // step - first, t[WINDOW + axis]), left)

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
        step_d, step_h, step_w = t[STEP_IN], t[STEP_IN + 1], t[STEP_IN + 2]
        step = (t[INPUT_STRIDE] if inner else step_w * t[INPUT_STRIDE + 4]) * size
        images = min(t[WINDOW], t[READ] - batch)
        phases = carray(pointer(t[PHASES_IN]), (3 * t[PLANES] // copies,), _I8)
        for number in range(t[PLANES]):
            copy, place = number % copies, 3 * (number // copies)
            phase_d, phase_h, phase_w = phases[place], phases[place + 1], phases[place + 2]
            left_d, stop_d = part_inside(t, 1, depth, phase_d)
            left_h, stop_h = part_inside(t, 2, height, phase_h)
            left, stop = part_inside(t, 3, width + copy, phase_w)
            rows = images if inner else stop - left
            for b in range(1 if inner else images):
                for d in range(left_d, stop_d):
                    for h in range(left_h, stop_h):
                        for w in range(left, stop if inner else min(left + 1, stop)):
                            at_d, at_h = (depth + d) * step_d + phase_d, (height + h) * step_h + phase_h
                            source = (batch + b) * t[INPUT_STRIDE] + at_d * t[INPUT_STRIDE + 2]
                            source += at_h * t[INPUT_STRIDE + 3]
                            source += ((width + copy + w) * step_w + phase_w) * t[INPUT_STRIDE + 4]
                            cell = b * t[PITCH] + d * t[PITCH + 1] + h * t[PITCH + 2] + w * t[PITCH + 3]
                            transpose_all(
                                window + number * plane + cell * size,
                                t[CHANNEL_PITCH] * size,
                                t[INPUT] + (source + group * channels) * size,
                                step,
                                table,
                                rows,
                                channels,
                            )

    @pieces.compiled
    def pack_batch_inner(t, window, table, batch, depth, height, width, group):  # type: ignore[no-untyped-def]
        """Transpose, so that the images of a batch become neighbours instead of the cells along the width.

        Only where the input has one phase along the width, or else the cells would not be neighbours before.
        """
        channels, images = t[CHANNELS], min(t[WINDOW], t[READ] - batch)
        step_d, step_h = t[STEP_IN], t[STEP_IN + 1]
        phases = carray(pointer(t[PHASES_IN]), (3 * t[PLANES],), _I8)
        for number in range(t[PLANES]):
            phase_d, phase_h = phases[3 * number], phases[3 * number + 1]
            left_d, stop_d = part_inside(t, 1, depth, phase_d)
            left_h, stop_h = part_inside(t, 2, height, phase_h)
            left, stop = part_inside(t, 3, width, 0)
            for channel in range(channels):
                for d in range(left_d, stop_d):
                    for h in range(left_h, stop_h):
                        at_d, at_h = (depth + d) * step_d + phase_d, (height + h) * step_h + phase_h
                        source = batch * t[INPUT_STRIDE] + (group * channels + channel) * t[INPUT_STRIDE + 1]
                        source += at_d * t[INPUT_STRIDE + 2] + at_h * t[INPUT_STRIDE + 3] + width + left
                        cell = d * t[PITCH + 1] + h * t[PITCH + 2] + left * t[PITCH + 3]
                        transpose_all(
                            window + (channel * t[CHANNEL_PITCH] + number * t[PLANE] + cell) * size,
                            t[PITCH + 3] * size,
                            t[INPUT] + source * size,
                            t[INPUT_STRIDE] * size,
                            table,
                            images,
                            stop - left,
                        )

    return pack_channels_last, pack_batch_inner


def _build_rows(pieces: Pieces, part_inside: Any) -> Any:
    lanes, size, gather_row = pieces.lanes, pieces.vectors.size, _build_gathered_row(pieces)
    copy_line, pack_phase = phase_packing(pieces.vectors, [1]), phase_packing(pieces.vectors, range(2, MOST_TAKEN + 1))
    pack_phases = phases_packing(pieces.vectors, range(2, MOST_TAKEN + 1))

    @pieces.compiled
    def find_rows(t, starts, batch, depth, height, phase_d, phase_h):  # type: ignore[no-untyped-def]
        """Where each row of a phase starts: in the window, and in the input (-1: a row of zeros)."""
        row = 0
        for b in range(t[WINDOW]):
            for d in range(t[WINDOW + 1]):
                for h in range(t[WINDOW + 2]):
                    starts[2 * row] = (b * t[PITCH] + d * t[PITCH + 1] + h * t[PITCH + 2]) * size
                    at_b = batch + b
                    at_d, at_h = (depth + d) * t[STEP_IN] + phase_d, (height + h) * t[STEP_IN + 1] + phase_h
                    starts[2 * row + 1] = -1
                    if at_b < t[READ] and 0 <= at_d < t[READ + 1] and 0 <= at_h < t[READ + 2]:
                        at = at_b * t[INPUT_STRIDE] + at_d * t[INPUT_STRIDE + 2] + at_h * t[INPUT_STRIDE + 3]
                        starts[2 * row + 1] = at * size
                    row += 1

    @pieces.compiled
    def pack_rows(t, window, row_starts, batch, depth, height, width, group, again):  # type: ignore[no-untyped-def]
        """Copy row by row where the cells along the width are neighbours, else number by number.

        Where the same box is packed ``again``, for another group, the rows start where they did.
        """
        channels, copies, plane, used = t[CHANNELS], t[COPIES], t[PLANE] * size, t[USED] * size
        whole, rows, pitch = t[WINDOW + 3], t[WINDOW] * t[WINDOW + 1] * t[WINDOW + 2], t[PITCH + 3]
        apart, across, step = t[INPUT_STRIDE + 1] * size, t[INPUT_STRIDE + 4] * size, t[STEP_IN + 2]
        are_neighbours = pitch == 1 and across == size and step <= MOST_TAKEN
        together = t[PACKED_TOGETHER] if are_neighbours and copies == 1 else 1
        # The processor foresees the rows of a channel, not where the next channel lies.
        ahead = apart * max(1, AHEAD // (rows * whole * size))
        phases = carray(pointer(t[PHASES_IN]), (3 * t[PLANES] // copies,), _I8)
        for phase in range(0, t[PLANES] // copies, together):
            phase_d, phase_h, phase_w = phases[3 * phase], phases[3 * phase + 1], phases[3 * phase + 2]
            starts = carray(pointer(row_starts + 16 * phase * rows), (2 * rows,), _I8)
            if not again:
                find_rows(t, starts, batch, depth, height, phase_d, phase_h)
            for channel in range(channels):
                of_channel = t[INPUT] + (group * channels + channel) * apart
                for copy in range(copies):
                    to_plane = window + channel * t[CHANNEL_PITCH] * size + (phase * copies + copy) * plane
                    at = (width + copy) * step + phase_w  # number of a line
                    of_line, most = of_channel + at * across, (whole + lanes) * step
                    first, end = min(max(-at, 0), most), min(max(t[READ + 3] - at, 0), most)
                    # Each way has a loop of its own, whose numbers then all stay in registers.
                    if together > 1:
                        for row in range(rows):
                            to, further = to_plane + starts[2 * row], starts[2 * row + 1]
                            last = end if further >= 0 else first
                            pack_phases(step, to, plane, of_line + further, whole, first, last, ahead)
                    elif are_neighbours and step == 1:
                        for row in range(rows):
                            to, further = to_plane + starts[2 * row], starts[2 * row + 1]
                            copy_line(1, to, of_line + further, whole, first, end if further >= 0 else first, ahead)
                    elif are_neighbours:
                        for row in range(rows):
                            to, further = to_plane + starts[2 * row], starts[2 * row + 1]
                            last = end if further >= 0 else first
                            pack_phase(step, to, of_line + further, whole, first, last, ahead)
                    else:
                        left, stop = part_inside(t, 3, width + copy, phase_w)  # cells outside of the input are zeros
                        for row in range(rows):
                            to, further = to_plane + starts[2 * row], starts[2 * row + 1]
                            last = stop if further >= 0 else left
                            gather_row(to, of_line + further, left, last, whole, pitch, step * across)
                    for place in range(together):  # the last vector reads beyond the last cell
                        clear_bytes(to_plane + place * plane + used, plane - used)

    return pack_rows


def _build_gathered_row(pieces: Pieces) -> Any:
    number, size = pieces.number, pieces.vectors.size

    @pieces.compiled
    def gather_row(to, source, left, stop, whole, pitch, across):  # type: ignore[no-untyped-def]
        """Copy number by number."""
        cells = carray(pointer(to), (whole * pitch,), number)
        for cell in range(left):
            cells[cell * pitch] = 0
        for cell in range(stop, whole):
            cells[cell * pitch] = 0
        step = across // size
        numbers = carray(pointer(source), (whole * step,), number)
        for cell in range(left, stop):
            cells[cell * pitch] = numbers[cell * step]

    return gather_row
