"""Commands about one layer: its matrix, its methods, and the page that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convmat.cli.application import command
from convmat.cli.options import (
    Dilation,
    Groups,
    InChannels,
    Language,
    OutChannels,
    OutputPadding,
    OutputSize,
    Padding,
    PaddingMode,
    Stride,
    Transposed,
    layer_option,
    option,
    read_geometry,
    takes_a_layer,
)
from convmat.geometry import Geometry
from convmat.terminal.texts import InputError, Texts


@command("matrix")
@takes_a_layer()
def matrix(
    context: typer.Context,
    geometry: Geometry,
    weight: Annotated[Path | None, option("weight", metavar="FILE.npy")] = None,
    out: Annotated[Path | None, option("matrix_file", metavar="FILE")] = None,
    lang: Language = None,
) -> None:
    """Print the matrix of a layer, or save it."""
    from convmat.terminal.matrices import print_matrix, save_matrix

    if out is None:
        print_matrix(geometry, weight, Console(), context.obj)
    else:
        save_matrix(geometry, weight, out, Console(), context.obj)


@command("check")
@takes_a_layer()
def check(
    context: typer.Context,
    geometry: Geometry,
    batch: Annotated[int, option("batch", metavar="N", min=1)] = 1,
    lang: Language = None,
) -> None:
    """Compare every method with PyTorch on one layer, in both directions: largest error, time, peak memory."""
    import torch

    from convmat.terminal.tables import print_comparison

    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(geometry.weight_shape, generator=generator)
    for direction in (geometry, geometry.transpose()):
        x = torch.randn(batch, *direction.in_shape, generator=generator)
        print_comparison(direction, x, weight, Console(), context.obj)


@command("explore")
def explore(
    context: typer.Context,
    input: Annotated[str | None, layer_option("input", "--input")] = None,
    kernel: Annotated[str | None, layer_option("kernel")] = None,
    stride: Stride = "1",
    padding: Padding = "0",
    dilation: Dilation = "1",
    groups: Groups = 1,
    in_channels: InChannels = 1,
    out_channels: OutChannels = 1,
    padding_mode: PaddingMode = "zeros",
    transposed: Transposed = False,
    output_padding: OutputPadding = "0",
    output_size: OutputSize = None,
    out: Annotated[Path, option("page_file", metavar="FILE")] = Path("explore.html"),
    open: Annotated[bool, option("open", "--open")] = False,
    lang: Language = None,
) -> None:
    """Write the interactive page about a layer, or about a small one to begin with."""
    from convmat.explorer import explore

    if (input is None) != (kernel is None):
        raise InputError("wrong.input_and_kernel")
    geometry = None
    if input is not None and kernel is not None:
        geometry = read_geometry(
            input,
            kernel,
            stride,
            padding,
            dilation,
            groups,
            in_channels,
            out_channels,
            padding_mode,
            transposed,
            output_padding,
            output_size,
        )
    texts: Texts = context.obj
    written = explore(geometry, lang=texts.language).save(out)
    Console().print(texts("explore.written", out=out), highlight=False, soft_wrap=True)
    if open:
        typer.launch(str(written))


@command("methods")
def methods(context: typer.Context, lang: Language = None) -> None:
    """List the methods to compute a convolution with."""
    from convmat.planning import available_methods

    table = Table.grid(padding=(0, 2))
    for name, summary in available_methods().items():
        table.add_row(Text(name, "bold"), context.obj.summaries.get(name, summary))
    Console().print(table)
