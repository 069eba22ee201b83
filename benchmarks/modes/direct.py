"""Direct convolutions of real networks: PyTorch's function and ours, contiguous and with the channels last."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.table import Table
from torch import Tensor

import convmat
from benchmarks.bench import Bench, Row
from benchmarks.checking import relative_error
from benchmarks.statistic import summary
from benchmarks.tables import against, in_one_line, new_table, number, speedup
from benchmarks.timing import Call, time_rounds

_LAYERS = Path(__file__).parents[1] / "direct_layers.json"
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}  # of the largest output
# Who is compared with whom.
CONTESTS = {
    "convmat against torch": ("convmat", ("torch",)),
    "both with channels last": ("convmat-channels-last", ("torch-channels-last",)),
}


@dataclass(frozen=True)
class DirectLayer:
    """One convolution of a network, under PyTorch's names."""

    name: str
    network: str
    batch: int
    in_channels: int
    out_channels: int
    input_size: list[int]
    kernel_size: int
    stride: int
    padding: int
    dilation: int
    groups: int

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of PyTorch's function, and of ours."""
        return {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}

    @property
    def function(self) -> str:
        """The name of the function."""
        return f"conv{len(self.input_size)}d"

    def tensors(self, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
        """An input and a weight of random numbers."""
        kernel = [self.kernel_size] * len(self.input_size)
        shapes = (
            (self.batch, self.in_channels, *self.input_size),
            (self.out_channels, self.in_channels // self.groups, *kernel),
        )
        generator = torch.Generator().manual_seed(0)
        input, weight = (torch.randn(shape, generator=generator).to(device, dtype) for shape in shapes)
        return input, weight


def layers() -> list[DirectLayer]:
    """The layers of the table."""
    return [DirectLayer(**entry) for entry in json.loads(_LAYERS.read_text(encoding="utf-8"))]


def measure(bench: Bench) -> list[Row]:
    """Time PyTorch and convmat on all layers."""
    rows = []
    for layer in layers()[: 4 if bench.quick else None]:
        rows.append(_measure(bench, layer))
        bench.say(in_one_line(rows[-1]))
    return rows


def _measure(bench: Bench, layer: DirectLayer) -> Row:
    input, weight = layer.tensors(bench.dtype, bench.device)
    calls = _calls(layer, input, weight)
    row: Row = {"layer": layer.name, "network": layer.network, "peers": {}, "refused": {}}
    with torch.inference_mode():
        expected = getattr(F, layer.function)(input.double(), weight.double(), **layer.options)
        for name in list(calls):
            error = relative_error(calls[name](), expected)
            if not error <= _TOLERANCE[bench.dtype]:
                row["refused"][name] = f"disagrees by {error:.1e} of the largest output"
                del calls[name]
        rounds = time_rounds(calls, bench.blocks, bench.clock)
    return row | {"plan": _plan(layer, weight), "peers": {name: summary(blocks) for name, blocks in rounds.items()}}


def _calls(layer: DirectLayer, input: Tensor, weight: Tensor) -> dict[str, Call]:
    functions: dict[str, Callable[..., Tensor]] = {
        "torch": getattr(F, layer.function),
        "convmat": getattr(convmat, layer.function),
    }
    operands = {"": (input, weight)}
    if last := _FORMATS.get(input.ndim):
        operands["-channels-last"] = (input.to(memory_format=last), weight.to(memory_format=last))
    return {
        f"{who}{lie}": partial(function, *tensors, **layer.options)
        for lie, tensors in operands.items()
        for who, function in functions.items()
    }


def _plan(layer: DirectLayer, weight: Tensor) -> str:
    module = getattr(torch.nn, layer.function.replace("conv", "Conv"))(
        layer.in_channels, layer.out_channels, layer.kernel_size, bias=False, **layer.options, dtype=weight.dtype
    )
    return str(convmat.plan(module, (layer.in_channels, *layer.input_size), layer.batch))


def tables(rows: Sequence[Row]) -> list[Table]:
    """Milliseconds, and how many times as fast."""
    titles = [
        "layer",
        "torch ms",
        "convmat ms",
        "× torch",
        "torch last ms",
        "convmat last ms",
        "× torch last",
        "method",
    ]
    table = new_table("Direct convolutions, contiguous and with the channels last", *titles)
    for row in rows:
        cells = []
        for fast, (slow,) in CONTESTS.values():
            found = against(rows, fast, slow)
            cells += [number(row["peers"].get(name, {}).get("ms")) for name in (slow, fast)]
            cells.append(speedup(found.get(row["layer"], [])))
        table.add_row(row["layer"], *cells, row["plan"].partition(":")[0])
    return [table]
