"""Which method computes a layer, and computing it.

``"auto"`` is a static choice: our kernel where it takes the layer and :mod:`~convmat.planning.costs` expects it to
be the faster one, else PyTorch's own function, and unfold where PyTorch has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import cast

import torch
from torch import Tensor, nn

from convmat.geometry import Geometry, GeometryError
from convmat.kernel import compiled
from convmat.kernel.schedule import memory_format_of
from convmat.kernel.threads import thread_count
from convmat.kernel.tiling.rows import AXES
from convmat.methods import METHODS, Method, native, tiles
from convmat.methods import operator as _  # noqa: F401  # registers torch.ops.convmat
from convmat.methods.common import add_bias
from convmat.planning.costs import estimate
from convmat.planning.shortcuts import Computation
from convmat.tensors.arguments import has_autocast, layer_geometry
from convmat.tensors.padding import pad, pad_transpose


def available_methods() -> dict[str, str]:
    """The methods to compute with, each with one line of description.

    >>> available_methods()["native"]
    "PyTorch's own convolutions."
    """
    automatic = {"auto": "The fastest by a static estimate: tiles or PyTorch's own; unfold where PyTorch has none."}
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
    if has_autocast(device):
        dtype = torch.get_autocast_dtype(device)
        with torch.autocast(device, enabled=False):
            bias = None if bias is None else _autocast(bias, dtype)
            return run(geometry, _autocast(input, dtype), _autocast(weight, dtype), bias, method)
    unpadded = _unpadded(geometry)
    if method == "auto" and geometry.transposed and tiles.takes(input, weight, bias):
        method = explain_for(unpadded, input, tiles.needs_gradient(input, weight, bias)).method
    chosen = choose(unpadded, input.dtype, method)
    if not (input.numel() and weight.numel()):
        return add_bias(_sum_of_nothing(geometry, input, weight), bias)
    if unpadded is geometry:
        output = chosen(input, weight, geometry, bias)
    elif geometry.transposed:
        output = add_bias(pad_transpose(chosen(input, weight, unpadded), geometry), bias)
    else:
        output = chosen(pad(input, geometry), weight, unpadded, bias)
    return _in_layout_of(input, output)


def computation(geometry: Geometry, input: Tensor, weight: Tensor, method: str) -> Computation | None:
    """A function of input, weight and bias that does at once what :func:`run` did before, if there is one.

    There is for a batch on the CPU, padded with zeros, without autocast, gradients and transforms.
    """
    if not geometry.transposed or _unpadded(geometry) is not geometry or not (input.numel() and weight.numel()):
        return None
    if method == "auto":
        method = explain_for(geometry, input).method
    if method == "tiles" and compiled.kernel(input.dtype):
        return partial(tiles.computation(geometry, len(input), input.dtype), keep=True)
    if method == "native" and (computed := native.computation(geometry)):
        return computed if input.is_contiguous() else partial(_compute_in_layout_of, computed, geometry.out_shape)
    return None


def _compute_in_layout_of(
    computed: Computation, out_shape: tuple[int, ...], input: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    output = computed(input, weight, bias)
    is_channels_last = output.stride(1) == 1 and output.stride(-1) == out_shape[0] > 1  # mostly, and quickly seen
    return output if is_channels_last else _in_layout_of(input, output)


def _unpadded(geometry: Geometry) -> Geometry:
    """The geometry that methods see: the same object in every call, so that they find what they know of it."""
    if torch.compiler.is_compiling():
        return geometry.unpadded()
    found: Geometry | None = geometry.memo.get("unpadded")
    if found is None:
        found = geometry.memo["unpadded"] = geometry.unpadded()
    return found


def _in_layout_of(input: Tensor, output: Tensor) -> Tensor:
    """The output with its channels last in memory if the input has them there, as PyTorch's own functions make it.

    Spelled out with ``movedim`` because :func:`torch.vmap` knows no memory formats.
    """
    if input.is_contiguous() or not input.movedim(1, -1).is_contiguous():
        return output
    channels_last = output.movedim(1, -1)
    return output if channels_last.is_contiguous() else channels_last.contiguous().movedim(-1, 1)


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
    if not isinstance(method, str):
        raise TypeError(f"method={method!r} must be a string, not {type(method).__name__}")
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
    return choose(geometry, dtype, explain(geometry, dtype).method)  # which says why not, if none can


@dataclass(frozen=True)
class Plan:
    """Which method computes a layer, and why.

    Attributes:
        method: its name.
        reason: in a few words.
    """

    method: str
    reason: str

    def __str__(self) -> str:
        return f"{self.method}: {self.reason}"


def explain(geometry: Geometry, dtype: torch.dtype) -> Plan:
    """What ``"auto"`` stands for without our kernel: PyTorch's own where there is one, else columns over any axes."""
    refusal = METHODS["native"].refuses(geometry, dtype)
    if refusal is None:
        return Plan("native", f"PyTorch's own function takes {dtype} over {geometry.ndim} axes")
    if METHODS["unfold"].refuses(geometry, dtype) is None:
        return Plan("unfold", f"{refusal}; a matrix product with columns does")
    return Plan("native", refusal)


