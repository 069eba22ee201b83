"""What MkDocs does besides: draw the figures first, and give each of the two languages its own navigation and words."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.nav import Navigation, Section

HERE = Path(__file__).parent
CHINESE = "zh/"


def on_startup(**_: Any) -> None:
    """Draw the figures, once per command and not per rebuild: they lie in the folder that `mkdocs serve` watches."""
    sys.path.insert(0, str(HERE))
    import figures

    figures.main(HERE / "assets" / "generated")


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
