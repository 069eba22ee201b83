"""Machine code on the disk: what is wrong with the files stops no computation."""

import os
import resource
import warnings
from pathlib import Path

import pytest
import torch

from convmat.kernel import caching, compiled

CODE = bytes(range(256)) * 100


class Compiler:
    """Makes code, and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return CODE


def build(made_from="1", kind="float32"):
    """How often it was compiled."""
    compiler = Compiler()
    assert caching.compile_or_load(kind, made_from, compiler) == CODE
    return compiler.calls


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of the files, empty."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new" / "folder"))
    monkeypatch.setattr(caching, "_told", set())
    return tmp_path / "new" / "folder"


@pytest.fixture
def new_process(monkeypatch):
    """Forgets what was told in this process."""
    return lambda: monkeypatch.setattr(caching, "_told", set())


@pytest.fixture
def own_folders(monkeypatch, tmp_path):
    """Two folders in place of the package's and the user's."""
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(caching, "__file__", str(tmp_path / "package" / "caching.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "user"))
    monkeypatch.setattr(caching.platform, "system", lambda: "Linux")
    return tmp_path / "package" / "__pycache__", tmp_path / "user" / "convmat"


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def test_it_is_compiled_once(folder):
    assert not caching.is_kept("float32", "1")
    assert build() == 1
    assert caching.is_kept("float32", "1")
    assert [build(), build("2"), build("2"), build(kind="float64"), build()] == [0, 1, 0, 1, 0]
    assert len(files(folder)) == 3
    assert all(path.stat().st_mode & 0o777 == 0o666 & ~umask() for path in files(folder))


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def damaged(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    return {
        "empty": b"",
        "truncated": content[: len(content) * 2 // 3],
        "zeroed": bytes(len(content)),
        "zeroed in the middle": content[:middle] + bytes(64) + content[middle + 64 :],
        "text": b"not what it was",
    }


@pytest.mark.parametrize("damage", damaged(b""))
def test_damaged_files(folder, new_process, capfd, damage):
    """It is compiled again, and the file replaced."""
    build()
    (path,) = files(folder)
    path.write_bytes(damaged(path.read_bytes())[damage])
    new_process()
    with pytest.warns(RuntimeWarning, match="cannot be read, so it is compiled again") as caught:
        assert build() == 1
    assert len(caught) == 1
    assert str(folder) in str(caught[0].message)
    assert len(str(caught[0].message)) < 500
    new_process()
    capfd.readouterr()
    assert build() == 0  # any warning would be an error
    assert capfd.readouterr().err == ""


def test_a_file_that_cannot_be_read_or_removed(own_folders, monkeypatch):
    """Another folder may have it."""
    in_package, of_user = own_folders
    build()
    (path,) = files(in_package)
    of_user.mkdir(parents=True)
    (of_user / path.name).write_bytes(path.read_bytes())
    path.unlink()
    path.mkdir()  # reading it is an error for every user, root included
    with pytest.warns(RuntimeWarning, match="cannot be read"):
        assert build() == 0


def test_damaged_files_where_warnings_are_errors(folder, monkeypatch, capfd):
    """The kernel is there all the same, and the warning is printed."""
    build()
    build(kind="float64")
    for path in files(folder):
        path.write_bytes(b"")
    monkeypatch.setattr(caching, "_told", set())
    monkeypatch.setattr(compiled, "_kernels", {})
    monkeypatch.setattr(compiled, "_build", lambda dtype: build(kind=str(dtype).removeprefix("torch.")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled.kernel(torch.float32) == 1
        assert compiled.kernel(torch.float64) == 1
    assert capfd.readouterr().err.count("cannot be read") == 1


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError(), ValueError("x" * 1000)])
def test_what_cannot_be_written_is_used_all_the_same(folder, monkeypatch, error):
    """Compiled once, not thrown away and compiled again; and nothing half is left."""

    def fail(*_):
        raise error

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.warns(RuntimeWarning, match=r"cannot be kept in .*NUMBA_CACHE_DIR") as caught:
        assert build() == 1
    assert str(folder) in str(caught[0].message)
    assert len(str(caught[0].message)) < 600
    assert files(folder) == []


def test_a_full_disk(folder):
    """No file can grow: the system says so when it is written."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.warns(RuntimeWarning, match="cannot be kept in"):
            assert build() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(folder) == []
    assert [build(), build()] == [1, 0]


def test_old_files_make_room(folder, monkeypatch):
    monkeypatch.setattr(caching, "_MOST_FILES", 3)
    folder.mkdir(parents=True)
    (folder / "of others.nbi").touch()
    for version in "12345":
        build(version)
    assert len(files(folder)) == 4
    assert [build(version) for version in "543"] == [0, 0, 0]
    assert build("1") == 1


# -- where -------------------------------------------------------------------------------------------------------------


def test_it_lies_beside_the_package(own_folders):
    in_package, of_user = own_folders
    assert [build(), build()] == [1, 0]
    assert len(files(in_package)) == 1
    assert not of_user.exists()


def test_it_lies_in_the_folder_of_the_user_where_the_package_cannot_be_written_to(own_folders):
    in_package, of_user = own_folders
    in_package.parent.mkdir()
    in_package.write_text("not a folder")
    assert [build(), build()] == [1, 0]
    assert len(files(of_user)) == 1


def test_a_folder_is_read_that_cannot_be_written_to(own_folders, monkeypatch):
    """An image made by one user and run by another: the code in it serves both."""
    _, of_user = own_folders
    build()

    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(caching, "TemporaryFile", refuse)
    assert build() == 0
    assert not of_user.exists()


# -- what is said ------------------------------------------------------------------------------------------------------


def test_it_says_once_where_it_is_compiled_once(new_process, capfd):
    build()
    build("2")
    said = "convmat: compiling its kernel for float32, once for this processor; it takes some seconds\n"
    assert capfd.readouterr().err == said
    new_process()
    build()
    assert capfd.readouterr().err == ""


def test_it_does_not_say_once_where_nothing_is_kept(folder, capfd):
    """In a read-only home, or as a user without one."""
    folder.parent.mkdir()
    folder.write_text("not a folder")
    assert [build(), build()] == [1, 1]
    said = capfd.readouterr().err
    assert "again in every process" in said
    assert "NUMBA_CACHE_DIR" in said
    assert "once" not in said
    assert said.count("\n") == 1
