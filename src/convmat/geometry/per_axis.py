"""Arguments in the forms that PyTorch's users write them, spelled out for each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypeGuard

from convmat.geometry.errors import GeometryError, Sentence, kind_of, shown

PerAxis: TypeAlias = int | Sequence[int]
Padding: TypeAlias = int | Sequence[int | tuple[int, int]] | Literal["same", "valid"]

LARGEST = 2**63 - 1  # of PyTorch's and NumPy's indices


def per_axis_ints(value: PerAxis, ndim: int, name: str) -> tuple[int, ...]:
    """One integer per axis, from an integer or a sequence of them; a sequence of one serves all axes, as in PyTorch."""
    value = _as_list(value, name, f"one integer, or one for each of the {ndim} axes")
    if not _is_sequence(value):
        return (an_int(value, name),) * ndim
    values = tuple(an_int(number, name) for number in value)
    if len(values) == 1:
        return values * ndim
    if len(values) != ndim:
        raise GeometryError.of(
            "{name}={value} has {count} values: need one integer, or one for each of the {ndim} axes",
            name=name,
            value=shown(tuple(value)),
            count=len(values),
            ndim=ndim,
        )
    return values


def per_axis_padding(value: Padding, ndim: int) -> tuple[Any, ...]:
    """One ``(lo, hi)`` pair or ``"same"`` per axis, from any form of the ``padding`` argument."""
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise GeometryError.of(
                "padding={value} is unknown: need integers, (lo, hi) pairs, 'same' or 'valid'", value=shown(value)
            )
        return ("same" if value == "same" else (0, 0),) * ndim
    value = _as_list(value, "padding", f"one integer, or one integer or (lo, hi) pair for each of the {ndim} axes", 2)
    if not _is_sequence(value):
        return ((an_int(value, "padding"),) * 2,) * ndim
    pairs = tuple(_padding_pair(item, value) for item in value)
    if len(pairs) == 1:
        return pairs * ndim
    if len(pairs) != ndim:
        is_pair = ndim == 1 and len(pairs) == 2
        hint = Sentence("; for one (lo, hi) pair write padding=({pair},)", pair=tuple(value)) if is_pair else ""
        raise GeometryError.of(
            "padding={value} has {count} values: need one integer, or one integer or (lo, hi) pair for each of the "
            "{ndim} axes{hint}",
            value=shown(tuple(value)),
            count=len(pairs),
            ndim=ndim,
            hint=hint,
        )
    return pairs


def _padding_pair(item: Any, padding: Any) -> tuple[int, int]:
    if not _is_sequence(item):
        return (an_int(item, "padding"),) * 2
    if len(item) != 2:
        raise GeometryError.of(
            "padding={padding}: {item} must be a pair (lo, hi)", padding=shown(padding), item=shown(item)
        )
    return an_int(item[0], "padding"), an_int(item[1], "padding")


def an_int(value: Any, name: str) -> int:
    """A plain integer; symbolic ones (of PyTorch's tracing, which carry a node) stay as they are."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not -LARGEST <= value <= LARGEST:
            raise GeometryError.of(
                "{name}={value} is out of range: need at most 2**63-1", name=name, value=shown(value)
            )
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}={shown(value)} must be an integer, not {kind_of(value)}")
    if hasattr(value, "node"):
        symbolic: int = value
        return symbolic
    try:
        return an_int(value.__index__(), name)
    except TypeError:  # an array or a tensor that is no single integer
        raise TypeError(f"{name}={shown(value)} must be an integer, not {kind_of(value)}") from None


def _is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    # Tuples and lists first: asking for Sequence takes ten times as long.
    return isinstance(value, (tuple, list)) or (isinstance(value, Sequence) and not isinstance(value, str))


def _as_list(value: Any, name: str, need: str, most_dimensions: int = 1) -> Any:
    """Small arrays and tensors of integers as the numbers or lists that they hold."""
    # torch.compile says that its symbolic integers are integers, and cannot say what attributes these have.
    if isinstance(value, int) or not hasattr(value, "tolist"):
        return value
    if getattr(value, "ndim", 0) > most_dimensions or getattr(value, "is_meta", False):
        hint = _SHAPES.get(name)
        hint = f"; {hint} would do" if hint else ""
        raise TypeError(f"{name}={shown(value)} must be {need}, not the numbers of a {kind_of(value)}{hint}")
    return value.tolist()


# What to write where a tensor stands whose shape is meant, x being a batch.
_SHAPES = {
    "in_shape": "x.shape[1:]",
    "input_size": "x.shape[2:]",
    "output_size": "x.shape[2:]",
    "data_size": "data.shape",  # of a picture or a volume, which is no batch
}


def ints(values: Sequence[Any], name: str) -> tuple[int, ...]:
    """A tuple of plain integers."""
    values = _as_list(values, name, "a sequence of integers")
    if not _is_sequence(values):
        raise TypeError(f"{name}={shown(values)} must be a sequence of integers, not {kind_of(values)}")
    return tuple(an_int(value, name) for value in values)
