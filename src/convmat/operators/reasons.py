"""Why solvers end: English sentences that know what they are made of, so that they can be said in other languages."""

from __future__ import annotations

from typing import Any

from convmat.geometry import Sentence

SENTENCES = {
    "zero": "y is zero, and so is x",
    "orthogonal": "op.H @ y is zero, and so is x",
    "zero side": "the right-hand side is zero, and so is x",
    "consistent": "op @ x = y within the tolerance",
    "least squares": "least squares within the tolerance",
    "normal equations": "normal equations within the tolerance",
    "rounding": "normal equations to rounding",
    "maxiter": "maxiter={most} reached",
    "solved": "solved by singular values",
    "singular": "singular: rank {rank} of {full}; the least-norm solution, by singular values",
    "change": "relative change at most {change:g}",
    "Poisson": "discrepancy: op @ x is as near to y as Poisson noise allows",
    "Gaussian": "discrepancy: op @ x is as near to y as Gaussian noise of {deviation:g} allows",
    "iterations": "all {count} iterations done",
    "no rule held": "all {count} iterations done before the stopping rule held",
}


class Reason(Sentence):
    """A sentence by its key, which files keep.

    Args:
        key: one of :data:`SENTENCES`.
        values: of its placeholders.

    >>> reason = Reason("maxiter", most=100)
    >>> reason, reason.key, reason.values
    ('maxiter=100 reached', 'maxiter', {'most': 100})
    """

    key: str

    def __new__(cls, key: str, **values: Any) -> Reason:
        """Fill in the placeholders."""
        made = super().__new__(cls, SENTENCES[key], **values)
        made.key = key
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """What copies and pickles are made from."""
        return (self.key,), self.values


ZERO, ORTHOGONAL, ZERO_SIDE = Reason("zero"), Reason("orthogonal"), Reason("zero side")
CONSISTENT, LEAST_SQUARES = Reason("consistent"), Reason("least squares")
NORMAL_EQUATIONS, ROUNDING = Reason("normal equations"), Reason("rounding")
