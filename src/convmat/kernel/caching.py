"""Machine code on the disk, for later processes: found again by all that it depends on.

What cannot be read is compiled again, and what cannot be written serves this process alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

from convmat.geometry import Sentence
from convmat.kernel.notices import described, say, warn

VARIABLE = "NUMBA_CACHE_DIR"  # names another folder, as it does for all other code that Numba compiles
_MOST_FILES = 32  # of a folder, for types of numbers, processors and versions; the oldest ones go first
_DIGEST = hashlib.sha256
_ELSEWHERE = Sentence("Set NUMBA_CACHE_DIR to a folder that can be written to")
_ONCE = Sentence("once for this processor")
_EACH_TIME = Sentence("again in every process. {elsewhere}", elsewhere=_ELSEWHERE)
_told: set[tuple[str, str]] = set()


def compile_or_load(kind: str, made_from: str, compile: Callable[[], bytes]) -> bytes:
    """What an earlier process compiled, else what is compiled now, which is then kept.

    Args:
        kind: what the code computes with, a part of the file's name; that it is compiled is told once for each kind.
        made_from: all else that the code depends on.
        compile: makes the code.
    """
    name = _name_of(kind, made_from)
    code = _read(name)
    if code is not None:
        return code
    folder = _folder_to_write()
    told = Sentence(
        "convmat: compiling its kernel for {kind}, {how_often}; it takes some seconds",
        kind=kind,
        how_often=_EACH_TIME if folder is None else _ONCE,
    )
    _tell_once("compiling", kind, lambda: say(told))
    code = compile()
    if folder is not None:
        _write(folder, name, code)
    return code


def is_kept(kind: str, made_from: str) -> bool:
    """Whether there is a file, which may yet turn out to be damaged."""
    name = _name_of(kind, made_from)
    return any((folder / name).exists() for folder in _folders())


def _name_of(kind: str, made_from: str) -> str:
    return f"convmat-{kind}-{_DIGEST(made_from.encode()).hexdigest()[:32]}.code"


def _folders() -> list[Path]:
    """Where files are looked for, and written to where that is possible."""
    named = os.environ.get(VARIABLE)
    return [Path(named)] if named else [Path(__file__).parent / "__pycache__", _of_user()]


def _of_user() -> Path:
    if os.name == "nt":
        caches = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif platform.system() == "Darwin":
        caches = "~/Library/Caches"
    else:
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(caches)) / "convmat"  # without a home, it stays as it is, and names no folder


def _read(name: str) -> bytes | None:
    """The code in the first whole file; the content begins with its digest, as a file may have lost some blocks."""
    for folder in _folders():
        try:
            content = (folder / name).read_bytes()
            digest, code = content[: _DIGEST().digest_size], content[_DIGEST().digest_size :]
            if _DIGEST(code).digest() == digest:
                return code
            raise ValueError("its content has changed since it was written")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            with suppress(OSError):  # so that the next process finds a new one or none
                (folder / name).unlink()
            told = Sentence(
                "convmat: The compiled code in {folder} cannot be read, so it is compiled again: {reason}",
                folder=str(folder),
                reason=described(error),
            )
            _warn_once(folder, told)
    return None


def _folder_to_write() -> Path | None:
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                return folder
    return None


def _write(folder: Path, name: str, code: bytes) -> None:
    """Put a whole file in its place at once, as another process may read it."""
    temporary = folder / f"{name}.{uuid4().hex}"
    try:
        try:
            temporary.write_bytes(_DIGEST(code).digest() + code)
            temporary.replace(folder / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _remove_old(folder)
    except Exception as error:
        told = Sentence(
            "convmat: The compiled code cannot be kept in {folder}, so each process compiles it. {elsewhere}: {reason}",
            folder=str(folder),
            elsewhere=_ELSEWHERE,
            reason=described(error),
        )
        _warn_once(folder, told)


def _remove_old(folder: Path) -> None:
    with suppress(OSError):
        files = sorted(folder.glob("convmat-*.code"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[_MOST_FILES:]:
            path.unlink()


def _warn_once(folder: Path, told: Sentence) -> None:
    _tell_once(told.template, str(folder), lambda: warn(told))


def _tell_once(what: str, about: str, tell: Callable[[], None]) -> None:
    if (what, about) not in _told:
        _told.add((what, about))
        tell()
