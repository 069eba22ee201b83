"""The report: one page and its pictures."""

from __future__ import annotations

from html import escape
from pathlib import Path

import torch
from torch import Tensor

from convmat import draw
from convmat.demo.photograph import PhotographResults, Step
from convmat.functional import conv_transpose2d
from convmat.geometry import Geometry
from convmat.terminal.picture_files import write_picture
from convmat.terminal.tables import figures

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto 4rem; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
figure { margin: 0; } figcaption { font-size: .9rem; opacity: .8; max-width: 40rem; }
img { max-width: 100%; height: auto; background: white; border-radius: 4px; }
.row { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
.row figure { flex: 1 1 18rem; }
.row figure.wide { flex: 3 1 30rem; } .row figure.tall { flex: 1 1 11rem; }
.row figure.tall img { max-height: 24rem; width: auto; }
.pixels img { image-rendering: pixelated; width: 100%; }
table { border-collapse: collapse; margin: .8rem 0 .3rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #8884; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.note { font-size: .9rem; opacity: .8; margin-top: 0; }
"""


def write_report(results: PhotographResults, out: Path) -> Path:
    """Write ``index.html`` and its pictures into a folder that exists.

    Returns:
        The path of ``index.html``.
    """
    small = Geometry.conv((4, 4), (3, 3))
    larger = Geometry.conv((12, 16), (3, 3), stride=2, padding=1, in_channels=2, out_channels=3)
    uneven = Geometry.conv_transpose((8, 10), (3, 3), stride=2)
    for name, figure in {
        "matrix-small": draw.sparsity(small),
        "matrix-small-transposed": draw.sparsity(small.transpose()),
        "matrix-large": draw.sparsity(larger),
        "matrix-large-transposed": draw.sparsity(larger.transpose()),
        "overlap": draw.overlap(uneven),
    }.items():
        figure.savefig(out / f"{name}.png", dpi=110)
    for name, picture in {
        "photograph": results.photo,
        "blurred": results.blurred,
        "upsampled": results.upsampled,
        "checkerboard": _checkerboard(results.photo),
    }.items():
        write_picture(picture, out / f"{name}.png")
    index = out / "index.html"
    index.write_text(_page(results), encoding="utf-8")
    return index


def _checkerboard(photo: Tensor) -> Tensor:
    """A part of the photograph, upsampled by a kernel that the stride does not divide; beside it, divided by Cᵀ1."""
    part = photo.mean(0)[None, None, 120:220, 210:310]
    kernel = torch.ones(1, 1, 3, 3)
    spread = conv_transpose2d(part, kernel, stride=2)
    evened = spread / conv_transpose2d(torch.ones_like(part), kernel, stride=2)
    return torch.cat([spread[0] / spread.max(), evened[0]], dim=-1)


def _page(results: PhotographResults) -> str:
    height, width = results.photo.shape[-2:]
    tables = "\n".join(_table(step) for step in results.steps)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>convmat: a convolution is a matrix</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>A convolution is a matrix,<br>and a transposed convolution is that matrix transposed</h1>

<h2>The matrix</h2>
<p>A 4x4 input and a 3x3 kernel: each row of C makes one output, each colour is one tap of the kernel.
Read by columns, the same picture says where each input goes; that is Cᵀ, the transposed convolution.</p>
<div class="row">
{_figure("matrix-small", "C: from 16 input cells to 4 outputs", "wide")}
{_figure("matrix-small-transposed", "Cᵀ: from 4 cells back to 16", "tall")}
</div>
<p>Two input channels, three output channels, stride 2, padding 1: one block for each pair of channels.</p>
<div class="row">
{_figure("matrix-large", "C: 2x12x16 to 3x6x8", "wide")}
{_figure("matrix-large-transposed", "Cᵀ: 3x6x8 to 2x12x16", "tall")}
</div>

<h2>On a photograph</h2>
<p>Each method computes the same map; the error is the largest difference from PyTorch in float64.</p>
<div class="row">
{_figure("photograph", f"The photograph: {width}x{height} pixels (Grace Hopper, public domain)")}
{_figure("blurred", "Blurred by a 5x5 convolution")}
</div>
{tables}
{_figure("upsampled", "Upsampled by a transposed convolution with a bilinear kernel, divided by Cᵀ1")}

<h2>Checkerboards</h2>
<p>A 3x3 kernel with stride 2 reaches some outputs once, others twice or four times. Unless something evens this out,
it shows. A kernel that is a multiple of the stride, or dividing by Cᵀ1, mends it.</p>
<div class="row">
{_figure("checkerboard", "Each pixel spread by a kernel of ones; right: the same, divided by Cᵀ1", "pixels")}
{_figure("overlap", "How many taps reach each output: Cᵀ1 of a kernel of ones")}
</div>
</body>
</html>
"""


def _figure(name: str, caption: str, css: str = "") -> str:
    text = escape(caption)
    return f'<figure class="{css}"><img src="{name}.png" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _table(step: Step) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(result.method)}</td>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in figures(result) or ("refused",) * 3)
        + "</tr>"
        for result in step.results
    )
    return f"""<table>
<caption>{escape(step.title.capitalize())} ({escape(step.layer)})</caption>
<thead><tr><th>method</th><th>max error</th><th>time</th><th>peak memory</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
<p class="note">{escape(step.note)}</p>"""
