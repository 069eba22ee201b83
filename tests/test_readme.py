"""Every code block of the README is run."""

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def commands() -> list[tuple[str, str]]:
    """The commands of the console blocks, each with the output that the README shows."""
    return [tuple(body[2:].split("\n", 1)) for body in blocks("console")]  # type: ignore[misc]


def test_every_block_is_of_a_kind_that_is_run():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {language for language, _ in BLOCK.findall(text)} == {"pycon", "console"}
    assert text.count("```") == 2 * len(BLOCK.findall(text))


def test_the_chinese_readme_has_the_same_blocks():
    chinese = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    english = (ROOT / "README.md").read_text(encoding="utf-8")
    assert BLOCK.findall(chinese) == BLOCK.findall(english)
    assert chinese.count("\n## ") == english.count("\n## ")


def test_python_blocks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = doctest.DocTestParser().get_doctest("\n".join(blocks("pycon")), {}, "README", "README.md", 0)
    assert len(session.examples) > 20
    outcome = doctest.DocTestRunner().run(session)
    assert outcome.failed == 0


@pytest.mark.parametrize(("command", "shown"), commands(), ids=[command for command, _ in commands()])
def test_console_blocks(command, shown, tmp_path):
    program, *arguments = shlex.split(command)
    if program == "make":  # what it does is this very test run, or tested by itself
        assert subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True).returncode == 0
        return
    assert program == "convmat"
    photograph = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    (tmp_path / "convmat-report").mkdir()
    Image.open(photograph).save(tmp_path / "convmat-report" / "photograph.png")  # as the demo leaves it
    run = subprocess.run([sys.executable, "-m", "convmat", *arguments], cwd=tmp_path, capture_output=True, text=True)
    errors = [line for line in run.stderr.splitlines() if "compiling its kernel" not in line]  # a busy machine says so
    assert (run.returncode, errors) == (0, [])
    if shown:
        lines = [line.rstrip() for line in run.stdout.strip().splitlines()]
        assert lines == shown.strip().splitlines()
