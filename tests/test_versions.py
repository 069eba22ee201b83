"""The environments that PyTorch's versions are tested in."""

import sys
from pathlib import Path

import pytest

from tools.environments import CommandError, Environment, environment


def test_what_a_command_prints_is_in_the_log(tmp_path):
    made = Environment(tmp_path, tmp_path / "log", ())
    assert made.run("print", [sys.executable, "-c", "print('seen')"]) == ""
    assert made.run("print", [sys.executable, "-c", "print('read')"], read=True) == "read\n"
    lines = made.log.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("$")] == ["seen", "read"]
    with pytest.raises(CommandError, match=r"stop failed with exit status 3: .*log"):
        made.run("stop", [sys.executable, "-c", "raise SystemExit(3)"])


@pytest.mark.parametrize(("keep", "again"), [(False, "virtual environment"), (True, "pip uninstall")])
def test_an_environment_is_used_again_only_if_it_was_kept(keep, again, tmp_path, monkeypatch):
    done = []

    def run(made, what, command, **options):
        done.append(what)
        python = Path(made.program("python"))
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        return ""

    monkeypatch.setattr(Environment, "run", run)
    for _ in range(2):
        with environment(sys.executable, tmp_path / "made", (), keep):
            pass
    assert done == ["virtual environment", again]
    assert (tmp_path / "made").exists() == keep
