"""Tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from convmat.checking.comparing import Comparison, compare_methods
from convmat.geometry import Geometry
from convmat.methods import METHODS
from convmat.tensors.memory import human
from convmat.terminal.progress import bar


def print_comparison(geometry: Geometry, input: Tensor, weight: Tensor, console: Console) -> list[Comparison]:
    """Compare every method on a layer and print a table."""
    results = list(bar(compare_methods(geometry, input, weight), "comparing with PyTorch", len(METHODS)))
    console.print(comparison_table(results, describe(geometry)))
    return results


def describe(geometry: Geometry) -> str:
    """One line on a layer."""
    name = "Cᵀ" if geometry.transposed else "C"
    shapes = " -> ".join("x".join(map(str, shape)) for shape in (geometry.in_shape, geometry.out_shape))
    kernel = "x".join(map(str, geometry.kernel_size))
    return f"{name}: {shapes}, kernel {kernel}"


def comparison_table(results: Iterable[Comparison], title: str, note: str = "") -> Table:
    """A table of comparisons with PyTorch, with a note and the reasons of refusals below."""
    table = Table(title=title, title_justify="left", title_style="bold", caption_justify="left")
    table.add_column("method", style="bold", no_wrap=True)
    for column in ("max error", "time", "peak memory"):
        table.add_column(column, justify="right", no_wrap=True)
    notes = [note] if note else []
    for result in results:
        table.add_row(result.method, *(figures(result) or ("refused",) * 3))
        if result.refused:
            notes.append(f"{result.method}: {result.refused}")
    table.caption = Text("\n".join(notes)) if notes else None
    return table


def figures(result: Comparison) -> tuple[str, str, str] | None:
    """Error, time and memory as people read them, or ``None`` where the method refused."""
    if result.refused:
        return None
    return f"{result.max_error:.1e}", milliseconds(result.seconds), human(result.peak)


def milliseconds(seconds: float) -> str:
    """A time with three digits: ``milliseconds(0.01234)`` is ``"12.3 ms"``."""
    digits = max(2 - math.floor(math.log10(max(seconds * 1e3, 1e-3))), 0)
    return f"{seconds * 1e3:.{min(digits, 3)}f} ms"
