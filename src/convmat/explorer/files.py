"""The files of this room: scripts, styles, the page they stand in, and the limits that Python and the page share."""

from __future__ import annotations

from importlib.resources import files

# In this order: a file uses what the files before it define.
SCRIPTS = (
    *("geometry", "model", "numbers", "state", "dom", "grid", "matrix", "selection", "stage", "sum", "timeline"),
    *("parameters", "texts/say", "texts/english", "texts/chinese", "zero_insertion", "panels/index", "mount", "start"),
)
STYLES = ("base", "stage")
# What the script shows to those who write their own page, and to the tests.
EXPORTS = ("mount", "start", "cleanState", "fromHash", "toHash", "modelOf", "whatIsWrong", "gathered", "Axis")


def read(name: str) -> str:
    """The text of a file, by its path in this room."""
    return files("convmat.explorer").joinpath(*name.split("/")).read_text(encoding="utf-8")


def script() -> str:
    """The whole script, in a scope of its own: it defines ``convmat``, with ``mount(root, options)`` in it."""
    parts = "\n".join(read(f"script/{name}.js") for name in SCRIPTS)
    limits = "".join(line.strip() for line in read("limits.json").splitlines())
    return (
        f'const convmat = (() => {{\n"use strict";\n\nconst LIMITS = {limits};\n\n{parts}\n'
        f"return {{ {', '.join(EXPORTS)} }};\n}})();\n"
    )


def style() -> str:
    """The whole style sheet; every rule of it is inside ``.convmat``."""
    return "\n".join(read(f"style/{name}.css") for name in STYLES)
