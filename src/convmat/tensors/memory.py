"""How much memory there is on a device, to refuse what would not fit before it is allocated."""

from __future__ import annotations

import torch

from convmat.geometry import memory
from convmat.geometry.memory import WORTH_ASKING, free_memory, human

__all__ = ["WORTH_ASKING", "available", "check_fits", "human"]


def available(device: torch.device) -> int | None:
    """Bytes that can still be allocated on a device, or ``None`` where nobody says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_memory() if device.type == "cpu" else None


def check_fits(what: str, size: int, device: torch.device, ways: str) -> None:
    """Refuse to make something that would not fit; see :func:`convmat.geometry.memory.check_fits`."""
    memory.check_fits(what, size, available(device), ways)
