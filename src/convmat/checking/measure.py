"""Time and peak memory of a call."""

from __future__ import annotations

import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import torch


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """The median time of a call, after one to warm up."""
    call()
    return statistics.median(_seconds(call) for _ in range(repeats))


def medians_in_turns(
    first: Callable[[], Any], second: Callable[[], Any], seconds: float, fewest: int = 3, most: int = 30
) -> tuple[float, float]:
    """The median times of two calls that take turns, so that whatever else the machine does slows both.

    Args:
        first, second: each is called twice before, as what is kept from call to call is there from the second on.
        seconds: after which no further turn begins.
        fewest, most: turns, whatever the time. Default: 3 and 30
    """
    for call in (first, second) * 2:
        call()
    times: dict[Callable[[], Any], list[float]] = {first: [], second: []}
    end = time.perf_counter() + seconds
    turn = 0
    while turn < fewest or (turn < most and time.perf_counter() < end):
        for call in (first, second) if turn % 2 else (second, first):
            times[call].append(_seconds(call))
        turn += 1
    return statistics.median(times[first]), statistics.median(times[second])


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak_bytes(call: Callable[[], Any]) -> int:
    """The most memory that a call holds at a time beyond what was held before, its result included.

    Counted from every allocation of PyTorch on the CPU and of NumPy, and so the same from run to run.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler would announce itself on the terminal
    tracemalloc.start()
    try:
        with torch.autograd.profiler.profile(profile_memory=True) as profile:
            result = call()
        of_numpy = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    del result
    events = [event for event in profile.kineto_results.events() if event.name() == "[memory]"]
    held = of_torch = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        of_torch = max(of_torch, held)
    return of_torch + of_numpy
