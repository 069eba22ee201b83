"""What becomes of the layers behind a convolution when they are folded into it.

A BatchNorm in eval mode becomes part of the weight and the bias, an activation a few numbers that are computed with
when the output is written. Both are made once, and anew after any change that PyTorch counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from convmat.planning import freezing
from convmat.tensors.activations import Activation

NORMS: dict[type, int] = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}  # and over how many axes
# Of an activation, its slope (None where it is a parameter) and limits.
ACTIVATIONS: dict[type, Callable[[Any], tuple[float | None, float, float]]] = {
    nn.ReLU: lambda _: (1.0, 0.0, math.inf),
    nn.ReLU6: lambda layer: (1.0, layer.min_val, layer.max_val),
    nn.Hardtanh: lambda layer: (1.0, layer.min_val, layer.max_val),
    nn.LeakyReLU: lambda layer: (layer.negative_slope, -math.inf, math.inf),
    nn.PReLU: lambda _: (None, -math.inf, math.inf),
}


class Made(NamedTuple):
    """What was made of tensors and settings, and of which: tensors, aliases of their memory, and versions."""

    result: Any
    tensors: list[tuple[Tensor, Tensor, int]]
    settings: Any

    def is_of(self, tensors: list[Tensor], settings: Any) -> bool:
        """Whether it was made of these, as they are now."""
        if len(tensors) != len(self.tensors) or settings != self.settings:
            return False
        for tensor, (other, alias, version) in zip(tensors, self.tensors, strict=True):
            if tensor is not other or tensor._version != version or not alias.is_set_to(tensor):
                return False
        return True


def made_of(tensors: list[Tensor], settings: Any, make: Callable[[], Any]) -> Made | None:
    """Make something of tensors and settings; ``None`` for tensors whose changes are not counted."""
    if any(tensor.is_inference() for tensor in tensors):
        return None
    known = [(tensor, tensor.detach(), tensor._version) for tensor in tensors]
    is_one = len({(tensor.dtype, tensor.device) for tensor in tensors}) <= 1  # else PyTorch says what is wrong
    return Made(make() if is_one else None, known, settings)


def parameters_of(layer: Any) -> list[Tensor]:
    """The tensors that a convolution's weight and bias are made of."""
    if "weight" in layer._parameters and "bias" in layer._parameters:
        return [tensor for tensor in layer._parameters.values() if tensor is not None]
    return [*layer.parameters(), *layer.buffers()]


def statistics_of(norm: Any) -> list[Tensor]:
    """The tensors that a BatchNorm computes with."""
    buffers = norm._buffers["running_mean"], norm._buffers["running_var"]
    return [tensor for tensor in (*norm._parameters.values(), *buffers) if tensor is not None]


def weight_and_bias(conv: Any, norm: Any) -> tuple[Tensor, Tensor] | None:
    """Weight and bias that make of an input what the two layers make of it; ``None`` where numbers are too large."""
    with torch.inference_mode(False), torch.no_grad():
        weight, bias = conv.weight, conv.bias
        scale = torch.rsqrt(norm.running_var.double() + norm.eps)
        if norm.weight is not None:
            scale = scale * norm.weight
        shift = -norm.running_mean * scale if bias is None else (bias - norm.running_mean) * scale
        if norm.bias is not None:
            shift = shift + norm.bias
        # Channels of the output are first in the weight of a convolution, and second in a transposed one, by group.
        groups = conv.groups if conv.transposed else 1
        by_group = weight.double().unflatten(0, (groups, -1))
        axis = 2 if conv.transposed else 1
        factors = scale.reshape(groups, *(-1 if a == axis else 1 for a in range(1, by_group.ndim)))
        folded = torch.empty_like(weight, requires_grad=False).copy_((by_group * factors).flatten(0, 1))
        shift = shift.to(weight.dtype)
        if not (folded.isfinite().all() and shift.isfinite().all()):
            return None
        freezing.freeze(folded, is_constant=True)
        return folded, shift


def activation_of(settings: tuple[float | None, float, float], slopes: Tensor | None) -> Activation:
    """The activation of a layer with these settings, and slopes if they are a parameter."""
    slope, low, high = settings
    if slopes is not None:
        return Activation(tuple(slopes.flatten().tolist()), low, high)
    assert slope is not None
    return Activation((slope,), low, high)
