"""What a decision depends on, of the tensors of a call."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from convmat.tensors.activations import Activation
from convmat.tensors.strides import MemoryFormat, memory_format_of
from convmat.tensors.watching import is_watched, tracked_operands


class Call(NamedTuple):
    """A call without its numbers.

    Args:
        dtype: of the input.
        is_plain: whether all operands are plain tensors on the CPU, and nobody watches: then only numbers are wanted.
            Of other calls, nothing else is known but their memory format, and that only for plain tensors elsewhere.
        batch: number of inputs.
        tracked: whether autograd may ask for the gradient of the input, of the weight and of the bias.
        keeps_weight: whether the weight may be met again, and what is made of it is kept.
        memory_format: how the input lies in memory; ``None`` where it does not tell.
        activation: what follows, and is to be computed along.
    """

    dtype: torch.dtype
    is_plain: bool
    batch: int = 1
    tracked: tuple[bool, bool, bool] = (False, False, False)
    keeps_weight: bool = True
    memory_format: MemoryFormat | None = MemoryFormat.CONTIGUOUS
    activation: Activation | None = None

    @property
    def needs_gradient(self) -> bool:
        """Whether autograd may ask for any gradient."""
        return any(self.tracked)

    def untracked(self) -> Call:
        """The call for its numbers alone; a weight that was tracked will be another one the next time."""
        return self._replace(tracked=(False, False, False))

    def followed_by(self, activation: Activation | None) -> Call:
        """The call followed by an activation, or none; as it is if it was: PyTorch 2.8 compiles no ``_replace``."""
        return self if activation is self.activation else self._replace(activation=activation)


def call_of(input: Tensor, weight: Tensor, bias: Tensor | None) -> Call:
    """The call with these operands, batch first."""
    operands = (input, weight) if bias is None else (input, weight, bias)
    if is_watched() or not all(map(is_in_memory, operands)):
        return Call(input.dtype, is_plain=False, memory_format=None)
    if not all(operand.is_cpu for operand in operands):
        return Call(input.dtype, is_plain=False, memory_format=memory_format_of(input))
    tracked = tracked_operands(input, weight, bias)
    return Call(input.dtype, True, len(input), tracked, not any(tracked), memory_format_of(input))


def is_in_memory(tensor: Tensor) -> bool:
    """Whether a tensor's numbers lie in some memory as they are, without a class or a flag that says otherwise."""
    return _is_dense(tensor) and not (tensor.is_neg() or tensor._is_zerotensor() or tensor.is_conj())


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor lies on the CPU, dense and without a class of its own."""
    return tensor.is_cpu and _is_dense(tensor)


def _is_dense(tensor: Tensor) -> bool:
    return type(tensor) in _PLAIN and tensor.layout is torch.strided


_PLAIN = (Tensor, nn.Parameter)
