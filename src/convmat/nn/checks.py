"""The arguments of a layer, checked and spelled out for each axis before PyTorch's constructor sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from types import FunctionType
from typing import TypeAlias

from convmat.geometry import (
    GeometryError,
    Padding,
    PerAxis,
    an_int,
    check_padding_mode,
    check_positive,
    kind_of,
    per_axis_ints,
    per_axis_padding,
    shown,
)
from convmat.planning import check_method

LayerPadding: TypeAlias = str | tuple[int, ...] | tuple[tuple[int, int], ...]


@contextmanager
def errors_of(layer: object) -> Iterator[None]:
    """Let errors say which layer they are of."""
    name = kind_of(layer)
    try:
        yield
    except GeometryError as error:
        raise GeometryError(f"{name}: {error}") from None
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def name_functions(layer: type) -> None:
    """Copy the functions that a public class inherits from private bases of ours, under its own name.

    Python names a function in its errors, as in ``Conv2d.__init__() missing 1 required positional argument``.
    """
    if layer.__name__.startswith("_"):
        return
    for name in ("__init__", "forward"):
        writer = next(base for base in layer.__mro__ if name in vars(base))
        function = vars(writer)[name]
        if writer.__name__.startswith("_") and writer.__module__.startswith("convmat."):
            named = FunctionType(
                function.__code__, function.__globals__, name, function.__defaults__, function.__closure__
            )
            named.__kwdefaults__, named.__annotations__ = function.__kwdefaults__, function.__annotations__
            named.__doc__, named.__module__ = function.__doc__, function.__module__
            named.__qualname__ = f"{layer.__name__}.{name}"
            setattr(layer, name, named)


def check_channels(groups: int, **channels: int) -> None:
    """Check that each number of channels, by name, falls into as many groups."""
    check_positive(groups=groups)
    for name, count in channels.items():
        if an_int(count, name) < 0 or count % groups:
            raise GeometryError(f"{name}={count} must be divisible by groups={groups}, and not negative")


def layer_sizes(
    channels: tuple[int, int], groups: int, kernel_size: PerAxis, stride: PerAxis, dilation: PerAxis, ndim: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, stride and dilation as a layer keeps them, one positive integer per axis.

    Args:
        channels: of input and output, which must go with the groups, and with the kernel be few enough for a weight.
        groups, kernel_size, stride, dilation: the arguments of the layer.
        ndim: over how many axes.
    """
    in_channels, out_channels = channels
    check_channels(groups, in_channels=in_channels, out_channels=out_channels)
    kernel = positive_per_axis(kernel_size, ndim, "kernel_size")
    _check_weight(in_channels, out_channels, kernel)
    return kernel, positive_per_axis(stride, ndim, "stride"), positive_per_axis(dilation, ndim, "dilation")


def _check_weight(in_channels: int, out_channels: int, kernel_size: Sequence[int]) -> None:
    """Check that a weight's bytes can be counted, whatever its groups."""
    elements = prod((max(in_channels, 1), max(out_channels, 1), *kernel_size))
    if elements > 2**59:
        raise GeometryError(
            f"in_channels={in_channels}, out_channels={out_channels} and kernel_size={shown(tuple(kernel_size))} need "
            f"a weight of {shown(elements)} elements, more than 2**59: sizes overflow"
        )


def positive_per_axis(value: PerAxis, ndim: int, name: str) -> tuple[int, ...]:
    """One integer of at least 1 per axis."""
    values = per_axis_ints(value, ndim, name)
    for one in values:
        check_positive(**{name: one})
    return values


def layer_padding(padding: Padding, ndim: int) -> LayerPadding:
    """The padding as a layer keeps it: as PyTorch does if it can, as pairs where the two ends of an axis differ."""
    if isinstance(padding, str):
        per_axis_padding(padding, ndim)
        return padding
    pairs = per_axis_padding(padding, ndim)
    if any(min(pair) < 0 for pair in pairs):
        raise GeometryError(f"padding={shown(padding)} must not be negative: slice to crop")
    if all(lo == hi for lo, hi in pairs):
        return tuple(lo for lo, _ in pairs)
    return pairs


def layer_output_padding(
    output_padding: PerAxis, padding: LayerPadding, stride: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    """One integer per axis, each less than stride or dilation; zero with ``"same"``."""
    values = per_axis_ints(output_padding, len(stride), "output_padding")
    if padding == "same" and any(values):
        raise GeometryError(
            f"output_padding={shown(output_padding)} cannot go with padding='same', which fixes the size"
        )
    for value, *steps in zip(values, stride, dilation, strict=True):
        if not 0 <= value < max(steps):
            raise GeometryError(
                f"output_padding={shown(output_padding)} is out of range: need 0 <= output_padding < "
                f"max(stride={steps[0]}, dilation={steps[1]})"
            )
    return values


def check_choices(padding_mode: str, method: str) -> None:
    """Check that padding mode and method are known."""
    check_padding_mode(padding_mode)
    check_method(method)
