"""A gallery of convolution arithmetic: the classic cases, and those that it lacks.

The first fifteen are those of Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning"; here
with numbers, and each transposed one in both views.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from html import escape
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convmat.draw.animation import animate
from convmat.draw.arithmetic import arithmetic
from convmat.draw.words import Words, describe
from convmat.geometry import Geometry

_CLASSIC: dict[str, dict[str, Any]] = {
    "no_padding_no_strides": {"input_size": (4, 4), "kernel_size": 3},
    "arbitrary_padding_no_strides": {"input_size": (5, 5), "kernel_size": 4, "padding": 2},
    "same_padding_no_strides": {"input_size": (5, 5), "kernel_size": 3, "padding": 1},
    "full_padding_no_strides": {"input_size": (5, 5), "kernel_size": 3, "padding": 2},
    "no_padding_strides": {"input_size": (5, 5), "kernel_size": 3, "stride": 2},
    "padding_strides": {"input_size": (5, 5), "kernel_size": 3, "stride": 2, "padding": 1},
    "padding_strides_odd": {"input_size": (6, 6), "kernel_size": 3, "stride": 2, "padding": 1},
}


@dataclass(frozen=True)
class Case:
    """One picture of the gallery.

    Attributes:
        name: of its file.
        geometry: what is drawn.
        view: as of :func:`arithmetic`.
        classic: whether the guide has it.
    """

    name: str
    geometry: Geometry = field(repr=False)
    view: str
    classic: bool = True


def cases() -> list[Case]:
    """Every picture of the gallery: fifteen classic cases, then the others; transposed ones in both views."""
    found = [Case(name, Geometry.conv(**options), "gather") for name, options in _CLASSIC.items()]
    for case in list(found):  # from the output's size back to the input's
        found += _both_views(f"{case.name}_transposed", case.geometry.transpose(), classic=True)
    found.append(Case("dilation", Geometry.conv((7, 7), 3, dilation=2), "gather"))
    stamped = Geometry.conv_transpose
    others = {
        "output_padding": stamped((2, 3), 3, stride=2, padding=1, output_padding=1),
        "output_padding_beyond": stamped((2, 3), 2, stride=3, output_padding=2),
        "dilated_transposed": stamped((2, 3), 3, stride=2, padding=1, dilation=2),
        "grouped_transposed": stamped((2, 2), 2, stride=2, groups=2, in_channels=2, out_channels=2),
        "kernel_equals_stride": stamped((2, 3), 2, stride=2),
        "non_square_transposed": stamped((3, 2), (2, 3), stride=(1, 2), padding=(0, 1)),
    }
    for name, geometry in others.items():
        found += _both_views(name, geometry, classic=False)
    found.append(Case("non_square", Geometry.conv((4, 7), (3, 2), stride=(1, 2), padding=(1, 0)), "gather", False))
    return found


def _both_views(name: str, geometry: Geometry, classic: bool) -> list[Case]:
    return [Case(f"{name}_{view}", geometry, view, classic) for view in ("scatter", "gather")]


def case_weight(geometry: Geometry) -> Tensor:
    """The taps of the gallery: 1, 2, 3 and so on, at most 9."""
    return (torch.arange(prod(geometry.weight_shape)) % 9 + 1).reshape(geometry.weight_shape)


def gallery(
    folder: str | os.PathLike[str],
    *,
    stills: bool = False,
    font_size: float | None = None,
    lang: str = "en",
    label: str | None = None,
) -> list[Path]:
    """Redraw all fifteen cases of "A guide to convolution arithmetic for deep learning", and those that it lacks.

    These are: output padding, within the padding and beyond it, dilated and grouped transposed convolutions, kernels as
    large as the stride, and sizes that are not square. ``index.html`` shows all of them.

    Args:
        folder: to write to; made if it is not there.
        stills: write one step of each as a PNG. Default: all steps as an animated GIF
        font_size, lang: as in :func:`arithmetic`.
        label: of the progress bar. Default: that of the language

    Returns:
        The files, the index last.

    Raises:
        OSError: if a file cannot be written.

    >>> files = gallery("convolution-arithmetic")  # doctest: +SKIP
    """
    from convmat.progress import bar

    words, folder = Words(lang), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    every, written = cases(), []
    for case in bar(every, label or words("busy")):
        weight = case_weight(case.geometry)
        options: dict[str, Any] = {"weight": weight, "view": case.view, "font_size": font_size, "lang": lang}
        path = folder / f"{case.name}.{'png' if stills else 'gif'}"
        if stills:
            arithmetic(case.geometry, **options).savefig(path)
        else:
            animate(case.geometry, out=path, label=" ", **options)
        written.append(path)
    index = folder / "index.html"
    index.write_text(_page(every, written, words), encoding="utf-8")
    return [*written, index]


def _page(every: list[Case], files: list[Path], words: Words) -> str:
    figures = "\n".join(
        f'<figure><img src="{file.name}" alt="{escape(describe(case.geometry, words))}" loading="lazy">'
        f"<figcaption>{escape(describe(case.geometry, words))} ({escape(case.name)})</figcaption></figure>"
        for case, file in zip(every, files, strict=True)
    )
    return f"""<!doctype html>
<html lang="{words.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(words("gallery"))}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem; display: flex; flex-wrap: wrap; gap: 2rem; }}
h1 {{ flex: 1 0 100%; margin: 0; }}
figure {{ margin: 0; max-width: 100%; }} img {{ max-width: 100%; height: auto; }}
</style>
</head>
<body>
<h1>{escape(words("gallery"))}</h1>
{figures}
</body>
</html>
"""
