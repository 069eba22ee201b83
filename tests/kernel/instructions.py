"""The instructions that the kernel emits itself, compiled for processors that need not be at hand.

They hold all that depends on the processor. The loops around them, which Numba compiles, are the same for all and take
most of the time.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from llvmlite import binding, ir
from numba.core import types
from numba.core.extending import _Intrinsic
from numba.core.registry import cpu_target

from convmat.kernel import compiled
from convmat.kernel.program import functions
from convmat.kernel.stages.pieces import Pieces


@dataclass(frozen=True)
class Target:
    """A kind of processor, as the kernel knows it and as LLVM does."""

    vector_bytes: int
    registers: int
    triple: str
    cpu: str

    def pieces(self, dtype: str) -> Pieces:
        lanes = self.vector_bytes // (4 if dtype == "float32" else 8)
        return Pieces(dtype, lanes, compiled._WIDEST[self.registers], compiled._INTERLEAVED)

    def compile(self, module: ir.Module) -> bytes:
        """Machine code; an error where LLVM does not take a module."""
        module.triple = self.triple
        parsed = binding.parse_assembly(str(module))
        parsed.verify()
        target = binding.Target.from_triple(self.triple)
        return target.create_target_machine(cpu=self.cpu, opt=0).emit_object(parsed)


binding.initialize_all_targets()
binding.initialize_all_asmprinters()

LINUX = "x86_64-unknown-linux-gnu"
TARGETS = {
    "x86": Target(16, 16, LINUX, "x86-64"),
    "arm": Target(16, 32, "aarch64-unknown-linux-gnu", "generic"),
    "avx2": Target(32, 16, LINUX, "haswell"),
    "avx512": Target(64, 32, LINUX, "skylake-avx512"),
}


def instructions(dtype: str, target: Target) -> list[_Intrinsic]:
    """All intrinsics that the kernel's functions call."""
    found: dict[int, Any] = {}
    for function in functions(target.pieces(dtype)).values():
        _look_into(function, found)
    return [one for one in found.values() if isinstance(one, _Intrinsic)]


def _look_into(one: Any, found: dict[int, Any]) -> None:
    one = getattr(one, "function", one)  # what calls a function of the program
    if id(one) in found or not isinstance(one, (FunctionType, _Intrinsic)):
        return
    found[id(one)] = one
    if isinstance(one, FunctionType):
        for called in _called(one):
            _look_into(called, found)


def _called(function: FunctionType) -> Iterator[Any]:
    """What a function names, in its closure and among the globals."""
    yield from (cell.cell_contents for cell in function.__closure__ or ())
    yield from (function.__globals__.get(name) for name in function.__code__.co_names)


def emitted(intrinsics: list[_Intrinsic], dtype: str) -> ir.Module:
    """A function for each, of the arguments that it takes."""
    module = ir.Module()
    for number, intrinsic in enumerate(intrinsics):
        names = list(inspect.signature(intrinsic._defn).parameters)[1:]
        operands = [_type_of(name, getattr(types, dtype)) for name in names]
        _emit(module, intrinsic, operands, f"{intrinsic.__name__}_{number}")
    return module


def _type_of(name: str, number: Any) -> Any:
    """The type of an argument: an epilogue, several of them, where lines go, or an integer as all others are."""
    tuples = {
        "epilogue": [number, number, number, number, types.int64],
        "epilogues": [types.int64, types.int64, number, number, types.int64],
        "output": [types.int64] * 8,
    }
    return types.Tuple(tuples[name]) if name in tuples else types.int64


def _emit(module: ir.Module, intrinsic: _Intrinsic, operands: list[Any], name: str) -> None:
    signature, emit = intrinsic._defn(cpu_target.typing_context, *operands)
    context = cpu_target.target_context
    kind = ir.FunctionType(ir.VoidType(), [context.get_value_type(argument) for argument in signature.args])
    function = ir.Function(module, kind, name)
    builder = ir.IRBuilder(function.append_basic_block())
    emit(context, builder, signature, function.args)
    builder.ret_void()
