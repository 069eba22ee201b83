"""Timing peers against one another: rounds of short blocks, in a new order each round."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

Call: TypeAlias = Callable[[], Any]
Clock: TypeAlias = Callable[[Call], float]


@dataclass(frozen=True)
class Blocks:
    """How long to measure.

    Attributes:
        rounds: how often every peer has its turn.
        seconds: how long a turn takes, about.
        least: calls in a turn, at least.
        warm: calls before them that do not count.
        pause: seconds between turns. Threads that spin for a while after their work would slow down the next peer.
        seed: of the order of the peers.
    """

    rounds: int = 7
    seconds: float = 0.06
    least: int = 3
    warm: int = 3
    pause: float = 0.1
    seed: int = 0


def wall_seconds(call: Call) -> float:
    """The time of a call, and of giving its output back."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def cuda_seconds(call: Call) -> float:
    """The time of a call on the GPU."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


CLOCKS: dict[str, Clock] = {"cpu": wall_seconds, "cuda": cuda_seconds}


def time_rounds(calls: Mapping[str, Call], blocks: Blocks, clock: Clock = wall_seconds) -> dict[str, list[list[float]]]:
    """Time calls against one another.

    Returns:
        For every name and every round, the seconds of each call.
    """
    order = random.Random(blocks.seed)
    times: dict[str, list[list[float]]] = {name: [] for name in calls}
    for _ in range(blocks.rounds):
        for name in order.sample(list(calls), len(calls)):
            times[name].append(_block(calls[name], blocks, clock))
            time.sleep(blocks.pause)
    return times


def _block(call: Call, blocks: Blocks, clock: Clock) -> list[float]:
    """One turn. Garbage is collected before, not meanwhile."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(blocks.warm):
            if clock(call) > blocks.seconds:
                break  # a call as long as that needs no more of them
        times: list[float] = []
        while len(times) < blocks.least or sum(times) < blocks.seconds:
            times.append(clock(call))
        return times
    finally:
        gc.enable()
