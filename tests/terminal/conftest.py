"""The command line in this process."""

import sys
from dataclasses import dataclass

import pytest

from convmat.cli import main


@dataclass
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run the command line in this process, in an empty folder, in a terminal of so many columns or in none."""

    def run(*arguments, columns: int | None = 100) -> Done:
        monkeypatch.setenv("COLUMNS", str(columns))
        if columns is None:
            monkeypatch.delenv("COLUMNS")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["convmat", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        return Done(exit.value.code or 0, *capsys.readouterr())

    return run
