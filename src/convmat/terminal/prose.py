"""Running text on a terminal, whose lines may end between Chinese characters as well as at spaces."""

from __future__ import annotations

import re
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.containers import Lines
from rich.text import Text

_WIDE = r"\u2e80-\u9fff\uff00-\uffef"  # Chinese characters, and their punctuation
_OPENING, _CLOSING = "（《“‘", "，。、；：？！）》”’…"
# What stays on one line: words in brackets, a word, or a Chinese character, with the punctuation at both ends of it.
_UNIT = re.compile(rf"[{_OPENING}]*(?:\[[^\]]*\]|[^\s{_WIDE}{_OPENING}{_CLOSING}]+|[{_WIDE}]|$)[{_CLOSING}]*\s*")


class Prose(Text):
    """A text that is wrapped as its language is: rich breaks lines at spaces alone, of which Chinese has few."""

    def wrap(self, console: Console, width: int, *arguments: Any, **options: Any) -> Lines:
        """The lines that fit a width, in cells."""
        wrapped = Lines()
        for paragraph in self.split(allow_blank=True):
            for line in paragraph.divide(line_ends(paragraph.plain, width)):
                line.rstrip()
                wrapped.extend(Text.wrap(line, console, width, *arguments, **options))
        return wrapped


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
