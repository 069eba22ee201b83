"""Layers for the compiled kernel: sizes around its borders, tensors in every place, and what its answers may differ by.

The oracle is PyTorch in float64.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any
from unittest.mock import patch

import torch
from hypothesis import strategies as st
from torch import nn

from convmat import Geometry
from convmat.kernel import compiled
from convmat.kernel import schedule as kernel_schedule
from convmat.kernel.epilogue import Epilogue
from convmat.kernel.tiling import boxes, by_channels
from convmat.kernel.tiling.processor import VECTORS_BY_LINE, Processor
from convmat.kernel.tiling.rows import row_tiling_by_channels, row_tilings
from convmat.kernel.tiling.windows import Way
from convmat.tensors.activations import Activation
from convmat.tensors.strides import memory_format_of
from tests.layers import Layer, direct_reference, random_tensor, transposed_reference

# Around the lanes of a vector (4, 8, 16), several of them (32, 64) and the widest tile (48, 96, 128).
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 33, 47, 48, 49, 64, 65, 97, 129)
STRIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32)
CHANNELS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 17, 20)
DTYPES = (torch.float32, torch.float64)


@st.composite
def layers(draw, ndim=None) -> Layer:
    """A layer of either direction over 1 to 3 axes, padded with zeros; the axis of neighbours is the longest."""
    ndim = draw(st.integers(1, 3)) if ndim is None else ndim
    transposed = draw(st.booleans())
    axes = [draw(_axes(1 if ndim == 1 else 3, outer=a < ndim - 1)) for a in range(ndim)]
    sizes, kernel, stride, dilation, padding, output_padding = zip(*axes, strict=True)
    if not transposed:  # of the same two sizes
        sizes = [axis[3] for axis in Layer(**_options(axes), transposed=True).numbers()]
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    most = {1: 20, 2: 17, 3: 9}[ndim]
    channels = st.sampled_from([count for count in CHANNELS if count <= most])
    return Layer(
        transposed=transposed,
        sizes=tuple(sizes),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        output_padding=output_padding if transposed else 0,
        groups=groups,
        channels=(groups * draw(channels), groups * draw(channels)),
    )


@st.composite
def transformed_layers(draw) -> tuple[Layer, int]:
    """A layer of either direction that has Winograd's form, and along how many of its last axes."""
    ndim = draw(st.integers(1, 3))
    transformed = draw(st.integers(1, min(ndim, 2)))
    dense = ndim - transformed  # axes before those that are transformed may have any stride
    outer = [draw(_axes(1 if ndim == 1 else 3, outer=True)) for _ in range(dense)]
    transposed, one_axis = draw(st.booleans()), draw(st.sampled_from([_axes_of_two_taps, _axes_of_three_taps]))
    inner = [draw(one_axis(transformed, transposed, is_width=a == transformed - 1)) for a in range(transformed)]
    groups = draw(st.sampled_from([1, 1, 2]))
    channels = st.sampled_from([8, 9, 13, 16, 17, 24])
    options = _options([*outer, *inner])
    if not transposed:
        options["sizes"] = tuple(axis[3] for axis in Layer(**options, transposed=True).numbers())
        options["output_padding"] = 0
    ins, outs = groups * draw(channels), groups * draw(channels)
    layer = Layer(**options, transposed=transposed, groups=groups, channels=(ins, outs))
    return layer, transformed


