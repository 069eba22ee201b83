"""One browser for all tests of a process; each test that asks for a page gets a new context of it."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from convmat.explorer.files import script, style
from tests.explorer.browser import start_browser


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        launched = start_browser(running)
        yield launched
        launched.close()


class Watched:
    """A page that counts what it asks of the network and what it says on the console."""

    def __init__(self, page) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def _listen(self, message) -> None:
        if "willReadFrequently" not in message.text:  # it is the test that reads pixels, not the page
            self.said.append(message.text)


@pytest.fixture(scope="session")
def opened(browser):
    """Opens pages: ``with opened(html, width=.., lang=..) as page``; at the end nothing may have been said."""

    @contextmanager
    def open_page(html: str, width: int = 1280, height: int = 720, dark: bool = False, lang: str = "en-US", **more):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=lang,
            **more,
        )
        watched = Watched(context.new_page())
        try:
            watched.page.set_content(html)
            yield watched.page
            assert watched.said == []
        finally:
            context.close()

    return open_page


@pytest.fixture(scope="session")
def bare():
    """A page of a script, mounted and at hand as ``convmat`` and ``app``: by default the room's own script."""

    def html(code: str | None = None) -> str:
        code = script() if code is None else code
        return f"""<!doctype html><html lang="en"><head><title>test</title><style>{style()}</style></head>
            <body class="convmat-page"><main></main>
            <script>{code}; var app = convmat.mount(document.querySelector("main"));</script></body></html>"""

    return html
