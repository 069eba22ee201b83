"""Axes of size 1 have any stride, and PyTorch chooses by it: for some strides a slow way, for others it crashes.

https://github.com/pytorch/pytorch/issues/195394 has a crash; which strides do it depends on the processor. So most of
this looks at what PyTorch's functions are given, on every processor, and the rest runs in processes that may crash.
"""

import itertools
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

import convmat

NAMES = [f"conv{direction}{ndim}d" for direction in ("", "_transpose") for ndim in (1, 2, 3)]
ODD = (1, 3, 64, 1 << 20)
# Sizes of batch, channels and axes: one by one of size 1, and together.
SHAPES = {
    1: [(1, 4, 9), (2, 1, 9), (2, 4, 1), (1, 1, 9), (1, 4, 1), (1, 1, 1)],
    2: [(1, 4, 9, 7), (2, 1, 9, 7), (2, 4, 9, 1), (2, 4, 1, 7), (2, 4, 1, 1), (1, 4, 9, 1), (1, 1, 1, 7)],
    3: [(1, 4, 5, 3, 4), (2, 1, 5, 3, 4), (2, 4, 1, 3, 4), (2, 4, 5, 3, 1), (2, 4, 1, 1, 1), (1, 1, 5, 1, 4)],
}
CASES = [(name, shape) for name in NAMES for shape in SHAPES[int(name[-2])]]


def ndim_of(name):
    return int(name[-2])


def with_odd_strides(tensor, stride):
    """The same numbers, with a stride of its own for each axis of size 1."""
    strides = [
        stride + dim if size == 1 else step
        for dim, (size, step) in enumerate(zip(tensor.shape, tensor.stride(), strict=True))
    ]
    return tensor.as_strided(tensor.shape, strides)


def channels_last(tensor):
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


def usual_strides(tensor):
    """Those of a tensor that was just made, in one of the two orders."""
    batch, channels, *sizes = tensor.shape
    first, last = (torch.empty(shape).stride() for shape in ((batch, channels, *sizes), (batch, *sizes, channels)))
    return {first, (last[0], last[-1], *last[1:-1])}


def arguments_of(name, shape, dtype=torch.float32):
    torch.manual_seed(0)
    channels = shape[1]
    kernel = [min(3, size) for size in shape[2:]]
    return torch.randn(shape, dtype=dtype), torch.randn(channels, channels, *kernel, dtype=dtype)


