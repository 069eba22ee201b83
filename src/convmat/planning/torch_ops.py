"""Convolutions as operators of PyTorch, for autograd, ``torch.compile`` and all who ask for one.

They are ``torch.ops.convmat.conv`` and ``torch.ops.convmat.conv_transpose``. Each chooses its method when it runs, by
the sizes that it meets there. What is compiled without gradients calls ``conv_untracked`` and
``conv_transpose_untracked`` instead, which autograd does not know: to ask it takes as long as a small layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Geometry
from convmat.methods import native
from convmat.methods.common import Computation, from_usual_strides, in_format
from convmat.planning import shortcuts
from convmat.planning.choosing import choose
from convmat.planning.gradients import prepare_gradients
from convmat.tensors.arguments import conv_geometry, conv_transpose_geometry
from convmat.tensors.calls import call_of
from convmat.tensors.strides import output_format_of, with_usual_strides
from convmat.tensors.watching import is_differentiated_again, is_transformed

_library = torch.library.Library("convmat", "FRAGMENT")
_SIZES = 5  # arguments that belong to the geometry; PyTorch leaves out those that follow, where they are the defaults


def convolve(geometry: Geometry, method: str, keep: bool, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Call the operator of the geometry's direction.

    Args:
        geometry: over at most three axes, padded with zeros.
        method: ``"auto"``, or one of the methods that it stands for.
        keep: whether a packed weight is kept for later calls, and autograd tracks no operand.
        input, weight, bias: the operands, batch first.
    """
    padding = [end for axis in geometry.axes for end in (axis.lo, axis.hi)]
    size = [axis.slack for axis in geometry.axes] if geometry.transposed else list(geometry.outputs)
    operator = _OPERATORS[geometry.transposed, keep]
    arguments = list(geometry.stride), padding, size, list(geometry.dilation), geometry.groups
    output: Tensor = operator(input, weight, bias, *arguments, method, keep)
    return output


