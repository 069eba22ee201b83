"""The help of a command, in the language of whoever reads it.

Typer's own is in English. It also breaks lines between words alone, and cuts off what is longer than a line: Chinese
text, which has no spaces, loses its ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from convmat.terminal.prose import Prose
from convmat.terminal.texts import Texts


def help_of(command: Any, context: Any, texts: Texts) -> RenderableType:
    """What ``--help`` prints: how a command is called, what it does, its options, and the commands below it.

    Args:
        command: a command of Typer's, whose help and panels are keys of the texts; so are those of its options.
        context: that of its call.
        texts: in which language.
    """
    usage = Prose(texts("help.usage", call=_call(command, context, texts)), "bold")
    first, *others = (_styled(paragraph) for paragraph in texts(command.help).split("\n\n"))
    spaced = [line for paragraph in others for line in (Text(), paragraph)]
    panels = [_panel(texts(key), rows) for key, rows in _rows(command, context, texts).items()]
    return Group(Padding(Group(Text(), usage, Text(), first, *spaced, Text()), (0, 1)), *panels)


def _call(command: Any, context: Any, texts: Texts) -> str:
    """How a command is called; Typer has its own marks, which differ from version to version."""
    arguments = [option for option in command.get_params(context) if option.param_type_name == "argument"]
    pieces = [option.metavar if option.required else f"[{option.metavar}]" for option in arguments]
    if hasattr(command, "list_commands"):
        pieces.append(texts("help.commands"))
    return " ".join([context.command_path, texts("help.options"), *pieces])


def _rows(command: Any, context: Any, texts: Texts) -> dict[str, list[tuple[str, str, Text]]]:
    """The rows of each panel, by its key: a name, what stands for a value, and a text."""
    rows: dict[str, list[tuple[str, str, Text]]] = {}
    for option in command.get_params(context):
        is_help = "--help" in option.opts
        panel = "panel.options" if is_help else option.rich_help_panel
        is_argument = option.param_type_name == "argument"
        names = option.metavar if is_argument else ", ".join(sorted(option.opts, key=len, reverse=True))
        value = "" if is_argument or is_help else option.metavar
        text = _styled(texts("option.help" if is_help else option.help))
        rows.setdefault(panel, []).append((names, value, text.append_text(_more(option, texts))))
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        below = command.get_command(context, name)
        first = texts(below.help).partition("\n\n")[0]
        rows.setdefault(below.rich_help_panel, []).append((name, "", _styled(first)))
    return rows


def _more(option: Any, texts: Texts) -> Text:
    """That an option is required, or what it is without being given."""
    if option.required:
        return Text.assemble(" ", (texts("help.required"), "red"))
    default = getattr(option, "show_default", False) and option.default
    if isinstance(default, bool) or not isinstance(default, str | int | float | Path):
        return Text()
    return Text.assemble(" ", (texts("help.default", value=default), "dim"))


def _panel(title: str, rows: Iterable[tuple[str, str, Text]]) -> Panel:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(style="bold yellow", no_wrap=True)
    table.add_column(ratio=1)
    for name, value, text in rows:
        table.add_row(name, value, text)
    return Panel(table, title=title, title_align="left", border_style="dim")


def _styled(text: str) -> Text:
    """A paragraph, in which code stands between backticks."""
    parts = " ".join(text.split()).split("`")
    return Prose.assemble(*((part, "cyan" if i % 2 else "") for i, part in enumerate(parts)))
