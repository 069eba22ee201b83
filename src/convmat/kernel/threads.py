"""Let several threads work on one task.

A task says itself what is left to do, so any number of threads may take part, in any order. They are those of PyTorch's
own OpenMP pool, so that no two pools get in each other's way; where it cannot be reached, threads of Python, which the
compiled functions do not hold up.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import RLock, Thread
from typing import Any

import torch

CompiledFunction = Callable[[int], None]
_function_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_state = {"forked": False}


def in_forked_child(do: Callable[[], None]) -> None:
    """Have something done first in every forked child, which has none of the threads of its parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=do)


def fork_safe_lock() -> Any:
    """A lock that no other thread holds while a process is forked, so that no child waits for it forever.

    A fork waits for the thread that holds it. It must be one that lives as long as the process. The thread that holds
    it may take it again: it may be this one that forks, in a signal handler or a destructor.
    """
    lock = RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


@in_forked_child
def _note_fork() -> None:
    """Entering the pool of the parent's threads would wait for them forever."""
    _state["forked"] = True


def is_forked() -> bool:
    """Whether this process is a forked child, in which nothing may enter PyTorch's OpenMP pool."""
    return _state["forked"]


@contextmanager
def outside_the_pool() -> Iterator[None]:
    """Let PyTorch's own operations stay in this thread, where its pool is not to be entered."""
    threads = torch.get_num_threads()
    if not is_forked() or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def thread_count() -> int:
    """How many threads PyTorch computes with here and now."""
    return 1 if is_forked() else int(torch.get_num_threads())


def runner(address: int) -> Callable[[int, int], None]:
    """A function of the address of a task and a number of threads, that runs the compiled function at an address."""
    call = _function_type(address)
    parallel = _openmp_parallel()

    def run(task: int, threads: int) -> None:
        if threads == 1:
            call(task)
        elif parallel is not None:
            parallel(address, task, threads, 0)
        else:
            _helpers.run(call, task, threads)

    return run


def thread_number_address() -> int:
    """The address of ``omp_get_thread_num`` of the pool, 0 where the threads are Python's."""
    if _openmp_parallel() is None:
        return 0
    return ctypes.cast(_openmp().omp_get_thread_num, ctypes.c_void_p).value or 0


@cache
def _openmp_parallel() -> Any:
    """``GOMP_parallel(function, data, threads, flags)``, if there is a pool."""
    library = _openmp()
    if library is None:
        return None
    parallel = library.GOMP_parallel
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None
    return parallel


@cache
def _openmp() -> Any:
    """The OpenMP library that PyTorch computes with.

    PyTorch itself found it among the symbols that all libraries share, if it is there: another library that was
    preloaded (Intel's, as ``torch.backends.xeon.run_cpu`` does) takes the place of the one in PyTorch's own folder.
    """
    own = sorted(Path(torch.__file__).parent.glob("lib/lib*omp*.so*"))
    for path in (None, *map(str, own)):
        try:
            library = ctypes.CDLL(path, mode=getattr(os, "RTLD_NOLOAD", 0))
        except (OSError, TypeError):  # not loaded, or no shared symbols (Windows)
            continue
        if hasattr(library, "GOMP_parallel") and hasattr(library, "omp_get_thread_num"):  # else another OpenMP
            return library
    return None


class _Helpers:
    """Threads of Python that help the calling thread: as many as were ever asked for at once, started when needed.

    They are kept, as starting threads in every call would cost more than they save.
    """

    def __init__(self) -> None:
        self._forget()
        in_forked_child(self._forget)

    def _forget(self) -> None:
        """Begin without threads."""
        self._work: SimpleQueue[tuple[Future[None], CompiledFunction, int]] = SimpleQueue()
        self._threads: list[Thread] = []

    def run(self, call: CompiledFunction, task: int, threads: int) -> None:
        """Work on a task in so many threads, or fewer where they are busy or cannot be started."""
        self._start(threads - 1)
        parts: list[Future[None]] = [Future() for _ in self._threads[: threads - 1]]
        for part in parts:
            self._work.put((part, call, task))
        call(task)  # when this returns, nothing is left to begin
        for part in parts:
            if not part.cancel():
                part.result()

    def _start(self, count: int) -> None:
        while len(self._threads) < count:
            thread = Thread(target=_help, args=(self._work,), name="convmat", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no more, or Python is shutting down
                return
            self._threads.append(thread)


def _help(work: SimpleQueue[tuple[Future[None], CompiledFunction, int]]) -> None:
    while True:
        part, call, task = work.get()
        if part.set_running_or_notify_cancel():
            call(task)
            part.set_result(None)


_helpers = _Helpers()
