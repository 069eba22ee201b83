"""The table of the norms of a model's convolutions, and finding that model."""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from convmat import nn as layers
from convmat.geometry import Geometry, GeometryError
from convmat.models.norms import LayerNorm, layer_norms
from convmat.terminal.texts import ENGLISH, Texts

_FILES = (".pt", ".pth")


def print_norms(model: nn.Module, in_shape: tuple[int, ...], console: Console, texts: Texts) -> None:
    """Print the norm of each convolution of a model on a random input of ``in_shape``, a batch of one."""
    generator = torch.Generator().manual_seed(0)
    parameter = next(model.parameters(), torch.empty(0))
    inputs = torch.randn(1, *in_shape, generator=generator).to(parameter.device, parameter.dtype)
    console.print(norms_table(layer_norms(model, inputs), texts))


def norms_table(norms: list[LayerNorm], texts: Texts = ENGLISH) -> Table:
    """A row for each convolution."""
    table = Table(caption=texts("norms.note"), caption_justify="left")
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
    """A layer with a geometry and a weight of standard normal numbers, as a model of one convolution."""
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


def load(model: str) -> nn.Module:
    """A model by its name.

    Args:
        model: ``package.module:name``, where the name is a model or makes one without arguments (the classes of
            ``transformers`` from their default configuration), or a file (.pt, .pth) that ``torch.save(model)`` wrote;
            opening one runs the code that it holds.

    Raises:
        GeometryError: if there is no such model.
    """
    if model.endswith(_FILES):
        return _checked(_from_file(Path(model)), model)
    module, colon, name = model.partition(":")
    if not colon:
        raise GeometryError(f"{model!r} is no model: need package.module:name, or a file that ends in .pt or .pth")
    sys.path.insert(0, "")  # a module of the working folder, too
    try:
        made: Any = importlib.import_module(module)
        for part in name.split("."):
            made = getattr(made, part)
    except (ImportError, AttributeError) as error:
        raise GeometryError(f"{model!r} cannot be imported: {error}") from None
    finally:
        sys.path.remove("")
    if isinstance(made, type) and hasattr(made, "config_class"):
        made = made(made.config_class())
    if not isinstance(made, nn.Module) and callable(made):
        made = _made_by(made, model)
    return _checked(made, model)


def _made_by(build: Callable[[], Any], model: str) -> Any:
    try:
        inspect.signature(build).bind()
    except TypeError as error:
        raise GeometryError(
            f"{model!r} makes no model without arguments ({error}): write a function that takes none"
        ) from None
    return build()


def _from_file(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (pickle.UnpicklingError, EOFError, RuntimeError, AttributeError, ImportError) as error:
        raise GeometryError(f"{path} holds no model that can be opened here: {error}") from None


def _checked(model: Any, name: str) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise GeometryError(f"{name!r} is a {type(model).__name__} and no torch.nn.Module: save the model itself")
    return model


def _sizes(geometry: Geometry) -> str:
    shapes = " -> ".join("x".join(map(str, shape)) for shape in (geometry.in_shape, geometry.out_shape))
    return f"{shapes}, {'x'.join(map(str, geometry.kernel_size))}"
