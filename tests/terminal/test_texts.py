"""The texts of the command line, in every language."""

import io
import pickle
import re
import string
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

import convmat
from convmat.operators.reasons import SENTENCES, Reason
from convmat.terminal import chinese, english
from convmat.terminal.prose import Prose, line_ends
from convmat.terminal.texts import CHINESE, ENGLISH, InputError

SOURCES = Path(convmat.__file__).parent


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys_in_the_same_order():
    assert list(chinese.WORDS) == list(english.WORDS)
    assert list(chinese.SUMMARIES) == list(convmat.available_methods())


@pytest.mark.parametrize("key", english.WORDS)
def test_both_languages_say_the_same_of_the_same_things(key):
    """The same numbers, options and names of files."""
    assert placeholders(chinese.WORDS[key]) == placeholders(english.WORDS[key])
    options = [set(re.findall(r"--[a-z][\w-]*|\.[a-z]{3}\b", words[key])) for words in (english.WORDS, chinese.WORDS)]
    assert options[0] == options[1]


@pytest.mark.parametrize("words", [english.WORDS, chinese.WORDS], ids=["english", "chinese"])
def test_every_text_is_one(words):
    assert all(text.strip() == text and text for text in words.values())


VALUES = {"most": 9, "rank": 5, "full": 6, "change": 1e-3, "deviation": 0.5, "count": 7}


@pytest.mark.parametrize("key", SENTENCES)
def test_why_solvers_end_is_said_in_both_languages(key):
    reason = Reason(key, **{name: VALUES[name] for name in placeholders(SENTENCES[key])})
    assert ENGLISH.sentence(reason) == reason == str(pickle.loads(pickle.dumps(reason)))
    in_chinese = CHINESE.sentence(pickle.loads(pickle.dumps(reason)))
    assert set(re.findall(r"[A-Za-z]{2,}", in_chinese)) <= {"op"}
    assert re.findall(r"\d[\d.e-]*", in_chinese) == re.findall(r"\d[\d.e-]*", reason)


def test_chinese_is_chinese():
    for key, text in {**chinese.WORDS, **chinese.SUMMARIES}.items():
        assert re.search(r"[\u4e00-\u9fff]", text), key
        bare = re.sub(r"`[^`]*`", "", text)
        assert not re.findall(r"[\u4e00-\u9fff][,:;?!]|[,:;?!][\u4e00-\u9fff]", bare), key


def test_every_text_is_used_and_there():
    """A key is written out wherever it is used, or is made of a beginning that is."""
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for room in ("cli", "terminal", "demo")
        for path in (SOURCES / room).glob("*.py")
        if path.name not in ("english.py", "chinese.py")
    )
    short = {
        "help": r'(?:command|_drawing)\("{}"',
        "option": r'(?:option|argument)\("{}"',
        "report": r'say\("{}"',
        "table": '"{}"',
    }
    for key in english.WORDS:
        beginning, _, rest = key.partition(".")
        spelled = [
            re.escape(f'"{key}"'),
            *([short[beginning].format(re.escape(rest))] if beginning in short and rest else []),
        ]
        assert any(re.search(pattern, code) for pattern in spelled), key


def test_an_input_error_is_english_unless_asked():
    error = InputError("wrong.language", language="fr", known="en, zh")
    assert str(error) == error.said_in(ENGLISH) == "--lang 'fr' is unknown: need one of en, zh"
    assert error.said_in(CHINESE).startswith("--lang 'fr' 不认识")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert isinstance(error, convmat.GeometryError)


def lines_of(text, width):
    return [text[a:b].rstrip() for a, b in pairwise([0, *line_ends(text, width), len(text)])]


@pytest.mark.parametrize("key", ["gains.note", "norms.note"])
@pytest.mark.parametrize("width", [30, 46, 62])
def test_lines_end_between_chinese_characters(key, width):
    text = CHINESE(key)
    lines = lines_of(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cell_len(line) <= width for line in lines)
    assert not any(line[0] in "，。；：、）" for line in lines)
    longest = max(map(cell_len, re.findall(r"[!-~]+[，。；：、]*", text)), default=4)
    assert all(cell_len(line) > width - max(longest, 4) - 1 for line in lines[:-1])


def test_captions_of_tables_are_wrapped_so():
    console = Console(width=50, file=io.StringIO())
    console.print(Table("a", width=40, caption=Prose(CHINESE("norms.note"))))
    caption = [line.strip() for line in console.file.getvalue().splitlines()[4:]]
    assert caption == lines_of(CHINESE("norms.note"), 40)
