"""LSMR over batches of tensors: least squares by Golub-Kahan bidiagonalization.

Fong and Saunders, "LSMR: An iterative algorithm for sparse least-squares problems", SIAM J. Sci. Comput. 33 (2011); the
names of the numbers are the paper's. Each item has damping, tests and an end of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convmat.operators.reasons import CONSISTENT, LEAST_SQUARES, ORTHOGONAL, ZERO, Reason
from convmat.operators.solvers.batches import Items, Maps, add_times, divide, keep, norms, times
from convmat.operators.solvers.solution import Reals


def lsmr(maps: Maps, b: Tensor, size: Reals, damp: Reals, tol: float, maxiter: int, items: Items) -> None:
    """Minimise ``|A x - b|² + damp² |x|²`` for every item, from x = 0.

    Args:
        maps: A and its adjoint.
        b: of shape (batch, *out_shape).
        size: of each item, the norm that the residual is compared with: that of b, unless b is itself a remainder.
        damp: of each item.
        tol: relative tolerance: the backward error of the solution.
        maxiter: the most iterations.
        items: where the items go when they are done.
    """
    beta = norms(b)
    u = times(divide(np.ones_like(beta), beta), b)
    v = maps.adjoint(u)
    alpha = norms(v)
    v = times(divide(np.ones_like(alpha), alpha), v)
    x = torch.zeros_like(v)
    state = _State(u, v, v.clone(), torch.zeros_like(v), x, np.arange(len(b)), Recurrence.of(alpha, beta, size, damp))
    for reason, done in at_once(alpha, beta, size, tol):
        stay = items.finish(done[state.index], state.x, 0, reason)
        state.keep(stay)
    limit = max(tol, float(torch.finfo(b.dtype).eps))
    for iteration in range(1, maxiter + 1):
        if not len(items):
            return
        state.step(maps)
        items.report(iteration, state.x)
        state.keep(items.finish(state.numbers.is_consistent(limit), state.x, iteration, CONSISTENT))
        state.keep(items.finish(state.numbers.is_least_squares(limit), state.x, iteration, LEAST_SQUARES))
    everyone = np.ones(len(items), bool)
    items.finish(everyone, state.x, maxiter, Reason("maxiter", most=maxiter), converged=False)


def at_once(alpha: Reals, beta: Reals, size: Reals, tol: float) -> tuple[tuple[Reason, npt.NDArray[np.bool_]], ...]:
    """Of which items x = 0 is the solution, by the reason why."""
    return (
        (ZERO, size == 0),
        (CONSISTENT, (beta <= tol * size) & (size > 0)),
        (ORTHOGONAL, (alpha == 0) & (beta > tol * size)),
    )


@dataclass
class _State:
    """The vectors and numbers of the items at work."""

    u: Tensor
    v: Tensor
    h: Tensor
    hbar: Tensor
    x: Tensor
    index: npt.NDArray[np.int64]
    numbers: Recurrence

    def keep(self, stay: npt.NDArray[np.bool_]) -> None:
        """Go on with some items only."""
        if stay.all():
            return
        for name in ("u", "v", "h", "hbar", "x"):
            setattr(self, name, keep(stay, getattr(self, name)))
        self.index = self.index[stay]
        self.numbers.keep(stay)

    def step(self, maps: Maps) -> None:
        """One iteration of all items."""
        numbers = self.numbers
        one = np.ones_like(numbers.alpha)
        u = add_times(maps.forward(self.v), -numbers.alpha, self.u)
        beta = norms(u)
        self.u = times(divide(one, beta), u)
        v = add_times(maps.adjoint(self.u), -beta, self.v)
        alpha = norms(v)
        self.v = times(divide(one, alpha), v)
        factors = numbers.advance(beta, alpha)
        self.hbar = add_times(self.h, factors.hbar, self.hbar)
        self.x = add_times(self.x, factors.x, self.hbar)
        self.h = add_times(self.v, factors.h, self.h)
        numbers.norm_x = norms(self.x)


class Factors(NamedTuple):
    """How the vectors go on: ``hbar <- h + hbar*`` itself, ``x <- x + x*`` the new hbar, ``h <- v + h*`` itself."""

    hbar: Reals
    x: Reals
    h: Reals


@dataclass
class Recurrence:
    """The numbers of a recurrence, of shape (items,)."""

    size: Reals
    damp: Reals
    alpha: Reals
    alphabar: Reals
    zetabar: Reals
    zeta: Reals
    rho: Reals
    rhobar: Reals
    cbar: Reals
    sbar: Reals
    betadd: Reals
    betad: Reals
    rhodold: Reals
    tautildeold: Reals
    thetatilde: Reals
    d: Reals
    norm_a_squared: Reals
    norm_r: Reals
    norm_a: Reals
    norm_x: Reals

    @classmethod
    def of(cls, alpha: Reals, beta: Reals, size: Reals, damp: Reals) -> Recurrence:
        """Before the first iteration."""
        one, zero = np.ones_like(alpha), np.zeros_like(alpha)
        return cls(
            size=size,
            damp=damp,
            alpha=alpha,
            alphabar=alpha.copy(),
            zetabar=alpha * beta,
            zeta=zero,
            rho=one,
            rhobar=one,
            cbar=one,
            sbar=zero,
            betadd=beta.copy(),
            betad=zero,
            rhodold=one,
            tautildeold=zero,
            thetatilde=zero,
            d=zero,
            norm_a_squared=alpha**2,
            norm_r=beta.copy(),
            norm_a=alpha.copy(),
            norm_x=zero,
        )

    def keep(self, stay: npt.NDArray[np.bool_]) -> None:
        """Go on with some items only."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[stay])

    def advance(self, beta: Reals, alpha: Reals) -> Factors:
        """One iteration, from the norms of the new u and v; ``norm_x`` is left to who knows x."""
        self.alpha = alpha
        chat, shat, alphahat = _rotation(self.alphabar, self.damp)  # takes the damping away
        rhoold, rhobarold, zetaold = self.rho, self.rhobar, self.zeta
        c, s, self.rho = _rotation(alphahat, beta)
        thetanew, self.alphabar = s * self.alpha, c * self.alpha
        thetabar, rhotemp = self.sbar * self.rho, self.cbar * self.rho
        self.cbar, self.sbar, self.rhobar = _rotation(rhotemp, thetanew)
        self.zeta, self.zetabar = self.cbar * self.zetabar, -self.sbar * self.zetabar
        self._estimate_residual(chat, shat, c, s, thetabar, zetaold)
        self.norm_a = np.sqrt(self.norm_a_squared + beta**2)
        self.norm_a_squared = self.norm_a_squared + beta**2 + self.alpha**2
        return Factors(
            hbar=-divide(thetabar * self.rho, rhoold * rhobarold),
            x=divide(self.zeta, self.rho * self.rhobar),
            h=-divide(thetanew, self.rho),
        )

    def _estimate_residual(self, chat: Reals, shat: Reals, c: Reals, s: Reals, thetabar: Reals, zetaold: Reals) -> None:
        """The norm of the residual, damping included, by recurrence."""
        betaacute, betacheck = chat * self.betadd, -shat * self.betadd
        betahat, self.betadd = c * betaacute, -s * betaacute
        thetatildeold = self.thetatilde
        ctilde, stilde, rhotilde = _rotation(self.rhodold, thetabar)
        self.thetatilde, self.rhodold = stilde * self.rhobar, ctilde * self.rhobar
        self.betad = -stilde * self.betad + ctilde * betahat
        self.tautildeold = divide(zetaold - thetatildeold * self.tautildeold, rhotilde)
        taud = divide(self.zeta - self.thetatilde * self.tautildeold, self.rhodold)
        self.d = self.d + betacheck**2
        self.norm_r = np.sqrt(self.d + (self.betad - taud) ** 2 + self.betadd**2)

    def is_consistent(self, tol: float) -> npt.NDArray[np.bool_]:
        """Whether the residual is as small as errors in A and b would make it."""
        return np.asarray(self.norm_r <= tol * (self.size + self.norm_a * self.norm_x))

    def is_least_squares(self, tol: float) -> npt.NDArray[np.bool_]:
        """Whether the residual is as good as orthogonal to the range of A."""
        return np.asarray(np.abs(self.zetabar) <= tol * self.norm_a * self.norm_r)


def _rotation(a: Reals, b: Reals) -> tuple[Reals, Reals, Reals]:
    """c, s and r of the rotation that turns (a, b) into (r, 0)."""
    r = np.hypot(a, b)
    c = np.divide(a, r, out=np.ones_like(r), where=r != 0)
    return c, divide(b, r), r
