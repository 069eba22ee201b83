"""Compiled code on the disk: what is wrong with the files stops no computation. A function as small as can be stands in
for the kernel."""

import ctypes
import os
import py_compile
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import convmat
from convmat.kernel import compiled

numba = pytest.importorskip("numba")

from convmat.kernel import caching, program  # noqa: E402


@numba.njit
def double(task):
    task[0] *= 2


def build(version="1", name="double_float32"):
    return program._compile(program._task_function(version), double, name)


def is_right(function) -> bool:
    numbers = (ctypes.c_int64 * program.FIELDS)(21)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function.address)(ctypes.addressof(numbers))
    return numbers[0] == 42


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the cache, empty."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(caching, "_told", set())
    return tmp_path


@pytest.fixture
def new_process(monkeypatch):
    """Forgets what was told in this process."""
    return lambda: monkeypatch.setattr(caching, "_told", set())


def damaged(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    return {
        "empty": b"",
        "truncated": content[: len(content) * 2 // 3],
        "zeroed": bytes(len(content)),
        "zeroed in the middle": content[:middle] + bytes(64) + content[middle + 64 :],
        "text": b"not what it was",
    }


DAMAGES = [(kind, damage) for kind in ("nbi", "nbc") for damage in damaged(b"")]
DAMAGES.remove(("nbi", "zeroed in the middle"))  # an index that fits nothing is none, and nothing to warn of


@pytest.mark.parametrize(("kind", "damage"), DAMAGES, ids=map(" ".join, DAMAGES))
def test_damaged_files(folder, new_process, capfd, kind, damage):
    """They are compiled again, and replaced; before, the kernel was off in every process from then on."""
    build()
    (path,) = folder.rglob(f"*.{kind}")
    path.write_bytes(damaged(path.read_bytes())[damage])
    new_process()
    with pytest.warns(RuntimeWarning, match="cannot be read, so it is compiled again") as caught:
        function = build()
    assert is_right(function)
    assert not function.cache_hits
    assert len(caught) == 1
    assert str(path.parent) in str(caught[0].message)
    assert len(str(caught[0].message)) < 500
    new_process()
    capfd.readouterr()
    function = build()  # any warning would be an error
    assert is_right(function)
    assert function.cache_hits
    assert capfd.readouterr().err == ""


def test_damaged_files_where_warnings_are_errors(folder, monkeypatch, capfd):
    """The kernel is there all the same, and the warning is printed."""
    functions = [build(name=f"{name}_float32") for name in ("pack", "digest", "convolve")]
    for path in folder.rglob("*.nb?"):
        path.write_bytes(b"")
    monkeypatch.setattr(caching, "_told", set())
    monkeypatch.setattr(compiled, "_kernels", {})
    monkeypatch.setattr(
        program, "build", lambda *_: [build(name=f"{name}_float32") for name in ("pack", "digest", "convolve")]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled.kernel(torch.float32) is not None
        assert compiled.kernel(torch.float32) is not None
    said = capfd.readouterr().err
    assert said.count("cannot be read") == 1
    assert all(map(is_right, functions))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError(), ValueError("x" * 1000)])
def test_what_cannot_be_written_is_used_all_the_same(folder, monkeypatch, error):
    """Compiled once, not thrown away and compiled again."""
    compilations = []
    compile_now = caching.CFunc._compile_uncached

    def fail(*_):
        raise error

    monkeypatch.setattr(caching.CFunc, "_compile_uncached", lambda self: (compilations.append(1), compile_now(self))[1])
    monkeypatch.setattr(caching._Cache, "_save_overload", fail)
    with pytest.warns(RuntimeWarning, match="cannot be kept in .*NUMBA_CACHE_DIR") as caught:
        assert is_right(build())
    assert len(compilations) == 1
    assert str(folder) in str(caught[0].message)
    assert len(str(caught[0].message)) < 600


def test_a_full_disk(folder):
    """No file can grow: the system says so when it is written."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.warns(RuntimeWarning, match="cannot be kept in"):
            function = build()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert is_right(function)
    assert is_right(build())
    assert build().cache_hits


# -- what is said ------------------------------------------------------------------------------------------------------


def test_it_says_once_where_it_is_compiled_once(folder, new_process, capfd):
    build()
    build("2")
    said = "convmat: compiling its kernel for float32, once for this processor; it takes some seconds\n"
    assert capfd.readouterr().err == said
    new_process()
    build()
    assert capfd.readouterr().err == ""


def test_it_does_not_say_once_where_nothing_is_kept(folder, monkeypatch, capfd):
    """In a read-only home, or as a user without one."""

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("numba.core.caching._CacheLocator.ensure_cache_path", refuse)
    assert is_right(build())
    said = capfd.readouterr().err
    assert "again in every process" in said
    assert "NUMBA_CACHE_DIR" in said
    assert "once" not in said
    assert said.count("\n") == 1


WITHOUT_SOURCES = """
import numba
from convmat.kernel import compiled, program

@numba.njit
def double(task):
    task[0] *= 2

assert compiled.__file__.endswith(".pyc")
for hits in (0, 1):
    function = program._compile(program._task_function(compiled._VERSION), double, "double_float32")
    assert function.cache_hits == hits
"""


def test_it_is_kept_where_no_sources_are_installed(tmp_path):
    """Only .pyc files, as some images have them to be smaller: it is compiled once there too."""
    package = Path(convmat.__file__).parent
    for path in package.rglob("*.py"):
        place = tmp_path / "convmat" / path.relative_to(package).with_suffix(".pyc")
        place.parent.mkdir(parents=True, exist_ok=True)
        py_compile.compile(str(path), str(place))
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_SOURCES],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.count("\n") == 1
    assert "once for this processor" in finished.stderr
    versions = {compiled.version_of(tmp_path / "convmat" / room) for room in ("kernel", "methods")}
    assert len(versions) == 2
