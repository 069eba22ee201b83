"""The compiled program: three functions of a task, which pack weights, digest them, and convolve.

They read everything from one array of integers, the task, so that nothing is compiled again for another layer or size.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
from numba import carray

from convmat.kernel.caching import compile_or_load
from convmat.kernel.stages.convolving import build_convolving
from convmat.kernel.stages.pieces import Pieces
from convmat.kernel.stages.weights import build_digest, build_packing
from convmat.kernel.task import FIELDS

_I8 = np.int64


def build(dtype: str, lanes: int, widest: tuple[int, ...], steps: tuple[int, ...], version: str) -> tuple[Any, ...]:
    """Compile the kernel, or load it: ``version`` tells states of the source apart.

    Returns:
        Three C functions of one address, that of a task: they pack weights, digest them, and convolve.
    """
    works = functions(Pieces(dtype, lanes, widest, steps))
    return tuple(_compile(_task_function(version), work, f"{name}_{dtype}") for name, work in works.items())


def functions(pieces: Pieces) -> dict[str, Any]:
    """The three functions by name, which Numba has not compiled yet."""
    return {"pack": build_packing(pieces), "digest": build_digest(pieces), "convolve": build_convolving(pieces)}


# Numba finds compiled code again by what a function's own variables hold, so this is the version alone; what the
# function calls it looks up among the globals that it is given in _compile.


def _task_function(version: str) -> Any:
    def task_function(task):  # type: ignore[no-untyped-def]
        if len(version) > 0:
            work(carray(task, (FIELDS,), _I8))  # type: ignore[name-defined]  # noqa: F821

    return task_function


def _compile(function: Any, work: Any, name: str) -> Any:
    names = {**function.__globals__, "work": work}
    # Numba looks for the file that the code came from, which is not there where only .pyc files are installed.
    code = function.__code__.replace(co_filename=__file__)
    compiled = FunctionType(code, names, name, closure=function.__closure__)
    compiled.__qualname__ = f"{function.__qualname__}_{name}"
    return compile_or_load(compiled, kind=name.rpartition("_")[2])
