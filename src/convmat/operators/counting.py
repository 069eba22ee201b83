"""Counted data: what they must be, and when restoring them is to stop."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from convmat.geometry import GeometryError
from convmat.operators.reasons import Reason
from convmat.operators.solvers.batches import norms
from convmat.operators.solvers.solution import Reals


class Stopping:
    """When to stop: ``change`` is the relative one, if that is asked."""

    def __init__(self, stop: float | str | None, noise: float | str) -> None:
        self.change: float | None = None
        self.reason: Any = None
        self.asks_discrepancy = stop == "discrepancy"
        if noise != "poisson" and (isinstance(noise, str | bool) or not noise > 0):
            raise GeometryError(f"noise={noise!r} is unknown: need 'poisson', or a standard deviation greater than 0")
        self.deviation = None if noise == "poisson" else float(noise)
        if self.asks_discrepancy:
            gaussian = self.deviation is not None
            self.reason = Reason("Gaussian", deviation=self.deviation) if gaussian else Reason("Poisson")
        elif isinstance(stop, str | bool) or (stop is not None and not stop >= 0):
            raise GeometryError(f"stop={stop!r} is unknown: need a relative change, 'discrepancy' or None")
        elif stop is not None:
            self.change = float(stop)
            self.reason = Reason("change", change=self.change)

    def discrepancy(self, y: Tensor, image: Tensor) -> Reals:
        """The misfit of each item, in units of what is expected of the noise."""
        cells = y[0].numel()
        if self.deviation is not None:
            return norms(y - image) ** 2 / (cells * self.deviation**2)
        image = image.clamp_min(torch.finfo(image.dtype).tiny)
        deviance = 2 * (torch.xlogy(y, y / image) - y + image)
        found: Reals = deviance.flatten(1).mean(1).double().cpu().numpy()
        return found


def check_iterations(iterations: int) -> None:
    """Check that a number of iterations is one."""
    if isinstance(iterations, bool) or not isinstance(iterations, int):
        raise TypeError(f"iterations={iterations!r} must be an integer, not {type(iterations).__name__}")
    if iterations < 0:
        raise GeometryError(f"iterations={iterations} must be at least 0")


def unseen(sensitivity: Tensor, largest: float | Tensor) -> Tensor:
    """Which cells no data reach, but for rounding."""
    return sensitivity <= torch.finfo(sensitivity.dtype).eps * largest


def smallest_image(dtype: torch.dtype, rounds_globally: bool) -> float:
    """What darker cells are taken for when data are divided by them, relative to the largest of the data."""
    return torch.finfo(dtype).eps if rounds_globally else torch.finfo(dtype).tiny ** 0.5


def check_sensitivity(largest: float | Tensor) -> None:
    """Check that data are reached at all."""
    if not bool(largest > 0):
        raise GeometryError("the operator's weight is zero everywhere: no scene reaches the data")


def done_reason(iterations: int, rule: Stopping) -> Reason:
    """Why it ended when all iterations are done."""
    return Reason("iterations" if rule.reason is None else "no rule held", count=iterations)


def check_counts(tensor: Tensor, name: str) -> None:
    """Check that values are real, finite and not negative."""
    tensor = tensor.detach()
    if tensor.is_complex():
        raise TypeError(f"{name} must be real, not {tensor.dtype}")
    if not bool(torch.isfinite(tensor).all()):
        raise GeometryError.of("{name} has values that are NaN or infinite: need finite ones", name=name)
    if bool((tensor < 0).any()):
        raise GeometryError.of(
            "{name} has {count} negative values, down to {smallest:g}: need values of at least 0; subtract the offset, "
            "or {argument}.clamp(min=0)",
            name=name,
            count=int((tensor < 0).sum()),
            smallest=tensor.min().item(),
            argument=name.split()[-1],
        )
