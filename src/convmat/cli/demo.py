"""The command that tells the whole story."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from convmat.cli.application import command
from convmat.cli.options import Language, option


@command("demo")
def demo(
    context: typer.Context,
    out: Annotated[Path, option("report", metavar="FOLDER")] = Path("convmat-report"),
    lang: Language = None,
) -> None:
    """Tell the whole story: in numbers, on a photograph, and as a report to open in a browser."""
    from convmat.demo import demo

    demo(out, Console(), context.obj)
