"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from torch import Tensor

from convmat.checking.comparing import Comparison, compare_methods
from convmat.geometry import Geometry
from convmat.methods import METHODS
from convmat.models.reports import milliseconds
from convmat.progress import bar
from convmat.tensors.calls import call_of
from convmat.tensors.memory import human
from convmat.terminal.prose import Prose
from convmat.terminal.texts import Texts


@dataclass(frozen=True)
class Row:
    """How one method did, as people read it: largest error, time, peak memory; and what to say of it below."""

    method: str
    cells: tuple[str, str, str]
    note: str = ""


def print_comparison(geometry: Geometry, input: Tensor, weight: Tensor, console: Console, texts: Texts) -> None:
    """Compare every method on a layer and print a table."""
    names = [name for name in METHODS if not calls_native(geometry, name, input, weight)]
    compared = compare_methods(geometry, input, weight, methods=names)
    results = {result.method: result for result in bar(compared, texts("busy.comparing"), len(names))}
    rows = [comparison_row(results[name], texts) if name in results else native_row(name, texts) for name in METHODS]
    print_table(rows, describe(geometry, texts), console, texts)


def calls_native(geometry: Geometry, method: str, input: Tensor, weight: Tensor) -> bool:
    """Whether a method does what ``native`` does for these operands, and so is nothing to compare with it."""
    unpadded, call = geometry.unpadded(), call_of(input, weight, None)
    both = METHODS["native"], METHODS[method]
    if method == "native" or any(each.refuses(unpadded, input.dtype) for each in both):
        return False
    native, other = (each.prepare(unpadded, call) for each in both)
    return other is native


def describe(geometry: Geometry, texts: Texts) -> str:
    """One line on a layer."""
    shapes = " -> ".join("x".join(map(str, shape)) for shape in (geometry.in_shape, geometry.out_shape))
    kernel = "x".join(map(str, geometry.kernel_size))
    return texts("layer", name="Cᵀ" if geometry.transposed else "C", shapes=shapes, kernel=kernel)


def comparison_row(result: Comparison, texts: Texts) -> Row:
    """Error, time and memory, or that the method refused and why."""
    if result.refused:
        return Row(result.method, (texts("table.refused"),) * 3, f"{result.method}: {texts.sentence(result.refused)}")
    cells = (f"{result.max_error:.1e}", milliseconds(result.seconds), human(result.peak))
    return Row(result.method, cells)


def native_row(method: str, texts: Texts) -> Row:
    """That a method is ``native`` by another name here."""
    return Row(method, (texts("table.as_native"),) * 3, texts("table.as_native_note", method=method))


def headings(texts: Texts) -> list[str]:
    """Of the columns."""
    return [texts(f"table.{column}") for column in ("method", "error", "time", "memory")]


def print_table(rows: Sequence[Row], title: str, console: Console, texts: Texts, notes: Iterable[str] = ()) -> None:
    """Print a table of comparisons with PyTorch, with notes below.

    Title and notes may be wider than the table: rich would wrap them at its edge.
    """
    table = Table()
    for number, heading in enumerate(headings(texts)):
        table.add_column(
            heading, style="bold" if not number else "", justify="right" if number else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(row.method, *row.cells)
    console.print()
    console.print(title, style="bold", highlight=False)
    console.print(table)
    for note in (*notes, *(row.note for row in rows if row.note)):
        console.print(Prose(note, "dim"))
