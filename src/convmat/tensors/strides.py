"""How a tensor lies in memory: contiguous, with its channels last, or otherwise.

An axis of size 1 may have any stride, for it is never stepped along. PyTorch looks at these strides all the same when
it chooses how to compute. For a picture read as ``pixels.movedim(-1, 0)[None]`` it picks a slow way, and for some
others it crashes (https://github.com/pytorch/pytorch/issues/195394). So these strides are set to what they usually are
before any method sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import torch
from torch import Tensor

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


class MemoryFormat(Enum):
    """How (batch, channels, *sizes) lie in memory."""

    CONTIGUOUS = "contiguous"
    CHANNELS_LAST = "channels last"
    NEIGHBOURS = "neighbours"  # cells along the last axis, or channels, are neighbours; all else lies anyhow
    APART = "apart"


def memory_format_of(input: Tensor) -> MemoryFormat:
    """How an input lies in memory."""
    channels_last = _CHANNELS_LAST.get(input.ndim)
    # Images of one cell are contiguous as well; their strides tell, as they do for PyTorch.
    if channels_last is not None and input.stride(-1) != 1 and input.is_contiguous(memory_format=channels_last):
        return MemoryFormat.CHANNELS_LAST
    if input.is_contiguous():
        return MemoryFormat.CONTIGUOUS
    return MemoryFormat.NEIGHBOURS if 1 in (input.stride(-1), input.stride(1)) else MemoryFormat.APART


def output_format_of(input: Tensor) -> torch.memory_format:
    """The memory format of what is made of an input: channels last, or contiguous."""
    if memory_format_of(input) is MemoryFormat.CHANNELS_LAST:
        return _CHANNELS_LAST[input.ndim]
    return torch.contiguous_format


def with_usual_strides(tensor: Tensor) -> Tensor:
    """A view of an input or a weight whose axes of size 1 have the strides that they usually have.

    >>> picture = torch.zeros(5, 4, 3).movedim(-1, 0)[None]
    >>> picture.stride(), with_usual_strides(picture).stride()
    ((3, 1, 12, 3), (60, 1, 12, 3))
    """
    shape, strides = tensor.shape, tensor.stride()
    if any(isinstance(size, torch.SymInt) for size in shape) or 1 not in shape:
        return tensor
    order = _usual_order(shape, strides)
    if strides == _usual_strides(shape, strides, order) or 0 in strides:
        return tensor
    # The weight of a depthwise layer is contiguous, and has its one channel last as well, where PyTorch made it so.
    is_depthwise = len(shape) in _CHANNELS_LAST and shape[1] == 1 != shape[0]
    if is_depthwise and strides == _usual_strides(shape, strides, [0, *range(2, len(shape)), 1]):
        return tensor
    # as_strided would be shorter, but gradients and transforms take their time for it.
    view = tensor.permute(order).squeeze()
    for place in reversed(range(len(order))):
        if shape[order[place]] == 1:
            view = view.unsqueeze(sum(shape[dim] != 1 for dim in order[:place]))
    return view.permute([order.index(dim) for dim in range(len(order))])


def _usual_order(shape: Sequence[int], strides: Sequence[int]) -> list[int]:
    """The axes from the outermost to the innermost: with the channels last, if the other axes lie like that."""
    spatial = range(2, len(shape))
    several = [strides[dim] for dim in spatial if shape[dim] != 1]
    if shape[1] == 1:
        is_last = False
    elif several:
        is_last = strides[1] < min(several)
    else:  # images of one cell
        is_last = strides[1] == 1 != strides[-1]
    return [0, *spatial, 1] if is_last else [0, 1, *spatial]


def _usual_strides(shape: Sequence[int], strides: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """The strides as they are, but of an axis of size 1: the size times the stride of the axis that follows it."""
    usual = list(strides)
    following = 1
    for dim in reversed(order):
        if shape[dim] == 1:
            usual[dim] = following
        following = usual[dim] * shape[dim]
    return tuple(usual)
