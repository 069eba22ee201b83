"""The wheel, and what it says of itself."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Wheel:
    """A wheel file."""

    path: Path

    @property
    def names(self) -> list[str]:
        """The names of all files in it."""
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    @property
    def metadata(self) -> Message:
        """Its metadata, which the build wrote from ``pyproject.toml``."""
        with zipfile.ZipFile(self.path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return BytesParser().parsebytes(archive.read(name))

    @property
    def extras(self) -> list[str]:
        """The names of its extras."""
        return self.metadata.get_all("Provides-Extra", [])

    @property
    def requirements(self) -> list[str]:
        """All that it requires, with its extras too, as ``torch>=2`` or ``ruff>=0.9; extra == 'dev'``."""
        return self.metadata.get_all("Requires-Dist", [])

    def oldest(self, name: str) -> str:
        """The oldest version of a library that it takes."""
        found = (re.match(rf"{name}\s*>=\s*([\d.]+)", requirement) for requirement in self.requirements)
        return next(match[1] for match in found if match)


def build(folder: Path, pip_args: list[str]) -> Wheel:
    """Build the wheel of this checkout into a folder."""
    for old in folder.glob("*.whl"):
        old.unlink()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", *pip_args]
    subprocess.run([*command, "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    (path,) = folder.glob("*.whl")
    return Wheel(path)
