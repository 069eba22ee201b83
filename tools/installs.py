"""The wheel in clean environments: without extras, with each extra, and with all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tools.environments import CommandError, environment
from tools.wheel import ROOT, Wheel

# Fails if what an example prints is not what it shows; the example comes on standard input.
_RUN_EXAMPLE = """
import doctest, sys
example = doctest.DocTestParser().get_doctest(sys.stdin.read(), {}, "README", "README.md", 0)
assert example.examples
sys.exit(doctest.DocTestRunner().run(example).failed)
"""


def first_example() -> str:
    """The first Python block of the README."""
    found = re.search(r"^```pycon\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert found
    return found[1]


def choices(extras: Sequence[str]) -> list[str]:
    """What goes into the brackets: nothing, each extra, all of them."""
    every = ",".join(extras)
    return list(dict.fromkeys(["", *extras, every]))


def check_install(wheel: Wheel, extras: str, python: str, folder: Path, pip_args: Sequence[str], keep: bool) -> str:
    """Install the wheel into a clean environment, run the README's first example and the command line.

    Returns:
        ``"ok"``, or what failed.
    """
    try:
        with environment(python, folder / f"wheel-{extras.replace(',', '-') or 'plain'}", pip_args, keep) as made:
            made.install(f"{wheel.path}[{extras}]" if extras else str(wheel.path))
            made.python("pip check", "-m", "pip", "check")
            made.python("the README's first example", "-c", _RUN_EXAMPLE, cwd=folder, input=first_example())
            for argument in ("--help", "methods"):
                made.run(f"convmat {argument}", [made.program("convmat"), argument], cwd=folder)
    except CommandError as error:
        return str(error)
    return "ok"
