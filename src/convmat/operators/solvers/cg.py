"""Conjugate gradients on the normal equations, over batches of tensors.

In the form that keeps the residual of the least-squares problem (CGLS: Björck, "Numerical Methods for Least Squares
Problems", 1996, chapter 7.4), which loses less to rounding than the equations themselves do.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from convmat.operators.solvers.batches import Items, Maps, add_times, divide, keep, norms
from convmat.operators.solvers.lsmr import OUT_OF_ITERATIONS
from convmat.operators.solvers.solution import Reals

GRADIENT = "normal equations within the tolerance"
ZERO = "the right-hand side is zero, and so is x"
INDEFINITE = "op maps a direction to nothing: singular to rounding; damp > 0 would help"


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
    stay = items.finish(size == 0, torch.zeros_like(x), 0, ZERO)
    for iteration in range(maxiter + 1):
        x, r, s, p, c = (keep(stay, vectors) for vectors in (x, r, s, p, c))
        gamma, size, damp = gamma[stay], size[stay], damp[stay]
        if iteration:
            items.report(iteration, x)
        done = np.sqrt(gamma) <= max(tol, float(torch.finfo(x.dtype).eps)) * size
        stay = items.finish(done, x, iteration, GRADIENT)
        x, r, s, p, c = (keep(stay, vectors) for vectors in (x, r, s, p, c))
        gamma, size, damp = gamma[stay], size[stay], damp[stay]
        if not len(items):
            return
        if iteration == maxiter:
            break
        q = maps.forward(p)
        curvature = norms(q) ** 2 + damp**2 * norms(p) ** 2
        step = divide(gamma, curvature)
        x, r = add_times(x, step, p), add_times(r, -step, q)
        s = add_times(c + maps.adjoint(r), -(damp**2), x)
        before, gamma = gamma, norms(s) ** 2
        p = add_times(s, divide(gamma, before), p)
        stay = items.finish(curvature == 0, x, iteration + 1, INDEFINITE, converged=False)
    items.finish(np.ones(len(items), bool), x, maxiter, OUT_OF_ITERATIONS.format(maxiter), converged=False)
