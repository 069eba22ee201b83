"""Whole models, each in a process of its own: PyTorch, as it is and compiled; accelerated; exported to others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

from benchmarks.bench import Bench, Row, measure_each
from benchmarks.fresh import run_fresh
from benchmarks.real_models import MODELS, Model
from benchmarks.tables import (
    Contests,
    against,
    contest_table,
    heading,
    new_table,
    peers_of,
    speedup,
    times,
)

CONTESTS: Contests = {
    "accelerated against torch": ("convmat", ("torch",)),
    "frozen against torch": ("convmat-frozen", ("torch",)),
    "frozen against the better of ONNX Runtime and OpenVINO": ("convmat-frozen", ("onnxruntime", "openvino")),
    "folded against torch": ("convmat-folded", ("torch",)),
    "folded against the better of ONNX Runtime and OpenVINO": ("convmat-folded", ("onnxruntime", "openvino")),
    "compiled, accelerated against not": ("convmat-compiled", ("torch-compile",)),
    "compiled and accelerated against the better of the two alone": ("convmat-compiled", ("torch-compile", "convmat")),
}


def measure(bench: Bench) -> list[Row]:
    """Time everybody on the models."""
    models = [model for model in MODELS if model.key in bench.models or not bench.models]
    return measure_each(bench, models, _measure)


def _measure(bench: Bench, model: Model) -> Row:
    options = {
        "peers": _names(bench),
        "dtype": str(bench.dtype).removeprefix("torch."),
        "device": bench.device,
        "threads": bench.threads,
        "quick": bench.quick,
        "blocks": asdict(bench.blocks),
    }
    try:
        return run_fresh("fresh_model", model.key, json.dumps(options))
    except RuntimeError as error:  # not installed, or another version of it
        return {"layer": model.name, "peers": {}, "errors": {}, "refused": {"torch": str(error)}}


def _names(bench: Bench) -> list[str]:
    names = bench.only("torch", "torch-compile", "onnxruntime", "openvino", "convmat")
    names += ["convmat-frozen", "convmat-folded"] if "convmat" in names else []
    return [*names, "convmat-compiled"] if {"convmat", "torch-compile"} <= {*names} else names


def tables(rows: Sequence[Row]) -> list[Table]:
    """Times, who wins, and differences."""
    found = [times(rows, peers_of(rows), "Whole models: milliseconds")]
    found += [_speedups(rows), contest_table(rows, CONTESTS, "models"), _differences(rows)]
    return found


def _speedups(rows: Sequence[Row]) -> Table:
    table = new_table("How many times as fast", "model", *CONTESTS)
    ratios = [against(rows, fast, *slow) for fast, slow in CONTESTS.values()]
    for row in rows:
        table.add_row(row["layer"], *(speedup(ratio.get(row["layer"], [])) for ratio in ratios))
    return table


def _differences(rows: Sequence[Row]) -> Table:
    """From PyTorch, in float32 both."""
    names = [name for name in peers_of(rows) if name != "torch"]
    note = "Between two computations in the same precision, in units of the largest output."
    table = new_table("Differences from torch", "model", *map(heading, names), note=note)
    for row in rows:
        errors = (row.get("errors", {}).get(name) for name in names)
        table.add_row(row["layer"], *("–" if error is None else f"{error:.0e}" for error in errors))
    return table
