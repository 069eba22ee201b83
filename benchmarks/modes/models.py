"""Whole models: as they are, accelerated, and accelerated with frozen weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from rich.table import Table
from torch import nn

import convmat
from benchmarks.bench import Bench, Row
from benchmarks.checking import relative_error
from benchmarks.peers.base import one_line
from benchmarks.real_models import MODELS, Model
from benchmarks.statistic import summary
from benchmarks.tables import against, in_one_line, new_table, number, speedup
from benchmarks.timing import Call, time_rounds

# Of the largest output, in float32: errors of one layer may grow in those after it.
_TOLERANCE = 1e-3


def measure(bench: Bench) -> list[Row]:
    """Time all models in every variant."""
    rows = []
    for model in MODELS:
        rows.append(_measure(bench, model))
        bench.say(in_one_line(rows[-1]) if rows[-1]["peers"] else f"{model.name}: not measured")
    return rows


def _measure(bench: Bench, model: Model) -> Row:
    row: Row = {"layer": model.name, "peers": {}, "errors": {}, "refused": {}}
    torch.manual_seed(0)
    try:
        module = model.build(bench.quick).eval().to(bench.device, bench.dtype)
        inputs = [tensor.to(bench.device, bench.dtype) for tensor in model.inputs(bench.quick)]
    except Exception as error:  # not installed, or another version of it
        return row | {"refused": {"torch": one_line(error)}}
    calls = _calls(partial(model.call, module, *inputs), module)
    with torch.inference_mode():
        _compare(calls, row)
        rounds = time_rounds(calls, bench.blocks, bench.clock)
    return row | {"peers": {name: summary(blocks) for name, blocks in rounds.items()}}


_VARIANTS: dict[str, Callable[[nn.Module], Any]] = {
    "torch": convmat.restore,
    "convmat": convmat.accelerate,
    "convmat frozen": partial(convmat.accelerate, freeze=True),
}


def _calls(compute: Call, module: nn.Module) -> dict[str, Call]:
    """A call of each variant, all of one model: the times of copies differ by where their parameters lie in memory.

    The model is changed in the first call of a turn, which is not counted.
    """
    now = [""]

    def call(name: str) -> Any:
        if now[0] != name:
            _VARIANTS[name](module)
            now[0] = name
        return compute()

    return {name: partial(call, name) for name in _VARIANTS}


def _compare(calls: dict[str, Call], row: Row) -> None:
    """Note the errors, and leave out who disagrees."""
    expected = calls["torch"]().double()
    for name in [name for name in calls if name != "torch"]:
        error = relative_error(calls[name](), expected)
        row["errors"][name] = error
        if not error <= _TOLERANCE:
            row["refused"][name] = f"disagrees by {error:.1e} of the largest output"
            del calls[name]


def tables(rows: Sequence[Row]) -> list[Table]:
    """Times, speedups, differences."""
    names = ("convmat", "convmat frozen")
    titles = [title for name in names for title in (f"{name} ms", "× torch", "differs by")]
    note = "The difference is that between two float32 computations, in units of the largest output."
    table = new_table("Whole models", "model", "torch ms", *titles, note=note)
    ratios = {name: against(rows, name) for name in names}
    for row in rows:
        cells = [_cells(row, name, ratios[name].get(row["layer"], [])) for name in names]
        table.add_row(
            row["layer"], number(row["peers"].get("torch", {}).get("ms")), *(cell for c in cells for cell in c)
        )
    return [table]


def _cells(row: Row, name: str, ratios: Sequence[float]) -> tuple[str, str, str]:
    error = row["errors"].get(name)
    ms = row["peers"].get(name, {}).get("ms")
    return number(ms), speedup(ratios), "–" if error is None else f"{error:.0e}"
