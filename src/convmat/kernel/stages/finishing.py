"""What sums are finished with: the bias of their channel and, where an activation follows, what that needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from convmat.kernel.microkernel.memory import pointer
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.task import ACTIVATION, BIAS, GROUPS, OUT_CHANNELS, TABLE_BYTES


def build_epilogue(pieces: Pieces) -> Any:
    """Compile ``epilogue_of(t, channel)``, a tuple as :mod:`convmat.kernel.epilogue` describes it."""
    number = pieces.number

    @pieces.compiled
    def bias_of(t, channel):  # type: ignore[no-untyped-def]
        if t[BIAS] == 0:
            return number(0)
        return carray(pointer(t[BIAS]), (t[OUT_CHANNELS] * t[GROUPS],), number)[channel]

    @pieces.compiled
    def epilogue_of(t, channel):  # type: ignore[no-untyped-def]
        if t[ACTIVATION] == 0:
            return bias_of(t, channel), number(1), number(-np.inf), number(np.inf), t[ACTIVATION]
        channels = t[OUT_CHANNELS] * t[GROUPS]
        numbers = carray(pointer(t[ACTIVATION]), (channels + 2,), number)
        return bias_of(t, channel), numbers[channel], numbers[channels], numbers[channels + 1], t[ACTIVATION]

    return epilogue_of


def build_tables(pieces: Pieces) -> Any:
    """Compile ``store_epilogues(t, memory, channel, count, step)`` and ``epilogues_from(epilogues, n)``.

    The first stores so many epilogues, of channels ``step`` (0 or 1) apart. What it returns is what
    :func:`~convmat.kernel.microkernel.transposing.transposing_sums` takes, and so is what the second returns: the same
    from the one of number n on.
    """
    number, size, epilogue_of = pieces.number, pieces.vectors.size, build_epilogue(pieces)

    @pieces.compiled
    def store_epilogues(t, memory, channel, count, step):  # type: ignore[no-untyped-def]
        further = memory + TABLE_BYTES // 3
        biases, slopes = carray(pointer(memory), (count,), number), carray(pointer(further), (count,), number)
        for n in range(count):
            biases[n], slopes[n], _, _, _ = epilogue_of(t, channel + n * step)
        _, _, low, high, is_activated = epilogue_of(t, channel)
        return memory, further, low, high, is_activated

    @pieces.compiled
    def epilogues_from(epilogues, n):  # type: ignore[no-untyped-def]
        return epilogues[0] + n * size, epilogues[1] + n * size, epilogues[2], epilogues[3], epilogues[4]

    return store_epilogues, epilogues_from
