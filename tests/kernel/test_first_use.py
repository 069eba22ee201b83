"""The kernel is compiled once for a processor, whatever is computed with it, and of exactly these sources."""

import ast
import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import torch

import convmat
from convmat.kernel import compiled, machine_code
from tests.scripts import run_in

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys, torch, convmat
from torch.testing import assert_close
torch.set_num_threads(1)

def agree(dtype, ndim, size, channels, kernel, stride):
    input = torch.randn(2, channels, *[size] * ndim, dtype=dtype)
    weight = torch.randn(channels, 3, *[kernel] * ndim, dtype=dtype)
    with torch.no_grad():
        ours = getattr(convmat, f"conv_transpose{ndim}d")(input, weight, None, stride, method="tiles")
    assert_close(ours, getattr(torch, f"conv_transpose{ndim}d")(input, weight, None, stride), rtol=1e-4, atol=1e-4)

for dtype in sys.argv[1:]:
    for shape in ((2, 9, 4, 4, 2), (1, 50, 8, 16, 8), (3, 4, 2, 3, 2)):
        agree(getattr(torch, dtype), *shape)
assert "numba" not in sys.modules  # to import it would take longer than all else
"""


def use(*dtypes: str) -> tuple[str, str]:
    """Compute layers of some kinds of numbers in a new process; what it prints."""
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, *dtypes], capture_output=True, text=True, timeout=600, cwd=ROOT
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, finished.stderr


def test_the_kernel_is_compiled_once():
    """Before the tests, by ``conftest.py``, for all shapes; no later process compiles it again, and would say so.

    What the first one says and writes is tested where it is compiled for other processors.
    """
    assert use("float32", "float64") == ("", "")


CHANGED = """
import pathlib, sys, torch
from convmat.kernel import compiled, program

filed = []

def compile_or_load(kind, made_from, compile):
    filed.append((kind, made_from))
    raise StopIteration

compiled.compile_or_load = compile_or_load
path = pathlib.Path(program.__file__)
assert path.is_relative_to(sys.argv[1])
for _ in range(2):
    try:
        compiled._build(torch.float32)
    except StopIteration:
        path.write_text(path.read_text() + "# of the next version\\n")
assert len(filed) == 2 and filed[0] == filed[1], filed
"""


def test_compiled_code_is_filed_under_the_source_that_it_was_compiled_of(tmp_path):
    """Also where a new version is installed while the old one is at work."""
    package = Path(convmat.__file__).parent
    shutil.copytree(package, tmp_path / "convmat", ignore=shutil.ignore_patterns("__pycache__"))
    run_in(tmp_path, CHANGED, str(tmp_path))


def compiled_in() -> list[Path]:
    """The files that the compiled program is made of, found by following its imports."""
    folder, found, left = Path(convmat.__file__).parents[1], [], ["convmat.kernel.program"]
    while left:
        path = folder.joinpath(*left.pop().split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.exists() or path in found:  # what is imported from a module, and no module itself
            continue
        found.append(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("convmat.kernel"):
                left += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def test_compiled_code_is_filed_under_every_file_that_is_compiled_in(tmp_path):
    """A constant of the tiling is part of the machine code: with an old one, it would read out of bounds."""
    kernel = Path(compiled.__file__).parent
    files = [path.relative_to(kernel) for path in compiled_in()]
    assert Path("tiling/processor.py") in files
    shutil.copytree(kernel, tmp_path / "kernel")
    versions = {compiled.version_of(tmp_path / "kernel")}
    for number, path in enumerate(files, start=2):
        with (tmp_path / "kernel" / path).open("a") as file:
            file.write("# changed\n")
        versions.add(compiled.version_of(tmp_path / "kernel"))
        assert len(versions) == number, path


def test_it_is_filed_under_all_that_it_depends_on(monkeypatch):
    """The processor above all: a folder may be shared by many machines."""
    filed = {compiled._made_from(torch.float32), compiled._made_from(torch.float64)}
    monkeypatch.setattr(machine_code, "processor", lambda: ("generic", ""))
    filed.add(compiled._made_from(torch.float32))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0")
    filed.add(compiled._made_from(torch.float32))
    assert len(filed) == 4
