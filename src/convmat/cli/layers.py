"""Commands about one layer: its matrix, its methods, and the page that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convmat.cli.application import command
from convmat.cli.options import Language, layer_option, option, read_integer, takes_a_layer
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
    batch: Annotated[str, option("batch", metavar="N>=1")] = "1",
    lang: Language = None,
) -> None:
    """Compare every method with PyTorch on one layer, in both directions: largest error, time, peak memory."""
    import torch

    from convmat.terminal.tables import print_comparison

    inputs = read_integer(batch, "--batch", 1)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(geometry.weight_shape, generator=generator)
    for direction in (geometry, geometry.transpose()):
        x = torch.randn(inputs, *direction.in_shape, generator=generator)
        print_comparison(direction, x, weight, Console(), context.obj)


@command("explore")
@takes_a_layer()
def explore(
    context: typer.Context,
    input: Annotated[str | None, layer_option("input", "--input")] = None,
    kernel: Annotated[str | None, layer_option("kernel")] = None,
    geometry: Geometry | None = None,
    out: Annotated[Path, option("page_file", metavar="FILE")] = Path("explore.html"),
    open: Annotated[bool, option("open", "--open")] = False,
    lang: Language = None,
) -> None:
    """Write the interactive page about a layer, or about a small one to begin with."""
    from convmat.explorer import explore

    if (input is None) != (kernel is None):
        raise InputError("wrong.input_and_kernel")
    texts: Texts = context.obj
    written = explore(geometry, lang=texts.language).save(out)
    Console().print(texts("explore.written", out=out), highlight=False, soft_wrap=True)
    if open:
        typer.launch(str(written))


@command("methods")
def methods(context: typer.Context, lang: Language = None) -> None:
    """List the methods to compute a convolution with."""
    from convmat.planning import available_methods
    from convmat.terminal.prose import Prose

    table = Table.grid(padding=(0, 2))
    for name, summary in available_methods().items():
        table.add_row(Text(name, "bold"), Prose(context.obj.summaries.get(name, summary)))
    Console().print(table)