def convolve_usual(
    transposed: bool,
    sizes: tuple[Sequence[int], ...],
    groups: int,
    method: str,
    keep: bool,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """Call the operator of a direction with what PyTorch's functions take, one integer per axis.

    Args:
        transposed: the direction.
        sizes: stride, padding, output padding (of a transposed convolution) and dilation.
        groups, method, keep, input, weight, bias: as of :func:`convolve` and its geometry.
    """
    stride, padding, output_padding, dilation = sizes
    both = [end for number in padding for end in (number, number)]
    size = list(output_padding) if transposed else None
    operator = _OPERATORS[transposed, keep]
    output: Tensor = operator(input, weight, bias, list(stride), both, size, list(dilation), groups, method, keep)
    return output


def _direct(
    input: Tensor, weight: Tensor, stride: Any, padding: Any, output_size: Any, dilation: Any, groups: int
) -> Geometry:
    pairs = tuple(zip(padding[::2], padding[1::2], strict=True))
    geometry = conv_geometry(weight, input.shape[2:], stride, pairs, dilation, groups, in_channels=input.shape[1])
    if output_size is None or geometry.outputs == tuple(output_size):
        return geometry
    axes = (replace(axis, outputs=size) for axis, size in zip(geometry.axes, output_size, strict=True))
    return replace(geometry, axes=tuple(axes))


def _transposed(
    input: Tensor, weight: Tensor, stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: int
) -> Geometry:
    pairs = tuple(zip(padding[::2], padding[1::2], strict=True))
    sizes, channels = input.shape[2:], input.shape[1]
    return conv_transpose_geometry(weight, sizes, stride, pairs, output_padding, groups, dilation, in_channels=channels)


def _register(name: str, what: str, geometry_of: Callable[..., Geometry], tracked: bool) -> Any:
    """Register an operator; ``what`` is the argument that tells the size of the output."""
    # The padding is that of both ends of all axes: lo, hi, lo, hi, ...
    # Inductor may lay out PyTorch's own convolutions with their channels last. It must not do so with ours, which are
    # mostly faster contiguous: the copies are part of the activations before and after.
    _library.define(
        f"{name}(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding, {what}, "
        'SymInt[] dilation, SymInt groups, str method="auto", bool keep=False) -> Tensor',
        tags=(torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order),
    )
    operator = getattr(torch.ops.convmat, name).default

    def compute(input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Tensor:
        key = shortcuts.key_of_operator(name, input, weight, bias, arguments)
        computation = None if key is None else shortcuts.find(key)
        if computation is None:
            geometry = geometry_of(input, weight, *arguments[:_SIZES])
            computation = _decide(geometry, input, weight, bias, *arguments[_SIZES:])
            if key is not None:
                shortcuts.keep(key, computation)
        return computation(input, weight, bias)

    def compute_nothing(input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Tensor:
        geometry = geometry_of(input, weight, *arguments[:_SIZES])
        empty = input.new_empty((input.shape[0], *geometry.out_shape))
        return empty.to(memory_format=output_format_of(input))

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, bias, *arguments = inputs
        ctx.save_for_backward(input, weight)
        ctx.sizes, ctx.has_bias = arguments[:_SIZES], bias is not None

    def vmap(info: Any, in_dims: tuple[int | None, ...], *operands: Any) -> Any:
        return _vmap(operator, info.batch_size, in_dims[:3], *operands)

    _library.impl(name, compute, "CPU")
    torch.library.register_fake(operator, compute_nothing, lib=_library)
    torch.library.register_vmap(operator, vmap, lib=_library)
    if tracked:
        backward = partial(_backward, _register_backward(f"{name}_backward", what, geometry_of), geometry_of)
        torch.library.register_autograd(operator, backward, setup_context=keep, lib=_library)
    return operator


def _decide(
    geometry: Geometry,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    method: str = "auto",
    keep: bool = False,
) -> Computation:
    """What computes the numbers of a call, and of the calls like it, in the memory format of the input."""
    usual = with_usual_strides(input), with_usual_strides(weight)
    call = call_of(*usual, bias).untracked()._replace(keeps_weight=keep)
    if not (input.numel() and weight.numel()):
        method = "native"
    computation = partial(in_format, output_format_of(input), choose(geometry, call, method).prepare(geometry, call))
    return computation if usual[0] is input and usual[1] is weight else partial(from_usual_strides, computation)


def _backward(operator: Any, geometry_of: Callable[..., Geometry], ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Whoever differentiates again, or transforms, is given PyTorch's own operations; all others our operator."""
    input, weight = ctx.saved_tensors
    wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.has_bias and ctx.needs_input_grad[2])
    nothing = (None,) * 7
    if is_differentiated_again(grad) or is_transformed():
        geometry = geometry_of(input, weight, *ctx.sizes)
        return (*native.gradients(grad, input, weight, geometry, wanted), *nothing)
    found = iter(operator(grad, input, weight, *ctx.sizes, wanted))
    return (*(next(found) if is_wanted else None for is_wanted in wanted), *nothing)


def _register_backward(name: str, what: str, geometry_of: Callable[..., Geometry]) -> Any:
    """Register the operator of the gradients: a list of those that are wanted, of input, weight and bias."""
    _library.define(
        f"{name}(Tensor grad, Tensor input, Tensor weight, SymInt[] stride, SymInt[] padding, {what}, "
        "SymInt[] dilation, SymInt groups, bool[] wanted) -> Tensor[]",
        tags=(torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order),
    )
    operator = getattr(torch.ops.convmat, name).default

    def compute(grad: Tensor, input: Tensor, weight: Tensor, *arguments: Any) -> list[Tensor]:
        *sizes, wanted = arguments
        input, weight = with_usual_strides(input), with_usual_strides(weight)
        compute_gradients = prepare_gradients(geometry_of(input, weight, *sizes), call_of(input, weight, grad))
        made = compute_gradients(grad, input, weight, tuple(wanted))
        formats = output_format_of(input), torch.contiguous_format, torch.contiguous_format
        return [
            gradient.contiguous(memory_format=memory_format)
            for gradient, memory_format in zip(made, formats, strict=True)
            if gradient is not None
        ]

    def compute_nothing(grad: Tensor, input: Tensor, weight: Tensor, *arguments: Any) -> list[Tensor]:
        of_input = input.new_empty(input.shape).to(memory_format=output_format_of(input))
        made = of_input, weight.new_empty(weight.shape), grad.new_empty(grad.shape[1:2])
        return [gradient for gradient, is_wanted in zip(made, arguments[-1], strict=True) if is_wanted]

    _library.impl(name, compute, "CPU")
    torch.library.register_fake(operator, compute_nothing, lib=_library)
    return operator


def _vmap(
    operator: Any, size: int, dims: tuple[int | None, ...], input: Tensor, weight: Tensor, bias: Any, *arguments: Any
) -> Any:
    """Inputs that share weight and bias join a batch; others are computed one by one."""
    input_dim, weight_dim, bias_dim = dims
    if weight_dim is None and bias_dim is None and input_dim is not None:
        joined = input.movedim(input_dim, 0).flatten(0, 1)
        output = operator(joined, weight, bias, *arguments)
        return output.unflatten(0, (size, -1)), 0
    mapped = (
        [operand] * size if dim is None else operand.unbind(dim)
        for operand, dim in zip((input, weight, bias), dims, strict=True)
    )
    return torch.stack([operator(*operands, *arguments) for operands in zip(*mapped, strict=True)]), 0


_DIRECT, _TRANSPOSED = ("SymInt[]? output_size", _direct), ("SymInt[] output_padding", _transposed)
_OPERATORS = {  # by direction, and whether autograd tracks no operand
    (False, False): _register("conv", *_DIRECT, tracked=True),
    (False, True): _register("conv_untracked", *_DIRECT, tracked=False),
    (True, False): _register("conv_transpose", *_TRANSPOSED, tracked=True),
    (True, True): _register("conv_transpose_untracked", *_TRANSPOSED, tracked=False),
}
