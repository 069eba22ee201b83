"""The kernel: what each thread does, from the windows of the input to the lines of the output.

It reads everything from one array of integers, its task, so that nothing is compiled again for another layer or size.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
from numba import carray, cfunc, types

from convmat.kernel import microkernel
from convmat.kernel.packing import build_packing
from convmat.kernel.pieces import Pieces
from convmat.kernel.task import (
    BATCH_INNER,
    BEFORE,
    BEGINS,
    BLOCKS,
    BOX,
    BOXES,
    CELLS,
    CHANNELS,
    CHUNKS,
    COPIES,
    COUNTERS,
    FIELDS,
    GROUPS,
    KEPT,
    LINE_COUNT,
    LINES,
    LOOPED,
    NUMBERS,
    OFFSETS,
    OUTPUT,
    PACK_UNITS,
    PACKED,
    PARTS,
    PIECES,
    PITCH,
    PLANE,
    REACH,
    RESULTS,
    SCRATCH,
    SCRATCH_BYTES,
    STEPS_BYTES,
    STRIPE_COUNT,
    STRIPES,
    TAP_PLACES,
    TAPS,
    TILE_COUNT,
    TILES,
    UNDIVIDED,
    UNITS,
    WEIGHT,
    WINDOW,
)
from convmat.kernel.tiling import RUN
from convmat.kernel.writing import build_writing

_I8 = np.int64


def build(dtype: str, lanes: int, widest: tuple[int, ...], steps: tuple[int, ...], version: str) -> tuple[Any, ...]:
    """Compile the kernel, or load it: ``version`` tells states of the source apart.

    Returns:
        Three C functions of one address, that of a task: they pack weights, digest them, and convolve.
    """
    pieces = Pieces(dtype, lanes, widest, steps)
    vectors, number, size, compiled = pieces.vectors, pieces.number, pieces.vectors.size, pieces.compiled
    pointer, add_atomically, fence = microkernel.pointer, microkernel.add_atomically, microkernel.fence
    tile_product = microkernel.tile_product(vectors, widest)
    gather = microkernel.gathering(vectors)
    digest, block = microkernel.digesting(vectors), microkernel.digest_block(vectors)
    pack_window, write = build_packing(pieces), build_writing(pieces)
    most_columns = np.array([0, *widest])

    @compiled
    def multiply(t, tile, tiles, begins, window, results, group, vectors, first, last):  # type: ignore[no-untyped-def]
        """A tile of rows, over a run of cells and the channels from ``first`` to before ``last``."""
        rows, deltas, product = tiles[7 * tile], tiles[7 * tile + 1], tiles[7 * tile + 2]
        weights = t[PACKED] + t[CHANNELS] * (group * t[TAPS] + tiles[7 * tile + 4]) * size
        weights += first * deltas * rows * size
        offsets = t[OFFSETS] + (begins[product] + first * deltas) * 4
        into = results + tiles[7 * tile + 3] * t[RESULTS] * size
        pitch = tiles[7 * tile + 5] * t[RESULTS]
        added = 1 if first > 0 else tiles[7 * tile + 6]
        parts = (vectors + most_columns[rows] - 1) // most_columns[rows]
        for part in range(parts):
            vector = vectors * part // parts
            columns = vectors * (part + 1) // parts - vector
            at = vector * lanes * size
            tile_product(
                rows,
                columns,
                weights,
                window + at,
                offsets,
                (last - first) * deltas,
                into + at,
                pitch,
                added,
                t[CHANNELS] * deltas * rows,
            )

    @pieces.inlined
    def compute_box(t, window, results, steps, added, group, corner, box, part, parts):  # type: ignore[no-untyped-def]
        """All stripes of a part over the cells of a box, run by run, and channels block by block."""
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
        first_stripe, last_stripe = t[STRIPE_COUNT] * part // parts, t[STRIPE_COUNT] * (part + 1) // parts
        for block in range(t[BLOCKS]):  # of channels; the sums of all stripes are kept until the last one is added
            first = block * RUN
            last = t[CHANNELS] if block == t[BLOCKS] - 1 else first + RUN
            for stripe in range(first_stripe, last_stripe):
                sums = results + (stripe - first_stripe) * t[KEPT] * size
                for i in range(outer[0]):
                    for j in range(outer[1]):
                        for k in range(outer[2]):
                            cell = i * pitches[0] + j * pitches[1] + k * pitches[2]
                            for tile in range(stripes[2 * stripe], stripes[2 * stripe + 2]):
                                multiply(
                                    t, tile, tiles, begins, window + cell * size, sums, group, vectors, first, last
                                )
                            if block < t[BLOCKS] - 1:
                                continue
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
                            first_line, last_line = stripes[2 * stripe + 1], stripes[2 * stripe + 3]
                            write(t, lines, first_line, last_line, sums, steps, added, group, at, size_of)

    @pieces.inlined
    def work_of(t, unit):  # type: ignore[no-untyped-def]
        """The place (box and group) of a unit of work, and which part it is of how many."""
        rest = unit - t[UNDIVIDED]
        if rest < 0:
            return unit, 0, 1
        divided = (t[UNITS] - t[UNDIVIDED]) // t[PARTS]
        return t[UNDIVIDED] + rest % divided, rest // divided, t[PARTS]

    @pieces.inlined
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

    @pieces.inlined
    def convolve(t):  # type: ignore[no-untyped-def]
        thread = add_atomically(t[COUNTERS] + 8, 1)
        window = t[SCRATCH] + thread * t[SCRATCH_BYTES]
        results = window + t[CHANNELS] * t[COPIES] * t[PLANE] * size
        steps = window + t[SCRATCH_BYTES] - STEPS_BYTES
        added = steps + STEPS_BYTES // 2
        row_starts = steps - 16 * t[WINDOW] * t[WINDOW + 1] * t[WINDOW + 2]
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
                pack_window(t, window, row_starts, steps, corner[0], depth, height, width, group)
                packed = place
            compute_box(t, window, results, steps, added, group, corner, box, part, parts)
        fence()

    @pieces.inlined
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

    @pieces.inlined
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
