"""The ways to compute a convolution, one file each (the kernel of ``tiles`` is in :mod:`convmat.kernel`).

A method is a module with three functions. ``direct(input, weight, geometry)`` computes ``C x`` and
``transposed(input, weight, geometry)`` computes ``Cᵀ y``, for an input of shape (batch, channels, *sizes) and a
geometry that pads with zeros only; ``refuses(geometry, dtype)`` gives the reason why a case cannot be taken, or
``None``. The first line of its docstring is its description.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.methods import dense, fft, native, phases, sparse, tiles, unfold, zero_insertion
from convmat.methods.common import add_bias


@dataclass(frozen=True)
class Method:
    """A way to compute a convolution and its transpose; one that ``adds_bias`` takes it with the rest."""

    name: str
    summary: str
    direct: Callable[..., Tensor]
    transposed: Callable[..., Tensor]
    refuses: Callable[[Geometry, torch.dtype], str | None]
    adds_bias: bool = False

    def __call__(self, input: Tensor, weight: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
        """The output, of shape (batch, *out_shape), for a geometry that pads with zeros."""
        compute = self.transposed if geometry.transposed else self.direct
        if self.adds_bias:
            return compute(input, weight, geometry, bias)
        return add_bias(compute(input, weight, geometry), bias).contiguous()


def _from_module(module: ModuleType, **does: bool) -> Method:
    name = module.__name__.rpartition(".")[2]
    summary = (module.__doc__ or "").partition("\n")[0]
    return Method(name, summary, module.direct, module.transposed, module.refuses, **does)


_ALL = (
    _from_module(native, adds_bias=True),
    *map(_from_module, (dense, sparse, unfold, zero_insertion, phases, fft)),
    _from_module(tiles, adds_bias=True),
)
METHODS = {method.name: method for method in _ALL}
