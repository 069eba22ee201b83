"""What the command line says, in the language of whoever reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from convmat.geometry import GeometryError, as_sentence
from convmat.terminal import chinese, english
from convmat.terminal.chinese_sentences import SENTENCES


@dataclass(frozen=True)
class Texts:
    """The texts of one language.

    Attributes:
        language: ``"en"`` or ``"zh"``.
        words: each text, by its key; the same keys in every language.
        summaries: one line on each method, where it differs from that of :func:`convmat.available_methods`.
        sentences: what the library says, by its English templates; none where that is to be said in English.

    >>> ENGLISH("table.time")
    'time'
    """

    language: str
    words: Mapping[str, str] = field(repr=False)
    summaries: Mapping[str, str] = field(repr=False)
    sentences: Mapping[str, str] = field(repr=False)

    def sentence(self, text: str) -> str:
        """What the library says, in this language; in English where it has no words for it.

        >>> from convmat.operators.reasons import Reason
        >>> CHINESE.sentence(Reason("maxiter", most=100))
        '达到上限 100 次'
        """
        return as_sentence(text).said_in(self.sentences)

    def knows(self, text: str) -> bool:
        """Whether this language has words of its own for what the library says."""
        return as_sentence(text).template in self.sentences

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of a key, its placeholders filled in."""
        return self.words[key].format(**values)


ENGLISH = Texts("en", english.WORDS, {}, {})
CHINESE = Texts("zh", chinese.WORDS, chinese.SUMMARIES, SENTENCES)
LANGUAGES = {texts.language: texts for texts in (ENGLISH, CHINESE)}


class InputError(GeometryError):
    """Something wrong with what was typed or with a file, to be said in any language."""

    def __init__(self, key: str, /, **values: object) -> None:
        super().__init__(ENGLISH(key, **values))
        self.key = key
        self.values = values

    def __reduce__(self) -> tuple[object, ...]:
        return _input_error, (self.key, self.values)

    def said_in(self, texts: Texts) -> str:
        """The message in a language."""
        return texts(self.key, **self.values)


def _input_error(key: str, values: dict[str, object]) -> InputError:
    return InputError(key, **values)


def texts_for(environment: Mapping[str, str]) -> Texts:
    """The texts of the language that the environment asks for, English where it asks for one that we do not have.

    Args:
        environment: the first of ``LC_ALL``, ``LC_MESSAGES`` and ``LANG`` that is set counts, as in POSIX.

    >>> texts_for({"LANG": "zh_CN.UTF-8"}).language, texts_for({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}).language
    ('zh', 'en')
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    return LANGUAGES.get(locale[:2].lower(), ENGLISH)


def take_language(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Texts, list[str]]:
    """Take ``--lang`` out of the arguments, wherever it stands: help has to know it before they are read.

    Args:
        arguments: of the command line.
        environment: which says the language if they do not.

    Returns:
        The texts, and the other arguments. A ``--lang`` at the end, without its value, stays, to be complained of.

    Raises:
        InputError: if the language is not one of ours.

    >>> texts, others = take_language(["methods", "--lang", "zh"], {})
    >>> texts.language, others
    ('zh', ['methods'])
    """
    texts, others = texts_for(environment), list(arguments)
    end = others.index("--") if "--" in others else len(others)
    for at in reversed(range(end)):
        name, is_joined, value = others[at].partition("=")
        if name == "--lang" and (is_joined or at + 1 < end):
            language = value if is_joined else others[at + 1]
            if language not in LANGUAGES:
                raise InputError("wrong.language", language=language, known=", ".join(LANGUAGES))
            del others[at : at + (1 if is_joined else 2)]
            return LANGUAGES[language], others
    return texts, others
