"""Correcting the estimates for a machine: a minute of measuring, six factors, a file."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Geometry, Sentence, shown
from convmat.kernel import computing
from convmat.planning import correcting, costs
from convmat.planning.correcting import MOST, VARIABLE, Correction, Terms
from convmat.planning.running import decide
from convmat.tensors.calls import call_of

_DIRECT, _TRANSPOSED = Geometry.conv, Geometry.conv_transpose
# Direction, batch, channels, sizes, kernel, stride, padding, groups: layers in which one term or the other is large.
PROBES: tuple[tuple[Any, int, tuple[int, int], tuple[int, ...], int, int, int, int], ...] = (
    (_TRANSPOSED, 1, (8, 8), (8, 9), 4, 2, 1, 1),
    (_TRANSPOSED, 1, (96, 48), (32, 24), 4, 2, 1, 1),
    (_TRANSPOSED, 1, (24, 12), (96, 80), 2, 2, 0, 1),
    (_TRANSPOSED, 1, (96, 48), (300,), 8, 4, 2, 1),
    (_TRANSPOSED, 1, (24, 12), (2000,), 4, 2, 1, 1),
    (_TRANSPOSED, 1, (48, 24), (10, 12, 8), 3, 2, 1, 1),
    (_TRANSPOSED, 1, (48, 48), (60, 70), 4, 2, 1, 48),
    (_TRANSPOSED, 1, (320, 160), (6, 5), 4, 2, 1, 1),
    (_TRANSPOSED, 1, (40, 40), (48, 40), 3, 1, 1, 1),
    (_TRANSPOSED, 4, (64, 32), (20, 16), 4, 2, 1, 4),
    (_TRANSPOSED, 1, (40, 1), (90, 100), 9, 3, 4, 1),
    (_DIRECT, 1, (8, 8), (8, 9), 3, 1, 1, 1),
    (_DIRECT, 1, (48, 48), (48, 56), 3, 1, 1, 1),
    (_DIRECT, 1, (12, 24), (100, 90), 3, 1, 1, 1),
    (_DIRECT, 1, (96, 192), (20, 22), 1, 1, 0, 1),
    (_DIRECT, 1, (96, 96), (500,), 3, 1, 1, 1),
    (_DIRECT, 1, (24, 24), (3000,), 7, 1, 3, 1),
    (_DIRECT, 1, (24, 24), (12, 14, 16), 3, 1, 1, 1),
    (_DIRECT, 1, (96, 96), (40, 44), 3, 1, 1, 96),
    (_DIRECT, 1, (40, 40), (60, 64), 7, 1, 3, 40),
    (_DIRECT, 1, (384, 384), (9, 7), 3, 1, 1, 1),
    (_DIRECT, 1, (3, 32), (64, 60), 5, 2, 2, 1),
    (_DIRECT, 1, (64, 64), (30, 28), 3, 1, 1, 8),
    (_DIRECT, 1, (48, 1), (2000,), 7, 1, 3, 1),
    (_DIRECT, 8, (16, 16), (28, 24), 3, 1, 1, 1),
    (_DIRECT, 1, (64, 96), (40, 42), 3, 2, 1, 1),
)
_METHODS = ("tiles", "native")  # in the order of the estimates
_BLOCK = 0.02  # seconds of one method, before it is the other's turn
_LEAST = 3  # calls in a block, and blocks of a method
_PRIOR = 0.3  # how much a factor far from 1 counts beside estimates that are off, both in logarithms
_WORTH = 0.02  # of the time, and more, must be gained on the layers measured; else all factors stay 1


@dataclass(frozen=True)
class Measurement:
    """A layer as it was estimated and as it was measured.

    Attributes:
        terms: the parts of the estimates of our kernel and of PyTorch's own function, not corrected.
        seconds: what the two took.
    """

    terms: tuple[Terms, Terms]
    seconds: tuple[float, float]

    def regret(self, correction: Correction) -> float:
        """The time of the one that these factors choose, divided by that of the faster one."""
        ours, theirs = (terms.seconds(factors) for terms, factors in zip(self.terms, correction, strict=True))
        return self.seconds[ours > theirs] / min(self.seconds)


@dataclass(frozen=True)
class Tuning:
    """What :func:`tune` found.

    Attributes:
        path: the file.
        correction: the factors in it, of our kernel and of PyTorch's own function.
        layers: how many were measured.
        before: the time of what ``"auto"`` chose for them without the file, divided by that of the better choice: the
            geometric mean.
        after: the same with it.

    >>> print(Tuning(Path("tuning.json"), Correction(), 26, 1.031, 1.012))
    tuning.json: the choices of auto for 26 layers took 3.1 % longer than the best ones, and now take 1.2 % longer
    """

    path: Path
    correction: Correction
    layers: int
    before: float
    after: float

    def __str__(self) -> str:
        before, after = (f"{100 * (regret - 1):.1f} %" for regret in (self.before, self.after))
        return (
            f"{self.path}: the choices of auto for {self.layers} layers took {before} longer than the best ones, "
            f"and now take {after} longer"
        )


def tune(path: str | os.PathLike[str] | None = None, seconds: float = 60.0) -> Tuning:
    """Correct the estimates by which ``"auto"`` chooses, for this machine: measure, and write a file.

    ``"auto"`` compares an estimate of our kernel with one of PyTorch's own function. Each is a sum of three terms: the
    call, the arithmetic, and moving bytes. A few small layers are computed in both ways, the factor of each term is
    fitted to their times, and six factors are written. From then on ``"auto"`` uses them, in this process and in later
    ones, and chooses the same method for the same layer every time. Where they would not make its choices better on
    the measured layers, all of them are 1, as without a file.

    Leave the machine alone meanwhile, and set the number of threads as you will use it. The file names the processor
    and the versions of convmat and PyTorch; elsewhere it is ignored, with a warning.

    Args:
        path: the file to write. Default: the one that is looked for, which is the one that the environment variable
            ``CONVMAT_TUNING`` names, or else ``convmat/tuning.json`` in the user's folder of settings
            (``$XDG_CONFIG_HOME`` or ``~/.config``; on macOS ``~/Library/Application Support``, on Windows
            ``%LOCALAPPDATA%``)
        seconds: how long to measure, about; half a minute more may pass where the kernel must be compiled.
            Default: 60

    Returns:
        A :class:`Tuning`, which prints what was gained.

    Raises:
        ValueError: if ``seconds`` is not positive and finite, or there is no path.
        RuntimeError: if our kernel does not run here, so that there is nothing to choose.
        OSError: if the file cannot be written.

    >>> print(tune())  # doctest: +SKIP
    /home/me/.config/convmat/tuning.json: the choices of auto for 26 layers took 3.1 % longer than the best ones, and
    now take 1.2 % longer
    >>> tune("tuning.json", seconds=0)
    Traceback (most recent call last):
        ...
    ValueError: seconds=0 must be a positive number
    """
    target = path_to_write(path)
    return finish(list(measurements(seconds)), target)


def path_to_write(path: str | os.PathLike[str] | None) -> Path:
    """The file to write: the one named, or the one that is looked for."""
    found = correcting.path_in(os.environ) if path is None else Path(path)
    if found is None:
        raise ValueError(
            Sentence(
                "path=None needs a file: {variable} is empty, so none is used; name one, or unset it", variable=VARIABLE
            )
        )
    return found


def measurements(seconds: float = 60.0) -> Iterator[Measurement]:
    """Measure layer after layer; see :func:`tune`."""
    if not (isinstance(seconds, int | float) and 0 < seconds < math.inf):
        raise ValueError(Sentence("seconds={seconds} must be a positive number", seconds=shown(seconds)))
    if not (computing.is_worthwhile() and computing.is_ready(torch.float32)):
        raise RuntimeError(
            computing.obstacle() or Sentence("our kernel is not used on this machine: there is nothing to choose")
        )
    end = time.perf_counter() + seconds
    for index, probe in enumerate(PROBES):
        yield _measured(probe, (end - time.perf_counter()) / (len(PROBES) - index))


def _measured(probe: Any, seconds: float) -> Measurement:
    make, batch, (channels, out_channels), sizes, kernel, stride, padding, groups = probe
    layer = {"in_channels": channels, "out_channels": out_channels, "groups": groups}
    geometry = make(sizes, kernel, stride, padding, **layer)
    generator = torch.Generator().manual_seed(0)
    input, weight = (
        torch.randn(shape, generator=generator) for shape in ((batch, *geometry.in_shape), geometry.weight_shape)
    )
    with torch.no_grad():
        call = call_of(input, weight, None)
        calls = [decide(geometry, input, weight, None, method) for method in _METHODS]
        ours, theirs = _medians([_bound(call, input, weight) for call in calls], seconds)
    return Measurement(costs.terms(geometry, call, computing.thread_count()), (ours, theirs))


def _bound(computation: Any, input: Tensor, weight: Tensor) -> Callable[[], Any]:
    return lambda: computation(input, weight, None)


def _medians(calls: Sequence[Callable[[], Any]], seconds: float) -> list[float]:
    """The median time of each call, in turns of a few."""
    times: list[list[float]] = [[] for _ in calls]
    end, blocks = time.perf_counter() + seconds, 0
    while blocks < _LEAST or time.perf_counter() < end:
        for call, found in zip(calls, times, strict=True):
            call()  # after the other one, caches are cold
            found += _block(call)
        blocks += 1
    return [statistics.median(found) for found in times]


def _block(call: Callable[[], Any]) -> list[float]:
    found: list[float] = []
    while len(found) < _LEAST or sum(found) < _BLOCK:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return found


def finish(measured: Sequence[Measurement], path: Path) -> Tuning:
    """Fit the factors to the times, write them, and use them."""
    fitted = fit(measured)
    before, after = (_mean_regret(measured, correction) for correction in (Correction(), fitted))
    if after > before - _WORTH:
        fitted, after = Correction(), before
    correcting.write(path, fitted, computing.thread_count())
    correcting.read_again()
    return Tuning(path, fitted, len(measured), before, after)


def _mean_regret(measured: Sequence[Measurement], correction: Correction) -> float:
    return statistics.geometric_mean(measurement.regret(correction) for measurement in measured)


def fit(measured: Sequence[Measurement]) -> Correction:
    """The factors by which the estimates come nearest to the times: least squares of the logarithms, towards 1."""
    of_both = zip(*(measurement.terms for measurement in measured), strict=True)
    times = zip(*(measurement.seconds for measurement in measured), strict=True)
    return Correction(*(_fit(terms, seconds) for terms, seconds in zip(of_both, times, strict=True)))


def _fit(terms: Sequence[Terms], seconds: Sequence[float]) -> Terms:
    import numpy as np  # with SciPy, it would make every import slower
    from scipy.optimize import least_squares

    parts, logarithms = np.array(terms), np.log(seconds)

    def residuals(logarithm: Any) -> Any:
        return np.concatenate((np.log(parts @ np.exp(logarithm)) - logarithms, _PRIOR * logarithm))

    limit = math.log(MOST)
    found = least_squares(residuals, np.zeros(len(Terms._fields)), bounds=(-limit, limit), loss="soft_l1", f_scale=0.2)
    return Terms(*(float(f"{factor:.4g}") for factor in np.exp(found.x)))
