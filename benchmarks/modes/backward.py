"""Forward and backward: the gradients of input, weight and bias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from rich.table import Table
from torch import Tensor

import convmat
from benchmarks.bench import Bench, Row, measure_each
from benchmarks.checking import relative_error
from benchmarks.layers import Layer
from benchmarks.peers.base import RefusedError, memory_format
from benchmarks.statistic import summary
from benchmarks.tables import Contests, against, contest_table, heading, new_table, number, speedup
from benchmarks.timing import Call, time_rounds

_LIBRARIES = {"torch": F, "convmat": convmat}
_PEERS = ("torch", "torch-channels-last", "convmat", "convmat-channels-last")
CONTESTS: Contests = {
    "convmat against torch": ("convmat", ("torch",)),
    "both with channels last": ("convmat-channels-last", ("torch-channels-last",)),
}
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}  # a gradient of the weight sums over the whole picture


def measure(bench: Bench) -> list[Row]:
    """Time PyTorch and convmat on all layers."""
    return measure_each(bench, bench.layers, _measure)


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
    return {"layer": layer.name, "axes": layer.ndim, "peers": peers, "refused": refused}


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
    """A call that computes the output and all gradients."""
    function = partial(getattr(library, layer.function), **layer.options)
    operands = input.detach(), weight.detach(), input.new_ones(layer.out_channels)
    with torch.no_grad():
        above = torch.ones_like(function(*operands))
    return partial(_forward_and_backward, function, [operand.requires_grad_() for operand in operands], above)


def _forward_and_backward(
    function: Callable[..., Tensor], operands: Sequence[Tensor], above: Tensor
) -> tuple[Tensor, ...]:
    return torch.autograd.grad(function(*operands), operands, above)


def tables(rows: Sequence[Row]) -> list[Table]:
    """Times and speedups of all layers, and the speedups of all of them and of those over three axes."""
    table = new_table("Forward and backward", "layer", *map(heading, _PEERS), "against torch", "both channels last")
    ours = against(rows, "convmat"), against(rows, "convmat-channels-last", "torch-channels-last")
    for row in rows:
        times = (number(row["peers"].get(name, {}).get("ms")) for name in _PEERS)
        table.add_row(row["layer"], *times, *(speedup(found.get(row["layer"], [])) for found in ours))
    volumes = [row for row in rows if row["axes"] == 3]
    return [table, contest_table(rows, CONTESTS, "layers"), contest_table(volumes, CONTESTS, "layers over three axes")]
