"""What the library tells while a command runs: each a line on stderr, in the language of the command line."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from convmat.geometry import Sentence, own_message
from convmat.kernel.computing import say, worded_by
from convmat.terminal.texts import Texts

_NAME = "convmat: "


@contextmanager
def telling_in(texts: Texts) -> Iterator[None]:
    """Let notices and warnings of the library be lines in a language for a while; those of others stay as they are."""
    with warnings.catch_warnings(), worded_by(partial(_line, texts)):
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        warnings.showwarning = partial(_show, warnings.showwarning)
        yield


def _line(texts: Texts, told: Sentence) -> str:
    """The line of a sentence, which may name the library itself and may quote an error of many lines."""
    return _NAME + " ".join(texts.sentence(told).split()).removeprefix(_NAME)


def _show(show_others: Any, message: Warning | str, *where: Any) -> None:
    told = own_message(message) if isinstance(message, Warning) else None
    if told is None:
        show_others(message, *where)
    else:
        say(told)
