"""Pieces of machine code: products of a tile with its sums in registers, and interleaving, in LLVM's explicit vectors.

Written for Numba as intrinsics over addresses (64-bit integers). The compiler maps a vector to the registers at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from convmat.kernel.tiling import RUN

_I32, _I64 = ir.IntType(32), ir.IntType(64)

_STATES = 8  # vectors of a digest that grow side by side, as one would wait for itself
_TURN, _FACTOR = 27, 0x9E3779B97F4A7C15  # bits, and an odd number without pattern: that of the golden ratio

_FLOATS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}


class Vectors:
    """Emits code over vectors of ``lanes`` numbers of one type."""

    def __init__(self, dtype: str, lanes: int) -> None:
        self.number = _FLOATS[dtype]
        self.size = 4 if dtype == "float32" else 8
        self.lanes = lanes
        self.type = ir.VectorType(self.number, lanes)
        self.suffix = f"v{lanes}f{8 * self.size}"
        self.numba_type = types.float32 if dtype == "float32" else types.float64

    def address(self, builder: Any, address: Any, number: Any) -> Any:
        """The address so many numbers further."""
        return builder.add(address, builder.mul(number, _I64(self.size)))

    def load(self, builder: Any, address: Any, at: int = 0) -> Any:
        """A vector, at any address."""
        pointer = builder.inttoptr(builder.add(address, _I64(at * self.size)), self.type.as_pointer())
        return builder.load(pointer, align=self.size)

    def store(self, builder: Any, vector: Any, address: Any, at: int = 0, past_caches: bool = False) -> None:
        """Store a vector, at any address, or around the caches at an aligned one."""
        pointer = builder.inttoptr(builder.add(address, _I64(at * self.size)), self.type.as_pointer())
        instruction = builder.store(vector, pointer, align=self.lanes * self.size if past_caches else self.size)
        if past_caches:
            instruction.set_metadata("nontemporal", builder.module.add_metadata([_I32(1)]))

    def store_some(self, builder: Any, vector: Any, address: Any, at: int, count: Any) -> None:
        """Store those numbers of a vector at ``address + at`` that are among the first ``count`` from the address."""
        pointer = builder.inttoptr(builder.add(address, _I64(at * self.size)), self.type.as_pointer())
        wanted = self._compare(builder, ">", count, at)
        kind = ir.FunctionType(ir.VoidType(), [self.type, pointer.type, _I32, wanted.type])
        store = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.{self.suffix}.p0")
        builder.call(store, [vector, pointer, _I32(self.size), wanted])

    def load_some(self, builder: Any, address: Any, first: Any, last: Any) -> Any:
        """A vector of which only the numbers from ``first`` to before ``last`` are read; the others are zero."""
        pointer = builder.inttoptr(address, self.type.as_pointer())
        wanted = builder.and_(self._compare(builder, "<=", first, 0), self._compare(builder, ">", last, 0))
        kind = ir.FunctionType(self.type, [pointer.type, _I32, wanted.type, self.type])
        load = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.{self.suffix}.p0")
        return builder.call(load, [pointer, _I32(self.size), wanted, ir.Constant(self.type, [0.0] * self.lanes)])

    def gather(self, builder: Any, address: Any, places: Any) -> Any:
        """A vector of the numbers that lie at places, counted from an address."""
        integers = ir.VectorType(_I64, self.lanes)
        numbers = builder.load(builder.inttoptr(places, integers.as_pointer()), align=8)
        bytes_on = builder.mul(numbers, ir.Constant(integers, [self.size] * self.lanes))
        addresses = builder.add(bytes_on, self._spread_integer(builder, address))
        pointers = builder.inttoptr(addresses, ir.VectorType(self.number.as_pointer(), self.lanes))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(1), self.lanes), [1] * self.lanes)
        kind = ir.FunctionType(self.type, [pointers.type, _I32, everywhere.type, self.type])
        gather = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.masked.gather.{self.suffix}.v{self.lanes}p0"
        )
        return builder.call(gather, [pointers, _I32(self.size), everywhere, ir.Constant(self.type, ir.Undefined)])

    def _spread_integer(self, builder: Any, number: Any) -> Any:
        undefined = ir.Constant(ir.VectorType(_I64, self.lanes), ir.Undefined)
        same = ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        return builder.shuffle_vector(builder.insert_element(undefined, number, _I32(0)), undefined, same)

    def _compare(self, builder: Any, relation: str, number: Any, start: int) -> Any:
        """A number compared with ``start``, ``start + 1``, ..."""
        lanes = ir.Constant(ir.VectorType(_I64, self.lanes), [start + lane for lane in range(self.lanes)])
        return builder.icmp_signed(relation, self._spread_integer(builder, number), lanes)

    def spread(self, builder: Any, number: Any) -> Any:
        """A vector of one number."""
        undefined = ir.Constant(self.type, ir.Undefined)
        return self.shuffle(builder, builder.insert_element(undefined, number, _I32(0)), undefined, [0] * self.lanes)

    def shuffle(self, builder: Any, a: Any, b: Any, places: Sequence[int]) -> Any:
        """Pick lanes of two vectors, counted through."""
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, len(places)), list(places)))

    def prefetch(self, builder: Any, pointer: Any) -> None:
        """Have the cache line of an address fetched into the second level."""
        byte = builder.bitcast(pointer, cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [byte.type, _I32, _I32, _I32])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [byte, _I32(0), _I32(2), _I32(1)])

    def multiply_add(self, builder: Any, a: Any, b: Any, c: Any) -> Any:
        """``a*b + c``, rounded once."""
        kind = ir.FunctionType(self.type, [self.type] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.{self.suffix}")
        return builder.call(fma, [a, b, c])


def tile_product(vectors: Vectors, widest: Sequence[int]) -> Callable[..., None]:
    """The product of a tile: ``results[m, n] = sum over k of weights[k, m] * window[offsets[k] + n]``.

    Args:
        vectors: the vectors to use.
        widest: the most vectors of a tile of 1, 2, ... rows.

    Returns:
        ``product(rows, columns, weights, window, offsets, count, results, pitch, added, ahead)``: for so many rows and
        *vectors* of columns, ``count`` numbers to sum over, and rows of results ``pitch`` numbers apart, to which the
        sums are added or not; the weights so many numbers ahead will be wanted next; all else are addresses.
    """

    @intrinsic
    def product(typing, rows, columns, weights, window, offsets, count, results, pitch, added, ahead):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            m, n, *operands = arguments
            shapes = [16 * r + c for r, most in enumerate(widest, 1) for c in range(1, most + 1)]
            shape = builder.add(builder.mul(m, _I64(16)), n)
            _switch(builder, shape, shapes, lambda shape: _emit_tile(vectors, builder, *divmod(shape, 16), *operands))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), emit

    return product


def _emit_tile(
    v: Vectors,
    builder: Any,
    rows: int,
    columns: int,
    weights: Any,
    window: Any,
    offsets: Any,
    count: Any,
    results: Any,
    pitch: Any,
    added: Any,
    ahead: Any,
) -> None:
    """Sum in runs of at most ``RUN`` products, and these sums in memory: the error grows with the longer of the two."""
    before = builder.block
    run, loop, done, first, later, next_run, end = (
        builder.append_basic_block(name) for name in ("run", "loop", "done", "first", "later", "next", "end")
    )
    zero = ir.Constant(v.type, [0.0] * v.lanes)
    of_rows = [v.address(builder, results, builder.mul(pitch, _I64(m))) for m in range(rows)]
    places = [(m, n) for m in range(rows) for n in range(columns)]
    builder.branch(run)

    builder.position_at_end(run)
    start = builder.phi(_I64)
    rest = builder.sub(count, start)
    stop = builder.select(builder.icmp_signed("<", rest, _I64(RUN)), count, builder.add(start, _I64(RUN)))
    builder.cbranch(builder.icmp_signed("<", start, stop), loop, done)

    builder.position_at_end(loop)
    k = builder.phi(_I64)
    sums = {place: builder.phi(v.type) for place in places}
    offset = builder.load(builder.gep(builder.inttoptr(offsets, _I32.as_pointer()), [k]))
    cell = v.address(builder, window, builder.sext(offset, _I64))
    inputs = [v.load(builder, cell, n * v.lanes) for n in range(columns)]
    taps = builder.gep(builder.inttoptr(weights, v.number.as_pointer()), [builder.mul(k, _I64(rows))])
    v.prefetch(builder, builder.gep(taps, [ahead]))
    new = {}
    for m in range(rows):
        tap = v.spread(builder, builder.load(builder.gep(taps, [_I64(m)])))
        for n in range(columns):
            new[m, n] = v.multiply_add(builder, tap, inputs[n], sums[m, n])
    following = builder.add(k, _I64(1))
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
    builder.cbranch(builder.icmp_signed("==", builder.or_(start, added), _I64(0)), first, later)

    builder.position_at_end(first)
    for m, n in places:
        v.store(builder, totals[m, n], of_rows[m], n * v.lanes)
    builder.branch(next_run)

    builder.position_at_end(later)
    for m, n in places:
        so_far = v.load(builder, of_rows[m], n * v.lanes)
        v.store(builder, builder.fadd(so_far, totals[m, n]), of_rows[m], n * v.lanes)
    builder.branch(next_run)

    builder.position_at_end(next_run)
    start.add_incoming(_I64(0), before)
    start.add_incoming(stop, next_run)
    builder.cbranch(builder.icmp_signed("<", stop, count), run, end)
    builder.position_at_end(end)


def interleave(vectors: Vectors, steps: Sequence[int], past_caches: bool = False) -> Callable[..., None]:
    """Interleave rows: ``target[a*step + e] = source[places[e] + a] + added``, for a vector of cells a.

    Args:
        vectors: the vectors to use.
        steps: the steps to compile for.
        past_caches: whether to store around the caches, to a target aligned to vectors.

    Returns:
        ``weave(step, target, source, places, added)``: one of ``steps``, three addresses and a number.
    """

    @intrinsic
    def weave(typing, step, target, source, places, added):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            step, target, *row_arguments = arguments

            def emit_step(count: int) -> None:
                rows = _rows(vectors, builder, count, *row_arguments)
                for j, woven in enumerate(_woven(vectors, builder, rows)):
                    vectors.store(builder, woven, target, j * vectors.lanes, past_caches)

            _switch(builder, step, steps, emit_step)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4, vectors.numba_type), emit

    return weave


def interleave_some(vectors: Vectors, steps: Sequence[int]) -> Callable[..., None]:
    """Interleave rows as :func:`interleave` does, but store only the first outputs.

    Returns:
        ``weave(step, target, source, places, added, count)``, which stores ``count`` numbers.
    """

    @intrinsic
    def weave(typing, step, target, source, places, added, count):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            step, target, *row_arguments, count = arguments

            def emit_step(number: int) -> None:
                rows = _rows(vectors, builder, number, *row_arguments)
                for j, woven in enumerate(_woven(vectors, builder, rows)):
                    vectors.store_some(builder, woven, target, j * vectors.lanes, count)

            _switch(builder, step, steps, emit_step)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4, vectors.numba_type, types.int64), emit

    return weave


def _switch(builder: Any, value: Any, cases: Sequence[int], emit: Callable[[int], None]) -> None:
    """Code for each case of a value; nothing is done for others."""
    end = builder.append_basic_block("end")
    switch = builder.switch(value, end)
    for case in cases:
        block = builder.append_basic_block(f"case{case}")
        switch.add_case(_I64(case), block)
        builder.position_at_end(block)
        emit(case)
        builder.branch(end)
    builder.position_at_end(end)


def interleave_pieces(vectors: Vectors, pieces: Sequence[int]) -> Callable[..., None]:
    """Interleave the first rows only: ``target[a*step + e] = source[places[e] + a] + added`` for e in ``range(piece)``.

    Returns:
        ``weave(piece, target, source, places, added, step)``; piece is one of ``pieces``, which divide the lanes.
    """

    @intrinsic
    def weave(typing, piece, target, source, places, added, step):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            piece, target, *row_arguments, step = arguments

            def emit_piece(count: int) -> None:
                woven = _woven(vectors, builder, _rows(vectors, builder, count, *row_arguments))
                for a in range(vectors.lanes):
                    vector, first = woven[a * count // vectors.lanes], a * count % vectors.lanes
                    cells = vectors.shuffle(builder, vector, vector, range(first, first + count))
                    at = vectors.address(builder, target, builder.mul(step, _I64(a)))
                    builder.store(cells, builder.inttoptr(at, cells.type.as_pointer()), align=vectors.size)

            _switch(builder, piece, pieces, emit_piece)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4, vectors.numba_type, types.int64), emit

    return weave


def _rows(v: Vectors, builder: Any, count: int, source: Any, places: Any, added: Any) -> list[Any]:
    bias = v.spread(builder, added)
    table = builder.inttoptr(places, _I64.as_pointer())
    starts = [v.address(builder, source, builder.load(builder.gep(table, [_I64(e)]))) for e in range(count)]
    return [builder.fadd(v.load(builder, start), bias) for start in starts]


def _woven(v: Vectors, builder: Any, rows: list[Any]) -> list[Any]:
    """Vectors holding lane 0 of all rows, then lane 1, and so on."""
    step, lanes = len(rows), v.lanes
    if step == 1:
        return rows
    if step % 2 == 0:  # weave the even and the odd rows, then these two
        even, odd = _woven(v, builder, rows[::2]), _woven(v, builder, rows[1::2])
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


@intrinsic
def add_atomically(typing, address, number):  # type: ignore[no-untyped-def]
    """Add to the 64-bit integer at an address; what it was before."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        address, number = arguments
        return builder.atomic_rmw("add", builder.inttoptr(address, _I64.as_pointer()), number, "monotonic")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def pointer(typing, address):  # type: ignore[no-untyped-def]
    """An address as a pointer, to make an array of."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), emit


def gathering(vectors: Vectors) -> Callable[..., None]:
    """Copy a vector of numbers from apart: ``target[n] = source[places[n]]``.

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
    """Transpose as :func:`transposing` does, and add a number to each row.

    Returns:
        ``transpose(target, pitch, source, starts, rows, columns, added, past_caches)``: the address of the numbers to
        add, and whether to store around the caches, where the target and the pitch are aligned to vectors.
    """

    @intrinsic
    def transpose(typing, target, pitch, source, starts, rows, columns, added, past_caches):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _emit_transpose(vectors, builder, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), emit

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
    added: Any = None,
    past_caches: Any = None,
) -> None:
    table, none = builder.inttoptr(starts, _I64.as_pointer()), _I64(0)
    row_places = [builder.load(builder.gep(table, [_I64(r)])) for r in range(v.lanes)]
    of_rows = [builder.add(source, place) for place in row_places]
    of_columns = [builder.add(target, builder.mul(pitch, _I64(c))) for c in range(v.lanes)]
    is_whole = builder.icmp_signed("==", builder.add(rows, columns), _I64(2 * v.lanes))

    def wanted(place: int, most: Any, count: Any, addresses: list[Any]) -> tuple[Any, Any]:
        """How many numbers of a vector are wanted, and where they are; nothing far from the others is touched."""
        is_wanted = builder.icmp_signed(">", most, _I64(place))
        return builder.select(is_wanted, count, none), builder.select(is_wanted, addresses[place], addresses[0])

    def columns_of(vectors: list[Any]) -> list[Any]:
        vectors = _transposed(v, builder, vectors)
        if added is None:
            return vectors
        summands = v.load_some(builder, added, none, rows)
        return [builder.fadd(vector, summands) for vector in vectors]

    with builder.if_else(is_whole) as (whole, some):
        with whole:
            vectors = columns_of([v.load(builder, address) for address in of_rows])
            if past_caches is None:
                _store_all(v, builder, vectors, of_columns)
            else:
                with builder.if_else(builder.icmp_signed("!=", past_caches, none)) as (past, usual):
                    with past:
                        _store_all(v, builder, vectors, of_columns, past_caches=True)
                    with usual:
                        _store_all(v, builder, vectors, of_columns)
        with some:
            pairs = [wanted(r, rows, columns, of_rows) for r in range(v.lanes)]
            vectors = columns_of([v.load_some(builder, address, none, count) for count, address in pairs])
            for c, vector in enumerate(vectors):
                count, address = wanted(c, columns, rows, of_columns)
                v.store_some(builder, vector, address, 0, count)


