"""What a wrong estimate costs: the time of the method that auto chooses, divided by that of the best.

The candidates are the kernel and PyTorch's own function; ``--methods``, or a name such as ``convmat:phases`` among the
peers, adds others. Where a file of ``convmat tune`` is in use, what auto would choose without it is noted as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rich.table import Table

from benchmarks.bench import Bench, Row, line_up, measure_each
from benchmarks.layers import Layer
from benchmarks.modes.fixed import plan_of
from benchmarks.peers import METHODS
from benchmarks.statistic import geometric_mean, ratios, summary
from benchmarks.tables import median, new_table, number, peers_of, rounds_of, speedup
from benchmarks.timing import time_rounds
from convmat.planning import correcting

_CANDIDATES = ("convmat:tiles", "convmat:native")
CHOICES = {"plan": "auto", "uncorrected": "auto, uncorrected"}  # in a row, and for a title


def measure(bench: Bench) -> list[Row]:
    """Time the candidates on all layers, and ask which of them auto would choose."""
    return measure_each(bench, bench.layers, _measure)


def _measure(bench: Bench, layer: Layer) -> Row:
    lined_up = line_up(bench, layer, dict.fromkeys((*_CANDIDATES, *bench.only(*METHODS))))
    with torch.inference_mode():
        rounds = time_rounds(lined_up.calls, bench.blocks, bench.clock)
    row: Row = {
        "layer": layer.name,
        "table": layer.table,
        "plan": plan_of(bench, layer).method,
        "peers": {name: summary(blocks) for name, blocks in rounds.items()},
        "refused": lined_up.refused,
    }
    with correcting.without():
        return row | {"uncorrected": plan_of(bench, layer).method}


# -- what is printed ---------------------------------------------------------------------------------------------------


def tables(rows: Sequence[Row]) -> list[Table]:
    """The regret of every layer, and of both tables."""
    return [_of_layers(rows), _summary(rows)]


def _of_layers(rows: Sequence[Row]) -> Table:
    names = peers_of(rows)
    note = "The time of what auto chooses, divided by that of the best in the same round."
    titles = [f"{name.removeprefix('convmat:')} ms" for name in names]
    table = new_table("Regret of auto", "layer", *titles, "auto", "regret", note=note)
    for row in rows:
        cells = (number(row["peers"].get(name, {}).get("ms")) for name in names)
        table.add_row(row["layer"], *cells, row["plan"], speedup(regret(row, "plan")))
    return table


def _summary(rows: Sequence[Row]) -> Table:
    table = new_table("Regret", "table", "of", "geometric mean", "layers", "worst", "on")
    for line in summary_lines(rows):
        table.add_row(*line)
    return table


def summary_lines(rows: Sequence[Row]) -> list[list[str]]:
    """Of each table, with the correction and without: the geometric mean of the regret, and the worst."""
    lines = []
    for name in dict.fromkeys(row["table"] for row in rows):
        for key, title in CHOICES.items():
            found = {row["layer"]: median(regret(row, key)) for row in rows if row["table"] == name}
            found = {layer: value for layer, value in found.items() if value == value}
            if found:
                worst = max(found, key=lambda layer: found[layer])
                mean = geometric_mean(list(found.values()))
                lines.append([name, title, f"{mean:.3f}", str(len(found)), f"{found[worst]:.2f}", worst])
    return lines


def regret(row: Row, key: str) -> list[float]:
    """Of every round: the time of the chosen method, divided by that of the best; empty if it was not measured."""
    return [1 / ratio for ratio in ratios(rounds_of(row), row["peers"], f"convmat:{row[key]}")]
