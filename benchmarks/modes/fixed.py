"""Every transposed layer at its own size: the main table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from rich.table import Table

import convmat
from benchmarks import roofline
from benchmarks.bench import Bench, Row, line_up, measure_each
from benchmarks.layers import Layer
from benchmarks.peers.ours import frozen_layer
from benchmarks.statistic import geometric_mean, summary
from benchmarks.tables import against, contest_table, median, new_table, number, peers_of, speedup, times
from benchmarks.timing import time_rounds

CONTIGUOUS = ("torch", "onnxruntime", "openvino", "jax")  # torch.compile calls the kernels of torch
CONTESTS = {
    "convmat against torch": ("convmat", ("torch",)),
    "convmat, weights not frozen, against torch": ("convmat-unfrozen", ("torch",)),
    "convmat against the best contiguous peer": ("convmat", CONTIGUOUS),
    "both with channels last": ("convmat-channels-last", ("torch-channels-last",)),
    "convmat, contiguous, against torch, channels last": ("convmat", ("torch-channels-last",)),
}


def measure(bench: Bench) -> list[Row]:
    """Time all peers on the transposed layers."""
    return time_layers(bench, [layer for layer in bench.layers if layer.transposed])


def time_layers(bench: Bench, layers: Sequence[Layer]) -> list[Row]:
    """Time all peers on these layers."""
    return measure_each(bench, layers, _measure)


def _measure(bench: Bench, layer: Layer) -> Row:
    lined_up = line_up(bench, layer, bench.peers)
    with torch.inference_mode():
        rounds = time_rounds(lined_up.calls, bench.blocks, bench.clock)
    moved = layer.elements * bench.dtype.itemsize
    return {
        "layer": layer.name,
        "network": layer.network,
        "flops": layer.flops,
        "bytes": moved,
        "bound_ms": roofline.bound_ms(bench.roofline, layer.flops, moved),
        "plan": str(plan_of(bench, layer)),
        "peers": {name: summary(blocks) for name, blocks in rounds.items()},
        "refused": lined_up.refused,
    }


def plan_of(bench: Bench, layer: Layer) -> convmat.Plan:
    """What auto chooses for a layer."""
    _, weight = bench.tensors(layer)
    return convmat.plan(frozen_layer(layer, weight), layer.geometry.in_shape, layer.batch)


# -- what is printed ---------------------------------------------------------------------------------------------------


def tables(rows: Sequence[Row]) -> list[Table]:
    """Times, speedups, and who wins."""
    names = peers_of(rows)
    methods = [name for name in names if name.startswith("convmat:")]
    found = [times(rows, [name for name in names if name not in methods], "Milliseconds")]
    if "convmat" in names:
        found += [_speedups(rows), contest_table(rows, CONTESTS, "layers")]
    if methods:
        found.append(times(rows, methods, "Methods of convmat: milliseconds"))
    if methods and "convmat" in names:
        found.append(_regrets(rows, methods))
    return found


def _speedups(rows: Sequence[Row]) -> Table:
    contenders = (
        "against torch",
        "not frozen",
        "best contiguous",
        "both channels last",
        "torch channels last",
    )
    titles = (*contenders, "GFLOP/s", "GB/s", "bound ms", "share")
    note = (
        "How many times as fast convmat is: the median of the rounds, and its quartiles. Bound and share: the least\n"
        "time that the measured roofline allows, and how near convmat comes to it."
    )
    table = new_table("convmat", "layer", *titles, "method", note=note)
    contests = [against(rows, fast, *slow) for fast, slow in CONTESTS.values()]
    for row in rows:
        cells = (speedup(contest.get(row["layer"], [])) for contest in contests)
        table.add_row(row["layer"], *cells, *_rates(row), row["plan"].partition(":")[0])
    return table


def _rates(row: Row) -> tuple[str, ...]:
    """GFLOP/s, GB/s, the roofline's bound and the share of it that convmat reaches."""
    if "convmat" not in row["peers"]:
        return "–", "–", number(row["bound_ms"]), "–"
    ms = row["peers"]["convmat"]["ms"]
    share = f"{row['bound_ms'] / ms:.0%}"
    return number(row["flops"] / ms / 1e6), number(row["bytes"] / ms / 1e6), number(row["bound_ms"]), share


def _regrets(rows: Sequence[Row], methods: Sequence[str]) -> Table:
    """What auto costs beyond the best of convmat's methods."""
    note = "The time of what auto chose, divided by that of the best method in the same round."
    table = new_table("Regret of auto", "layer", "auto", "best", "regret", note=note)
    means = []
    for row in rows:
        regret = regret_of(row, methods)
        if regret:
            best = min((name for name in methods if name in row["peers"]), key=lambda name: row["peers"][name]["ms"])
            table.add_row(row["layer"], row["plan"].partition(":")[0], best.partition(":")[2], speedup(regret))
            means.append(median(regret))
    table.add_section()
    table.add_row("geometric mean", "", "", f"{geometric_mean(means):.2f}")
    return table


def regret_of(row: dict[str, Any], methods: Sequence[str]) -> list[float]:
    """Of every round."""
    return [1 / ratio for ratio in against([row], "convmat", *methods).get(row["layer"], [])]
