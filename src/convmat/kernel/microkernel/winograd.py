"""Winograd's form in registers: sums of inputs for the planes of a window, and outputs from the results.

The formulas are in :mod:`convmat.kernel.tiling.winograd`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Any, TypeAlias

from numba import types
from numba.extending import intrinsic

from convmat.kernel.epilogue import emit_epilogue, spread_epilogue
from convmat.kernel.microkernel.packing import apart
from convmat.kernel.microkernel.vectors import I64, Vectors, switch
from convmat.kernel.microkernel.weaving import interleaved
from convmat.kernel.tiling.winograd import FORMS, OUTPUTS, READING_KINDS, WRITING_KINDS, ReadingKind, WritingKind

_Load: TypeAlias = Callable[[int, int], Any]  # of a row, a vector from a number of it on


def _compiled(kinds: Sequence[ReadingKind | WritingKind], lanes: int) -> list[int]:
    """The numbers of the kinds that there is code for; a vector must hold a whole run of neighbours."""
    return [number for number, kind in enumerate(kinds) if kind.dilation <= lanes]


def cells_at_once(lanes: int, dilation: int) -> int:
    """How many cells are transformed together: whole runs of neighbours, which are as many as the dilation."""
    return lanes // dilation * dilation


def transforming(vectors: Vectors) -> tuple[Callable[..., None], Callable[..., None]]:
    """The sums of inputs of a vector of cells, stored to planes of a window.

    Returns:
        ``transform(kind, target, plane, source, apart, ahead)``, for a number of ``READING_KINDS``, reads from the
        address ``source`` on, and for two axes from rows ``apart`` bytes apart, and stores a vector every ``plane``
        bytes from ``target`` on; what lies ``ahead`` bytes further is prefetched;
        ``transform_some(kind, target, plane, source, apart, ahead, first, last, first_row, last_row)`` reads only the
        numbers from ``first`` to before ``last``, of the rows from ``first_row`` to before ``last_row``, with zeros
        around.
    """
    all_kinds = _compiled(READING_KINDS, vectors.lanes)

    def emit_kind(
        builder: Any, number: int, target: Any, plane: Any, source: Any, apart: Any, ahead: Any, load: _Load
    ) -> None:
        kind = READING_KINDS[number]
        for row in range(kind.step if kind.axes == 2 else 1):  # the next cells read no others anew
            address = builder.add(builder.add(source, ahead), builder.mul(apart, I64(row)))
            for part in range(kind.step):
                vectors.prefetch(builder, vectors.address(builder, address, I64(part * vectors.lanes)))
        rows = [
            _sums(builder, _inputs_of_row(vectors, builder, kind, row, load), kind.sums)
            for row in range(len(kind.sums[0]) if kind.axes == 2 else 1)
        ]
        vectors_of = _sums_down(builder, rows, kind.sums) if kind.axes == 2 else rows
        for place, vector in enumerate(chain.from_iterable(vectors_of)):
            vectors.store(builder, vector, builder.add(target, builder.mul(plane, I64(place))))

    @intrinsic
    def transform(typing, kind, target, plane, source, apart, ahead):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            kind, target, plane, source, apart, ahead = arguments
            places = target, plane, source, apart, ahead

            def load(row: int, number: int) -> Any:
                return vectors.load(builder, builder.add(source, builder.mul(apart, I64(row))), number)

            switch(builder, kind, all_kinds, lambda kind: emit_kind(builder, kind, *places, load))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6), emit

    @intrinsic
    def transform_some(typing, kind, target, plane, source, apart, ahead, first, last, first_row, last_row):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            kind, target, plane, source, apart, ahead, first, last, first_row, last_row = arguments
            places = target, plane, source, apart, ahead

            def load(row: int, number: int) -> Any:
                address = vectors.address(builder, builder.add(source, builder.mul(apart, I64(row))), I64(number))
                is_below = builder.icmp_signed("<=", first_row, I64(row))
                is_inside = builder.and_(is_below, builder.icmp_signed(">", last_row, I64(row)))
                stop = builder.select(is_inside, last, first)
                return vectors.load_some(
                    builder, address, builder.sub(first, I64(number)), builder.sub(stop, I64(number))
                )

            switch(builder, kind, all_kinds, lambda kind: emit_kind(builder, kind, *places, load))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), emit

    return transform, transform_some


def _inputs_of_row(v: Vectors, builder: Any, kind: ReadingKind, row: int, load: _Load) -> list[Any]:
    """The inputs of a cell, each as a vector of cells: those of its own, and the first of the next one."""
    inputs = []
    for start in (0, kind.step * kind.dilation):
        parts = [load(row, start + part * v.lanes) for part in range(kind.step)]
        inputs += _apart(v, builder, kind.dilation, *parts) if kind.stride == 1 else apart(v, builder, parts)
    return inputs[: len(kind.sums[0])]


def _sums(builder: Any, vectors: Sequence[Any], sums: Sequence[Sequence[int]]) -> list[Any]:
    """Sums of vectors: of each, those with 1 are added and those with -1 subtracted."""
    return [_sum(builder, vectors, signs) for signs in sums]


def _sum(builder: Any, vectors: Sequence[Any], signs: Sequence[int]) -> Any:
    first = signs.index(1)
    total = vectors[first]
    for n, sign in enumerate(signs):
        if sign and n != first:
            total = (builder.fadd if sign > 0 else builder.fsub)(total, vectors[n])
    return total


def _sums_down(builder: Any, rows: Sequence[Sequence[Any]], sums: Sequence[Sequence[int]]) -> list[list[Any]]:
    """The sums of rows, number by number."""
    columns = [_sums(builder, column, sums) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _apart(v: Vectors, builder: Any, dilation: int, low: Any, high: Any) -> list[Any]:
    """The numbers of two vectors that come first in each run of two times the dilation, and those that come second."""
    cells = cells_at_once(v.lanes, dilation)
    places = [OUTPUTS * (cell - cell % dilation) + cell % dilation for cell in range(cells)]
    places += [0] * (v.lanes - cells)  # whatever: these are written again
    return [v.shuffle(builder, low, high, [place + half for place in places]) for half in (0, dilation)]


def finishing_transformed(vectors: Vectors, non_temporal: bool = False) -> Callable[..., None]:
    """Outputs from the results of a vector of cells, stored as neighbours.

    Args:
        vectors: the vectors to use.
        non_temporal: whether to use non-temporal stores, to rows aligned to vectors; without a dilation only.

    Returns:
        ``finish(kind, target, apart, source, places, epilogue)``, for a number of ``WRITING_KINDS``: for two axes, two
        rows ``apart`` bytes apart; ``places`` is the address of a table that says where the results of each product
        begin, from ``source`` on.
    """

    @intrinsic
    def finish(typing, kind, target, apart, source, places, epilogue):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            kind, target, apart, *operands = arguments

            def emit_kind(kind: int) -> None:
                for row, outputs in enumerate(_outputs(vectors, builder, kind, *operands)):
                    address = builder.add(target, builder.mul(apart, I64(row)))
                    for part, vector in enumerate(outputs):
                        vectors.store(builder, vector, address, part * vectors.lanes, non_temporal)

            numbers = _compiled(WRITING_KINDS, vectors.lanes)
            if non_temporal:
                numbers = [number for number in numbers if WRITING_KINDS[number].dilation == 1]
            switch(builder, kind, numbers, emit_kind)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5, epilogue), emit

    return finish


def finishing_some_transformed(vectors: Vectors) -> Callable[..., None]:
    """Outputs as :func:`finishing_transformed` makes them, of which only the first are stored.

    Returns:
        ``finish(kind, target, apart, source, places, epilogue, count, rows)``, which stores ``count`` numbers of each
        of the first ``rows`` rows.
    """

    @intrinsic
    def finish(typing, kind, target, apart, source, places, epilogue, count, rows):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            kind, target, apart, *operands, count, rows = arguments

            def emit_kind(kind: int) -> None:
                for row, outputs in enumerate(_outputs(vectors, builder, kind, *operands)):
                    address = builder.add(target, builder.mul(apart, I64(row)))
                    stored = builder.select(builder.icmp_signed(">", rows, I64(row)), count, I64(0))
                    for part, vector in enumerate(outputs):
                        vectors.store_some(builder, vector, address, part * vectors.lanes, stored)

            switch(builder, kind, _compiled(WRITING_KINDS, vectors.lanes), emit_kind)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5, epilogue, *[types.int64] * 2), emit

    return finish


def _outputs(v: Vectors, builder: Any, number: int, source: Any, places: Any, epilogue: Any) -> list[list[Any]]:
    """For each row of the output, vectors of neighbours."""
    kind = WRITING_KINDS[number]
    form, products = FORMS[kind.products], range(kind.products)
    operands, table = spread_epilogue(v, builder, epilogue), builder.inttoptr(places, I64.as_pointer())

    def load(row: int, phase: int, product: int) -> Any:
        place = (row * kind.stride + phase) * kind.products + product
        return v.load(builder, v.address(builder, source, builder.load(builder.gep(table, [I64(place)]))))

    def pairs_of_phase(phase: int) -> list[list[Any]]:
        """For each row of the output, the two outputs of each cell."""
        rows = [[load(row, phase, product) for product in products] for row in (products if kind.axes == 2 else (0,))]
        if kind.axes == 2:
            rows = _sums_down(builder, rows, form.outputs)
        return [_sums(builder, row, form.outputs) for row in rows]

    of_phases = [pairs_of_phase(phase) for phase in range(kind.stride)]
    of_rows = [[pair[output] for output in range(OUTPUTS) for pair in pairs] for pairs in zip(*of_phases, strict=True)]
    finished = iter(emit_epilogue(builder, [sums for row in of_rows for sums in row], operands))
    return [_neighbours(v, builder, kind.dilation, list(islice(finished, len(row)))) for row in of_rows]


def _neighbours(v: Vectors, builder: Any, dilation: int, outputs: list[Any]) -> list[Any]:
    """The outputs of each cell as neighbours: with a dilation, the two of a cell are that far apart."""
    if dilation == 1:
        return interleaved(v, builder, outputs)
    first, second = outputs
    places = []
    for output in range(OUTPUTS * cells_at_once(v.lanes, dilation)):
        run, place = divmod(output, OUTPUTS * dilation)
        is_second, cell = divmod(place, dilation)
        places.append(is_second * v.lanes + run * dilation + cell)
    places += [0] * (OUTPUTS * v.lanes - len(places))  # whatever: these are written again, or not stored
    return [v.shuffle(builder, first, second, half) for half in (places[: v.lanes], places[v.lanes :])]
