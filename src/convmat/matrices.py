"""The matrix of a convolution: dense, COO and CSR.

A geometry says which entries there are and which taps meet in each (:meth:`convmat.Geometry.entries`); here the weight
is gathered into them. All of it is done by array operations over the entries, and gradients flow back to the weight.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convmat.arguments import conv_geometry, conv_transpose_geometry, layer_geometry
from convmat.geometry import Geometry, GeometryError, Padding, PerAxis
from convmat.memory import available, human

_LAYOUTS = (torch.strided, torch.sparse_coo, torch.sparse_csr)
_INDEX_DTYPES = (torch.int32, torch.int64)


def conv_matrix(
    weight: Tensor,
    input_size: PerAxis,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    layout: torch.layout = torch.strided,
    index_dtype: torch.dtype | None = None,
) -> Tensor:
    """The matrix C of a convolution over any number of axes: ``C @ x.flatten() == conv(x).flatten()``.

    Gradients flow from its entries (the values, if sparse) back to the weight; PyTorch has none of complex CSR.

    Args:
        weight: of shape (out_channels, in_channels/groups, *kernel), of any dtype.
        input_size: the spatial sizes of the input, without batch and channels.
        stride, padding, dilation, groups, padding_mode: as in :func:`conv2d`.
        layout: ``torch.strided``, ``torch.sparse_coo`` or ``torch.sparse_csr``. Default: ``torch.strided``
        index_dtype: with CSR, ``torch.int32`` or ``torch.int64``. Default: ``torch.int64``

    Returns:
        Of shape (out_channels * output cells, in_channels * input cells), channels first, cells in row-major order.

    Raises:
        GeometryError: if sizes or arguments do not go together, or the matrix would not fit in memory.

    >>> conv_matrix(torch.tensor([[[1, 2, 3]]]), (4,), padding=1)
    tensor([[2, 3, 0, 0],
            [1, 2, 3, 0],
            [0, 1, 2, 3],
            [0, 0, 1, 2]])
    """
    geometry = conv_geometry(weight, input_size, stride, padding, dilation, groups, padding_mode)
    return build(geometry, weight, layout, index_dtype)


def conv_transpose_matrix(
    weight: Tensor,
    input_size: PerAxis,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    output_size: PerAxis | None = None,
    padding_mode: str = "zeros",
    layout: torch.layout = torch.strided,
    index_dtype: torch.dtype | None = None,
) -> Tensor:
    """The matrix Cᵀ of a transposed convolution: the transpose of that of the direct one from its output to its input.

    Args:
        weight: of shape (in_channels, out_channels/groups, *kernel), of any dtype.
        input_size: the spatial sizes of the input, without batch and channels.
        stride, padding, output_padding, groups, dilation, output_size, padding_mode: as in :func:`conv_transpose2d`.
        layout, index_dtype: as in :func:`conv_matrix`.

    Returns:
        Of shape (out_channels * output cells, in_channels * input cells), channels first, cells in row-major order.

    Raises:
        GeometryError: if sizes or arguments do not go together, or the matrix would not fit in memory.

    >>> conv_transpose_matrix(torch.tensor([[[1, 2, 3]]]), (2,), stride=2)
    tensor([[1, 0],
            [2, 0],
            [3, 1],
            [0, 2],
            [0, 3]])
    """
    geometry = conv_transpose_geometry(
        weight, input_size, stride, padding, output_padding, groups, dilation, output_size, padding_mode
    )
    return build(geometry, weight, layout, index_dtype)


def matrix(
    module: nn.Module,
    in_shape: Sequence[int],
    *,
    layout: torch.layout = torch.strided,
    index_dtype: torch.dtype | None = None,
) -> Tensor:
    """The matrix A of a layer or a model of linear layers: ``A @ x.flatten()`` is its output but for biases and shifts.

    Biases, the shift of a batch normalisation and the value of a constant padding are left out: A is the Jacobian,
    ``A @ x.flatten() == (model(x) - model(0 * x)).flatten()``. Gradients flow from its entries to the parameters, but
    those of complex CSR. All of this is said of the modules as they are: hooks, which may do anything, are not run.

    Args:
        module: any of these, or an ``nn.Sequential`` of them, nested or not:

            - ``Conv1d`` to ``Conv3d``, ``ConvTranspose1d`` to ``ConvTranspose3d``, ``Linear``;
            - ``AvgPool1d`` to ``3d``, ``AdaptiveAvgPool1d`` to ``3d``, ``Upsample`` in all of its modes;
            - ``ZeroPad``, ``ConstantPad``, ``ReflectionPad``, ``ReplicationPad``, ``CircularPad`` (negative: crop);
            - ``Unfold``, ``Fold``, ``PixelShuffle``, ``PixelUnshuffle``, ``ChannelShuffle``, ``Flatten``,
              ``Unflatten``, ``Identity``;
            - in eval mode, ``BatchNorm``, ``InstanceNorm`` (with running statistics) and ``Dropout``.
        in_shape: the shape of its input without the batch: channels and spatial sizes for most.
        layout, index_dtype: as in :func:`conv_matrix`.

    Returns:
        Of shape (output elements, input elements), both in row-major order, on the device of the parameters and of the
        dtype that they promote to; without parameters, on the CPU and of PyTorch's default dtype.

    Raises:
        GeometryError: if the shape does not go with a part, a part is in train mode where that makes it nonlinear, the
            dtype cannot hold a part's entries (averages of integers), or a matrix would not fit in memory.
        TypeError: if a part is none of these. Either names the part by its path in the model.

    >>> matrix(torch.nn.Conv2d(2, 3, kernel_size=3, padding=1), (2, 4, 5)).shape
    torch.Size([60, 40])
    >>> matrix(torch.nn.Sequential(torch.nn.ReplicationPad1d((1, 0)), torch.nn.AvgPool1d(2, stride=1)), (1, 3))
    tensor([[1.0000, 0.0000, 0.0000],
            [0.5000, 0.5000, 0.0000],
            [0.0000, 0.5000, 0.5000]])
    """
    from convmat.linear_models import is_convolution, model_entries

    if not is_convolution(module):
        check_layout(layout, index_dtype)  # before the work
        return model_entries(module, in_shape).to_layout(layout, index_dtype)
    geometry = layer_geometry(module, in_shape)
    weight: Tensor = module.weight  # type: ignore[assignment]
    return build(geometry, weight, layout, index_dtype)


def build(geometry: Geometry, weight: Tensor, layout: torch.layout, index_dtype: torch.dtype | None = None) -> Tensor:
    """The matrix of a geometry and a weight, in one of three layouts."""
    check_layout(layout, index_dtype)
    if layout == torch.sparse_csr:
        return csr(geometry, weight, index_dtype or torch.int64)
    return coo(geometry, weight) if layout == torch.sparse_coo else dense(geometry, weight)


def check_layout(layout: torch.layout, index_dtype: torch.dtype | None) -> None:
    """Check that the layout is known, and that the dtype of the indices goes with it."""
    if layout not in _LAYOUTS:
        raise GeometryError(f"layout={layout} is unknown: need one of {', '.join(map(str, _LAYOUTS))}")
    if index_dtype is not None and index_dtype not in _INDEX_DTYPES:
        raise GeometryError(f"index_dtype={index_dtype} is unknown: need one of {', '.join(map(str, _INDEX_DTYPES))}")
    if index_dtype == torch.int32 and layout != torch.sparse_csr:
        raise GeometryError(f"index_dtype={index_dtype} goes with layout=torch.sparse_csr only, not with {layout}")


def dense(geometry: Geometry, weight: Tensor) -> Tensor:
    """The matrix of shape ``geometry.matrix_shape``; (rows, columns) of all cells, channels first."""
    rows, columns = geometry.matrix_shape
    while_built = geometry.most_entries() * (4 * 8 + weight.element_size())  # rows, columns, positions; values
    _check_memory(geometry, weight, rows * columns * weight.element_size() + while_built, torch.strided)
    entries = _entries(geometry, weight)
    positions = entries.rows() * columns + entries.columns()
    values = entries.values(weight)
    return values.new_zeros(rows * columns).index_put_((positions,), values).reshape(rows, columns)


def coo(geometry: Geometry, weight: Tensor) -> Tensor:
    """The matrix in coordinate format, coalesced."""
    # One row of indices is made beside the two that hold them.
    _check_memory(geometry, weight, geometry.most_entries() * (3 * 8 + weight.element_size()), torch.sparse_coo)
    entries = _entries(geometry, weight)
    indices = entries.taps.new_empty(2, len(entries.taps) * geometry.out_channels)
    indices[0] = entries.rows()
    indices[1] = entries.columns()
    return torch.sparse_coo_tensor(
        indices, entries.values(weight), geometry.matrix_shape, is_coalesced=True, check_invariants=False
    )


def csr(geometry: Geometry, weight: Tensor, index_dtype: torch.dtype = torch.int64) -> Tensor:
    """The matrix in compressed row format; columns ascend within each row."""
    most, shape = geometry.most_entries(), geometry.matrix_shape
    check_csr(most, shape, weight, index_dtype)
    size = index_dtype.itemsize
    _check_memory(geometry, weight, most * (size + weight.element_size()) + (shape[0] + 1) * size, torch.sparse_csr)
    entries = _entries(geometry, weight)
    starts, columns = entries.row_starts(index_dtype), entries.columns(index_dtype)
    with warnings.catch_warnings():  # PyTorch calls its CSR tensors beta, at the first of them
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(starts, columns, entries.values(weight), shape, check_invariants=False)


def check_csr(entries: int, shape: tuple[int, int], values: Tensor, index_dtype: torch.dtype) -> None:
    """Check that CSR can count the entries of a matrix, and carry the gradients of its values."""
    if index_dtype == torch.int32 and max(entries, *shape) > torch.iinfo(torch.int32).max:
        raise GeometryError(
            f"index_dtype=torch.int32 cannot count {entries} entries of a {shape[0]} x {shape[1]} matrix: "
            "use torch.int64"
        )
    if values.is_complex() and values.requires_grad and torch.is_grad_enabled():
        raise GeometryError(
            f"PyTorch has no gradients of {values.dtype} in CSR: use layout=torch.sparse_coo, or weight.detach()"
        )


def placed_values(geometry: Geometry, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The row, the column and the value of each entry, row by row with ascending columns."""
    _check_memory(geometry, weight, geometry.most_entries() * (2 * 8 + weight.element_size()), torch.sparse_coo)
    entries = _entries(geometry, weight)
    return entries.rows(), entries.columns(), entries.values(weight)


