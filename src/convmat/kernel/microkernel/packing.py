"""Packing lines of the input into the rows of a window: copying them, or taking their phases apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convmat.kernel.microkernel.vectors import I64, Vectors, switch

AHEAD = 4096  # bytes that are read until what is prefetched is wanted


def phase_packing(vectors: Vectors, steps: Sequence[int]) -> Callable[..., None]:
    """Pack one phase of a line: ``target[n] = source[n*step]``.

    Args:
        vectors: the vectors to use.
        steps: the steps to compile for.

    Returns:
        ``pack(step, target, source, cells, first, last, ahead)``, for so many cells n. Whole vectors are stored, the
        last of which may reach beyond the cells. Only ``source[first]`` to before ``source[last]`` are read, with zeros
        around; what lies ``ahead`` bytes further is prefetched.
    """

    @intrinsic
    def pack(typing, step, target, source, cells, first, last, ahead):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            step, target, *line = arguments
            switch(builder, step, steps, lambda step: _emit_line(vectors, builder, step, [target], *line))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), emit

    return pack


def phases_packing(vectors: Vectors, steps: Sequence[int]) -> Callable[..., None]:
    """Pack all phases of a line, which is read once: ``target[e*plane + n] = source[n*step + e]``.

    Returns:
        ``pack(step, target, plane, source, cells, first, last, ahead)``, where planes are so many bytes apart; all else
        is as in :func:`phase_packing`.
    """

    @intrinsic
    def pack(typing, step, target, plane, source, cells, first, last, ahead):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            step, target, plane, *line = arguments

            def emit_step(step: int) -> None:
                targets = [builder.add(target, builder.mul(plane, I64(e))) for e in range(step)]
                _emit_line(vectors, builder, step, targets, *line)

            switch(builder, step, steps, emit_step)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), emit

    return pack


def _emit_line(
    v: Vectors,
    builder: Any,
    step: int,
    targets: Sequence[Any],
    source: Any,
    cells: Any,
    first: Any,
    last: Any,
    ahead: Any,
) -> None:
    """Pack as many of the first phases as there are targets.

    The loop is inside of the case of a step: around all cases, the compiler would load what each of them shuffles by
    before it begins.
    """
    starts = [I64(part * v.lanes) for part in range(step)]  # of the vectors that a vector of cells reads

    def emit_some(number: Any, addresses: Sequence[Any]) -> list[Any]:
        before, after = builder.sub(first, number), builder.sub(last, number)
        ranges = [(builder.sub(before, start), builder.sub(after, start)) for start in starts]
        return [v.load_some(builder, *place) for place in zip(addresses, *zip(*ranges, strict=True), strict=True)]

    with cgutils.for_range_slice(builder, I64(0), cells, I64(v.lanes), I64) as (cell, _):
        number = builder.mul(cell, I64(step))
        addresses = [v.address(builder, source, builder.add(number, start)) for start in starts]
        for address in addresses:
            v.prefetch(builder, builder.add(address, ahead))
        is_inside = builder.and_(
            builder.icmp_signed("<=", first, number),
            builder.icmp_signed(">=", last, builder.add(number, I64(v.lanes * step))),
        )
        with builder.if_else(is_inside) as (inside, across):
            with inside:
                whole, block_of_whole = [v.load(builder, address) for address in addresses], builder.block
            with across:
                some, block_of_some = emit_some(number, addresses), builder.block
        loaded = []
        for pair in zip(whole, some, strict=True):
            loaded.append(builder.phi(v.type))
            for value, block in zip(pair, (block_of_whole, block_of_some), strict=True):
                loaded[-1].add_incoming(value, block)
        for target, phase in zip(targets, apart(v, builder, loaded), strict=False):
            v.store(builder, phase, v.address(builder, target, cell))


def apart(v: Vectors, builder: Any, vectors: Sequence[Any]) -> list[Any]:
    """The phases of numbers that follow one another in as many vectors: the inverse of ``interleaved``."""
    step, lanes = len(vectors), v.lanes
    if step == 1:
        return list(vectors)
    if step % 2 == 0:  # take the even and the odd numbers apart, then these
        pairs = list(zip(vectors[::2], vectors[1::2], strict=True))
        even, odd = (
            apart(v, builder, [v.shuffle(builder, a, b, range(first, 2 * lanes, 2)) for a, b in pairs])
            for first in (0, 1)
        )
        return [phase for pair in zip(even, odd, strict=True) for phase in pair]
    return [_phase(v, builder, vectors, e) for e in range(step)]


def _phase(v: Vectors, builder: Any, vectors: Sequence[Any], phase: int) -> Any:
    step, lanes = len(vectors), v.lanes
    places = [divmod(phase + lane * step, lanes) for lane in range(lanes)]  # (vector, its lane)
    taken = v.shuffle(
        builder, vectors[0], vectors[1], [place + part * lanes if part < 2 else 0 for part, place in places]
    )
    for number in range(2, step):
        pick = [lanes + place if part == number else lane for lane, (part, place) in enumerate(places)]
        taken = v.shuffle(builder, taken, vectors[number], pick)
    return taken
