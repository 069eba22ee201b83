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
    """One transposed convolution of a network, under PyTorch's names."""

    name: str
    network: str
    batch: int
    in_channels: int
    out_channels: int
    input_size: list[int]
    kernel_size: int | list[int]
    stride: int | list[int]
    padding: int | list[int]
    output_padding: int | list[int]
    dilation: int | list[int]
    groups: int

    @property
    def ndim(self) -> int:
        """How many spatial axes."""
        return len(self.input_size)

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of PyTorch's function, and of ours."""
        names = ("stride", "padding", "output_padding", "groups", "dilation")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def geometry(self) -> Geometry:
        """The layer's geometry, of which everything else is read off."""
        return Geometry.conv_transpose(
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
    """The layers of these names; ``"all"`` is the table, ``"aside"`` is what was kept aside.

    Raises:
        SystemExit: if there is no such layer.
    """
    table, aside = _read("layers.json"), _read("layers_aside.json")
    known = {layer.name: [layer] for layer in (*table, *aside)} | {"all": table, "aside": aside}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no such layer: {', '.join(unknown)}; there are {', '.join(known)}")
    return list({layer.name: layer for name in names for layer in known[name]}.values())


def _read(file: str) -> list[Layer]:
    return [Layer(**entry) for entry in json.loads((_FOLDER / file).read_text(encoding="utf-8"))]
