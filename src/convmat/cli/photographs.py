"""Commands that write photographs and volumes: larger ones, and restored ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from convmat.cli.application import command
from convmat.cli.options import Language, argument, option, read_integer, read_number, read_sizes
from convmat.terminal.texts import Texts


@command("upsample")
def upsample(
    context: typer.Context,
    photo: Annotated[Path, argument("photo", "PHOTO")],
    scale: Annotated[str, option("scale", metavar="N>=2")],
    out: Annotated[Path, option("picture_file", metavar="FILE")],
    kernel: Annotated[str, option("interpolation", metavar="NAME")] = "bicubic",
    method: Annotated[str, option("method", metavar="NAME")] = "auto",
    lang: Language = None,
) -> None:
    """Upsample a picture by a transposed convolution, each channel by itself."""
    from convmat.terminal.picture_files import upsample_file

    texts: Texts = context.obj
    times = read_integer(scale, "--scale", 2)
    written = upsample_file(photo, out, times, kernel, method=method, label=texts("busy.upsampling"))
    Console().print(
        texts("picture.written", out=out, width=written.width, height=written.height), highlight=False, soft_wrap=True
    )
    for note in written.notes:
        print(f"convmat: {note.said_in(texts)}", file=sys.stderr)


@command("deblur")
def deblur(
    context: typer.Context,
    photo: Annotated[Path | None, argument("photo_to_blur", "PHOTO")] = None,
    psf: Annotated[str, option("psf", metavar="NAME")] = "gaussian:2",
    noise: Annotated[str, option("noise", metavar="NAME")] = "poisson:1000",
    method: Annotated[str, option("deblur_method", metavar="NAME")] = "rl",
    iterations: Annotated[str | None, option("iterations", metavar="N>=0")] = None,
    damp: Annotated[str | None, option("damp", metavar="X>=0")] = None,
    out: Annotated[Path, option("three_pictures", metavar="FILE")] = Path("deblurred.png"),
    lang: Language = None,
) -> None:
    """Blur a photograph, add noise, restore it; write the three side by side."""
    from convmat.terminal.deblurring import deblur_file

    texts, console = context.obj, Console()
    most = None if iterations is None else read_integer(iterations, "--iterations", 0)
    damping = None if damp is None else read_number(damp, "--damp", 0)
    done = deblur_file(photo, out, psf, noise, method, most, damping, label=texts("busy.deblurring"))
    height, width = done.photo.shape[1:]
    reason = "; ".join(map(texts.sentence, done.reasons))  # of each colour, mostly the same
    if done.damping is not None:
        reason = texts("deblur.damped", reason=reason, damping=f"{done.damping:.2g}")
    for line in (
        texts("deblur.psnr", before=f"{done.psnr_before:.2f}", after=f"{done.psnr_after:.2f}"),
        texts("deblur.iterations", iterations=done.iterations, reason=reason),
        texts("deblur.written", out=out, width=width, height=height),
    ):
        console.print(line, highlight=False, soft_wrap=True)


@command("deconvolve")
def deconvolve(
    context: typer.Context,
    source: Annotated[Path, argument("volume", "IN")],
    psf: Annotated[Path, argument("volume_psf", "PSF")],
    out: Annotated[Path, argument("volume_out", "OUT")],
    method: Annotated[str, option("volume_method", metavar="NAME")] = "rl",
    iterations: Annotated[str, option("volume_iterations", metavar="N>=0")] = "20",
    damp: Annotated[str, option("volume_damp", metavar="X>=0")] = "0.1",
    memory: Annotated[str, option("memory", metavar="SIZE")] = "2GiB",
    crop: Annotated[str | None, option("crop", metavar="SIZES")] = None,
    resume: Annotated[bool, option("resume", "--resume")] = False,
    overwrite: Annotated[bool, option("overwrite", "--overwrite")] = False,
    scheduler: Annotated[str | None, option("scheduler", metavar="ADDRESS")] = None,
    lang: Language = None,
) -> None:
    """Restore a volume larger than memory."""
    from convmat.terminal.deconvolving import Restoring, preview, restore_file

    texts, console = context.obj, Console()
    most, damping = read_integer(iterations, "--iterations", 0), read_number(damp, "--damp", 0)
    job = Restoring(source, psf, out, method, most, damping, memory, overwrite, resume, scheduler)
    if crop is not None:
        preview(job, read_sizes(crop, "--crop"), console, texts)
        if not sys.stdin.isatty():
            console.print(texts("deconvolve.not_asked"), highlight=False, soft_wrap=True)
            return
        if not typer.confirm(texts("deconvolve.go_on")):
            return
    restore_file(job, console, texts)
