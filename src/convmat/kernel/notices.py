"""What the kernel tells its users, which may never stop a computation: in English, or as the command line puts it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from convmat.geometry import Sentence

_LONGEST = 250  # characters of an error that is told
_in_words: Callable[[Sentence], str] = str


def say(sentence: Sentence) -> None:
    """Print a line on standard error, if there is one."""
    with suppress(Exception):  # it may be closed
        if sys.stderr is not None:  # print would take standard output instead
            print(_in_words(sentence), file=sys.stderr, flush=True)


@contextmanager
def worded_by(in_words: Callable[[Sentence], str]) -> Iterator[None]:
    """Let :func:`say` put sentences in other words for a while, in every thread.

    Args:
        in_words: gives the line to print.
    """
    global _in_words
    before, _in_words = _in_words, in_words
    try:
        yield
    finally:
        _in_words = before


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
