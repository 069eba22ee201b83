"""Upper bounds on the norm of a convolution.

Zero padding: the matrix is a part of that of a convolution on a torus that is large enough, so its norm is no larger;
the one on the input's own torus is no bound. Other modes: ``C = Z P``, so the norm of P is a factor. On a torus, the
norm is the largest one of the frequencies' matrices, and that of none exceeds ``t`` if ``t**2 - B Bᴴ`` has a Cholesky
factor for each of them, which is much less work than their norms.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.operators.circulant import Circulant, check_memory

_CHUNK = 1 << 23  # numbers of the matrices that are tested at a time
_EXCESS = 1e-3  # by how much a bound may be larger than the norm on the torus
_FEW = 4  # matrices whose norms are found exactly
_POWER_STEPS = 6


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
        At least the norm, and up to the factor that it gains with other modes than zeros within 0.1 % of the norm on
        the torus, or of ``at_least`` if that is larger. Rounding is allowed for by a relative
        ``4 * rows * eps`` of a frequency's matrix.
    """
    torus, factor = geometry.on_torus()
    check_memory(torus, weight)
    weight = weight.detach()
    scale = float(torch.linalg.vector_norm(weight.to(torch.promote_types(weight.dtype, torch.float32))))
    if not scale:
        return 0.0
    matrices = Circulant(torus, weight / scale).half().matrices
    if matrices.shape[1] > matrices.shape[2]:
        matrices = matrices.mH
    bound = at_least / scale / factor
    for part in matrices.split(max(_CHUNK // max(matrices[0].numel(), 1), 1)):
        bound = _exceeded(part @ part.mH, bound)
    rounding = 4 * matrices.shape[1] * float(torch.finfo(matrices.dtype).eps)
    return factor * scale * bound * (1 + rounding)


def _exceeded(squares: Tensor, at_least: float) -> float:
    """A number, ``at_least`` or larger, whose square no norm of the Hermitian matrices exceeds."""
    unit = torch.eye(squares.shape[-1], dtype=squares.dtype, device=squares.device)
    bound = at_least or _strongest(squares)
    while True:
        bound *= 1 + _EXCESS
        failed = torch.linalg.cholesky_ex(bound**2 * unit - squares).info != 0
        if not failed.any():
            return bound
        squares = squares[failed]
        if len(squares) <= _FEW:  # their norms themselves are less work than more attempts
            return max(bound, float(torch.linalg.eigvalsh(squares).max()) ** 0.5)
        bound = max(bound, _strongest(squares))


def _strongest(squares: Tensor) -> float:
    """The root of the largest norm of a few of the matrices: those that lengthen a random vector most."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(squares.shape[-1], 1, dtype=squares.dtype, generator=generator).to(squares.device)
    vectors = vector.expand(len(squares), -1, -1)
    for _ in range(_POWER_STEPS):
        vectors = squares @ vectors
        lengths = torch.linalg.vector_norm(vectors, dim=(1, 2))
        vectors = vectors / lengths.clamp(min=torch.finfo(lengths.dtype).tiny)[:, None, None]
    chosen = lengths.topk(min(_FEW, len(squares))).indices
    return float(torch.linalg.eigvalsh(squares[chosen]).max().clamp(min=torch.finfo(lengths.dtype).tiny)) ** 0.5
