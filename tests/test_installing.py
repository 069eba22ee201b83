"""What is installed with convmat, and what its commands install."""

import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
TOLD = ("docs", "examples", "src", "benchmarks")  # where users are told what to install
LINES = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()


def required() -> dict[str, Requirement]:
    """The plain dependencies, by name."""
    start = LINES.index("dependencies = [") + 1
    listed = [line.strip(' ,"') for line in LINES[start : LINES.index("]", start)] if not line.strip().startswith("#")]
    return {requirement.name: requirement for requirement in map(Requirement, listed)}


def test_one_install_brings_all_that_the_readme_shows():
    assert {"torch", "numpy", "scipy", "numba", "matplotlib", "pillow", "rich", "typer"} == set(required())


def test_extras_that_are_named_are_there():
    extras = {line.partition(" =")[0] for line in LINES[LINES.index("[project.optional-dependencies]") :]}
    files = [*ROOT.glob("*.md"), *(path for folder in TOLD for path in (ROOT / folder).rglob("*.*"))]
    for path in files:
        if path.suffix in (".md", ".py"):
            for named in re.findall(r"(?:convmat|pip install \"\.)\[([\w,]+)\]", path.read_text(encoding="utf-8")):
                assert {*named.split(",")} <= extras, path


@pytest.mark.parametrize(
    ("python", "machine", "wanted"),
    [
        ("3.10", "x86_64", True),
        ("3.14", "arm64", True),
        ("3.13", "AMD64", True),
        ("3.15", "aarch64", True),
        ("3.16", "x86_64", False),
        ("3.12", "ppc64le", False),
        ("3.12", "ARM64", False),
    ],
)
def test_numba_is_asked_for_where_it_has_wheels(python, machine, wanted):
    """As looked up for Numba 0.68; elsewhere pip would try to build it, and fail."""
    marker = required()["numba"].marker
    assert marker.evaluate({"python_version": python, "platform_machine": machine}) is wanted


@pytest.mark.parametrize(
    ("target", "extras"),
    [("demo", []), ("docs", ["docs"]), ("test", ["dev"]), ("bench", ["bench"])],
)
def test_make_installs_no_more_than_it_needs(target, extras, tmp_path):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    planned = subprocess.check_output(["make", "-n", target], cwd=tmp_path, text=True).splitlines()
    installed = [line.split(" -e ")[1] for line in planned if "pip install" in line and "--upgrade pip" not in line]
    assert installed == ([f"'.[{extra}]'" for extra in extras] or ["."])


def test_make_test_after_make_demo_installs_the_rest(tmp_path):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("pyproject.toml", "constraints.txt", ".venv/bin/python", ".venv/.installed"):
        (tmp_path / name).touch()
    assert "pip install" not in subprocess.check_output(["make", "-n", "demo"], cwd=tmp_path, text=True)
    assert subprocess.check_output(["make", "-n", "test"], cwd=tmp_path, text=True).count("'.[dev]'") == 1
