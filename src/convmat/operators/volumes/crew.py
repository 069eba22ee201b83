"""Who computes: dask's scheduler of the moment, on this machine or on a cluster."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from convmat.operators.boxes import Ranges, one_thread
from convmat.operators.extras import needed
from convmat.operators.volumes.cutting import Blocking


@dataclass(frozen=True)
class Done:
    """What a task says of its block: sums over it, and how many bytes it read and wrote."""

    sums: tuple[float, ...]
    read: int
    written: int


class Task(Protocol):
    """What is done with one block; it is sent to other processes."""

    def __call__(self, ranges: Ranges) -> Done:
        """Do it."""


class Crew:
    """Computes the blocks of a pass, some at a time.

    Who does is what dask says: the scheduler that was set, a ``distributed.Client`` that was made, else threads.
    """

    def __init__(self) -> None:
        base = needed("dask.base")
        self._get = base.get_scheduler() or needed("dask.threaded").get
        owner = getattr(self._get, "__self__", None)
        self._client = owner if type(owner).__module__.startswith("distributed") else None

    @property
    def is_cluster(self) -> bool:
        """Whether others compute."""
        return self._client is not None

    def workers(self) -> tuple[int, int]:
        """How many tasks can be computed at a time, and in how many processes."""
        if self._client is not None:
            threads = self._client.nthreads().values()
            return max(sum(threads), 1), max(len(threads), 1)
        dask = needed("dask")
        if self._get is dask.get:
            return 1, 1
        count = dask.config.get("num_workers", None) or needed("dask.system").CPU_COUNT
        return count, 1 if self._get is needed("dask.threaded").get else count

    def run(
        self, task: Task, blocks: Sequence[Ranges], blocking: Blocking, watch: Callable[[Done], None] | None = None
    ) -> list[Done]:
        """Do a task for each block; what is said of them comes in the order of the blocks.

        Args:
            task: for one block.
            blocks: all of them.
            blocking: says how many to begin before one has ended.
            watch: called when a block is done.
        """
        told = watch or (lambda done: None)
        alone = _Alone(task, blocking.tidies)
        if self._client is not None:
            return self._on_cluster(alone, blocks, blocking.at_a_time, told)
        graph = {("block", i): (alone, ranges) for i, ranges in enumerate(blocks)}
        told_of = needed("dask.callbacks").Callback(posttask=lambda key, done, *others: told(done))
        with told_of:
            found: Sequence[Done] = self._get(graph, list(graph), num_workers=blocking.at_a_time)
        return list(found)

    def _on_cluster(
        self, task: Task, blocks: Sequence[Ranges], at_a_time: int, told: Callable[[Done], None]
    ) -> list[Done]:
        """Send some, and another one whenever one has come back: dask sends tasks again whose worker has died."""
        client: Any = self._client
        found: dict[int, Done] = {}
        numbers: dict[Any, int] = {}
        waiting = iter(enumerate(blocks))

        def send(count: int) -> list[Any]:
            sent = []
            for number, ranges in islice(waiting, count):
                sent.append(client.submit(task, ranges, pure=False))
                numbers[sent[-1].key] = number
            return sent

        running = needed("distributed").as_completed(send(at_a_time))
        for future in running:
            done = future.result()
            found[numbers.pop(future.key)] = done
            future.release()
            told(done)
            running.update(send(1))
        return [found[number] for number in range(len(blocks))]


@dataclass(frozen=True)
class _Alone:
    """A task with one thread of PyTorch: there are many tasks, and each rounds in the same way wherever it is done."""

    task: Task
    tidies: bool

    def __call__(self, ranges: Ranges) -> Done:
        if self.tidies:
            _let_go_at_once()
        with one_thread(always=True):
            return self.task(ranges)


def _let_go_at_once() -> None:
    """Let glibc give freed blocks back to the system, as it does in the beginning: it would learn to keep larger ones.

    That lasts as long as the process. Other allocators do not keep as much.
    """
    choose = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if choose is not None:
        choose(_MMAP_THRESHOLD, 2**18)


_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
