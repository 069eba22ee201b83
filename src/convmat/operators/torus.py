"""Upper bounds on the norm of a convolution.

Zero padding: the matrix is a part of that of a convolution on a torus that is large enough, so its norm is no larger;
the one on the input's own torus is no bound. Other modes: ``C = Z P``, so the norm of P is a factor. On a torus, the
norm is the largest one of the frequencies' matrices, and that of none exceeds ``t`` if ``t**2 - B Bᴴ`` has a Cholesky
factor for each of them, which is much less work than their norms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.operators.circulant import Circulant, check_memory

_CHUNK = 1 << 23  # numbers of blocks that are tested at a time


class NormBounds(NamedTuple):
    """What the norm lies between.

    Attributes:
        lower: at most the norm.
        upper: at least the norm.
        method: how the upper bound was found: ``"dense"`` or ``"fft"`` (both are then the norm itself, but for
            rounding), ``"torus"``, ``"sums"`` (of rows and columns), or a combination of these for products and sums.
    """

    lower: float
    upper: float
    method: str


def torus_bound(geometry: Geometry, weight: Tensor, at_least: float) -> float:
    """An upper bound on the norm.

    Args:
        geometry: any.
        weight: of shape ``geometry.weight_shape``.
        at_least: a lower bound on it, near which the bound is looked for.

    Returns:
        At least the norm, and up to the factor that it gains with other modes than zeros within 0.2 % of the norm on
        the torus, or of ``at_least`` if that is larger. Rounding is allowed for by a relative
        ``4 * rows * eps`` of a frequency's matrix.
    """
    torus, factor = geometry.on_torus()
    check_memory(torus, weight)
    matrices = Circulant(torus, weight.detach()).half().matrices
    if matrices.shape[1] > matrices.shape[2]:
        matrices = matrices.mH
    size = float(torch.linalg.vector_norm(matrices, dim=(1, 2)).max()) if len(matrices) else 0.0
    if not size:
        return 0.0
    bound = max((_exceeded(part / size, at_least / size / factor) for part in _chunks(matrices)), default=0.0)
    rounding = 4 * matrices.shape[1] * float(torch.finfo(matrices.dtype).eps)
    return factor * size * bound * (1 + rounding)


def _chunks(matrices: Tensor) -> Iterator[Tensor]:
    yield from matrices.split(max(_CHUNK // max(matrices[0].numel(), 1), 1))


def _exceeded(matrices: Tensor, at_least: float) -> float:
    """A number that no norm of the matrices exceeds, none of which exceeds 1."""
    squares = matrices @ matrices.mH
    unit = torch.eye(squares.shape[-1], dtype=squares.dtype, device=squares.device)
    least = (torch.diagonal(squares, dim1=1, dim2=2).real.max() ** 0.5).item()  # the norm of a row is none larger
    bound, excess = max(at_least, least), 1e-3
    while True:
        tried = bound * (1 + excess)
        if tried >= 1:
            return 1.0
        failed = torch.linalg.cholesky_ex(tried**2 * unit - squares).info != 0
        if not failed.any():
            return tried
        squares = squares[failed]
        if len(squares) <= 2:  # then their norms themselves are less work than more attempts
            return max(tried, float(torch.linalg.eigvalsh(squares).max()) ** 0.5)
        excess *= 3
