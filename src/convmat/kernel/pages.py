"""Outputs on large pages of memory.

The system hands out memory page by page when it is first written, and a fresh output of 64 MB costs more for that than
many a layer computes. On Linux, pages of 2 MB instead of 4 KB can be asked for.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

_PAGE = 2 << 20
_MADV_HUGEPAGE = 14
_MOST_SPARE = 4  # times what is needed may be kept


def empty(shape: Sequence[int], like: Tensor, memory_format: torch.memory_format = torch.contiguous_format) -> Tensor:
    """An uninitialised tensor, on large pages as far as these fit into it."""
    output = torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=memory_format)
    advise = _advise()
    if output.nbytes >= 2 * _PAGE and advise is not None:
        start = -(-output.data_ptr() // _PAGE) * _PAGE
        stop = (output.data_ptr() + output.nbytes) // _PAGE * _PAGE
        advise(start, stop - start, _MADV_HUGEPAGE)  # advice: what comes of it changes no result
    return output


class _Scratch(threading.local):
    """Memory to work in, one for each thread of Python, kept: fresh memory would cost more than it is used for."""

    held: Tensor | None = None


_scratch = _Scratch()


def scratch(count: int) -> Tensor:
    """At least so many bytes, whatever they hold, until the next call in this thread."""
    held = _scratch.held
    if held is None or held.nbytes < count or held.nbytes > max(_MOST_SPARE * count, _PAGE):
        held = _scratch.held = torch.empty(count, dtype=torch.uint8, device="cpu")
    return held


@cache
def _advise() -> Any:
    """``madvise`` of the C library."""
    if not sys.platform.startswith("linux"):
        return None
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is not None:
        advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return advise
