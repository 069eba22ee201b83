"""The report: one page and its pictures."""

from __future__ import annotations

from html import escape
from pathlib import Path

import torch
from torch import Tensor

from convmat import draw
from convmat.demo.photograph import LayerResults, PhotographResults
from convmat.explorer import explore
from convmat.functional import conv_transpose2d
from convmat.geometry import Geometry
from convmat.terminal.picture_files import write_picture
from convmat.terminal.tables import headings
from convmat.terminal.texts import Texts

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
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; white-space: nowrap; }
th, td { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #8884; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.note { font-size: .9rem; opacity: .8; margin-top: 0; }
"""


def write_report(results: PhotographResults, out: Path, texts: Texts) -> Path:
    """Write ``index.html``, its pictures and the interactive page ``explore.html`` into a folder that exists.

    The pictures hold numbers and symbols: what matplotlib's own font can write in every language.

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
        "overlap": draw.overlap(uneven, title="Cᵀ1"),
    }.items():
        figure.axes[0].set(xlabel="", ylabel="")
        figure.savefig(out / f"{name}.png", dpi=110)
    for name, picture in {
        "photograph": results.photo,
        "blurred": results.blurred,
        "upsampled": results.upsampled,
        "checkerboard": _checkerboard(results.photo),
    }.items():
        write_picture(picture, out / f"{name}.png")
    explore(lang=texts.language).save(out / "explore.html")
    index = out / "index.html"
    index.write_text(_page(results, texts), encoding="utf-8")
    return index


def _checkerboard(photo: Tensor) -> Tensor:
    """A part of the photograph, upsampled by a kernel that the stride does not divide; beside it, divided by Cᵀ1."""
    part = photo.mean(0)[None, None, 120:220, 210:310]
    kernel = torch.ones(1, 1, 3, 3)
    spread = conv_transpose2d(part, kernel, stride=2)
    evened = spread / conv_transpose2d(torch.ones_like(part), kernel, stride=2)
    return torch.cat([spread[0] / spread.max(), evened[0]], dim=-1)


def _page(results: PhotographResults, texts: Texts) -> str:
    height, width = results.photo.shape[-2:]
    tables = "\n".join(_table(step, texts) for step in results.steps)

    def say(key: str, **values: object) -> str:
        return escape(texts(f"report.{key}", **values)).replace("\n", "<br>")

    return f"""<!doctype html>
<html lang="{texts.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{say("title")}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{say("heading")}</h1>
<p><a href="explore.html">{say("explore")}</a></p>

<h2>{say("matrix")}</h2>
<p>{say("matrix.small")}</p>
<div class="row">
{_figure("matrix-small", say("matrix.small_direct"), "wide")}
{_figure("matrix-small-transposed", say("matrix.small_transposed"), "tall")}
</div>
<p>{say("matrix.large")}</p>
<div class="row">
{_figure("matrix-large", say("matrix.large_direct"), "wide")}
{_figure("matrix-large-transposed", say("matrix.large_transposed"), "tall")}
</div>

<h2>{say("photo")}</h2>
<p>{say("photo.methods")}</p>
<div class="row">
{_figure("photograph", say("photo.original", width=width, height=height))}
{_figure("blurred", say("photo.blurred"))}
</div>
{tables}
{_figure("upsampled", say("photo.upsampled"))}

<h2>{say("checkerboards")}</h2>
<p>{say("checkerboards.why")}</p>
<div class="row">
{_figure("checkerboard", say("checkerboards.picture"), "pixels")}
{_figure("overlap", say("checkerboards.overlap"))}
</div>
</body>
</html>
"""


def _figure(name: str, caption: str, css: str = "") -> str:
    return f'<figure class="{css}"><img src="{name}.png" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


def _table(step: LayerResults, texts: Texts) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings(texts))
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in (row.method, *row.cells)) + "</tr>" for row in step.rows
    )
    notes = "".join(
        f'<p class="note">{escape(note)}</p>' for note in (step.note, *(row.note for row in step.rows)) if note
    )
    return f"""<table>
<caption>{escape(step.title)} ({escape(step.layer)})</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
{notes}"""
