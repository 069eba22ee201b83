"""Every method on a real picture: blurred by a convolution, upsampled by a transposed one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from rich.console import Console
from torch import Tensor

from convmat.checking.comparing import compare_methods
from convmat.geometry import Geometry
from convmat.methods import METHODS
from convmat.planning import run
from convmat.progress import bar
from convmat.tensors.memory import human
from convmat.terminal.picture_files import photograph_path, read_picture
from convmat.terminal.tables import Row, calls_native, comparison_row, describe, native_row, print_table
from convmat.terminal.texts import Texts
from convmat.upsampling import upsample, upsampling_kernel

SCALE = 2
LayerOf = Callable[[Tensor], tuple[Geometry, Tensor]]
_CROP = (24, 20)  # of the photograph, on which its matrix can be held densely


@dataclass(frozen=True)
class LayerResults:
    """One layer run on the photograph by every method."""

    title: str
    layer: str
    note: str
    rows: list[Row]


@dataclass(frozen=True)
class PhotographResults:
    """The photograph, what became of it, and how the methods did."""

    photo: Tensor
    blurred: Tensor
    upsampled: Tensor
    steps: list[LayerResults]


def run_on_photograph(console: Console, texts: Texts) -> PhotographResults:
    """Blur and upsample the photograph that matplotlib brings along by every method; print tables."""
    photo = read_picture(photograph_path()).pixels
    console.print()
    console.rule(texts("demo.photo"), align="left", style="dim")
    geometry, weight = blur_layer(photo)
    blurred = run(geometry, photo[None], weight, None, "auto")[0]
    steps = [
        _run_step(texts("demo.photo.blurred"), blur_layer, photo, console, texts),
        _run_step(texts("demo.photo.upsampled", scale=SCALE), upsampling_layer, blurred, console, texts),
    ]
    return PhotographResults(photo, blurred, upsample(blurred, SCALE, "bilinear"), steps)


def _run_step(title: str, layer: LayerOf, picture: Tensor, console: Console, texts: Texts) -> LayerResults:
    """Run every method on the picture, ``dense`` on a crop of it."""
    geometry, weight = layer(picture)
    crop = picture[:, 100 : 100 + _CROP[0], 200 : 200 + _CROP[1]]
    rows: list[Row] = []
    for method in bar(list(METHODS), title):
        if calls_native(geometry, method, picture[None], weight):
            rows.append(native_row(method, texts))
            continue
        pixels = crop if method == "dense" else picture
        (result,) = compare_methods(layer(pixels)[0], pixels[None], weight, methods=[method], repeats=5)
        shown = replace(result, method="dense*") if method == "dense" else result
        rows.append(comparison_row(shown, texts))
    outputs, inputs = geometry.matrix_shape
    memory = human(outputs * inputs * weight.element_size())
    note = texts("demo.photo.crop", height=_CROP[0], width=_CROP[1], rows=outputs, columns=inputs, memory=memory)
    print_table(rows, title, console, texts, notes=[note])
    return LayerResults(title, describe(geometry, texts), note, rows)


def blur_layer(photo: Tensor) -> tuple[Geometry, Tensor]:
    """A binomial blur, each colour by itself."""
    taps = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    channels, *sizes = photo.shape
    geometry = Geometry.conv(
        sizes, 5, padding=2, padding_mode="replicate", groups=channels, in_channels=channels, out_channels=channels
    )
    return geometry, torch.outer(taps, taps).expand(geometry.weight_shape).contiguous()


def upsampling_layer(photo: Tensor) -> tuple[Geometry, Tensor]:
    """Bilinear upsampling, each colour by itself."""
    taps, padding = upsampling_kernel(SCALE, "bilinear")
    channels, *sizes = photo.shape
    geometry = Geometry.conv_transpose(
        sizes, len(taps), SCALE, padding, groups=channels, in_channels=channels, out_channels=channels
    )
    return geometry, torch.outer(taps, taps).expand(geometry.weight_shape).contiguous()
