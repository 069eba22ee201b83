"""Packed weights, and where they are kept.

Packing a weight takes time in every call, so what was packed is kept and found again by its *content*: a digest of the
weight, which takes the time of reading it once, says whether it is the same. So no write to a weight, however it was
done (``.data``, an optimizer, another process), makes an answer stale. Frozen weights have copies of their own, as long
as they live.
"""

from __future__ import annotations

import ctypes
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from torch import Tensor

from convmat.kernel import task
from convmat.kernel.compiled import Kernel
from convmat.kernel.threads import fork_safe_lock

if TYPE_CHECKING:
    from convmat.kernel.schedule import Schedule

_COPIES = "_convmat_packed"  # the attribute of a frozen weight that holds its packed copies
_MOST_BYTES = 256 << 20  # of packed weights that are kept
_MOST_SEEN = 256  # digests that are remembered
_PIECE = 64 << 10  # bytes that a thread reads at a time
_MOST_PIECES = 16
_SCRATCH = 1024  # bytes, more than a digest needs
_VECTOR = 64  # bytes of the widest vector there is


class _Copies:
    """The packed copies of one weight, which live as long as it does.

    Args:
        is_constant: whether nobody can write to the weight, so that its content need not be compared.
    """

    def __init__(self, is_constant: bool) -> None:
        self.is_constant = is_constant
        self._content: Any = None
        self._packed: dict[Any, Tensor] = {}

    def find(self, schedule: Schedule, kernel: Kernel, weight: Tensor, threads: int) -> Tensor:
        """The packed weight: found, or packed now."""
        content = None if self.is_constant else digest(kernel, weight, threads)
        packed = self._packed if content == self._content else {}
        found = packed.get(schedule.packing)
        if found is None:
            found = schedule.pack(kernel, weight, threads)
            self._packed, self._content = {**packed, schedule.packing: found}, content
        return found


def freeze(weight: Tensor, *, is_constant: bool) -> None:
    """Let a weight keep packed copies of itself; ``is_constant`` says that nobody can write to it."""
    setattr(weight, _COPIES, _Copies(is_constant))


def packed_weight(schedule: Schedule, kernel: Kernel, weight: Tensor, threads: int, keep: bool) -> Tensor:
    """A weight in the order in which the kernel reads it for a schedule.

    Args:
        schedule: what the kernel does.
        kernel: the kernel for the weight's type of numbers.
        weight: its weight.
        threads: how many compute.
        keep: whether to look for it among those that are kept, and to keep it.
    """
    copies: _Copies | None = getattr(weight, _COPIES, None)
    if copies is not None:
        return copies.find(schedule, kernel, weight, threads)
    return _kept.find(schedule, kernel, weight, threads) if keep else schedule.pack(kernel, weight, threads)


def forget() -> None:
    """Forget all packed weights, but those that are frozen."""
    _kept.clear()


class _Kept:
    """The packed weights that were used last, found by the content that they were packed from.

    A weight is kept when its content is seen a second time: one that is computed anew in every call, or trained, fills
    no memory.
    """

    def __init__(self) -> None:
        self._packed: OrderedDict[Any, Tensor] = OrderedDict()
        self._seen: OrderedDict[Any, None] = OrderedDict()
        self._lock = fork_safe_lock()

    def find(self, schedule: Schedule, kernel: Kernel, weight: Tensor, threads: int) -> Tensor:
        """The packed weight: found, or packed now."""
        key = schedule.packing, digest(kernel, weight, threads)
        with self._lock:
            packed = self._packed.get(key)
            if packed is not None:
                self._packed.move_to_end(key)
                return packed
        packed = schedule.pack(kernel, weight, threads)
        with self._lock:
            if key in self._seen:
                self._keep(key, packed)
            else:
                self._seen[key] = None
                if len(self._seen) > _MOST_SEEN:
                    self._seen.popitem(last=False)
        return packed

    def _keep(self, key: Any, packed: Tensor) -> None:
        del self._seen[key]
        self._packed[key] = packed
        total = sum(kept.nbytes for kept in self._packed.values())
        while total > _MOST_BYTES:
            total -= self._packed.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._packed.clear()
            self._seen.clear()


_kept = _Kept()


def digest(kernel: Kernel, weight: Tensor, threads: int) -> tuple[bytes, tuple[int, ...]]:
    """A digest of the content of a weight, and its strides. Two different weights agree with a probability of 2^-64.

    It is the same for any number of threads, as the pieces are.
    """
    strides, weight = weight.stride(), _as_it_lies(weight.detach())
    pieces = max(1, min(weight.nbytes // _PIECE, _MOST_PIECES))
    content = (ctypes.c_char * ((pieces + 1) * _VECTOR))()
    rest = (ctypes.c_char * _SCRATCH)()
    task.run(
        kernel.digest,
        _digest_task(weight.numel(), pieces),
        min(threads, pieces),
        weight=weight.data_ptr(),
        output=ctypes.addressof(content),
        scratch=ctypes.addressof(rest),
    )
    return content.raw, strides


@lru_cache(maxsize=256)
def _digest_task(numbers: int, pieces: int) -> bytes:
    values = [0] * task.FIELDS
    values[task.NUMBERS], values[task.PIECES] = numbers, pieces
    return task.as_bytes(values)


def _as_it_lies(tensor: Tensor) -> Tensor:
    """A tensor as a contiguous one, without a copy if it has its channels last."""
    if tensor.is_contiguous() or tensor.ndim < 3:
        return tensor.contiguous()
    channels_last = tensor.movedim(1, -1)
    return channels_last if channels_last.is_contiguous() else tensor.contiguous()
