"""The kernel: what each thread does, from the windows of the input to the lines of the output.

It reads everything from one array of integers, its task, so that nothing is compiled again for another layer or size.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types

from convmat.kernel import microkernel
from convmat.kernel.task import (
    BATCH_INNER,
    BEFORE,
    BEGINS,
    BIAS,
    BOX,
    BOXES,
    CELLS,
    CHANNELS,
    CHUNKS,
    COPIES,
    COUNTERS,
    FIELDS,
    GROUPS,
    INPUT,
    INPUT_STRIDE,
    LINE_COUNT,
    LINES,
    LOOPED,
    NUMBERS,
    OFFSETS,
    OUT_SIZE,
    OUTPUT,
    OUTPUT_STRIDE,
    PACK_UNITS,
    PACKED,
    PARTS,
    PHASES,
    PIECES,
    PITCH,
    PLACES,
    PLANE,
    REACH,
    RESULTS,
    ROWS,
    SCRATCH,
    SCRATCH_BYTES,
    SIZE,
    STEP,
    STREAM,
    STRIPE_COUNT,
    STRIPES,
    TAP_PLACES,
    TAPS,
    TILE_COUNT,
    TILES,
    UNDIVIDED,
    UNITS,
    USED,
    WEIGHT,
    WINDOW,
)

_I8 = np.int64


def build(dtype: str, lanes: int, widest: tuple[int, ...], steps: tuple[int, ...], version: str) -> tuple[Any, ...]:
    """Compile the kernel, or load it: ``version`` tells states of the source apart.

    Returns:
        Three C functions of one address, that of a task: they pack weights, digest them, and convolve.
    """
    vectors = microkernel.Vectors(dtype, lanes)
    tile_product = microkernel.tile_product(vectors, widest)
    weave = microkernel.interleave(vectors, steps)
    weave_some = microkernel.interleave_some(vectors, steps)
    weave_past = microkernel.interleave(vectors, steps, past_caches=True)
    weave_pieces = microkernel.interleave_pieces(vectors, [piece for piece in (1, 2, 4, 8) if piece <= lanes])
    most_pieces = min(lanes, 8)
    number = np.float32 if dtype == "float32" else np.float64
    size = vectors.size
    pointer, add_atomically = microkernel.pointer, microkernel.add_atomically
    clear_bytes, fence = microkernel.clear_bytes, microkernel.fence
    gather = microkernel.gathering(vectors)
    digest, block = microkernel.digesting(vectors), microkernel.digest_block(vectors)
    move, move_some = microkernel.moves(vectors)
    most_columns = np.array([0, *widest])
    most_steps = steps[-1]

    def compiled(function: Any) -> Any:
        # Code loaded from a cache is linked by names, which must not be the same for both number types.
        function.__qualname__ += f"_{dtype}"
        return njit(nogil=True, error_model="numpy")(function)

    @compiled
    def pack_window(t, window, row_starts, batch, depth, height, width, group):  # type: ignore[no-untyped-def]
        """Copy the cells that a box reads, zeros around, to (channels, copies, cells)."""
        channels, copies, plane, used = t[CHANNELS], t[COPIES], t[PLANE] * size, t[USED] * size
        whole, rows, pitch = t[WINDOW + 3], t[WINDOW] * t[WINDOW + 1] * t[WINDOW + 2], t[PITCH + 3]
        apart, across = t[INPUT_STRIDE + 1] * size, t[INPUT_STRIDE + 4] * size
        starts = carray(pointer(row_starts), (2 * rows,), _I8)  # of the rows: in the window, and in the input or -1
        row = 0
        for b in range(t[WINDOW]):
            for d in range(t[WINDOW + 1]):
                for h in range(t[WINDOW + 2]):
                    starts[2 * row] = (b * t[PITCH] + d * t[PITCH + 1] + h * t[PITCH + 2]) * size
                    at_b, at_d, at_h = batch + b, depth + d, height + h
                    starts[2 * row + 1] = -1
                    if at_b < t[SIZE] and 0 <= at_d < t[SIZE + 1] and 0 <= at_h < t[SIZE + 2]:
                        at = at_b * t[INPUT_STRIDE] + at_d * t[INPUT_STRIDE + 2] + at_h * t[INPUT_STRIDE + 3]
                        starts[2 * row + 1] = at * size
                    row += 1
        for channel in range(channels):
            of_channel = t[INPUT] + (group * channels + channel) * apart
            for copy in range(copies):
                to_plane = window + (channel * copies + copy) * plane
                first = width + copy
                left = min(max(-first, 0), whole)
                stop = max(min(t[SIZE + 3] - first, whole), left)  # cells from left to stop are inputs, others zeros
                for row in range(rows):
                    to = to_plane + starts[2 * row]
                    source = of_channel + starts[2 * row + 1] + first * across
                    last = stop if starts[2 * row + 1] >= 0 else left
                    if pitch == 1 and across == size:
                        copy_row(to, source, left, last, whole)
                    else:
                        gather_row(to, source, left, last, whole, pitch, across)
                clear_bytes(to_plane + used, plane - used)  # vectors read beyond the last cell

    @compiled
    def copy_row(to, source, left, stop, whole):  # type: ignore[no-untyped-def]
        """Vectors reach beyond the end of a row: the next one, or what clears the rest, writes over that."""
        for cell in range(0, whole, lanes):
            at = cell * size
            if left <= cell and cell + lanes <= stop:
                move(to + at, source + at)
            else:
                move_some(to + at, source + at, left - cell, stop - cell)

    @compiled
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

    @compiled
    def multiply(t, tile, tiles, begins, window, results, group, vectors):  # type: ignore[no-untyped-def]
        """A tile of rows, over a run of cells."""
        rows, deltas, product = tiles[7 * tile], tiles[7 * tile + 1], tiles[7 * tile + 2]
        weights = t[PACKED] + t[CHANNELS] * (group * t[TAPS] + tiles[7 * tile + 4]) * size
        offsets = t[OFFSETS] + begins[product] * 4
        into = results + tiles[7 * tile + 3] * t[RESULTS] * size
        pitch = tiles[7 * tile + 5] * t[RESULTS]
        parts = (vectors + most_columns[rows] - 1) // most_columns[rows]
        for part in range(parts):
            first = vectors * part // parts
            columns = vectors * (part + 1) // parts - first
            at = first * lanes * size
            tile_product(
                rows,
                columns,
                weights,
                window + at,
                offsets,
                t[CHANNELS] * deltas,
                into + at,
                pitch,
                tiles[7 * tile + 6],
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

    @compiled
    def write(t, lines, first_line, last_line, results, group, corner, box):  # type: ignore[no-untyped-def]
        """The lines of a stripe, over a box of cells; the results start at its corner."""
        step, phases, across, pitch = t[STEP + 2], t[PHASES], t[OUTPUT_STRIDE + 4], t[PITCH + 3]
        neighbours = across == 1 and pitch == 1 and phases == step
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
            first_d, first_h = corner[1] * step_d + lines[3 * line + 1], corner[2] * step_h + lines[3 * line + 2]
            most_d = min(box[1], (t[OUT_SIZE] - first_d + step_d - 1) // step_d)
            most_h = min(box[2], (t[OUT_SIZE + 1] - first_h + step_h - 1) // step_h)
            of_line = of_box + channel * t[OUTPUT_STRIDE + 1] * size + first_d * apart_d + first_h * apart_h
            for b in range(box[0]):
                for d in range(most_d):
                    for h in range(most_h):
                        to = of_line + b * apart_b + d * step_d * apart_d + h * step_h * apart_h
                        source = results + b * pitch_b + d * pitch_d + h * pitch_h
                        if neighbours:
                            write_row(to, count, source, table, step, stream, bias)
                        else:
                            scatter_row(to, count, source, table, step, phases, pitch, across, bias, 0)

    @compiled
    def compute_box(t, window, results, group, corner, box, part, parts):  # type: ignore[no-untyped-def]
        """All stripes of a part over the cells of a box, run by run."""
        stripes = carray(pointer(t[STRIPES]), (2 * t[STRIPE_COUNT] + 2,), _I8)
        tiles = carray(pointer(t[TILES]), (7 * t[TILE_COUNT],), _I8)
        lines = carray(pointer(t[LINES]), (3 * t[LINE_COUNT],), _I8)
        begins = carray(pointer(t[BEGINS]), (1 << 40,), _I8)
        inner = t[BATCH_INNER]
        b, d, h, w = box[0], box[1] + t[REACH + 1], box[2] + t[REACH + 2], box[3] + t[REACH + 3]
        pitch = (t[PITCH], t[PITCH + 1], t[PITCH + 2], t[PITCH + 3])
        if inner:
            counts, pitches, run = (d, h, w), (pitch[1], pitch[2], pitch[3]), b
        else:
            counts, pitches, run = (b, d, h), (pitch[0], pitch[1], pitch[2]), w
        looped = t[LOOPED]
        for a in range(looped, 3):
            run += (counts[a] - 1) * pitches[a]
        vectors = (run + lanes - 1) // lanes
        outer = (counts[0] if looped > 0 else 1, counts[1] if looped > 1 else 1, counts[2] if looped > 2 else 1)
        for stripe in range(t[STRIPE_COUNT] * part // parts, t[STRIPE_COUNT] * (part + 1) // parts):
            for i in range(outer[0]):
                for j in range(outer[1]):
                    for k in range(outer[2]):
                        cell = i * pitches[0] + j * pitches[1] + k * pitches[2]
                        for tile in range(stripes[2 * stripe], stripes[2 * stripe + 2]):
                            multiply(t, tile, tiles, begins, window + cell * size, results, group, vectors)
                        # The part of the box that was looped over is one cell.
                        one = (
                            1 if looped > 0 else counts[0],
                            1 if looped > 1 else counts[1],
                            1 if looped > 2 else counts[2],
                        )
                        if inner:
                            at = (corner[0], corner[1] + i, corner[2] + j, corner[3] + k)
                            size_of = (b, min(one[0], box[1]), min(one[1], box[2]), min(one[2], box[3]))
                        else:
                            at = (corner[0] + i, corner[1] + j, corner[2] + k, corner[3])
                            size_of = (one[0], min(one[1], box[1]), min(one[2], box[2]), box[3])
                        write(t, lines, stripes[2 * stripe + 1], stripes[2 * stripe + 3], results, group, at, size_of)

    @compiled
    def work_of(t, unit):  # type: ignore[no-untyped-def]
        """The place (box and group) of a unit of work, and which part it is of how many."""
        rest = unit - t[UNDIVIDED]
        if rest < 0:
            return unit, 0, 1
        divided = (t[UNITS] - t[UNDIVIDED]) // t[PARTS]
        return t[UNDIVIDED] + rest % divided, rest // divided, t[PARTS]

    @compiled
    def box_of(t, number):  # type: ignore[no-untyped-def]
        """First cell and size of a box."""
        w, rest = number % t[BOXES + 3], number // t[BOXES + 3]
        h, rest = rest % t[BOXES + 2], rest // t[BOXES + 2]
        d, b = rest % t[BOXES + 1], rest // t[BOXES + 1]
        corner = (b * t[BOX], d * t[BOX + 1], h * t[BOX + 2], w * t[BOX + 3])
        return corner, (
            min(t[BOX], t[CELLS] - corner[0]),
            min(t[BOX + 1], t[CELLS + 1] - corner[1]),
            min(t[BOX + 2], t[CELLS + 2] - corner[2]),
            min(t[BOX + 3], t[CELLS + 3] - corner[3]),
        )

    @compiled
    def convolve(t):  # type: ignore[no-untyped-def]
        thread = add_atomically(t[COUNTERS] + 8, 1)
        window = t[SCRATCH] + thread * t[SCRATCH_BYTES]
        results = window + t[CHANNELS] * t[COPIES] * t[PLANE] * size
        row_starts = window + t[SCRATCH_BYTES] - 16 * t[WINDOW] * t[WINDOW + 1] * t[WINDOW + 2]
        packed = -1
        while True:
            unit = add_atomically(t[COUNTERS], 1)
            if unit >= t[UNITS]:
                break
            place, part, parts = work_of(t, unit)
            group = place % t[GROUPS]
            corner, box = box_of(t, place // t[GROUPS])
            if place != packed:
                depth, height, width = corner[1] - t[BEFORE + 1], corner[2] - t[BEFORE + 2], corner[3] - t[BEFORE + 3]
                pack_window(t, window, row_starts, corner[0], depth, height, width, group)
                packed = place
            compute_box(t, window, results, group, corner, box, part, parts)
        fence()

    @compiled
    def pack_weights(t):  # type: ignore[no-untyped-def]
        """Sort the weights by tile: (tiles, input channels, deltas, rows)."""
        channels, across = t[CHANNELS], t[TAPS]
        source = carray(pointer(t[WEIGHT]), (t[GROUPS] * channels * across,), number)
        packed = carray(pointer(t[PACKED]), (t[GROUPS] * channels * across,), number)
        stripes = carray(pointer(t[STRIPES]), (2 * t[STRIPE_COUNT] + 2,), _I8)
        tiles = carray(pointer(t[TILES]), (7 * t[TILE_COUNT],), _I8)
        taps = carray(pointer(t[TAP_PLACES]), (across,), _I8)
        while True:
            unit = add_atomically(t[COUNTERS], 1)
            if unit >= t[GROUPS] * t[PACK_UNITS]:
                break
            group, part = unit // t[PACK_UNITS], unit % t[PACK_UNITS]
            of_chunk = t[STRIPE_COUNT] // t[CHUNKS]  # the stripes of the same output channels, which lie together
            first_chunk, last_chunk = t[CHUNKS] * part // t[PACK_UNITS], t[CHUNKS] * (part + 1) // t[PACK_UNITS]
            first_tile, last_tile = stripes[2 * first_chunk * of_chunk], stripes[2 * last_chunk * of_chunk]
            for channel in range(channels):
                at = (group * channels + channel) * across
                for tile in range(first_tile, last_tile):
                    count, first = tiles[7 * tile] * tiles[7 * tile + 1], tiles[7 * tile + 4]
                    to = (group * across + first) * channels + channel * count
                    whole = count // lanes * lanes
                    for n in range(0, whole, lanes):
                        gather(t[PACKED] + (to + n) * size, t[WEIGHT] + at * size, t[TAP_PLACES] + (first + n) * 8)
                    for n in range(whole, count):
                        packed[to + n] = source[at + taps[first + n]]

    @compiled
    def digest_weights(t):  # type: ignore[no-untyped-def]
        """Digest the weight piece by piece, and what is left of it beyond whole blocks, with zeros after it."""
        blocks, pieces = t[NUMBERS] // block, t[PIECES]
        while True:
            piece = add_atomically(t[COUNTERS], 1)
            target = t[OUTPUT] + piece * lanes * size
            if piece < pieces:
                first, last = blocks * piece // pieces, blocks * (piece + 1) // pieces
                if last > first:
                    digest(target, t[WEIGHT] + first * block * size, last - first)
            elif piece == pieces:
                copy, rest = carray(pointer(t[SCRATCH]), (block,), number), t[NUMBERS] - blocks * block
                numbers = carray(pointer(t[WEIGHT] + blocks * block * size), (rest,), number)
                copy[:] = 0
                for n in range(rest):
                    copy[n] = numbers[n]
                digest(target, t[SCRATCH], 1)
            else:
                break

    works = {"pack": pack_weights, "digest": digest_weights, "convolve": convolve}
    return tuple(_compile(_task_function(version), work, f"{name}_{dtype}") for name, work in works.items())


# Numba finds compiled code again by what a function's own variables hold, so this is the version alone; what the
# function calls it looks up among the globals that it is given in _compile.


def _task_function(version: str) -> Any:
    def task_function(task):  # type: ignore[no-untyped-def]
        if len(version) > 0:
            work(carray(task, (FIELDS,), _I8))  # type: ignore[name-defined]  # noqa: F821

    return task_function


def _compile(function: Any, work: Any, name: str) -> Any:
    names = {**function.__globals__, "work": work}
    compiled = FunctionType(function.__code__, names, name, closure=function.__closure__)
    compiled.__qualname__ = f"{function.__qualname__}_{name}"
    signature = types.void(types.voidptr)
    try:
        return cfunc(signature, cache=True)(compiled)
    except RuntimeError:  # no place to write to
        return cfunc(signature)(compiled)
