"""Rounding: the largest error, against float64, in units of the largest output."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.bench import Bench, Row
from benchmarks.checking import answer, exact, relative_error
from benchmarks.layers import Layer
from benchmarks.peers import Problem, RefusedError, make_peer
from benchmarks.tables import heading, new_table, peers_of


def measure(bench: Bench) -> list[Row]:
    """The errors of all peers on all layers. A wrong answer is not left out: it shows."""
    return [_measure(bench, layer) for layer in bench.layers]


def _measure(bench: Bench, layer: Layer) -> Row:
    input, weight = bench.tensors(layer)
    expected, problem = exact(layer, input, weight), Problem(layer, weight, bench.threads)
    peers, refused = {}, {}
    for name in bench.peers:
        try:
            peers[name] = {"error": relative_error(answer(make_peer(name, problem), input), expected)}
        except RefusedError as reason:
            refused[name] = str(reason)
    return {"layer": layer.name, "table": layer.table, "peers": peers, "refused": refused}


def tables(rows: Sequence[Row]) -> list[Table]:
    """The errors, and ours in units of PyTorch's."""
    names = peers_of(rows)
    table = new_table("Largest error / largest output", "layer", *map(heading, names), "convmat / torch")
    for row in rows:
        errors = {name: peer["error"] for name, peer in row["peers"].items()}
        cells = (f"{errors[name]:.1e}" if name in errors else "–" for name in names)
        table.add_row(row["layer"], *cells, _ratio(errors.get("convmat"), errors.get("torch")))
    return [table]


def _ratio(ours: float | None, theirs: float | None) -> str:
    return "–" if ours is None or not theirs else f"{ours / theirs:.2f}"
