"""What ``torch.compile`` is to see of a layer: our operator, or PyTorch's own.

All that is traced is guarded: each function, each attribute, each size. The guards are checked whenever what was
compiled is called, which takes longer than a small layer itself. So a usual layer goes a short way: what depends on its
sizes alone is answered at once, outside of the graph, and one operator is traced.
"""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from convmat.geometry import Axis, Geometry, GeometryError
from convmat.kernel import computing
from convmat.methods import METHODS, native
from convmat.methods.common import CONVOLUTIONS, in_format_of_input
from convmat.planning import torch_ops
from convmat.planning.choosing import choose
from convmat.planning.costs import estimate_compiled
from convmat.tensors.arguments import check_bias, conv_geometry, conv_transpose_geometry
from convmat.tensors.calls import Call, is_plain
from convmat.tensors.strides import MemoryFormat, memory_format_of
from convmat.tensors.watching import (
    answered_while_tracing,
    graph_in_work,
    has_autocast,
    is_symbolic,
    takes_operators,
    tracked_operands,
)

Sizes = tuple[int, int, int, int, int, int, int]  # of an axis, in the order of its arguments
_METHODS = ("auto", "tiles")
_OURS, _PYTORCHS, _OTHER = "ours", "PyTorch's", "other"  # strings, which a compiler takes for constants
# How many times as long PyTorch's own layers of pictures take where ours are taken, with the longest vectors and with
# shorter ones.
_CLEARLY, _CLEARLY_SHORTER = 1.2, 1.4


def fixed(value: Any) -> Any:
    """A stride, a dilation or groups as constants of what is compiled, as they are in a layer.

    Once such an integer was another in another call, ``torch.compile`` takes it for a symbol. Padding may well depend
    on the sizes of an input, and stays one.
    """
    if isinstance(value, (tuple, list)):
        return tuple([fixed(one) for one in value])
    return operator.index(value) if isinstance(value, int) and is_symbolic(value) else value


def short_way(
    ndim: int,
    transposed: bool,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    arguments: tuple[Any, Any, Any, Any],
    groups: int,
    padding_mode: str,
    method: str,
) -> Tensor | None:
    """A usual layer that is traced, as one operator; ``None`` for all others, which go the long way.

    Args:
        ndim, transposed: over how many axes, and the direction.
        input, weight, bias: its operands.
        arguments: stride, padding, output padding and dilation. Usual are integers, one or one per axis.
        groups, padding_mode, method: the others.
    """
    if not takes_operators() or padding_mode != "zeros" or method not in _METHODS or has_autocast("cpu"):
        return None
    operands = (input, weight) if bias is None else (input, weight, bias)
    if not (all(map(is_plain, operands)) and input.ndim == weight.ndim == ndim + 2):
        return None
    if any(operand.dtype != input.dtype for operand in operands) or not _may_compute(input.dtype):
        return None
    sizes = tuple([value if isinstance(value, tuple) else (value,) * ndim for value in arguments])
    numbers = [number for size in sizes for number in size]
    if len(numbers) != len(sizes) * ndim or not all(type(number) is int for number in numbers):
        return None
    if any(map(is_symbolic, numbers)):
        return None
    tracked = tracked_operands(input, weight, bias)
    kind = _OURS  # which chooses when it runs, where sizes are not known
    if not any(map(is_symbolic, (*input.shape, *input.stride(), *weight.shape))):
        shapes = tuple(input.shape), input.stride(), tuple(weight.shape), None if bias is None else tuple(bias.shape)
        kind = _kind_of(transposed, *shapes, input.dtype, tracked, sizes, groups, method)
    if kind == _OTHER:
        return None
    if kind == _OURS:
        return torch_ops.convolve_usual(transposed, sizes, groups, method, not any(tracked), input, weight, bias)
    return in_format_of_input(partial(_by_pytorch, transposed, sizes, groups), input, weight, bias)


def _by_pytorch(
    transposed: bool, sizes: tuple[Any, ...], groups: int, input: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    stride, padding, output_padding, dilation = sizes
    if transposed:
        function = native.TRANSPOSED_CONVOLUTIONS[input.ndim - 3]
        return function(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return CONVOLUTIONS[input.ndim - 3](input, weight, bias, stride, padding, dilation, groups)


@answered_while_tracing
def _kind_of(
    transposed: bool,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    dtype: torch.dtype,
    tracked: tuple[bool, bool, bool],
    sizes: tuple[tuple[int, ...], ...],
    groups: int,
    method: str,
) -> str:
    """Which operator computes a layer of known sizes; what is wrong with them is said on the long way."""
    stride, padding, output_padding, dilation = sizes
    input = torch.empty_strided(shape, strides, dtype=dtype, device="meta")
    weight = torch.empty(weight_shape, dtype=dtype, device="meta")
    channels, spatial = shape[1], shape[2:]
    try:
        if transposed:
            geometry = conv_transpose_geometry(
                weight, spatial, stride, padding, output_padding, groups, dilation, in_channels=channels
            )
        else:
            geometry = conv_geometry(weight, spatial, stride, padding, dilation, groups, in_channels=channels)
        check_bias(None if bias_shape is None else torch.empty(bias_shape, device="meta"), geometry.out_channels)
    except (GeometryError, TypeError):
        return _OTHER
    if not (input.numel() and weight.numel()) or METHODS["tiles"].refuses(geometry, dtype) is not None:
        return _OTHER
    if any(map(operator.ge, output_padding, stride)):
        return _OTHER
    call = Call(dtype, True, len(input), tracked, not any(tracked), memory_format_of(input))
    return _OURS if method == "tiles" or _is_for_kernel(geometry, call) else _PYTORCHS


def emits_operator(geometry: Geometry, input: Tensor, weight: Tensor, bias: Tensor | None, method: str) -> bool:
    """Whether a call that is traced, and did not go the short way, becomes our operator.

    It does where the kernel computes it, or might: where sizes are symbolic, the operator chooses when it runs. Where
    they are known, the choice is made now, so that the compiler sees PyTorch's own convolution where that is chosen, by
    itself or, for pictures, together with the layers before.
    """
    if not takes_operators() or method not in _METHODS:
        return False
    operands = (input, weight) if bias is None else (input, weight, bias)
    if not all(map(is_plain, operands)) or geometry.ndim > computing.AXES or not _may_compute(input.dtype):
        return False
    axes = tuple((a.inputs, a.outputs, a.kernel, a.stride, a.dilation, a.lo, a.hi) for a in geometry.axes)
    numbers = [number for sizes in axes for number in sizes]
    if method == "tiles" or any(map(is_symbolic, (*input.shape, *weight.shape, *numbers))):
        return True
    channels = geometry.in_channels, geometry.out_channels, geometry.groups
    tracked = tracked_operands(input, weight, bias)
    return _is_for_kernel_of_sizes(
        geometry.transposed, axes, channels, len(input), input.dtype, tracked, memory_format_of(input)
    )


@answered_while_tracing
def _may_compute(dtype: torch.dtype) -> bool:
    return computing.takes(dtype) and computing.is_worthwhile()


@answered_while_tracing
def _is_for_kernel_of_sizes(
    transposed: bool,
    axes: tuple[Sizes, ...],
    channels: tuple[int, int, int],
    batch: int,
    dtype: torch.dtype,
    tracked: tuple[bool, bool, bool],
    memory_format: MemoryFormat,
) -> bool:
    in_channels, out_channels, groups = channels
    geometry = Geometry(tuple(Axis(*sizes) for sizes in axes), in_channels, out_channels, groups, transposed)
    call = Call(dtype, True, batch, tracked, not any(tracked), memory_format)
    return METHODS["tiles"].refuses(geometry, dtype) is None and _is_for_kernel(geometry, call)


def _is_for_kernel(geometry: Geometry, call: Call) -> bool:
    """The choice for known sizes, made once while the compiler traces."""
    if geometry.ndim != 2 or call.memory_format is not MemoryFormat.CONTIGUOUS:
        return choose(geometry, call).name == "tiles"
    return _chain().goes_on_with_ours(*estimate_compiled(geometry, call, computing.thread_count()))


class _Chain:
    """The layers of pictures of one graph as they are traced, as if each read the output of the one before.

    Inductor computes PyTorch's own with their channels last, and all between them, as fast as it can. Ours are
    contiguous, so a picture is converted where the one kind follows the other, and so is what is added or joined to it.
    They are PyTorch's until that has lost more than it takes to convert the picture there and back, by estimates that
    differ clearly; and ours until that has.
    """

    def __init__(self) -> None:
        self.is_ours, self._lost = False, 0.0

    def goes_on_with_ours(self, ours: float, theirs: float, conversion: float) -> bool:
        """Whether the next layer is ours, by the seconds of both, and those of converting what it reads."""
        clearly = _CLEARLY if computing.has_long_vectors() else _CLEARLY_SHORTER
        lost = ours - theirs if self.is_ours else theirs - clearly * ours
        self._lost = max(self._lost + lost, 0.0)
        if self._lost > conversion:
            self.is_ours, self._lost = not self.is_ours, 0.0
        return self.is_ours


def _chain() -> _Chain:
    """That of the graph that is being traced."""
    graph = graph_in_work()
    chain: _Chain = _Chain() if graph is None else vars(graph).setdefault("_convmat_chain", _Chain())
    return chain
