"""Factors that correct the estimates for one machine, from a file that :func:`convmat.tune` writes.

The constants of :mod:`~convmat.planning.costs` were measured on a few processors. On another one they may be wrong, and
then ``"auto"`` chooses badly. Each estimate is a sum of three terms, and the file holds a factor for each: six numbers
in all. With the same file, the same layer is always computed in the same way.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from convmat.geometry import Sentence, own_message, shown
from convmat.planning import shortcuts

VARIABLE = "CONVMAT_TUNING"  # names another file; empty: none is used
MOST = 16.0  # a factor, or one divided by it: what is farther off was not measured, but typed or damaged
_FORMAT = 1


class Terms(NamedTuple):
    """The parts of an estimate in seconds, or the factor of each.

    Args:
        call: what a call takes, however small the layer.
        arithmetic: multiplying and adding, and what grows with it.
        moving: reading, reordering and writing bytes.
    """

    call: float
    arithmetic: float
    moving: float

    @property
    def total(self) -> float:
        """The sum, not corrected."""
        return sum(self)

    def seconds(self, factors: Terms) -> float:
        """The corrected sum."""
        return sum(term * factor for term, factor in zip(self, factors, strict=True))


ONES = Terms(1.0, 1.0, 1.0)


class Correction(NamedTuple):
    """The factors of our kernel, and of PyTorch's own function."""

    kernel: Terms = ONES
    pytorch: Terms = ONES


_now: Correction | None = None  # not read yet


def now() -> Correction:
    """The factors in use: those of the file, ones where there is none."""
    global _now
    if _now is None:
        _now = _from_file()
    return _now


def _from_file() -> Correction:
    path = path_in(os.environ)
    if path is None or not path.exists():
        return Correction()
    try:
        return read(path)
    except (OSError, ValueError) as error:
        warnings.warn(
            Sentence(
                "the tuning file {path} is ignored: {error}. 'convmat tune' writes it anew; {variable}= (empty) uses "
                "none",
                path=str(path),
                error=own_message(error) or str(error),
                variable=VARIABLE,
            ),
            RuntimeWarning,
            stacklevel=2,
        )
        return Correction()


@contextmanager
def using(correction: Correction | None) -> Iterator[None]:
    """Let ``"auto"`` choose with other factors for a while. ``None``: those of the file, read again."""
    before = now()
    _change(correction)
    try:
        yield
    finally:
        _change(before)


def without() -> AbstractContextManager[None]:
    """Let ``"auto"`` choose as without any file for a while."""
    return using(Correction())


def read_again() -> None:
    """Use what the file says now."""
    _change(None)


def _change(correction: Correction | None) -> None:
    global _now
    _now = correction
    shortcuts.forget()  # what was decided by the factors before


# -- the file ----------------------------------------------------------------------------------------------------------


def path_in(environment: Mapping[str, str]) -> Path | None:
    """Where the file is: in the user's folder of settings, or where ``CONVMAT_TUNING`` says (empty: ``None``).

    >>> path_in({"CONVMAT_TUNING": "here.json"})
    PosixPath('here.json')
    """
    if VARIABLE in environment:
        named = environment[VARIABLE]
        return Path(named).expanduser() if named else None
    if sys.platform == "win32":
        folder = Path(environment.get("LOCALAPPDATA", "~/AppData/Local"))
    elif sys.platform == "darwin":
        folder = Path("~/Library/Application Support")
    else:
        folder = Path(environment.get("XDG_CONFIG_HOME") or "~/.config")
    return folder.expanduser() / "convmat" / "tuning.json"


def write(path: Path, correction: Correction, threads: int) -> None:
    """Write the factors, and what they hold for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    factors = {name: terms._asdict() for name, terms in correction._asdict().items()}
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(_made_for() | {"threads": threads} | factors, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)


def read(path: Path) -> Correction:
    """The factors of a file that was made for this machine and these versions.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged, or was made elsewhere.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # neither JSON nor text
        raise ValueError(Sentence("it is damaged, as it holds no JSON")) from error
    if not isinstance(found, dict):
        raise ValueError(Sentence("it is damaged, as it holds no table of factors"))
    for name, here in _made_for().items():
        if found.get(name) != here:
            made_for = Sentence(
                "it was made for {name} {there}, and this is {here}",
                name=name,
                there=shown(found.get(name)),
                here=shown(here),
            )
            raise ValueError(made_for)
    return Correction(*(_factors(found, name) for name in Correction._fields))


def _factors(found: dict[str, Any], name: str) -> Terms:
    table = found.get(name)
    if not isinstance(table, dict) or set(table) != set(Terms._fields):
        terms = ", ".join(Terms._fields)
        raise ValueError(Sentence("it is damaged, as {name} must hold {terms}", name=name, terms=terms))
    for term, factor in table.items():
        if type(factor) not in (int, float) or not 1 / MOST <= factor <= MOST:
            out_of_range = Sentence(
                "it is damaged, as {name}.{term}={factor} must lie in 1/{most:.0f}..{most:.0f}",
                name=name,
                term=term,
                factor=shown(factor),
                most=MOST,
            )
            raise ValueError(out_of_range)
    return Terms(**table)


def _made_for() -> dict[str, Any]:
    """What must be the same where a file is read; versions without what tells builds apart."""
    from convmat import __version__

    versions = {"convmat": __version__, "torch": torch.__version__.partition("+")[0]}
    return {"format": _FORMAT, "processor": processor(), **versions}


def processor() -> str:
    """The processor, as the system names it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    found = {key.strip(): value.strip() for key, _, value in pairs}
    names = ("model name", "cpu family", "model", "CPU implementer", "CPU part")
    return ", ".join(f"{name} {found[name]}" for name in names if name in found) or platform.machine()
