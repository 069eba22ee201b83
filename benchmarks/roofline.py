"""What the machine can do at best, measured: arithmetic, and moving bytes.

No layer can take less time than its multiplications and additions at the highest rate, nor less than moving its input,
weight and output once through memory (unless they stay in the cache: then it may).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.timing import CLOCKS, Call, Clock

_SIZES = (512, 1024, 2048)  # of the matrix products
_COPIED = 2**28  # bytes, more than any cache holds
_FRESH = 2**26  # bytes of a large output


def measure(threads: int, dtype: torch.dtype, device: str = "cpu", quick: bool = False) -> dict[str, float]:
    """The highest rates seen.

    Returns:
        ``matmul`` and ``fma`` (without Numba: none), operations per second of a matrix product and of a loop that
        touches registers alone; ``flops``, the higher of the two; ``bytes``, per second, read and written, of a copy;
        ``fresh_ms`` and ``again_ms``, the time to fill 64 MB just allocated (the system hands out its pages one by
        one) and 64 MB used before.
    """
    clock, repeats = CLOCKS[device], 2 if quick else 5
    found = {"matmul": max(_matmul(size, dtype, device, clock, repeats) for size in _SIZES[: 2 if quick else 3])}
    fma = _fma_loop(threads, dtype) if device == "cpu" else None
    if fma is not None:
        call, operations = fma
        found["fma"] = operations / _best(call, clock, repeats)
    found["flops"] = max(found.values())
    source = torch.ones(_COPIED // dtype.itemsize, dtype=dtype, device=device)
    target = torch.empty_like(source).fill_(0)
    found["bytes"] = 2 * _COPIED / _best(lambda: target.copy_(source), clock, repeats)
    used = target[: _FRESH // dtype.itemsize]
    found["fresh_ms"] = 1e3 * _best(lambda: torch.empty_like(used).fill_(1), clock, repeats)
    found["again_ms"] = 1e3 * _best(lambda: used.fill_(1), clock, repeats)
    return found


def bound_ms(roofline: dict[str, float], flops: int, moved: int) -> float:
    """The least time a layer can take, in milliseconds."""
    return 1e3 * max(flops / roofline["flops"], moved / roofline["bytes"])


def in_one_line(roofline: dict[str, float]) -> str:
    """For the terminal."""
    rates = " ".join(f"{name} {roofline[name] / 1e9:.0f}" for name in ("matmul", "fma") if name in roofline)
    fresh = f"64 MB filled in {roofline['fresh_ms']:.1f} ms when fresh, in {roofline['again_ms']:.1f} ms again"
    return f"roofline: {rates} GFLOP/s, copy {roofline['bytes'] / 1e9:.0f} GB/s; {fresh}"


def _matmul(size: int, dtype: torch.dtype, device: str, clock: Clock, repeats: int) -> float:
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / _best(lambda: a @ b, clock, repeats)


def _best(call: Call, clock: Clock, repeats: int) -> float:
    """The shortest time, after two calls to warm up."""
    for _ in range(2):
        call()
    return min(clock(call) for _ in range(repeats))


def _fma_loop(threads: int, dtype: torch.dtype) -> tuple[Callable[[], None], int] | None:
    try:
        from benchmarks.fma import fma_loop
    except ImportError:
        return None
    return fma_loop(threads, dtype.itemsize)