def _store_all(v: Vectors, builder: Any, vectors: list[Any], addresses: list[Any], past_caches: bool = False) -> None:
    for vector, address in zip(vectors, addresses, strict=True):
        v.store(builder, vector, address, past_caches=past_caches)


def _transposed(v: Vectors, builder: Any, vectors: list[Any]) -> list[Any]:
    """As many vectors as lanes, transposed: in turn for each bit, pairs swap what differs in that bit."""
    bit = 1
    while bit < v.lanes:
        for n in (n for n in range(v.lanes) if not n & bit):
            a, b = vectors[n], vectors[n | bit]
            low = [lane if not lane & bit else v.lanes + lane - bit for lane in range(v.lanes)]
            high = [lane + bit if not lane & bit else v.lanes + lane for lane in range(v.lanes)]
            vectors[n], vectors[n | bit] = v.shuffle(builder, a, b, low), v.shuffle(builder, a, b, high)
        bit *= 2
    return vectors


def digest_block(vectors: Vectors) -> int:
    """How many numbers a digest takes at a time."""
    return _STATES * vectors.lanes


def digesting(vectors: Vectors) -> Callable[..., None]:
    """Digest memory: one vector of bits that would hardly come of any other content.

    Each 64 bits of it take in every so many bytes by ``state = rotate(state xor bits) * odd number``. A step is
    bijective in both operands, so one change is always seen, and several cancel with a chance of 2^-64.

    Returns:
        ``digest(target, source, blocks)``, for so many times :func:`digest_block` numbers, at least once.
    """

    @intrinsic
    def digest(typing, target, source, blocks):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _emit_digest(vectors, builder, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 3), emit

    return digest


