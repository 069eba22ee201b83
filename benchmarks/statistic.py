"""Medians, quartiles and ratios of measured times.

Peers are compared within a round, a few seconds apart, so that a machine that slows down slows down both; the ratio of
two peers is the median of these ratios.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Rounds: TypeAlias = Mapping[str, Sequence[float]]  # for each peer, its median time in every round


def summary(rounds: Sequence[Sequence[float]]) -> dict[str, Any]:
    """What to keep of the times of a peer, in milliseconds."""
    times = [1e3 * seconds for block in rounds for seconds in block]
    return {
        "ms": statistics.median(times),
        "quartiles_ms": quartiles(times),
        "calls": len(times),
        "rounds_ms": [1e3 * statistics.median(block) for block in rounds],
    }


def quartiles(values: Sequence[float]) -> list[float]:
    """The first and the third."""
    if len(values) < 2:
        return [*values, *values]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return [first, third]


def ratios(rounds: Rounds, slow: Iterable[str], fast: str) -> list[float]:
    """In each round, how many times as fast a peer is as the best of others; empty if one side is missing."""
    others = [rounds[name] for name in slow if name in rounds]
    if not others or fast not in rounds:
        return []
    return [min(best) / own for *best, own in zip(*others, rounds[fast], strict=True)]


def geometric_mean(values: Sequence[float]) -> float:
    """Of ratios; NaN where there are none."""
    return statistics.geometric_mean(values) if values else float("nan")
