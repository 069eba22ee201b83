"""The kernel as an operator of PyTorch, ``torch.ops.convmat.conv_transpose``, for autograd and all who ask for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.kernel import computing
from convmat.methods import native
from convmat.methods.numbers import prepare_numbers
from convmat.tensors.arguments import conv_transpose_geometry
from convmat.tensors.calls import Call
from convmat.tensors.strides import memory_format_of

_library = torch.library.Library("convmat", "FRAGMENT")
# The padding is that of both ends of all axes: lo, hi, lo, hi, ...
_library.define(
    "conv_transpose(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding, "
    "SymInt[] output_padding, SymInt[] dilation, SymInt groups) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_operator = torch.ops.convmat.conv_transpose.default


def conv_transpose(geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Call the operator."""
    padding = [end for axis in geometry.axes for end in (axis.lo, axis.hi)]
    slack = [axis.slack for axis in geometry.axes]
    return _operator(input, weight, bias, geometry.stride, padding, slack, geometry.dilation, geometry.groups)


def _geometry(
    input: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Geometry:
    pairs = tuple(zip(padding[::2], padding[1::2], strict=True))
    sizes, channels = input.shape[2:], input.shape[1]
    return conv_transpose_geometry(
        weight,
        sizes,
        stride,
        pairs,
        output_padding,
        groups,
        dilation,
        in_channels=channels,
    )


def _compute(input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Tensor:
    geometry = _geometry(input, weight, *arguments)
    if computing.is_ready(input.dtype) and input.numel() and weight.numel():
        return prepare_numbers(geometry, len(input), input.dtype, keep=False)(input, weight, bias)
    return native.prepare(geometry, Call(input.dtype, is_plain=False))(input, weight, bias)


def _compute_nothing(input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Tensor:
    geometry = _geometry(input, weight, *arguments)
    empty = input.new_empty((len(input), *geometry.out_shape))
    return empty.to(memory_format=memory_format_of(input))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, weight, bias, *arguments = inputs
    ctx.save_for_backward(input, weight)
    ctx.geometry = _geometry(input, weight, *arguments)
    ctx.has_bias = bias is not None


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    input, weight = ctx.saved_tensors
    wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.has_bias and ctx.needs_input_grad[2])
    return (*native.transposed_gradients(grad, input, weight, ctx.geometry, wanted), *(None,) * 5)


def _vmap(info: Any, in_dims: tuple[int | None, ...], input: Tensor, weight: Tensor, bias: Any, *arguments: Any) -> Any:
    """Inputs that share weight and bias join a batch; others are computed one by one."""
    input_dim, weight_dim, bias_dim = in_dims[:3]
    if weight_dim is None and bias_dim is None and input_dim is not None:
        joined = input.movedim(input_dim, 0).flatten(0, 1)
        output = _operator(joined, weight, bias, *arguments)
        return output.unflatten(0, (info.batch_size, -1)), 0
    mapped = (
        [operand] * info.batch_size if dim is None else operand.unbind(dim)
        for operand, dim in zip((input, weight, bias), in_dims, strict=False)
    )
    return torch.stack([_operator(*operands, *arguments) for operands in zip(*mapped, strict=True)]), 0


_library.impl("conv_transpose", _compute, "CPU")
torch.library.register_fake(_operator, _compute_nothing, lib=_library)
torch.library.register_autograd(_operator, _backward, setup_context=_keep, lib=_library)
torch.library.register_vmap(_operator, _vmap, lib=_library)
