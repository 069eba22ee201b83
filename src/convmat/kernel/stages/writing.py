"""Writing the output: interleaving the phases of a box into lines, and applying the epilogue to each number."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
from numba import carray

from convmat.kernel.microkernel.memory import pointer
from convmat.kernel.microkernel.transposing import transposing_cells, transposing_sums
from convmat.kernel.microkernel.weaving import finishing, interleave, interleave_pieces, interleave_some
from convmat.kernel.stages.finishing import build_epilogue, build_tables
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.stages.transformed import build_transformed_writing
from convmat.kernel.task import (
    BATCH_INNER,
    BY_CHANNELS,
    OUT_CHANNELS,
    OUTPUT,
    OUTPUT_STRIDE,
    PHASES_OUT,
    PLACES,
    STEP_OUT,
    STREAM,
    SUMS_PITCH,
    TRANSFORMED,
    WRITTEN,
)
from convmat.kernel.tiling.processor import LINE

_I8 = np.int64


def build_writing(pieces: Pieces) -> Any:
    """Compile the writing of lines.

    Returns:
        ``write(t, lines, first_line, last_line, results, table, biases, group, corner, box)``: writes the lines of a
        stripe, over a box of cells; the results start at its corner; ``table`` and ``biases`` are memory to work in.
    """
    inside = _build_inside(pieces)
    write_channels_last = _build_channels_last(pieces, *inside)
    are_neighbours, write_cells = _build_cells(pieces)
    write_lines = _build_lines(pieces, *inside)
    write_transformed = build_transformed_writing(pieces, *inside)

    @pieces.compiled
    def write(t, lines, first_line, last_line, results, table, biases, group, corner, box):  # type: ignore[no-untyped-def]
        along = 0 if t[BATCH_INNER] else 3  # the axis of neighbours among the results
        apart = t[OUTPUT_STRIDE + (0 if t[BATCH_INNER] else 4)]
        if t[BY_CHANNELS] and are_neighbours(t, box):
            write_cells(t, lines, first_line, last_line, results, table, biases, group, corner, box)
        elif t[TRANSFORMED]:
            write_transformed(t, lines, first_line, last_line, results, group, corner, box)
        elif t[OUTPUT_STRIDE + 1] == 1 and apart != 1 and t[SUMS_PITCH + along] == 1:
            write_channels_last(t, lines, first_line, last_line, results, table, biases, group, corner, box)
        else:
            write_lines(t, lines, first_line, last_line, results, table, biases, group, corner, box)

    return write


def _build_inside(pieces: Pieces) -> Any:
    @pieces.compiled
    def first_of_line(t, lines, line, corner):  # type: ignore[no-untyped-def]
        """The first output of a line along depth and height."""
        return corner[1] * t[STEP_OUT] + lines[3 * line + 1], corner[2] * t[STEP_OUT + 1] + lines[3 * line + 2]

    @pieces.compiled
    def cells_inside(t, axis, first, cells):  # type: ignore[no-untyped-def]
        """How many cells along an axis have an output inside the tensor; ``first`` is that of the first cell."""
        return min(cells, (t[WRITTEN + axis] - first + t[STEP_OUT + axis] - 1) // t[STEP_OUT + axis])

    return first_of_line, cells_inside


def _build_channels_last(pieces: Pieces, first_of_line: Any, cells_inside: Any) -> Any:
    size, write_block, (store_epilogues, _) = pieces.vectors.size, _build_block(pieces), build_tables(pieces)

    @pieces.compiled
    def write_channels_last(  # type: ignore[no-untyped-def]
        t, lines, first_line, last_line, results, table, biases, group, corner, box
    ):
        """Transpose: the channels, which are rows of the results, become neighbours in the output."""
        inner = t[BATCH_INNER] != 0
        phases, step, across = t[PHASES_OUT], t[STEP_OUT + 2], t[OUTPUT_STRIDE + 4]
        pitch = t[OUTPUT_STRIDE] if inner else step * across
        first_channel = lines[3 * first_line]
        kinds = 1  # how many lines each channel has
        while first_line + kinds < last_line and lines[3 * (first_line + kinds)] == first_channel:
            kinds += 1
        channels = (last_line - first_line) // kinds
        channel = group * t[OUT_CHANNELS] + first_channel
        epilogues = store_epilogues(t, biases, channel, channels, 1)
        sources = carray(pointer(table), (channels,), _I8)
        places = carray(pointer(t[PLACES]), (last_line * phases,), _I8)
        for kind in range(kinds):
            first_d, first_h = first_of_line(t, lines, first_line + kind, corner)
            cells_d, cells_h = cells_inside(t, 0, first_d, box[1]), cells_inside(t, 1, first_h, box[2])
            for e in range(phases):
                for n in range(channels):
                    sources[n] = places[(first_line + kind + n * kinds) * phases + e] * size
                first_w = corner[3] * step + e
                cells_w = cells_inside(t, 2, first_w, box[3])
                columns = box[0] if inner else cells_w
                for b in range(1 if inner else box[0]):
                    for d in range(cells_d):
                        for h in range(cells_h):
                            for w in range(cells_w if inner else min(cells_w, 1)):
                                source = b * t[SUMS_PITCH] + d * t[SUMS_PITCH + 1] + h * t[SUMS_PITCH + 2]
                                source += w * t[SUMS_PITCH + 3]
                                at_d, at_h = first_d + d * t[STEP_OUT], first_h + h * t[STEP_OUT + 1]
                                to = (corner[0] + b) * t[OUTPUT_STRIDE] + at_d * t[OUTPUT_STRIDE + 2]
                                to += at_h * t[OUTPUT_STRIDE + 3] + (first_w + w * step) * across + channel
                                write_block(t, to, pitch, results + source * size, table, epilogues, channels, columns)

    return write_channels_last


def _build_cells(pieces: Pieces) -> Any:
    lanes, size, transpose = pieces.lanes, pieces.vectors.size, transposing_cells(pieces.vectors)
    store_epilogues, epilogues_from = build_tables(pieces)

    @pieces.compiled
    def are_neighbours(t, box):  # type: ignore[no-untyped-def]
        """Whether the outputs of a box in an image follow one another in memory."""
        follow_h = box[2] == 1 or t[OUTPUT_STRIDE + 3] == box[3]
        follow_d = box[1] == 1 or t[OUTPUT_STRIDE + 2] == box[2] * box[3]
        return t[PHASES_OUT] == t[OUTPUT_STRIDE + 4] == t[STEP_OUT] * t[STEP_OUT + 1] == 1 and follow_d and follow_h

    @pieces.compiled
    def write_cells(t, lines, first_line, last_line, results, table, biases, group, corner, box):  # type: ignore[no-untyped-def]
        """Transpose: the cells of an image, which lie apart in the results, become neighbours in the output."""
        cells, pitch, apart = box[1] * box[2] * box[3], t[SUMS_PITCH + 3] * size, t[OUTPUT_STRIDE + 1] * size
        channel, channels = group * t[OUT_CHANNELS] + lines[3 * first_line], last_line - first_line
        of_box = corner[1] * t[OUTPUT_STRIDE + 2] + corner[2] * t[OUTPUT_STRIDE + 3] + corner[3]
        starts = carray(pointer(table), (lanes,), _I8)
        for lane in range(lanes):
            starts[lane] = lane * pitch
        epilogues = store_epilogues(t, biases, channel, channels, 1)
        for b in range(box[0]):
            image = t[OUTPUT] + ((corner[0] + b) * t[OUTPUT_STRIDE] + of_box) * size + channel * apart
            sums = results + b * t[SUMS_PITCH] * size
            for n in range(0, channels, lanes):
                for cell in range(0, cells, lanes):
                    to, of = image + n * apart + cell * size, sums + cell * pitch + n * size
                    count = min(lanes, cells - cell)
                    transpose(to, apart, of, table, count, lanes, epilogues_from(epilogues, n))

    return are_neighbours, write_cells


def _build_block(pieces: Pieces) -> Any:
    lanes, size, transpose = pieces.lanes, pieces.vectors.size, transposing_sums(pieces.vectors)
    _, epilogues_from = build_tables(pieces)

    @pieces.compiled
    def write_block(t, to, pitch, results, table, epilogues, channels, columns):  # type: ignore[no-untyped-def]
        """Transpose the channels of neighbouring results; ``table`` says where the results of each channel begin."""
        for column in range(0, columns, lanes):
            for n in range(0, channels, lanes):
                target = t[OUTPUT] + (to + n + column * pitch) * size
                fills_lines = lanes * size == LINE and ((target | (pitch * size)) & (LINE - 1)) == 0
                transpose(
                    target,
                    pitch * size,
                    results + column * size,
                    table + n * 8,
                    min(lanes, channels - n),
                    min(lanes, columns - column),
                    epilogues_from(epilogues, n),
                    t[STREAM] * fills_lines,
                )

    return write_block


def _build_lines(pieces: Pieces, first_of_line: Any, cells_inside: Any) -> Any:
    lanes, size = pieces.lanes, pieces.vectors.size
    epilogue_of, (store_epilogues, _) = build_epilogue(pieces), build_tables(pieces)
    write_images, scatter_row = _build_images(pieces), _build_scattering(pieces)
    write_row = _build_row(pieces, scatter_row)

    @pieces.compiled
    def write_lines(t, lines, first_line, last_line, results, table, biases, group, corner, box):  # type: ignore[no-untyped-def]
        """Line by line."""
        step, phases, across, pitch = t[STEP_OUT + 2], t[PHASES_OUT], t[OUTPUT_STRIDE + 4], t[SUMS_PITCH + 3]
        neighbours = across == 1 and pitch == 1 and phases == step
        images_apart = t[BATCH_INNER] != 0 and across == 1 and phases == step
        stream = t[STREAM] != 0
        count = min(box[3] * step, t[WRITTEN + 2] - corner[3] * step)
        of_box = t[OUTPUT] + (corner[0] * t[OUTPUT_STRIDE] + corner[3] * step * across) * size
        apart_b, apart_d, apart_h = t[OUTPUT_STRIDE] * size, t[OUTPUT_STRIDE + 2] * size, t[OUTPUT_STRIDE + 3] * size
        pitch_b, pitch_d, pitch_h = t[SUMS_PITCH] * size, t[SUMS_PITCH + 1] * size, t[SUMS_PITCH + 2] * size
        step_d, step_h = t[STEP_OUT], t[STEP_OUT + 1]
        places = t[PLACES]
        for line in range(first_line, last_line):
            channel = group * t[OUT_CHANNELS] + lines[3 * line]
            epilogue = epilogue_of(t, channel)
            of_line = places + line * phases * 8
            first_d, first_h = first_of_line(t, lines, line, corner)
            most_d, most_h = cells_inside(t, 0, first_d, box[1]), cells_inside(t, 1, first_h, box[2])
            out_line = of_box + channel * t[OUTPUT_STRIDE + 1] * size + first_d * apart_d + first_h * apart_h
            for b in range(1 if images_apart else box[0]):
                for d in range(most_d):
                    for h in range(most_h):
                        to = out_line + b * apart_b + d * step_d * apart_d + h * step_h * apart_h
                        source = results + b * pitch_b + d * pitch_d + h * pitch_h
                        if images_apart:
                            epilogues = store_epilogues(t, biases, channel, lanes, 0)
                            write_images(to, apart_b, count, source, of_line, step, pitch, table, epilogues, box[0])
                        elif neighbours:
                            write_row(to, count, source, of_line, step, stream, epilogue)
                        else:
                            scatter_row(to, count, source, of_line, step, phases, pitch, across, epilogue, 0)

    return write_lines


def _build_images(pieces: Pieces) -> Any:
    lanes, size, transpose = pieces.lanes, pieces.vectors.size, transposing_sums(pieces.vectors)

    @pieces.compiled
    def write_images(to, apart, count, source, places, step, pitch, table, epilogues, images):  # type: ignore[no-untyped-def]
        """Interleave the phases of all images, which are neighbours among the results, into ``count`` outputs each."""
        rows, starts = carray(pointer(places), (step,), _I8), carray(pointer(table), (lanes,), _I8)
        for first in range(0, count, lanes):
            outputs = min(lanes, count - first)
            for n in range(outputs):
                cell, e = divmod(first + n, step)
                starts[n] = (rows[e] + cell * pitch) * size
            for image in range(0, images, lanes):
                transpose(
                    to + first * size + image * apart,
                    apart,
                    source + image * size,
                    table,
                    outputs,
                    min(lanes, images - image),
                    epilogues,
                    0,
                )

    return write_images


def _build_row(pieces: Pieces, scatter_row: Any) -> Any:
    lanes, size, vectors = pieces.lanes, pieces.vectors.size, pieces.vectors
    weave = interleave(vectors, pieces.steps)
    weave_some = interleave_some(vectors, pieces.steps)
    weave_past = interleave(vectors, pieces.steps, non_temporal=True)
    weave_pieces = interleave_pieces(vectors, [piece for piece in (1, 2, 4, 8) if piece <= lanes])
    most_pieces, most_steps = min(lanes, 8), pieces.steps[-1]
    # How many vectors of cells end where a cache line does, by the step.
    until_lines_end = np.array([LINE // gcd(LINE, step * lanes * size) for step in range(most_steps + 1)])

    @pieces.compiled
    def write_row(to, count, source, places, step, stream, epilogue):  # type: ignore[no-untyped-def]
        """Interleave the phases along width into ``count`` neighbouring outputs."""
        whole = count // (step * lanes)
        if step <= most_steps:
            together = until_lines_end[step]
            past = whole // together * together if stream and to % LINE == 0 else 0
            for n in range(past):
                weave_past(step, to + n * step * lanes * size, source + n * lanes * size, places, epilogue)
            for n in range(past, whole):
                weave(step, to + n * step * lanes * size, source + n * lanes * size, places, epilogue)
            rest = count - whole * step * lanes
            if rest:
                weave_some(step, to + (count - rest) * size, source + whole * lanes * size, places, epilogue, rest)
            return
        for n in range(whole):
            first = 0
            while first < step:
                pieces = most_pieces
                while pieces > step - first:
                    pieces //= 2
                at = to + (n * lanes * step + first) * size
                weave_pieces(pieces, at, source + n * lanes * size, places + first * 8, epilogue, step)
                first += pieces
        scatter_row(to, count, source, places, step, step, 1, 1, epilogue, whole * lanes)

    return write_row


def _build_scattering(pieces: Pieces) -> Any:
    number, size, finish = pieces.number, pieces.vectors.size, finishing(pieces.vectors)

    @pieces.compiled
    def scatter_row(to, count, source, places, step, phases, pitch, across, epilogue, start):  # type: ignore[no-untyped-def]
        """The same number by number, from the cell ``start`` on: for numbers that are not neighbours in memory."""
        output = carray(pointer(to), (count * across,), number)
        rows = carray(pointer(places), (phases,), _I8)
        for e in range(phases):
            sums = carray(pointer(source + rows[e] * size), (count * pitch,), number)
            for w in range(start, (count - e + step - 1) // step):
                output[(w * step + e) * across] = finish(sums[w * pitch], epilogue)

    return scatter_row
