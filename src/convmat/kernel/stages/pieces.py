"""What the parts of the kernel share for one type of number, and compiling them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba.core.compiler import Flags, compile_extra
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from convmat.kernel.microkernel.vectors import Vectors


@dataclass(frozen=True)
class Pieces:
    """A type of number and the vectors of it.

    Args:
        dtype: its name.
        lanes: numbers of a vector.
        widest: the most vectors of a tile of 1, 2, ... rows.
        steps: strides along width for which whole vectors are interleaved.
    """

    dtype: str
    lanes: int
    widest: tuple[int, ...]
    steps: tuple[int, ...]
    _compiled: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def vectors(self) -> Vectors:
        """Emits code over such vectors."""
        return Vectors(self.dtype, self.lanes)

    @property
    def number(self) -> Any:
        """The type, of NumPy."""
        return np.dtype(self.dtype).type

    def compiled(self, function: Callable[..., Any]) -> Any:
        """A function of the program, for others to call, which find it by its name.

        If they called it as Numba's functions call each other, Numba would copy it into each of its callers, these into
        theirs, and make machine code of all copies.
        """

        def call(typing, *arguments):  # type: ignore[no-untyped-def]
            compiled = self.compile(calling, arguments)

            def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
                # None of ours fails, so no caller asks whether it did.
                _, result = context.call_internal_no_propagate(builder, compiled.fndesc, signature, arguments)
                return result

            return compiled.signature, emit

        typing = inspect.Parameter("typing", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        call.__signature__ = inspect.Signature([typing, *inspect.signature(function).parameters.values()])  # type: ignore[attr-defined]
        calling = intrinsic(call)
        calling.function = function
        return calling

    def compile(self, calling: Any, arguments: tuple[Any, ...]) -> Any:
        """Let Numba compile such a function, and all that it calls, for types of arguments; what it tells of that."""
        function = calling.function
        if (function, arguments) not in self._compiled:
            self._compiled[function, arguments] = compile_extra(
                cpu_target.typing_context, cpu_target.target_context, function, arguments, None, _flags(), {}
            )
        return self._compiled[function, arguments]

    def modules(self) -> list[str]:
        """All that has been compiled, and what it calls of Numba's own, in LLVM's language.

        Numba counts the users of arrays, but none of ours owns memory: that part of it is left out.
        """
        own = [compiled.library for compiled in self._compiled.values()]
        others = {called: None for library in own for called in library._linking_libraries if called.name != "nrt"}
        return [library.get_llvm_str() for library in (*own, *others)]


def _flags() -> Flags:
    """Options: Python is not called, divisions by zero are not looked for, and Numba makes no machine code."""
    flags = Flags()
    flags.nrt = True  # or a function could not return an array
    flags.error_model = "numpy"
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    return flags
