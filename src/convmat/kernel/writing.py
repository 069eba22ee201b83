"""Writing lines: the part of the kernel that interleaves phases into the output."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from convmat.kernel import microkernel
from convmat.kernel.pieces import Pieces
from convmat.kernel.task import (
    BATCH_INNER,
    BIAS,
    GROUPS,
    OUT_SIZE,
    OUTPUT,
    OUTPUT_STRIDE,
    PHASES,
    PITCH,
    PLACES,
    ROWS,
    STEP,
    STREAM,
)

_I8 = np.int64


def build_writing(pieces: Pieces) -> Any:
    """Compile the writing of lines.

    Returns:
        ``write(t, lines, first_line, last_line, results, steps, added, group, corner, box)``: writes the lines of a
        stripe, over a box of cells; the results start at its corner; ``steps`` and ``added`` are memory to work in.
    """
    compiled, number, lanes, size = pieces.compiled, pieces.number, pieces.lanes, pieces.vectors.size
    vectors, pointer = pieces.vectors, microkernel.pointer
    weave = microkernel.interleave(vectors, pieces.steps)
    weave_some = microkernel.interleave_some(vectors, pieces.steps)
    weave_past = microkernel.interleave(vectors, pieces.steps, past_caches=True)
    weave_pieces = microkernel.interleave_pieces(vectors, [piece for piece in (1, 2, 4, 8) if piece <= lanes])
    transpose = microkernel.transposing_sums(vectors)
    most_pieces, most_steps = min(lanes, 8), pieces.steps[-1]

    @pieces.inlined
    def write(t, lines, first_line, last_line, results, steps, added, group, corner, box):  # type: ignore[no-untyped-def]
        along = 0 if t[BATCH_INNER] else 3  # the axis of neighbours among the results
        apart = t[OUTPUT_STRIDE + (0 if t[BATCH_INNER] else 4)]
        if t[OUTPUT_STRIDE + 1] == 1 and apart != 1 and t[PITCH + along] == 1:
            write_channels_last(t, lines, first_line, last_line, results, steps, added, group, corner, box)
        else:
            write_lines(t, lines, first_line, last_line, results, steps, added, group, corner, box)

    @compiled
    def first_of_line(t, lines, line, corner):  # type: ignore[no-untyped-def]
        """The first output of a line along depth and height."""
        return corner[1] * t[STEP] + lines[3 * line + 1], corner[2] * t[STEP + 1] + lines[3 * line + 2]

    @compiled
    def cells_inside(t, axis, first, cells):  # type: ignore[no-untyped-def]
        """How many of the cells along depth, height or width have an output; ``first`` is that of the first cell."""
        return min(cells, (t[OUT_SIZE + axis] - first + t[STEP + axis] - 1) // t[STEP + axis])

    @compiled
    def write_channels_last(  # type: ignore[no-untyped-def]
        t, lines, first_line, last_line, results, steps, added, group, corner, box
    ):
        """Channels, which are rows of the results, become neighbours."""
        inner = t[BATCH_INNER] != 0
        phases, step, across = t[PHASES], t[STEP + 2], t[OUTPUT_STRIDE + 4]
        pitch = t[OUTPUT_STRIDE] if inner else step * across
        first_channel = lines[3 * first_line]
        kinds = 1  # lines of a channel
        while first_line + kinds < last_line and lines[3 * (first_line + kinds)] == first_channel:
            kinds += 1
        channels = (last_line - first_line) // kinds
        channel = group * t[ROWS] + first_channel
        table, places = carray(pointer(steps), (channels,), _I8), t[PLACES]
        summands = carray(pointer(added), (channels,), number)
        for n in range(channels):
            summands[n] = 0
            if t[BIAS]:
                summands[n] = carray(pointer(t[BIAS]), (t[ROWS] * t[GROUPS],), number)[channel + n]
        for kind in range(kinds):
            first_d, first_h = first_of_line(t, lines, first_line + kind, corner)
            cells_d, cells_h = cells_inside(t, 0, first_d, box[1]), cells_inside(t, 1, first_h, box[2])
            for e in range(phases):
                for n in range(channels):
                    place = (first_line + kind + n * kinds) * phases + e
                    table[n] = carray(pointer(places + place * 8), (1,), _I8)[0] * size
                first_w = corner[3] * step + e
                cells_w = cells_inside(t, 2, first_w, box[3])
                columns = box[0] if inner else cells_w
                for b in range(1 if inner else box[0]):
                    for d in range(cells_d):
                        for h in range(cells_h):
                            for w in range(cells_w if inner else min(cells_w, 1)):
                                source = b * t[PITCH] + d * t[PITCH + 1] + h * t[PITCH + 2] + w * t[PITCH + 3]
                                to = (corner[0] + b) * t[OUTPUT_STRIDE] + (first_d + d * t[STEP]) * t[OUTPUT_STRIDE + 2]
                                to += (first_h + h * t[STEP + 1]) * t[OUTPUT_STRIDE + 3] + (first_w + w * step) * across
                                for column in range(0, columns, lanes):
                                    for n in range(0, channels, lanes):
                                        target = t[OUTPUT] + (to + channel + n + column * pitch) * size
                                        transpose(
                                            target,
                                            pitch * size,
                                            results + (source + column) * size,
                                            steps + n * 8,
                                            min(lanes, channels - n),
                                            min(lanes, columns - column),
                                            added + n * size,
                                            t[STREAM] * (((target | (pitch * size)) & (lanes * size - 1)) == 0),
                                        )

    @compiled
    def write_lines(t, lines, first_line, last_line, results, steps, added, group, corner, box):  # type: ignore[no-untyped-def]
        """Line by line."""
        step, phases, across, pitch = t[STEP + 2], t[PHASES], t[OUTPUT_STRIDE + 4], t[PITCH + 3]
        neighbours = across == 1 and pitch == 1 and phases == step
        images_apart = t[BATCH_INNER] != 0 and across == 1 and phases == step
        stream = t[STREAM] != 0
        count = min(box[3] * step, t[OUT_SIZE + 2] - corner[3] * step)
        of_box = t[OUTPUT] + (corner[0] * t[OUTPUT_STRIDE] + corner[3] * step * across) * size
        apart_b, apart_d, apart_h = t[OUTPUT_STRIDE] * size, t[OUTPUT_STRIDE + 2] * size, t[OUTPUT_STRIDE + 3] * size
        pitch_b, pitch_d, pitch_h = t[PITCH] * size, t[PITCH + 1] * size, t[PITCH + 2] * size
        step_d, step_h = t[STEP], t[STEP + 1]
        tables, biases = t[PLACES], t[BIAS]
        for line in range(first_line, last_line):
            channel = group * t[ROWS] + lines[3 * line]
            bias = number(0)
            if biases:
                bias = carray(pointer(biases), (t[ROWS] * t[GROUPS],), number)[channel]
            table = tables + line * phases * 8
            first_d, first_h = first_of_line(t, lines, line, corner)
            most_d, most_h = cells_inside(t, 0, first_d, box[1]), cells_inside(t, 1, first_h, box[2])
            of_line = of_box + channel * t[OUTPUT_STRIDE + 1] * size + first_d * apart_d + first_h * apart_h
            for b in range(1 if images_apart else box[0]):
                for d in range(most_d):
                    for h in range(most_h):
                        to = of_line + b * apart_b + d * step_d * apart_d + h * step_h * apart_h
                        source = results + b * pitch_b + d * pitch_d + h * pitch_h
                        if images_apart:
                            write_images(to, apart_b, count, source, table, step, pitch, steps, added, bias, box[0])
                        elif neighbours:
                            write_row(to, count, source, table, step, stream, bias)
                        else:
                            scatter_row(to, count, source, table, step, phases, pitch, across, bias, 0)

    @compiled
    def write_images(to, apart, count, source, table, step, pitch, steps, added, bias, images):  # type: ignore[no-untyped-def]
        """Interleave the phases of all images, which are neighbours among the results, into ``count`` outputs each."""
        places, starts = carray(pointer(table), (step,), _I8), carray(pointer(steps), (lanes,), _I8)
        summands = carray(pointer(added), (lanes,), number)
        for lane in range(lanes):
            summands[lane] = bias
        for first in range(0, count, lanes):
            outputs = min(lanes, count - first)
            for n in range(outputs):
                cell, e = divmod(first + n, step)
                starts[n] = (places[e] + cell * pitch) * size
            for image in range(0, images, lanes):
                transpose(
                    to + first * size + image * apart,
                    apart,
                    source + image * size,
                    steps,
                    outputs,
                    min(lanes, images - image),
                    added,
                    0,
                )

    @compiled
    def write_row(to, count, source, table, step, stream, bias):  # type: ignore[no-untyped-def]
        """Interleave the phases along width into ``count`` neighbouring outputs."""
        whole = count // (step * lanes)
        if step <= most_steps:
            if stream and to % (lanes * size) == 0:
                for n in range(whole):
                    weave_past(step, to + n * step * lanes * size, source + n * lanes * size, table, bias)
            else:
                for n in range(whole):
                    weave(step, to + n * step * lanes * size, source + n * lanes * size, table, bias)
            rest = count - whole * step * lanes
            if rest:
                weave_some(step, to + (count - rest) * size, source + whole * lanes * size, table, bias, rest)
            return
        for n in range(whole):
            first = 0
            while first < step:
                pieces = most_pieces
                while pieces > step - first:
                    pieces //= 2
                at = to + (n * lanes * step + first) * size
                weave_pieces(pieces, at, source + n * lanes * size, table + first * 8, bias, step)
                first += pieces
        scatter_row(to, count, source, table, step, step, 1, 1, bias, whole * lanes)

    @compiled
    def scatter_row(to, count, source, table, step, phases, pitch, across, bias, start):  # type: ignore[no-untyped-def]
        """The same, number by number, for outputs and results that are no neighbours, from a cell on."""
        output = carray(pointer(to), (count * across,), number)
        places = carray(pointer(table), (phases,), _I8)
        for e in range(phases):
            sums = carray(pointer(source + places[e] * size), (count * pitch,), number)
            for w in range(start, (count - e + step - 1) // step):
                output[(w * step + e) * across] = sums[w * pitch] + bias

    return write
