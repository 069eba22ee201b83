"""Virtual environments that are made for one purpose, and deleted or kept after it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


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

    def run(
        self,
        what: str,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        input: str | None = None,
        read: bool = False,
    ) -> str:
        """Run a command; what it prints goes to the log while it runs.

        Args:
            what: the command in a word, for errors.
            command: program and arguments.
            cwd: the folder to run in. Default: this process's
            input: what the command reads. Default: what this process would
            read: whether to return its standard output, which goes to the log afterwards then. Default: ``False``

        Raises:
            CommandError: it did not exit with status 0.
        """
        # Nothing but the environment itself may provide modules.
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        with self.log.open("a", encoding="utf-8") as log:
            print("$", *command, file=log, flush=True)
            stdout: int | IO[str] = subprocess.PIPE if read else log
            done = subprocess.run(command, stdout=stdout, stderr=log, text=True, cwd=cwd, env=clean, input=input)
            log.write(done.stdout or "")
        if done.returncode:
            raise CommandError(f"{what} failed with exit status {done.returncode}: {self.log}")
        return done.stdout or ""

    def python(self, what: str, *arguments: str, **options: Any) -> str:
        """Run its Python; all else is as in :meth:`run`."""
        return self.run(what, [self.program("python"), *arguments], **options)

    def install(self, *arguments: str) -> None:
        """Run ``pip install``."""
        self.python("installation", "-m", "pip", "install", "--disable-pip-version-check", *self.pip_args, *arguments)

    def installed(self) -> dict[str, str]:
        """The versions of all that is installed."""
        listed = self.python("pip list", "-m", "pip", "list", "--disable-pip-version-check", "--format=json", read=True)
        return {entry["name"]: entry["version"] for entry in json.loads(listed)}


@contextmanager
def environment(python: str, folder: Path, pip_args: Sequence[str], keep: bool) -> Iterator[Environment]:
    """A virtual environment of a Python without convmat; deleted afterwards, unless it is to be kept.

    One that was kept in that folder is used again if ``keep`` says so, and a fresh one is made otherwise.
    """
    log = folder.with_name(f"{folder.name}.log")
    log.unlink(missing_ok=True)
    made = Environment(folder, log, pip_args)
    try:
        if keep and Path(made.program("python")).exists():
            made.python("pip uninstall", "-m", "pip", "uninstall", "--yes", "convmat")
        else:
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
