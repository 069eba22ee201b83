"""The help of a command, in the language of whoever reads it.

Typer's own is in English. It also breaks lines between words alone, and cuts off what is longer than a line: Chinese
text, which has no spaces, loses its ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from convmat.terminal.texts import Texts

_WIDE = r"\u2e80-\u9fff\uff00-\uffef"  # Chinese characters, and their punctuation
_OPENING, _CLOSING = "（《“‘", "，。、；：？！）》”’…"
# What stays on one line: words in brackets, a word, or a Chinese character, with the punctuation at both ends of it.
_UNIT = re.compile(rf"[{_OPENING}]*(?:\[[^\]]*\]|[^\s{_WIDE}{_OPENING}{_CLOSING}]+|[{_WIDE}]|$)[{_CLOSING}]*\s*")


def help_of(command: Any, context: Any, texts: Texts) -> RenderableType:
    """What ``--help`` prints: how a command is called, what it does, its options, and the commands below it.

    Args:
        command: a command of Typer's, whose help and panels are keys of the texts; so are those of its options.
        context: that of its call.
        texts: in which language.
    """
    usage = _Wrapped(Text(texts("help.usage", call=_call(command, context, texts)), "bold"))
    first, *others = (_Wrapped(_styled(paragraph)) for paragraph in texts(command.help).split("\n\n"))
    spaced = [line for paragraph in others for line in (Text(), paragraph)]
    panels = [_panel(texts(key), rows) for key, rows in _rows(command, context, texts).items()]
    return Group(Padding(Group(Text(), usage, Text(), first, *spaced, Text()), (0, 1)), *panels)


def _call(command: Any, context: Any, texts: Texts) -> str:
    command.options_metavar = texts("help.options")
    if hasattr(command, "subcommand_metavar"):
        command.subcommand_metavar = texts("help.commands")
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


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
        table.add_row(name, value, _Wrapped(text))
    return Panel(table, title=title, title_align="left", border_style="dim")


def _styled(text: str) -> Text:
    """A paragraph, in which code stands between backticks."""
    parts = " ".join(text.split()).split("`")
    return Text.assemble(*((part, "cyan" if i % 2 else "") for i, part in enumerate(parts)))


class _Wrapped:
    """A paragraph that is broken into lines between words, and between Chinese characters."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in self.text.divide(line_ends(self.text.plain, options.max_width)):
            line.rstrip()
            yield line


def line_ends(text: str, width: int) -> list[int]:
    """Where to break a text so that no line is wider than so many cells, of which a Chinese character takes two.

    >>> line_ends("a word 和汉字。", 6)
    [7, 9]
    """
    ends, used = [], 0
    for unit in _UNIT.finditer(text):
        for start, part in _parts(unit.start(), unit[0], width):
            wanted = cell_len(part.rstrip())
            if used and used + wanted > width:
                ends.append(start)
                used = 0
            used += cell_len(part)
    return ends


def _parts(start: int, unit: str, width: int) -> list[tuple[int, str]]:
    """A unit and where it begins; its characters, if it is wider than a line."""
    if cell_len(unit.rstrip()) <= width:
        return [(start, unit)]
    return [(start + i, character) for i, character in enumerate(unit)]
