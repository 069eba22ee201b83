"""The one error of wrong sizes and arguments, and how messages show values and can be said in other languages."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

Text = TypeVar("Text", bound="Sentence")
_MOST_CHARACTERS = 80


class Sentence(str):
    """An English text that knows what it is made of, so that it can be said in other languages.

    Args:
        template: the text, in which ``{name}`` stands for a value.
        values: by name; any of them may be a sentence itself. Without values, braces are nothing special.

    >>> sentence = Sentence("{name}={value} must be at least 1", name="stride", value=0)
    >>> sentence
    'stride=0 must be at least 1'
    >>> sentence.said_in({"{name}={value} must be at least 1": "{name}={value} 不能小于 1"})
    'stride=0 不能小于 1'
    """

    template: str
    values: dict[str, Any]

    def __new__(cls: type[Text], template: str, /, **values: Any) -> Text:
        """Fill in the values."""
        made = super().__new__(cls, template.format(**values) if values else template)
        made.template, made.values = template, values
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """What copies and pickles are made from."""
        return (self.template,), self.values

    def said_in(self, templates: Mapping[str, str]) -> str:
        """The text in another language; English where that has no template.

        Args:
            templates: those of the other language, by the English ones.
        """
        template = templates.get(self.template)
        if template is None:
            return self
        values = {name: _said_in(value, templates) for name, value in self.values.items()}
        return template.format(**values) if values else template


def _said_in(value: Any, templates: Mapping[str, str]) -> Any:
    sentence = value.sentence if isinstance(value, GeometryError) else value
    return sentence.said_in(templates) if isinstance(sentence, Sentence) else sentence


def as_sentence(text: str) -> Sentence:
    """A sentence as it is, and any other text as one that is its own template."""
    return text if isinstance(text, Sentence) else Sentence(text)


class GeometryError(ValueError, RuntimeError):
    """What every wrong size or argument raises.

    The message names the argument, shows its value, states the rule and, where there is one, what would do instead.
    It is a ``RuntimeError`` as well because that is what PyTorch's own functions raise.
    """

    __module__ = "convmat"  # where users find it
    template: str
    values: dict[str, Any]

    @classmethod
    def of(cls, template: str, /, **values: Any) -> GeometryError:
        """An error whose message can be said in other languages; arguments as of a sentence.

        Its attributes are set here: ``torch.compile`` shows no message of an error with an ``__init__`` of its own.
        """
        made = cls(template.format(**values))
        made.template, made.values = template, values
        return made

    @property
    def sentence(self) -> Sentence:
        """The message as a sentence."""
        return Sentence(self.template, **self.values) if hasattr(self, "template") else as_sentence(str(self))


def own_message(error: BaseException) -> Sentence | None:
    """What an error or a warning of ours says, as a sentence; ``None`` for those of others.

    >>> own_message(ValueError(Sentence("{count} cells", count=3))), own_message(ValueError("3 cells"))
    ('3 cells', None)
    """
    if isinstance(error, GeometryError):
        return error.sentence
    return next((message for message in error.args[:1] if isinstance(message, Sentence)), None)


def unknown(name: str, value: object, known: Iterable[str]) -> GeometryError:
    """The error of an argument that is none of the names it may be.

    >>> unknown("view", "above", ("gather", "scatter"))
    GeometryError("view='above' is unknown: need one of 'gather', 'scatter'")
    """
    names = ", ".join(map(repr, known))
    return GeometryError.of(
        "{name}={value} is unknown: need one of {known}", name=name, value=shown(value), known=names
    )


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
        return Sentence("{brief} ({count} values)", brief=shortened(_brief.repr(value)), count=len(value))
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
