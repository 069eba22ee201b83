"""One volume being solved for: its folder, the passes over its blocks, and its end."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from convmat.geometry import GeometryError, Sentence, shown
from convmat.operators.base import Operator
from convmat.operators.blocks import numpy_dtype
from convmat.operators.extras import needed
from convmat.operators.reasons import Reason
from convmat.operators.solvers.solution import Solution
from convmat.operators.volumes.copying import Survey, copy
from convmat.operators.volumes.crew import Crew, Done, Task
from convmat.operators.volumes.cutting import Blocking, Cut, choose_blocking, fit
from convmat.operators.volumes.disk import Disk, check_room, create, tidy
from convmat.operators.volumes.marker import Marker, hash_of, parity, telling_what_is_kept

if TYPE_CHECKING:
    import dask.array as da

Side = Literal["data", "scene"]
_RESULT = "x"


@dataclass(frozen=True)
class Progress:
    """How far a job is, after a block.

    Attributes:
        iteration: the one at work, from 1 on; 0 while the data are copied, and the last one + 1 when it is checked.
        iterations: how many at most.
        part: how much of it is done, 0 to 1.
        read: bytes read so far.
        written: bytes written so far.
        residual: the norm of ``y - op @ x`` as last known, or ``None``.
    """

    iteration: int
    iterations: int
    part: float
    read: int
    written: int
    residual: float | None


@dataclass(frozen=True)
class Stored:
    """Where and within what a volume is solved for.

    Args:
        store: the folder for what is kept on the disk.
        memory: bytes, or a text as ``"2GiB"``: of all processes together.
        overwrite: whether to delete what an earlier call left there.
        resume: whether to go on with it.
        watch: called after each block.
    """

    store: str | os.PathLike[str] | None
    memory: int | str = "2GiB"
    overwrite: bool = False
    resume: bool = False
    watch: Callable[[Progress], object] | None = None

    def bytes(self) -> int:
        """The memory as a number."""
        try:
            found = needed("dask.utils").parse_bytes(self.memory)
        except (ValueError, AttributeError):
            found = 0
        if isinstance(self.memory, bool) or not found > 0:
            raise GeometryError.of(
                "memory={memory} must be a number of bytes, or a text as '2GiB'", memory=shown(self.memory)
            )
        return int(found)


class Job:
    """A volume that is being solved for.

    Args:
        op: from the scene to the data, or the other way round if it is a transposed one.
        y: of shape op.out_shape.
        method: its name.
        parameters: what else decides about the numbers.
        arrays: the names of the arrays to work with, and on which side they are. A name that ends in ``*`` is of two
            arrays, of even and of odd iterations.
        stored: where.
        counts: whether data must not be negative.
        iterations: the most.

    Attributes:
        iteration: the last that is whole.
        survey: of the data.
    """

    def __init__(
        self,
        op: Operator,
        y: da.Array,
        method: str,
        parameters: dict[str, Any],
        arrays: dict[str, Side],
        stored: Stored,
        counts: bool,
        iterations: int,
    ) -> None:
        if stored.store is None:
            raise GeometryError("store is missing: of a dask array, x is kept in a folder, as in store='x.zarr'")
        if stored.overwrite and stored.resume:
            raise GeometryError("overwrite and resume exclude each other: start anew, or go on")
        if y.shape != op.out_shape:
            raise GeometryError(
                f"y of shape {y.shape} does not go with an operator from {op.in_shape} to {op.out_shape}: need y of "
                "the latter; a batch is solved item by item, each with a store of its own"
            )
        if y.dtype != (dtype := numpy_dtype(op.dtype)):
            raise GeometryError.of(
                "y is {dtype} and the operator {of_operator}: they should be the same; y.astype would do",
                dtype=y.dtype,
                of_operator=dtype,
            )
        self.op, self._y, self._stored, self._counts = op, y, stored, counts
        self.iterations = iterations
        self.folder, self._memory = Path(stored.store), stored.bytes()
        self.residual: float | None = None
        self._arrays = _pairs(arrays)
        self._crew = Crew()
        self._read = self._written = 0
        self.marker, self._blocking = self._open(hash_of(op, method, parameters))
        if self.marker.reason is None and (self.folder / _RESULT).exists():  # killed while it ended
            os.replace(self.folder / _RESULT, self.folder / named("x", self.iteration))
        self.survey = self._data()

    # -- opening -------------------------------------------------------------------------------------------------------

    def _open(self, problem: str) -> tuple[Marker, Blocking]:
        workers = self._crew.workers()
        known = self._find(problem)
        if known is not None:
            data, scene = (Cut(**{k: tuple(v) for k, v in known.blocks[side].items()}) for side in ("data", "scene"))
            going_on = fit(self.op, data, scene, self._memory, *workers)
            if going_on is None:
                raise GeometryError.of(
                    "memory={memory} is too little for the blocks that {folder!r} was begun with: as much as then "
                    "would do",
                    memory=shown(self._stored.memory),
                    folder=str(self.folder),
                )
            return known, going_on
        found = choose_blocking(self.op, self._memory, *workers)
        if not self.folder.resolve().parent.is_dir():
            raise GeometryError(f"store={str(self.folder)!r}: there is no folder {str(self.folder.resolve().parent)!r}")
        cells = {"data": found.data.stored, "scene": found.scene.stored}
        if self.folder.exists():
            shutil.rmtree(self.folder)
        check_room(self.folder, {name: (cells[side], self.op.dtype.itemsize) for name, side in self._arrays.items()})
        self.folder.mkdir()
        cuts = {side: {k: list(v) for k, v in asdict(getattr(found, side)).items()} for side in ("data", "scene")}
        marker = Marker(problem, cuts)
        marker.write(self.folder)
        return marker, found

    def _find(self, problem: str) -> Marker | None:
        """The marker of what is to go on, checked; ``None`` if it is to begin."""
        if not self.folder.exists():
            return None
        try:
            marker = Marker.read(self.folder)
        except (OSError, ValueError, TypeError):
            raise GeometryError.of(
                "store={folder!r} exists and is none that convmat made: name another, or remove it yourself",
                folder=str(self.folder),
            ) from None
        if self._stored.resume:
            if marker.problem != problem:
                raise GeometryError.of(
                    "store={folder!r} was begun with another operator, PSF, method or damping: resume goes on with the "
                    "same only; overwrite starts anew",
                    folder=str(self.folder),
                )
            return None if marker.iteration is None else marker
        if not self._stored.overwrite:
            begun = Sentence("iteration {iteration} is whole", iteration=marker.iteration)
            at = Sentence("its data are not whole") if marker.iteration is None else begun
            raise GeometryError.of(
                "store={folder!r} exists, {at}: resume=True goes on with it, overwrite=True starts anew",
                folder=str(self.folder),
                at=at,
            )
        return None

    def _data(self) -> Survey:
        """Copy the data, or look whether they are the same."""
        disk, marker = Disk(self.folder), self.marker
        if marker.iteration is None:
            self._create(*self._arrays)
        copied = "y" if marker.iteration is None else None
        with self._room_on_disk():
            survey = copy(self._y, disk, copied, self._memory, self._counts)
        self._written += disk.written_bytes
        if marker.data is None:
            marker.data = asdict(survey)
        elif marker.data["fingerprint"] != survey.fingerprint:
            raise GeometryError.of(
                "store={folder!r} was begun with other data: resume goes on with the same only; overwrite starts anew",
                folder=str(self.folder),
            )
        return Survey(**marker.data)

    def _create(self, *names: str) -> None:
        dtype = numpy_dtype(self.op.dtype)
        for name in names:
            cut = self.cut(self._arrays[name])
            create(self.folder, name, cut.shape, (cut.shape[0], *cut.chunks), dtype)

    # -- passes --------------------------------------------------------------------------------------------------------

    def cut(self, side: Side) -> Cut:
        """The blocks of a side."""
        return self._blocking.data if side == "data" else self._blocking.scene

    def fill(self, name: str, value: float) -> None:
        """Let an array hold one number everywhere."""
        cut = self.cut(self._arrays[name])
        create(self.folder, name, cut.shape, (cut.shape[0], *cut.chunks), numpy_dtype(self.op.dtype), value)

    def run(self, task: Task, side: Side, start: float = 0.0, share: float = 1.0) -> list[tuple[float, ...]]:
        """A pass over the blocks of a side; the sums of its tasks, in the order of the blocks.

        Args:
            task: for each block.
            side: whose blocks.
            start: how much of the iteration was done before this pass.
            share: how much of the iteration this pass is.
        """
        blocks, count = self.cut(side).blocks(), 0

        def told(done: Done) -> None:
            nonlocal count
            count += 1
            self._read += done.read
            self._written += done.written
            self._tell(start + share * count / len(blocks))

        with self._room_on_disk():
            found = self._crew.run(task, blocks, self._blocking, told)
        return [done.sums for done in found]

    def _tell(self, part: float) -> None:
        if self._stored.watch is not None:
            following = 0 if self.marker.iteration is None else self.marker.iteration + 1
            self._stored.watch(Progress(following, self.iterations, part, self._read, self._written, self.residual))

    def _room_on_disk(self) -> AbstractContextManager[None]:
        return telling_what_is_kept(self.folder, self.marker)

    @property
    def iteration(self) -> int:
        """The last iteration that is whole."""
        return self.marker.iteration or 0

    @property
    def is_new(self) -> bool:
        """Whether nothing is whole yet."""
        return self.marker.iteration is None

    def commit(self, iteration: int, numbers: dict[str, Any] | None = None) -> None:
        """Say that an iteration is whole: from now on the other arrays may be written over."""
        self.marker.iteration, self.marker.whole = iteration, parity(iteration)
        self.marker.numbers = numbers or {}
        self.marker.write(self.folder)

    # -- the end -------------------------------------------------------------------------------------------------------

    def x(self) -> da.Array:
        """The volume as it stands."""
        ended = self.folder / _RESULT
        path = ended if ended.exists() else self.folder / named("x", self.iteration)
        cut = self.cut("scene")
        return needed("dask.array").from_zarr(str(path), chunks=(cut.shape[0], *cut.block))

    def reopen(self) -> None:
        """Go on with what has ended, with more iterations; of all vectors x and the data are to be had again."""
        shutil.rmtree(self.folder / named("x", self.iteration), ignore_errors=True)
        self._create(*(name for name in self._arrays if name != named("x", self.iteration)))
        with self._room_on_disk():
            copy(self._y, Disk(self.folder), "y", self._memory, self._counts)
        os.replace(self.folder / _RESULT, self.folder / named("x", self.iteration))
        self.marker.reason = None
        self.marker.write(self.folder)

    def finish(self, reason: Reason, converged: bool, residual: float) -> Solution:
        """Keep x, under that name, and nothing else."""
        if not (self.folder / _RESULT).exists():
            os.replace(self.folder / named("x", self.iteration), self.folder / _RESULT)
        tidy(self.folder / _RESULT)
        self.marker.reason, self.marker.converged = {"key": reason.key, **reason.values}, converged
        self.marker.numbers["residual"] = residual
        self.marker.write(self.folder)
        for name in self._arrays:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.solution()

    @property
    def reason(self) -> Reason | None:
        """Why it ended, if it did."""
        return None if self.marker.reason is None else Reason(**self.marker.reason)

    def solution(self) -> Solution:
        """What was found, when it has ended."""
        reason, converged = self.reason, self.marker.converged
        if not converged:
            told = Sentence("the solution did not converge: {reason}", reason=reason)
            warnings.warn(told, RuntimeWarning, stacklevel=5)
        return Solution(
            x=self.x(),
            iterations=torch.tensor(self.iteration),
            residual=torch.tensor(self.marker.numbers["residual"], dtype=torch.float64),
            reason=reason,
            converged=torch.tensor(converged),
        )


def totals(sums: list[tuple[float, ...]]) -> list[float]:
    """The sums of all blocks, added in their order: rounded in one way, whoever was first."""
    return [sum(column) for column in zip(*sums, strict=True)]


def named(name: str, iteration: int) -> str:
    """The array that an iteration's values of a name are kept in."""
    return f"{name}.{parity(iteration)}"


def _pairs(arrays: dict[str, Side]) -> dict[str, Side]:
    found: dict[str, Side] = {}
    for name, side in arrays.items():
        names = [name[:-1] + which for which in (".even", ".odd")] if name.endswith("*") else [name]
        found.update(dict.fromkeys(names, side))
    return found
