"""Into which blocks a volume is cut, so that those who work at a time keep within the memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod

from convmat.geometry import GeometryError
from convmat.geometry.memory import human
from convmat.operators.base import Operator
from convmat.operators.boxes import Ranges, corners

_CHUNK = 2**18  # cells of a chunk on the disk: a halo reads as few of them as it can, and none of them costs much
_OVERHEAD = 8 * 2**20  # bytes that each task takes whatever its block: buffers of files and transforms
_CACHED = 25 * 2**20  # bytes of the largest transforms that caches hold: others take half as long again for a cell
_TASKS = 4  # that are to keep within the memory together
_HELD_ON = 3.5  # times what a task takes, the allocator may keep when it has been freed


@dataclass(frozen=True)
class Cut:
    """A volume in blocks, each of which is some chunks on the disk.

    Attributes:
        shape: channels and sizes of the volume.
        chunks: sizes of a chunk on the disk.
        block: sizes of a block: a multiple of that; those at the ends may be smaller.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    block: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], pieces: Sequence[int]) -> Cut:
        """A volume in about so many pieces along each axis."""
        channels, sizes = shape[0], shape[1:]
        side = max((_CHUNK / max(channels, 1)) ** (1 / len(sizes)), 1)
        block, chunks = [], []
        for size, count in zip(sizes, pieces, strict=True):
            wanted = -(-size // count)
            per_block = max(round(wanted / side), 1)
            chunks.append(-(-wanted // per_block))
            block.append(chunks[-1] * per_block)
        return cls(shape, tuple(chunks), tuple(block))

    def blocks(self) -> list[Ranges]:
        """The ranges of each block, in row-major order."""
        counts = [-(-size // block) for size, block in zip(self.shape[1:], self.block, strict=True)]
        return [
            tuple(
                (i * block, min((i + 1) * block, size))
                for i, block, size in zip(at, self.block, self.shape[1:], strict=True)
            )
            for at in corners(counts)
        ]

    @property
    def stored(self) -> int:
        """How many cells take room on the disk: chunks at the ends are as large as the others there."""
        return self.shape[0] * prod(-(-size // n) * n for size, n in zip(self.shape[1:], self.chunks, strict=True))

    @property
    def usual(self) -> tuple[int, ...]:
        """The sizes of most blocks: no larger than the volume."""
        return tuple(min(block, size) for block, size in zip(self.block, self.shape[1:], strict=True))

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return prod(-(-size // block) for size, block in zip(self.shape[1:], self.block, strict=True))


@dataclass(frozen=True)
class Blocking:
    """How both sides of an operator are cut, and how many tasks work at a time.

    Attributes:
        data: the blocks of what the operator writes.
        scene: the blocks of what it reads.
        at_a_time: how many tasks work at a time.
        tidies: whether each gives back to the system what the allocator would keep for the next one. That takes time,
            and is done where the memory asks for it.
    """

    data: Cut
    scene: Cut
    at_a_time: int
    tidies: bool


def choose_blocking(op: Operator, memory: int, workers: int, processes: int) -> Blocking:
    """The blocks with which most cells are made in a time, if some tasks keep within the memory together.

    How many and who they are does not change the blocks, for blocks decide how results are rounded.

    Args:
        op: from the scene to the data.
        memory: bytes, for all processes together.
        workers: how many tasks can be computed at a time.
        processes: in how many processes; each keeps spectra of its own.

    Raises:
        GeometryError: if the smallest blocks would take more.
    """
    best: tuple[float, Cut, Cut] | None = None
    smallest = float("inf")
    for pieces in _ways(op):
        data, scene = Cut.of(op.out_shape, pieces), Cut.of(op.in_shape, pieces)
        task, kept = _bytes(op, data, scene)
        smallest = min(smallest, task + kept)
        if _TASKS * (task + kept / 2) > memory:
            if best is None and task + kept <= memory:  # better one at a time than none
                best = 0.0, data, scene
            continue
        work = op.cost(data.usual).work
        if work * op.dtype.itemsize > _CACHED:
            work *= 1.5
        done = prod(data.usual) / work * data.count / (ceil(data.count / _TASKS) * _TASKS)
        if best is None or done > 1.02 * best[0]:  # of about equals, the larger blocks
            best = done, data, scene
        if prod(data.usual) < 0.02 * prod(best[1].usual):
            break
    found = None if best is None else fit(op, best[1], best[2], memory, workers, processes)
    if found is None:
        raise GeometryError.of(
            "memory={memory} is too little: a task takes {smallest} with the smallest blocks, for a kernel of "
            "that reach: more memory, or a smaller PSF, would do",
            memory=human(memory),
            smallest=human(smallest),
        )
    return found


def fit(op: Operator, data: Cut, scene: Cut, memory: int, workers: int, processes: int) -> Blocking | None:
    """As many tasks with such blocks as there are workers, or as keep within the memory together; none, maybe."""
    task, kept = _bytes(op, data, scene)
    left = memory - kept * processes
    count = min(int(left // task), workers)
    return Blocking(data, scene, count, _HELD_ON * task * count > left) if count > 0 else None


def _bytes(op: Operator, data: Cut, scene: Cut) -> tuple[int, int]:
    """What a task holds, and what a process keeps from task to task."""
    forward, adjoint = op.cost(data.usual), op.T.cost(scene.usual)
    of_blocks = 6 * max(prod(data.usual) * op.out_shape[0], prod(scene.usual) * op.in_shape[0])
    task = int(1.1 * max(forward.cells, adjoint.cells, of_blocks)) * op.dtype.itemsize + _OVERHEAD
    return task, (forward.kept + adjoint.kept) * op.dtype.itemsize


def _ways(op: Operator) -> Iterator[tuple[int, ...]]:
    """Numbers of pieces along each axis, from one to so many that blocks are small beside their halos."""
    sizes = [min(pair) for pair in zip(op.out_shape[1:], op.in_shape[1:], strict=True)]
    reach = [a - b + 1 for a, b in zip(op.cost((1,) * len(sizes)).read, (1,) * len(sizes), strict=True)]
    pieces = [1] * len(sizes)
    while True:
        yield tuple(pieces)
        blocks = [size / count for size, count in zip(sizes, pieces, strict=True)]
        ratios = [block / r if block > 1 else 0 for block, r in zip(blocks, reach, strict=True)]
        a = max(range(len(sizes)), key=ratios.__getitem__)
        if ratios[a] < 0.25 or blocks[a] <= 1:
            return
        pieces[a] += 1 if pieces[a] < 16 else pieces[a] // 8