def _emit_digest(v: Vectors, builder: Any, target: Any, source: Any, blocks: Any) -> None:
    width = v.lanes * v.size
    words = ir.VectorType(_I64, width // 8)

    def constant(number: int) -> Any:
        return ir.Constant(words, [number] * words.count)

    def mix(state: Any, bits: Any) -> Any:
        mixed = builder.xor(state, bits)
        turned = builder.or_(builder.shl(mixed, constant(_TURN)), builder.lshr(mixed, constant(64 - _TURN)))
        return builder.mul(turned, constant(_FACTOR))

    before, loop, end = builder.block, builder.append_basic_block("digest"), builder.append_basic_block("end")
    builder.branch(loop)
    builder.position_at_end(loop)
    block = builder.phi(_I64)
    states = [builder.phi(words) for _ in range(_STATES)]
    address = builder.add(source, builder.mul(block, _I64(_STATES * width)))
    mixed = []
    for n, state in enumerate(states):
        pointer = builder.inttoptr(builder.add(address, _I64(n * width)), words.as_pointer())
        mixed.append(mix(state, builder.load(pointer, align=v.size)))
    following = builder.add(block, _I64(1))
    block.add_incoming(_I64(0), before)
    block.add_incoming(following, loop)
    for n, (state, new) in enumerate(zip(states, mixed, strict=True)):
        state.add_incoming(constant(n + 1), before)
        state.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, blocks), loop, end)

    builder.position_at_end(end)
    total = mixed[0]
    for state in mixed[1:]:
        total = mix(total, state)
    builder.store(total, builder.inttoptr(target, words.as_pointer()), align=8)


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


@intrinsic
def clear_bytes(typing, target, count):  # type: ignore[no-untyped-def]
    """Set so many bytes at an address to zero."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        cgutils.memset(builder, builder.inttoptr(arguments[0], cgutils.voidptr_t), arguments[1], 0)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 2), emit


@intrinsic
def fence(typing):  # type: ignore[no-untyped-def]
    """Make what was stored around the caches visible to other threads."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit
