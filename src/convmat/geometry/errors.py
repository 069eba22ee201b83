"""The one error of wrong sizes and arguments, and how messages show values."""

from __future__ import annotations

import reprlib

_MOST_CHARACTERS = 80


class GeometryError(ValueError, RuntimeError):
    """What every wrong size or argument raises.

    The message names the argument, shows its value, states the rule and, where there is one, what would do instead.
    It is a ``RuntimeError`` as well because that is what PyTorch's own functions raise.
    """

    __module__ = "convmat"  # where users find it


def shown(value: object) -> str:
    """A value as messages show it, in at most some 80 characters; of arrays and tensors, the kind and the shape.

    >>> shown((1, 2)), shown("same")
    ('(1, 2)', "'same'")
    >>> shown(list(range(100)))
    '[0, 1, 2, 3, 4, 5, 6, 7, ...] (100 values)'
    """
    if hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape):
        return shortened(f"<{kind_of(value)} of shape {shown(tuple(value.shape))}>")
    if isinstance(value, (list, tuple)) and len(value) > _brief.maxlist:
        return f"{shortened(_brief.repr(value))} ({len(value)} values)"
    return shortened(_brief.repr(value))


def kind_of(value: object) -> str:
    """The name of a value's class, as messages show it."""
    return shortened(type(value).__name__)


def shortened(text: object, most: int = _MOST_CHARACTERS) -> str:
    """A text without its middle if it has more than so many characters.

    >>> shortened("a very long name indeed", most=11)
    'a ve...deed'
    """
    text = str(text)
    if len(text) <= most:
        return text
    kept = most - 3
    return f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"


class _Brief(reprlib.Repr):
    """Values in Python's notation, long ones cut off before they are written out."""

    def __init__(self) -> None:
        super().__init__()
        self.maxtuple = self.maxlist = 8
        self.maxlevel = 4
        self.maxstring = self.maxother = _MOST_CHARACTERS

    def repr_int(self, value: int, level: int) -> str:
        """An integer; Python refuses to write one with thousands of digits."""
        return repr(value) if abs(value) < 10**30 else f"an integer of {value.bit_length()} bits"


_brief = _Brief()
