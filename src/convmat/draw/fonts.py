"""A font that has the glyphs of a language; of Chinese, matplotlib's own has none."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

# In this order; whatever else is installed comes after them.
_CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "SimHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
    "Droid Sans Fallback",
)
_LATIN = "DejaVu Sans"  # which matplotlib brings


def families(language: str, text: str) -> list[str] | None:
    """The families of fonts that together have all glyphs of a text; ``None`` where none is installed for it."""
    if language == "en":
        return [_LATIN]
    found = next((name for name, path in _installed() if has_glyphs(path, text)), None)
    if found is None:
        return None
    _serve_both_weights(found)
    return [_LATIN, found]


def has_glyphs(path: str, text: str) -> bool:
    """Whether a font, and matplotlib's own beside it, have a glyph for each character of a text."""
    from matplotlib.font_manager import findfont, get_font

    known = set(get_font(findfont(_LATIN)).get_charmap())
    return set(map(ord, text)) <= known | set(get_font(path).get_charmap())


def _serve_both_weights(name: str) -> None:
    """Let matplotlib take a font that has one weight only for normal and bold letters, without a line in the log."""
    from matplotlib.font_manager import fontManager

    entries = [entry for entry in fontManager.ttflist if entry.name == name]
    weights = {entry.weight for entry in entries}
    fontManager.ttflist += [
        replace(entries[0], weight=weight)
        for weight, word in ((400, "normal"), (700, "bold"))
        if not weights & {weight, word}
    ]


def _installed() -> Iterator[tuple[str, str]]:
    """The name and the file of each installed font that might have Chinese glyphs, the well known ones first."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    paths = {entry.name: entry.fname for entry in fontManager.ttflist}
    if not any(name in paths for name in _CHINESE):  # matplotlib lists fonts once, and some may have come since
        known = {entry.fname for entry in fontManager.ttflist}
        for path in set(findSystemFonts()) - known:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    fontManager.addfont(path)
                except (OSError, RuntimeError):  # a file that is no font after all
                    continue
        paths = {entry.name: entry.fname for entry in fontManager.ttflist}
    yield from ((name, paths[name]) for name in _CHINESE if name in paths)
    yield from ((name, path) for name, path in paths.items() if name not in _CHINESE)
