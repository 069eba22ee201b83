"""Blur a photograph, add noise, restore it: the numbers, and the pictures side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, log10
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convmat.operators import ConvOperator, Solution, blur_operator, crop_to_data, richardson_lucy
from convmat.operators.reasons import Reason
from convmat.progress import spinner
from convmat.terminal.picture_files import check_writable, photograph_path, read_picture, write_picture
from convmat.terminal.texts import InputError

METHODS = ("rl", "lsmr")
_GAP = 4  # pixels between the pictures


@dataclass(frozen=True)
class Deblurred:
    """The pictures, of shape (channels, height, width), and how near to the first the others are.

    ``reasons`` say why the iterations of a colour ended, each once; ``damping`` is that of lsmr.
    """

    photo: Tensor
    blurred: Tensor
    restored: Tensor
    psnr_before: float
    psnr_after: float
    iterations: int
    reasons: tuple[Reason, ...]
    damping: float | None


def deblur_file(
    photo: Path | None,
    out: Path,
    psf: str = "gaussian:2",
    noise: str = "poisson:1000",
    method: str = "rl",
    iterations: int | None = None,
    damp: float | None = None,
    seed: int = 0,
    label: str = "deblurring",
) -> Deblurred:
    """Blur a picture, add noise, restore it, and write the three side by side.

    The blur reads the whole photo, and its data are smaller by the PSF less one pixel: what lies beyond the data is
    unknown, as it is in a real picture.

    Args:
        photo: a picture; ``None`` is the photograph that matplotlib brings along.
        out: the file to write: the photo, blurred with noise, and restored.
        psf: see :func:`make_psf`.
        noise: ``poisson:PEAK``, counted photons, ``PEAK`` of them where the picture is white; ``gaussian:SIGMA``, in
            units of white; ``none``.
        method: ``rl`` (Richardson-Lucy) or ``lsmr`` (damped least squares).
        iterations: the most. Default: 30 for ``rl``, 100 for ``lsmr``
        damp: of ``lsmr``. Default: as much as leaves the noise unexplained
        seed: of the noise. Default: 0
        label: of the spinner. Default: ``"deblurring"``

    Raises:
        GeometryError: if the photo is no picture, or an argument will not do.
    """
    if method not in METHODS:
        raise InputError("wrong.deblur_method", method=method, known=" or ".join(METHODS))
    picture = read_picture(photograph_path() if photo is None else photo).pixels
    picture = picture[: 1 if len(picture) < 3 else 3]  # without alpha
    check_writable(out, len(picture))
    if photo is not None and out.exists() and out.samefile(photo):
        raise InputError("wrong.same_file", path=out)
    kernel = make_psf(psf)
    size = [n - k + 1 for n, k in zip(picture.shape[1:], kernel.shape, strict=True)]
    if min(size) < 1:
        raise InputError("wrong.large_psf", psf=psf, size=_joined(kernel.shape), photo=_joined(picture.shape[1:]))
    op = blur_operator(kernel, size)
    kind, level = _noise(noise)
    generator = torch.Generator().manual_seed(seed)
    clean = op @ picture[:, None]
    if kind == "poisson":
        data = torch.poisson(clean * level, generator=generator) / level
        deviation = float((clean.mean() / level).sqrt())
    else:
        data, deviation = clean + level * torch.randn(clean.shape, generator=generator), level
    with spinner(label):
        solution, damping = _restore(op, data, method, iterations, damp, deviation)
    truth, restored = (crop_to_data(x, size) for x in (picture, solution.x[:, 0].clamp(0, 1)))
    blurred = data[:, 0].clamp(0, 1)
    gap = torch.ones(len(picture), size[0], _GAP)
    write_picture(torch.cat([truth, gap, blurred, gap, restored], -1), out)
    return Deblurred(
        truth,
        blurred,
        restored,
        psnr(blurred, truth),
        psnr(restored, truth),
        int(solution.iterations.max()),
        tuple(dict.fromkeys(solution.reason)),
        damping,
    )


def _restore(
    op: ConvOperator, data: Tensor, method: str, iterations: int | None, damp: float | None, deviation: float
) -> tuple[Solution, float | None]:
    """What was found, and with which damping."""
    if method == "rl":
        return richardson_lucy(op, data.clamp_min(0), 30 if iterations is None else iterations), None
    mean = data.mean((1, 2, 3), keepdim=True)  # damping pulls towards it, and not towards black
    flat = mean.expand(-1, *op.in_shape)
    remainder, limit = data - op @ flat, deviation * data[0].numel() ** 0.5
    most = 100 if iterations is None else iterations
    dampings = [0.5 ** (k / 2) for k in range(2, 17)] if damp is None else [damp]
    solution, damping = op.solve(torch.zeros_like(data), "lsmr"), 0.0
    for damping in dampings:  # as much of it as leaves the noise unexplained (Morozov's discrepancy principle)
        # A few digits are all that noise leaves; an early end is no reason to warn.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            solution = op.solve(remainder, "lsmr", damp=damping, x0=solution.x, tol=1e-4, maxiter=most)
        if float(solution.residual.square().mean().sqrt()) <= limit:
            break
    return replace(solution, x=solution.x + flat), damping


def make_psf(text: str) -> Tensor:
    """A point-spread function by name.

    ``gaussian:SIGMA`` reaches 3.5 standard deviations; ``disk:RADIUS`` is a lens out of focus; ``motion:LENGTH`` or
    ``motion:LENGTH:DEGREES`` is a straight line; a file ending in ``.npy`` holds any other. In pixels.
    """
    if text.endswith(".npy"):
        array = np.load(text, allow_pickle=False)
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise InputError("wrong.psf_file", file=text, axes=array.ndim, dtype=array.dtype)
        return torch.from_numpy(array.astype(np.float32))
    name, *rest = text.split(":")
    values = _numbers(rest, "--psf", text)
    if name == "gaussian" and len(values) == 1 and 0 < values[0] <= 50:
        return _sampled(int(3.5 * values[0]) + 1, lambda y, x: torch.exp(-(y**2 + x**2) / (2 * values[0] ** 2)))
    if name == "disk" and len(values) == 1 and 0 < values[0] <= 100:
        return _sampled(int(values[0]) + 1, lambda y, x: ((y**2 + x**2).sqrt() < values[0]).float())
    if name == "motion" and len(values) in (1, 2) and 0 < values[0] <= 200:
        angle = torch.tensor(values[1] if len(values) > 1 else 0.0).deg2rad()
        return _sampled(int(values[0] / 2) + 1, lambda y, x: _line(y, x, values[0], angle))
    raise InputError("wrong.psf", psf=text)


def _sampled(reach: int, value: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """A function of place, averaged over each pixel from samples, on the smallest square that holds it."""
    parts = 7  # samples along the side of a pixel
    places = (torch.arange((2 * reach + 1) * parts) + 0.5) / parts - reach - 0.5
    samples = value(places[:, None], places[None, :])
    psf = torch.nn.functional.avg_pool2d(samples[None, None], parts)[0, 0]
    used = torch.nonzero(psf > 0).sub(reach).abs().amax(0).tolist()
    rows, columns = (slice(reach - n, reach + n + 1) for n in used)
    return psf[rows, columns] / psf.sum()


def _line(y: Tensor, x: Tensor, length: float, angle: Tensor) -> Tensor:
    """A line one pixel wide."""
    along, across = x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()
    return ((along.abs() <= length / 2) & (across.abs() <= 0.5)).float()


def _noise(text: str) -> tuple[str, float]:
    name, *rest = text.split(":")
    values = _numbers(rest, "--noise", text)
    if name == "none" and not values:
        return "gaussian", 0.0
    if name in ("poisson", "gaussian") and len(values) == 1 and values[0] > 0:
        return name, values[0]
    raise InputError("wrong.noise", noise=text)


def _numbers(parts: list[str], option: str, text: str) -> list[float]:
    try:
        values = [float(part) for part in parts]
    except ValueError:
        raise InputError("wrong.colons", option=option, text=text) from None
    if not all(map(isfinite, values)):
        raise InputError("wrong.not_finite", option=option, text=text)
    return values


def psnr(picture: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels, white being 1."""
    error = float((picture - truth).square().mean())
    return -10 * log10(error) if error else float("inf")


def _joined(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