@st.composite
def _axes_of_three_taps(draw, transformed, transposed, is_width):
    kernel = draw(st.integers(3, 11)) if transformed == 1 else 3
    dilation = draw(st.sampled_from([1, 1, 2, 3, 4, 5]))
    size = draw(st.sampled_from([size for size in SIZES if dilation < size <= (129 if is_width else 50)]))
    # Of the padding, so that the two outputs of a cell are left.
    most = min(dilation * kernel, (size - 1 + (kernel - 2) * dilation) // 2)
    return size, kernel, 1, dilation, (draw(st.integers(0, most)), draw(st.integers(0, most))), 0


@st.composite
def _axes_of_two_taps(draw, transformed, transposed, is_width):
    is_any = transformed == 1 or (transposed and not is_width)
    stride = draw(st.sampled_from([2, 4, 5, 8])) if is_any else 2
    kernel = 2 * stride
    if transformed == 1 and stride == 2 and not transposed:
        kernel = draw(st.sampled_from([3, 4]))
    size = draw(st.sampled_from([size for size in SIZES if 1 < size <= (129 if is_width else 50)]))
    most = min(2 * stride + 1, (size * stride - 1) // 2)
    padding = draw(st.integers(0, most)), draw(st.integers(0, most))
    return size, kernel, stride, 1, padding, draw(st.integers(0, stride - 1))


@st.composite
def layers_by_channels(draw, dtype) -> Layer:
    """A layer of either direction whose output channels are whole vectors."""
    layer, groups = draw(layers()), draw(st.sampled_from([1, 1, 1, 2]))
    lanes = compiled.processor(dtype, 1).lanes
    outs = draw(st.integers(1, 5 if groups == 1 else 2)) * lanes
    ins = draw(st.sampled_from([1, 2, 3, 5, 8, 13, 16, 17, 130]))
    if ins > 100:  # more than one block of input channels
        layer = replace(layer, sizes=tuple(min(size, 9) for size in layer.sizes), transposed=layer.transposed)
    return replace(layer, groups=groups, channels=(groups * ins, groups * outs))


def _options(axes):
    names = ("sizes", "kernel", "stride", "dilation", "padding", "output_padding")
    return dict(zip(names, zip(*axes, strict=True), strict=True))


@st.composite
def _axes(draw, largest, outer):
    """Size, kernel, stride, dilation, padding and output padding of an axis of a transposed layer."""
    size = draw(st.integers(1, 4) if outer else st.sampled_from(SIZES))
    kernel = draw(st.integers(1, 3 if outer else 7))
    stride = draw(st.integers(1, 3) if outer else st.sampled_from(STRIDES))
    dilation = draw(st.integers(1, 3))
    slack = draw(st.integers(0, max(stride, dilation) - 1))
    extent = dilation * (kernel - 1) + 1
    full = (size - 1) * stride + extent + slack
    lo = draw(st.integers(0, min(extent + 2, full - 1)))
    hi = lo if draw(st.booleans()) and 2 * lo < full else draw(st.integers(0, min(extent + 2, full - 1 - lo)))
    return size, kernel, stride, dilation, (lo, hi), slack


# -- where tensors lie in memory ---------------------------------------------------------------------------------------


def _apart(tensor):
    """Every third number of a larger one, along the last axis."""
    larger = tensor.new_full((*tensor.shape[:-1], 3 * tensor.shape[-1]), torch.nan)
    larger[..., 1::3] = tensor
    return larger[..., 1::3]


def _island(tensor):
    """In the middle of a larger one, whose other numbers are not to be read."""
    larger = tensor.new_full([size + 2 for size in tensor.shape], torch.nan)
    inner = larger[tuple(slice(1, -1) for _ in tensor.shape)]
    return inner.copy_(tensor)


def _reversed_axes(tensor):
    return tensor.permute(*reversed(range(tensor.ndim))).contiguous().permute(*reversed(range(tensor.ndim)))


def _channels_last(tensor):
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


def _offset(tensor):
    """One number further than memory is aligned to."""
    flat = torch.cat([tensor.new_full((1,), torch.nan), tensor.reshape(-1)])
    return flat[1:].view(tensor.shape)


PLACES = {
    "contiguous": lambda tensor: tensor,
    "offset": _offset,
    "apart": _apart,
    "island": _island,
    "reversed axes": _reversed_axes,
    "channels last": _channels_last,
    "one image": lambda tensor: tensor[:1].expand_as(tensor),
    "one channel": lambda tensor: tensor[:, :1].expand_as(tensor),
    "one number of a line": lambda tensor: tensor[..., :1].expand_as(tensor),
}
INPUTS = st.sampled_from(list(PLACES))
WEIGHTS = st.sampled_from(["contiguous", "contiguous", "offset", "apart", "island", "reversed axes"])
BIASES = st.sampled_from([None, "contiguous", "apart"])


@dataclass(frozen=True)
class Call:
    """A layer, a batch size and how the tensors lie."""

    layer: Layer
    batch: int
    dtype: torch.dtype
    input: str = "contiguous"
    weight: str = "contiguous"
    bias: str | None = "contiguous"

    def tensors(self):
        """An input, a weight and a bias or ``None``."""
        input, weight, bias = self.layer.tensors(self.batch, dtype=self.dtype)
        placed_bias = None if self.bias is None else PLACES[self.bias](bias)
        return PLACES[self.input](input), PLACES[self.weight](weight), placed_bias


def calls(batches=(1, 1, 2, 3, 5), ndim=None):
    """Calls of every kind."""
    return st.builds(Call, layers(ndim), st.sampled_from(batches), st.sampled_from(DTYPES), INPUTS, WEIGHTS, BIASES)


# -- activations -------------------------------------------------------------------------------------------------------


def _of_channels(slopes):
    layer = nn.PReLU(len(slopes)).requires_grad_(False)
    layer.weight.copy_(torch.tensor(slopes))
    return layer


def _some_slopes(channels):
    """Exact in every precision, and no larger than 1."""
    return tuple(n % 9 / 8 - 0.5 for n in range(channels))


# By name, for so many channels: PyTorch's layer, and what the kernel is told of it.
ACTIVATIONS = {
    "ReLU": lambda _: (nn.ReLU(), Activation(low=0.0)),
    "ReLU6": lambda _: (nn.ReLU6(), Activation(low=0.0, high=6.0)),
    "Hardtanh": lambda _: (nn.Hardtanh(-0.5, 2.0), Activation(low=-0.5, high=2.0)),
    "LeakyReLU": lambda _: (nn.LeakyReLU(0.125), Activation((0.125,))),
    "PReLU": lambda _: (_of_channels((-0.25,)), Activation((-0.25,))),
    "PReLU of channels": lambda n: (_of_channels(_some_slopes(n)), Activation(_some_slopes(n))),
}


# -- what is right -----------------------------------------------------------------------------------------------------


def assert_right(output, layer: Layer, input, weight, bias, activation: str | None = None) -> None:
    """Compare with PyTorch in float64: each output to some roundings of the largest sum that its terms could have."""
    operands = [operand.double() for operand in (input, weight)]
    compute = transposed_reference if layer.transposed else direct_reference
    expected = compute(layer, *operands)
    possible = compute(layer, *(operand.abs() for operand in operands))
    if bias is not None:
        of_channels = bias.double().reshape(-1, *(1,) * layer.ndim)
        expected, possible = expected + of_channels, possible + of_channels.abs()
    if activation is not None:  # none of them makes a difference larger
        expected = ACTIVATIONS[activation](layer.channels[1])[0].double()(expected)
    assert output.shape == expected.shape
    assert output.dtype == input.dtype
    wrong = ~((output.double() - expected).abs() <= 16 * torch.finfo(input.dtype).eps * possible)
    assert not wrong.any(), f"{int(wrong.sum())} of {wrong.numel()} are wrong, the first at {wrong.nonzero()[0]}"


# -- the kernel by itself ----------------------------------------------------------------------------------------------


def geometry_of(layer: Layer) -> Geometry:
    """The geometry of a layer."""
    ins, outs = layer.channels
    channels = {"in_channels": ins, "out_channels": outs}
    if layer.transposed:
        slack = {"output_padding": layer.output_padding}
        arguments = (layer.sizes, layer.kernel, layer.stride, layer.padding)
        return Geometry.conv_transpose(*arguments, groups=layer.groups, dilation=layer.dilation, **slack, **channels)
    arguments = (layer.sizes, layer.kernel, layer.stride, layer.padding, layer.dilation, layer.groups)
    return Geometry.conv(*arguments, **channels)


@dataclass(frozen=True)
class Whimsical(Processor):
    """A processor that takes its time as it likes, so that any way to cut a layer may seem the fastest."""

    whim: int = 0

    def factor_cycles(self, *arguments: Any) -> float:
        return random.Random(repr((self.whim, arguments))).random()

    def run_cycles(self, *arguments: Any) -> float:
        return 10.0 ** random.Random(repr((self.whim, arguments))).uniform(3, 12)


class InForm(kernel_schedule.Schedule):
    """A schedule in one of the forms, even where another would be faster; cut as the longest sizes alike are.

    ``transformed`` is Winograd's form along so many of the last axes; or lanes are output channels, and tiles may end
    where lines do; or lines are stored at once.
    """

    def __init__(self, *arguments: Any, transformed: int, by_channels: bool, by_line: bool, at_once: bool) -> None:
        self.transformed, self.by_channels, self.by_line, self.at_once = transformed, by_channels, by_line, at_once
        super().__init__(*arguments)

    def _cut(self):
        longest = self.geometry.longest_alike()
        if self.by_channels:
            (rows,) = by_channels.row_tilings(self.geometry, self.processor)
            together = VECTORS_BY_LINE * self.processor.lanes if self.by_line else rows.together
            flat = row_tiling_by_channels(self.geometry, together)
            by_line = self.by_line and by_channels.can_be_by_line(flat, self.processor)
            rows = row_tiling_by_channels(self.geometry, together, by_line)
            like = by_channels.box_tiling(rows, longest, self.batch, self.processor)
            return rows, by_channels.recut(like, rows, self.geometry, self.batch, self.processor)
        (rows,) = (rows for rows in row_tilings(self.geometry, self.processor) if rows.transformed == self.transformed)
        if self.at_once:
            problem = boxes.problem_of(rows, longest, self.batch, self.processor, at_once=True)
            like = min(boxes._boxes(problem, Way(False, False)), key=lambda tiling: tiling.cycles)
        else:
            like = boxes.box_tiling(rows, longest, self.batch, self.processor, self._wanted.contiguous)
        return rows, boxes.recut(like, rows, self.geometry, self.batch, self.processor)


def plan_for(
    layer: Layer,
    batch: int,
    dtype,
    threads: int = 1,
    window: int | None = None,
    whim: int | None = None,
    transformed: int = 0,
    by_channels: bool = False,
    contiguous: bool = True,
    at_once: bool = False,
    by_line: bool = False,
):
    """The kernel's plan for a layer, for so many threads and a cache of that size; a whim picks any plan at all.

    It has Winograd's form along the last ``transformed`` axes, or its lanes are output channels, whose tiles end where
    lines do with ``by_line``. Where the output is contiguous, lines may be stored at once, and with ``at_once`` they
    are, whatever the processor would be faster with.
    """
    processor = compiled.processor(dtype, threads)
    if window is not None:
        processor = replace(processor, window=window)
    if whim is not None:
        processor = Whimsical(**asdict(processor), whim=whim)
    form = {"transformed": transformed, "by_channels": by_channels, "by_line": by_line, "at_once": at_once}
    return InForm(geometry_of(layer), batch, processor, contiguous, **form)


def has_contiguous_output(input) -> bool:
    """Whether the output for an input is contiguous."""
    return memory_format_of(input) is torch.contiguous_format


def computed(
    plan, input, weight, bias, threads: int = 1, activation: str | None = None, placed=lambda numbers: numbers
):
    """What the kernel makes of tensors, and of the numbers of an activation wherever these are placed."""
    kernel = compiled.kernel(input.dtype)
    assert kernel is not None
    numbers = None
    if activation is not None:
        channels = plan.geometry.out_channels
        numbers = placed(ACTIVATIONS[activation](channels)[1].numbers(channels, input.dtype))
    return plan.convolve(kernel, input, plan.pack(kernel, weight, threads), Epilogue(bias, numbers), threads)


# -- outputs that are watched ------------------------------------------------------------------------------------------

_INTEGERS = {torch.float32: (torch.int32, 0x7FC0BEEF), torch.float64: (torch.int64, 0x7FF80000DEADBEEF)}
_MARGIN = 192  # numbers: a multiple of all cache lines, and more than a tile


@contextmanager
def watched_outputs(shift: int = 0):
    """Outputs lie in the middle of a larger buffer, filled with one certain NaN; packed weights, too.

    When it ends, none of it has been written but these, and of the outputs all.
    """
    buffers = []

    def empty(shape, like: Any, memory_format=torch.contiguous_format):
        integer, pattern = _INTEGERS[like.dtype]
        plain = torch.empty(shape, dtype=like.dtype, memory_format=memory_format)
        buffer = torch.full((2 * _MARGIN + shift + plain.numel(),), pattern, dtype=integer)
        buffers.append((buffer, _MARGIN + shift, plain, pattern))
        return buffer.view(like.dtype)[_MARGIN + shift :].as_strided(plain.shape, plain.stride())

    with patch.object(kernel_schedule, "empty", empty):
        yield
    for buffer, first, plain, pattern in buffers:
        count, is_output = plain.numel(), plain.ndim > 1
        assert bool((buffer[:first] == pattern).all()), "written before the output"
        assert bool((buffer[first + count :] == pattern).all()), "written beyond the output"
        assert not (is_output and bool((buffer[first : first + count] == pattern).any())), "left unwritten"


def random_numbers(*shape: int, dtype=torch.float64, seed: int = 0):
    """Standard normal numbers, the same each time."""
    return random_tensor(shape, dtype, torch.Generator().manual_seed(seed))
