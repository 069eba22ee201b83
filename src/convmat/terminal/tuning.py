"""Correcting the estimates for this machine, with a bar and a table."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from convmat.checking.tuning import PROBES, Tuning, finish, measurements, path_to_write
from convmat.planning.correcting import VARIABLE, path_in
from convmat.progress import bar
from convmat.terminal.prose import Prose
from convmat.terminal.texts import Texts

_TERMS = ("tune.call", "tune.arithmetic", "tune.moving")


def tune_machine(path: Path | None, seconds: float, console: Console, texts: Texts) -> None:
    """Measure, write the file, and print what is in it."""
    target = path_to_write(path)
    tuning = finish(list(bar(measurements(seconds), texts("busy.measuring"), len(PROBES))), target)
    console.print(_table(tuning, texts))
    before, after = (f"{100 * (regret - 1):.1f}" for regret in (tuning.before, tuning.after))
    is_used = target == path_in(os.environ)
    for line in (
        texts("tune.gained", layers=tuning.layers, before=before, after=after),
        texts("tune.written" if is_used else "tune.not_used", out=target, variable=VARIABLE),
    ):
        console.print(line, highlight=False, soft_wrap=True)


def _table(tuning: Tuning, texts: Texts) -> Table:
    table = Table(caption=Prose(texts("tune.note"), "table.caption"), caption_justify="left")
    table.add_column(texts("tune.term"), style="bold")
    table.add_column(texts("tune.kernel"), justify="right")
    table.add_column("PyTorch", justify="right")
    for key, factors in zip(_TERMS, zip(*tuning.correction, strict=True), strict=True):
        table.add_row(texts(key), *(f"{factor:.3g}" for factor in factors))
    return table
