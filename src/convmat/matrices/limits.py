"""Refusing a matrix that would not fit in memory, before anything is allocated."""

from __future__ import annotations

import torch

from convmat.geometry import GeometryError
from convmat.tensors.memory import available, human


def check_fits(what: str, size: int, device: torch.device, ways: str) -> None:
    """Refuse to build something that would not fit.

    Args:
        what: the matrix, and as what it is to be built.
        size: bytes that are needed at a time.
        device: where it is built.
        ways: what would do instead.
    """
    free = available(device)
    if free is not None and size > free:
        raise GeometryError(f"{what} takes {human(size)} to build, but {human(free)} are free: use {ways}")
