"""Every method on a real picture: blurred by a convolution, upsampled by a transposed one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from rich.console import Console
from torch import Tensor

from convmat.checking.comparing import Comparison, compare_methods
from convmat.geometry import Geometry
from convmat.methods import METHODS
from convmat.planning import run
from convmat.tensors.memory import human
from convmat.terminal.picture_files import photograph_path, read_picture
from convmat.terminal.progress import bar
from convmat.terminal.tables import comparison_table, describe
from convmat.upsampling import upsample, upsampling_kernel

SCALE = 2
LayerOf = Callable[[Tensor], tuple[Geometry, Tensor]]
_CROP = (24, 20)  # of the photograph, on which its matrix can be held densely


@dataclass(frozen=True)
class Step:
    """One layer run on the photograph by every method."""

    title: str
    layer: str
    note: str
    results: list[Comparison]


@dataclass(frozen=True)
class PhotographResults:
    """The photograph, what became of it, and how the methods did."""

    photo: Tensor
    blurred: Tensor
    upsampled: Tensor
    steps: list[Step]


def run_on_photograph(console: Console) -> PhotographResults:
    """Blur and upsample the photograph that matplotlib brings along by every method; print tables."""
    photo = read_picture(photograph_path())
    console.print()
    console.rule("4. On a photograph, by every method", align="left", style="dim")
    geometry, weight = blur_layer(photo)
    blurred = run(geometry, photo[None], weight, None, "auto")[0]
    steps = [
        _run_step("blurred by a 5x5 convolution", blur_layer, photo, console),
        _run_step(f"upsampled x{SCALE} by a transposed convolution", upsampling_layer, blurred, console),
    ]
    return PhotographResults(photo, blurred, upsample(blurred, SCALE, "bilinear"), steps)


def _run_step(title: str, layer: LayerOf, picture: Tensor, console: Console) -> Step:
    """Run every method on the picture, ``dense`` on a crop of it."""
    geometry, weight = layer(picture)
    crop = picture[:, 100 : 100 + _CROP[0], 200 : 200 + _CROP[1]]
    results: list[Comparison] = []
    for method in bar(list(METHODS), title):
        pixels = crop if method == "dense" else picture
        (result,) = compare_methods(layer(pixels)[0], pixels[None], weight, methods=[method], repeats=5)
        results.append(replace(result, method="dense*") if method == "dense" else result)
    rows, columns = geometry.matrix_shape
    note = (
        f"* on a crop of {_CROP[0]}x{_CROP[1]} pixels; the whole {rows} x {columns} matrix would take "
        f"{human(rows * columns * weight.element_size())}"
    )
    console.print()
    console.print(comparison_table(results, f"The photograph {title}", note))
    return Step(title, describe(geometry), note, results)


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
