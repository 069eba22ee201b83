"""The layers of real networks, as data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convmat import Geometry

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Layer:
    """One convolution of a network, direct or transposed, under PyTorch's names."""

    name: str
    network: str
    batch: int
    in_channels: int
    out_channels: int
    input_size: list[int]
    kernel_size: int | list[int]
    stride: int | list[int]
    padding: int | list[int]
    dilation: int | list[int]
    groups: int
    output_padding: int | list[int] = 0
    transposed: bool = True

    @property
    def ndim(self) -> int:
        """How many spatial axes."""
        return len(self.input_size)

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of PyTorch's function, and of ours."""
        names = ("stride", "padding", "groups", "dilation", *["output_padding"] * self.transposed)
        return {name: getattr(self, name) for name in names}

    @property
    def function(self) -> str:
        """The name of PyTorch's function, and of ours."""
        return f"conv{'_transpose' * self.transposed}{self.ndim}d"

    @property
    def table(self) -> str:
        """The table that it belongs to, by its direction."""
        return "transposed" if self.transposed else "direct"

    @property
    def module(self) -> str:
        """The name of PyTorch's layer, and of ours."""
        return f"Conv{'Transpose' * self.transposed}{self.ndim}d"

    @cached_property
    def geometry(self) -> Geometry:
        """The layer's geometry, of which everything else is read off."""
        make = Geometry.conv_transpose if self.transposed else Geometry.conv
        return make(
            self.input_size,
            self.kernel_size,
            **self.options,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
        )

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Of the input, with the batch."""
        return self.batch, *self.geometry.in_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Of the output, with the batch."""
        return self.batch, *self.geometry.out_shape

    @property
    def flops(self) -> int:
        """Multiplications and additions of the taps that meet an input and an output, and of no others."""
        return 2 * self.batch * self.geometry.most_entries()

    @property
    def elements(self) -> int:
        """Of input, weight and output: what must be moved at least."""
        return prod(self.in_shape) + prod(self.geometry.weight_shape) + prod(self.out_shape)

    def resized(self, *input_size: int) -> Layer:
        """The same layer for an input of another size."""
        return replace(self, input_size=list(input_size))

    def tensors(self, dtype: torch.dtype, device: str = "cpu", seed: int = 0) -> tuple[Tensor, Tensor]:
        """An input and a weight of random numbers."""
        generator = torch.Generator().manual_seed(seed)
        shapes = self.in_shape, self.geometry.weight_shape
        input, weight = (torch.randn(shape, generator=generator).to(device, dtype) for shape in shapes)
        return input, weight

    def as_json(self) -> str:
        """The layer, for another process."""
        return json.dumps(asdict(self))


def load_layers(names: list[str]) -> list[Layer]:
    """The layers of these names; ``"transposed"`` and ``"direct"`` are the tables, ``"all"`` is both of them.

    ``"aside"`` is what was kept aside.

    Raises:
        SystemExit: if there is no such layer.
    """
    tables = {
        "transposed": _read("layers.json", transposed=True),
        "direct": _read("direct_layers.json", transposed=False),
        "aside": _read("layers_aside.json", transposed=True),
    }
    known = {layer.name: [layer] for table in tables.values() for layer in table} | tables
    known["all"] = tables["transposed"] + tables["direct"]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no such layer: {', '.join(unknown)}; there are {', '.join(known)}")
    return list({layer.name: layer for name in names for layer in known[name]}.values())


def _read(file: str, transposed: bool) -> list[Layer]:
    entries = json.loads((_FOLDER / file).read_text(encoding="utf-8"))
    return [Layer(**entry, transposed=transposed) for entry in entries]
