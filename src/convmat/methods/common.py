"""Steps that several methods share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from convmat.geometry import Geometry, Sentence
from convmat.tensors.activations import Activation
from convmat.tensors.strides import with_usual_strides
from convmat.tensors.watching import is_compiling

Compute: TypeAlias = Callable[[Tensor, Tensor, Geometry], Tensor]  # of input, weight and geometry
Computation: TypeAlias = Callable[[Tensor, Tensor, Tensor | None], Tensor]  # of input, weight and bias, all decided

CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)


def convolve(input: Tensor, weight: Tensor, groups: int, dilation: Sequence[int] | int = 1) -> Tensor:
    """An ordinary convolution with stride 1 and no padding, over as many axes as the weight has."""
    return CONVOLUTIONS[weight.ndim - 3](input, weight, dilation=dilation, groups=groups)


def add_bias(output: Tensor, bias: Tensor | None) -> Tensor:
    """Add one number per channel to (batch, channels, *sizes)."""
    return output if bias is None else output + bias.reshape(-1, *(1,) * (output.ndim - 2))


def activated(computation: Computation, activation: Activation | None) -> Computation:
    """The same, followed by an activation, computed by PyTorch."""
    return computation if activation is None else partial(_activate, activation, computation)


def without_activation(computation: Computation | None) -> Computation | None:
    """What :func:`activated` was given."""
    is_activated = isinstance(computation, partial) and computation.func is _activate
    return computation.args[1] if is_activated else computation  # type: ignore[union-attr]


def _activate(
    activation: Activation, computation: Computation, input: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    return activation.applied_to(computation(input, weight, bias))


def runs_eagerly(compute: Compute) -> Compute:
    """Let ``torch.compile`` leave a method alone: it breaks the graph there, or says so if told ``fullgraph=True``."""
    apart = torch._disable_dynamo(compute)  # type: ignore[attr-defined]

    @wraps(compute)
    def call(input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
        return (apart if is_compiling() else compute)(input, weight, geometry)

    return call


def take_every(input: Tensor, steps: Sequence[int], counts: Sequence[int]) -> Tensor:
    """The transpose of inserting zeros: along the last axes, ``count`` of every ``step``-th."""
    for dim, (step, count) in enumerate(zip(steps, counts, strict=True), start=input.ndim - len(steps)):
        input = input[(slice(None),) * dim + (slice(None, None, step),)].narrow(dim, 0, count)
    return input


def no_small_integers(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """The reason why a method built on PyTorch's dilated convolution refuses small integers."""
    is_integer = not (dtype.is_floating_point or dtype.is_complex)
    if is_integer and dtype != torch.int64 and max(geometry.dilation) > 1:
        return Sentence("PyTorch's dilated convolution takes no {dtype}", dtype=dtype)
    return None


def no_complex_half(dtype: torch.dtype) -> str | None:
    """The reason why a method built on operations that PyTorch lacks for complex numbers of half precision refuses."""
    if dtype != torch.complex32:
        return None
    return Sentence("PyTorch lacks operations on {dtype} that it needs", dtype=dtype)


def no_bool(dtype: torch.dtype) -> str | None:
    """The reason why a method built on sums and products refuses bool."""
    return Sentence("it sums products, which torch.bool does not have") if dtype == torch.bool else None


def in_format(
    memory_format: torch.memory_format,
    computation: Computation,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """What is computed, in a memory format."""
    return computation(input, weight, bias).contiguous(memory_format=memory_format)


def in_format_of_input(computation: Computation, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The output with its channels last in memory if the input has them there, as PyTorch's own functions make it.

    Over one axis they don't: a transposed spectrogram would else make a whole vocoder compute with its channels last.
    Spelled out with ``movedim`` because :func:`torch.vmap` knows no memory formats.
    """
    output = computation(input, weight, bias)
    if input.ndim == 3 or input.is_contiguous() or not input.movedim(1, -1).is_contiguous():
        return output
    channels_last = output.movedim(1, -1)
    return output if channels_last.is_contiguous() else channels_last.contiguous().movedim(-1, 1)


def from_usual_strides(computation: Computation, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What is computed from input and weight with their usual strides."""
    return computation(with_usual_strides(input), with_usual_strides(weight), bias)
