"""Who watches the operations of a call: a compiler, a tracer, a transform, autocast, autograd.

Whoever watches wants to see PyTorch's own operations, not their numbers. All other modules ask here.

Sizes may be symbolic while PyTorch compiles or exports with dynamic shapes: they stand for many sizes. An ``if`` on
such a size fixes its answer for all inputs to come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

Function = TypeVar("Function", bound=Callable[..., Any])

_FUNCTIONS = tuple(
    (getattr(F, f"conv{ndim}d"), getattr(F, f"conv_transpose{ndim}d")) for ndim in (1, 2, 3)
)  # as they are before anybody replaces them

is_compiling = torch.compiler.is_compiling  # whether torch.compile or torch.export is tracing


def answered_while_tracing(function: Function) -> Function:
    """Let ``torch.compile`` call a function as it is while it traces, and take its result for a constant.

    This is :func:`torch.compiler.assume_constant_result`, which would import the compiler, and take a second for it.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def takes_operators() -> bool:
    """Whether ``torch.compile`` is tracing, and nobody besides who wants to see PyTorch's own operations."""
    return is_compiling() and not _is_exporting() and not is_transformed()


@answered_while_tracing
def _is_exporting() -> bool:
    """Whether ``torch.export`` is tracing; asked at once, for ``torch.compile`` of PyTorch 2.8 always reads a yes."""
    return torch.compiler.is_exporting()


@answered_while_tracing
def is_transformed() -> bool:
    """Whether a transform of ``torch.func`` or forward-mode AD is at work; in what is compiled, at this place of it."""
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def is_differentiated_again(grad: Tensor) -> bool:
    """Whether a backward pass is recorded itself, or computes several gradients at once, as for a Jacobian."""
    return torch.is_grad_enabled() or torch._C._functorch.is_legacy_batchedtensor(grad)


def graph_in_work() -> Any:
    """What stands for the graph that ``torch.compile`` is tracing, asked of by what is answered meanwhile."""
    return torch._guards.TracingContext.try_get()


def is_traced_by_jit() -> bool:
    """Whether ``torch.jit.trace`` is tracing; the older ONNX exporter uses it too."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def is_watched() -> bool:
    """Whether a compiler, a tracer, a transform of ``torch.func``, a dispatch mode or forward-mode AD is at work."""
    return (
        is_compiling()  # the first question: compilers cannot trace the others
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
    )


def wants_pytorchs_function(ndim: int, transposed: bool) -> bool:
    """Whether somebody watches the calls of PyTorch's convolution itself.

    ``torch.jit.trace`` does: it takes notes, and warns, of each size that Python looks at. So do tools that count
    operations, of which many replace the function in :mod:`torch.nn.functional` while a model runs.
    """
    if is_compiling():
        return False
    name = f"conv_transpose{ndim}d" if transposed else f"conv{ndim}d"
    is_replaced = getattr(F, name) is not _FUNCTIONS[ndim - 1][transposed]
    return is_replaced or torch._C._get_tracing_state() is not None


def has_autocast(device: str) -> bool:
    """Whether autocast is on for a type of device; the meta device has none."""
    # Not torch.amp.is_autocast_available, which torch.compile of PyTorch 2.8 and 2.9 does not trace.
    return device != "meta" and torch.is_autocast_enabled(device)


def has_any_autocast() -> bool:
    """Whether autocast is on for any type of device."""
    return torch._C._is_any_autocast_enabled()


def tracked_operands(input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[bool, bool, bool]:
    """Of which operands autograd may ask for a gradient: of input, weight and bias."""
    if not torch.is_grad_enabled():
        return False, False, False
    return input.requires_grad, weight.requires_grad, bias is not None and bias.requires_grad


def is_symbolic(size: int) -> bool:
    """Whether a size stands for many."""
    if not is_compiling():
        return isinstance(size, torch.SymInt)
    from torch.fx.experimental import symbolic_shapes

    is_static = getattr(symbolic_shapes, "has_static_value", None)  # older PyTorch cannot be asked, and fixes sizes
    return is_static is not None and not is_static(size)


def surely_zero(size: int) -> bool:
    """Whether a size is zero, whatever the input."""
    return not is_symbolic(size) and size == 0
