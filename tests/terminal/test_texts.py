"""The texts of the command line, in every language."""

import io
import pickle
import re
import string
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

import convmat
from convmat.operators.counting import Stopping, done_reason
from convmat.operators.solvers import lsmr
from convmat.terminal import chinese, english
from convmat.terminal.prose import Prose, lines_of
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


@pytest.mark.parametrize(
    "reason",
    [
        lsmr.CONSISTENT,
        f"{lsmr.LEAST_SQUARES}, damp 0.5",
        lsmr.OUT_OF_ITERATIONS.format(9),
        lsmr.ZERO,
        lsmr.ORTHOGONAL,
        *(Stopping(*rule).reason for rule in ((1e-3, "poisson"), ("discrepancy", "poisson"), ("discrepancy", 0.5))),
        *(done_reason(9, Stopping(stop, "poisson")) for stop in (None, 1e-3)),
    ],
)
def test_why_solvers_end_is_said_in_both_languages(reason):
    assert ENGLISH.reason(reason) == reason
    assert set(re.findall(r"[A-Za-z]{2,}", CHINESE.reason(reason))) <= {"op"}
    assert re.findall(r"\d[\d.e-]*", CHINESE.reason(reason)) == re.findall(r"\d[\d.e-]*", reason)


def test_chinese_is_chinese():
    for key, text in {**chinese.WORDS, **chinese.SUMMARIES}.items():
        assert re.search(r"[\u4e00-\u9fff]", text), key
        bare = re.sub(r"`[^`]*`", "", text)
        assert not re.findall(r"[\u4e00-\u9fff][,:;?!]|[,:;?!][\u4e00-\u9fff]", bare), key


def test_every_text_is_used_and_there():
    """A key is written out wherever it is used, or is made of a beginning that is."""
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [SOURCES / "cli.py", *(SOURCES / "terminal").glob("*.py"), *(SOURCES / "demo").glob("*.py")]
        if path.name not in ("english.py", "chinese.py")
    )
    short = {
        "help": r'(?:_command|_drawing)\("{}"',
        "option": r'(?:_option|_of_layer|_file)\("{}"',
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


@pytest.mark.parametrize("key", ["gains.note", "norms.note"])
@pytest.mark.parametrize("width", [30, 46, 62])
def test_lines_end_between_chinese_characters(key, width):
    text = CHINESE(key)
    lines = list(lines_of(text, width))
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cell_len(line) <= width for line in lines)
    assert not any(line[0] in "，。；：、）" for line in lines)
    longest = max(map(cell_len, re.findall(r"[!-~]+[，。；：、]*", text)), default=4)
    assert all(cell_len(line) > width - max(longest, 4) - 1 for line in lines[:-1])


def test_captions_of_tables_are_wrapped_so():
    console = Console(width=50, file=io.StringIO())
    console.print(Table("a", width=40, caption=Prose(CHINESE("norms.note"))))
    caption = [line.strip() for line in console.file.getvalue().splitlines()[4:]]
    assert caption == list(lines_of(CHINESE("norms.note"), 40))
