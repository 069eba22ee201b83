"""im2col and a matrix product; transposed, a matrix product and col2im.

The columns repeat every input up to once per tap. So they are made in chunks that stay under :func:`column_memory`,
and made anew for the backward pass instead of being kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod

import torch
from torch import Tensor

from convmat.geometry import Geometry, GeometryError, an_int, check_positive
from convmat.methods.common import no_bool, no_complex_half, runs_eagerly
from convmat.tensors.derivatives import TrilinearMaps, trilinear
from convmat.tensors.im2col import add_columns, crop_padding, padded_sizes, window_view, zero_padding
from convmat.tensors.padding import pad_zeros

_column_memory: ContextVar[int] = ContextVar("column_memory", default=2**28)

Box = tuple[slice, ...]


@contextmanager
def column_memory(limit: int) -> Iterator[None]:
    """Limit the memory that ``method="unfold"`` takes for its columns and what they are multiplied to.

    The limit holds for the layers called within the context, and for their backward passes wherever these run. It does
    not count the input, the padded copy of it, the weight and the output.

    Args:
        limit: in bytes. Default without the context: 256 MiB. It must hold at least one column and the product with
            it: ``columns * prod(kernel_size) + rows`` elements, with the channels that the direct convolution reads and
            writes.

    >>> import torch, convmat
    >>> x, weight = torch.ones(1, 3, 30, 40), torch.ones(2, 3, 5, 5)
    >>> with convmat.column_memory(100_000):
    ...     convmat.conv2d(x, weight, method="unfold").shape
    torch.Size([1, 2, 26, 36])
    """
    check_positive(limit=an_int(limit, "limit"))
    token = _column_memory.set(limit)
    try:
        yield
    finally:
        _column_memory.reset(token)


@runs_eagerly
def direct(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Unfold, then multiply by the weight as a (rows, columns*taps) matrix."""
    return trilinear(_maps(geometry), "y", x=input, w=weight)


@runs_eagerly
def transposed(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Multiply by the transposed weight matrix, then fold."""
    return trilinear(_maps(geometry), "x", w=weight, y=input)


def weight_gradient(x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
    """The gradient of ``<y, C(w) x>`` with respect to ``w``: a matrix product with the columns."""
    return trilinear(_maps(geometry), "w", x=x, y=y)


def _maps(geometry: Geometry) -> TrilinearMaps:
    limit = _column_memory.get()
    return TrilinearMaps(
        y=lambda x, w: _convolve(x, w, geometry, limit),
        x=lambda w, y: _convolve_transpose(w, y, geometry, limit),
        w=lambda x, y: _weight_gradient(x, y, geometry, limit),
    )


def _convolve(x: Tensor, w: Tensor, geometry: Geometry, limit: int) -> Tensor:
    rows, _ = geometry.direct_channels
    view, weight = _grouped_windows(pad_zeros(x, zero_padding(geometry)), geometry), _weight_matrix(w, geometry)
    y = x.new_zeros(len(x), rows, *geometry.outputs)
    by_group = _by_group(y, geometry)
    for box in _boxes(x, geometry, limit):
        by_group[box] = _from_matrix(weight @ _to_matrix(view[box], geometry), by_group[box].shape, geometry)
    return y


def _convolve_transpose(w: Tensor, y: Tensor, geometry: Geometry, limit: int) -> Tensor:
    _, columns = geometry.direct_channels
    padded = y.new_zeros(len(y), columns, *padded_sizes(geometry))
    view, weight = _grouped_windows(padded, geometry), _weight_matrix(w, geometry)
    y = _by_group(y, geometry)
    for box in _boxes(y, geometry, limit):
        part = view[box]
        columns_of_part = _from_matrix(weight.mT @ _to_matrix(y[box], geometry), part.shape, geometry)
        add_columns(part, columns_of_part, geometry.kernel_size)
        del columns_of_part  # or it would stay while the next are made
    return crop_padding(padded, geometry).contiguous()


def _weight_gradient(x: Tensor, y: Tensor, geometry: Geometry, limit: int) -> Tensor:
    view = _grouped_windows(pad_zeros(x, zero_padding(geometry)), geometry)
    y = _by_group(y, geometry)
    gradient = x.new_zeros(geometry.weight_shape)
    matrix = _weight_matrix(gradient, geometry)
    for box in _boxes(x, geometry, limit):
        matrix += _to_matrix(y[box], geometry) @ _to_matrix(view[box], geometry).mT
    return gradient


def _by_group(tensor: Tensor, geometry: Geometry) -> Tensor:
    return tensor.unflatten(1, (geometry.groups, tensor.shape[1] // geometry.groups))


def _grouped_windows(padded: Tensor, geometry: Geometry) -> Tensor:
    """A view of shape (batch, groups, channels, *outputs, *kernel)."""
    return _by_group(window_view(padded, geometry), geometry)


def _weight_matrix(w: Tensor, geometry: Geometry) -> Tensor:
    """(rows, columns/groups, *kernel) -> (groups, rows/groups, columns/groups*taps)."""
    return w.unflatten(0, (geometry.groups, w.shape[0] // geometry.groups)).flatten(2)


def _matrix_order(ndim: int, geometry: Geometry) -> tuple[int, ...]:
    """(batch, groups, channels, *cells, *kernel) -> (groups, channels, *kernel, batch, *cells)."""
    cells = range(3, 3 + geometry.ndim)
    return (1, 2, *range(cells.stop, ndim), 0, *cells)


def _to_matrix(part: Tensor, geometry: Geometry) -> Tensor:
    """Lay out a chunk as (groups, channels*taps, batch*cells); without the kernel's axes, taps is 1."""
    ordered = part.permute(_matrix_order(part.ndim, geometry))
    positions = ordered.shape[-1 - geometry.ndim :]
    return ordered.reshape(part.shape[1], -1 if part.numel() else 0, prod(positions))


def _from_matrix(matrix: Tensor, shape: torch.Size, geometry: Geometry) -> Tensor:
    """The inverse, back to a chunk of the given shape."""
    order = _matrix_order(len(shape), geometry)
    back = sorted(range(len(order)), key=order.__getitem__)
    return matrix.reshape([shape[dim] for dim in order]).permute(back)


def _boxes(tensor: Tensor, geometry: Geometry, limit: int) -> Iterator[Box]:
    """Cut (batch, groups, channels, *outputs) into parts whose columns stay under the limit."""
    rows, columns = geometry.direct_channels
    column = (columns * prod(geometry.kernel_size) + rows) * tensor.element_size()
    if column > limit:
        raise GeometryError(
            f"column_memory({limit}) is too small: one column of this layer, and the product with it, take {column} "
            f"bytes; need limit >= {column}"
        )
    for batch, *cells in _cut((len(tensor), *geometry.outputs), limit // column):
        yield (batch, slice(None), slice(None), *cells)


def _cut(shape: tuple[int, ...], most: int) -> Iterator[Box]:
    """Cut a box into boxes of at most ``most`` elements, along its first axes first."""
    if not shape:
        yield ()
        return
    inner = prod(shape[1:])
    step = max(most // max(inner, 1), 1)
    for start in range(0, shape[0], step):
        for rest in _cut(shape[1:], most):
            yield (slice(start, min(start + step, shape[0])), *rest)


def refuses(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the method cannot take a case, if it cannot."""
    return no_bool(dtype) or no_complex_half(dtype)
