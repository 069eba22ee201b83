"""What the kernel tells its users, none of which may ever stop a computation."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress

_LONGEST = 250  # characters of an error that is told


def say(message: str) -> None:
    """Print a line on standard error, if there is one."""
    with suppress(Exception):  # it may be closed
        print(message, file=sys.stderr, flush=True)


def warn(message: str, reason: BaseException) -> None:
    """Warn, and give the reason. Where warnings are errors, print it: there is a way to compute all the same.

    Args:
        message: what happened, and what is done instead.
        reason: the error that led to it.
    """
    told = f"{message}: {type(reason).__name__}: {str(reason)[:_LONGEST]}"
    try:
        warnings.warn(told, RuntimeWarning, stacklevel=3)
    except Exception:
        say(told)
