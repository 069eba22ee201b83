"""Packages that only some need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from convmat.geometry import Sentence


def needed(module: str, extra: str = "dask") -> Any:
    """A module of an optional package, or an error that says how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        raise ModuleNotFoundError(
            Sentence('{name} is missing, which volumes need: pip install "convmat[{extra}]"', name=name, extra=extra),
            name=name,
        ) from None
