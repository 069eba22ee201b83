"""LSMR and conjugate gradients over a volume on a disk: the recurrences of ``solvers``, vectors in blocks.

Each pass makes vectors as sums of others, of which one may be mapped by the operator: that is all the two need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from convmat.geometry import GeometryError
from convmat.operators.base import Operator
from convmat.operators.boxes import Box, Ranges
from convmat.operators.reasons import CONSISTENT, LEAST_SQUARES, NORMAL_EQUATIONS, ROUNDING, ZERO_SIDE, Reason
from convmat.operators.solvers import lsmr as paige
from convmat.operators.solvers.solution import Solution
from convmat.operators.volumes.crew import Done
from convmat.operators.volumes.disk import Disk
from convmat.operators.volumes.job import Job, Side, Stored, named, totals
from convmat.operators.volumes.lucy import squared

if TYPE_CHECKING:
    import dask.array as da

Callback = Callable[[int, Any], object]
_LSMR: dict[str, Side] = {
    "y": "data",
    "u*": "data",
    "v*": "scene",
    "h*": "scene",
    "hbar*": "scene",
    "x*": "scene",
}
_CG: dict[str, Side] = {"y": "data", "q": "data", "r*": "data", "s": "scene", "p*": "scene", "x*": "scene"}


def solve(
    op: Operator,
    y: da.Array,
    method: str,
    damp: float,
    tol: float,
    maxiter: int,
    callback: Callback | None,
    stored: Stored,
) -> Solution:
    """See :meth:`ConvOperator.solve`."""
    job = Job(op, y, method, {"damp": damp}, _LSMR if method == "lsmr" else _CG, stored, False, maxiter)
    if job.reason is not None:
        if not job.marker.converged and maxiter > job.iteration:
            raise GeometryError.of(
                "store={folder!r} ended at iteration {iteration}, and its vectors are gone: start anew with "
                "overwrite=True, and all iterations at once",
                folder=str(job.folder),
                iteration=job.iteration,
            )
        return job.solution()
    limit = max(tol, float(torch.finfo(op.dtype).eps))
    reason = (_lsmr if method == "lsmr" else _cg)(_StoredVectors(job), damp, tol, limit, maxiter, callback)
    vectors = _StoredVectors(job)
    (residual,) = vectors.make("data", (None, [(1.0, "y"), (-1.0, f"op {named('x', job.iteration)}")]))
    return job.finish(reason, reason != Reason("maxiter", most=maxiter), residual)


def _lsmr(
    vectors: _StoredVectors, damp: float, tol: float, limit: float, maxiter: int, callback: Callback | None
) -> Reason:
    """Iterate; why it ended. On the disk, u and v are kept without being divided by their norms."""
    job = vectors.job
    if job.is_new:
        beta = sqrt(job.survey.squares)
        (alpha,) = vectors.make("scene", ("v.even", [(_over(1, beta), "adj y")]))
        vectors.make("scene", ("h.even", [(_over(1, alpha), "v.even")]))
        numbers = paige.Recurrence.of(*(np.array([n]) for n in (alpha, beta, beta, damp)))
        job.commit(0, {"beta": beta, **_plain(numbers)})
    beta, numbers = _recurrence(job.marker.numbers)
    if job.iteration == 0:
        for reason, done in paige.at_once(numbers.alpha, np.array([beta]), numbers.size, tol):
            if done[0]:
                return reason
    while True:
        k, alpha = job.iteration, float(numbers.alpha[0])
        job.residual = float(numbers.norm_r[0])
        if k and numbers.is_consistent(limit)[0]:
            return CONSISTENT
        if k and numbers.is_least_squares(limit)[0]:
            return LEAST_SQUARES
        if k >= maxiter:
            return Reason("maxiter", most=maxiter)
        u, v, h, hbar, x = (named(name, k) for name in ("u", "v", "h", "hbar", "x"))
        u = u if k else "y"
        u2, v2, h2, hbar2, x2 = (named(name, k + 1) for name in ("u", "v", "h", "hbar", "x"))
        terms = [(_over(1, alpha), f"op {v}"), (-_over(alpha, beta), u)]
        (beta,) = vectors.make("data", (u2, terms), start=0.0, share=0.4)
        terms = [(_over(1, beta), f"adj {u2}"), (-_over(beta, alpha), v)]
        (alpha,) = vectors.make("scene", (v2, terms), start=0.4, share=0.4)
        factors = numbers.advance(np.array([beta]), np.array([alpha]))
        _, size, _ = vectors.make(
            "scene",
            (hbar2, [(1.0, h), (float(factors.hbar[0]), hbar)]),
            (x2, [(1.0, x), (float(factors.x[0]), hbar2)]),
            (h2, [(_over(1, alpha), v2), (float(factors.h[0]), h)]),
            start=0.8,
            share=0.2,
        )
        numbers.norm_x = np.array([size])
        job.commit(k + 1, {"beta": beta, **_plain(numbers)})
        if callback is not None:
            callback(k + 1, job.x())


def _cg(
    vectors: _StoredVectors, damp: float, tol: float, limit: float, maxiter: int, callback: Callback | None
) -> Reason:
    """Iterate; why it ended."""
    job, eps = vectors.job, float(torch.finfo(vectors.job.op.dtype).eps)
    if job.is_new:
        (size,) = vectors.make("scene", ("p.even", [(1.0, "adj y")]))
        job.commit(0, {"size": size, "gamma": size**2, "norm_n": 0.0, "norm_x": 0.0})
    numbers = job.marker.numbers
    size, gamma, norm_n, norm_x = (numbers[name] for name in ("size", "gamma", "norm_n", "norm_x"))
    while True:
        k = job.iteration
        if size == 0:
            return ZERO_SIDE
        if sqrt(gamma) <= limit * size:
            return NORMAL_EQUATIONS
        if sqrt(gamma) <= 4 * eps * norm_n * norm_x:
            return ROUNDING
        if k >= maxiter:
            return Reason("maxiter", most=maxiter)
        r, p, x = named("r", k) if k else "y", named("p", k), named("x", k)
        r2, p2, x2 = (named(name, k + 1) for name in ("r", "p", "x"))
        (image,) = vectors.make("data", ("q", [(1.0, f"op {p}")]), share=0.4)
        squared_p = vectors.size("scene", p) ** 2
        curvature = image**2 + damp**2 * squared_p
        norm_n = max(norm_n, _over(curvature, squared_p))
        step = _over(gamma, curvature)
        (job.residual,) = vectors.make("data", (r2, [(1.0, r), (-step, "q")]), start=0.4, share=0.1)
        norm_x, gradient = vectors.make(
            "scene",
            (x2, [(1.0, x), (step, p)]),
            ("s", [(1.0, f"adj {r2}"), (-(damp**2), x2)]),
            start=0.5,
            share=0.4,
        )
        before, gamma = gamma, gradient**2
        vectors.make("scene", (p2, [(1.0, "s"), (_over(gamma, before), p)]), start=0.9, share=0.1)
        job.commit(k + 1, {"size": size, "gamma": gamma, "norm_n": norm_n, "norm_x": norm_x})
        if callback is not None:
            callback(k + 1, job.x())


def _over(a: float, b: float) -> float:
    return a / b if b else 0.0


def _plain(numbers: paige.Recurrence) -> dict[str, float]:
    return {name: float(value[0]) for name, value in asdict(numbers).items()}


def _recurrence(numbers: dict[str, float]) -> tuple[float, paige.Recurrence]:
    rest = dict(numbers)
    beta = rest.pop("beta")
    return beta, paige.Recurrence(**{name: np.array([value]) for name, value in rest.items()})


# A vector as a sum: where it is written, and its terms, each a factor and a name. "op v" is v mapped, "adj u" mapped
# back; a name may be one made before in the same pass, unless it is mapped. Written nowhere, its norm alone is asked.
Combination = tuple[str | None, Sequence[tuple[float, str]]]


@dataclass(frozen=True)
class _StoredVectors:
    """Makes vectors from others."""

    job: Job

    def make(self, side: Side, *sums: Combination, start: float = 0.0, share: float = 1.0) -> list[float]:
        """Make vectors of a side, in one pass; their norms."""
        task = _Add(self.job.op, self.job.folder, self.job.cut(side).usual, sums)
        return [sqrt(squares) for squares in totals(self.job.run(task, side, start, share))]

    def size(self, side: Side, name: str) -> float:
        """The norm of a vector."""
        (found,) = self.make(side, (None, [(1.0, name)]), start=0.4, share=0.0)
        return found


@dataclass(frozen=True)
class _Add:
    """Makes a block of each of some sums; says their squares."""

    op: Operator
    folder: Path
    usual: tuple[int, ...]
    sums: tuple[Combination, ...]

    def __call__(self, ranges: Ranges) -> Done:
        disk, made, squares = Disk(self.folder), dict[str, Tensor](), []
        with torch.no_grad():
            for name, terms in self.sums:
                total: Tensor | None = None
                for factor, of in terms:
                    term = self._term(disk, of, ranges, made)
                    total = term * factor if total is None else total.add_(term, alpha=factor)
                assert total is not None
                squares.append(squared(total))
                if name is not None:
                    disk.write(name, ranges, total)
                    made[name] = total
        return Done(tuple(squares), disk.read_bytes, disk.written_bytes)

    def _term(self, disk: Disk, of: str, ranges: Ranges, made: dict[str, Tensor]) -> Tensor:
        way, _, name = of.rpartition(" ")
        if way:
            op = self.op if way == "op" else self.op.H
            return op.box(disk.reader(name), Box(ranges, usual=self.usual))
        if of not in made:
            made[of] = disk.read(of, ranges)
        return made[of]
