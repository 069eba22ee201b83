"""Emitting code over LLVM's explicit vectors, which the compiler maps to the registers at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from convmat.kernel.tiling.processor import LONG

I32, I64 = ir.IntType(32), ir.IntType(64)

_FLOATS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}


class Vectors:
    """Emits code over vectors of ``lanes`` numbers of one type."""

    def __init__(self, dtype: str, lanes: int) -> None:
        self.number = _FLOATS[dtype]
        self.size = 4 if dtype == "float32" else 8
        self.lanes = lanes
        self.type = ir.VectorType(self.number, lanes)
        self._integers = ir.VectorType(ir.IntType(8 * self.size), lanes)
        self.suffix = f"v{lanes}f{8 * self.size}"
        self.numba_type = types.float32 if dtype == "float32" else types.float64

    def address(self, builder: Any, address: Any, number: Any) -> Any:
        """An address ``number`` numbers further on."""
        return builder.add(address, builder.mul(number, I64(self.size)))

    def load(self, builder: Any, address: Any, at: int = 0) -> Any:
        """A vector, at any address."""
        pointer = builder.inttoptr(builder.add(address, I64(at * self.size)), self.type.as_pointer())
        return builder.load(pointer, align=self.size)

    def store(self, builder: Any, vector: Any, address: Any, at: int = 0, non_temporal: bool = False) -> None:
        """Store a vector at any address; non-temporal stores need an aligned one."""
        pointer = builder.inttoptr(builder.add(address, I64(at * self.size)), self.type.as_pointer())
        instruction = builder.store(vector, pointer, align=self.lanes * self.size if non_temporal else self.size)
        if non_temporal:
            instruction.set_metadata("nontemporal", builder.module.add_metadata([I32(1)]))

    def store_some(self, builder: Any, vector: Any, address: Any, at: int, count: Any) -> None:
        """Store those numbers of a vector at ``address + at`` that are among the first ``count`` from the address.

        The count must lie within 32 bits.
        """
        if self.lanes * self.size == LONG:
            self._store_masked(builder, vector, address, at, count)
            return
        rest, place = builder.sub(count, I64(at)), builder.add(address, I64(at * self.size))
        with builder.if_else(builder.icmp_signed(">=", rest, I64(self.lanes))) as (whole, some):
            with whole:
                self.store(builder, vector, place)
            with some:
                builder.call(self._store_pieces(builder.module), [vector, place, rest])

    def _store_masked(self, builder: Any, vector: Any, address: Any, at: int, count: Any) -> None:
        pointer = builder.inttoptr(builder.add(address, I64(at * self.size)), self.type.as_pointer())
        wanted = self._among(builder, I64(0), builder.sub(count, I64(at)))
        kind = ir.FunctionType(ir.VoidType(), [self.type, pointer.type, I32, wanted.type])
        store = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.{self.suffix}.p0")
        builder.call(store, [vector, pointer, I32(self.size), wanted])

    def _store_pieces(self, module: Any) -> Any:
        """The function of a module that stores fewer numbers than a vector has: half of them or not, and so on.

        With AVX2, one masked store takes AMD's processors longer than all of these. It is one function for all places,
        which would take seconds more to compile.
        """
        name = f"store_pieces.{self.suffix}"
        if name in module.globals:
            return module.globals[name]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [self.type, I64, I64]), name)
        function.linkage = "linkonce_odr"  # one for all modules
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block())
        vector, address, count = function.args
        piece = self.lanes // 2
        count = builder.select(builder.icmp_signed("<", count, I64(0)), I64(0), count)
        while piece:
            first, second = (self.shuffle(builder, vector, vector, range(at, at + piece)) for at in (0, piece))
            is_wanted = builder.icmp_signed("!=", builder.and_(count, I64(piece)), I64(0))
            with builder.if_then(is_wanted):
                builder.store(first, builder.inttoptr(address, first.type.as_pointer()), align=self.size)
            further = builder.add(address, I64(piece * self.size))
            address, vector = builder.select(is_wanted, further, address), builder.select(is_wanted, second, first)
            piece //= 2
        builder.ret_void()
        return function

    def load_some(self, builder: Any, address: Any, first: Any, last: Any) -> Any:
        """A vector of which only the numbers from ``first`` to before ``last`` are read; the others are zero.

        Both must lie within 32 bits.
        """
        pointer = builder.inttoptr(address, self.type.as_pointer())
        wanted = self._among(builder, first, last)
        kind = ir.FunctionType(self.type, [pointer.type, I32, wanted.type, self.type])
        load = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.{self.suffix}.p0")
        return builder.call(load, [pointer, I32(self.size), wanted, ir.Constant(self.type, [0.0] * self.lanes)])

    def gather(self, builder: Any, address: Any, places: Any) -> Any:
        """A vector of the numbers that lie at places, counted from an address."""
        integers = ir.VectorType(I64, self.lanes)
        numbers = builder.load(builder.inttoptr(places, integers.as_pointer()), align=8)
        bytes_on = builder.mul(numbers, ir.Constant(integers, [self.size] * self.lanes))
        addresses = builder.add(bytes_on, self._spread_integer(builder, address))
        pointers = builder.inttoptr(addresses, ir.VectorType(self.number.as_pointer(), self.lanes))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(1), self.lanes), [1] * self.lanes)
        kind = ir.FunctionType(self.type, [pointers.type, I32, everywhere.type, self.type])
        gather = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.masked.gather.{self.suffix}.v{self.lanes}p0"
        )
        return builder.call(gather, [pointers, I32(self.size), everywhere, ir.Constant(self.type, ir.Undefined)])

    def _among(self, builder: Any, first: Any, last: Any) -> Any:
        """Which lanes there are from one to before another; both may lie outside of the vector, within 32 bits.

        They are compared as integers of the size of a number, so that one register holds all of them.
        """
        lanes = ir.Constant(self._integers, list(range(self.lanes)))
        if self._integers.element != I64:
            first, last = (builder.trunc(number, self._integers.element) for number in (first, last))
        from_first = builder.icmp_signed("<=", self._spread_integer(builder, first), lanes)
        return builder.and_(from_first, builder.icmp_signed(">", self._spread_integer(builder, last), lanes))

    def _spread_integer(self, builder: Any, number: Any) -> Any:
        undefined = ir.Constant(ir.VectorType(number.type, self.lanes), ir.Undefined)
        same = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return builder.shuffle_vector(builder.insert_element(undefined, number, I32(0)), undefined, same)

    def spread(self, builder: Any, number: Any) -> Any:
        """A vector of one number."""
        undefined = ir.Constant(self.type, ir.Undefined)
        return self.shuffle(builder, builder.insert_element(undefined, number, I32(0)), undefined, [0] * self.lanes)

    def shuffle(self, builder: Any, a: Any, b: Any, places: Sequence[int]) -> Any:
        """Pick lanes of two vectors, numbered through both."""
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(places)), list(places)))

    def prefetch(self, builder: Any, address: Any) -> None:
        """Have the cache line of any address fetched into the second level."""
        byte = builder.inttoptr(address, cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [byte.type, I32, I32, I32])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [byte, I32(0), I32(2), I32(1)])

    def multiply_add(self, builder: Any, a: Any, b: Any, c: Any) -> Any:
        """``a*b + c``, rounded once."""
        kind = ir.FunctionType(self.type, [self.type] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.{self.suffix}")
        return builder.call(fma, [a, b, c])


def switch(builder: Any, value: Any, cases: Sequence[int], emit: Callable[[int], None]) -> None:
    """Emit a switch: code for each case of a value, and nothing for other values."""
    end = builder.append_basic_block("end")
    switch = builder.switch(value, end)
    for case in cases:
        block = builder.append_basic_block(f"case{case}")
        switch.add_case(I64(case), block)
        builder.position_at_end(block)
        emit(case)
        builder.branch(end)
    builder.position_at_end(end)
