"""A convolution for autograd: numbers and gradients, each computed in the way that should be the fastest."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.methods import native
from convmat.methods.common import Computation
from convmat.methods.tiles import is_for_kernel
from convmat.planning.choosing import choose
from convmat.planning.gradients import Wanted, gradients
from convmat.tensors.calls import Call, call_of
from convmat.tensors.strides import memory_format_of, with_usual_strides
from convmat.tensors.watching import is_differentiated_again, is_watched


def takes(geometry: Geometry, call: Call) -> bool:
    """Whether this computes a call: autograd tracks it, and the kernel can compute."""
    return call.needs_gradient and is_for_kernel(geometry, call) and computing.is_ready(call.dtype)


def convolve(geometry: Geometry, method: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute a call of which autograd tracks an operand.

    Args:
        geometry: over at most three axes, padded with zeros.
        method: of the numbers; the gradients are computed by the fastest.
        input, weight, bias: the operands, batch first.
    """
    output: Tensor = _Convolution.apply(input, weight, bias, geometry, method)  # type: ignore[no-untyped-call]
    return output


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, method: str
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.geometry = geometry
        return decide_numbers(geometry, input, weight, bias, method)(input, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        # Whoever differentiates again, or watches, is given PyTorch's own operations.
        compute = native.gradients if is_differentiated_again(grad) or is_watched() else _gradients
        return (*compute(grad, input, weight, ctx.geometry, ctx.needs_input_grad[:3]), None, None)


def _gradients(
    grad: Tensor, input: Tensor, weight: Tensor, geometry: Geometry, wanted: Wanted
) -> tuple[Tensor | None, ...]:
    return gradients(geometry, grad, input, weight, wanted)


def decide_numbers(
    geometry: Geometry,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    method: str = "auto",
    keep: bool = False,
) -> Computation:
    """What computes the numbers of a call, and of the calls like it, in the memory format of the input.

    Args:
        geometry: over at most three axes, padded with zeros.
        input, weight, bias: the operands, batch first.
        method: as users write it. Default: ``"auto"``
        keep: whether what is made of the weight is kept for later calls. Default: ``False``
    """
    call = call_of(with_usual_strides(input), with_usual_strides(weight), bias).untracked()
    if not (input.numel() and weight.numel()):
        method = "native"
    call = call._replace(keeps_weight=keep)
    return partial(_in_format_of_input, choose(geometry, call, method).prepare(geometry, call))


def _in_format_of_input(computation: Computation, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    output = computation(with_usual_strides(input), with_usual_strides(weight), bias)
    return output.contiguous(memory_format=memory_format_of(input))
