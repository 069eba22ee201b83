"""Progress on a terminal; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from rich.console import Console
from rich.progress import track
from rich.status import Status

Item = TypeVar("Item")


def bar(items: Iterable[Item], label: str, total: int | None = None) -> Iterable[Item]:
    """Pass items on; a bar, gone at the end, counts them.

    Args:
        items: to go through.
        label: of the bar.
        total: how many there are. Default: their length
    """
    console = Console(stderr=True)
    count = len(items) if total is None and isinstance(items, Sequence) else total
    return track(items, label, total=count, transient=True, console=console, disable=not console.is_terminal)


def spinner(label: str) -> AbstractContextManager[Status]:
    """Show that something of unknown length is going on."""
    return Console(stderr=True).status(label)
