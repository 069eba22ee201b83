"""Machine code: compiled by Numba, and kept on the disk for later processes.

Whatever is wrong with the files, Numba's own cache ends the compilation with an exception. Here, what cannot be read is
compiled again, and what cannot be written serves this process alone.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.ccallback import CFunc
from numba.core.serialize import dumps

from convmat.geometry import Sentence
from convmat.kernel.notices import described, say, warn

_SIGNATURE = (types.voidptr,), types.void  # arguments, result
_ELSEWHERE = Sentence("Set NUMBA_CACHE_DIR to a folder that can be written to")
_ONCE = Sentence("once for this processor")
_EACH_TIME = Sentence("again in every process. {elsewhere}", elsewhere=_ELSEWHERE)
_told: set[tuple[str, str]] = set()


def compile_or_load(function: Callable[[Any], None], kind: str) -> Any:
    """Compile a Python function of one address, or load what an earlier process compiled.

    Args:
        function: it is found again by its name, its code and the variables of its closure, not by its globals.
        kind: what it computes with; that it is compiled is told once for each kind.

    Returns:
        A C function of Numba's, whose address is its ``address``.
    """
    cache = _open(function, kind)
    compiled: Any = CFunc(function, _SIGNATURE, locals={}, options={})
    if cache is None:
        _tell_once("compiling", kind, lambda: say(_compiling(kind, _EACH_TIME)))
    else:
        compiled._cache = cache
    compiled.compile()
    return compiled


def _open(function: Callable[[Any], None], kind: str) -> _Cache | None:
    try:
        cache = _Cache(function)
    except Exception:  # no folder can be written to
        return None
    cache.kind = kind
    return cache


class _Code(CompileResultCacheImpl):  # type: ignore[misc]
    """Compiled code as bytes, with a digest: a file that lost some of its blocks may look whole, and would be run."""

    def reduce(self, data: Any) -> tuple[bytes, bytes]:
        content = dumps(super().reduce(data))
        return hashlib.sha256(content).digest(), content

    def rebuild(self, target_context: Any, payload: tuple[bytes, bytes]) -> Any:
        digest, content = payload
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("its content has changed since it was written")
        return super().rebuild(target_context, pickle.loads(content))


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function, which never raises an exception."""

    _impl_class = _Code
    kind = ""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        loaded = None
        try:
            loaded = super().load_overload(sig, target_context)
        except Exception as error:
            self._remove()
            self._warn(
                Sentence(
                    "convmat: The compiled code in {folder} cannot be read, so it is compiled again: {reason}",
                    folder=self.cache_path,
                    reason=described(error),
                )
            )
        if loaded is None:
            _tell_once("compiling", self.kind, lambda: say(_compiling(self.kind, _ONCE)))
        return loaded

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:
            self._warn(
                Sentence(
                    "convmat: The compiled code cannot be kept in {folder}, so each process compiles it. {elsewhere}: "
                    "{reason}",
                    folder=self.cache_path,
                    elsewhere=_ELSEWHERE,
                    reason=described(error),
                )
            )

    def _remove(self) -> None:
        """Remove the files of this function, so that the next process finds new ones or none."""
        for path in Path(self.cache_path).glob(f"{self._impl.filename_base}.*nb[ic]"):
            with suppress(OSError):
                path.unlink()

    def _warn(self, told: Sentence) -> None:
        _tell_once(told.template, self.cache_path, lambda: warn(told))


def _compiling(kind: str, how_often: Sentence) -> Sentence:
    return Sentence(
        "convmat: compiling its kernel for {kind}, {how_often}; it takes some seconds", kind=kind, how_often=how_often
    )


def _tell_once(what: str, about: str, tell: Callable[[], None]) -> None:
    if (what, about) not in _told:
        _told.add((what, about))
        tell()
