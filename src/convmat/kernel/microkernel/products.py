"""The product of a tile, with its sums in registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from convmat.kernel.epilogue import emit_epilogues, unpacked
from convmat.kernel.microkernel.lines import store_line
from convmat.kernel.microkernel.vectors import I32, I64, Vectors, switch
from convmat.kernel.tiling.processor import RUN


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
        rows, where the biases of the rows lie, where the slopes of an activation and its two limits, and whether it
        follows.
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


def channel_product(vectors: Vectors, widest: Sequence[int], widths: Sequence[int]) -> Callable[..., None]:
    """The product of a tile whose lanes are output channels: ``results[m, n]`` of cells m and neighbouring channels n.

    Args:
        vectors: the vectors to use.
        widest: the most vectors of a tile of 1, 2, ... cells.
        widths: how many vectors of channels a tile may have.

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
            shapes = [16 * r + c for r, most in enumerate(widest, 1) for c in widths if c <= most]
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
        v.prefetch(builder, builder.ptrtoint(builder.gep(taps, [ahead]), I64))
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
        v.prefetch(builder, v.address(builder, taps, ahead))
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
    run, done, first, later, next_run, end = (
        builder.append_basic_block(name) for name in ("run", "done", "first", "later", "next", "end")
    )
    of_rows = [v.address(builder, results, builder.mul(pitch, I64(m))) for m in range(rows)]
    places = [(m, n) for m in range(rows) for n in range(columns)]
    builder.branch(run)

    builder.position_at_end(run)
    start = builder.phi(I64)
    rest = builder.sub(count, start)
    stop = builder.select(builder.icmp_signed("<", rest, I64(RUN)), count, builder.add(start, I64(RUN)))
    totals = _emit_run(v, builder, places, load, start, stop, done)
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


def _emit_run(
    v: Vectors,
    builder: Any,
    places: list[tuple[int, int]],
    load: Callable[[Any], tuple[list[Any], list[Any]]],
    start: Any,
    stop: Any,
    done: Any,
) -> dict[tuple[int, int], Any]:
    """The sums over the factors from ``start`` to before ``stop``: two by two, after the first of an odd number.

    More at a time would need more registers than there are. It goes on in the block ``done``.
    """
    run = builder.block
    odd, single, even, pair = (builder.append_basic_block(name) for name in ("odd", "single", "even", "pair"))
    zero = ir.Constant(v.type, [0.0] * v.lanes)

    def add(k: Any, sums: dict[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
        numbers, vectors = load(k)
        spread = [v.spread(builder, builder.load(number)) for number in numbers]
        return {(m, n): v.multiply_add(builder, spread[m], vectors[n], sums[m, n]) for m, n in places}

    def phis(ways: list[tuple[dict[tuple[int, int], Any], Any]]) -> dict[tuple[int, int], Any]:
        made = {place: builder.phi(v.type) for place in places}
        for sums, block in ways:
            for place, phi in made.items():
                phi.add_incoming(sums[place], block)
        return made

    zeros = dict.fromkeys(places, zero)
    builder.cbranch(builder.icmp_signed("<", start, stop), odd, done)
    builder.position_at_end(odd)
    is_odd = builder.trunc(builder.sub(stop, start), ir.IntType(1))
    builder.cbranch(is_odd, single, even)
    builder.position_at_end(single)
    of_one = add(start, zeros)
    second = builder.add(start, I64(1))
    builder.cbranch(builder.icmp_signed("<", second, stop), even, done)

    builder.position_at_end(even)
    begin = builder.phi(I64)
    begin.add_incoming(start, odd)
    begin.add_incoming(second, single)
    before = phis([(zeros, odd), (of_one, single)])
    builder.branch(pair)

    builder.position_at_end(pair)
    k = builder.phi(I64)
    sums = phis([(before, even)])
    new = add(builder.add(k, I64(1)), add(k, sums))
    following = builder.add(k, I64(2))
    for place in places:
        sums[place].add_incoming(new[place], pair)
    k.add_incoming(begin, even)
    k.add_incoming(following, pair)
    builder.cbranch(builder.icmp_signed("<", following, stop), pair, done)

    builder.position_at_end(done)
    return phis([(zeros, run), (of_one, single), (new, pair)])


def _emit_output(v: Vectors, builder: Any, output: Sequence[Any], sums: list[list[Any]]) -> None:
    """Finish the rows, and store them to the output."""
    target, apart, stored, past_caches, biases, slopes, limits, is_activated = output
    addresses = [builder.add(target, builder.mul(apart, I64(m))) for m in range(len(sums))]

    def spread(address: Any, count: int) -> list[Any]:
        table = builder.inttoptr(address, v.number.as_pointer())
        return [v.spread(builder, builder.load(builder.gep(table, [I64(n)]))) for n in range(count)]

    def numbers() -> tuple[list[Any], Any, Any]:
        low, high = spread(limits, 2)
        return spread(slopes, len(sums)), low, high

    rows = emit_epilogues(builder, sums, spread(biases, len(sums)), numbers, is_activated)
    last = (len(sums[0]) - 1) * v.lanes
    is_whole = builder.icmp_signed(">=", stored, I64(last + v.lanes))
    is_past = builder.and_(is_whole, builder.icmp_signed("!=", past_caches, I64(0)))
    with builder.if_else(is_past) as (past, through):
        with past:
            for address, row in zip(addresses, rows, strict=True):
                for n, vector in enumerate(row):
                    v.store(builder, vector, address, n * v.lanes, non_temporal=True)
        with through:
            for address, row in zip(addresses, rows, strict=True):
                store_line(v, builder, row, address, stored)
