"""Weights that stay as they are for a while: whether that is of use, and what it takes."""

from __future__ import annotations

from torch import Tensor

from convmat.kernel import computing
from convmat.kernel.computing import content_of, freeze
from convmat.tensors.watching import is_watched

__all__ = ["content_of", "freeze", "is_of_use", "threads_here"]


def is_of_use(input: Tensor) -> bool:
    """Whether the kernel may compute with an input, and so read a weight that was packed before."""
    return not is_watched() and computing.takes(input.dtype) and input.is_cpu and computing.is_installed()


def threads_here() -> tuple[int, bool]:
    """All that decisions depend on of the process: how many threads compute here and now, and whether it is forked."""
    return computing.thread_count(), computing.is_forked()
