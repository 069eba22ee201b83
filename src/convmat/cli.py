"""The command line: every command is one public function.

Help is written as keys of :mod:`convmat.terminal.texts`, and put into words when the language is known.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import Parameter, Signature, signature
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, TypeVar

try:
    import typer
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    from typer.core import TyperCommand, TyperGroup
except ModuleNotFoundError as error:
    raise SystemExit(f"convmat: {error.name} is missing; 'pip install {error.name}' installs it") from None

from convmat.geometry import Geometry
from convmat.terminal.texts import ENGLISH, InputError, Texts, take_language

Function = TypeVar("Function", bound=Callable[..., None])


class _Helped:
    """A command whose ``--help`` option is described in the language of the others, and among them."""

    texts = ENGLISH

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help, option.metavar = self.texts("option.help"), ""
            option.rich_help_panel = self.texts("panel.options")
        return option


class _Command(_Helped, TyperCommand):
    pass


class _Group(_Helped, TyperGroup):
    pass


_SETTINGS: dict[str, Any] = {
    "cls": _Group,
    "rich_markup_mode": "markdown",
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
app = typer.Typer(**_SETTINGS)
drawings = typer.Typer(**_SETTINGS)
app.add_typer(drawings, name="draw", help="help.draw", rich_help_panel="panel.commands")


def _option(key: str, *names: str, panel: str = "panel.options", metavar: str = "", **more: Any) -> Any:
    """An option; one without a ``metavar`` is a flag."""
    return typer.Option(*names, help=f"option.{key}", rich_help_panel=panel, metavar=metavar, **more)


def _of_layer(key: str, *names: str, metavar: str = "SIZES", **more: Any) -> Any:
    return _option(key, *names, panel="panel.layer", metavar=metavar, **more)


Input = Annotated[str, _of_layer("input", "--input")]
Kernel = Annotated[str, _of_layer("kernel")]
Stride = Annotated[str, _of_layer("stride")]
Padding = Annotated[str, _of_layer("padding")]
Dilation = Annotated[str, _of_layer("dilation")]
Groups = Annotated[int, _of_layer("groups", metavar="N", min=1)]
InChannels = Annotated[int, _of_layer("in_channels", metavar="N", min=1)]
OutChannels = Annotated[int, _of_layer("out_channels", metavar="N", min=1)]
PaddingMode = Annotated[str, _of_layer("padding_mode", metavar="MODE")]
Transposed = Annotated[bool, _of_layer("transposed", "--transposed", metavar="")]
OutputPadding = Annotated[str, _of_layer("output_padding")]
OutputSize = Annotated[str | None, _of_layer("output_size")]
Language = Annotated[str | None, _option("lang", "--lang", metavar="NAME")]  # taken out before, see take_language


def _geometry(
    input: Input,
    kernel: Kernel,
    stride: Stride = "1",
    padding: Padding = "0",
    dilation: Dilation = "1",
    groups: Groups = 1,
    in_channels: InChannels = 1,
    out_channels: OutChannels = 1,
    padding_mode: PaddingMode = "zeros",
    transposed: Transposed = False,
    output_padding: OutputPadding = "0",
    output_size: OutputSize = None,
) -> Geometry:
    """A geometry from the options of a layer, which many commands take."""
    channels: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels, "padding_mode": padding_mode}
    sizes = _sizes(input, "--input")
    options = {
        "kernel_size": _sizes(kernel, "--kernel"),
        "stride": _sizes(stride, "--stride"),
        "padding": _padding(padding),
        "dilation": _sizes(dilation, "--dilation"),
        "groups": groups,
    }
    if transposed:
        wanted = None if output_size is None else _sizes(output_size, "--output-size")
        appended = _sizes(output_padding, "--output-padding")
        return Geometry.conv_transpose(sizes, output_padding=appended, output_size=wanted, **options, **channels)
    if output_size is not None or output_padding != "0":
        raise InputError("wrong.direction")
    return Geometry.conv(sizes, **options, **channels)


def _takes_a_layer(transposed: bool | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a layer in place of its argument ``geometry``.

    Args:
        transposed: the direction of the layer, whatever its option says. Default: by the option
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        of_layer = dict(signature(_geometry, eval_str=True).parameters)
        fixed: dict[str, Any] = {} if transposed is None else {"transposed": transposed}

        @wraps(function)
        def command(**options: Any) -> None:
            geometry = _geometry(**{name: options.pop(name) for name in of_layer} | fixed)
            function(geometry=geometry, **options)

        parameters: list[Parameter] = []
        for parameter in signature(function, eval_str=True).parameters.values():
            parameters += of_layer.values() if parameter.name == "geometry" else [parameter]
        by_name = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
        command.__signature__ = Signature(by_name)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in by_name}
        return command

    return decorate


def _command(key: str) -> Callable[[Function], Function]:
    return app.command(key, cls=_Command, help=f"help.{key}", rich_help_panel="panel.commands")


@_command("demo")
def demo(
    context: typer.Context,
    out: Annotated[Path, _option("report", metavar="FOLDER")] = Path("convmat-report"),
    lang: Language = None,
) -> None:
    """Tell the whole story: in numbers, on a photograph, and as a report to open in a browser."""
    from convmat.demo import demo

    demo(out, Console(), context.obj)


@_command("matrix")
@_takes_a_layer()
def matrix(
    context: typer.Context,
    geometry: Geometry,
    weight: Annotated[Path | None, _option("weight", metavar="FILE.npy")] = None,
    out: Annotated[Path | None, _option("matrix_file", metavar="FILE")] = None,
    lang: Language = None,
) -> None:
    """Print the matrix of a layer, or save it."""
    from convmat.terminal.matrices import print_matrix, save_matrix

    if out is None:
        print_matrix(geometry, weight, Console(), context.obj)
    else:
        save_matrix(geometry, weight, out, Console(), context.obj)


@_command("check")
@_takes_a_layer()
def check(
    context: typer.Context,
    geometry: Geometry,
    batch: Annotated[int, _option("batch", metavar="N", min=1)] = 1,
    lang: Language = None,
) -> None:
    """Compare every method with PyTorch on one layer, in both directions: largest error, time, peak memory."""
    import torch

    from convmat.terminal.tables import print_comparison

    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(geometry.weight_shape, generator=generator)
    for direction in (geometry, geometry.transpose()):
        x = torch.randn(batch, *direction.in_shape, generator=generator)
        print_comparison(direction, x, weight, Console(), context.obj)


@_command("norm")
def norm(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="option.model", rich_help_panel="panel.options", show_default=False),
    ] = None,
    input: Annotated[str, _of_layer("model_input", "--input")] = "3x224x224",
    kernel: Annotated[str | None, _of_layer("model_kernel")] = None,
    stride: Stride = "1",
    padding: Padding = "0",
    dilation: Dilation = "1",
    groups: Groups = 1,
    in_channels: InChannels = 1,
    out_channels: OutChannels = 1,
    padding_mode: PaddingMode = "zeros",
    transposed: Transposed = False,
    output_padding: OutputPadding = "0",
    output_size: OutputSize = None,
    lang: Language = None,
) -> None:
    """Print the true norm of every convolution of a model, or of one layer with random weights, and bounds on it."""
    from convmat.terminal.loading import load
    from convmat.terminal.norms import layer_of, print_norms

    if (model is None) == (kernel is None):
        raise InputError("wrong.model_or_layer")
    if model is not None:
        print_norms(load(model), _sizes(input, "--input"), Console(), context.obj)
        return
    geometry = _geometry(
        input,
        str(kernel),
        stride,
        padding,
        dilation,
        groups,
        in_channels,
        out_channels,
        padding_mode,
        transposed,
        output_padding,
        output_size,
    )
    print_norms(layer_of(geometry), geometry.in_shape, Console(), context.obj)


@_command("accelerate")
def accelerate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="option.model", rich_help_panel="panel.options")],
    input: Annotated[str, _option("model_input_only", "--input", metavar="SIZES")] = "3x224x224",
    batch: Annotated[int, _option("batch", metavar="N", min=1)] = 1,
    freeze: Annotated[bool, _option("freeze", "--freeze")] = False,
    fold: Annotated[bool, _option("fold", "--fold")] = False,
    lang: Language = None,
) -> None:
    """Measure what a model gains by convmat: each convolution on the inputs that it meets, and the whole."""
    from convmat.terminal.accelerating import print_gains
    from convmat.terminal.loading import load, random_input

    loaded = load(model)
    example = random_input(loaded, (batch, *_sizes(input, "--input")))
    print_gains(loaded, example, Console(), context.obj, freeze=freeze, fold=fold)


@_command("upsample")
def upsample(
    context: typer.Context,
    photo: Annotated[
        Path, typer.Argument(metavar="PHOTO", help="option.photo", rich_help_panel="panel.options", show_default=False)
    ],
    scale: Annotated[int, _option("scale", metavar="N")],
    out: Annotated[Path, _option("picture_file", metavar="FILE")],
    kernel: Annotated[str, _option("interpolation", metavar="NAME")] = "bicubic",
    method: Annotated[str, _option("method", metavar="NAME")] = "auto",
    lang: Language = None,
) -> None:
    """Upsample a picture by a transposed convolution, each channel by itself."""
    from convmat.terminal.picture_files import upsample_file

    texts: Texts = context.obj
    written = upsample_file(photo, out, scale, kernel, method=method, label=texts("busy.upsampling"))
    Console().print(
        texts("picture.written", out=out, width=written.width, height=written.height), highlight=False, soft_wrap=True
    )
    for note in written.notes:
        print(f"convmat: {note.said_in(texts)}", file=sys.stderr)


@_command("deblur")
def deblur(
    context: typer.Context,
    photo: Annotated[
        Path | None,
        typer.Argument(
            metavar="PHOTO", help="option.photo_to_blur", rich_help_panel="panel.options", show_default=False
        ),
    ] = None,
    psf: Annotated[str, _option("psf", metavar="NAME")] = "gaussian:2",
    noise: Annotated[str, _option("noise", metavar="NAME")] = "poisson:1000",
    method: Annotated[str, _option("deblur_method", metavar="NAME")] = "rl",
    iterations: Annotated[int | None, _option("iterations", metavar="N", min=0)] = None,
    damp: Annotated[float | None, _option("damp", metavar="X", min=0)] = None,
    out: Annotated[Path, _option("three_pictures", metavar="FILE")] = Path("deblurred.png"),
    lang: Language = None,
) -> None:
    """Blur a photograph, add noise, restore it; write the three side by side."""
    from convmat.terminal.deblurring import deblur_file

    texts, console = context.obj, Console()
    done = deblur_file(photo, out, psf, noise, method, iterations, damp, label=texts("busy.deblurring"))
    height, width = done.photo.shape[1:]
    for line in (
        texts("deblur.psnr", before=f"{done.psnr_before:.2f}", after=f"{done.psnr_after:.2f}"),
        texts("deblur.iterations", iterations=done.iterations, reason=texts.reason(done.reason)),
        texts("deblur.written", out=out, width=width, height=height),
    ):
        console.print(line, highlight=False, soft_wrap=True)


View = Annotated[str | None, _option("view", metavar="NAME")]
WeightFile = Annotated[Path | None, _option("weight", metavar="FILE.npy")]
Named = Annotated[bool, _option("names", "--names")]
FontSize = Annotated[float | None, _option("font_size", metavar="POINTS")]
PictureFile = Annotated[Path, _option("drawing", metavar="FILE")]


def _drawing(key: str, **of_layer: bool) -> None:
    """Make a command of a function of :mod:`convmat.draw`, which needs a layer and nothing else."""
    name = key.partition(".")[2]

    @drawings.command(name, cls=_Command, help=f"help.{key}", rich_help_panel="panel.commands")
    @_takes_a_layer(**of_layer)
    def command(
        context: typer.Context,
        geometry: Geometry,
        weight: WeightFile = None,
        names: Named = False,
        font_size: FontSize = None,
        out: PictureFile = Path(f"{name}.png"),
        lang: Language = None,
    ) -> None:
        from convmat.terminal.drawings import draw_file

        draw_file(name, geometry, weight, names, out, Console(), context.obj, font_size=font_size)


_drawing("draw.frame", transposed=True)
_drawing("draw.stamps", transposed=True)
_drawing("draw.phases", transposed=True)
_drawing("draw.zero-insertion", transposed=True)
_drawing("draw.slide")
_drawing("draw.unfold")
_drawing("draw.sparsity")
_drawing("draw.padding-modes")
_drawing("draw.overlap")


@drawings.command("arithmetic", cls=_Command, help="help.draw.arithmetic", rich_help_panel="panel.commands")
@_takes_a_layer()
def arithmetic(
    context: typer.Context,
    geometry: Geometry,
    view: View = None,
    at: Annotated[str | None, _option("at", metavar="CELL")] = None,
    so_far: Annotated[bool, _option("so_far", "--so-far")] = False,
    weight: WeightFile = None,
    names: Named = False,
    font_size: FontSize = None,
    out: PictureFile = Path("arithmetic.png"),
    lang: Language = None,
) -> None:
    """Draw one step of a convolution."""
    from convmat.terminal.drawings import draw_file

    cell = None if at is None else _sizes(at, "--at")
    options = {"view": view, "at": cell[0] if cell and len(cell) == 1 else cell, "so_far": so_far}
    draw_file("arithmetic", geometry, weight, names, out, Console(), context.obj, font_size=font_size, **options)


@drawings.command("animate", cls=_Command, help="help.draw.animate", rich_help_panel="panel.commands")
@_takes_a_layer()
def animate(
    context: typer.Context,
    geometry: Geometry,
    view: View = None,
    seconds: Annotated[float, _option("seconds", metavar="X")] = 0.7,
    dpi: Annotated[float, _option("dpi", metavar="N")] = 100,
    weight: WeightFile = None,
    names: Named = False,
    font_size: FontSize = None,
    out: Annotated[Path, _option("animation", metavar="FILE.gif")] = Path("steps.gif"),
    lang: Language = None,
) -> None:
    """Draw all steps of a convolution as an animated GIF."""
    from convmat.terminal.drawings import animate_file

    options = {"view": view, "seconds": seconds, "dpi": dpi, "font_size": font_size}
    animate_file(geometry, weight, names, out, Console(), context.obj, **options)


@drawings.command("gallery", cls=_Command, help="help.draw.gallery", rich_help_panel="panel.commands")
def gallery(
    context: typer.Context,
    stills: Annotated[bool, _option("stills", "--stills")] = False,
    font_size: FontSize = None,
    out: Annotated[Path, _option("gallery", metavar="FOLDER")] = Path("convolution-arithmetic"),
    lang: Language = None,
) -> None:
    """Draw the classic cases of convolution arithmetic, and more."""
    from convmat.terminal.drawings import draw_gallery

    draw_gallery(out, Console(), context.obj, stills=stills, font_size=font_size)


def _file(key: str, name: str) -> Any:
    return typer.Argument(metavar=name, help=f"option.{key}", rich_help_panel="panel.options", show_default=False)


@_command("deconvolve")
def deconvolve(
    context: typer.Context,
    source: Annotated[Path, _file("volume", "IN")],
    psf: Annotated[Path, _file("volume_psf", "PSF")],
    out: Annotated[Path, _file("volume_out", "OUT")],
    method: Annotated[str, _option("volume_method", metavar="NAME")] = "rl",
    iterations: Annotated[int, _option("volume_iterations", metavar="N", min=0)] = 20,
    damp: Annotated[float, _option("volume_damp", metavar="X", min=0)] = 0.1,
    memory: Annotated[str, _option("memory", metavar="SIZE")] = "2GiB",
    crop: Annotated[str | None, _option("crop", metavar="SIZES")] = None,
    resume: Annotated[bool, _option("resume", "--resume")] = False,
    overwrite: Annotated[bool, _option("overwrite", "--overwrite")] = False,
    scheduler: Annotated[str | None, _option("scheduler", metavar="ADDRESS")] = None,
    lang: Language = None,
) -> None:
    """Restore a volume larger than memory."""
    from convmat.terminal.deconvolving import Restoring, preview, restore_file

    texts, console = context.obj, Console()
    job = Restoring(source, psf, out, method, iterations, damp, memory, overwrite, resume, scheduler)
    if crop is not None:
        preview(job, _sizes(crop, "--crop"), console, texts)
        if not sys.stdin.isatty():
            console.print(texts("deconvolve.not_asked"), highlight=False, soft_wrap=True)
            return
        if not typer.confirm(texts("deconvolve.go_on")):
            return
    restore_file(job, console, texts)


@_command("explore")
def explore(
    context: typer.Context,
    input: Annotated[str | None, _of_layer("input", "--input")] = None,
    kernel: Annotated[str | None, _of_layer("kernel")] = None,
    stride: Stride = "1",
    padding: Padding = "0",
    dilation: Dilation = "1",
    groups: Groups = 1,
    in_channels: InChannels = 1,
    out_channels: OutChannels = 1,
    padding_mode: PaddingMode = "zeros",
    transposed: Transposed = False,
    output_padding: OutputPadding = "0",
    output_size: OutputSize = None,
    out: Annotated[Path, _option("page_file", metavar="FILE")] = Path("explore.html"),
    open: Annotated[bool, _option("open", "--open")] = False,
    lang: Language = None,
) -> None:
    """Write the interactive page about a layer, or about a small one to begin with."""
    from convmat.explorer import explore

    if (input is None) != (kernel is None):
        raise InputError("wrong.input_and_kernel")
    geometry = None
    if input is not None and kernel is not None:
        geometry = _geometry(
            input,
            kernel,
            stride,
            padding,
            dilation,
            groups,
            in_channels,
            out_channels,
            padding_mode,
            transposed,
            output_padding,
            output_size,
        )
    texts: Texts = context.obj
    written = explore(geometry, lang=texts.language).save(out)
    Console().print(texts("explore.written", out=out), highlight=False, soft_wrap=True)
    if open:
        typer.launch(str(written))


@_command("tune")
def tune(
    context: typer.Context,
    out: Annotated[Path | None, _option("tuning_file", metavar="FILE")] = None,
    seconds: Annotated[float, _option("tuning_seconds", metavar="X", min=1)] = 60,
    lang: Language = None,
) -> None:
    """Measure for a minute, so that ``auto`` chooses better on this machine."""
    from convmat.terminal.tuning import tune_machine

    tune_machine(out, seconds, Console(), context.obj)


@_command("methods")
def methods(context: typer.Context, lang: Language = None) -> None:
    """List the methods to compute a convolution with."""
    from convmat.planning import available_methods
    from convmat.terminal.prose import Prose

    table = Table.grid(padding=(0, 2))
    for name, summary in available_methods().items():
        table.add_row(Text(name, "bold"), Prose(context.obj.summaries.get(name, summary)))
    Console().print(table)


def _version(wanted: bool) -> None:
    if wanted:
        from convmat import __version__

        typer.echo(f"convmat {__version__}")
        raise typer.Exit


@app.callback(help="help")
def _options(
    version: Annotated[bool, _option("version", "--version", callback=_version, is_eager=True)] = False,
    lang: Language = None,
) -> None:
    """See that a convolution is a matrix, and a transposed convolution is that matrix transposed."""


def _sizes(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in text.lower().split("x"))
    except ValueError:
        raise InputError("wrong.sizes", option=option, text=text) from None


def _padding(text: str) -> Any:
    if text.lower() in ("same", "valid"):
        return text.lower()
    try:
        return tuple(_ends(part) for part in text.lower().split("x"))
    except ValueError:
        raise InputError("wrong.padding", text=text) from None


def _ends(text: str) -> int | tuple[int, int]:
    if ":" not in text:
        return int(text)
    lo, hi = text.split(":")
    return int(lo), int(hi)


def main() -> None:
    """Run the command line; what is wrong with the input is one line on stderr and exit status 2."""
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ᵀ shows a question mark
    texts = ENGLISH
    try:
        texts, arguments = take_language(sys.argv[1:], os.environ)
        command = _in_words(typer.main.get_command(app), texts)
        if arguments in ([], ["draw"]):
            arguments.append("--help")
        sys.exit(command.main(arguments, prog_name="convmat", standalone_mode=False, obj=texts))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        print(f"convmat: {_one_line(error, texts)}", file=sys.stderr)
        sys.exit(2)


def _in_words(command: Any, texts: Texts) -> Any:
    """Replace the keys in the help of a command and of those below it by their texts."""
    for part in _parts(command):
        for name in ("help", "rich_help_panel"):
            key = getattr(part, name, None)
            if key:
                setattr(part, name, texts(key))
        if isinstance(part, _Helped):
            part.texts = texts
    return command


def _parts(command: Any) -> Iterator[Any]:
    """A command, its options, and those of the commands below it."""
    yield command
    yield from command.params
    for below in getattr(command, "commands", {}).values():
        yield from _parts(below)


def _one_line(error: Exception, texts: Texts) -> str:
    """What is wrong: typer's errors format themselves, those of files name the file."""
    if hasattr(error, "format_message"):
        message = error.format_message()
    elif isinstance(error, InputError):
        message = error.said_in(texts)
    elif isinstance(error, MemoryError) or "alloc_cpu" in str(error) or "calculation overflowed" in str(error):
        message = texts("wrong.memory")
    elif isinstance(error, OSError) and error.filename:
        message = f"{error.filename}: {error.strerror}"
    else:
        message = str(error) or type(error).__name__
    return " ".join(message.split())
