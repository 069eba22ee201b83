"""The page as one HTML file: the hand-written script and style of this room, joined, and the state to begin with."""

from __future__ import annotations

import base64
import hashlib
import json
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from convmat.explorer.files import read, script, style

if TYPE_CHECKING:
    from convmat.explorer.widget import ExplorerWidget

_FRAME = '<iframe srcdoc="{page}" title="convmat" style="width: 100%; height: {height}px; border: 0"></iframe>'


@dataclass(frozen=True)
class Page:
    """The interactive page, at some state; :func:`explore` makes it. A notebook shows it as it is.

    Attributes:
        state: what it shows at first: ``geometry`` (as :func:`explore` takes it), numbers, language, ..

    >>> page = Page({"geometry": {"input_size": [4], "kernel_size": [3]}})
    >>> page.html()[:15]
    '<!doctype html>'
    """

    state: Mapping[str, Any] = field(default_factory=dict)

    def html(self) -> str:
        """The page: one file without anything to load, which a browser opens from disk."""
        code, look = script(), style()
        return Template(read("page.html")).substitute(
            title="convmat",
            script=code,
            style=look,
            script_hash=_sha256(code),
            style_hash=_sha256(look),
            options=escape(json.dumps({"state": dict(self.state)}, ensure_ascii=False)),
        )

    def save(self, path: str | Path) -> Path:
        """Write the page to a file.

        Returns:
            Its path.
        """
        path = Path(path)
        path.write_text(self.html(), encoding="utf-8")
        return path

    def open(self) -> Path:
        """Show the page in the browser.

        Returns:
            The path of the file that was written for it, in a temporary folder.
        """
        path = self.save(Path(mkdtemp(prefix="convmat-")) / "explore.html")
        webbrowser.open(path.as_uri())
        return path

    def widget(self) -> ExplorerWidget:
        """The page as a notebook widget, whose ``geometry``, ``weight`` and ``selected`` are in sync both ways.

        Raises:
            ModuleNotFoundError: without anywidget, which ``pip install "convmat[notebook]"`` installs.
        """
        from convmat.explorer.widget import ExplorerWidget

        return ExplorerWidget(dict(self.state))

    def _repr_html_(self) -> str:
        return _FRAME.format(page=escape(self.html()), height=760)

    def __repr__(self) -> str:
        return "<convmat.explore: save(path) writes the page, open() shows it>"


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
