"""Arguments in the forms that PyTorch's users write them, spelled out for each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from convmat.geometry.errors import GeometryError

PerAxis: TypeAlias = int | Sequence[int]
Padding: TypeAlias = int | Sequence[int | tuple[int, int]] | Literal["same", "valid"]


def per_axis_ints(value: PerAxis, ndim: int, name: str) -> tuple[int, ...]:
    """One integer per axis, from an integer or a sequence of them; a sequence of one serves all axes, as in PyTorch."""
    value = _as_list(value)
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (an_int(value, name),) * ndim
    values = ints(value, name)
    if len(values) == 1:
        return values * ndim
    if len(values) != ndim:
        raise GeometryError(
            f"{name}={tuple(value)} has {len(values)} values: need one integer, or one for each of the {ndim} axes"
        )
    return values


def per_axis_padding(value: Padding, ndim: int) -> tuple[Any, ...]:
    """One ``(lo, hi)`` pair or ``"same"`` per axis, from any form of the ``padding`` argument."""
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise GeometryError(f"padding={value!r} is unknown: need integers, (lo, hi) pairs, 'same' or 'valid'")
        return ("same" if value == "same" else (0, 0),) * ndim
    value = _as_list(value)
    if not isinstance(value, Sequence):
        return ((an_int(value, "padding"),) * 2,) * ndim
    pairs = tuple(_padding_pair(item, value) for item in value)
    if len(pairs) == 1:
        return pairs * ndim
    if len(pairs) != ndim:
        hint = f"; for one (lo, hi) pair write padding=({tuple(value)},)" if ndim == 1 and len(pairs) == 2 else ""
        raise GeometryError(
            f"padding={tuple(value)} has {len(pairs)} values: need one integer, or one integer or (lo, hi) pair "
            f"for each of the {ndim} axes{hint}"
        )
    return pairs


def _padding_pair(item: Any, padding: Any) -> tuple[int, int]:
    if not isinstance(item, Sequence) or isinstance(item, str):
        return (an_int(item, "padding"),) * 2
    if len(item) != 2:
        raise GeometryError(f"padding={padding!r}: {item!r} must be a pair (lo, hi)")
    return an_int(item[0], "padding"), an_int(item[1], "padding")


def an_int(value: Any, name: str) -> int:
    """A plain integer; symbolic ones (of PyTorch's tracing, which carry a node) stay as they are."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}={value!r} must be an integer, not {type(value).__name__}")
    plain: int = value if hasattr(value, "node") else value.__index__()
    return plain


def _as_list(value: Any) -> Any:
    """Arrays and tensors as the numbers or lists that they hold."""
    return value.tolist() if hasattr(value, "tolist") else value


def ints(values: Sequence[Any], name: str) -> tuple[int, ...]:
    """A tuple of plain integers."""
    values = _as_list(values)
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"{name}={values!r} must be a sequence of integers, not {type(values).__name__}")
    return tuple(an_int(value, name) for value in values)
