"""Drawing a layer into a file, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from convmat import draw
from convmat.geometry import Geometry
from convmat.progress import spinner
from convmat.terminal.matrices import PICTURES, read_weight
from convmat.terminal.texts import InputError, Texts


def draw_file(
    name: str,
    geometry: Geometry,
    weight_file: Path | None,
    names: bool,
    out: Path,
    console: Console,
    texts: Texts,
    **options: Any,
) -> None:
    """Draw a layer by a function of :mod:`convmat.draw` into a PNG, SVG or PDF.

    Args:
        name: of the function, with dashes.
        geometry: of the layer.
        weight_file: an array in NumPy's format. Default: taps are numbered
        names: whether taps go by their names.
        out: the file.
        console, texts: to say what was written.
        options: of the function.
    """
    _check_ending(out, PICTURES)
    function = getattr(draw, name.replace("-", "_"))
    with spinner(texts("busy.drawing")):
        figure = function(geometry, **_numbers(geometry, weight_file, names), lang=texts.language, **options)
        figure.savefig(out)
    width, height = figure.get_size_inches() * figure.dpi
    console.print(
        texts("picture.written", out=out, width=round(width), height=round(height)), highlight=False, soft_wrap=True
    )


def animate_file(
    geometry: Geometry,
    weight_file: Path | None,
    names: bool,
    out: Path,
    console: Console,
    texts: Texts,
    **options: Any,
) -> None:
    """Draw all steps of a layer into a GIF; arguments as of :func:`draw_file`."""
    _check_ending(out, (".gif",))
    numbers = _numbers(geometry, weight_file, names)
    made = draw.animate(geometry, out=out, lang=texts.language, label=texts("busy.drawing"), **numbers, **options)
    width, height = made.size
    console.print(
        texts("draw.animated", out=out, frames=made.frames, width=width, height=height), highlight=False, soft_wrap=True
    )


def draw_gallery(out: Path, console: Console, texts: Texts, **options: Any) -> None:
    """Draw the gallery into a folder; options as of :func:`convmat.draw.gallery`."""
    files = draw.gallery(out, lang=texts.language, label=texts("busy.drawing"), **options)
    console.print(texts("draw.gallery", count=len(files) - 1, index=files[-1]), highlight=False, soft_wrap=True)


def _check_ending(out: Path, endings: tuple[str, ...]) -> None:
    if out.suffix.lower() not in endings:
        raise InputError("wrong.ending", out=out, endings=", ".join(endings))
    if not out.parent.is_dir():
        raise InputError("wrong.folder", path=out, folder=out.parent)


def _numbers(geometry: Geometry, weight_file: Path | None, names: bool) -> dict[str, Any]:
    if names and weight_file is not None:
        raise InputError("wrong.names_and_weight", file=weight_file)
    return {} if names else {"weight": read_weight(geometry, weight_file)}
