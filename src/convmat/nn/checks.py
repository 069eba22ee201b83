"""The arguments of a layer, checked and spelled out for each axis before PyTorch's constructor sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from convmat.geometry import (
    PADDING_MODES,
    GeometryError,
    Padding,
    PerAxis,
    an_int,
    check_positive,
    per_axis_ints,
    per_axis_padding,
)
from convmat.planning import check_method

LayerPadding: TypeAlias = str | tuple[int, ...] | tuple[tuple[int, int], ...]


@contextmanager
def errors_of(layer: object) -> Iterator[None]:
    """Let errors say which layer they are of."""
    name = type(layer).__name__
    try:
        yield
    except GeometryError as error:
        raise GeometryError(f"{name}: {error}") from None
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def check_channels(groups: int, **channels: int) -> None:
    """Check that each number of channels, by name, falls into as many groups."""
    check_positive(groups=groups)
    for name, count in channels.items():
        if an_int(count, name) < 0 or count % groups:
            raise GeometryError(f"{name}={count} must be divisible by groups={groups}, and not negative")


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
        raise GeometryError(f"padding={padding!r} must not be negative: slice to crop")
    if all(lo == hi for lo, hi in pairs):
        return tuple(lo for lo, _ in pairs)
    return pairs


def layer_output_padding(
    output_padding: PerAxis, padding: LayerPadding, stride: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    """One integer per axis, each less than stride or dilation; zero with ``"same"``."""
    values = per_axis_ints(output_padding, len(stride), "output_padding")
    if padding == "same" and any(values):
        raise GeometryError(f"output_padding={output_padding} cannot go with padding='same', which fixes the size")
    for value, *steps in zip(values, stride, dilation, strict=True):
        if not 0 <= value < max(steps):
            raise GeometryError(
                f"output_padding={output_padding} is out of range: need 0 <= output_padding < max(stride={steps[0]}, "
                f"dilation={steps[1]})"
            )
    return values


def check_choices(padding_mode: str, method: str) -> None:
    """Check that padding mode and method are known."""
    if padding_mode not in PADDING_MODES:
        known = ", ".join(map(repr, PADDING_MODES))
        raise GeometryError(f"padding_mode={padding_mode!r} is unknown: need one of {known}")
    check_method(method)