def size_text(geometry: Geometry) -> str:
    """The size of a matrix, in words."""
    rows, columns = geometry.matrix_shape
    exactly = "" if geometry.padding_mode == "zeros" else "up to "  # taps may meet in an entry
    return f"{rows} x {columns} matrix with {exactly}{geometry.most_entries()} nonzero entries"


def weight_gradient(geometry: Geometry, input: Tensor, output: Tensor) -> Tensor:
    """The gradient of ``<output, C(weight) input>`` with respect to the weight, over the entries of the matrix.

    Args:
        geometry: a direct or a transposed one.
        input: of shape (batch, *in_shape).
        output: of shape (batch, *out_shape).

    Returns:
        Of shape ``geometry.weight_shape``.
    """
    entries = _entries(geometry, input)
    rows, columns = entries.rows(), entries.columns()
    products = input.new_zeros(len(rows))
    for x, y in zip(input, output, strict=True):
        products = products + y.flatten()[rows] * x.flatten()[columns]
    # Gathering the weight into the entries is linear; its transpose sums what was gathered.
    transpose = torch.func.vjp(entries.values, input.new_zeros(geometry.weight_shape))[1]
    return transpose(products)[0]


@dataclass(frozen=True)
class _Entries:
    """The entries of a matrix, row by row, on the device of its weight.

    All rows of one output channel look alike (``counts``, ``first_columns``, ``taps``; see
    :meth:`convmat.Geometry.entries`), except that those of another group begin at other columns.
    """

    geometry: Geometry
    counts: Tensor
    first_columns: Tensor
    taps: Tensor

    def rows(self) -> Tensor:
        """The row of each entry."""
        of_channel = torch.repeat_interleave(self.counts, output_size=len(self.taps))
        return (of_channel + len(self.counts) * self._channels()).flatten()

    def row_starts(self, dtype: torch.dtype) -> Tensor:
        """The first entry of each row, and the number of entries."""
        ends = self.counts.cumsum(0) + len(self.taps) * self._channels()
        return torch.cat([ends.new_zeros(1), ends.flatten()]).to(dtype)

    def columns(self, dtype: torch.dtype = torch.int64) -> Tensor:
        """The column of each entry."""
        groups, channels = self.geometry.groups, self.geometry.out_channels
        starts = torch.arange(groups, device=self.taps.device) * (self.geometry.matrix_shape[1] // groups)
        of_group = (self.first_columns + starts[:, None]).to(dtype)
        return of_group[:, None].expand(groups, channels // groups, -1).flatten().contiguous()

    def values(self, weight: Tensor) -> Tensor:
        """The value of each entry: a tap of the weight, or a sum of several."""
        rows = _rows_of_channels(_meet(weight, self.geometry), self.geometry)
        return rows.gather(1, self.taps.expand(len(rows), -1)).flatten()

    def _channels(self) -> Tensor:
        return torch.arange(self.geometry.out_channels, device=self.taps.device)[:, None]


def _entries(geometry: Geometry, like: Tensor) -> _Entries:
    return _Entries(geometry, *[torch.from_numpy(array).to(like.device) for array in geometry.entries()])


def _meet(weight: Tensor, geometry: Geometry) -> Tensor:
    """Sum the taps that meet in an entry: (rows, columns/groups, *kernel) -> (rows, columns/groups, *tap sets)."""
    for dim, axis in enumerate(geometry.axes, start=2):
        if axis.padding_mode == "zeros":  # every tap by itself
            continue
        sets = axis.tap_sets()
        taps = torch.tensor([tap for tap_set in sets for tap in tap_set], device=weight.device)
        numbers = torch.tensor([n for n, tap_set in enumerate(sets) for _ in tap_set], device=weight.device)
        shape = (*weight.shape[:dim], len(sets), *weight.shape[dim + 1 :])
        weight = weight.new_zeros(shape).index_add(dim, numbers, weight.index_select(dim, taps))
    return weight


def _rows_of_channels(weight: Tensor, geometry: Geometry) -> Tensor:
    """What one output channel of the map reads, flat: (out_channels, in_channels/groups * tap sets)."""
    if geometry.transposed:
        per_group = geometry.in_channels // geometry.groups
        weight = weight.unflatten(0, (geometry.groups, per_group)).transpose(1, 2).flatten(0, 1)
    return weight.flatten(1)


def _check_memory(geometry: Geometry, weight: Tensor, size: int, layout: torch.layout) -> None:
    """Refuse a matrix that would not fit, before anything is allocated."""
    if weight.is_meta:
        raise GeometryError("weight is on the meta device, which holds no numbers: a matrix needs some")
    free = available(weight.device)
    kept = 24 * geometry.most_entries() // max(geometry.out_channels, 1)
    size = max(size + kept, geometry.listing_bytes())  # first the entries of one channel are listed
    if free is None or size <= free:
        return
    ways = "layout=torch.sparse_csr, or " if layout == torch.strided else ""
    raise GeometryError(
        f"the {size_text(geometry)} takes {human(size)} to build as {layout}, but {human(free)} are free: "
        f"use {ways}the map without its matrix (convmat.conv1d .. conv_transpose3d)"
    )
