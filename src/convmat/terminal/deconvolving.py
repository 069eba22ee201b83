"""Restore a volume from a file to a file: a preview, the progress, and going on after a break."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from torch import Tensor

from convmat.geometry import middle_start
from convmat.geometry.memory import human
from convmat.operators import Solution, blur_operator, crop_to_data, richardson_lucy
from convmat.operators.deconvolution import restore_stored
from convmat.operators.extras import needed
from convmat.operators.solvers.solving import solve
from convmat.operators.volumes.job import Progress, Stored
from convmat.progress import spinner
from convmat.terminal.picture_files import write_picture
from convmat.terminal.texts import InputError, Texts
from convmat.terminal.volume_files import check_ending, open_volume, read_psf, write_volume

if TYPE_CHECKING:
    import dask.array as da

METHODS = ("rl", "lsmr", "cg")
_GAP = 4  # pixels between the projections


@dataclass(frozen=True)
class Restoring:
    """What is to be restored, and how.

    Args:
        source: a file with the data.
        psf: a file with the point-spread function.
        out: the file to write.
        method: ``rl``, ``lsmr`` or ``cg``.
        iterations: the most.
        damp: of lsmr and cg.
        memory: of all processes together.
        overwrite: whether to begin anew where something is there.
        resume: whether to go on with what is there.
        scheduler: the address of a cluster's scheduler. Default: threads of this process
    """

    source: Path
    psf: Path
    out: Path
    method: str = "rl"
    iterations: int = 20
    damp: float = 0.1
    memory: str = "2GiB"
    overwrite: bool = False
    resume: bool = False
    scheduler: str | None = None

    @property
    def work(self) -> Path:
        """The folder to work in; it is gone at the end."""
        return self.out.with_name(f"{self.out.name}.work")

    def check(self) -> None:
        """Check what can be checked at once."""
        needed("dask.array")
        check_ending(self.out)
        if self.method not in METHODS:
            raise InputError("wrong.volume_method", method=self.method, known=", ".join(METHODS))
        if not self.out.parent.is_dir():
            raise InputError("wrong.folder", path=self.out, folder=self.out.parent)
        if self.out.exists() and not self.overwrite:
            raise InputError("wrong.exists", path=self.out)

    def read(self) -> tuple[da.Array, Tensor]:
        """The data, lazily, and the point-spread function."""
        data = open_volume(self.source)
        if not 1 <= data.ndim <= 3:
            raise InputError("wrong.volume", path=self.source, error=data.shape)
        return data, read_psf(self.psf, data.ndim)


def restore_file(job: Restoring, console: Console, texts: Texts) -> None:
    """Restore a volume; see :func:`convmat.richardson_lucy`.

    Raises:
        GeometryError: if files, sizes or arguments do not go together.
        OSError: if a file cannot be read or written, or the disk is full.
    """
    job.check()
    data, psf = job.read()
    with _scheduler(job.scheduler), _bar(data.shape, texts) as watch:
        stored = Stored(job.work, job.memory, job.overwrite, job.resume, watch)
        solution = _restore(job, data, psf, stored)
    with spinner(texts("busy.writing")):
        starts = [middle_start(n, size) for n, size in zip(solution.x.shape, data.shape, strict=True)]
        inner = tuple(slice(start, start + size) for start, size in zip(starts, data.shape, strict=True))
        write_volume(solution.x[inner], job.out)
    shutil.rmtree(job.work)
    reason = texts.sentence(solution.reason)
    _say(console, texts("deconvolve.done", iterations=int(solution.iterations), reason=reason))
    _say(console, texts("deconvolve.residual", residual=f"{float(solution.residual):.4g}"))
    _say(console, texts("deconvolve.written", out=job.out, sizes=_joined(data.shape)))


def preview(job: Restoring, sizes: tuple[int, ...], console: Console, texts: Texts) -> None:
    """Restore a part in the middle, in memory, and write it as a picture: before, and after."""
    job.check()
    data, psf = job.read()
    if len(sizes) != data.ndim or any(not 0 < size <= n for size, n in zip(sizes, data.shape, strict=True)):
        raise InputError("wrong.crop", crop=_joined(sizes), sizes=_joined(data.shape))
    starts = [middle_start(n, size) for n, size in zip(data.shape, sizes, strict=True)]
    part = data[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))]
    before = torch.from_numpy(part.compute())
    began = time.perf_counter()
    with spinner(texts("busy.preview")), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        after = _restore_part(job, before, psf.to(before))
    seconds = (time.perf_counter() - began) * prod(data.shape) / before.numel()
    picture = job.out.with_name(f"{job.out.name}.preview.png")
    write_picture(_side_by_side(before, after), picture)
    _say(console, texts("deconvolve.preview", picture=picture, sizes=_joined(sizes)))
    _say(console, texts("deconvolve.estimate", duration=duration(seconds)))


def _restore(job: Restoring, data: da.Array, psf: Tensor, stored: Stored) -> Solution:
    with warnings.catch_warnings():  # what ended it is said in words
        warnings.simplefilter("ignore", RuntimeWarning)
        if job.method == "rl":
            return restore_stored(psf, data, job.iterations, None, "poisson", None, stored)
        op = blur_operator(psf.to(getattr(torch, data.dtype.name)), data.shape)
        found = solve(op, data[None], job.method, job.damp, None, None, job.iterations, None, stored)
    return Solution(found.x[0], found.iterations, found.residual, found.reason, found.converged)


def _restore_part(job: Restoring, data: Tensor, psf: Tensor) -> Tensor:
    if job.method == "rl":
        x = richardson_lucy(psf, data, job.iterations).x
    else:
        op = blur_operator(psf, data.shape)
        x = op.solve(data[None], job.method, job.damp, maxiter=job.iterations).x[0]
    return crop_to_data(x, data.shape)


def _side_by_side(before: Tensor, after: Tensor) -> Tensor:
    """Maximum projections along the first of three axes, each from black to white, of shape (1, height, width)."""
    flat = [x.amax(0) if x.ndim == 3 else torch.atleast_2d(x) for x in (before, after)]
    scaled = [(x - x.min()) / (x.max() - x.min()).clamp_min(torch.finfo(x.dtype).tiny) for x in flat]
    return torch.cat([scaled[0], torch.ones(len(scaled[0]), _GAP, dtype=scaled[0].dtype), scaled[1]], 1)[None]


@contextmanager
def _scheduler(address: str | None) -> Iterator[None]:
    """Let a cluster compute, if there is one."""
    if address is None:
        yield
        return
    try:
        client = needed("distributed").Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise InputError("wrong.scheduler", address=address, error=error) from None
    with client:
        yield


@contextmanager
def _bar(shape: tuple[int, ...], texts: Texts) -> Iterator[Any]:
    """Two lines of progress on a terminal, gone at the end; nothing elsewhere."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[state]}")
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        line = bars.add_task(texts("busy.copying"), total=None, state="")
        clock = _Clock(prod(shape))

        def watch(progress: Progress) -> None:
            if progress.iteration < 1:
                return
            done = min(progress.iteration - 1 + progress.part, progress.iterations)
            bars.update(
                line,
                description=f"{min(progress.iteration, progress.iterations)}/{progress.iterations}",
                total=progress.iterations,
                completed=done,
                state=clock.state(progress, done, texts),
            )

        yield watch


class _Clock:
    """How fast it goes, and how long it will take."""

    def __init__(self, cells: int) -> None:
        self._cells, self._began, self._first = cells, 0.0, 0.0

    def state(self, progress: Progress, done: float, texts: Texts) -> str:
        """In two lines."""
        now = time.perf_counter()
        if not self._began:  # what was done before a break was not done now
            self._began, self._first = now, done
        seconds, steps = now - self._began, done - self._first
        rate = steps / seconds if seconds else 0.0
        left = (progress.iterations - done) / rate if rate else 0.0
        residual = "-" if progress.residual is None else f"{progress.residual:.3g}"
        return texts(
            "deconvolve.state",
            rate=f"{rate * self._cells / 1e6:.1f}",
            read=human(progress.read),
            written=human(progress.written),
            left=duration(left),
            residual=residual,
        )


def duration(seconds: float) -> str:
    """A time for people: ``duration(3725)`` is ``"1:02:05"``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)


def _joined(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
