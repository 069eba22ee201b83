"""Memory for outputs: on large pages, and used again.

The system hands out memory page by page when it is first written, and a fresh output of 64 MB costs more for that than
many a layer computes. On Linux, pages of 2 MB instead of 4 KB can be asked for. And it is better not to give memory
back at all: the C library is led to keep more of it, and the memory of outputs of 32 MB and more, which it never keeps,
is held here for the next output of its size.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from convmat.kernel.threads import fork_safe_lock

_PAGE = 2 << 20
_MADV_HUGEPAGE = 14
_LARGE = 32 << 20  # bytes: a block of this size or more the C library never keeps for itself
_MOST_HELD = 256 << 20  # bytes of large outputs held, in use or not
_LONGEST = 32  # outputs: memory that none of the last 32 could use is given back
_MOST_SPARE = 4  # times the memory that is needed may be kept


def empty(shape: Sequence[int], like: Tensor, memory_format: torch.memory_format = torch.contiguous_format) -> Tensor:
    """An uninitialised tensor, on large pages as far as these fit into it."""
    if prod(shape) * like.element_size() >= _LARGE and _is_counted():
        return _used.empty(shape, like, memory_format)
    return _fresh(shape, like, memory_format)


def _fresh(shape: Sequence[int], like: Tensor, memory_format: torch.memory_format) -> Tensor:
    if memory_format is torch.contiguous_format:
        output = like.new_empty(shape)  # which takes less time than the other
    else:
        output = torch.empty(shape, dtype=like.dtype, device="cpu", memory_format=memory_format)
    if output.nbytes >= 2 * _PAGE and (advise := _advise()) is not None:
        start = -(-output.data_ptr() // _PAGE) * _PAGE
        stop = (output.data_ptr() + output.nbytes) // _PAGE * _PAGE
        advise(start, stop - start, _MADV_HUGEPAGE)  # if the system does not follow this advice, it is only slower
    return output


class _Used:
    """Memory of large outputs, which is reused once no tensor lies in it any more.

    It is held when an output of its size is asked for a second time: sizes that never come again fill no memory.
    """

    def __init__(self) -> None:
        self._held: list[tuple[torch.UntypedStorage, int, int]] = []  # with its size and when it was given out
        self._asked: dict[int, int] = {}  # when an output of a size was asked for last
        self._turn = 0
        self._lock = fork_safe_lock()

    def empty(self, shape: Sequence[int], like: Tensor, memory_format: torch.memory_format) -> Tensor:
        """An uninitialised tensor."""
        size = prod(shape) * like.dtype.itemsize
        with self._lock:
            self._turn += 1
            place, is_asked_again = self._find(size), size in self._asked
            self._asked[size] = self._turn
            if place is None:
                output = _fresh(shape, like, memory_format)
                storage = output.untyped_storage()
            else:
                storage = self._held.pop(place)[0]
                strides = torch.empty(shape, device="meta", memory_format=memory_format).stride()
                output = torch.empty(0, dtype=like.dtype, device="cpu").set_(storage, 0, shape, strides)
            if is_asked_again:
                self._held.append((storage, size, self._turn))
            self._let_go()
        return output

    def _find(self, size: int) -> int | None:
        """The place of free memory of a size, the one used last."""
        return next(
            (n for n, (_, held, _) in reversed(list(enumerate(self._held))) if held == size and self._is_free(n)), None
        )

    def _is_free(self, place: int) -> bool:
        """Whether nobody else holds the memory, neither a tensor nor the storage itself, and it is as it was made."""
        holders = _use_count(self._held[place][0]._cdata), sys.getrefcount(self._held[place][0])
        storage, size, _ = self._held[place]
        return holders == (1, 2) and storage.nbytes() == size and storage.resizable() and not storage.is_shared()

    def _let_go(self) -> None:
        """Give back what is beyond the limit, and what has not been used for a while."""
        self._asked = {size: turn for size, turn in self._asked.items() if turn > self._turn - _LONGEST}
        while self._held and self._held[0][2] <= self._turn - _LONGEST:
            self._held.pop(0)
        while sum(size for _, size, _ in self._held) > _MOST_HELD:
            self._held.pop(0)

    def clear(self) -> None:
        """Give all of it back."""
        with self._lock:
            self._held.clear()
            self._asked.clear()


_used = _Used()


def _is_counted() -> bool:
    """Whether PyTorch tells how many tensors lie in a memory."""
    return hasattr(torch._C, "_storage_Use_Count")


def _use_count(storage: int) -> int:
    return int(torch._C._storage_Use_Count(storage))


def forget() -> None:
    """Let go of memory that is kept for later."""
    _used.clear()
    _scratch.held = None


def let_memory_be_kept() -> None:
    """Make the C library keep freed memory for the next tensors, in the whole process.

    That of GNU gives memory back whenever more than twice the largest block is free that was ever mapped for itself and
    freed, and maps anew what is larger than that block. Vocoders and decoders, which make and free tensors of megabytes
    in each layer, spend a fifth of their time on pages for it. So map a block of the largest size that counts, 32 MB,
    and free it: that takes no memory, as nothing is written to it.
    """
    torch.empty(_LARGE - 2 * 4096, dtype=torch.uint8, device="cpu")


class _Scratch(threading.local):
    """Scratch memory, one block for each Python thread; it is kept, as fresh memory costs more than the work in it."""

    held: Tensor | None = None


_scratch = _Scratch()


def scratch(count: int) -> Tensor:
    """At least ``count`` bytes of scratch memory, uninitialised; they are valid until the next call in this thread."""
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
