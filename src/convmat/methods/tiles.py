"""Our compiled kernel for transposed convolutions on the CPU: matrix products of register-blocked tiles.

Each phase of Cᵀ is a matrix product that sums over input channels and taps. The kernel reads the input where it lies,
window by window, and writes the phases interleaved, so that neither columns nor zeros are ever stored.

It takes float32 and float64. All else goes to PyTorch's own functions: direct convolutions, other numbers and devices,
and whatever looks at the operations instead of the numbers (``torch.compile``, ``torch.export``, ``torch.func``,
forward-mode derivatives). Gradients are PyTorch's own, too.

At its borders the input is extended by zeros, and zero times a weight that is infinite or NaN is a NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from convmat.geometry import Geometry
from convmat.kernel import compiled, threads
from convmat.kernel.compiled import Kernel
from convmat.kernel.schedule import Layer, memory_format_of
from convmat.kernel.weights import packed_weight
from convmat.methods import native

direct = native.direct
refuses = native.refuses


def transposed(input: Tensor, weight: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """``conv_transpose(y)``, by the kernel where it can."""
    if not (takes(input, weight, bias) and compiled.kernel(input.dtype)):
        return native.transposed(input, weight, geometry, bias)
    if needs_gradient(input, weight, bias):
        from convmat.methods.operator import conv_transpose

        return conv_transpose(input, weight, geometry, bias)
    return compute(input, weight, geometry, bias, keep=True)


def takes(input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether these are plain tensors of numbers that the kernel knows, and nothing watches the operations."""
    return is_plain(input) and _is_in_memory(weight) and (bias is None or _is_in_memory(bias))


def is_plain(input: Tensor) -> bool:
    """Whether an input is a plain tensor of numbers that the kernel knows, and nothing watches the operations."""
    if _is_watched():  # the first question, as tracers do not take the others
        return False
    return _is_in_memory(input) and compiled.takes(input.dtype)


def _is_in_memory(tensor: Tensor) -> bool:
    """Whether a tensor's numbers lie in memory as they are, without a class or a layout that says otherwise."""
    is_as_read = type(tensor) in _PLAIN and tensor.is_cpu and tensor.layout is torch.strided
    return is_as_read and not (tensor.is_neg() or tensor._is_zerotensor())


_RUN = 64  # products that are summed at a time
_KEPT = 32  # plans of a geometry, for different batches and numbers of threads
_PLAIN = (Tensor, nn.Parameter)


def _is_watched() -> bool:
    """Whether a transform, a tracer or a mode of PyTorch is at work."""
    return (
        torch.compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
    )


def needs_gradient(input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether a gradient may be asked for."""
    return torch.is_grad_enabled() and (
        input.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    )


def compute(input: Tensor, weight: Tensor, geometry: Geometry, bias: Tensor | None, keep: bool = False) -> Tensor:
    """The numbers alone, without gradients; packed weights may be kept for later calls."""
    return computation(geometry, len(input), input.dtype)(input, weight, bias, keep)


def computation(geometry: Geometry, batch: int, dtype: torch.dtype) -> Callable[..., Tensor]:
    """A function of input, weight, bias and whether to keep packed weights, for the number of threads here and now."""
    if is_one_window(geometry) and not threads.is_forked():
        return partial(_multiply, geometry)
    kernel, count = compiled.kernel(dtype), threads.thread_count()
    assert kernel is not None
    return partial(_convolve, layer_of(geometry, batch, dtype, count), kernel, count)


def _convolve(
    layer: Layer, kernel: Kernel, count: int, input: Tensor, weight: Tensor, bias: Tensor | None, keep: bool
) -> Tensor:
    packed = packed_weight(layer, kernel, weight, count, keep)
    return layer.convolve(kernel, input, packed, bias, count)


def is_one_window(geometry: Geometry) -> bool:
    """Whether the output is the kernel itself, or a part of it, times one number per channel."""
    return geometry.groups == 1 and all(
        axis.outputs == axis.dilation == 1 and axis.lo + axis.inputs <= axis.kernel for axis in geometry.axes
    )


def _multiply(geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None, keep: bool) -> Tensor:
    """One matrix product, with the weight as it is."""
    for dim, axis in enumerate(geometry.axes, start=2):
        weight = weight.narrow(dim, axis.lo, axis.inputs)
    output = input.new_zeros(len(input), prod(geometry.out_shape))
    for numbers, rows in zip(input.flatten(1).split(_RUN, 1), weight.flatten(1).split(_RUN), strict=True):
        output.addmm_(numbers, rows)
    output = output.reshape(len(input), *geometry.out_shape)
    if bias is not None:
        output += bias.reshape(-1, *(1,) * geometry.ndim)
    return output.contiguous(memory_format=memory_format_of(input))


def layer_of(geometry: Geometry, batch: int, dtype: torch.dtype, count: int) -> Layer:
    """The kernel's plan for a geometry and batch, made once."""
    memo: dict[Any, Any] = geometry.memo
    key = ("tiles", batch, dtype, count)
    layer = memo.get(key)
    if layer is None:
        if len(memo) > _KEPT:
            memo.clear()
        layer = memo[key] = Layer(geometry, batch, compiled.processor(dtype, count))
    return layer
