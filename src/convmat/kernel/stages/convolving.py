"""Convolving: what each thread does, box by box: pack the window, multiply tile by tile, write the lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from convmat.kernel.microkernel.lines import finishing, pair_product, row_product
from convmat.kernel.microkernel.memory import clear_bytes, fence, pointer
from convmat.kernel.microkernel.products import channel_product, tile_product
from convmat.kernel.stages.finishing import build_epilogue
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.stages.reading import build_reading
from convmat.kernel.stages.sharing import build_sharing
from convmat.kernel.stages.writing import build_writing
from convmat.kernel.task import (
    ACTIVATION,
    AT_ONCE,
    BATCH_INNER,
    BEFORE,
    BEGINS,
    BIAS,
    BLOCKS,
    BY_CHANNELS,
    BY_LINE,
    CELL_PLACES,
    CHANNEL_PITCH,
    CHANNELS,
    COPIES,
    FACTORS,
    GROUPS,
    INSIDE_PARTS,
    INSIDE_PRODUCTS,
    KEPT,
    LINE_COUNT,
    LINES,
    LOOPED,
    OFFSETS,
    OUT_CHANNELS,
    OUTPUT,
    OUTPUT_STRIDE,
    PACKED,
    PAIR_COUNTS,
    PAIRS,
    PITCH,
    PLANES,
    REACH,
    RESULTS,
    SCRATCH,
    SCRATCH_BYTES,
    SINGLE,
    STREAM,
    STRIPE_COUNT,
    STRIPES,
    SUMS_PITCH,
    TABLE_BYTES,
    TILE_COUNT,
    TILES,
    WINDOW,
)
from convmat.kernel.tiling.processor import LINE, MOST_VECTORS, RUN, TOGETHER, VECTORS_BY_LINE, most_rows

_I8 = np.int64


def build_convolving(pieces: Pieces) -> Any:
    """Compile ``convolve(t)``, which takes units of work from a task until none is left."""
    size = pieces.vectors.size
    pack_window, compute_box, compute_rows = build_reading(pieces), _build_box(pieces), _build_rows(pieces)
    thread_of, next_units, work_of, box_of = build_sharing(pieces)

    @pieces.compiled
    def convolve(t):  # type: ignore[no-untyped-def]
        thread = thread_of(t)
        window = t[SCRATCH] + thread * t[SCRATCH_BYTES]
        results = window + t[CHANNELS] * t[CHANNEL_PITCH] * size
        table = window + t[SCRATCH_BYTES] - TABLE_BYTES
        biases = table + TABLE_BYTES // 3
        row_starts = table - 16 * t[WINDOW] * t[WINDOW + 1] * t[WINDOW + 2] * t[PLANES] // t[COPIES]
        packed, number = -1, -1
        corner, box = box_of(t, 0)
        unit, stop, turn = 0, 0, 0
        while True:
            if unit == stop:
                unit, stop, turn = next_units(t, thread, turn)
                if unit == stop:
                    break
            place, part, parts = work_of(t, unit)
            again = place // t[GROUPS] == number
            if not again:
                number = place // t[GROUPS]
                corner, box = box_of(t, number)
            group = place - number * t[GROUPS]
            if place != packed:
                depth, height, width = corner[1] - t[BEFORE + 1], corner[2] - t[BEFORE + 2], corner[3] - t[BEFORE + 3]
                pack_window(t, window, row_starts, table, corner[0], depth, height, width, group, again)
                packed = place
            if t[AT_ONCE] and t[SINGLE]:
                compute_rows(t, window, group, corner, box, part, parts)
            else:
                compute_box(t, window, results, table, biases, group, corner, box, part, parts)
            unit += 1
        fence()

    return convolve


def _build_box(pieces: Pieces) -> Any:
    lanes, size = pieces.lanes, pieces.vectors.size
    multiply = _build_multiply(pieces)
    # Each by itself: one that asks in each block which it is takes two hundredths longer.
    multiply_channels, multiply_lines = (_build_multiply_channels(pieces, by_line) for by_line in (False, True))
    write = build_writing(pieces)

    @pieces.compiled
    def line_of(t, channel, b, d, h, w):  # type: ignore[no-untyped-def]
        """Where a line of the output begins, in which cells are neighbours."""
        at = b * t[OUTPUT_STRIDE] + channel * t[OUTPUT_STRIDE + 1]
        return t[OUTPUT] + (at + d * t[OUTPUT_STRIDE + 2] + h * t[OUTPUT_STRIDE + 3] + w) * size

    @pieces.compiled
    def compute_box(t, window, results, table, biases, group, corner, box, part, parts):  # type: ignore[no-untyped-def]
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
        # Where lines are stored at once, the rows of a tile are channels, and those of one run have no gaps.
        at_once, stored = t[AT_ONCE], box[3]
        if at_once:
            clear_bytes(biases, TABLE_BYTES // 3)
        for a in range(looped, 3):
            stored *= box[a]
        first_stripe, last_stripe = t[STRIPE_COUNT] * part // parts, t[STRIPE_COUNT] * (part + 1) // parts
        for block in range(
            t[BLOCKS]
        ):  # blocks of channels: the sums of all stripes are kept until the last block has been added
            first = block * RUN
            last = t[CHANNELS] if block == t[BLOCKS] - 1 else first + RUN
            for stripe in range(first_stripe, last_stripe):
                sums = results + (stripe - first_stripe) * t[KEPT] * size
                first_line, last_line = stripes[2 * stripe + 1], stripes[2 * stripe + 3]
                channel = group * t[OUT_CHANNELS] + lines[3 * first_line]
                for i in range(outer[0]):
                    for j in range(outer[1]):
                        for k in range(outer[2]):
                            cell = i * pitches[0] + j * pitches[1] + k * pitches[2]
                            for tile in range(stripes[2 * stripe], stripes[2 * stripe + 2]):
                                if t[BY_LINE]:
                                    multiply_lines(t, tile, tiles, begins, window, sums, group, corner, box)
                                    continue
                                if t[BY_CHANNELS]:
                                    multiply_channels(t, tile, tiles, begins, window, sums, group, corner, box)
                                    continue
                                row, of_cell = channel + tiles[7 * tile + 3], window + cell * size
                                line = line_of(t, row, corner[0] + i, corner[1] + j, corner[2] + k, corner[3])
                                output = line * at_once, row, stored, biases
                                multiply(t, tile, tiles, begins, of_cell, sums, group, vectors, first, last, output)
                            if at_once or block < t[BLOCKS] - 1:
                                continue
                            # Along the axes that are looped over, each run is one cell.
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
                            write(t, lines, first_line, last_line, sums, table, biases, group, at, size_of)

    return compute_box


def _build_rows(pieces: Pieces) -> Any:
    lanes, size, most = pieces.lanes, pieces.vectors.size, pieces.widest[0]
    product_of_row, product_of_pair = row_product(pieces.vectors, most), pair_product(pieces.vectors, most // 2)
    epilogue_of = build_epilogue(pieces)

    @pieces.compiled
    def compute_rows(t, window, group, corner, box, part, parts):  # type: ignore[no-untyped-def]
        """The rows of a box, each a product of few factors, which goes from registers to the output."""
        tiles = carray(pointer(t[TILES]), (7 * t[TILE_COUNT],), _I8)
        vectors, channels, apart = (box[3] + lanes - 1) // lanes, t[CHANNELS], t[OUTPUT_STRIDE + 1]
        of_box = corner[0] * t[OUTPUT_STRIDE] + corner[1] * t[OUTPUT_STRIDE + 2] + corner[2] * t[OUTPUT_STRIDE + 3]
        of_box += group * t[OUT_CHANNELS] * apart + corner[3]
        for tile in range(t[TILE_COUNT] * part // parts, t[TILE_COUNT] * (part + 1) // parts):
            weights = t[PACKED] + channels * (group * t[FACTORS] + tiles[7 * tile + 4]) * size
            count = channels * tiles[7 * tile + 1]
            epilogue = epilogue_of(t, group * t[OUT_CHANNELS] + tile)
            for b in range(box[0]):
                for d in range(box[1]):
                    for row in range(0, box[2], 2):
                        is_pair = box[2] > 1
                        # Of an odd number of rows, the last pair has one again.
                        h = min(row, box[2] - 2) if is_pair else row
                        source = window + (b * t[PITCH] + d * t[PITCH + 1] + h * t[PITCH + 2]) * size
                        to = of_box + tile * apart + b * t[OUTPUT_STRIDE]
                        to = t[OUTPUT] + (to + d * t[OUTPUT_STRIDE + 2] + h * t[OUTPUT_STRIDE + 3]) * size
                        widest = most // 2 if is_pair else most
                        for vector in range(0, vectors, widest):
                            at, columns = vector * lanes, min(widest, vectors - vector)
                            stored = box[3] - at
                            if is_pair:
                                product_of_pair(
                                    columns,
                                    weights,
                                    source + at * size,
                                    t[PAIRS],
                                    t[PAIR_COUNTS],
                                    t[PAIR_COUNTS + 1],
                                    t[PAIR_COUNTS + 2],
                                    to + at * size,
                                    to + (at + t[OUTPUT_STRIDE + 3]) * size,
                                    epilogue,
                                    stored,
                                )
                                continue
                            product_of_row(
                                columns,
                                weights,
                                source + at * size,
                                t[OFFSETS],
                                count,
                                to + at * size,
                                epilogue,
                                stored,
                            )

    return compute_rows


def _build_multiply(pieces: Pieces) -> Any:
    lanes, size = pieces.lanes, pieces.vectors.size
    product_of_tile, most_columns = tile_product(pieces.vectors, pieces.widest), np.array([0, *pieces.widest])
    # Shorter vectors fill cache lines piece by piece, those of all rows in turn, and usual stores take less time then.
    fills_lines = lanes * size == LINE
    finish_tile = _build_finish(pieces)

    @pieces.compiled
    def multiply(t, tile, tiles, begins, window, results, group, vectors, first, last, lines):  # type: ignore[no-untyped-def]
        """A tile of rows, over a run of cells and the channels from ``first`` to before ``last``.

        Where lines are stored at once, ``lines`` is the address of that of the first row, its channel, how many numbers
        of a line are stored, and where zeros lie, in place of biases; else the address is 0.
        """
        rows, deltas, product = tiles[7 * tile], tiles[7 * tile + 1], tiles[7 * tile + 2]
        weights = t[PACKED] + t[CHANNELS] * (group * t[FACTORS] + tiles[7 * tile + 4]) * size
        weights += first * deltas * rows * size
        offsets = t[OFFSETS] + (begins[product] + first * deltas) * 4
        into = results if lines[0] else results + tiles[7 * tile + 3] * t[RESULTS] * size
        pitch = tiles[7 * tile + 5] * t[RESULTS]
        accumulate = 1 if first > 0 else tiles[7 * tile + 6]
        line, channel, stored, biases = lines
        apart, factors = t[OUTPUT_STRIDE + 1] * size, (last - first) * deltas
        past_caches = t[STREAM] if fills_lines and ((line | apart) & (LINE - 1)) == 0 else 0
        # A tile of the most rows goes from registers to the output, if it is one run.
        target = line if rows == len(most_columns) - 1 and accumulate == 0 and factors <= RUN else 0
        biases_of_tile = t[BIAS] + channel * size if t[BIAS] else biases
        slopes, limits = t[ACTIVATION] + channel * size, t[ACTIVATION] + t[OUT_CHANNELS] * t[GROUPS] * size
        parts = (vectors + most_columns[rows] - 1) // most_columns[rows]
        # All parts go over some factors before the next ones: so they find weights and window in the nearest cache.
        block = RUN if parts > 1 else max(factors, 1)
        for begin in range(0, max(factors, 1), block):  # of no factors, the sums are zeros
            is_last = begin + block >= factors
            for part in range(parts):
                vector = vectors * part // parts
                columns = vectors * (part + 1) // parts - vector
                at = vector * lanes * size
                # Where lines are stored at once, sums are kept between blocks only.
                sums = into if line and factors <= block else into + at
                product_of_tile(
                    rows,
                    columns,
                    weights + begin * rows * size,
                    window + at,
                    offsets + begin * 4,
                    min(block, factors - begin),
                    sums,
                    pitch,
                    accumulate if begin == 0 else 1,
                    t[CHANNELS] * deltas * rows,
                    (
                        target + at if target else 0,
                        apart,
                        stored - vector * lanes,
                        past_caches,
                        biases_of_tile,
                        slopes,
                        limits,
                        t[ACTIVATION],
                    ),
                )
                if line and not target and is_last:
                    output = line + at, apart, stored - vector * lanes, past_caches
                    finish_tile(t, sums, pitch, rows, columns, channel, output)

    return multiply


def _build_finish(pieces: Pieces) -> Any:
    lanes, size = pieces.lanes, pieces.vectors.size
    finish, epilogue_of = finishing(pieces.vectors), build_epilogue(pieces)

    @pieces.compiled
    def finish_tile(t, sums, pitch, rows, columns, channel, output):  # type: ignore[no-untyped-def]
        """Store the sums of a tile, of neighbouring channels, to the output while they are in the nearest cache."""
        line, apart, stored, past_caches = output
        for row in range(rows):
            epilogue = epilogue_of(t, channel + row)
            for n in range(columns):
                at = n * lanes
                source, target = sums + (row * pitch + at) * size, line + row * apart + at * size
                finish(source, target, epilogue, stored - at, past_caches)

    return finish_tile


def _build_multiply_channels(pieces: Pieces, by_line: bool) -> Any:
    lanes, size = pieces.lanes, pieces.vectors.size
    widths = [VECTORS_BY_LINE] if by_line else range(1, MOST_VECTORS + 1)
    product_of_tile = channel_product(pieces.vectors, pieces.widest, widths)
    # Of tiles of 1, 2, ... vectors of channels: the most cells.
    most_cells = np.array([0, *(most_rows(n, pieces.widest) for n in range(1, MOST_VECTORS + 1))])
    deltas_inside = _build_deltas_inside(pieces)

    @pieces.compiled
    def multiply_channels(t, tile, tiles, begins, window, sums, group, corner, box):  # type: ignore[no-untyped-def]
        """A tile of output channels over all cells of a box, factors block by block: near weights serve all.

        Tiles of cells end where lines do, or else all cells are one line.
        """
        channels, deltas, product = tiles[7 * tile], tiles[7 * tile + 1], tiles[7 * tile + 2]
        weights = t[PACKED] + t[CHANNELS] * (group * t[FACTORS] + tiles[7 * tile + 4]) * size
        offsets, pitch, vectors = t[OFFSETS] + begins[product] * 4, t[SUMS_PITCH + 3], channels // lanes
        lines, cells = (box[0] * box[1] * box[2], box[3]) if by_line else (1, box[0] * box[1] * box[2] * box[3])
        parts = (cells + most_cells[vectors] - 1) // most_cells[vectors]
        factors, most = t[CHANNELS] * deltas, max(TOGETHER * deltas, 1) if by_line else RUN
        for begin in range(0, max(factors, 1), most):  # of no factors, the sums are zeros
            of_block = min(most, factors - begin)
            for line in range(lines):
                runs, first, count, apart = 1, begin, of_block, 0
                if by_line:
                    runs, first, count, apart = deltas_inside(t, product, corner, box, line)
                    of_delta = of_block // max(deltas, 1)
                    first, count, apart = begin + first * of_delta, count * of_delta, apart * of_delta
                for part in range(parts):
                    before = cells * part // parts
                    cell = line * cells + before
                    for run in range(runs):
                        factor = first + run * apart
                        product_of_tile(
                            cells * (part + 1) // parts - before,
                            vectors,
                            weights + factor * channels * size,
                            window,
                            t[CELL_PLACES] + cell * 8,
                            offsets + factor * 4,
                            count,
                            sums + (tiles[7 * tile + 3] + cell * pitch) * size,
                            pitch,
                            begin + run,
                            # Each tile of cells has one vector of each factor of the next block fetched, not all the
                            # same one.
                            of_block * channels + (line * parts + part) * lanes,
                        )

    return multiply_channels


def _build_deltas_inside(pieces: Pieces) -> Any:
    @pieces.compiled
    def deltas_inside(t, product, corner, box, line):  # type: ignore[no-untyped-def]
        """The deltas of a product through which a line of a box reads the input.

        They are one run or more: how many, the first delta, how many each has, and how far apart the runs are.
        """
        of_product = carray(pointer(t[INSIDE_PRODUCTS] + 32 * product), (4,), _I8)
        at_depth, at_height = corner[1] + line // box[2] % box[1], corner[2] + line % box[2]
        depth = carray(pointer(t[INSIDE_PARTS] + 16 * (of_product[0] + at_depth)), (2,), _I8)
        height = carray(pointer(t[INSIDE_PARTS] + 16 * (of_product[1] + at_height)), (2,), _I8)
        of_depth, of_height = of_product[2], of_product[3]
        first, runs = depth[0] * of_depth + height[0] * of_height, depth[1] - depth[0]
        count = (height[1] - height[0]) * of_height
        if runs * count == 0 or count == of_depth:  # there are none, or the runs follow one another
            return 1, first, runs * count, 0
        return runs, first, count, of_depth

    return deltas_inside
