"""What ``torch.compile`` is to see of a layer: our operator, or PyTorch's own."""

from __future__ import annotations

import torch
from torch import Tensor

from convmat.geometry import Axis, Geometry
from convmat.kernel import computing
from convmat.methods import METHODS
from convmat.planning.costs import estimate_compiled
from convmat.tensors.calls import Call, is_plain
from convmat.tensors.strides import Layout, layout_of
from convmat.tensors.watching import answered_while_tracing, is_symbolic, takes_operators, tracked_operands

Sizes = tuple[int, int, int, int, int, int, int]  # of an axis, in the order of its arguments


def emits_operator(geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None, method: str) -> bool:
    """Whether a call that is traced becomes our operator.

    It does where the kernel computes it, or might: where sizes are symbolic, the operator chooses when it runs. Where
    they are known, the choice is made now, so that the compiler sees PyTorch's own convolution where that is chosen.
    """
    if not takes_operators() or method not in ("auto", "tiles"):
        return False
    operands = (input, weight) if bias is None else (input, weight, bias)
    if not all(map(is_plain, operands)) or geometry.ndim > computing.AXES or not _takes(input.dtype):
        return False
    if method == "tiles" or any(map(is_symbolic, (*input.shape, *weight.shape))):
        return True
    axes = tuple((a.inputs, a.outputs, a.kernel, a.stride, a.dilation, a.lo, a.hi) for a in geometry.axes)
    channels = geometry.in_channels, geometry.out_channels, geometry.groups
    tracked = tracked_operands(input, weight, bias)
    return _is_for_kernel(geometry.transposed, axes, channels, len(input), input.dtype, tracked, layout_of(input))


@answered_while_tracing
def _takes(dtype: torch.dtype) -> bool:
    return computing.takes(dtype) and computing.is_worthwhile()


@answered_while_tracing
def _is_for_kernel(
    transposed: bool,
    axes: tuple[Sizes, ...],
    channels: tuple[int, int, int],
    batch: int,
    dtype: torch.dtype,
    tracked: tuple[bool, bool, bool],
    layout: Layout,
) -> bool:
    """The choice for known sizes, made once while the compiler traces."""
    in_channels, out_channels, groups = channels
    geometry = Geometry(tuple(Axis(*sizes) for sizes in axes), in_channels, out_channels, groups, transposed)
    call = Call(dtype, True, batch, tracked, not any(tracked), layout)
    if METHODS["tiles"].refuses(geometry, dtype) is not None:
        return False
    ours, theirs = estimate_compiled(geometry, call, computing.thread_count())
    return ours <= theirs
