"""Virtual environments that are used once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class CommandError(Exception):
    """A command did not succeed; the text says which, and its log the rest."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the file that all its output goes to."""

    folder: Path
    log: Path
    pip_args: Sequence[str]

    def program(self, name: str) -> str:
        """The path of a program in it."""
        return str(self.folder / ("Scripts" if os.name == "nt" else "bin") / name)

    def run(self, what: str, command: Sequence[str], *, cwd: Path | None = None, input: str | None = None) -> str:
        """Run a command and return its standard output.

        Raises:
            CommandError: it says so by its exit status.
        """
        # Nothing but the environment itself may provide modules.
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=clean, input=input)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
        if done.returncode:
            raise CommandError(f"{what} failed with exit status {done.returncode}: {self.log}")
        return done.stdout

    def python(self, what: str, *arguments: str, cwd: Path | None = None, input: str | None = None) -> str:
        """Run its Python."""
        return self.run(what, [self.program("python"), *arguments], cwd=cwd, input=input)

    def install(self, *arguments: str) -> None:
        """Run ``pip install``."""
        self.python("installation", "-m", "pip", "install", "--disable-pip-version-check", *self.pip_args, *arguments)

    def installed(self) -> dict[str, str]:
        """The versions of all that is installed."""
        listed = self.python("pip list", "-m", "pip", "list", "--disable-pip-version-check", "--format=json")
        return {entry["name"]: entry["version"] for entry in json.loads(listed)}


@contextmanager
def environment(python: str, folder: Path, pip_args: Sequence[str], keep: bool) -> Iterator[Environment]:
    """A fresh virtual environment of a Python; deleted afterwards, unless it is to be kept."""
    log = folder.with_name(f"{folder.name}.log")
    log.unlink(missing_ok=True)
    made = Environment(folder, log, pip_args)
    try:
        made.run("virtual environment", [python, "-m", "venv", "--clear", str(folder)])
        yield made
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def version_of(python: str) -> str | None:
    """The version of a Python, ``"3.11.7"``; ``None`` where there is none of that name, or none that runs."""
    try:
        program = "import platform; print(platform.python_version())"
        done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
