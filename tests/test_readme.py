"""Every code block of the README is run, in both languages."""

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from convmat.cli import main

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
LOCALES = {ENGLISH: "C.UTF-8", CHINESE: "zh_CN.UTF-8"}


def blocks(language: str, readme: str = ENGLISH) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def commands(readme: str = ENGLISH) -> list[tuple[str, str]]:
    """The commands of the console blocks, each with the output that the README shows."""
    return [tuple(body[2:].split("\n", 1)) for body in blocks("console", readme)]  # type: ignore[misc]


def test_every_block_is_of_a_kind_that_is_run():
    text = (ROOT / ENGLISH).read_text(encoding="utf-8")
    assert {language for language, _ in BLOCK.findall(text)} == {"pycon", "console"}
    assert text.count("```") == 2 * len(BLOCK.findall(text))


def test_the_chinese_readme_has_the_same_blocks():
    """The same code, and the same commands; what they print is in its own language."""
    chinese, english = ((ROOT / readme).read_text(encoding="utf-8") for readme in (CHINESE, ENGLISH))
    assert [language for language, _ in BLOCK.findall(chinese)] == [language for language, _ in BLOCK.findall(english)]
    assert blocks("pycon", CHINESE) == blocks("pycon")
    assert [command for command, _ in commands(CHINESE)] == [command for command, _ in commands()]
    assert chinese.count("\n## ") == english.count("\n## ")


def test_python_blocks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = doctest.DocTestParser().get_doctest("\n".join(blocks("pycon")), {}, "README", "README.md", 0)
    assert len(session.examples) > 20
    outcome = doctest.DocTestRunner().run(session)
    assert outcome.failed == 0


RUN = [(command, shown, ENGLISH) for command, shown in commands()]
RUN += [(command, shown, CHINESE) for command, shown in commands(CHINESE) if shown]


@pytest.mark.parametrize(("command", "shown", "readme"), RUN, ids=[f"{command}-{readme}" for command, _, readme in RUN])
def test_console_blocks(command, shown, readme, tmp_path, monkeypatch, capsys):
    program, *arguments = shlex.split(command)
    if program == "make":  # what it does is this very test run, or tested by itself
        assert subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True).returncode == 0
        return
    assert program == "convmat"
    photograph = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    (tmp_path / "photo.jpg").write_bytes(photograph.read_bytes())  # of whoever reads it
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", LOCALES[readme])
    monkeypatch.setattr(sys, "argv", ["convmat", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    assert (end.value.code or 0, err) == (0, "")
    if shown:
        assert [line.rstrip() for line in out.strip().splitlines()] == shown.strip().splitlines()
