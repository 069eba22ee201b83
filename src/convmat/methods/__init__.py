"""The ways to compute a convolution, one file each (the kernel of ``tiles`` is in :mod:`convmat.kernel`).

A method is a module with three functions. ``direct(input, weight, geometry)`` computes ``C x`` and
``transposed(input, weight, geometry)`` computes ``Cᵀ y``, for an input of shape (batch, channels, *sizes) and a
geometry that pads with zeros only; ``refuses(geometry, dtype)`` gives the reason why a case cannot be taken, or
``None``. The first line of its docstring is its description.

Instead of the first two, a method may have ``prepare(geometry, call)``, which decides all that there is to decide, the
activation of the call included, and returns a function of input, weight and bias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.methods import dense, fft, native, phases, sparse, tiles, unfold, zero_insertion
from convmat.methods.common import Computation, Compute, activated, add_bias
from convmat.tensors.calls import Call


@dataclass(frozen=True)
class Method:
    """A way to compute a convolution and its transpose.

    Attributes:
        name: as users write it.
        summary: one line.
        prepare: ``prepare(geometry, call)`` gives a function of input, weight and bias that computes a geometry which
            pads with zeros.
        refuses: why a geometry and a dtype cannot be taken, or ``None``.
    """

    name: str
    summary: str
    prepare: Callable[[Geometry, Call], Computation]
    refuses: Callable[[Geometry, torch.dtype], str | None]


def _compute(compute: Compute, geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return add_bias(compute(input, weight, geometry), bias).contiguous()


def _prepare(module: ModuleType, geometry: Geometry, call: Call) -> Computation:
    compute = module.transposed if geometry.transposed else module.direct
    return activated(partial(_compute, compute, geometry), call.activation)


def _from_module(module: ModuleType) -> Method:
    name = module.__name__.rpartition(".")[2]
    summary = (module.__doc__ or "").partition("\n")[0]
    prepare = getattr(module, "prepare", None) or partial(_prepare, module)
    return Method(name, summary, prepare, module.refuses)


_ALL = tuple(map(_from_module, (native, dense, sparse, unfold, zero_insertion, phases, fft, tiles)))
METHODS = {method.name: method for method in _ALL}
