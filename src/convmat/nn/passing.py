"""What is known of inputs of a layer: which it passes on to PyTorch's own layer, and what it computes others by.

A layer that gains nothing should cost nothing, so an input for which ``"auto"`` would take PyTorch's own layer is
passed on at once. That layer is right for every input, so all that can go out of date here is which of the two is
faster.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn

from convmat.nn.learnt import LearntByLayout
from convmat.tensors.watching import is_watched

_MOST = 64  # kinds of inputs of a layer

_known: weakref.WeakKeyDictionary[nn.Module, dict[Any, torch.memory_format | None]] = weakref.WeakKeyDictionary()
_NOTHING: dict[Any, torch.memory_format | None] = {}
_learnt: weakref.WeakKeyDictionary[nn.Module, LearntByLayout] = weakref.WeakKeyDictionary()  # of layers not frozen


def kind_of_input(layer: Any, input: Any) -> Any:
    """All of a call that the choice depends on; ``None`` where somebody watches, who is to see what is chosen."""
    if not isinstance(input, Tensor) or is_watched():
        return None
    of_input = input.shape, input.stride(), input.dtype, input.device, torch.is_grad_enabled()
    return of_input, layer.method, layer.padding, layer.padding_mode, layer.output_padding


def is_known(layer: nn.Module, kind: Any) -> bool:
    """Whether it was learnt what a layer does with inputs of a kind; never where somebody watches."""
    return kind in _known.get(layer, _NOTHING)


def format_of_output(layer: nn.Module, kind: Any) -> torch.memory_format | None:
    """The memory format for what PyTorch's layer makes of inputs of a kind; ``None`` if they are not passed on."""
    return None if kind is None else _known.get(layer, _NOTHING).get(kind)


def learn(layer: nn.Module, kind: Any, memory_format: torch.memory_format | None) -> None:
    """Take note of what was chosen for an input of a kind; see :func:`format_of_output`."""
    kinds = _known.setdefault(layer, {})
    if len(kinds) >= _MOST:
        kinds.clear()
    kinds[kind] = memory_format


def learnt_of(layer: nn.Module) -> LearntByLayout | None:
    """What a layer that is not frozen was computed by, if that was noted."""
    return _learnt.get(layer)


def learnt_to_be(layer: nn.Module) -> LearntByLayout:
    """The same, to take note of it."""
    return _learnt.setdefault(layer, LearntByLayout())


def laid_out(output: Tensor, memory_format: torch.memory_format) -> Tensor:
    """What PyTorch's layer made of an input that was passed on, in a memory format."""
    return output if memory_format is torch.preserve_format else output.contiguous(memory_format=memory_format)


def forget() -> None:
    """Forget all of it."""
    _known.clear()
    _learnt.clear()
