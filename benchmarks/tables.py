"""What the tables of all modes share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from rich.table import Table

from benchmarks.statistic import Rounds, geometric_mean, quartiles, ratios

Contests: TypeAlias = Mapping[str, tuple[str, tuple[str, ...]]]  # for each title, who runs against the best of whom

_BASE = "torch"


def new_table(title: str, *columns: str, note: str = "") -> Table:
    """A table whose first column holds names and whose others hold figures."""
    table = Table(title=title, title_justify="left", title_style="bold", caption=note or None, caption_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=index == 0)
    return table


def heading(name: str) -> str:
    """The name of a peer above a column, which may break it into lines."""
    return name.removeprefix("convmat:").replace("-", " ")


def number(value: float | None) -> str:
    """With three digits; a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    digits = 2 - math.floor(math.log10(max(abs(value), 1e-3)))
    return f"{value:.{max(0, min(digits, 3))}f}"


def times(rows: Sequence[dict[str, Any]], names: Sequence[str], title: str) -> Table:
    """Milliseconds per layer and peer, the least in bold."""
    table = new_table(title, "layer", *map(heading, names), note="The median of all calls; the least in bold.")
    for row in rows:
        found = {name: row["peers"][name]["ms"] for name in names if name in row["peers"]}
        least = min(found.values(), default=math.nan)
        table.add_row(row["layer"], *(_bold(number(found.get(name)), found.get(name) == least) for name in names))
    return table


def in_one_line(row: dict[str, Any]) -> str:
    """A row while there is no table yet."""
    figures = ", ".join(f"{name} {number(peer['ms'])}" for name, peer in row["peers"].items())
    return f"{row['layer']}: {figures} ms" if figures else f"{row['layer']}: not measured"


def peers_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Those who have a figure in some row, in their order."""
    return list(dict.fromkeys(name for row in rows for name in row["peers"]))


def rounds_of(row: dict[str, Any]) -> Rounds:
    """The median time of every peer in every round."""
    return {name: peer["rounds_ms"] for name, peer in row["peers"].items()}


def speedup(values: Sequence[float]) -> str:
    """The median of ratios, and their quartiles."""
    if not values:
        return "–"
    first, third = quartiles(values)
    return f"{median(values):.2f} ({first:.2f}–{third:.2f})"


def against(rows: Iterable[dict[str, Any]], fast: str, *slow: str) -> dict[str, list[float]]:
    """For every layer that both sides have, the ratios of all rounds."""
    found = {row["layer"]: ratios(rounds_of(row), slow or (_BASE,), fast) for row in rows}
    return {layer: values for layer, values in found.items() if values}


def contest_lines(rows: Sequence[dict[str, Any]], contests: Contests) -> list[list[str]]:
    """Of each contest its title, the geometric mean of the speedups, how many, the worst, and where."""
    lines = []
    for title, (fast, slow) in contests.items():
        found = {row: median(values) for row, values in against(rows, fast, *slow).items()}
        if found:
            worst = min(found, key=lambda row: found[row])
            mean = geometric_mean(list(found.values()))
            lines.append([title, f"{mean:.2f}", str(len(found)), f"{found[worst]:.2f}", worst])
    return lines


def contest_table(rows: Sequence[dict[str, Any]], contests: Contests, what: str) -> Table:
    """Of each contest the geometric mean of the speedups, and the worst."""
    table = new_table(f"All {what}", "how many times as fast", "geometric mean", what, "worst", "on")
    for line in contest_lines(rows, contests):
        table.add_row(*line)
    return table


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    ordered, half = sorted(values), len(values) // 2
    if not ordered:
        return math.nan
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def refusals(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Who was not measured, where, and why: one line for each reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name, reason in row.get("refused", {}).items():
            found.setdefault((name, reason), []).append(row["layer"])
    return [f"{name} not measured on {', '.join(layers)}: {reason}" for (name, reason), layers in found.items()]


def _bold(text: str, is_bold: bool) -> str:
    return f"[bold]{text}[/bold]" if is_bold else text
