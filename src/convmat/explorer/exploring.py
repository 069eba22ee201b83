"""From whatever a user has, a geometry, a layer, a weight or plain arguments, to the page about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convmat.explorer.page import Page
from convmat.explorer.states import check_can_be_shown, geometry_state, window
from convmat.geometry import Geometry, GeometryError, Padding, PerAxis, kind_of, per_axis_ints, shown, unknown
from convmat.tensors.arguments import conv_geometry, conv_transpose_geometry

_PANELS = ("parameters", "ways", "sizes", "checkerboard", "questions", "practice", "story", "kernel", "code")


def explore(
    source: Any = None,
    input_size: PerAxis | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    kernel_size: PerAxis | None = None,
    output_size: PerAxis | None = None,
    padding_mode: str = "zeros",
    transposed: bool = True,
    weight: Tensor | None = None,
    input: Tensor | None = None,
    panel: str | None = None,
    lang: str | None = None,
) -> Page:
    """The interactive page about a convolution or a transposed one, in which C and Cᵀ are linked to the grids.

    Args:
        source: a convolution layer, with its real weights; a weight in PyTorch's layout; a :class:`Geometry`; or
            nothing, for the geometry that ``input_size``, ``kernel_size`` and the other arguments give. Default: a
            transposed convolution of 2x3 cells.
        input_size: the spatial sizes of the input, one or two; not with a geometry.
        stride, padding, output_padding, groups, dilation, output_size, padding_mode: as in :func:`conv_transpose2d`;
            not with a layer or a geometry.
        kernel_size: without a weight, the taps along each axis.
        transposed: whether weight and arguments are those of a transposed convolution. Default: ``True``
        weight: with a geometry, its weight, of shape ``geometry.weight_shape``. Default: small integers
        input: the numbers of the input, of shape (in_channels, *input_size). Default: small integers
        panel: which of the panels is open at first. Default: none
        lang: ``"en"`` or ``"zh"``. Default: the browser's language

    Returns:
        A page: a notebook shows it, ``save(path)`` writes it as one HTML file that loads nothing, ``open()`` shows that
        in the browser. Of large layers it holds a window, at most 8 by 8 channels and 48 cells an axis, and says so.

    Raises:
        GeometryError: if arguments do not go together, or there are more than two axes or 12 taps along one.
        TypeError: if ``source`` is none of these.

    >>> page = explore(torch.nn.ConvTranspose2d(2, 3, kernel_size=4, stride=2, padding=1), (4, 5))
    >>> page.state["geometry"]["kernel_size"], len(page.state["weight"])
    ([4, 4], 96)
    >>> explore(input_size=(2, 3), kernel_size=3, stride=2, padding=1, output_padding=1)
    <convmat.explore: save(path) writes the page, open() shows it>
    """
    _check_choice("panel", panel, _PANELS)
    _check_choice("lang", lang, ("en", "zh"))
    arguments = {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "groups": groups,
        "dilation": dilation,
        "output_size": output_size,
        "padding_mode": padding_mode,
    }
    geometry, weight = _geometry_and_weight(source, input_size, kernel_size, weight, transposed, arguments)
    state: dict[str, Any] = {}
    if panel is not None:
        state["panel"] = panel
    if lang is not None:
        state["lang"] = lang
    if geometry is not None:
        state |= _shown_part(geometry, weight, input)
    return Page(state)


def _geometry_and_weight(
    source: Any,
    input_size: PerAxis | None,
    kernel_size: PerAxis | None,
    weight: Tensor | None,
    transposed: bool,
    arguments: dict[str, Any],
) -> tuple[Geometry | None, Tensor | None]:
    if isinstance(source, Geometry):
        if input_size is not None:
            raise TypeError(f"input_size={shown(input_size)} goes with a layer or a weight: a geometry has its sizes")
        return source, weight
    if isinstance(source, Tensor):
        weight, source = source, None
    if source is not None:
        return _of_layer(source, input_size)
    if input_size is None and kernel_size is None and weight is None:
        return None, None
    if input_size is None or (kernel_size is None and weight is None):
        raise TypeError("explore() needs input_size together with kernel_size, with a weight or with a layer")
    return _of_arguments(input_size, kernel_size, weight, transposed, arguments), weight


def _of_layer(layer: Any, input_size: PerAxis | None) -> tuple[Geometry, Tensor]:
    if not hasattr(layer, "kernel_size") or not hasattr(layer, "in_channels"):
        raise TypeError(f"source is a {kind_of(layer)}: need a convolution layer, a weight or a convmat.Geometry")
    if input_size is None:
        raise TypeError(f"a {kind_of(layer)} needs an input_size, as in explore(layer, (8, 8))")
    sizes = per_axis_ints(input_size, len(layer.kernel_size), "input_size")
    geometry = Geometry.of(layer, (layer.in_channels, *sizes))
    with torch.no_grad():
        weight: Tensor = layer.weight
    return geometry, weight


def _of_arguments(
    input_size: PerAxis,
    kernel_size: PerAxis | None,
    weight: Tensor | None,
    transposed: bool,
    arguments: dict[str, Any],
) -> Geometry:
    if not transposed and (arguments["output_size"] is not None or arguments["output_padding"] != 0):
        raise GeometryError(
            "output_padding and output_size are those of a transposed convolution: need transposed=True"
        )
    if not transposed:
        arguments = {name: arguments[name] for name in arguments if not name.startswith("output_")}
    if weight is not None:
        build = conv_transpose_geometry if transposed else conv_geometry
        return build(weight, input_size, **arguments)
    ndim = len(input_size) if isinstance(input_size, Sequence) else 2
    sizes = per_axis_ints(input_size, ndim, "input_size")
    groups = arguments["groups"]
    make = Geometry.conv_transpose if transposed else Geometry.conv
    return make(sizes, kernel_size, **arguments, in_channels=groups, out_channels=groups)  # type: ignore[arg-type]


def _shown_part(geometry: Geometry, weight: Tensor | None, input: Tensor | None) -> dict[str, Any]:
    """The state of the window of a geometry that the page can show, with its numbers."""
    note = None
    if not geometry.transposed and any(axis.slack >= axis.stride for axis in geometry.axes):
        geometry = geometry.transpose()  # as a direct one, its arguments alone would give other sizes
        note = {"key": "note.transpose", "values": {}}
    check_can_be_shown(geometry)
    part = window(geometry)
    if part != geometry:
        note = {
            "key": "note.window",
            "values": {
                "channels": f"{part.in_channels}×{part.out_channels}",
                "allChannels": f"{geometry.in_channels}×{geometry.out_channels}",
                "size": "×".join(map(str, part.read)),
                "allSize": "×".join(map(str, geometry.read)),
            },
        }
    state: dict[str, Any] = {"geometry": geometry_state(part)}
    if note is not None:
        state["note"] = note
    if weight is not None:
        _check_shape("weight", weight, geometry.weight_shape)
        rows, columns = part.weight_shape[:2]
        state["weight"] = _numbers(weight[:rows, :columns])
    if input is not None:
        _check_shape("input", input, geometry.in_shape)
        state["input"] = _numbers(input[tuple(map(slice, part.in_shape))])
    return state


def _check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(getattr(tensor, "shape", ())) != tuple(shape):
        raise GeometryError(f"{name}={shown(tensor)} must be of shape {shown(tuple(shape))}")
    if torch.is_complex(tensor):
        raise GeometryError(f"{name}={shown(tensor)} is complex: the page draws real numbers")
    if not torch.isfinite(tensor).all():
        raise GeometryError(f"{name}={shown(tensor)} has entries that are not finite: the page draws finite numbers")


def _numbers(tensor: Tensor) -> list[float]:
    """The numbers in row-major order, each as short as its dtype allows."""
    if tensor.dtype == torch.float64 or not tensor.is_floating_point():
        return [int(value) if float(value).is_integer() else value for value in tensor.detach().flatten().tolist()]
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


def _check_choice(name: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise unknown(name, value, known)
