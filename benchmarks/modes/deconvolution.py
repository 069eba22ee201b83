"""Richardson-Lucy: the time of an iteration, against scikit-image, on 512 x 512 pixels with a PSF of 15 x 15."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

import convmat
from benchmarks.bench import Bench, Row
from benchmarks.statistic import summary
from benchmarks.tables import new_table, number, speedup
from benchmarks.timing import Call, time_rounds

_ITERATIONS = 30
_PSF = 15


def measure(bench: Bench) -> list[Row]:
    """Time both, in single and double precision."""
    size = 64 if bench.quick else 512
    return [_measure(bench, size, dtype) for dtype in (torch.float32, torch.float64)]


def _measure(bench: Bench, size: int, dtype: torch.dtype) -> Row:
    generator = torch.Generator().manual_seed(0)
    window = torch.hann_window(_PSF + 2, periodic=False, dtype=dtype)[1:-1]
    psf = torch.outer(window, window) / window.sum() ** 2
    data = torch.rand(size, size, dtype=dtype, generator=generator)
    row: Row = {"layer": f"{size} x {size}, {dtype}".replace("torch.", ""), "peers": {}, "refused": {}}
    calls: dict[str, Call] = {"convmat": partial(convmat.richardson_lucy, psf, data, _ITERATIONS)}
    try:
        restoration: Any = import_module("skimage.restoration")
    except ModuleNotFoundError as error:
        row["refused"]["scikit-image"] = f"not installed: {error}"
    else:
        theirs = partial(restoration.richardson_lucy, clip=False)
        calls["scikit-image"] = partial(theirs, data.numpy(), psf.numpy(), num_iter=_ITERATIONS)
        _check(psf, data, theirs(data.numpy(), psf.numpy(), num_iter=1))
    rounds = time_rounds(calls, bench.blocks, bench.clock)
    row["peers"] = {
        name: summary([[t / _ITERATIONS for t in block] for block in found]) for name, found in rounds.items()
    }
    return row


def _check(psf: Tensor, data: Tensor, theirs: Any) -> None:
    """Equal after an iteration, away from the border, where scikit-image sees zeros."""
    start = torch.full([n + k - 1 for n, k in zip(data.shape, psf.shape, strict=True)], 0.5, dtype=data.dtype)
    ours = convmat.crop_to_data(convmat.richardson_lucy(psf, data, 1, x0=start).x, data.shape)
    inside = (slice(_PSF, -_PSF),) * 2
    np.testing.assert_allclose(ours.numpy()[inside], theirs[inside], rtol=1e-4 if data.dtype == torch.float32 else 1e-9)


def tables(rows: Sequence[Row]) -> list[Table]:
    """Milliseconds of an iteration, and the ratio."""
    table = new_table("Richardson-Lucy: milliseconds per iteration", "data", "convmat", "scikit-image", "times as fast")
    for row in rows:
        ours, theirs = (row["peers"].get(name, {}) for name in ("convmat", "scikit-image"))
        ratio = [a / b for a, b in zip(theirs.get("rounds_ms", []), ours["rounds_ms"], strict=False)]
        table.add_row(row["layer"], number(ours.get("ms")), number(theirs.get("ms")), speedup(ratio))
    return [table]
