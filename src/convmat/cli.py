"""The command line: every command is one public function."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

try:
    import typer
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError as error:
    raise SystemExit(f"convmat: {error.name} is missing; pip install 'convmat[cli]' installs it") from None

from convmat.geometry import Geometry, GeometryError

app = typer.Typer(
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="See that a convolution is a matrix, and a transposed convolution is that matrix transposed.",
)

_LAYER = "The layer"
Input = Annotated[
    str,
    typer.Option(
        "--input", metavar="SIZES", help="Spatial sizes joined by x: 7, 4x5 or 3x4x5.", rich_help_panel=_LAYER
    ),
]
Kernel = Annotated[
    str, typer.Option(metavar="SIZES", help="Kernel sizes; a single one serves all axes.", rich_help_panel=_LAYER)
]
Stride = Annotated[str, typer.Option(metavar="SIZES", help="Step between windows.", rich_help_panel=_LAYER)]
Padding = Annotated[
    str,
    typer.Option(
        metavar="SIZES",
        help="Padding at both ends; LO:HI at each (1:0x2:2); or same, valid.",
        rich_help_panel=_LAYER,
    ),
]
Dilation = Annotated[str, typer.Option(metavar="SIZES", help="Step between taps.", rich_help_panel=_LAYER)]
Groups = Annotated[
    int, typer.Option(min=1, help="Blocks of channels that do not see each other.", rich_help_panel=_LAYER)
]
InChannels = Annotated[int, typer.Option(min=1, help="Channels of the input.", rich_help_panel=_LAYER)]
OutChannels = Annotated[int, typer.Option(min=1, help="Channels of the output.", rich_help_panel=_LAYER)]
PaddingMode = Annotated[
    str, typer.Option(metavar="MODE", help="zeros, reflect, replicate or circular.", rich_help_panel=_LAYER)
]
Transposed = Annotated[
    bool, typer.Option("--transposed", help="The transposed convolution of that input: Cᵀ.", rich_help_panel=_LAYER)
]
OutputPadding = Annotated[
    str, typer.Option(metavar="SIZES", help="With --transposed: cells to append.", rich_help_panel=_LAYER)
]
OutputSize = Annotated[
    str | None, typer.Option(metavar="SIZES", help="With --transposed: the output's sizes.", rich_help_panel=_LAYER)
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("convmat-report"),
) -> None:
    """Tell the whole story: in numbers, on a photograph, and as a report to open in a browser."""
    from convmat.demo import demo

    demo(out, Console())


@app.command()
def matrix(
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
    weight: Annotated[
        Path | None, typer.Option(metavar="FILE.npy", help="The weight. Default: its taps are numbered 1, 2, 3, ..")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Save the numbers (.npz, SciPy's format) or a picture (.png, .svg, .pdf).")
    ] = None,
) -> None:
    """Print the matrix of a layer, or save it.

    `convmat matrix --input 4x4 --kernel 3x3` prints the 4 x 16 matrix with the names of its taps: `w01` is the tap in
    row 0, column 1 of the kernel.

    `convmat matrix --input 64x48 --kernel 3 --padding 1 --out C.npz` saves a larger one, for `scipy.sparse.load_npz`.
    """
    from convmat.terminal.matrices import print_matrix, save_matrix

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
    if out is None:
        print_matrix(geometry, weight, Console())
    else:
        save_matrix(geometry, weight, out, Console())


@app.command()
def check(
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
    batch: Annotated[int, typer.Option(min=1, help="Inputs at a time.")] = 1,
) -> None:
    """Compare every method with PyTorch on one layer, in both directions: largest error, time, peak memory.

    `convmat check --input 64x48 --kernel 5 --stride 2 --padding 2 --in-channels 8 --out-channels 16`
    """
    import torch

    from convmat.terminal.tables import print_comparison

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
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(geometry.weight_shape, generator=generator)
    for direction in (geometry, geometry.transpose()):
        x = torch.randn(batch, *direction.in_shape, generator=generator)
        print_comparison(direction, x, weight, Console())


@app.command()
def norm(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="package.module:name (a model, or what makes one), or a file of torch.save(model), whose code is run.",
        ),
    ] = None,
    input: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="SIZES",
            help="Of a model: channels and sizes, 3x224x224. Of a layer: spatial sizes.",
            rich_help_panel=_LAYER,
        ),
    ] = "3x224x224",
    kernel: Annotated[
        str | None, typer.Option(metavar="SIZES", help="Without a MODEL: kernel sizes.", rich_help_panel=_LAYER)
    ] = None,
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
) -> None:
    """Print the true norm of every convolution of a model, or of one layer with random weights, and bounds on it.

    `convmat norm torchvision.models:resnet18 --input 3x224x224`, or `convmat norm mymodels:build`, or
    `convmat norm model.pt`

    `convmat norm --input 16x16 --kernel 3 --padding 1 --in-channels 8 --out-channels 8`
    """
    from convmat.terminal.norms import layer_of, load, print_norms

    if (model is None) == (kernel is None):
        raise GeometryError("name a MODEL, or give a layer by --input and --kernel: one of the two is needed")
    if model is not None:
        print_norms(load(model), _sizes(input, "--input"), Console())
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
    print_norms(layer_of(geometry), geometry.in_shape, Console())


@app.command()
def upsample(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="A picture: grey, RGB or RGBA.")],
    scale: Annotated[int, typer.Option(help="Output pixels per input pixel: 2, 3, ..")],
    out: Annotated[Path, typer.Option(help="The picture to write; its ending says the format.")],
    kernel: Annotated[str, typer.Option(metavar="NAME", help="nearest, bilinear or bicubic.")] = "bicubic",
    method: Annotated[str, typer.Option(metavar="NAME", help="How to compute it; see `convmat check`.")] = "auto",
) -> None:
    """Upsample a picture by a transposed convolution, each channel by itself; write 8 bits per channel.

    `convmat upsample photo.jpg --scale 2 --out larger.png`
    """
    from convmat.terminal.picture_files import upsample_file

    height, width = upsample_file(photo, out, scale, kernel, method=method)
    Console().print(f"{out}: {width} x {height} pixels", highlight=False)


@app.command()
def deblur(
    photo: Annotated[
        Path | None, typer.Argument(metavar="PHOTO", help="A picture. Default: the photograph that matplotlib has.")
    ] = None,
    psf: Annotated[
        str,
        typer.Option(metavar="NAME", help="gaussian:SIGMA, disk:RADIUS, motion:LENGTH:DEGREES (pixels) or FILE.npy."),
    ] = "gaussian:2",
    noise: Annotated[
        str, typer.Option(metavar="NAME", help="poisson:PEAK (photons at white), gaussian:SIGMA (of white 1) or none.")
    ] = "poisson:1000",
    method: Annotated[str, typer.Option(metavar="NAME", help="rl (Richardson-Lucy) or lsmr (least squares).")] = "rl",
    iterations: Annotated[
        int | None, typer.Option(min=0, help="The most iterations. Default: 30 for rl, 100 for lsmr.")
    ] = None,
    damp: Annotated[float | None, typer.Option(min=0, help="Damping of lsmr. Default: by the noise.")] = None,
    out: Annotated[Path, typer.Option(help="The picture to write: all three side by side.")] = Path("deblurred.png"),
) -> None:
    """Blur a photograph, add noise, restore it; write the three side by side.

    `convmat deblur --psf motion:15:30 --method lsmr`
    """
    from convmat.terminal.deblurring import deblur_file

    done = deblur_file(photo, out, psf, noise, method, iterations, damp)
    console = Console()
    console.print(f"PSNR {done.psnr_before:.2f} dB blurred, {done.psnr_after:.2f} dB restored", highlight=False)
    console.print(f"{done.iterations} iterations: {done.reason}", highlight=False)
    height, width = done.photo.shape[1:]
    console.print(f"{out}: photo, blurred, restored, each {width} x {height} pixels", highlight=False)


@app.command()
def methods() -> None:
    """List the methods to compute a convolution with."""
    from convmat.planning import available_methods

    table = Table.grid(padding=(0, 2))
    for name, summary in available_methods().items():
        table.add_row(Text(name, "bold"), summary)
    Console().print(table)


def _version(wanted: bool) -> None:
    if wanted:
        from convmat import __version__

        typer.echo(f"convmat {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """See that a convolution is a matrix, and a transposed convolution is that matrix transposed."""


def _geometry(
    input: str,
    kernel: str,
    stride: str,
    padding: str,
    dilation: str,
    groups: int,
    in_channels: int,
    out_channels: int,
    padding_mode: str,
    transposed: bool,
    output_padding: str,
    output_size: str | None,
) -> Geometry:
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
        raise GeometryError("--output-padding and --output-size go with --transposed only")
    return Geometry.conv(sizes, **options, **channels)


def _sizes(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in text.lower().split("x"))
    except ValueError:
        raise GeometryError(f"{option} {text!r} must be integers joined by x, as in 4x5") from None


def _padding(text: str) -> Any:
    if text.lower() in ("same", "valid"):
        return text.lower()
    try:
        return tuple(_ends(part) for part in text.lower().split("x"))
    except ValueError:
        raise GeometryError(
            f"--padding {text!r} must be integers joined by x, as in 1x2, LO:HI pairs, as in 1:0x2:2, or same or valid"
        ) from None


def _ends(text: str) -> int | tuple[int, int]:
    if ":" not in text:
        return int(text)
    lo, hi = text.split(":")
    return int(lo), int(hi)


def main() -> None:
    """Run the command line; what is wrong with the input is one line on stderr and exit status 2."""
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name="convmat", standalone_mode=False))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        print(f"convmat: {_one_line(error)}", file=sys.stderr)
        sys.exit(2)


def _one_line(error: Exception) -> str:
    """What is wrong: typer's errors format themselves, those of files name the file."""
    if hasattr(error, "format_message"):
        message = error.format_message()
    elif isinstance(error, MemoryError) or "alloc_cpu" in str(error) or "calculation overflowed" in str(error):
        message = "there is not enough memory for this layer; smaller sizes, fewer channels or a smaller batch would do"
    elif isinstance(error, OSError) and error.filename:
        message = f"{error.filename}: {error.strerror}"
    else:
        message = str(error) or type(error).__name__
    return " ".join(message.split())
