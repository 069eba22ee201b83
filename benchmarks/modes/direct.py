"""Every direct layer at its own size, beside the main table."""

from __future__ import annotations

from benchmarks.bench import Bench, Row
from benchmarks.modes import fixed

tables = fixed.tables


def measure(bench: Bench) -> list[Row]:
    """Time all peers on the direct layers."""
    return fixed.time_layers(bench, [layer for layer in bench.layers if not layer.transposed])
