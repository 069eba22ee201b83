"""Computing a layer: one decision, a function of its tensors, its result."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Geometry, Sentence, shown
from convmat.methods.common import Computation, activated, add_bias, from_usual_strides, in_format, in_format_of_input
from convmat.planning import autograd, compiling, shortcuts, torch_ops
from convmat.planning.choosing import choose
from convmat.tensors.activations import Activation
from convmat.tensors.calls import Call, call_of
from convmat.tensors.memory import WORTH_ASKING, check_fits
from convmat.tensors.padding import pad, pad_transpose
from convmat.tensors.strides import MemoryFormat, output_format_of, with_usual_strides
from convmat.tensors.watching import has_autocast, is_compiling, tracked_operands


def run(
    geometry: Geometry,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    method: str,
    key: Any = None,
    activation: Activation | None = None,
) -> Tensor:
    """Compute a layer: ``C = Z P`` or ``Cᵀ = Pᵀ Zᵀ``, plus the bias, and an activation if one follows.

    Args:
        geometry: direct or transposed, with any padding mode.
        input: of shape (batch, *in_shape), or without the batch.
        weight: of shape ``geometry.weight_shape``.
        bias: of shape (out_channels,), or ``None``.
        method: a name from :func:`available_methods`.
        key: where the shortcuts keep the decision, if they may. Default: ``None``
        activation: what follows. Default: ``None``
    """
    device = input.device.type
    if has_autocast(device):
        dtype = torch.get_autocast_dtype(device)
        with torch.autocast(device, enabled=False):
            bias = None if bias is None else _autocast(bias, dtype)
            return run(geometry, _autocast(input, dtype), _autocast(weight, dtype), bias, method, None, activation)
    if input.ndim == geometry.ndim + 1:
        one = decide(geometry, input.unsqueeze(0), weight, bias, method, activation)
        computation: Computation = partial(_as_batch, one)
    else:
        computation = decide(geometry, input, weight, bias, method, activation)
    output = computation(input, weight, bias)
    if key is not None:
        shortcuts.keep(key, computation)
    return output


def decide(
    geometry: Geometry,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    method: str,
    activation: Activation | None = None,
) -> Computation:
    """A function of input, weight and bias that computes a layer; all that could be decided has been decided."""
    if is_compiling():  # whose graph shows all that is done
        return _decide(geometry, geometry.unpadded(), input, weight, bias, method, activation)
    usual = with_usual_strides(input), with_usual_strides(weight)
    computation = _decide(geometry, _unpadded(geometry), *usual, bias, method, activation)
    return computation if usual[0] is input and usual[1] is weight else partial(from_usual_strides, computation)


def _as_batch(computation: Computation, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute on a batch of one."""
    return computation(input.unsqueeze(0), weight, bias).squeeze(0)


def _decide(
    geometry: Geometry,
    unpadded: Geometry,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    method: str,
    activation: Activation | None = None,
) -> Computation:
    call = call_of(input, weight, bias)
    size = _bytes_of_output(geometry, unpadded, call)
    if size > WORTH_ASKING:  # before anything is planned, which takes long for what is that large
        _check_output_fits(size, geometry.out_shape, input)
    chosen = choose(unpadded, call, method)
    if not (input.numel() and weight.numel()):
        return activated(partial(_sum_of_nothing, geometry), activation)
    along = None  # the activation, where the method computes it
    if compiling.emits_operator(unpadded, input, weight, bias, method):
        keep = not any(tracked_operands(input, weight, bias))
        computation: Computation = partial(torch_ops.convolve, unpadded, method, keep)
    elif chosen.name == "tiles" and autograd.computes(unpadded, call):
        computation = autograd.prepare(unpadded, call, method)
    else:
        along = activation if unpadded is geometry or not geometry.transposed else None
        computation = chosen.prepare(unpadded, call.followed_by(along))
    if unpadded is not geometry:
        computation = partial(_pad_after if geometry.transposed else _pad_before, geometry, computation)
    if activation is not along:
        computation = activated(computation, activation)
    if call.memory_format is None:
        computation = partial(in_format_of_input, computation)
    elif call.memory_format is MemoryFormat.CHANNELS_LAST:
        computation = partial(in_format, output_format_of(input), computation)
    return partial(_if_it_fits, size, geometry.out_shape, computation) if size > WORTH_ASKING else computation


def _bytes_of_output(geometry: Geometry, unpadded: Geometry, call: Call) -> int:
    """What a plain call allocates at least: its output, and what a padding mode extends; 0 where nobody knows."""
    if not call.is_plain:
        return 0
    channels = geometry.in_channels, geometry.out_channels
    extended = 0 if unpadded is geometry else channels[geometry.transposed] * prod(unpadded.inputs)
    return call.batch * (prod(geometry.out_shape) + extended) * call.dtype.itemsize


def _if_it_fits(
    size: int,
    out_shape: tuple[int, ...],
    computation: Computation,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    _check_output_fits(size, out_shape, input)
    return computation(input, weight, bias)


def _check_output_fits(size: int, out_shape: tuple[int, ...], input: Tensor) -> None:
    shape = shown((len(input), *out_shape))
    what = Sentence("the output of shape {shape} and {dtype}", shape=shape, dtype=input.dtype)
    check_fits(what, size, input.device, "a smaller batch, stride or kernel, or parts of the input")


def _pad_before(
    geometry: Geometry, computation: Computation, input: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    return computation(pad(input, geometry), weight, bias)


def _pad_after(
    geometry: Geometry, computation: Computation, input: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    return add_bias(pad_transpose(computation(input, weight, None), geometry), bias)


def _unpadded(geometry: Geometry) -> Geometry:
    """The geometry that methods see: the same object in every call, so that they find their notes on it."""
    if geometry.notes.unpadded is None:
        geometry.notes.unpadded = geometry.unpadded()
    unpadded: Geometry = geometry.notes.unpadded
    return unpadded


def _sum_of_nothing(geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The output where batch or channels are empty: zeros that stay connected to both operands in autograd's graph."""
    zero = sum(operand.flatten()[:0].sum(dtype=input.dtype) for operand in (input, weight))
    return add_bias(input.new_zeros(len(input), *geometry.out_shape) + zero, bias)


def _autocast(operand: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast as autocast casts the operands of PyTorch's own convolutions."""
    eligible = operand.is_floating_point() and operand.dtype != torch.float64
    return operand.to(dtype) if eligible else operand
