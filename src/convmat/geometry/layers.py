"""The arguments of a convolution layer, read off its attributes, whatever library it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from convmat.geometry.errors import GeometryError, kind_of, shown
from convmat.geometry.per_axis import Padding, ints

_REQUIRED = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")


class LayerArguments(NamedTuple):
    """What a layer says of its convolution, and the input that it is to read."""

    channels: int
    sizes: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    groups: int
    padding_mode: str
    transposed: bool
    output_padding: tuple[int, ...]


def layer_arguments(layer: Any, in_shape: Sequence[int]) -> LayerArguments:
    """Read the attributes that PyTorch's convolution layers have, and split the shape of the input.

    Raises:
        GeometryError: if the shape does not hold the channels and as many sizes as the kernel has.
        TypeError: if the layer lacks an attribute.
    """
    kind = kind_of(layer)
    missing = [name for name in _REQUIRED if not hasattr(layer, name)]
    if missing:
        raise TypeError(f"layer is a {kind}, which has no {missing[0]}: need a convolution layer such as nn.Conv2d")
    if hasattr(layer, "initialize_parameters"):
        raise GeometryError(f"{kind} has no weight yet: call it once, on an input")
    shape, ndim = ints(in_shape, "in_shape"), len(layer.kernel_size)
    if len(shape) != ndim + 1:
        would_do = {ndim: (layer.in_channels, *shape), ndim + 2: shape[1:]}.get(len(shape))
        hint = f"; {shown(would_do)} would do" if would_do else ""
        raise GeometryError(
            f"in_shape={shown(shape)} must hold the channels and the {ndim} spatial sizes, without the batch{hint}"
        )
    return LayerArguments(
        shape[0],
        shape[1:],
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        getattr(layer, "padding_mode", "zeros"),
        bool(getattr(layer, "transposed", False)),
        getattr(layer, "output_padding", (0,) * ndim),
    )
