"""Transposing blocks in registers: channels that are neighbours become rows, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic

from convmat.kernel.epilogue import emit_epilogue, unpacked
from convmat.kernel.microkernel.vectors import I64, Vectors


def transposing(vectors: Vectors) -> Callable[..., None]:
    """Transpose up to as many rows and columns as a vector has lanes.

    Returns:
        ``transpose(target, pitch, source, starts, rows, columns)``. Row r is the ``columns`` numbers that lie
        ``starts[r]`` bytes after the source, by a table of 64-bit integers. Column c becomes the ``rows`` numbers that
        lie ``c*pitch`` bytes after the target.
    """

    @intrinsic
    def transpose(typing, target, pitch, source, starts, rows, columns):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _emit_transpose(vectors, builder, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6), emit

    return transpose


def transposing_sums(vectors: Vectors) -> Callable[..., None]:
    """Transpose as :func:`transposing` does, and finish each row by an epilogue of its own.

    Returns:
        ``transpose(target, pitch, source, starts, rows, columns, epilogues, non_temporal)``: the addresses of biases
        and slopes, two limits and whether an activation follows; and whether to use non-temporal stores, for which the
        target and the pitch must be aligned to vectors.
    """

    @intrinsic
    def transpose(typing, target, pitch, source, starts, rows, columns, epilogues, non_temporal):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _emit_transpose(vectors, builder, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6, epilogues, types.int64), emit

    return transpose


def transposing_cells(vectors: Vectors) -> Callable[..., None]:
    """Transpose as :func:`transposing_sums` does, and finish each column by an epilogue of its own.

    Returns:
        ``transpose(target, pitch, source, starts, rows, columns, epilogues)``.
    """

    @intrinsic
    def transpose(typing, target, pitch, source, starts, rows, columns, epilogues):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            target, pitch, source, starts, rows, columns, epilogues = arguments
            block = target, pitch, source, starts, rows, columns
            _emit_transpose(vectors, builder, *block, epilogues=epilogues, are_of_columns=True)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6, epilogues), emit

    return transpose


def _emit_transpose(
    v: Vectors,
    builder: Any,
    target: Any,
    pitch: Any,
    source: Any,
    starts: Any,
    rows: Any,
    columns: Any,
    epilogues: Any = None,
    non_temporal: Any = None,
    are_of_columns: bool = False,
) -> None:
    table, none = builder.inttoptr(starts, I64.as_pointer()), I64(0)
    row_places = [builder.load(builder.gep(table, [I64(r)])) for r in range(v.lanes)]
    of_rows = [builder.add(source, place) for place in row_places]
    of_columns = [builder.add(target, builder.mul(pitch, I64(c))) for c in range(v.lanes)]
    is_whole = builder.icmp_signed("==", builder.add(rows, columns), I64(2 * v.lanes))

    def wanted(place: int, most: Any, count: Any, addresses: list[Any]) -> tuple[Any, Any]:
        """How many numbers of a row or column are wanted, and its address: that of the first one if none is wanted."""
        is_wanted = builder.icmp_signed(">", most, I64(place))
        return builder.select(is_wanted, count, none), builder.select(is_wanted, addresses[place], addresses[0])

    def columns_of(vectors: list[Any]) -> list[Any]:
        if epilogues is None:
            return _transposed(v, builder, vectors)
        biases, slopes, low, high, is_activated = unpacked(builder, epilogues)
        count = columns if are_of_columns else rows
        operands = [v.load_some(builder, address, none, count) for address in (biases, slopes)]
        operands += [v.spread(builder, low), v.spread(builder, high), is_activated]
        if are_of_columns:
            return _transposed(v, builder, emit_epilogue(builder, vectors, operands))
        return emit_epilogue(builder, _transposed(v, builder, vectors), operands)

    with builder.if_else(is_whole) as (whole, some):
        with whole:
            vectors = columns_of([v.load(builder, address) for address in of_rows])
            if non_temporal is None:
                _store_all(v, builder, vectors, of_columns)
            else:
                with builder.if_else(builder.icmp_signed("!=", non_temporal, none)) as (past, usual):
                    with past:
                        _store_all(v, builder, vectors, of_columns, non_temporal=True)
                    with usual:
                        _store_all(v, builder, vectors, of_columns)
        with some:
            pairs = [wanted(r, rows, columns, of_rows) for r in range(v.lanes)]
            vectors = columns_of([v.load_some(builder, address, none, count) for count, address in pairs])
            for c, vector in enumerate(vectors):
                count, address = wanted(c, columns, rows, of_columns)
                v.store_some(builder, vector, address, 0, count)


def _store_all(v: Vectors, builder: Any, vectors: list[Any], addresses: list[Any], non_temporal: bool = False) -> None:
    for vector, address in zip(vectors, addresses, strict=True):
        v.store(builder, vector, address, non_temporal=non_temporal)


def _transposed(v: Vectors, builder: Any, vectors: list[Any]) -> list[Any]:
    """Transpose as many vectors as there are lanes: for each bit of the index in turn, pairs of vectors swap halves."""
    bit = 1
    while bit < v.lanes:
        for n in (n for n in range(v.lanes) if not n & bit):
            a, b = vectors[n], vectors[n | bit]
            low = [lane if not lane & bit else v.lanes + lane - bit for lane in range(v.lanes)]
            high = [lane + bit if not lane & bit else v.lanes + lane for lane in range(v.lanes)]
            vectors[n], vectors[n | bit] = v.shuffle(builder, a, b, low), v.shuffle(builder, a, b, high)
        bit *= 2
    return vectors
