"""What the parts of the kernel share for one type of number, and compiling them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

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

    @property
    def vectors(self) -> Vectors:
        """Emits code over such vectors."""
        return Vectors(self.dtype, self.lanes)

    @property
    def number(self) -> Any:
        """The type, of NumPy."""
        return np.dtype(self.dtype).type

    def inlined(self, function: Callable[..., Any]) -> Any:
        """Inline a function into its caller. For small ones: a large one would be compiled anew for every caller."""
        return njit(nogil=True, error_model="numpy", inline="always")(function)

    def compiled(self, function: Callable[..., Any]) -> Any:
        """Compile a function that other compiled functions call, and Python does not."""
        # Numba links cached code by name, so the names for float32 and for float64 must differ.
        function.__qualname__ += f"_{self.dtype}"
        return njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
