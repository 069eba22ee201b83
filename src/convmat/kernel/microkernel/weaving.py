"""Interleaving the rows of results into lines of the output, while the epilogue is applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numba import types
from numba.extending import intrinsic

from convmat.kernel.epilogue import emit_epilogue, spread_epilogue, unpacked
from convmat.kernel.microkernel.vectors import I64, Vectors, switch


def interleave(vectors: Vectors, steps: Sequence[int], non_temporal: bool = False) -> Callable[..., None]:
    """Interleave rows: ``target[a*step + e] = finish(source[places[e] + a])``, for a vector of cells a.

    Args:
        vectors: the vectors to use.
        steps: the steps to compile for.
        non_temporal: whether to use non-temporal stores, to a target aligned to vectors.

    Returns:
        ``weave(step, target, source, places, epilogue)``: one of ``steps``, three addresses and an epilogue.
    """

    @intrinsic
    def weave(typing, step, target, source, places, epilogue):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            step, target, *row_arguments = arguments

            def emit_step(count: int) -> None:
                rows = _rows(vectors, builder, count, *row_arguments)
                for j, woven in enumerate(interleaved(vectors, builder, rows)):
                    vectors.store(builder, woven, target, j * vectors.lanes, non_temporal)

            switch(builder, step, steps, emit_step)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4, epilogue), emit

    return weave


def interleave_some(vectors: Vectors, steps: Sequence[int]) -> Callable[..., None]:
    """Interleave rows as :func:`interleave` does, but store only the first outputs.

    Returns:
        ``weave(step, target, source, places, epilogue, count)``, which stores ``count`` numbers.
    """

    @intrinsic
    def weave(typing, step, target, source, places, epilogue, count):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            step, target, *row_arguments, count = arguments

            def emit_step(number: int) -> None:
                rows = _rows(vectors, builder, number, *row_arguments)
                for j, woven in enumerate(interleaved(vectors, builder, rows)):
                    vectors.store_some(builder, woven, target, j * vectors.lanes, count)

            switch(builder, step, steps, emit_step)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4, epilogue, types.int64), emit

    return weave


def interleave_pieces(vectors: Vectors, pieces: Sequence[int]) -> Callable[..., None]:
    """Interleave the first rows only: ``target[a*step + e] = finish(source[places[e] + a])`` for e in ``range(piece)``.

    Returns:
        ``weave(piece, target, source, places, epilogue, step)``; piece is one of ``pieces``, which divide the lanes.
    """

    @intrinsic
    def weave(typing, piece, target, source, places, epilogue, step):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            piece, target, *row_arguments, step = arguments

            def emit_piece(count: int) -> None:
                woven = interleaved(vectors, builder, _rows(vectors, builder, count, *row_arguments))
                for a in range(vectors.lanes):
                    vector, first = woven[a * count // vectors.lanes], a * count % vectors.lanes
                    cells = vectors.shuffle(builder, vector, vector, range(first, first + count))
                    at = vectors.address(builder, target, builder.mul(step, I64(a)))
                    builder.store(cells, builder.inttoptr(at, cells.type.as_pointer()), align=vectors.size)

            switch(builder, piece, pieces, emit_piece)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4, epilogue, types.int64), emit

    return weave


def _rows(v: Vectors, builder: Any, count: int, source: Any, places: Any, epilogue: Any) -> list[Any]:
    operands = spread_epilogue(v, builder, epilogue)
    table = builder.inttoptr(places, I64.as_pointer())
    starts = [v.address(builder, source, builder.load(builder.gep(table, [I64(e)]))) for e in range(count)]
    return emit_epilogue(builder, [v.load(builder, start) for start in starts], operands)


def interleaved(v: Vectors, builder: Any, rows: list[Any]) -> list[Any]:
    """Vectors holding lane 0 of all rows, then lane 1, and so on."""
    step, lanes = len(rows), v.lanes
    if step == 1:
        return rows
    if step % 2 == 0:  # weave the even and the odd rows, then these two
        even, odd = interleaved(v, builder, rows[::2]), interleaved(v, builder, rows[1::2])
        low = [n for i in range(lanes // 2) for n in (i, lanes + i)]
        high = [n + lanes // 2 for n in low]
        return [v.shuffle(builder, a, b, half) for a, b in zip(even, odd, strict=True) for half in (low, high)]
    woven = []
    for j in range(step):
        wanted = [divmod(j * lanes + lane, step)[::-1] for lane in range(lanes)]  # (row, its lane)
        vector = rows[0]
        vector = v.shuffle(builder, vector, vector, [lane if row == 0 else 0 for row, lane in wanted])
        for e in range(1, step):
            pick = [lanes + lane if row == e else n for n, (row, lane) in enumerate(wanted)]
            vector = v.shuffle(builder, vector, rows[e], pick)
        woven.append(vector)
    return woven


def finishing(vectors: Vectors) -> Callable[..., Any]:
    """Apply the epilogue to a single number.

    Returns:
        ``finish(sum, epilogue)``.
    """

    @intrinsic
    def finish(typing, total, epilogue):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            total, epilogue = arguments
            (finished,) = emit_epilogue(builder, [total], unpacked(builder, epilogue))
            return finished

        return vectors.numba_type(vectors.numba_type, epilogue), emit

    return finish
