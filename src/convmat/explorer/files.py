"""The files of this room: scripts, styles, the page they stand in, and the limits that Python and the page share."""

from __future__ import annotations

import re
from importlib.resources import files

# In this order: a file uses what the files before it define.
SCRIPTS = (
    *("geometry", "model", "numbers", "zero_insertion", "texts/stage", "texts/panels", "texts/say", "state", "dom"),
    *("grid", "matrix", "selection", "stage", "sum", "timeline", "parameters", "panels/common", "panels/parameters"),
    *("panels/ways", "panels/sizes", "panels/checkerboard", "panels/questions", "panels/practice", "panels/story"),
    *("panels/kernel", "panels/scene", "panels/code", "panels/index", "mount", "start"),
)
STYLES = ("base", "stage", "panels")
# What the script shows to those who write their own page, and to the tests.
EXPORTS = (
    "mount",
    "start",
    "cleanState",
    "fromHash",
    "toHash",
    "modelOf",
    "whatIsWrong",
    "gathered",
    "codeOf",
    "noticed",
)


def read(name: str) -> str:
    """The text of a file, by its path in this room."""
    return files("convmat.explorer").joinpath(*name.split("/")).read_text(encoding="utf-8")


def script() -> str:
    """The whole script, in a scope of its own: it defines ``convmat``, with ``mount(root, options)`` in it."""
    parts = "".join(_lines(read(f"script/{name}.js")) for name in SCRIPTS)
    limits = "".join(line.strip() for line in read("limits.json").splitlines())
    return (
        f'var convmat = (() => {{\n"use strict";\nconst LIMITS = {limits};\n{parts}'
        f"return {{ {', '.join(EXPORTS)} }};\n}})();\n"
    )


def style() -> str:
    """The whole style sheet; every rule of it is inside ``.convmat``."""
    lines = "".join(_lines(read(f"style/{name}.css")) for name in STYLES)
    return lines.replace(": ", ":").replace("; ", ";").replace(" {", "{").replace("{ ", "{").replace(";}", "}")


def _lines(text: str) -> str:
    """The lines of a script or style without indentation and without those that are comments, which double a page."""
    return _COMMENTS.sub("", re.sub(r"^[ \t]+", "", text, flags=re.MULTILINE)).replace("\n\n", "\n")


_COMMENTS = re.compile(r"^(?://.*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)\n", re.MULTILINE)
