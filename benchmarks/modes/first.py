"""The first call in a fresh process, and what importing costs: with an empty cache of compiled kernels, and a warm one.

Always float32 on the CPU, and convmat as a plain function: what somebody has who just tries it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

from rich.table import Table

from benchmarks.bench import Bench, Row
from benchmarks.fresh import run_fresh
from benchmarks.layers import Layer, load_layers
from benchmarks.tables import median, new_table, number

_LAYERS = ("hifigan1", "unet-up1")  # where the whole table would take long and say little
_REPEATS = 3
_COLUMNS = ("import torch", "import convmat", "first call", "second call")


def measure(bench: Bench) -> list[Row]:
    """Time fresh processes on two layers, or on the one or two that were asked for."""
    layers = bench.layers if len(bench.layers) <= len(_LAYERS) else load_layers(list(_LAYERS))
    rows = []
    for layer in layers:
        rows.append(_measure(layer, 1 if bench.quick else _REPEATS))
        bench.say(f"{layer.name}: done")
    return rows


def _measure(layer: Layer, repeats: int) -> Row:
    row: Row = {"layer": layer.name, "runs": {}, "refused": {}}
    with tempfile.TemporaryDirectory() as cache:
        for name, library, times in (
            ("torch", "torch", repeats),
            ("convmat, empty cache", "convmat", 1),
            ("convmat, warm cache", "convmat", repeats),
        ):
            try:
                row["runs"][name] = _median_run(library, layer, cache, times)
            except RuntimeError as error:
                row["refused"][name] = str(error)
    return row


def _median_run(library: str, layer: Layer, cache: str, repeats: int) -> dict[str, float]:
    """Milliseconds of everything that is timed."""
    environment = {"NUMBA_CACHE_DIR": cache}
    runs = [run_fresh("first_call", library, layer.as_json(), environment=environment) for _ in range(repeats)]
    return {name: 1e3 * median([run[name] for run in runs]) for name in runs[0]}


def tables(rows: Sequence[Row]) -> list[Table]:
    """Milliseconds of imports and calls."""
    table = new_table("A fresh process: milliseconds", "layer", "", *_COLUMNS)
    for row in rows:
        for name, run in row["runs"].items():
            table.add_row(row["layer"], name, *(number(run.get(column)) for column in _COLUMNS))
    return [table]
