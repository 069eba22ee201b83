"""The gradients of a solution, by the implicit rule: nothing of the iterations is kept.

With ``v = A N⁻¹ g`` and ``λ = N⁻¹ g`` for the gradient g of x (``N = AᴴA + damp²``; without damping, pseudo-inverses),
and ``r = y - A x``, the gradient of y is v, that of damp ``-2 damp <λ, x>`` and that of A is

    -v xᴴ + r λᴴ + w (g - Aᴴ v - damp² λ)ᴴ,    w = A N⁻¹ x

as Golub and Pereyra ("The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
separate", SIAM J. Numer. Anal. 10, 1973) have it; the last term counts where A is undamped and has a null space.
"""

from __future__ import annotations

import warnings
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from convmat.geometry import Sentence
from convmat.operators.base import Operator
from convmat.operators.solvers.batches import Callback, norms, times
from convmat.operators.solvers.inverses import Inverse
from convmat.operators.solvers.solution import Found


class LeastSquares:
    """What is to be solved, how, and what was found."""

    def __init__(self, op: Operator, inverse: Inverse, tol: float, callback: Callback | None) -> None:
        self.op, self.inverse, self.tol, self.callback = op, inverse, tol, callback
        self.found: Found | None = None


def solve(problem: LeastSquares, y: Tensor, damp: Tensor, x0: Tensor | None) -> Tensor:
    """Solve a flat batch, differentiably in y, damp (one number for each item) and the weights of the operator."""
    x: Tensor = _Solve.apply(problem, x0, y, damp, *problem.op.weights())  # type: ignore[no-untyped-call]
    return x


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, problem: LeastSquares, x0: Tensor | None, y: Tensor, damp: Tensor, *weights: Tensor
    ) -> Tensor:
        numbers = damp.detach().double().cpu().numpy()
        problem.found = problem.inverse.solve(y, numbers, x0, problem.callback)
        ctx.problem = problem
        x = problem.found.x
        ctx.save_for_backward(y, damp, x, *weights)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        problem: LeastSquares = ctx.problem
        y, damp, x, *weights = ctx.saved_tensors
        numbers = damp.double().cpu().numpy()
        wants_damp, *wants_weights = ctx.needs_input_grad[3:]
        residual = y - problem.op.apply(x)
        is_exact = not numbers.any() and bool((norms(residual) <= 10 * problem.tol * norms(y)).all())
        normal = None
        if (any(wants_weights) and not is_exact) or (wants_damp and numbers.any()):
            found, normal = problem.inverse.adjoint_and_normal(g, numbers)
            warn_unless_converged(normal, of_gradient=True)
        else:
            found = problem.inverse.adjoint(g, numbers)
        warn_unless_converged(found, of_gradient=True)
        of_damp = None
        if wants_damp:
            of_damp = torch.zeros_like(damp) if normal is None else -2 * damp * _inner(normal.x, x).to(damp.dtype)
        of_weights: list[Tensor | None] = [None] * len(weights)
        if any(wants_weights):
            pairs = [(x, -found.x)] if normal is None else [(x, -found.x), (normal.x, residual)]
            pairs += _null_space_pair(problem, g, found.x, None if normal is None else normal.x, x, numbers)
            of_weights = _weight_gradients(problem.op, weights, wants_weights, pairs)
        return None, None, found.x if ctx.needs_input_grad[2] else None, of_damp, *of_weights


def _null_space_pair(
    problem: LeastSquares, g: Tensor, v: Tensor, normal: Tensor | None, x: Tensor, damp: Any
) -> list[tuple[Tensor, Tensor]]:
    """What is added where the operator maps something to nothing and is not damped."""
    outside = g - problem.op.H.apply(v)
    if normal is not None:
        outside = outside - times(damp**2, normal)
    outside = times((damp == 0).astype(float), outside)
    if (norms(outside) <= 10 * problem.tol * norms(g)).all():
        return []
    w = problem.inverse.adjoint(x, damp)
    warn_unless_converged(w, of_gradient=True)
    return [(outside, w.x)]


def _weight_gradients(
    op: Operator, weights: list[Tensor], wanted: list[bool], pairs: list[tuple[Tensor, Tensor]]
) -> list[Tensor | None]:
    """The gradients of ``sum <A input, cotangent>`` with inputs and cotangents held fast."""
    inputs, cotangents = (torch.cat(tensors).detach() for tensors in zip(*pairs, strict=True))
    # Tensors of their own: one weight of the operator may have been computed from another.
    leaves = [weight.detach().requires_grad_(want) for weight, want in zip(weights, wanted, strict=True)]
    with torch.enable_grad():
        image = op.with_weights(iter(leaves)).apply(inputs)
    chosen = [leaf for leaf, want in zip(leaves, wanted, strict=True) if want]
    gradients = iter(torch.autograd.grad(image, chosen, cotangents))
    return [next(gradients) if want else None for want in wanted]


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """The real part of the inner product of each item."""
    return (a.conj() * b).flatten(1).sum(1).real


def warn_unless_converged(found: Found, of_gradient: bool = False) -> None:
    """Warn of items that were given up."""
    left = ~found.converged
    if left.any():
        told = Sentence(
            "{left} of {count} solutions of the gradient did not converge: {reasons}"
            if of_gradient
            else "{left} of {count} solutions did not converge: {reasons}",
            left=int(left.sum()),
            count=len(left),
            reasons=reduce(_both, dict.fromkeys(found.reasons[left])),
        )
        warnings.warn(told, RuntimeWarning, stacklevel=4)


def _both(first: Sentence, second: Sentence) -> Sentence:
    return Sentence("{first}; {second}", first=first, second=second)
