"""Addresses: pointers, copies, atomic counters and fences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convmat.kernel.microkernel.vectors import I64, Vectors, switch


@intrinsic
def pointer(typing, address):  # type: ignore[no-untyped-def]
    """An address as a pointer, to make an array of."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), emit


def moves(vectors: Vectors) -> tuple[Callable[..., None], Callable[..., None]]:
    """Copy a vector from one address to another.

    Returns:
        ``move(target, source)`` and ``move_some(target, source, first, last)``, which reads the numbers from ``first``
        to before ``last`` and stores zeros for the others.
    """

    @intrinsic
    def move(typing, target, source):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            target, source = arguments
            vectors.store(builder, vectors.load(builder, source), target)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), emit

    @intrinsic
    def move_some(typing, target, source, first, last):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            target, source, first, last = arguments
            vectors.store(builder, vectors.load_some(builder, source, first, last), target)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4), emit

    return move, move_some


def taking(vectors: Vectors, steps: Sequence[int]) -> tuple[Callable[..., None], Callable[..., None]]:
    """Take every ``step``-th number: ``target[n] = source[n * step]``, for a vector of them.

    Args:
        vectors: the vectors to use.
        steps: the steps to compile for.

    Returns:
        ``take(step, target, source)``, which reads whole vectors up to the first of the next ``step`` numbers, and
        ``take_some(step, target, source, first, last)``, which reads the numbers from ``source[first]`` to before
        ``source[last]`` and stores zeros for the others.
    """

    def emit_taken(builder: Any, step: int, target: Any, load: Callable[[int], Any]) -> None:
        lanes = vectors.lanes
        taken = load(0)
        picks = list(range(0, lanes * step, step))
        taken = vectors.shuffle(builder, taken, taken, [place if place < lanes else 0 for place in picks])
        for part in range(1, step):
            inside = [place // lanes == part for place in picks]
            if any(inside):
                pick = [
                    lanes + place % lanes if new else n
                    for n, (place, new) in enumerate(zip(picks, inside, strict=True))
                ]
                taken = vectors.shuffle(builder, taken, load(part), pick)
        vectors.store(builder, taken, target)

    @intrinsic
    def take(typing, step, target, source):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            step, target, source = arguments

            def emit_step(count: int) -> None:
                emit_taken(builder, count, target, lambda part: vectors.load(builder, source, part * vectors.lanes))

            switch(builder, step, steps, emit_step)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 3), emit

    @intrinsic
    def take_some(typing, step, target, source, first, last):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            step, target, source, first, last = arguments

            def load(part: int) -> Any:
                start = I64(part * vectors.lanes)
                address = vectors.address(builder, source, start)
                return vectors.load_some(builder, address, builder.sub(first, start), builder.sub(last, start))

            switch(builder, step, steps, lambda count: emit_taken(builder, count, target, load))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), emit

    return take, take_some


def gathering(vectors: Vectors) -> Callable[..., None]:
    """Gather a vector of numbers: ``target[n] = source[places[n]]``.

    Returns:
        ``gather(target, source, places)``, all addresses, that of ``places`` of 64-bit integers.
    """

    @intrinsic
    def gather(typing, target, source, places):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            target, source, places = arguments
            vectors.store(builder, vectors.gather(builder, source, places), target)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 3), emit

    return gather


def prefetching(vectors: Vectors) -> Callable[..., None]:
    """Have memory fetched into the second-level cache.

    Returns:
        ``prefetch(address)``, of any address, the cache line of which is fetched.
    """

    @intrinsic
    def prefetch(typing, address):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            vectors.prefetch(builder, builder.inttoptr(arguments[0], vectors.number.as_pointer()))
            return context.get_dummy_value()

        return types.void(types.int64), emit

    return prefetch


@intrinsic
def clear_bytes(typing, target, count):  # type: ignore[no-untyped-def]
    """Set so many bytes at an address to zero."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        cgutils.memset(builder, builder.inttoptr(arguments[0], cgutils.voidptr_t), arguments[1], 0)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 2), emit


@intrinsic
def add_atomically(typing, address, number):  # type: ignore[no-untyped-def]
    """Add to the 64-bit integer at an address; what it was before."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        address, number = arguments
        return builder.atomic_rmw("add", builder.inttoptr(address, I64.as_pointer()), number, "monotonic")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def fence(typing):  # type: ignore[no-untyped-def]
    """Make non-temporal stores visible to other threads."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit
