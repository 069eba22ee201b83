"""What ``torch.compile`` is to see of a layer: our operator, or PyTorch's own."""

from __future__ import annotations

import torch
from torch import Tensor

from convmat.geometry import Axis, Geometry
from convmat.kernel import computing
from convmat.methods import METHODS
from convmat.planning.choosing import choose
from convmat.planning.costs import estimate_compiled
from convmat.tensors.calls import Call, is_plain
from convmat.tensors.strides import Layout, layout_of
from convmat.tensors.watching import (
    answered_while_tracing,
    graph_in_work,
    is_symbolic,
    takes_operators,
    tracked_operands,
)

Sizes = tuple[int, int, int, int, int, int, int]  # of an axis, in the order of its arguments


def emits_operator(geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None, method: str) -> bool:
    """Whether a call that is traced becomes our operator.

    It does where the kernel computes it, or might: where sizes are symbolic, the operator chooses when it runs. Where
    they are known, the choice is made now, so that the compiler sees PyTorch's own convolution where that is chosen, by
    itself or, for pictures, together with the layers before.
    """
    if not takes_operators() or method not in ("auto", "tiles"):
        return False
    operands = (input, weight) if bias is None else (input, weight, bias)
    if not all(map(is_plain, operands)) or geometry.ndim > computing.AXES or not _may_compute(input.dtype):
        return False
    if method == "tiles" or any(map(is_symbolic, (*input.shape, *weight.shape))):
        return True
    axes = tuple((a.inputs, a.outputs, a.kernel, a.stride, a.dilation, a.lo, a.hi) for a in geometry.axes)
    channels = geometry.in_channels, geometry.out_channels, geometry.groups
    tracked = tracked_operands(input, weight, bias)
    return _is_for_kernel(geometry.transposed, axes, channels, len(input), input.dtype, tracked, layout_of(input))


@answered_while_tracing
def _may_compute(dtype: torch.dtype) -> bool:
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
    if geometry.ndim != 2 or layout is not Layout.CONTIGUOUS:
        return choose(geometry, call).name == "tiles"
    return _chain().goes_on_with_ours(*estimate_compiled(geometry, call, computing.thread_count()))


class _Chain:
    """The layers of pictures of one graph as they are traced, as if each read the output of the one before.

    Inductor computes PyTorch's own with their channels last, and all between them. Ours are contiguous, so a picture is
    converted where the one kind follows the other. That is done once going on as before has lost more than it takes to
    convert the picture there and back.
    """

    def __init__(self) -> None:
        self.is_ours, self._lost = True, 0.0

    def goes_on_with_ours(self, ours: float, theirs: float, conversion: float) -> bool:
        """Whether the next layer is ours, by the seconds of both, and those of converting what it reads."""
        self._lost = max(self._lost + (ours - theirs if self.is_ours else theirs - ours), 0.0)
        if self._lost > 2 * conversion:
            self.is_ours, self._lost = not self.is_ours, 0.0
        return self.is_ours


def _chain() -> _Chain:
    """That of the graph that is being traced."""
    graph = graph_in_work()
    chain: _Chain = _Chain() if graph is None else vars(graph).setdefault("_convmat_chain", _Chain())
    return chain
