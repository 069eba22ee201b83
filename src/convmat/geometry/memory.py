"""How much memory the host has, to refuse what would not fit before it is allocated."""

from __future__ import annotations

import os
from pathlib import Path

from convmat.geometry.errors import GeometryError, as_sentence

_CGROUP_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


# Smaller results are not worth the question, which takes some tens of microseconds.
WORTH_ASKING = 2**28


def free_memory() -> int | None:
    """Bytes that can still be allocated on the host, or ``None`` where nobody says."""
    found = [free for free in (_from_meminfo(), *map(_from_cgroup, _CGROUP_LIMITS)) if free is not None]
    return min(found) if found else _physical()


def check_fits(what: str, size: int, free: int | None, ways: str) -> None:
    """Refuse to make something that would not fit.

    Args:
        what: to be made; a :class:`Sentence` where it is made of values.
        size: bytes that are needed at a time.
        free: bytes that can still be allocated, or ``None`` where nobody says.
        ways: what would do instead.
    """
    if free is not None and size > free:
        raise GeometryError.of(
            "{what} takes {size} to build, but {free} are free: use {ways}",
            what=as_sentence(what),
            size=human(size),
            free=human(free),
            ways=as_sentence(ways),
        )


def human(size: float) -> str:
    """A number of bytes for people: ``human(3 * 2**20)`` is ``"3.0 MiB"``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} EiB"


def _from_meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _from_cgroup(files: tuple[str, str]) -> int | None:
    try:
        limit, used = (Path(file).read_text(encoding="ascii").strip() for file in files)
        return int(limit) - int(used)
    except (OSError, ValueError):  # no such controller, or "max"
        return None


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
