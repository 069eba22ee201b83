"""The norms of a model's convolutions, as the linear operators that they are, at the sizes that an input gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from convmat.geometry import GeometryError
from convmat.models.examples import noting, refusal
from convmat.operators import ConvOperator
from convmat.tensors.arguments import CONVOLUTION_LAYERS

_CHEAP = 1 << 30  # products, about, up to which the condition number is found too


@dataclass(frozen=True)
class LayerNorm:
    """What one convolution of a model may do to lengths.

    Attributes:
        name: its path in the model.
        operator: the layer at the size that it had.
        lower: at most the norm; 0.1 % off or less.
        upper: at least the norm.
        method: how the upper bound was found; see :meth:`convmat.ConvOperator.norm_bounds`.
        reshaped: the norm of the weight reshaped to a matrix, by which PyTorch's ``spectral_norm`` divides.
        cond: the condition number, where it is cheap.
    """

    name: str
    operator: ConvOperator
    lower: float
    upper: float
    method: str
    reshaped: float
    cond: float | None


def layer_norms(model: nn.Module, *inputs: Any, tol: float = 1e-3) -> list[LayerNorm]:
    """The true norm of every convolution of a model, its bounds, and what the reshaped weight says of it.

    Args:
        model: it is called once, in eval mode and without gradients, to see the sizes that its layers get.
        inputs: what it is called with.
        tol: relative error of the norms. Default: 1e-3

    Returns:
        A :class:`LayerNorm` for each convolution and size, in the order in which they are called.

    Raises:
        GeometryError: if the model fails on the inputs, or has no convolution that is called.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, kernel_size=3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, kernel_size=1))
    >>> [(layer.name, layer.operator.out_shape) for layer in layer_norms(model, torch.ones(1, 3, 10, 12))]
    [('0', (8, 10, 12)), ('2', (8, 10, 12))]
    """
    known: dict[Any, tuple[float, float, str, float | None]] = {}
    norms = []
    for (name, _), operator in _called(model, inputs).items():
        weight = operator.weight
        same = (operator.geometry, weight.data_ptr(), weight._version)  # layers that share a weight share the work
        if same not in known:
            lower, upper, method = operator.norm_bounds(tol=tol)
            known[same] = (lower, upper, method, _cheap_cond(operator))
        lower, upper, method, cond = known[same]
        norms.append(LayerNorm(name, operator, lower, upper, method, _reshaped(weight), cond))
    return norms


def _called(model: nn.Module, inputs: tuple[Any, ...]) -> dict[tuple[str, tuple[int, ...]], ConvOperator]:
    """The convolutions that are called, at each size, by name and shape of their input."""
    found: dict[tuple[str, tuple[int, ...]], ConvOperator] = {}
    names: dict[nn.Module, str] = {
        layer: name for name, layer in model.named_modules() if isinstance(layer, CONVOLUTION_LAYERS)
    }

    def note(layer: nn.Module, kind: Any, input: Tensor, call: Callable[[], Any]) -> None:
        weight: Tensor = layer.weight  # type: ignore[assignment]
        shape = tuple(input.shape[1 - weight.ndim :])
        operator = ConvOperator.from_module(layer, shape)
        operator.weight = operator.weight.detach()
        found.setdefault((names[layer], shape), operator)

    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad(), noting(names, note):
            model(*inputs)
    except Exception as error:
        raise refusal("inputs", model, inputs, {}, error) from error
    finally:
        for module, training in modes:
            module.training = training
    if not found:
        raise GeometryError.of("{kind} called no convolution of PyTorch's", kind=type(model).__name__)
    return found


def _reshaped(weight: Tensor) -> float:
    flat = weight.flatten(1)
    return float(torch.linalg.matrix_norm(flat.float() if flat.dtype.itemsize < 4 else flat, 2))


def _cheap_cond(operator: ConvOperator) -> float | None:
    geometry = operator.geometry
    if operator.circulant_refusal() is None:
        rows, columns = geometry.direct_channels
        work = max(rows, columns) * rows * columns // geometry.groups**2 * prod(geometry.inputs)
    else:
        work = prod(operator.shape) // geometry.groups * min(operator.shape)
    return float(operator.cond()) if work <= _CHEAP else None
