"""A geometry as the page's state, a dictionary for JSON in PyTorch's names, and the part of it that a page can show."""

from __future__ import annotations

import json
from dataclasses import replace
from math import prod
from typing import Any

from convmat.explorer.files import read
from convmat.geometry import Geometry, GeometryError, shown

LIMITS: dict[str, Any] = json.loads(read("limits.json"))


def geometry_state(geometry: Geometry) -> dict[str, Any]:
    """The dictionary of a geometry: its map's ``input_size``, (lo, hi) pairs of padding, and PyTorch's other arguments.

    >>> state = geometry_state(Geometry.conv_transpose((2, 3), 3, 2, 1, output_padding=1))
    >>> state["input_size"], state["padding"], state["output_padding"]
    ([2, 3], [[1, 1], [1, 1]], [1, 1])
    """
    return {
        "transposed": geometry.transposed,
        "input_size": list(geometry.read),
        "kernel_size": list(geometry.kernel_size),
        "stride": list(geometry.stride),
        "padding": [[axis.lo, axis.hi] for axis in geometry.axes],
        "output_padding": [axis.slack if geometry.transposed else 0 for axis in geometry.axes],
        "dilation": list(geometry.dilation),
        "groups": geometry.groups,
        "in_channels": geometry.in_channels,
        "out_channels": geometry.out_channels,
        "padding_mode": geometry.padding_mode,
    }


def geometry_of_state(state: dict[str, Any]) -> Geometry:
    """The geometry of such a dictionary.

    Raises:
        GeometryError: if its numbers do not go together.
    """
    arguments = {name: state[name] for name in ("groups", "in_channels", "out_channels", "padding_mode")}
    padding = [tuple(pair) for pair in state["padding"]]
    common = (state["input_size"], state["kernel_size"], state["stride"], padding)
    if state["transposed"]:
        appended = state["output_padding"]
        return Geometry.conv_transpose(*common, output_padding=appended, dilation=state["dilation"], **arguments)
    return Geometry.conv(*common, dilation=state["dilation"], **arguments)


def check_can_be_shown(geometry: Geometry) -> None:
    """Refuse what no window of a geometry makes small enough: axes and numbers of the kernel.

    Raises:
        GeometryError: with the limit.
    """
    if geometry.ndim > 2:
        raise GeometryError(f"the page draws 1 or 2 spatial axes, not {geometry.ndim}: take a slice of the kernel")
    if geometry.padding_mode == "mixed":
        modes = tuple(axis.padding_mode for axis in geometry.axes)
        raise GeometryError(f"the page draws axes of one padding mode, not of {shown(modes)}")
    state = geometry_state(geometry)
    for name in ("kernel_size", "stride", "dilation", "padding", "output_padding"):
        numbers = [number for one in state[name] for number in (one if isinstance(one, list) else [one])]
        if max(numbers) > LIMITS[name][1]:
            raise GeometryError(
                f"{name}={shown(state[name])} is more than the page draws: need at most {LIMITS[name][1]}"
            )


def window(geometry: Geometry) -> Geometry:
    """The part of a geometry that the page shows: the first channels of the first groups, and as many cells as fit.

    Raises:
        GeometryError: if no size fits.
    """
    shown_channels = _fewer_channels(geometry)
    axes = list(geometry.axes)
    while not _fits(smaller := replace(shown_channels, axes=tuple(axes))):
        longest = max(range(len(axes)), key=lambda a: _cells(smaller, a))
        size = smaller.read[longest] - 1
        try:
            if size < 1:
                raise GeometryError("no cell is left")
            axes[longest] = _resized(smaller, longest, size)
        except GeometryError:
            raise GeometryError(
                f"a layer with kernel_size={geometry.kernel_size}, stride={geometry.stride} and "
                f"dilation={geometry.dilation} is too wide for the page, which draws {LIMITS['canvas']} cells an axis"
            ) from None
    return replace(shown_channels, axes=tuple(axes))


def _fewer_channels(geometry: Geometry) -> Geometry:
    most = LIMITS["channels"][1]
    rows, columns = geometry.direct_channels
    in_group = rows // geometry.groups, columns // geometry.groups
    groups = min(geometry.groups, max(most // max(*in_group, 1), 1))
    rows, columns = (groups * min(channels, most) for channels in in_group)
    ins, outs = (rows, columns) if geometry.transposed else (columns, rows)
    return replace(geometry, in_channels=ins, out_channels=outs, groups=groups)


def _cells(geometry: Geometry, a: int) -> int:
    axis = geometry.axes[a]
    return max(axis.padded, (axis.outputs - 1) * axis.stride + axis.extent)


def _fits(geometry: Geometry) -> bool:
    rows, columns = geometry.matrix_shape
    products = rows if geometry.transposed is False else columns
    products *= prod(geometry.kernel_size) * max(geometry.direct_channels[1] // geometry.groups, 1)
    return (
        all(_cells(geometry, a) <= LIMITS["canvas"] for a in range(geometry.ndim))
        and max(geometry.read) <= LIMITS["input_size"][1]
        and rows * columns <= LIMITS["entries"]
        and products <= LIMITS["products"]
    )


def _resized(geometry: Geometry, a: int, size: int) -> Any:
    state = geometry_state(geometry)
    state["input_size"][a] = size
    return geometry_of_state(state).axes[a]