class Watcher(TorchFunctionMode):
    """Writes down the strides that PyTorch's convolutions are given."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in [getattr(F, name) for name in NAMES]:
            self.seen += args[:2]
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("order", [lambda tensor: tensor, channels_last], ids=["contiguous", "channels last"])
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_pytorchs_functions_are_given_usual_strides(name, shape, order):
    input, weight = arguments_of(name, shape)
    expected = getattr(F, name)(input, weight)
    for stride, operand in itertools.product(ODD, ("input", "weight", "both")):
        odd_input = order(input) if operand == "weight" else with_odd_strides(order(input), stride)
        odd_weight = weight if operand == "input" else with_odd_strides(weight, stride)
        for _ in range(2):  # the long way, then the short one
            with Watcher() as watcher, torch.no_grad():
                output = getattr(convmat, name)(odd_input, odd_weight, method="native")
            assert watcher.seen
            for tensor in watcher.seen:
                assert tensor.stride() in usual_strides(tensor), (stride, operand)
            torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_layers_with_gradients(name, shape):
    """Odd strides change neither outputs nor gradients."""
    cls = getattr(convmat.nn, name.replace("conv", "Conv").replace("_transpose", "Transpose"))
    input, weight = arguments_of(name, shape, torch.float64)
    layer = cls(shape[1], shape[1], weight.shape[2:], stride=2, padding=0, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
    results = []
    for operand in (input, with_odd_strides(input, 7), with_odd_strides(channels_last(input), 2)):
        tracked = operand.detach().requires_grad_()
        output = layer(tracked)
        results.append([output, *torch.autograd.grad(output.square().sum(), [tracked, *layer.parameters()])])
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])


@pytest.mark.parametrize("method", list(convmat.available_methods()))
@pytest.mark.parametrize("name", NAMES)
def test_every_method(name, method):
    for shape in SHAPES[ndim_of(name)]:
        input, weight = arguments_of(name, shape)
        expected = getattr(F, name)(input, weight)
        for stride in ODD:
            output = getattr(convmat, name)(with_odd_strides(input, stride), weight, method=method)
            torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_no_batch(name):
    for _, *shape in SHAPES[ndim_of(name)]:
        input, weight = arguments_of(name, (1, *shape))
        expected = getattr(F, name)(input, weight)[0]
        for stride in ODD:
            output = getattr(convmat, name)(with_odd_strides(input[0], stride), weight)
            torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.xfail(strict=True, reason="images of one cell keep the strides of channels last")
def test_images_of_one_cell_with_the_strides_of_the_report():
    """PyTorch's function crashes where processors have AMX: these strides are those of channels last."""
    input, weight = torch.randn(2, 64, 1, 1), torch.randn(1, 64, 125, 1)
    odd = input.as_strided(input.shape, (64, 1, 64, 64))
    with Watcher() as watcher, torch.no_grad():
        convmat.conv2d(odd, weight, torch.randn(1), stride=2, padding=63)
    assert watcher.seen[0].stride() == (64, 1, 1, 1)


# What PyTorch is known to crash with on some processors, and what is like it.
MAY_CRASH = """
import itertools, sys, torch
from convmat import nn

torch.manual_seed(0)
torch.set_num_threads(int(sys.argv[1]))

def agree(layer, input, strides, tolerance):
    odd = [stride if size == 1 else step for size, step, stride in zip(input.shape, input.stride(), (7, 7, *strides))]
    with torch.no_grad():
        output = layer(input.as_strided(input.shape, odd))
        torch.testing.assert_close(output, layer(input), rtol=tolerance, atol=tolerance)

for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 3e-2)):
    for transposed, ndim in itertools.product((False, True), (1, 2, 3)):
        cls = getattr(nn, f"Conv{'Transpose' * transposed}{ndim}d")
        ones = (1,) * (ndim - 1)
        padding = 0 if transposed else (63, 63, 0)[:ndim]
        layer = cls(64, 1, (125, *ones), stride=2, padding=padding, dtype=dtype, method="native")
        for strides in ((1,) * ndim, (64,) * ndim, (3, 7, 5)[:ndim]):
            agree(layer, torch.randn(2, 64, 1, *ones, dtype=dtype), strides, tolerance)
        padding = (4, *(0,) * (ndim - 1))
        layer = cls(32, 16, (5, *ones), stride=2, padding=padding, dilation=2, dtype=dtype, method="native")
        for stride in (1, 3, 6400):
            agree(layer, torch.randn(2, 32, 20, *ones, dtype=dtype), (stride,) * ndim, tolerance)
print("done")
"""


def test_no_crash():
    finished = subprocess.run(
        [sys.executable, "-c", MAY_CRASH, "2"], capture_output=True, text=True, timeout=600, check=False
    )
    assert (finished.returncode, finished.stdout) == (0, "done\n"), finished.stderr[-2000:]


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_accelerated_layers(name):
    """A picture whose channels are the last axis in memory, without a batch."""
    layer = getattr(nn, name)(3, 3, 4, 2, groups=3)
    picture = torch.rand(12, 10, 3).movedim(-1, 0)
    expected = layer(picture)
    convmat.accelerate(layer, conv=True, method="native")
    with Watcher() as watcher, torch.no_grad():
        output = layer(picture)
    assert all(tensor.stride() in usual_strides(tensor) for tensor in watcher.seen)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)
