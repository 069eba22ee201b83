"""Windows and lines in Winograd's form: see :mod:`convmat.kernel.tiling.winograd`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from convmat.kernel.microkernel.memory import clear_bytes, pointer
from convmat.kernel.microkernel.packing import AHEAD
from convmat.kernel.microkernel.winograd import (
    cells_at_once,
    finishing_some_transformed,
    finishing_transformed,
    transforming,
)
from convmat.kernel.stages.finishing import build_epilogue
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.task import (
    CHANNEL_PITCH,
    CHANNELS,
    FORM_KINDS,
    INPUT,
    INPUT_STRIDE,
    ORIGIN,
    OUT_CHANNELS,
    OUTPUT,
    OUTPUT_STRIDE,
    PHASES_IN,
    PHASES_OUT,
    PITCH,
    PLACES,
    PLANE,
    PLANES,
    READ,
    STEP_IN,
    STEP_OUT,
    STREAM,
    TOGETHER,
    TRANSFORMED,
    USED,
    WINDOW,
    WRITTEN,
)
from convmat.kernel.tiling.processor import LINE
from convmat.kernel.tiling.winograd import OUTPUTS, READING_KINDS, WRITING_KINDS

_I8 = np.int64


def _build_divisions(pieces: Pieces) -> Any:
    """Divisions that are none where a dilation is 1: they would take as long as a vector of cells."""

    @pieces.compiled
    def rest_of(cell, dilation):  # type: ignore[no-untyped-def]
        return 0 if dilation == 1 else cell % dilation

    @pieces.compiled
    def rows_until(end, dilation):  # type: ignore[no-untyped-def]
        """How many rows, so far apart, there are from row 0 on before an end; negative ends count backwards."""
        return end if dilation == 1 else -(-end // dilation)

    return rest_of, rows_until


def build_transformed_reading(pieces: Pieces) -> Any:
    """Compile ``pack_transformed(t, window, batch, depth, height, width, group)``, for neighbours along the width.

    It stores the sums of inputs that each cell of a box reads, with zeros around the input, to (channels, phases along
    depth and height, planes, cells).
    """
    lanes, size = pieces.lanes, pieces.vectors.size
    transform, transform_some = transforming(pieces.vectors)
    cells_of_kind = np.array([cells_at_once(lanes, kind.dilation) for kind in READING_KINDS])
    rows_of_kind = np.array([len(kind.sums[0]) if kind.axes == 2 else 1 for kind in READING_KINDS])
    step_of_kind = np.array([kind.step for kind in READING_KINDS])
    rest_of, rows_until = _build_divisions(pieces)

    @pieces.compiled
    def transform_row(t, to, plane, source, place, first_row, last_row, ahead):  # type: ignore[no-untyped-def]
        """The sums of a row of cells, the first of which reads from the number ``place`` of a row of the input on.

        Of the rows that a cell reads, those from ``first_row`` to before ``last_row`` are inside the input. What lies
        ``ahead`` bytes further is prefetched.
        """
        kind, apart, dilation = t[FORM_KINDS], t[INPUT_STRIDE + 3] * t[TOGETHER + 1] * size, t[TOGETHER + 2]
        step = step_of_kind[kind]
        most = step * (lanes + dilation)  # numbers that a vector of cells reads
        has_all_rows = first_row <= 0 and last_row >= rows_of_kind[kind]
        for cell in range(0, t[WINDOW + 3], cells_of_kind[kind]):
            at, target = place + step * cell, to + cell * size
            first, last = max(-at, 0), min(t[READ + 3] - at, most)
            if has_all_rows and first <= 0 and last >= most:
                transform(kind, target, plane, source + at * size, apart, ahead)
            else:
                of = source + at * size
                transform_some(kind, target, plane, of, apart, ahead, first, last, first_row, last_row)

    @pieces.compiled
    def pack_transformed(t, window, batch, depth, height, width, group):  # type: ignore[no-untyped-def]
        channels, plane, step_d, step_h = t[CHANNELS], t[PLANE] * size, t[STEP_IN], t[STEP_IN + 1]
        planes, apart_h, step = t[STEP_IN + 2], t[TOGETHER + 1], step_of_kind[t[FORM_KINDS]]
        if t[TRANSFORMED] == 2:
            planes, step_h = planes * step_h, step
        place, whole = step * width + t[ORIGIN + 2], t[USED] * size
        rows = t[WINDOW] * t[WINDOW + 1] * t[WINDOW + 2]
        if t[TRANSFORMED] > 1:
            rows *= step
        ahead = t[INPUT_STRIDE + 1] * size * max(1, AHEAD // (rows * t[WINDOW + 3] * step * size))
        phases = carray(pointer(t[PHASES_IN]), (3 * t[PLANES],), _I8)
        for phase in range(t[PLANES] // planes):
            phase_d, phase_h = phases[3 * phase * planes], phases[3 * phase * planes + 1]
            for channel in range(channels):
                to_plane = window + channel * t[CHANNEL_PITCH] * size + phase * planes * plane
                of_channel = t[INPUT] + (group * channels + channel) * t[INPUT_STRIDE + 1] * size
                for b in range(t[WINDOW]):
                    for d in range(t[WINDOW + 1]):
                        for h in range(t[WINDOW + 2]):
                            at_d = (depth + d) * step_d + phase_d + t[ORIGIN]
                            at_h = (height + h) * step_h + phase_h + t[ORIGIN + 1]
                            at_h -= rest_of(height + h, apart_h)
                            first_row, last_row = rows_until(-at_h, apart_h), rows_until(t[READ + 2] - at_h, apart_h)
                            if batch + b >= t[READ] or at_d < 0 or at_d >= t[READ + 1]:
                                last_row = 0
                            cell = b * t[PITCH] + d * t[PITCH + 1] + h * t[PITCH + 2]
                            source = (batch + b) * t[INPUT_STRIDE] + at_d * t[INPUT_STRIDE + 2]
                            at, to = of_channel + (source + at_h * t[INPUT_STRIDE + 3]) * size, to_plane + cell * size
                            transform_row(t, to, plane, at, place, first_row, last_row, ahead)
                for number in range(planes):  # the last vector reads beyond the last cell
                    clear_bytes(to_plane + number * plane + whole, plane - whole)

    return pack_transformed


def build_transformed_writing(pieces: Pieces, first_of_line: Any, cells_inside: Any) -> Any:
    """Compile ``write_transformed(t, lines, first_line, last_line, results, group, corner, box)``.

    It writes the outputs that the results of a stripe make, over a box of cells, as neighbours along the width.
    """
    lanes, size, epilogue_of = pieces.lanes, pieces.vectors.size, build_epilogue(pieces)
    finish, finish_past = finishing_transformed(pieces.vectors), finishing_transformed(pieces.vectors, True)
    finish_some = finishing_some_transformed(pieces.vectors)
    cells_of_kind = np.array([cells_at_once(lanes, kind.dilation) for kind in WRITING_KINDS])
    rest_of, rows_until = _build_divisions(pieces)

    @pieces.compiled
    def write_cells(t, to, count, rows, apart, source, places, epilogue):  # type: ignore[no-untyped-def]
        """``count`` outputs along the width, in so many rows."""
        kind, axes, outputs = t[FORM_KINDS + 1], t[TRANSFORMED], t[STEP_OUT + 2]
        cells, stored = cells_of_kind[kind], outputs * lanes  # whole vectors are stored
        step = outputs * cells
        whole = (count - stored) // step + 1 if rows == axes and count >= stored else 0
        # Non-temporal stores want whole vectors, and no others that meet them halfway.
        if t[STREAM] != 0 and t[TOGETHER + 2] == 1 and count % stored == 0 and (to | apart) % LINE == 0:
            for n in range(whole):
                finish_past(kind, to + n * step * size, apart, source + n * lanes * size, places, epilogue)
        else:
            for n in range(whole):
                finish(kind, to + n * step * size, apart, source + n * cells * size, places, epilogue)
        for n in range(whole, (count + step - 1) // step):
            at, rest = to + n * step * size, min(step, count - n * step)
            finish_some(kind, at, apart, source + n * cells * size, places, epilogue, rest, rows)

    @pieces.compiled
    def write_transformed(t, lines, first_line, last_line, results, group, corner, box):  # type: ignore[no-untyped-def]
        outputs, axes = t[STEP_OUT + 2], t[TRANSFORMED]
        count = min(box[3] * outputs, t[WRITTEN + 2] - corner[3] * outputs)
        of_box = t[OUTPUT] + (corner[0] * t[OUTPUT_STRIDE] + corner[3] * outputs) * size
        rows_apart = t[STEP_OUT + 1] // OUTPUTS * t[TOGETHER + 1]  # with two axes, one of these is 1
        apart = rows_apart * t[OUTPUT_STRIDE + 3] * size
        for line in range(first_line, last_line):
            channel = group * t[OUT_CHANNELS] + lines[3 * line]
            epilogue = epilogue_of(t, channel)
            places = t[PLACES] + line * t[PHASES_OUT] * 8
            first_d, first_h = first_of_line(t, lines, line, corner)
            most_d = cells_inside(t, 0, first_d, box[1])
            most_h = box[2] if axes == 2 else cells_inside(t, 1, first_h, box[2])
            for b in range(box[0]):
                for d in range(most_d):
                    for h in range(most_h):
                        at_d, at_h = first_d + d * t[STEP_OUT], first_h + h * t[STEP_OUT + 1]
                        rows = 1
                        if axes == 2:
                            at_h -= rest_of(corner[2] + h, t[TOGETHER + 1])
                            rows = rows_until(t[WRITTEN + 1] - at_h, rows_apart)
                        to = b * t[OUTPUT_STRIDE] + channel * t[OUTPUT_STRIDE + 1]
                        to += at_d * t[OUTPUT_STRIDE + 2] + at_h * t[OUTPUT_STRIDE + 3]
                        source = results + (b * t[PITCH] + d * t[PITCH + 1] + h * t[PITCH + 2]) * size
                        if rows > 0:
                            inside = min(rows, axes)
                            write_cells(t, of_box + to * size, count, inside, apart, source, places, epilogue)

    return write_transformed
