"""How the kernel warns its users, which may never stop a computation."""

from __future__ import annotations

import warnings

from convmat.geometry import Sentence, say

_LONGEST = 250  # characters of an error that is told


def warn(told: Sentence) -> None:
    """Warn of what happened, and of what is done instead.

    Where warnings are errors, it is printed: there is a way to compute all the same.
    """
    try:
        warnings.warn(told, RuntimeWarning, stacklevel=3)
    except Exception:
        say(told)


def described(error: BaseException) -> str:
    """The kind of an error and what it says, as a reason to warn."""
    return f"{type(error).__name__}: {str(error)[:_LONGEST]}"
