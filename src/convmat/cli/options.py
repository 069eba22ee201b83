"""Options that many commands take, and the geometry that those of a layer make."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from math import inf, isnan, nan
from typing import Annotated, Any

import typer

from convmat.geometry import Geometry
from convmat.terminal.texts import InputError


def option(key: str, *names: str, panel: str = "panel.options", metavar: str = "", **more: Any) -> Any:
    """An option; one without a ``metavar`` is a flag.

    Values are texts, numbers too: what is wrong with these is said by who reads them, in the language of the context.
    """
    return typer.Option(*names, help=f"option.{key}", rich_help_panel=panel, metavar=metavar, **more)


def layer_option(key: str, *names: str, metavar: str = "SIZES", **more: Any) -> Any:
    """An option that says what the layer is like."""
    return option(key, *names, panel="panel.layer", metavar=metavar, **more)


def argument(key: str, metavar: str) -> Any:
    """An argument without a name before it."""
    return typer.Argument(metavar=metavar, help=f"option.{key}", rich_help_panel="panel.options", show_default=False)


Input = Annotated[str, layer_option("input", "--input")]
Kernel = Annotated[str, layer_option("kernel")]
Stride = Annotated[str, layer_option("stride")]
Padding = Annotated[str, layer_option("padding")]
Dilation = Annotated[str, layer_option("dilation")]
Groups = Annotated[str, layer_option("groups", metavar="N>=1")]
InChannels = Annotated[str, layer_option("in_channels", metavar="N>=1")]
OutChannels = Annotated[str, layer_option("out_channels", metavar="N>=1")]
PaddingMode = Annotated[str, layer_option("padding_mode", metavar="MODE")]
Transposed = Annotated[bool, layer_option("transposed", "--transposed", metavar="")]
OutputPadding = Annotated[str, layer_option("output_padding")]
OutputSize = Annotated[str | None, layer_option("output_size")]
Language = Annotated[str | None, option("lang", "--lang", metavar="NAME")]  # taken out before, see take_language


def read_geometry(
    input: Input,
    kernel: Kernel,
    stride: Stride = "1",
    padding: Padding = "0",
    dilation: Dilation = "1",
    groups: Groups = "1",
    in_channels: InChannels = "1",
    out_channels: OutChannels = "1",
    padding_mode: PaddingMode = "zeros",
    transposed: Transposed = False,
    output_padding: OutputPadding = "0",
    output_size: OutputSize = None,
) -> Geometry:
    """A geometry as the options of a layer say it, which many commands take."""
    channels: dict[str, Any] = {
        "in_channels": read_integer(in_channels, "--in-channels", 1),
        "out_channels": read_integer(out_channels, "--out-channels", 1),
        "padding_mode": padding_mode,
    }
    sizes = read_sizes(input, "--input")
    options = {
        "kernel_size": read_sizes(kernel, "--kernel"),
        "stride": read_sizes(stride, "--stride"),
        "padding": read_padding(padding),
        "dilation": read_sizes(dilation, "--dilation"),
        "groups": read_integer(groups, "--groups", 1),
    }
    if transposed:
        wanted = None if output_size is None else read_sizes(output_size, "--output-size")
        appended = read_sizes(output_padding, "--output-padding")
        return Geometry.conv_transpose(sizes, output_padding=appended, output_size=wanted, **options, **channels)
    if output_size is not None or output_padding != "0":
        raise InputError("wrong.direction")
    return Geometry.conv(sizes, **options, **channels)


def takes_a_layer(transposed: bool | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a layer in place of its argument ``geometry``.

    A command that need not be given a layer has ``input`` and ``kernel`` as options of its own. Its geometry is
    ``None`` where one of them is.

    Args:
        transposed: the direction of the layer, whatever its option says. Default: by the option
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = signature(function, eval_str=True).parameters
        of_layer = dict(signature(read_geometry, eval_str=True).parameters)
        fixed: dict[str, Any] = {} if transposed is None else {"transposed": transposed}
        added = [parameter for name, parameter in of_layer.items() if name not in own]

        @wraps(function)
        def command(**options: Any) -> None:
            layer = {name: options[name] for name in of_layer} | fixed
            is_given = layer["input"] is not None and layer["kernel"] is not None
            for parameter in added:
                del options[parameter.name]
            function(geometry=read_geometry(**layer) if is_given else None, **options)

        parameters: list[Parameter] = []
        for name, parameter in own.items():
            parameters += added if name == "geometry" else [parameter]
        by_name = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
        command.__signature__ = Signature(by_name)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in by_name}
        return command

    return decorate


def read_sizes(text: str, option: str) -> tuple[int, ...]:
    """Sizes as they are typed: ``3x4``."""
    try:
        return tuple(int(size) for size in text.lower().split("x"))
    except ValueError:
        raise InputError("wrong.sizes", option=option, text=text) from None


def read_integer(text: str, option: str, least: int) -> int:
    """An integer as it is typed, of at least so much."""
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise InputError("wrong.integer", option=option, text=text, least=least)
    return value


def read_number(text: str, option: str, least: float = -inf) -> float:
    """A number as it is typed, of at least so much."""
    try:
        value = float(text)
    except ValueError:
        value = nan
    if isnan(value):
        raise InputError("wrong.number", option=option, text=text)
    if value < least:
        raise InputError("wrong.small", option=option, text=text, least=least)
    return value


def read_padding(text: str) -> Any:
    """Padding as it is typed: ``same``, ``valid``, ``1x2`` or ``1:2x0:1``."""
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
