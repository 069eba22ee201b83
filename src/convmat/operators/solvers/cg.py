"""Conjugate gradients on the normal equations, over batches of tensors.

In the form that keeps the residual of the least-squares problem (CGLS: Björck, "Numerical Methods for Least Squares
Problems", 1996, chapter 7.4), which loses less to rounding than the equations themselves do.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from convmat.operators.reasons import NORMAL_EQUATIONS, ROUNDING, ZERO_SIDE, Reason
from convmat.operators.solvers.batches import Items, Maps, add_times, divide, keep, norms
from convmat.operators.solvers.solution import Reals


def cg(
    maps: Maps,
    b: Tensor | None,
    c: Tensor | None,
    x: Tensor,
    damp: Reals,
    tol: float,
    maxiter: int,
    items: Items,
) -> None:
    """Solve ``(AᴴA + damp²) x = Aᴴ b + c`` for every item.

    Args:
        maps: A and its adjoint.
        b: of shape (batch, *out_shape), or ``None`` for zeros.
        c: of shape (batch, *in_shape), or ``None`` for zeros.
        x: where to start, of shape (batch, *in_shape).
        damp: of each item.
        tol: how small the residual of these equations becomes, relative to their right-hand side.
        maxiter: the most iterations.
        items: where the items go when they are done.
    """
    image = maps.forward(x)
    r = -image if b is None else b - image
    right = maps.adjoint(b) if b is not None else torch.zeros_like(x)
    c = torch.zeros_like(x) if c is None else c
    size = norms(right + c)
    s = add_times(c + maps.adjoint(r), -(damp**2), x)
    p, gamma = s, norms(s) ** 2
    eps, norm_n = float(torch.finfo(x.dtype).eps), np.zeros_like(size)
    stay = items.finish(size == 0, torch.zeros_like(x), 0, ZERO_SIDE)
    for iteration in range(maxiter + 1):
        x, r, s, p, c = (keep(stay, vectors) for vectors in (x, r, s, p, c))
        gamma, size, damp, norm_n = gamma[stay], size[stay], damp[stay], norm_n[stay]
        if iteration:
            items.report(iteration, x)
        is_small = np.sqrt(gamma) <= max(tol, eps) * size
        is_rounding = np.sqrt(gamma) <= 4 * eps * norm_n * norms(x)
        stay = items.finish(is_small, x, iteration, NORMAL_EQUATIONS)
        stay[stay] = items.finish(is_rounding[stay], keep(stay, x), iteration, ROUNDING)
        x, r, s, p, c = (keep(stay, vectors) for vectors in (x, r, s, p, c))
        gamma, size, damp, norm_n = gamma[stay], size[stay], damp[stay], norm_n[stay]
        if not len(items) or iteration == maxiter:
            break
        q = maps.forward(p)
        squared = norms(p) ** 2
        curvature = norms(q) ** 2 + damp**2 * squared
        norm_n = np.maximum(norm_n, divide(curvature, squared))
        step = divide(gamma, curvature)
        x, r = add_times(x, step, p), add_times(r, -step, q)
        s = add_times(c + maps.adjoint(r), -(damp**2), x)
        before, gamma = gamma, norms(s) ** 2
        p = add_times(s, divide(gamma, before), p)
        stay = np.ones(len(items), bool)
    items.finish(np.ones(len(items), bool), x, maxiter, Reason("maxiter", most=maxiter), converged=False)
