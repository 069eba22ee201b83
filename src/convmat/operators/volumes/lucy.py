"""Richardson-Lucy over a volume on a disk: two passes an iteration, the data over the image, and its way back to x."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from convmat.operators.base import Operator
from convmat.operators.boxes import Box, Ranges, Read
from convmat.operators.counting import Stopping, check_sensitivity, done_reason, smallest_image, unseen
from convmat.operators.reasons import ZERO
from convmat.operators.solvers.solution import Solution
from convmat.operators.volumes.crew import Done
from convmat.operators.volumes.disk import Disk
from convmat.operators.volumes.job import Job, Side, Stored, named, totals

if TYPE_CHECKING:
    import dask.array as da

_ARRAYS: dict[str, Side] = {"y": "data", "ratio": "data", "x*": "scene"}


def richardson_lucy(
    op: Operator,
    y: da.Array,
    iterations: int,
    rule: Stopping,
    callback: Callable[[int, Any], object] | None,
    stored: Stored,
) -> Solution:
    """See :func:`convmat.richardson_lucy`."""
    job = Job(op, y, "rl", {}, _ARRAYS, stored, True, iterations)
    if job.reason is not None:
        if iterations <= job.iteration or job.reason in (ZERO, rule.reason):
            return job.solution()
        job.reopen()
    sensitivity = op.sensitivity()
    if job.is_new:
        seen = job.run(_See(sensitivity), "scene")
        largest = max(most for _, most in seen)
        check_sensitivity(largest)
        job.fill("x.even", job.survey.total / totals(seen)[0])
        job.commit(0, {"sensitivity": largest})
    if job.survey.total == 0:
        return job.finish(ZERO, True, 0.0)
    return _iterate(job, sensitivity, iterations, rule, callback)


def _iterate(
    job: Job, sensitivity: Read, iterations: int, rule: Stopping, callback: Callable[[int, Any], object] | None
) -> Solution:
    op, numbers = job.op, job.marker.numbers
    floor = smallest_image(op.dtype, op.rounds_globally) * job.survey.largest
    cells = prod(op.out_shape)
    while True:
        done = job.iteration
        divide = _Divide(op, job.folder, named("x", done), job.cut("data").usual, rule, floor, done < iterations)
        squares, misfit = totals(job.run(divide, "data", 0.0, 0.5))
        job.residual = sqrt(squares)
        if rule.asks_discrepancy and misfit <= cells:
            return job.finish(rule.reason, True, job.residual)
        if rule.change is not None and numbers.get("change", float("inf")) <= rule.change:
            return job.finish(rule.reason, True, job.residual)
        if done >= iterations:
            return job.finish(done_reason(iterations, rule), rule.reason is None, job.residual)
        multiply = _Multiply(op, job.folder, done, job.cut("scene").usual, sensitivity, numbers["sensitivity"])
        change, size = totals(job.run(multiply, "scene", 0.5, 0.5))
        numbers = {**numbers, "change": sqrt(change / size) if size else 0.0}
        job.commit(done + 1, numbers)
        if callback is not None:
            callback(done + 1, job.x())


@dataclass(frozen=True)
class _See:
    """Cᵀ1: its sum over a block, and its largest value there."""

    sensitivity: Read

    def __call__(self, ranges: Ranges) -> Done:
        found = self.sensitivity(ranges)
        return Done((float(found.sum(dtype=torch.float64)), float(found.max())), 0, 0)


@dataclass(frozen=True)
class _Divide:
    """The data over the image of x; says how far the two are apart."""

    op: Operator
    folder: Path
    x: str
    usual: tuple[int, ...]
    rule: Stopping
    floor: float
    writes: bool

    def __call__(self, ranges: Ranges) -> Done:
        disk = Disk(self.folder)
        with torch.no_grad():
            image = self.op.box(disk.reader(self.x), Box(ranges, usual=self.usual)).contiguous()
            y = disk.read("y", ranges)
            misfit = float(self.rule.discrepancy(y, image)[0]) * y.numel() if self.rule.asks_discrepancy else 0.0
            squares = squared(y - image)
            if self.writes:
                disk.write("ratio", ranges, y.div_(image.clamp_min_(self.floor)))
        return Done((squares, misfit), disk.read_bytes, disk.written_bytes)


@dataclass(frozen=True)
class _Multiply:
    """The next x; says how far it is from the one before, and how large that is."""

    op: Operator
    folder: Path
    done: int
    usual: tuple[int, ...]
    sensitivity: Read
    largest: float

    def __call__(self, ranges: Ranges) -> Done:
        disk = Disk(self.folder)
        with torch.no_grad():
            step = self.op.T.box(disk.reader("ratio"), Box(ranges, usual=self.usual))
            seen = self.sensitivity(ranges)
            dark = unseen(seen, self.largest)
            step = torch.div(step, seen).clamp_min_(0)
            if dark.any():  # what no data reaches keeps its value
                step[dark] = 1
            before = disk.read(named("x", self.done), ranges)
            after = step.mul_(before)
            disk.write(named("x", self.done + 1), ranges, after)
            size = squared(before)
            sums = squared(before.sub_(after)), size
        return Done(sums, disk.read_bytes, disk.written_bytes)


def squared(x: Tensor) -> float:
    """The sum of the squares, in double precision."""
    wide = torch.complex128 if x.is_complex() else torch.float64
    return float(torch.linalg.vector_norm(x, dtype=wide)) ** 2
