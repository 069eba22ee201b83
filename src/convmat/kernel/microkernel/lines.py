"""Lines that go straight to the output: products of one row and of two, and finishing a vector of sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from convmat.kernel.epilogue import emit_epilogue, spread_epilogue
from convmat.kernel.microkernel.vectors import I32, I64, Vectors, switch

_Rows: TypeAlias = list[list[Any]]  # of each row, the vectors of its sums


def row_product(vectors: Vectors, most: int) -> Callable[..., None]:
    """A product of one row, straight to the output: ``target[n] = sum over k of weights[k] * window[offsets[k] + n]``.

    Args:
        vectors: the vectors to use.
        most: the most vectors of columns.

    Returns:
        ``product(columns, weights, window, offsets, count, target, epilogue, stored)``: for so many *vectors* of
        columns, of which the first ``stored`` numbers are stored, all but some of the last vector, after an epilogue.
    """

    @intrinsic
    def product(typing, columns, weights, window, offsets, count, target, epilogue, stored):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            columns, *operands = arguments
            shapes = range(1, most + 1)
            switch(builder, columns, shapes, lambda columns: _emit_row(vectors, builder, columns, *operands))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6, epilogue, types.int64), emit

    return product


def _emit_row(
    v: Vectors,
    builder: Any,
    columns: int,
    weights: Any,
    window: Any,
    offsets: Any,
    count: Any,
    target: Any,
    epilogue: Any,
    stored: Any,
) -> None:
    operands = spread_epilogue(v, builder, epilogue)
    table = builder.inttoptr(offsets, I32.as_pointer())
    taps = builder.inttoptr(weights, v.number.as_pointer())

    def add(k: Any, sums: _Rows) -> _Rows:
        inputs = _inputs(v, builder, window, builder.load(builder.gep(table, [k])), columns)
        return [_with_products(v, builder, builder.gep(taps, [k]), inputs, sums[0])]

    (sums,) = _emit_loop(builder, I64(0), count, [_zeros(v, columns)], add)
    store_line(v, builder, emit_epilogue(builder, sums, operands), target, stored)


def pair_product(vectors: Vectors, most: int) -> Callable[..., None]:
    """The products of two neighbouring rows, which read most of their inputs together, straight to the output.

    Args:
        vectors: the vectors to use.
        most: the most vectors of columns.

    Returns:
        ``product(columns, weights, window, pairs, firsts, both, seconds, target, further, epilogue, stored)``: for so
        many *vectors* of columns. ``pairs`` is a table of three 32-bit integers for each input: where it lies, and the
        numbers of the weights that the first row and the second multiply it with. So many inputs are those of the first
        row, then of both, then of the second. The second row is stored at ``further``. All else is as in
        :func:`row_product`.
    """

    @intrinsic
    def product(typing, columns, weights, window, pairs, firsts, both, seconds, target, further, epilogue, stored):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            columns, *operands = arguments
            shapes = range(1, most + 1)
            switch(builder, columns, shapes, lambda columns: _emit_pair(vectors, builder, columns, *operands))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9, epilogue, types.int64), emit

    return product


def _emit_pair(
    v: Vectors,
    builder: Any,
    columns: int,
    weights: Any,
    window: Any,
    pairs: Any,
    firsts: Any,
    both: Any,
    seconds: Any,
    target: Any,
    further: Any,
    epilogue: Any,
    stored: Any,
) -> None:
    operands = spread_epilogue(v, builder, epilogue)
    table = builder.inttoptr(pairs, I32.as_pointer())
    taps = builder.inttoptr(weights, v.number.as_pointer())

    def add(rows: Sequence[int], k: Any, sums: _Rows) -> _Rows:
        """The sums of both rows after an input that some of them read."""
        places = (builder.gep(table, [builder.add(builder.mul(k, I64(3)), I64(n))]) for n in range(3))
        offset, *numbers = map(builder.load, places)
        inputs, after = _inputs(v, builder, window, offset, columns), [*sums]
        for row in rows:
            tap = builder.gep(taps, [builder.sext(numbers[row], I64)])
            after[row] = _with_products(v, builder, tap, inputs, sums[row])
        return after

    sums, start = [_zeros(v, columns), _zeros(v, columns)], I64(0)
    for count, rows in ((firsts, (0,)), (both, (0, 1)), (seconds, (1,))):
        stop = builder.add(start, count)
        sums = _emit_loop(builder, start, stop, sums, partial(add, rows))
        start = stop
    for of_row, place in zip(sums, (target, further), strict=True):
        store_line(v, builder, emit_epilogue(builder, of_row, operands), place, stored)


def _zeros(v: Vectors, columns: int) -> list[Any]:
    return [ir.Constant(v.type, [0.0] * v.lanes)] * columns


def _inputs(v: Vectors, builder: Any, window: Any, offset: Any, columns: int) -> list[Any]:
    """The vectors of all columns that lie at an offset in the window."""
    cell = v.address(builder, window, builder.sext(offset, I64))
    return [v.load(builder, cell, n * v.lanes) for n in range(columns)]


def _with_products(v: Vectors, builder: Any, tap: Any, inputs: Sequence[Any], sums: Sequence[Any]) -> list[Any]:
    """The sums of a row after the products of its inputs and the weight that a pointer points to."""
    weight = v.spread(builder, builder.load(tap))
    return [v.multiply_add(builder, weight, x, so_far) for x, so_far in zip(inputs, sums, strict=True)]


def _emit_loop(builder: Any, start: Any, stop: Any, sums: _Rows, add: Callable[[Any, _Rows], _Rows]) -> _Rows:
    """Emit a loop from a number to before another, if that is larger; the sums after it."""
    before, loop, done = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed("<", start, stop), loop, done)

    builder.position_at_end(loop)
    k = builder.phi(I64)
    inside = [[builder.phi(one.type) for one in row] for row in sums]
    new, following = add(k, inside), builder.add(k, I64(1))
    k.add_incoming(start, before)
    k.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, stop), loop, done)

    builder.position_at_end(done)
    after = [[builder.phi(one.type) for one in row] for row in sums]
    for first, phi, later, total in zip(*map(chain.from_iterable, (sums, inside, new, after)), strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
        total.add_incoming(first, before)
        total.add_incoming(later, loop)
    return after


def store_line(v: Vectors, builder: Any, vectors: Sequence[Any], address: Any, stored: Any) -> None:
    """Store the first ``stored`` numbers of neighbouring vectors: all but some of the last vector."""
    *whole, last = vectors
    for n, vector in enumerate(whole):
        v.store(builder, vector, address, n * v.lanes)
    v.store_some(builder, last, address, len(whole) * v.lanes, stored)


def finishing(vectors: Vectors) -> Callable[..., None]:
    """Finish a vector of sums, and store it to the output.

    Args:
        vectors: the vectors to use.

    Returns:
        ``finish(sums, target, epilogue, stored, past_caches)``, of two addresses: the first ``stored`` numbers are
        stored, all if there are more; ``past_caches`` says whether by a non-temporal store of all, which needs an
        aligned target.
    """

    @intrinsic
    def finish(typing, sums, target, epilogue, stored, past_caches):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            sums, target, epilogue, stored, past_caches = arguments
            (vector,) = emit_epilogue(
                builder, [vectors.load(builder, sums)], spread_epilogue(vectors, builder, epilogue)
            )
            with builder.if_else(builder.icmp_signed(">=", stored, I64(vectors.lanes))) as (whole, some):
                with whole, builder.if_else(builder.icmp_signed("!=", past_caches, I64(0))) as (past, through):
                    with past:
                        vectors.store(builder, vector, target, non_temporal=True)
                    with through:
                        vectors.store(builder, vector, target)
                with some:
                    vectors.store_some(builder, vector, target, 0, stored)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, epilogue, types.int64, types.int64), emit

    return finish
