"""Sizes that stand for many, as under ``torch.compile`` and ``torch.export`` with dynamic shapes.

Asking such a size a question, as an ``if`` does, fixes the answer for all inputs to come.
"""

from __future__ import annotations

import torch


def is_symbolic(size: int) -> bool:
    """Whether a size stands for many."""
    if not torch.compiler.is_compiling():
        return isinstance(size, torch.SymInt)
    from torch.fx.experimental import symbolic_shapes

    is_static = getattr(symbolic_shapes, "has_static_value", None)  # older PyTorch cannot be asked, and fixes sizes
    return is_static is not None and not is_static(size)


def surely_zero(size: int) -> bool:
    """Whether a size is zero, whatever the input."""
    return not is_symbolic(size) and size == 0


def is_traced_by_jit() -> bool:
    """Whether ``torch.jit.trace`` is at work, which the older ONNX exporter uses too."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]
