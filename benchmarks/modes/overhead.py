"""A tiny layer, where a call costs more than the arithmetic: microseconds beyond PyTorch's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rich.table import Table

import convmat
from benchmarks.bench import Bench, Row, line_up
from benchmarks.layers import Layer
from benchmarks.peers.pytorch import torch_layer
from benchmarks.statistic import summary
from benchmarks.tables import median, new_table
from benchmarks.timing import Call, time_rounds

_TINY = Layer("tiny", "none", 1, 8, 8, [8, 8], 4, 2, 1, 1, 1)


def measure(bench: Bench) -> list[Row]:
    """Time the peers, and the two libraries as functions and as layers."""
    lined_up = line_up(bench, _TINY, [name for name in bench.peers if not name.startswith("convmat:")])
    calls = lined_up.calls | _as_written(bench)
    with torch.inference_mode():
        rounds = time_rounds(calls, bench.blocks, bench.clock)
    peers = {name: summary(blocks) for name, blocks in rounds.items()}
    return [{"layer": _TINY.name, "peers": peers, "refused": lined_up.refused}]


def _as_written(bench: Bench) -> dict[str, Call]:
    """What people write, for comparison with what the peers do."""
    input, weight = bench.tensors(_TINY)
    theirs, ours = torch_layer(_TINY, weight), torch_layer(_TINY, weight)
    convmat.accelerate(ours)
    return {
        "torch.nn.ConvTranspose2d": lambda: theirs(input),
        "convmat.conv_transpose2d": lambda: convmat.conv_transpose2d(input, weight, **_TINY.options),
        "convmat.accelerate": lambda: ours(input),
    }


def tables(rows: Sequence[Row]) -> list[Table]:
    """Microseconds per call, and beyond PyTorch's."""
    table = new_table("8 channels, 8x8, kernel 4, stride 2: microseconds", "call", "median", "beyond torch")
    for row in rows:
        peers = row["peers"]
        base = peers.get("torch", next(iter(peers.values())))["rounds_ms"]
        for name, peer in peers.items():
            beyond = median([1e3 * (own - other) for own, other in zip(peer["rounds_ms"], base, strict=True)])
            table.add_row(name, f"{1e3 * peer['ms']:.1f}", f"{beyond:+.1f}")
    return [table]
