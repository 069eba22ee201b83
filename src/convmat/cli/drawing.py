"""Commands that draw a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from convmat.cli.application import SETTINGS, Command, app
from convmat.cli.options import Language, option, read_number, read_sizes, takes_a_layer
from convmat.geometry import Geometry

drawings = typer.Typer(**SETTINGS)
app.add_typer(drawings, name="draw", help="help.draw", rich_help_panel="panel.commands")


@drawings.callback(help="help.draw")
def _options(lang: Language = None) -> None:
    """Draw a layer."""


View = Annotated[str | None, option("view", metavar="NAME")]
WeightFile = Annotated[Path | None, option("weight", metavar="FILE.npy")]
Named = Annotated[bool, option("names", "--names")]
FontSize = Annotated[str | None, option("font_size", metavar="POINTS")]
PictureFile = Annotated[Path, option("drawing", metavar="FILE")]


def _font(size: str | None) -> float | None:
    return None if size is None else read_number(size, "--font-size")


def _drawing(key: str, **of_layer: bool) -> None:
    """Make a command of a function of :mod:`convmat.draw`, which needs a layer and nothing else."""
    name = key.partition(".")[2]

    @drawings.command(name, cls=Command, help=f"help.{key}", rich_help_panel="panel.commands")
    @takes_a_layer(**of_layer)
    def command(
        context: typer.Context,
        geometry: Geometry,
        weight: WeightFile = None,
        names: Named = False,
        font_size: FontSize = None,
        out: PictureFile = Path(f"{name}.png"),
        lang: Language = None,
    ) -> None:
        from convmat.terminal.drawings import draw_file

        draw_file(name, geometry, weight, names, out, Console(), context.obj, font_size=_font(font_size))


_drawing("draw.frame", transposed=True)
_drawing("draw.stamps", transposed=True)
_drawing("draw.phases", transposed=True)
_drawing("draw.zero-insertion", transposed=True)
_drawing("draw.slide")
_drawing("draw.unfold")
_drawing("draw.sparsity")
_drawing("draw.padding-modes")
_drawing("draw.overlap")


@drawings.command("arithmetic", cls=Command, help="help.draw.arithmetic", rich_help_panel="panel.commands")
@takes_a_layer()
def arithmetic(
    context: typer.Context,
    geometry: Geometry,
    view: View = None,
    at: Annotated[str | None, option("at", metavar="CELL")] = None,
    so_far: Annotated[bool, option("so_far", "--so-far")] = False,
    weight: WeightFile = None,
    names: Named = False,
    font_size: FontSize = None,
    out: PictureFile = Path("arithmetic.png"),
    lang: Language = None,
) -> None:
    """Draw one step of a convolution."""
    from convmat.terminal.drawings import draw_file

    cell = None if at is None else read_sizes(at, "--at")
    options = {"view": view, "at": cell[0] if cell and len(cell) == 1 else cell, "so_far": so_far}
    draw_file("arithmetic", geometry, weight, names, out, Console(), context.obj, font_size=_font(font_size), **options)


@drawings.command("animate", cls=Command, help="help.draw.animate", rich_help_panel="panel.commands")
@takes_a_layer()
def animate(
    context: typer.Context,
    geometry: Geometry,
    view: View = None,
    seconds: Annotated[str, option("seconds", metavar="X")] = "0.7",
    dpi: Annotated[str, option("dpi", metavar="N")] = "100",
    weight: WeightFile = None,
    names: Named = False,
    font_size: FontSize = None,
    out: Annotated[Path, option("animation", metavar="FILE.gif")] = Path("steps.gif"),
    lang: Language = None,
) -> None:
    """Draw all steps of a convolution as an animated GIF."""
    from convmat.terminal.drawings import animate_file

    numbers = {"seconds": read_number(seconds, "--seconds"), "dpi": read_number(dpi, "--dpi")}
    options = {"view": view, "font_size": _font(font_size), **numbers}
    animate_file(geometry, weight, names, out, Console(), context.obj, **options)


@drawings.command("gallery", cls=Command, help="help.draw.gallery", rich_help_panel="panel.commands")
def gallery(
    context: typer.Context,
    stills: Annotated[bool, option("stills", "--stills")] = False,
    font_size: FontSize = None,
    out: Annotated[Path, option("gallery", metavar="FOLDER")] = Path("convolution-arithmetic"),
    lang: Language = None,
) -> None:
    """Draw the classic cases of convolution arithmetic, and more."""
    from convmat.terminal.drawings import draw_gallery

    draw_gallery(out, Console(), context.obj, stills=stills, font_size=_font(font_size))
