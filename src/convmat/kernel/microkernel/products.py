"""The product of a tile, with its sums in registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from convmat.kernel.epilogue import emit_epilogue, spread_epilogue, unpacked
from convmat.kernel.microkernel.vectors import I32, I64, Vectors, switch
from convmat.kernel.tiling.processor import MOST_VECTORS, RUN


def tile_product(vectors: Vectors, widest: Sequence[int]) -> Callable[..., None]:
    """The product of a tile: ``results[m, n] = sum over k of weights[k, m] * window[offsets[k] + n]``.

    Args:
        vectors: the vectors to use.
        widest: the most vectors of a tile of 1, 2, ... rows.

    Returns:
        ``product(rows, columns, weights, window, offsets, count, results, pitch, accumulate, ahead, output)``: for so
        many rows and *vectors* of columns, ``count`` numbers to sum over, and rows of results ``pitch`` numbers apart.
        ``accumulate`` says whether the sums are added to these; ``ahead`` is how many numbers further the weights lie
        that are wanted next, to be prefetched. All else are addresses, but for ``output``, a tuple. If its first number
        is an address, the sums of a tile of the most rows go there, from registers; the others are how many bytes apart
        its rows lie, how many numbers of each are stored, whether by non-temporal stores of all, which need aligned
        rows, and where the biases of the rows lie.
    """

    @intrinsic
    def product(typing, rows, columns, weights, window, offsets, count, results, pitch, accumulate, ahead, output):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            m, n, *operands = arguments
            shapes = [16 * r + c for r, most in enumerate(widest, 1) for c in range(1, most + 1)]
            shape = builder.add(builder.mul(m, I64(16)), n)
            emit_shape = partial(_emit_tile, vectors, builder, len(widest))
            switch(builder, shape, shapes, lambda shape: emit_shape(*divmod(shape, 16), *operands))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10, output), emit

    return product


def channel_product(vectors: Vectors, widest: Sequence[int]) -> Callable[..., None]:
    """The product of a tile whose lanes are output channels: ``results[m, n]`` of cells m and neighbouring channels n.

    Args:
        vectors: the vectors to use.
        widest: the most vectors of a tile of 1, 2, ... cells.

    Returns:
        ``product(cells, columns, weights, window, places, offsets, count, results, pitch, accumulate, ahead)``: for so
        many cells and *vectors* of channels, ``count`` numbers to sum over, and the results of cells ``pitch`` numbers
        apart. Cell m lies ``places[m]`` bytes after the window, by a table of 64-bit integers. All else is as in
        :func:`tile_product`.
    """

    @intrinsic
    def product(typing, cells, columns, weights, window, places, offsets, count, results, pitch, accumulate, ahead):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            m, n, *operands = arguments
            shapes = [16 * r + c for r, most in enumerate(widest, 1) for c in range(1, min(most, MOST_VECTORS) + 1)]
            shape = builder.add(builder.mul(m, I64(16)), n)
            emit_shape = partial(_emit_channel_tile, vectors, builder)
            switch(builder, shape, shapes, lambda shape: emit_shape(*divmod(shape, 16), *operands))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 11), emit

    return product


def _emit_tile(
    v: Vectors,
    builder: Any,
    most_rows: int,
    rows: int,
    columns: int,
    weights: Any,
    window: Any,
    offsets: Any,
    count: Any,
    results: Any,
    pitch: Any,
    accumulate: Any,
    ahead: Any,
    output: Any,
) -> None:
    def load(k: Any) -> tuple[list[Any], list[Any]]:
        offset = builder.load(builder.gep(builder.inttoptr(offsets, I32.as_pointer()), [k]))
        cell = v.address(builder, window, builder.sext(offset, I64))
        inputs = [v.load(builder, cell, n * v.lanes) for n in range(columns)]
        taps = builder.gep(builder.inttoptr(weights, v.number.as_pointer()), [builder.mul(k, I64(rows))])
        v.prefetch(builder, builder.gep(taps, [ahead]))
        return [builder.gep(taps, [I64(m)]) for m in range(rows)], inputs

    store = partial(_emit_output, v, builder, unpacked(builder, output)) if rows == most_rows else None
    _emit_sums(
        v, builder, rows, columns, load, count, results, pitch, accumulate, builder.extract_value(output, 0), store
    )


def _emit_channel_tile(
    v: Vectors,
    builder: Any,
    cells: int,
    columns: int,
    weights: Any,
    window: Any,
    places: Any,
    offsets: Any,
    count: Any,
    results: Any,
    pitch: Any,
    accumulate: Any,
    ahead: Any,
) -> None:
    table = builder.inttoptr(places, I64.as_pointer())
    of_cells = [builder.add(window, builder.load(builder.gep(table, [I64(m)]))) for m in range(cells)]
    pointers = [builder.inttoptr(address, v.number.as_pointer()) for address in of_cells]

    def load(k: Any) -> tuple[list[Any], list[Any]]:
        offset = builder.load(builder.gep(builder.inttoptr(offsets, I32.as_pointer()), [k]))
        taps = v.address(builder, weights, builder.mul(k, I64(columns * v.lanes)))
        v.prefetch(builder, builder.inttoptr(v.address(builder, taps, ahead), v.number.as_pointer()))
        numbers = [builder.gep(pointer, [builder.sext(offset, I64)]) for pointer in pointers]
        return numbers, [v.load(builder, taps, n * v.lanes) for n in range(columns)]

    _emit_sums(v, builder, cells, columns, load, count, results, pitch, accumulate)


def _emit_sums(
    v: Vectors,
    builder: Any,
    rows: int,
    columns: int,
    load: Callable[[Any], tuple[list[Any], list[Any]]],
    count: Any,
    results: Any,
    pitch: Any,
    accumulate: Any,
    target: Any = None,
    finish: Callable[[list[list[Any]]], None] | None = None,
) -> None:
    """Sum in runs of at most ``RUN`` products, and these sums in memory: the error grows with the longer of the two.

    ``load`` emits what a factor needs: where the number of each row lies, and the vectors of all columns. ``finish``,
    if given, emits what is done with the sums of the only run where ``target`` is an address.
    """
    before = builder.block
    run, loop, done, first, later, next_run, end = (
        builder.append_basic_block(name) for name in ("run", "loop", "done", "first", "later", "next", "end")
    )
    zero = ir.Constant(v.type, [0.0] * v.lanes)
    of_rows = [v.address(builder, results, builder.mul(pitch, I64(m))) for m in range(rows)]
    places = [(m, n) for m in range(rows) for n in range(columns)]
    builder.branch(run)

    builder.position_at_end(run)
    start = builder.phi(I64)
    rest = builder.sub(count, start)
    stop = builder.select(builder.icmp_signed("<", rest, I64(RUN)), count, builder.add(start, I64(RUN)))
    builder.cbranch(builder.icmp_signed("<", start, stop), loop, done)

    builder.position_at_end(loop)
    k = builder.phi(I64)
    sums = {place: builder.phi(v.type) for place in places}
    numbers, vectors = load(k)
    new = {}
    for m in range(rows):
        number = v.spread(builder, builder.load(numbers[m]))
        for n in range(columns):
            new[m, n] = v.multiply_add(builder, number, vectors[n], sums[m, n])
    following = builder.add(k, I64(1))
    k.add_incoming(start, run)
    k.add_incoming(following, loop)
    for place in places:
        sums[place].add_incoming(zero, run)
        sums[place].add_incoming(new[place], loop)
    builder.cbranch(builder.icmp_signed("<", following, stop), loop, done)

    builder.position_at_end(done)
    totals = {}
    for place in places:
        totals[place] = builder.phi(v.type)
        totals[place].add_incoming(zero, run)
        totals[place].add_incoming(new[place], loop)
    builder.cbranch(builder.icmp_signed("==", builder.or_(start, accumulate), I64(0)), first, later)

    builder.position_at_end(first)
    if finish is not None:
        finished, kept = builder.append_basic_block("finished"), builder.append_basic_block("kept")
        is_only = builder.icmp_signed("==", stop, count)
        builder.cbranch(builder.and_(is_only, builder.icmp_signed("!=", target, I64(0))), finished, kept)
        builder.position_at_end(finished)
        finish([[totals[m, n] for n in range(columns)] for m in range(rows)])
        builder.branch(next_run)
        builder.position_at_end(kept)
    for m, n in places:
        v.store(builder, totals[m, n], of_rows[m], n * v.lanes)
    builder.branch(next_run)

    builder.position_at_end(later)
    for m, n in places:
        so_far = v.load(builder, of_rows[m], n * v.lanes)
        v.store(builder, builder.fadd(so_far, totals[m, n]), of_rows[m], n * v.lanes)
    builder.branch(next_run)

    builder.position_at_end(next_run)
    start.add_incoming(I64(0), before)
    start.add_incoming(stop, next_run)
    builder.cbranch(builder.icmp_signed("<", stop, count), run, end)
    builder.position_at_end(end)


def _emit_output(v: Vectors, builder: Any, output: Sequence[Any], sums: list[list[Any]]) -> None:
    """Add the biases of the rows, and store them to the output."""
    target, apart, stored, past_caches, biases = output
    table = builder.inttoptr(biases, v.number.as_pointer())
    addresses = [builder.add(target, builder.mul(apart, I64(m))) for m in range(len(sums))]
    spread = [v.spread(builder, builder.load(builder.gep(table, [I64(m)]))) for m in range(len(sums))]
    rows = [[builder.fadd(one, bias) for one in row] for row, bias in zip(sums, spread, strict=True)]
    last = (len(sums[0]) - 1) * v.lanes
    is_whole = builder.icmp_signed(">=", stored, I64(last + v.lanes))
    is_past = builder.and_(is_whole, builder.icmp_signed("!=", past_caches, I64(0)))
    with builder.if_else(is_past) as (past, through):
        with past:
            for address, row in zip(addresses, rows, strict=True):
                for n, vector in enumerate(row):
                    v.store(builder, vector, address, n * v.lanes, non_temporal=True)
        with through:
            for address, (*whole, vector) in zip(addresses, rows, strict=True):
                for n, one in enumerate(whole):
                    v.store(builder, one, address, n * v.lanes)
                v.store_some(builder, vector, address, last, stored)


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
    before = builder.block
    loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
    operands = spread_epilogue(v, builder, epilogue)
    zero = ir.Constant(v.type, [0.0] * v.lanes)
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(I64)
    sums = [builder.phi(v.type) for _ in range(columns)]
    offset = builder.load(builder.gep(builder.inttoptr(offsets, I32.as_pointer()), [k]))
    cell = v.address(builder, window, builder.sext(offset, I64))
    tap = v.spread(builder, builder.load(builder.gep(builder.inttoptr(weights, v.number.as_pointer()), [k])))
    new = [v.multiply_add(builder, tap, v.load(builder, cell, n * v.lanes), sums[n]) for n in range(columns)]
    following = builder.add(k, I64(1))
    for phi, first, later in ((k, I64(0), following), *((s, zero, n) for s, n in zip(sums, new, strict=True))):
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, done)

    builder.position_at_end(done)
    *whole, last = emit_epilogue(builder, new, operands)
    for n, vector in enumerate(whole):
        v.store(builder, vector, target, n * v.lanes)
    v.store_some(builder, last, target, len(whole) * v.lanes, stored)


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
    zero = ir.Constant(v.type, [0.0] * v.lanes)

    def add(rows: Sequence[int], k: Any, sums: list[list[Any]]) -> list[list[Any]]:
        """The sums of both rows after an input that some of them read."""
        offset, *numbers = (
            builder.load(builder.gep(table, [builder.add(builder.mul(k, I64(3)), I64(n))])) for n in range(3)
        )
        cell = v.address(builder, window, builder.sext(offset, I64))
        inputs = [v.load(builder, cell, n * v.lanes) for n in range(columns)]
        after = [*sums]
        for row in rows:
            tap = v.spread(builder, builder.load(builder.gep(taps, [builder.sext(numbers[row], I64)])))
            after[row] = [v.multiply_add(builder, tap, x, so_far) for x, so_far in zip(inputs, sums[row], strict=True)]
        return after

    sums, start = [[zero] * columns, [zero] * columns], I64(0)
    for count, rows in ((firsts, (0,)), (both, (0, 1)), (seconds, (1,))):
        stop = builder.add(start, count)
        sums = _emit_loop(builder, start, stop, sums, partial(add, rows))
        start = stop
    *whole, last = zip(*(emit_epilogue(builder, of_row, operands) for of_row in sums), strict=True)
    for place, row in ((target, 0), (further, 1)):
        for n, vectors in enumerate(whole):
            v.store(builder, vectors[row], place, n * v.lanes)
        v.store_some(builder, last[row], place, len(whole) * v.lanes, stored)


def _emit_loop(
    builder: Any, start: Any, stop: Any, sums: list[list[Any]], add: Callable[[Any, list[list[Any]]], list[list[Any]]]
) -> list[list[Any]]:
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
