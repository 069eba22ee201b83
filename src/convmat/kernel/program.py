"""The program: three functions of a task, which pack weights, digest them, and convolve.

They read everything from one array of integers, the task, so that nothing is compiled again for another layer or size.
Numba translates them from Python to the language of LLVM, which makes machine code of it
(:mod:`~convmat.kernel.machine_code`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from convmat.kernel.stages.convolving import build_convolving
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.stages.weights import build_digest, build_packing
from convmat.kernel.task import FIELDS

_I8 = np.int64


def functions(pieces: Pieces) -> dict[str, Any]:
    """The three functions by name, which Numba has not compiled yet."""
    return {"pack": build_packing(pieces), "digest": build_digest(pieces), "convolve": build_convolving(pieces)}


def translated(pieces: Pieces, works: dict[str, Any]) -> list[str]:
    """Translate a program to LLVM's language.

    Args:
        pieces: of which it consists.
        works: functions of a task, by name.

    Returns:
        The text of its modules. The first one has these functions, which take the address of a task.
    """
    with _without_optimization():
        entries = {
            name: pieces.compile(_function_of_address(pieces, work), (types.voidptr,)) for name, work in works.items()
        }
        return [str(_doors(entries)), *pieces.modules()]


def _function_of_address(pieces: Pieces, work: Any) -> Any:
    @pieces.compiled
    def at_address(task):  # type: ignore[no-untyped-def]
        work(carray(task, (FIELDS,), _I8))

    return at_address


@contextmanager
def _without_optimization() -> Iterator[None]:
    """Let Numba, in this thread alone, optimize nothing: LLVM does it once, when the whole program is there."""
    with global_compiler_lock:
        before, config.OPT = config.OPT, type(config.OPT)(0)
        try:
            yield
        finally:
            config.OPT = before


def _doors(entries: dict[str, Any]) -> ir.Module:
    """Functions as C calls them; and two that do nothing, which count the users of an array.

    Args:
        entries: what Numba tells of compiled functions, by name.
    """
    module, context = ir.Module(), cpu_target.target_context
    for name in ("NRT_incref", "NRT_decref"):
        _function(module, name).ret_void()
    for name, compiled in entries.items():
        builder = _function(module, name)
        context.call_internal_no_propagate(builder, compiled.fndesc, compiled.signature, builder.function.args)
        builder.ret_void()
    return module


def _function(module: ir.Module, name: str) -> ir.IRBuilder:
    """Begin a function of an address that returns nothing."""
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    return ir.IRBuilder(ir.Function(module, kind, name).append_basic_block())
