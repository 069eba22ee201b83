"""The largest singular value of an operator from products with it and its adjoint: Golub-Kahan bidiagonalisation.

Golub and Kahan (1965), "Calculating the singular values and pseudo-inverse of a matrix". Nothing is reorthogonalised:
what rounding then adds are copies of singular values that are there already, which the largest one does not mind. So
no more than four vectors are kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convmat.geometry import GeometryError, Sentence
from convmat.operators.base import Operator

_MOST_STEPS = 1000
_EVERY = 4  # steps from one look at the convergence to the next


class Top(NamedTuple):
    """The largest singular value.

    Attributes:
        value: ``|C v|`` of a unit vector v, so no more than the norm, but for rounding.
        error: the relative residual: a singular value lies as near as that.
        right: the weights of the steps' vectors in v.
        seed: of the random vector that the steps began with.
    """

    value: float
    error: float
    right: npt.NDArray[np.float64]
    seed: int


def largest(op: Operator, tol: float, seed: int = 0) -> Top:
    """The largest singular value to a relative error of ``tol``.

    The residual of the best vector shows that *a* singular value lies as near as that. That it is the largest one is
    all but sure, since the first vector is random: it would have to have almost nothing of the largest's vector.
    Nothing sharper is concluded from the residual: the usual way (its square over the distance to the next value) is
    wrong where several values lie close together at the top, and in convolutions they do.
    """
    diagonal: list[float] = []
    beside: list[float] = []
    top = Top(0.0, float("inf"), np.ones(1), seed)
    for step, (_, alpha, beta) in enumerate(_steps(op, seed), start=1):
        diagonal.append(alpha)
        beside.append(beta)
        ended = beta <= 1e-3 * torch.finfo(op.dtype).eps * max(diagonal) or step == _MOST_STEPS
        if step % _EVERY and not ended:
            continue
        top = _ritz(diagonal, beside, seed)
        if top.error <= tol or ended:
            break
    if top.error > tol and len(diagonal) >= _MOST_STEPS:
        warnings.warn(
            Sentence(
                "the norm has not converged after {steps} steps: {value:.6g}, relative error about {error:.1e}; a "
                "larger tol or float64 would do",
                steps=_MOST_STEPS,
                value=top.value,
                error=top.error,
            ),
            RuntimeWarning,
            stacklevel=2,
        )
    return top


def right_vector(op: Operator, top: Top) -> Tensor:
    """The right singular vector of a largest singular value, of shape (1, *in_shape): the steps are made again."""
    total = torch.zeros(1, *op.in_shape, dtype=op.dtype, device=op.device)
    for (vector, _, _), weight in zip(_steps(op, top.seed), top.right, strict=False):
        total += vector * float(weight)
    return total / torch.linalg.vector_norm(total)


def _ritz(diagonal: list[float], beside: list[float], seed: int) -> Top:
    """The largest singular value of the bidiagonal matrix B, from the tridiagonal ``BᵀB``.

    SciPy finds the last eigenvalue of that quickly, and squares do the largest values no harm.
    """
    from scipy.linalg import eigh_tridiagonal

    alpha, beta = np.array(diagonal), np.array(beside)
    squares = alpha**2
    squares[1:] += beta[:-1] ** 2
    last = (len(alpha) - 1,) * 2
    found, vectors = eigh_tridiagonal(squares, alpha[:-1] * beta[:-1], select="i", select_range=last)
    value, right = float(max(found[0], 0.0)) ** 0.5, vectors[:, 0]
    if value == 0:
        return Top(0.0, 0.0, right, seed)
    return Top(value, float(beta[-1] * alpha[-1] * abs(right[-1])) / value**2, right, seed)


def _steps(op: Operator, seed: int) -> Iterator[tuple[Tensor, float, float]]:
    """The right vectors, and the entries of the bidiagonal matrix: on the diagonal, and to the right of it."""
    adjoint = op.H
    generator = torch.Generator().manual_seed(seed)
    right = torch.randn(1, *op.in_shape, dtype=op.dtype, generator=generator).to(op.device)
    right, _ = _normalised(right)
    left, beta = torch.zeros(1, *op.out_shape, dtype=op.dtype, device=op.device), 0.0
    while True:
        left, alpha = _normalised(op.apply(right) - left * beta)
        following, beta = _normalised(adjoint.apply(left) - right * alpha)
        yield right, alpha, beta
        right = following


def _normalised(x: Tensor) -> tuple[Tensor, float]:
    size = float(torch.linalg.vector_norm(x))
    if not np.isfinite(size):
        raise GeometryError("the operator's entries are not finite, or overflow: it has no norm")
    return (x / size if size else x), size


def leading(op: Operator, count: int, tol: float, seed: int = 0) -> Tensor:
    """The ``count`` largest singular values, several equal ones told apart: block Krylov spaces, kept orthogonal.

    Musco and Musco (2015), "Randomized block Krylov methods for stronger and faster approximate singular value
    decomposition". Memory grows by ``count + 4`` vectors a step.
    """
    adjoint, width = op.H, min(count + 4, min(op.shape))
    generator = torch.Generator().manual_seed(seed)
    block = torch.randn(width, *op.in_shape, dtype=op.dtype, generator=generator).to(op.device)
    basis = torch.linalg.qr(block.reshape(width, -1).T).Q
    images = basis.new_zeros(op.shape[0], 0)
    before, values = None, basis.new_zeros(count)
    while True:
        newest = basis[:, images.shape[1] :]
        image = op.apply(newest.T.reshape(-1, *op.in_shape)).reshape(newest.shape[1], -1)
        images = torch.cat([images, image.T], 1)
        values = torch.linalg.svdvals(images)[:count]
        settled = before is not None and float(((values - before).abs() / values[0].clamp(min=1e-300)).max()) <= tol / 4
        if settled or images.shape[1] >= min(op.shape):
            return values
        before = values
        following = adjoint.apply(image.reshape(-1, *op.out_shape)).reshape(len(image), -1).T
        room = min(op.shape[1] - basis.shape[1], following.shape[1])
        if room <= 0:
            return values
        for _ in range(2):  # twice is enough
            following = following - basis @ (basis.mH @ following)
            following = torch.linalg.qr(following).Q
        basis = torch.cat([basis, following[:, :room]], 1)
