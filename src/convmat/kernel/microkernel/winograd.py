"""Winograd's form in registers: sums of inputs for the planes of a window, and outputs from the results.

The formulas are in :mod:`convmat.kernel.tiling.winograd`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from numba import types
from numba.extending import intrinsic

from convmat.kernel.epilogue import emit_epilogue, spread_epilogue
from convmat.kernel.microkernel.vectors import I64, Vectors, switch
from convmat.kernel.tiling.winograd import DILATIONS, OUTPUTS, PRODUCTS

# The forms: along the width, with planes for even places only and with those for odd ones, and along height and width.
# Each is compiled for the dilations along the width: a form times KINDS plus a dilation is a kind.
WIDTH, LONG_WIDTH, BOTH = range(3)
KINDS = 8


def kinds(forms: Iterable[int], lanes: int) -> list[int]:
    """The kinds that there is code for, of some forms or numbers of axes; a vector must hold a whole run of neighbours.

    >>> kinds((1, 2), lanes=2)
    [9, 10, 17, 18]
    """
    return [form * KINDS + dilation for form in forms for dilation in DILATIONS if dilation <= lanes]


def cells_at_once(lanes: int, dilation: int) -> int:
    """How many cells are transformed together: whole runs of neighbours, which are as many as the dilation."""
    return lanes // dilation * dilation


def transforming(vectors: Vectors) -> tuple[Callable[..., None], Callable[..., None]]:
    """The sums of inputs of a vector of cells, stored to planes of a window.

    Returns:
        ``transform(kind, target, plane, source, apart)`` reads from the address ``source`` on, and for ``BOTH`` from
        four rows ``apart`` bytes apart, and stores a vector every ``plane`` bytes from ``target`` on;
        ``transform_some(kind, target, plane, source, apart, first, last, first_row, last_row)`` reads only the numbers
        from ``first`` to before ``last``, of the rows from ``first_row`` to before ``last_row``, with zeros around.
    """
    all_kinds = kinds((WIDTH, LONG_WIDTH, BOTH), vectors.lanes)

    def emit_kind(builder: Any, kind: int, target: Any, plane: Any, load: Callable[[int, int], Any]) -> None:
        form, dilation = divmod(kind, KINDS)
        if form == BOTH:
            rows = [_sums_of_row(vectors, builder, row, dilation, load, odd=False) for row in range(PRODUCTS)]
            columns = [_sums(builder, [row[product] for row in rows]) for product in range(PRODUCTS)]
            planes = [columns[across][down] for down in range(PRODUCTS) for across in range(PRODUCTS)]
        else:
            planes = _sums_of_row(vectors, builder, 0, dilation, load, odd=form == LONG_WIDTH)
        for number, vector in enumerate(planes):
            vectors.store(builder, vector, builder.add(target, builder.mul(plane, I64(number))))

    @intrinsic
    def transform(typing, kind, target, plane, source, apart):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            kind, target, plane, source, apart = arguments

            def load(row: int, number: int) -> Any:
                return vectors.load(builder, builder.add(source, builder.mul(apart, I64(row))), number)

            switch(builder, kind, all_kinds, lambda kind: emit_kind(builder, kind, target, plane, load))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), emit

    @intrinsic
    def transform_some(typing, kind, target, plane, source, apart, first, last, first_row, last_row):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            kind, target, plane, source, apart, first, last, first_row, last_row = arguments

            def load(row: int, number: int) -> Any:
                address = vectors.address(builder, builder.add(source, builder.mul(apart, I64(row))), I64(number))
                is_below = builder.icmp_signed("<=", first_row, I64(row))
                is_inside = builder.and_(is_below, builder.icmp_signed(">", last_row, I64(row)))
                stop = builder.select(is_inside, last, first)
                return vectors.load_some(
                    builder, address, builder.sub(first, I64(number)), builder.sub(stop, I64(number))
                )

            switch(builder, kind, all_kinds, lambda kind: emit_kind(builder, kind, target, plane, load))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9), emit

    return transform, transform_some


def _sums_of_row(
    v: Vectors, builder: Any, row: int, dilation: int, load: Callable[[int, int], Any], odd: bool
) -> list[Any]:
    """The planes of a row: those for even places, and if ``odd`` the others, too."""
    further = OUTPUTS * dilation
    d0, d1 = _apart(v, builder, dilation, load(row, 0), load(row, v.lanes))
    d2, d3 = _apart(v, builder, dilation, load(row, further), load(row, v.lanes + further))
    planes = _sums(builder, [d0, d1, d2, d3])
    return [*planes, builder.fadd(d2, d3), builder.fsub(d3, d2)] if odd else planes


def _sums(builder: Any, inputs: list[Any]) -> list[Any]:
    d0, d1, d2, d3 = inputs
    return [builder.fsub(d0, d2), builder.fadd(d1, d2), builder.fsub(d2, d1), builder.fsub(d1, d3)]


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
        non_temporal: whether to use non-temporal stores, to rows aligned to vectors.

    Returns:
        ``finish(kind, target, apart, source, places, epilogue)``: for two axes, two rows ``apart`` bytes apart.
        ``kind`` is ``KINDS`` times how many axes there are, plus the dilation along the width, and ``places`` is the
        address of a table that says where the results of each product begin, from ``source`` on.
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

            switch(builder, kind, kinds((1, 2), vectors.lanes), emit_kind)
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

            switch(builder, kind, kinds((1, 2), vectors.lanes), emit_kind)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5, epilogue, *[types.int64] * 2), emit

    return finish


def _outputs(v: Vectors, builder: Any, kind: int, source: Any, places: Any, epilogue: Any) -> list[list[Any]]:
    """For each row of the output, two vectors of neighbours."""
    axes, dilation = divmod(kind, KINDS)
    operands, table = spread_epilogue(v, builder, epilogue), builder.inttoptr(places, I64.as_pointer())

    def load(number: int) -> Any:
        return v.load(builder, v.address(builder, source, builder.load(builder.gep(table, [I64(number)]))))

    down = PRODUCTS if axes == 2 else 1
    results = [[load(row * PRODUCTS + product) for product in range(PRODUCTS)] for row in range(down)]
    if axes == 2:
        of_products = [_pair(builder, [row[product] for row in results]) for product in range(PRODUCTS)]
        results = [[pair[row] for pair in of_products] for row in range(OUTPUTS)]
    return [_neighbours(v, builder, dilation, _pair(builder, row), operands) for row in results]


def _pair(builder: Any, products: list[Any]) -> list[Any]:
    m0, m1, m2, m3 = products
    return [
        builder.fadd(m0, builder.fadd(m1, m2)),
        builder.fsub(builder.fsub(m1, m2), m3),
    ]


def _neighbours(v: Vectors, builder: Any, dilation: int, pair: list[Any], operands: list[Any]) -> list[Any]:
    """Two vectors of outputs, the first and the second ones of each cell, as neighbours."""
    first, second = (emit_epilogue(builder, outputs, operands) for outputs in pair)
    places = []
    for output in range(OUTPUTS * cells_at_once(v.lanes, dilation)):
        run, place = divmod(output, OUTPUTS * dilation)
        is_second, cell = divmod(place, dilation)
        places.append(is_second * v.lanes + run * dilation + cell)
    places += [0] * (OUTPUTS * v.lanes - len(places))  # whatever: these are written again, or not stored
    return [v.shuffle(builder, first, second, half) for half in (places[: v.lanes], places[v.lanes :])]
