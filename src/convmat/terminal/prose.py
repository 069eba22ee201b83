"""Running text on a terminal, whose lines may end between Chinese characters as well as at spaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.containers import Lines
from rich.text import Text

# What stays on one line: a Chinese character or a word, with the brackets and marks that belong to it.
_CHINESE, _OPENING, _CLOSING = "\u4e00-\u9fff", "（《“「", "，。；：、！？）》”」"
_PIECE = re.compile(
    rf"[{_OPENING}]*(?:[{_CHINESE}]|[^\s{_CHINESE}{_OPENING}{_CLOSING}]+)?[{_CLOSING}]*[^\S\n]*|\n",
)


class Prose(Text):
    """A text that is wrapped as its language is: rich breaks lines at spaces alone, of which Chinese has few."""

    def wrap(self, console: Console, width: int, *arguments: Any, **options: Any) -> Lines:
        """The lines that fit a width, in cells."""
        return Text("\n".join(lines_of(self.plain, width)), self.style).wrap(console, width, *arguments, **options)


def lines_of(text: str, width: int) -> Iterator[str]:
    """A text in lines of at most so many cells, where its words allow.

    >>> list(lines_of("卷积是矩阵，transposed 就是转置。", 12))
    ['卷积是矩阵，', 'transposed', '就是转置。']
    """
    line = ""
    for piece in _PIECE.findall(text):
        if piece == "\n" or (line and cell_len(line) + cell_len(piece.rstrip()) > width):
            yield line.rstrip()
            line = ""
        line += "" if piece == "\n" else piece
    yield line.rstrip()
