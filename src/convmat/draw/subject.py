"""What is drawn: a geometry, and the numbers that go with it, if there are any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convmat import matrices
from convmat.draw.sheet import Strings
from convmat.geometry import Axis, Geometry, GeometryError, geometry_of, kind_of, shown
from convmat.matrices.symbols import tap_name
from convmat.tensors.arguments import check_dtype, conv_geometry, conv_transpose_geometry

Numbers = npt.NDArray[Any]

_MOST_ENTRIES = 4_000_000
_DIRECT = {"stride", "padding", "dilation", "groups", "padding_mode"}
_TRANSPOSED = _DIRECT | {"output_padding", "output_size"}


@dataclass(frozen=True)
class Subject:
    """A map over two axes, and its weight and input.

    Attributes:
        geometry: over two axes; of one over a single axis, the first has one cell.
        ndim: axes that it had.
        weight: of shape ``geometry.weight_shape``, or ``None`` where taps go by their names.
        input: of shape ``geometry.in_shape``.
    """

    geometry: Geometry
    ndim: int
    weight: Tensor | None
    input: Tensor

    # -- numbers -------------------------------------------------------------------------------------------------------

    def outputs(self, input: Tensor | None = None) -> Numbers | None:
        """What the map makes of an input, by default its own; ``None`` without numbers."""
        if self.weight is None:
            return None
        return self._own_outputs if input is None else product(self.geometry, self.weight, input)

    @cached_property
    def _own_outputs(self) -> Numbers:
        assert self.weight is not None
        return product(self.geometry, self.weight, self.input)

    def product(self, tap: Sequence[int], element: Sequence[int]) -> Any:
        """A tap times an element of the input, by their indices."""
        assert self.weight is not None
        return self.weight[tuple(tap)].item() * self.input[tuple(element)].item()

    # -- words ---------------------------------------------------------------------------------------------------------

    def tap(self, index: Sequence[int]) -> str:
        """The number or the name of a tap, by its index in the weight."""
        if self.weight is not None:
            return number_text(self.weight[tuple(index)].item())
        return tap_name(replace(self.geometry, axes=self.geometry.axes[2 - self.ndim :]), self.unlifted(index, 2))

    def kernel(self, channels: tuple[int, int]) -> Strings:
        """The taps of the kernel between two channels."""
        return _filled(self.geometry.kernel_size, lambda index: self.tap((*channels, *index)))

    def element(self, letter: str, index: Sequence[int]) -> str:
        """The name of an element of the input (x) or of the output (y), as taps are named."""
        shape = self.geometry.in_shape if letter == "x" else self.geometry.out_shape
        numbers = self.unlifted(index, 1)
        if shape[0] == 1:
            return f"{letter}{''.join(map(str, numbers[1:]))}" if max(shape) <= 10 else f"{letter}{list(numbers[1:])}"
        return f"{letter}[{','.join(map(str, numbers))}]"

    def read_text(self, index: Sequence[int]) -> str:
        """The number or the name of an element of the input."""
        return self.element("x", index) if self.weight is None else number_text(self.input[tuple(index)].item())

    def unlifted(self, index: Sequence[int], channels: int) -> tuple[int, ...]:
        """An index without the axis that was put in front."""
        return (*index[:channels], *index[channels + 2 - self.ndim :])


def subject_of(
    geometry: Any,
    in_shape: Any = None,
    *,
    input: Any = None,
    transposed: bool = False,
    **arguments: Any,
) -> Subject:
    """What is to be drawn, from any of the ways to say it.

    Args:
        geometry: a :class:`Geometry`; a layer; a weight; or a matrix.
        in_shape: of a layer, channels and sizes of the input; of a weight, sizes of the input; of a matrix,
            its geometry.
        input: the numbers of the input. Default: small integers
        transposed: whether a weight is that of a transposed convolution.
        arguments: of a weight, those of :func:`conv_matrix` or :func:`conv_transpose_matrix`; of a geometry,
            ``weight``.

    Raises:
        GeometryError: if these do not go together, or the geometry is over more than two axes.
        TypeError: if there is an argument that does not belong here.
    """
    found, weight = with_weight(geometry, in_shape, transposed=transposed, **arguments)
    if found.ndim > 2:
        raise GeometryError.of("a geometry over {ndim} axes cannot be drawn: need 1 or 2", ndim=found.ndim)
    elements = _checked_input(input, found)
    lifted = replace(found, axes=((Axis.conv(1, 1),) * (2 - found.ndim)) + found.axes)
    if weight is not None:
        weight = weight.reshape(lifted.weight_shape)
    return Subject(lifted, found.ndim, weight, elements.reshape(lifted.in_shape))


def with_weight(
    geometry: Any, in_shape: Any = None, *, transposed: bool = False, **arguments: Any
) -> tuple[Geometry, Tensor | None]:
    """A geometry, and the weight that came with it; see :func:`subject_of`."""
    if "input_size" in arguments:
        in_shape = arguments.pop("input_size")
    tensor = as_tensor(geometry)
    if tensor is None:
        weight = arguments.pop("weight", None)
        _refuse(arguments, "a geometry or a layer, which has its own")
        if transposed:
            raise TypeError("transposed=True goes with a weight: a geometry or a layer has its own direction")
        found = geometry_of(geometry, in_shape)
        if weight is None and isinstance(geometry, nn.Module):
            weight = getattr(geometry, "weight", None)
        return found, None if weight is None else _checked_weight(weight, found)
    if tensor.ndim == 2:
        _refuse(arguments, "a matrix")
        if not isinstance(in_shape, Geometry):
            raise GeometryError(
                f"a matrix alone, here of shape {shown(tuple(tensor.shape))}, does not say where its cells lie: need "
                "its convmat.Geometry after it, or a weight of shape (channels, channels/groups, *kernel)"
            )
        return in_shape, weight_in(tensor, in_shape)
    if in_shape is None:
        raise TypeError("input_size is missing: a weight needs the spatial sizes of the input, as in conv_matrix")
    known = _TRANSPOSED if transposed else _DIRECT
    _refuse({name: value for name, value in arguments.items() if name not in known}, "this weight")
    if not transposed:
        options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros", **arguments}
        return conv_geometry(tensor, in_shape, **options), tensor
    options = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
    options |= {"output_size": None, "padding_mode": "zeros", **arguments}
    return conv_transpose_geometry(tensor, in_shape, **options), tensor


def as_tensor(value: Any) -> Tensor | None:
    """A weight or a matrix as a dense tensor on the CPU; ``None`` of anything else."""
    if hasattr(value, "toarray") and hasattr(value, "nnz"):  # SciPy's
        value = value.toarray()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, Tensor):
        return None
    if value.numel() > _MOST_ENTRIES:
        raise GeometryError.of(
            "a tensor of {count} elements is too large to draw: need at most {most}; a smaller layer looks the same",
            count=value.numel(),
            most=_MOST_ENTRIES,
        )
    check_dtype(value, "the tensor to draw")
    if value.is_meta:
        raise GeometryError("a tensor on the device meta has no numbers to draw")
    return value.detach().to_dense().cpu().resolve_conj().resolve_neg()


def weight_in(matrix: Tensor, geometry: Geometry) -> Tensor:
    """Read the weight of a geometry off its matrix.

    Raises:
        GeometryError: if that is not the matrix of any weight.
    """
    if tuple(matrix.shape) != geometry.matrix_shape:
        raise GeometryError(
            f"a matrix of shape {shown(tuple(matrix.shape))} is not that of the geometry, whose matrix has the shape "
            f"{geometry.matrix_shape}"
        )
    # The number of the tap in each entry where one stands alone; a tap that never does is taken for zero.
    taps = torch.arange(prod(geometry.weight_shape)).reshape(geometry.weight_shape)
    numbers, counts = (matrices.dense(geometry, weight) for weight in (taps, torch.ones_like(taps)))
    weight = torch.zeros(taps.numel(), dtype=matrix.dtype)
    weight[numbers[counts == 1]] = matrix[counts == 1]
    weight = weight.reshape(geometry.weight_shape)
    wrong = torch.nonzero(matrices.dense(geometry, weight) != matrix)
    if len(wrong):
        row, column = wrong[0].tolist()
        raise GeometryError(
            f"the matrix is not that of a weight with this geometry: its entry [{row}, {column}] is no sum of "
            "taps that other entries have; draw.sparsity(matrix) draws any matrix"
        )
    return weight


def product(geometry: Geometry, weight: Tensor, input: Tensor) -> Numbers:
    """The map applied by its matrix."""
    rows, columns = geometry.matrix_shape
    if rows * columns > _MOST_ENTRIES:
        raise GeometryError.of(
            "the {matrix} is too large to draw: need at most {most} entries, zeros included; a smaller "
            "layer looks the same",
            matrix=matrices.size_text(geometry),
            most=_MOST_ENTRIES,
        )
    matrix = matrices.dense(geometry, weight)
    dtype = torch.promote_types(matrix.dtype, input.dtype)
    return (matrix.to(dtype) @ input.to(dtype).reshape(-1)).reshape(geometry.out_shape).numpy()


def number_text(value: complex) -> str:
    """A number in a few characters.

    >>> number_text(3.0), number_text(-0.125), number_text(1234.5)
    ('3', '-0.12', '1.2e+03')
    """
    if isinstance(value, complex):
        return f"{value:.2g}"
    if value == int(value) if abs(value) < 1e6 else False:
        return str(int(value))
    return f"{value:.2f}".rstrip("0").rstrip(".") if 0.01 <= abs(value) < 100 else f"{value:.2g}"


def default_input(shape: Sequence[int]) -> Tensor:
    """Small integers, none of them zero: the same for every picture of a shape."""
    return torch.randint(1, 6, tuple(shape), generator=torch.Generator().manual_seed(1))


def _checked_input(input: Any, geometry: Geometry) -> Tensor:
    if input is None:
        return default_input(geometry.in_shape)
    tensor = as_tensor(input if isinstance(input, Tensor) else np.asarray(input))
    if tensor is None:
        raise TypeError(f"input must be numbers, not {kind_of(input)}")
    if tensor.numel() != prod(geometry.in_shape) or tuple(tensor.shape) not in (geometry.in_shape, geometry.read):
        raise GeometryError(f"input of shape {shown(tuple(tensor.shape))}: need {geometry.in_shape}")
    return tensor.reshape(geometry.in_shape)


def _checked_weight(weight: Any, geometry: Geometry) -> Tensor:
    tensor = as_tensor(weight)
    if tensor is None:
        raise TypeError(f"weight must be a tensor, not {kind_of(weight)}")
    if tuple(tensor.shape) != geometry.weight_shape:
        raise GeometryError(f"weight of shape {shown(tuple(tensor.shape))}: need {geometry.weight_shape}")
    return tensor


def _refuse(arguments: dict[str, Any], whose: str) -> None:
    for name in arguments:
        raise TypeError(f"{shown(name)} does not go with {whose}")


def _filled(shape: tuple[int, ...], text: Callable[[tuple[int, ...]], str]) -> Strings:
    """An array of texts, each made of its index."""
    array = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        array[index] = text(index)
    return array
