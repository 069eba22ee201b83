"""A model of linear layers as one product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import chain, pairwise
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convmat.geometry import GeometryError, kind_of, shortened, shown
from convmat.geometry.per_axis import ints
from convmat.matrices.entries import Entries, check_memory
from convmat.matrices.layers import LAYERS, Shape, known_kind, refusal
from convmat.matrices.layouts import COMPRESSED, check_compressed, to_coo, to_csr, to_dense, transposed_to_csc
from convmat.matrices.modules import module_entries


def model_matrix(
    module: nn.Module, in_shape: Sequence[int], layout: torch.layout, index_dtype: torch.dtype | None
) -> Tensor:
    """The matrix of a layer, or of a Sequential of them; see :func:`convmat.matrix`."""
    entries = model_entries(module, in_shape)
    (rows, columns), count, values = entries.shape, len(entries.values), entries.values
    if layout == torch.strided:
        check_memory(entries.shape, count, 2 * 8, values.device, dense=rows * columns * values.element_size())
    else:
        check_memory(entries.shape, count, 2 * 8 + values.element_size(), values.device)
    if layout in COMPRESSED:
        index_dtype = index_dtype or torch.int64
        check_compressed(count, entries.shape, values, index_dtype)
        if layout == torch.sparse_csc:
            return transposed_to_csc(entries.transpose(), index_dtype)
        return to_csr(entries, index_dtype)
    return to_coo(entries) if layout == torch.sparse_coo else to_dense(entries)


def model_entries(module: nn.Module, in_shape: Sequence[int]) -> Entries:
    """The entries of that matrix."""
    shape: Shape = ints(in_shape, "in_shape")
    if min(shape, default=0) < 0:
        raise GeometryError(f"in_shape={shown(shape)} must not be negative")
    parts = list(_parts(module))
    for path, part in parts:  # what has no matrix at all should not wait for those before it
        _check_kind(path, part)
    dtype, device = _dtype_and_device(module)
    if device.type == "meta":
        raise GeometryError(f"{kind_of(module)} is on the meta device, where it has no values: load it first")
    factors = []
    for path, part in parts:
        with _naming(path, part):
            shape, entries = _entries(part, shape, dtype, device)
            factors.append(_Factor(path, path, entries.to(dtype, device)))
    return _product(factors) if factors else Entries.identity(prod(shape)).to(dtype, device)


class _Factor(NamedTuple):
    """The matrix of the parts from one path to another."""

    first: str
    last: str
    entries: Entries


def _product(factors: list[_Factor]) -> Entries:
    """Multiply factors, given in the order that they are applied in: first the neighbours that take the least work.

    A classifier is so multiplied from its few outputs, a decoder from its few inputs.
    """
    while len(factors) > 1:
        work = [later.entries.terms(earlier.entries) for earlier, later in pairwise(factors)]
        at = work.index(min(work))
        (first, _, earlier), (_, last, later) = factors[at : at + 2]
        try:
            factors[at : at + 2] = [_Factor(first, last, later @ earlier)]
        except GeometryError as error:
            raise GeometryError(f"{shortened(first)} to {shortened(last)}: {error}") from None
    return factors[0].entries


def _parts(module: Any, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers in the order that they are applied in, with their paths."""
    if known_kind(module, (nn.Sequential,)) is not None:
        for name, child in module._modules.items():  # not named_children(), which tells shared ones once
            yield from _parts(child, f"{path}.{name}" if path else name)
    else:
        yield path, module


def _check_kind(path: str, part: Any) -> None:
    where = f"{shortened(path)}: " if path else ""
    reason = refusal(part) if known_kind(part, LAYERS) is None else None
    if reason is not None:
        raise TypeError(where + reason)
    if any(map(is_lazy, chain(part.parameters(), part.buffers()))):
        raise GeometryError(f"{where}{kind_of(part)} has no weight yet: call it once, on an input")


def _entries(part: nn.Module, in_shape: Shape, dtype: torch.dtype, device: torch.device) -> tuple[Shape, Entries]:
    kind = known_kind(part, LAYERS)
    if kind is None:
        return module_entries(part, in_shape, dtype, device)
    return LAYERS[kind](part, in_shape)


@contextmanager
def _naming(path: str, part: nn.Module) -> Iterator[None]:
    """Let errors begin with the part that they are about."""
    try:
        yield
    except (GeometryError, TypeError) as error:
        kind, message = kind_of(part), str(error)
        if not message.startswith(kind):
            message = f"{kind}: {message}"
        named = f"{shortened(path)}: {message}" if path else message
        raise (GeometryError if isinstance(error, GeometryError) else TypeError)(named) from None


def _dtype_and_device(module: nn.Module) -> tuple[torch.dtype, torch.device]:
    """Those of the parameters, and of running statistics where there are no others."""
    tensors: list[Tensor] = [
        tensor
        for tensor in chain(module.parameters(), module.buffers())
        if isinstance(tensor, nn.Parameter) or tensor.is_floating_point()  # not the number of batches tracked
    ]
    if not tensors:
        return torch.get_default_dtype(), torch.device("cpu")
    return reduce(torch.promote_types, (tensor.dtype for tensor in tensors)), tensors[0].device
