"""What the library tells on standard error while it works: in English, or as the command line puts it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from convmat.geometry.errors import Sentence

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
