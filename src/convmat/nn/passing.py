"""Inputs that a layer passes on to PyTorch's own layer at once, because ``"auto"`` would take that anyway.

A layer that gains nothing should cost nothing. PyTorch's own layer is right for every input, so all that can go out of
date here is which of the two is faster.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn

from convmat import functional
from convmat.tensors.watching import is_watched

_MOST = 64  # kinds of inputs of a layer

_known: weakref.WeakKeyDictionary[nn.Module, dict[Any, bool]] = weakref.WeakKeyDictionary()


def kind_of_input(layer: Any, input: Any) -> Any:
    """All of a call that the choice depends on; ``None`` where somebody watches, who is to see what is chosen."""
    if not isinstance(input, Tensor) or is_watched():
        return None
    of_input = input.shape, input.stride(), input.dtype, torch.is_grad_enabled()
    return of_input, layer.method, layer.padding, layer.padding_mode


def is_passed_on(layer: nn.Module, kind: Any) -> bool | None:
    """Whether a layer passes on inputs of a kind; ``None`` if nobody knows yet."""
    return None if kind is None else _known.get(layer, _NOTHING).get(kind)


_NOTHING: dict[Any, bool] = {}


def learn(layer: Any, kind: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Take note of what was chosen for operands that a layer has just computed."""
    kinds = _known.setdefault(layer, {})
    if len(kinds) >= _MOST:
        kinds.clear()
    arguments = (layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode, layer.method)
    kinds[kind] = functional.chooses_pytorch(layer._ndim, input, weight, bias, *arguments)


def forget() -> None:
    """Forget all of it."""
    _known.clear()
