"""Peak memory beyond input, weight and output: counted, and as the system sees it in a fresh process.

The count knows what PyTorch and NumPy allocate; the system (Linux only) knows everything, but rounds to pages and
includes what allocators keep in stock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from rich.table import Table

import convmat
from benchmarks.bench import Bench, Row
from benchmarks.fresh import run_fresh
from benchmarks.layers import Layer
from benchmarks.tables import new_table, number
from convmat.checking.measure import peak_bytes

_LIBRARIES = {"torch": F, "convmat": convmat}
_BOUND = 1.5  # times input and weight: what convmat may use


def measure(bench: Bench) -> list[Row]:
    """Measure PyTorch and convmat on all layers, as functions, on the CPU."""
    return [_measure(bench, layer) for layer in bench.layers]


def _measure(bench: Bench, layer: Layer) -> Row:
    row: Row = {"layer": layer.name, "bound": _bound(bench, layer), "peers": {}, "refused": {}}
    for name in bench.only(*_LIBRARIES):
        row["peers"][name] = {"counted": _counted(bench, layer, name)}
        try:
            dtype = str(bench.dtype).removeprefix("torch.")
            row["peers"][name] |= run_fresh("fresh_memory", name, layer.as_json(), dtype)
        except RuntimeError as error:
            row["refused"][name] = str(error)
    return row


def _bound(bench: Bench, layer: Layer) -> float:
    elements = prod(layer.in_shape) + prod(layer.geometry.weight_shape)
    return _BOUND * elements * bench.dtype.itemsize


def _counted(bench: Bench, layer: Layer, name: str) -> int:
    input, weight = layer.tensors(bench.dtype)
    function: Callable[..., Any] = getattr(_LIBRARIES[name], layer.function)
    call = partial(function, input, weight, **layer.options)
    with torch.inference_mode():
        call()  # compiles, loads and plans
        return peak_bytes(call) - prod(layer.out_shape) * bench.dtype.itemsize


def tables(rows: Sequence[Row]) -> list[Table]:
    """Megabytes."""
    note = (
        "counted: what PyTorch and NumPy allocate in a call. system: what the process grows by at most in its second\n"
        f"call. kept: what the first call leaves, code included. bound: {_BOUND} x (input + weight). In bold: above it."
    )
    titles = [f"{name}: {what}" for name in _LIBRARIES for what in ("counted", "system", "kept")]
    table = new_table("Memory beyond input, weight and output: MB", "layer", "bound", *titles, note=note)
    for row in rows:
        cells = [
            _cell(row["peers"].get(name, {}).get(key), row["bound"] if name == "convmat" and key != "kept" else None)
            for name in _LIBRARIES
            for key in ("counted", "peak", "kept")
        ]
        table.add_row(row["layer"], number(row["bound"] / 1e6), *cells)
    return [table]


def _cell(size: float | None, bound: float | None) -> str:
    text = number(None if size is None else size / 1e6)
    return f"[bold]{text}[/bold]" if size is not None and bound is not None and size > bound else text
