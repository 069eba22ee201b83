"""The short way for a call that was made before.

Checking arguments, building the geometry and choosing a method takes tens of microseconds, as long as a small layer
itself. What was decided is kept under all that it depends on, so that the same call again only has to look it up. That
is done for plain tensors, on any device, while nobody watches; all other calls go the long way.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from convmat.kernel import computing
from convmat.methods.common import CONVOLUTIONS, Computation, in_format, without_activation
from convmat.methods.native import TRANSPOSED_CONVOLUTIONS
from convmat.tensors.activations import Activation
from convmat.tensors.arguments import is_hashable
from convmat.tensors.calls import is_in_memory
from convmat.tensors.watching import has_any_autocast, is_watched, tracked_operands

_MOST = 512
_known: dict[Any, Computation] = {}


def key_of(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: tuple[Any, ...],
    activation: Activation | None = None,
) -> Any:
    """All that the decision depends on; ``None`` where there is no short way.

    Args:
        input, weight, bias: the tensors of the call, whatever they are.
        arguments: the others, which are found again if they are integers and strings, or tuples of them.
        activation: what follows. Default: ``None``
    """
    if is_watched() or not (is_in_memory(input) and is_in_memory(weight) and is_hashable(arguments)):
        return None
    if bias is not None and not is_in_memory(bias):
        return None
    if has_any_autocast():
        return None
    devices = input.device, weight.device, None if bias is None else bias.device
    tracked = tracked_operands(input, weight, bias)
    return arguments, activation, devices, tracked, _kind_of_numbers(input, weight, bias)


def key_of_operator(name: str, input: Tensor, weight: Tensor, bias: Tensor | None, arguments: tuple[Any, ...]) -> Any:
    """The same for an operator of PyTorch, to which plain tensors are handed on that autograd does not track.

    Args:
        name: of the operator.
        input, weight, bias: on the CPU.
        arguments: the others, as PyTorch hands them on: numbers, strings and lists of integers.
    """
    if is_watched() or has_any_autocast():
        return None
    others = tuple([tuple(value) if type(value) is list else value for value in arguments])
    return name, others, _kind_of_numbers(input, weight, bias)


def _kind_of_numbers(input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Any, ...]:
    """Dtypes, shapes and strides, and what the decision depends on of the process."""
    of_bias = None if bias is None else (bias.dtype, bias.shape)
    of_process = computing.thread_count(), computing.is_forked()
    return input.dtype, input.shape, input.stride(), weight.dtype, weight.shape, weight.stride(), of_bias, of_process


def find(key: Any) -> Computation | None:
    """What was decided."""
    return _known.get(key)


def format_of_pytorchs(key: Any) -> torch.memory_format | None:
    """The memory format that PyTorch's convolution is to have; ``None`` if more than an activation is to be done."""
    computation, memory_format = _known.get(key), torch.preserve_format
    if isinstance(computation, partial) and computation.func is in_format:
        memory_format, computation = computation.args
    computation = without_activation(computation)
    is_pytorchs = isinstance(computation, partial) and computation.func in (*CONVOLUTIONS, *TRANSPOSED_CONVOLUTIONS)
    return memory_format if is_pytorchs else None


def keep(key: Any, computation: Computation) -> None:
    """Keep what was decided."""
    if len(_known) >= _MOST:
        _known.clear()
    _known[key] = computation


def forget() -> None:
    """Forget all of it."""
    _known.clear()