def explain_for(geometry: Geometry, input: Tensor, is_trained: bool = False) -> Plan:
    """What ``"auto"`` stands for with an input that our kernel takes; looked up if it was asked before."""
    memory_format = memory_format_of(input)
    key = ("auto", len(input), input.dtype, memory_format, thread_count(), is_trained)
    found: Plan | None = geometry.memo.get(key)
    if found is None:
        channels_last = memory_format is not torch.contiguous_format
        found = explain_kernel(geometry, input.dtype, len(input), channels_last, is_trained)
        geometry.memo[key] = found
    return found


def explain_kernel(
    geometry: Geometry, dtype: torch.dtype, batch: int, channels_last: bool = False, is_trained: bool = False
) -> Plan:
    """What ``"auto"`` stands for on the CPU, where nothing but numbers is asked for, or their gradients as well."""
    if not (geometry.transposed and geometry.ndim <= AXES and compiled.takes(dtype) and compiled.is_worthwhile()):
        return explain(geometry, dtype)
    if METHODS["tiles"].refuses(geometry, dtype) is not None or not batch * prod(geometry.in_shape):
        return explain(geometry, dtype)
    ours, theirs = estimate(geometry, batch, dtype, thread_count(), channels_last, is_trained)
    name, than = ("tiles", "PyTorch") if ours <= theirs else ("native", "tiles")
    first, second = sorted((ours, theirs))
    return Plan(name, f"about {_duration(first)}, {than} about {_duration(second)}, by estimate")


def _duration(seconds: float) -> str:
    return f"{seconds * 1e3:.2g} ms" if seconds < 0.1 else f"{seconds:.2g} s"


def plan(layer: nn.Module, in_shape: Sequence[int], batch: int = 1) -> Plan:
    """Which method ``"auto"`` takes for a layer and an input, and why.

    Nothing is computed, and the layer stays as it is.

    Args:
        layer: a convolution or transposed convolution of PyTorch or of :mod:`convmat.nn`. One with a method of its own
            is planned as that says.
        in_shape: channels and spatial sizes of its input, without the batch.
        batch: number of inputs. Default: 1

    Returns:
        The :class:`Plan` for contiguous inputs, where no gradient and no transform is asked for. It is an estimate from
        geometry, dtype (under autocast, that of autocast), batch and number of threads; nothing is measured.

    Raises:
        GeometryError: if layer and input do not go together, or no method takes them.
        TypeError: if the layer is no convolution.

    >>> plan(nn.Conv2d(8, 4, kernel_size=3), (8, 10, 12))
    Plan(method='native', reason="PyTorch's own function takes torch.float32 over 2 axes")
    """
    geometry = layer_geometry(layer, in_shape).unpadded()
    stored = weight_of(layer)
    device = stored.device.type
    autocast = has_autocast(device) and stored.is_floating_point() and stored.dtype != torch.float64
    dtype = torch.get_autocast_dtype(device) if autocast else stored.dtype
    method = str(getattr(layer, "method", "auto"))
    choose(geometry, dtype, method)
    if method != "auto":
        return Plan(method, f"the layer says method={method!r}")
    if device != "cpu":
        return explain(geometry, dtype)
    return explain_kernel(geometry, dtype, batch)


def weight_of(layer: nn.Module) -> Tensor:
    """A tensor with the dtype and device of a layer's weight, found without computing a parametrized one.

    Computing it may change the layer: spectral norm takes another step of its power iteration.
    """
    for name, stored in (*layer.named_parameters(), *layer.named_buffers()):
        if name != "bias" and not name.startswith("parametrizations.bias."):
            return stored
    return cast("Tensor", layer.weight)
