"""Weights: sorting them into the order in which tiles read them, and digesting them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from convmat.kernel.microkernel.digesting import digest_block, digesting
from convmat.kernel.microkernel.memory import add_atomically, gathering, pointer
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.task import (
    BY_LINE,
    CHANNEL_STEP,
    CHANNELS,
    CHUNKS,
    COUNTERS,
    FACTORS,
    GROUPS,
    NUMBERS,
    OUTPUT,
    PACK_UNITS,
    PACKED,
    PACKED_CHANNELS,
    PIECES,
    SCRATCH,
    STRIPE_COUNT,
    STRIPES,
    TAP_PLACES,
    TAPS,
    TILE_COUNT,
    TILES,
    UNITS_AT_ONCE,
    WEIGHT,
)
from convmat.kernel.tiling.processor import TOGETHER

_I8 = np.int64


def build_packing(pieces: Pieces) -> Any:
    """Compile ``pack_weights(t)``."""
    number, lanes, size = pieces.number, pieces.lanes, pieces.vectors.size
    gather = gathering(pieces.vectors)

    @pieces.compiled
    def pack_weights(t):  # type: ignore[no-untyped-def]
        """Sort the weights by tile: (tiles, input channels, deltas, rows).

        Where lines leave some deltas out: (tiles, blocks of input channels, deltas, channels of a block, rows).
        """
        channels, across, factors = t[CHANNELS], t[TAPS], t[FACTORS]
        source = carray(pointer(t[WEIGHT]), (t[GROUPS] * channels * across,), number)
        packed = carray(pointer(t[PACKED]), (t[GROUPS] * channels * factors,), number)
        stripes = carray(pointer(t[STRIPES]), (2 * t[STRIPE_COUNT] + 2,), _I8)
        tiles = carray(pointer(t[TILES]), (7 * t[TILE_COUNT],), _I8)
        taps = carray(pointer(t[TAP_PLACES]), (factors,), _I8)
        unit, stop = 0, 0
        while True:
            if unit == stop:
                unit = add_atomically(t[COUNTERS], t[UNITS_AT_ONCE])
                stop = min(unit + t[UNITS_AT_ONCE], t[GROUPS] * t[PACK_UNITS])
                if unit >= stop:
                    break
            group, part = unit // t[PACK_UNITS], unit % t[PACK_UNITS]
            of_chunk = t[STRIPE_COUNT] // t[CHUNKS]  # stripes of the same output channels, which lie next to each other
            first_chunk, last_chunk = t[CHUNKS] * part // t[PACK_UNITS], t[CHUNKS] * (part + 1) // t[PACK_UNITS]
            first_tile, last_tile = stripes[2 * first_chunk * of_chunk], stripes[2 * last_chunk * of_chunk]
            before = group * channels
            first_channel = max(t[PACKED_CHANNELS] - before, 0)
            last_channel = min(t[PACKED_CHANNELS + 1] - before, channels)
            for channel in range(first_channel, last_channel):
                at = group * channels * across + channel * t[CHANNEL_STEP]
                for tile in range(first_tile, last_tile):
                    rows, deltas, of_tile = tiles[7 * tile], tiles[7 * tile + 1], tiles[7 * tile + 4]
                    place = channel % TOGETHER if t[BY_LINE] else 0  # in its block
                    block = (group * factors + of_tile) * channels + (channel - place) * rows * deltas
                    runs, count = (deltas, rows) if t[BY_LINE] else (1, rows * deltas)
                    apart = min(TOGETHER, channels - channel + place) * rows
                    for run in range(runs):
                        to, first = block + run * apart + place * rows, of_tile + run * count
                        whole = count // lanes * lanes
                        for n in range(0, whole, lanes):
                            target, tap = t[PACKED] + (to + n) * size, t[TAP_PLACES] + (first + n) * 8
                            gather(target, t[WEIGHT] + at * size, tap)
                        for n in range(whole, count):
                            packed[to + n] = source[at + taps[first + n]]
            unit += 1

    return pack_weights


def build_digest(pieces: Pieces) -> Any:
    """Compile ``digest_weights(t)``."""
    number, lanes, size = pieces.number, pieces.lanes, pieces.vectors.size
    digest, block = digesting(pieces.vectors), digest_block(pieces.vectors)

    @pieces.compiled
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

    return digest_weights
