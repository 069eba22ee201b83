"""The table of the norms of a model's convolutions."""

from __future__ import annotations

from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from convmat import nn as layers
from convmat.geometry import Geometry
from convmat.models.norms import LayerNorm, layer_norms
from convmat.terminal.loading import random_input
from convmat.terminal.prose import Prose
from convmat.terminal.texts import ENGLISH, InputError, Texts


def print_norms(model: nn.Module, in_shape: tuple[int, ...], console: Console, texts: Texts) -> None:
    """Print the norm of each convolution of a model on a random input of ``in_shape``, a batch of one."""
    console.print(norms_table(layer_norms(model, random_input(model, (1, *in_shape))), texts))


def norms_table(norms: list[LayerNorm], texts: Texts = ENGLISH) -> Table:
    """A row for each convolution."""
    table = Table(caption=Prose(texts("norms.note"), "table.caption"), caption_justify="left")
    table.add_column(texts("norms.layer"), style="bold", overflow="fold")
    table.add_column(texts("norms.sizes"))
    for column in ("norms.norm", "norms.upper", "norms.reshaped", "norms.cond"):
        table.add_column(texts(column), justify="right", no_wrap=True)
    for layer in norms:
        cond = "" if layer.cond is None else f"{layer.cond:.3g}"
        figures = (f"{value:.4g}" for value in (layer.lower, layer.upper, layer.reshaped))
        table.add_row(layer.name, _sizes(layer.operator.geometry), *figures, cond)
    return table


def layer_of(geometry: Geometry) -> nn.Module:
    """A layer with a geometry and a weight of standard normal numbers, as a model of one convolution.

    Raises:
        InputError: if there is no layer over so many axes.
    """
    if geometry.ndim > 3:
        raise InputError("wrong.axes", sizes="x".join(map(str, geometry.read)), axes=geometry.ndim)
    return _Random(geometry)


class _Random(nn.Sequential):
    def __init__(self, geometry: Geometry) -> None:
        kind = f"Conv{'Transpose' if geometry.transposed else ''}{geometry.ndim}d"
        ends = tuple((axis.lo, axis.hi) for axis in geometry.axes)
        options: dict[str, Any] = {
            "stride": geometry.stride,
            "padding": ends,
            "dilation": geometry.dilation,
            "groups": geometry.groups,
            "padding_mode": geometry.padding_mode,
            "bias": False,
        }
        if geometry.transposed:
            options["output_padding"] = tuple(axis.slack for axis in geometry.axes)
        layer = getattr(layers, kind)(geometry.in_channels, geometry.out_channels, geometry.kernel_size, **options)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(0)))
        super().__init__()
        self.add_module("layer", layer)


def _sizes(geometry: Geometry) -> str:
    shapes = " -> ".join("x".join(map(str, shape)) for shape in (geometry.in_shape, geometry.out_shape))
    return f"{shapes}, {'x'.join(map(str, geometry.kernel_size))}"
