"""The whole story, in numbers, on a photograph and as a report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from convmat.demo.photograph import PhotographResults, run_on_photograph
from convmat.demo.report import write_report
from convmat.demo.story import tell
from convmat.terminal.texts import ENGLISH, Texts


def demo(out: Path, console: Console | None = None, texts: Texts = ENGLISH) -> Path:
    """Tell the story, run every method on a photograph, write a report.

    Args:
        out: the folder of the report; made if it does not exist, its ``index.html`` and pictures are replaced.
        console: to print to. Default: the terminal
        texts: of the language to tell it in. Default: English

    Returns:
        The path of the report's ``index.html``.
    """
    console = console or Console()
    out.mkdir(parents=True, exist_ok=True)  # a folder that cannot be written to should not wait for the results
    tell(console, texts)
    results: PhotographResults = run_on_photograph(console, texts)
    index = write_report(results, out, texts)
    console.print()
    console.print(texts("demo.report", index=index), highlight=False, soft_wrap=True)
    return index
