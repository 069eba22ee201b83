"""Inputs as they come: pictures read with their channels last, slices, permutations, no batch.

PyTorch looks at strides, those of axes of size 1 included, to choose how to compute. Each input here holds the same
numbers as a contiguous one; only the way they lie in memory differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from rich.table import Table
from torch import Tensor

import convmat
from benchmarks.bench import Bench, Row, measure_each
from benchmarks.checking import relative_error
from benchmarks.layers import Layer
from benchmarks.statistic import summary
from benchmarks.tables import against, new_table, number, speedup
from benchmarks.timing import time_rounds

_TOLERANCE = 1e-4  # of the largest output

_PICTURE = Layer("photograph x2", "bilinear upsampling", 1, 3, 3, [600, 512], 4, 2, 1, 1, 3)
_DECODER = Layer("decoder", "U-Net decoder", 1, 64, 32, [64, 48], 2, 2, 0, 1, 1)
_VOCODER = Layer("vocoder", "HiFi-GAN", 1, 128, 64, [400], 16, 8, 4, 1, 1)


def _apart(input: Tensor) -> Tensor:
    """Every second number of a longer tensor."""
    longer = input.new_zeros(*input.shape[:-1], 2 * input.shape[-1])
    longer[..., ::2] = input
    return longer[..., ::2]


def _cut_out(input: Tensor) -> Tensor:
    """A part of a larger tensor."""
    larger = input.new_zeros([size + 2 for size in input.shape])
    inner = larger[tuple(slice(1, -1) for _ in input.shape)]
    return inner.copy_(input)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": Tensor.contiguous,
    "movedim": lambda input: input[0].movedim(0, -1).contiguous().movedim(-1, 0)[None],
    "channels last": lambda input: input.movedim(1, -1).contiguous().movedim(-1, 1),
    "permuted": lambda input: input.mT.contiguous().mT,
    "slice": _cut_out,
    "every second": _apart,
    "no batch": lambda input: input[0],
}


def measure(bench: Bench) -> list[Row]:
    """Time PyTorch's function and ours on each layer and layout."""
    return measure_each(bench, product((_PICTURE, _DECODER, _VOCODER), LAYOUTS), _measure)


def _measure(bench: Bench, case: tuple[Layer, str]) -> Row:
    layer, name = case
    input, weight = bench.tensors(layer)
    placed = LAYOUTS[name](input)
    functions: dict[str, Any] = {"torch": F, "convmat": convmat}
    calls = {
        who: partial(getattr(library, layer.function), placed, weight, **layer.options)
        for who, library in functions.items()
    }
    row: Row = {"layer": f"{layer.name}, {name}", "peers": {}, "refused": {}}
    with torch.inference_mode():
        error = relative_error(calls["convmat"](), calls["torch"]().double())
        if not error <= _TOLERANCE:
            return row | {"refused": {"convmat": f"disagrees by {error:.1e} of the largest output"}}
        rounds = time_rounds(calls, bench.blocks, bench.clock)
    return row | {"peers": {who: summary(blocks) for who, blocks in rounds.items()}}


def tables(rows: Sequence[Row]) -> list[Table]:
    """Milliseconds, and how many times as fast."""
    table = new_table("Inputs as they lie in memory", "layer and layout", "torch ms", "convmat ms", "× torch")
    ratios = against(rows, "convmat")
    for row in rows:
        times = [number(row["peers"].get(name, {}).get("ms")) for name in ("torch", "convmat")]
        table.add_row(row["layer"], *times, speedup(ratios.get(row["layer"], [])))
    return [table]
