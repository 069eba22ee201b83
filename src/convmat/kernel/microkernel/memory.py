"""Addresses: pointers, copies, atomic counters and fences."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convmat.kernel.microkernel.vectors import I32, I64, Vectors


@intrinsic
def pointer(typing, address):  # type: ignore[no-untyped-def]
    """An address as a pointer, to make an array of."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), emit


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
def call_for_number(typing, address):  # type: ignore[no-untyped-def]
    """The 32-bit integer that the function at an address returns; it takes no arguments."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        function = builder.inttoptr(arguments[0], ir.FunctionType(I32, []).as_pointer())
        return builder.sext(builder.call(function, []), I64)

    return types.int64(types.int64), emit


@intrinsic
def fence(typing):  # type: ignore[no-untyped-def]
    """Make non-temporal stores visible to other threads."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit
