"""Which method computes a layer, and computing it.

``"auto"`` is a static choice, the same for the same layer on every machine. So far it is PyTorch's own function, which
is the fastest or close to it on most layers, and unfold where PyTorch has none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convmat.geometry import Geometry, GeometryError
from convmat.methods import METHODS, Method, add_bias
from convmat.padding import pad, pad_transpose


def available_methods() -> dict[str, str]:
    """The methods to compute with, each with one line of description.

    >>> available_methods()["native"]
    "PyTorch's own convolutions."
    """
    automatic = {"auto": "PyTorch's own where it takes the layer, otherwise unfold."}
    return automatic | {name: method.summary for name, method in METHODS.items()}


def run(geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None, method: str) -> Tensor:
    """Compute a layer: ``C = Z P`` or ``Cᵀ = Pᵀ Zᵀ``, plus the bias.

    Args:
        geometry: direct or transposed, with any padding mode.
        input: of shape (batch, *in_shape).
        weight: of shape ``geometry.weight_shape``.
        bias: of shape (out_channels,), or ``None``.
        method: a name from :func:`available_methods`.
    """
    device = input.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        with torch.autocast(device, enabled=False):
            bias = None if bias is None else _autocast(bias, dtype)
            return run(geometry, _autocast(input, dtype), _autocast(weight, dtype), bias, method)
    unpadded = geometry.unpadded()
    chosen = choose(unpadded, input.dtype, method)
    if not (input.numel() and weight.numel()):
        return add_bias(_sum_of_nothing(geometry, input, weight), bias)
    if unpadded == geometry:
        return chosen(input, weight, geometry, bias)
    if geometry.transposed:
        return add_bias(pad_transpose(chosen(input, weight, unpadded), geometry), bias)
    return chosen(pad(input, geometry), weight, unpadded, bias)


def _sum_of_nothing(geometry: Geometry, input: Tensor, weight: Tensor) -> Tensor:
    """The output where batch or channels are empty: zeros, of which both operands know that they led there."""
    zero = sum(operand.flatten()[:0].sum(dtype=input.dtype) for operand in (input, weight))
    return input.new_zeros(len(input), *geometry.out_shape) + zero


def _autocast(operand: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast as autocast casts the operands of PyTorch's own convolutions."""
    eligible = operand.is_floating_point() and operand.dtype != torch.float64
    return operand.to(dtype) if eligible else operand


def choose(geometry: Geometry, dtype: torch.dtype, method: str = "auto") -> Method:
    """The method of that name, or the one that ``"auto"`` stands for.

    Raises:
        GeometryError: if there is no such method, or it cannot take this case.
    """
    if method == "auto":
        return _choose_automatically(geometry, dtype)
    if method not in METHODS:
        raise GeometryError(f"method={method!r} is unknown: need one of {', '.join(map(repr, available_methods()))}")
    reason = METHODS[method].refuses(geometry, dtype)
    if reason:
        able = [name for name, other in METHODS.items() if not other.refuses(geometry, dtype)]
        instead = f"use {' or '.join(map(repr, able))}" if able else "no method can"
        raise GeometryError(f"method={method!r} cannot take this layer: {reason}; {instead}")
    return METHODS[method]


def _choose_automatically(geometry: Geometry, dtype: torch.dtype) -> Method:
    """PyTorch's own function where there is one, else columns, which take every dtype and number of axes."""
    for name in ("native", "unfold"):
        if not METHODS[name].refuses(geometry, dtype):
            return METHODS[name]
    return choose(geometry, dtype, "native")  # which says why not
