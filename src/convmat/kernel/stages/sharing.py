"""Who computes what: the units of work of a convolution, and the share of each thread."""

from __future__ import annotations

from typing import Any

from convmat.kernel.microkernel.memory import add_atomically, call_for_number
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.task import (
    APART,
    BOX,
    BOXES,
    CELLS,
    COUNTERS,
    MOST_SHARES,
    PARTS,
    THREAD_NUMBER,
    THREADS,
    UNDIVIDED,
    UNITS,
    UNITS_AT_ONCE,
)


def build_sharing(pieces: Pieces) -> Any:
    """Compile what tells a thread what to compute.

    Each thread has a share of the work, and helps others when that is done. So it mostly reads what it has written in
    the layer before, which lies in its own caches; PyTorch's own operations divide the channels likewise. First come
    the boxes that one thread computes by itself, then the parts of others.

    Returns:
        ``thread_of(t)``, the number of this thread; ``next_units(t, thread, turn)``; ``work_of(t, unit)``; and
        ``box_of(t, number)``.
    """
    return *_build_shares(pieces), *_build_units(pieces)


def _build_shares(pieces: Pieces) -> Any:
    @pieces.compiled
    def thread_of(t):  # type: ignore[no-untyped-def]
        """The number of this thread among those that work on a task."""
        if t[THREADS] == 1:
            return 0
        return call_for_number(t[THREAD_NUMBER]) if t[THREAD_NUMBER] else add_atomically(t[COUNTERS], 1)

    @pieces.compiled
    def next_units(t, thread, turn):  # type: ignore[no-untyped-def]
        """The first unit to compute and the one after the last, and in which turn: of each kind, one for each share."""
        shares = min(t[THREADS], MOST_SHARES)
        while turn < 2 * shares:
            kind, share = turn // shares, (thread + turn) % shares
            before = kind * t[UNDIVIDED]
            units = t[UNITS] - before if kind else t[UNDIVIDED]
            first, last = units * share // shares, units * (share + 1) // shares
            if first < last:
                first += add_atomically(t[COUNTERS] + 8 * (APART * (1 + share) + kind), t[UNITS_AT_ONCE])
                if first < last:
                    return before + first, before + min(first + t[UNITS_AT_ONCE], last), turn
            turn += 1
        return 0, 0, turn

    return thread_of, next_units


def _build_units(pieces: Pieces) -> Any:
    @pieces.compiled
    def work_of(t, unit):  # type: ignore[no-untyped-def]
        """What a unit of work is: the number of its box and group, and which part of how many."""
        rest = unit - t[UNDIVIDED]
        if rest < 0:
            return unit, 0, 1
        divided = (t[UNITS] - t[UNDIVIDED]) // t[PARTS]
        return t[UNDIVIDED] + rest % divided, rest // divided, t[PARTS]

    @pieces.compiled
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

    return work_of, box_of
