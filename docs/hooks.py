"""What MkDocs does besides: make figures and the interactive page first, and give each language its own navigation."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.nav import Navigation, Section

HERE = Path(__file__).parent
CHINESE = "zh/"


def on_startup(**_: Any) -> None:
    """Make what is generated once per command, not per rebuild: it lies in the folder that `mkdocs serve` watches."""
    sys.path.insert(0, str(HERE))
    import figures

    figures.main(HERE / "assets" / "generated")
    _write_explorer(HERE / "assets" / "generated")


def _write_explorer(folder: Path) -> None:
    """Write the interactive page, and its script and style for the pages that hold it."""
    from convmat.explorer import Page
    from convmat.explorer.files import script, style

    Page().save(folder / "explore.html")
    (folder / "explore.js").write_text(script(), encoding="utf-8")
    (folder / "explore.css").write_text(style(), encoding="utf-8")


def on_page_context(context: dict[str, Any], *, page: Any, config: Any, nav: Navigation) -> dict[str, Any]:
    """Show a page among those of its language, with a link to itself in the other."""
    chinese = page.url.startswith(CHINESE)
    config.theme["language"] = "zh" if chinese else "en"
    config.extra["alternate"] = _both_languages(page, nav)
    page.previous_page, page.next_page = (
        other if other and other.url.startswith(CHINESE) == chinese else None
        for other in (page.previous_page, page.next_page)
    )
    context["nav"] = _of_language(nav, chinese)
    return context


def _both_languages(page: Any, nav: Navigation) -> list[dict[str, str]]:
    english = page.url.removeprefix(CHINESE)
    translated = CHINESE + english
    there = {other.url for other in nav.pages}
    return [
        {"name": "English", "lang": "en", "link": english if english in there else "index.html"},
        {"name": "中文", "lang": "zh", "link": translated if translated in there else CHINESE + "index.html"},
    ]


def _of_language(nav: Navigation, chinese: bool) -> Navigation:
    """The navigation without the other language; the reference, in English only, belongs to both."""
    *english, translated = nav.items
    shown = Navigation(english, nav.pages)
    if chinese:
        reference = copy.copy(next(item for item in english if isinstance(item, Section) and item.title == "Reference"))
        reference.title = "API 参考(英文)"
        shown.items = [*translated.children, reference]
        shown.homepage = next(page for page in nav.pages if page.url == CHINESE + "index.html")
    return shown
