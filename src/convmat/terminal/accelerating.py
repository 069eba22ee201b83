"""The table of what a model gains by convmat."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from convmat.models.accelerating import accelerate
from convmat.models.reports import LayerReport, ModelReport, milliseconds
from convmat.planning import kernel_obstacle
from convmat.progress import spinner
from convmat.terminal.prose import Prose
from convmat.terminal.texts import Texts


def print_gains(
    model: nn.Module, input: Tensor, console: Console, texts: Texts, *, freeze: bool = False, fold: bool = False
) -> None:
    """Accelerate a model, in eval mode, and print what each convolution and the whole gain on an input.

    Args:
        model: it is accelerated.
        input: its only argument.
        console, texts: where to print, and in which language.
        freeze, fold: as for :func:`convmat.accelerate`. Default: ``False``
    """
    with spinner(texts("busy.measuring")):
        report = accelerate(model.eval(), freeze=freeze, fold=fold, example=(input,))
    console.print(gains_table(report, texts) if len(report) else texts("gains.none"))
    if report.before is not None and report.after is not None:
        before, after = milliseconds(report.before), milliseconds(report.after)
        console.print(texts("gains.model", before=before, after=after, gain=f"{report.gain:.2f}"), highlight=False)
    obstacle = kernel_obstacle() if report.note else None
    if obstacle is not None:
        console.print(Prose(texts.sentence(obstacle), "dim"))


def gains_table(report: ModelReport, texts: Texts) -> Table:
    """A row for each layer and shape that it meets."""
    table = Table(caption=Prose(texts("gains.note"), "table.caption"), caption_justify="left")
    table.add_column(texts("gains.layer"), style="bold", overflow="fold")
    table.add_column(texts("gains.input"), overflow="fold")
    table.add_column(texts("table.method"))
    for column in ("PyTorch", "convmat", texts("gains.gain")):
        table.add_column(column, justify="right", no_wrap=True)
    for layer in report:
        for row in _rows(layer):
            table.add_row(*row)
    return table


def _rows(layer: LayerReport) -> Iterator[tuple[str, ...]]:
    name = " + ".join([layer.name or layer.kind, *layer.folded])
    if not layer.inputs:
        yield name, "", layer.method or "PyTorch", "", "", ""
    for each in layer.inputs:
        times = milliseconds(each.before), milliseconds(each.after), f"{each.gain:.2f}"
        shape = "x".join(map(str, each.shape)) + (f" ({each.calls})" if each.calls > 1 else "")
        yield name, shape, each.method if layer.method else "PyTorch", *times
        name = ""
