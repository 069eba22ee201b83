"""A convolution for autograd: numbers and gradients, each computed in the way that should be the fastest."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.methods import native
from convmat.methods.common import Computation
from convmat.methods.tiles import is_for_kernel
from convmat.planning.choosing import choose
from convmat.planning.gradients import Gradients, prepare_gradients
from convmat.tensors.calls import Call
from convmat.tensors.watching import is_differentiated_again, is_watched


def computes(geometry: Geometry, call: Call) -> bool:
    """Whether this computes a call: autograd tracks it, and the kernel can compute."""
    return call.needs_gradient and is_for_kernel(geometry, call) and computing.is_ready(call.dtype)


def prepare(geometry: Geometry, call: Call, method: str) -> Computation:
    """What computes a call of which autograd tracks an operand.

    Args:
        geometry: over at most three axes, padded with zeros.
        call: of operands with their usual strides.
        method: of the numbers; the gradients are computed by the fastest.
    """
    call = call.untracked()
    numbers = choose(geometry, call, method).prepare(geometry, call)
    return partial(_convolve, _Prepared(geometry, numbers, prepare_gradients(geometry, call)))


class _Prepared(NamedTuple):
    """What computes the numbers and the gradients of a geometry."""

    geometry: Geometry
    numbers: Computation
    gradients: Gradients


def _convolve(prepared: _Prepared, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    output: Tensor = _Convolution.apply(input, weight, bias, prepared)  # type: ignore[no-untyped-call]
    return output


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, prepared: _Prepared) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.prepared = prepared
        return prepared.numbers(input, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        # Whoever differentiates again, or watches, is given PyTorch's own operations.
        if is_differentiated_again(grad) or is_watched():
            return (*native.gradients(grad, input, weight, ctx.prepared.geometry, wanted), None)
        return (*ctx.prepared.gradients(grad, input, weight, wanted), None)
