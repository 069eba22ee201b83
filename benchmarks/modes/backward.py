"""Forward and backward: the gradients of input and weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from rich.table import Table
from torch import Tensor

import convmat
from benchmarks.bench import Bench, Row
from benchmarks.checking import relative_error
from benchmarks.layers import Layer
from benchmarks.peers.base import RefusedError, memory_format
from benchmarks.statistic import summary
from benchmarks.tables import against, heading, in_one_line, new_table, number, speedup
from benchmarks.timing import Call, time_rounds

_LIBRARIES = {"torch": F, "convmat": convmat}
_PEERS = ("torch", "torch-channels-last", "convmat", "convmat-channels-last")
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}  # a gradient of the weight sums over the whole picture


def measure(bench: Bench) -> list[Row]:
    """Time PyTorch and convmat on all layers."""
    rows = []
    for layer in bench.layers:
        rows.append(_measure(bench, layer))
        bench.say(in_one_line(rows[-1]))
    return rows


def _measure(bench: Bench, layer: Layer) -> Row:
    input, weight = bench.tensors(layer)
    expected = _gradients(F, layer, input.double(), weight.double())()
    calls, refused = {}, {}
    for name in bench.only(*_PEERS):
        try:
            calls[name] = _checked(name, layer, input, weight, expected)
        except RefusedError as reason:
            refused[name] = str(reason)
    rounds = time_rounds(calls, bench.blocks, bench.clock)
    peers = {name: summary(blocks) for name, blocks in rounds.items()}
    return {"layer": layer.name, "peers": peers, "refused": refused}


def _checked(name: str, layer: Layer, input: Tensor, weight: Tensor, expected: Sequence[Tensor]) -> Call:
    library, _, is_last = name.partition("-")
    if is_last:
        input, weight = (tensor.contiguous(memory_format=memory_format(layer)) for tensor in (input, weight))
    call = _gradients(_LIBRARIES[library], layer, input, weight)
    error = max(map(relative_error, call(), expected))
    if not error <= _TOLERANCE[input.dtype]:
        raise RefusedError(f"its gradients disagree with those in float64 by {error:.1e} of the largest")
    return call


def _gradients(library: object, layer: Layer, input: Tensor, weight: Tensor) -> Callable[[], tuple[Tensor, ...]]:
    """A call that computes the output and both gradients."""
    function = getattr(library, layer.function)
    input, weight = (tensor.detach().requires_grad_() for tensor in (input, weight))
    with torch.no_grad():
        output = function(input, weight, **layer.options)
        above = torch.ones_like(output)
    return partial(_forward_and_backward, partial(function, **layer.options), input, weight, above)


def _forward_and_backward(
    function: Callable[[Tensor, Tensor], Tensor], input: Tensor, weight: Tensor, above: Tensor
) -> tuple[Tensor, ...]:
    return torch.autograd.grad(function(input, weight), (input, weight), above)


def tables(rows: Sequence[Row]) -> list[Table]:
    """Times and speedups."""
    table = new_table("Forward and backward", "layer", *map(heading, _PEERS), "against torch", "both channels last")
    ours = against(rows, "convmat"), against(rows, "convmat-channels-last", "torch-channels-last")
    for row in rows:
        times = (number(row["peers"].get(name, {}).get("ms")) for name in _PEERS)
        table.add_row(row["layer"], *times, *(speedup(found.get(row["layer"], [])) for found in ours))
    return [table]
