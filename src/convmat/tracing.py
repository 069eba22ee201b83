"""Sizes that stand for many, as under ``torch.compile`` and ``torch.export`` with dynamic shapes.

Asking such a size a question, as an ``if`` does, fixes the answer for all inputs to come.
"""

from __future__ import annotations

import torch


def is_symbolic(size: int) -> bool:
    """Whether a size stands for many."""
    if not torch.compiler.is_compiling():
        return isinstance(size, torch.SymInt)
    from torch.fx.experimental.symbolic_shapes import has_static_value

    return not has_static_value(size)


def surely_zero(size: int) -> bool:
    """Whether a size is zero, whatever the input."""
    return not is_symbolic(size) and size == 0
