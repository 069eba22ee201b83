"""The traps that tutorials of this subject fall into, by name, over every method."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import convmat
from tests.layers import METHODS, Layer, jacobian, reference

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
every_method = pytest.mark.parametrize("method", METHODS)
both_directions = pytest.mark.parametrize("transposed", [False, True], ids=["direct", "transposed"])
with_groups = pytest.mark.parametrize("groups", [1, 2])


def assert_every_step(layer: Layer, method: str):
    """The output, the matrix, the adjoint of each and the gradients are PyTorch's, one by one."""
    x, weight, bias = (tensor.requires_grad_() for tensor in layer.tensors(2))
    ours, theirs = layer(x, weight, bias, method=method), reference(layer, x, weight, bias)
    assert ours.shape == theirs.shape
    assert_close(ours, theirs, **CLOSE)
    assert_close(layer.matrix(weight.detach()), jacobian(layer, weight.detach()), **CLOSE)
    cotangent = torch.randn(ours.shape, dtype=ours.dtype, generator=torch.Generator().manual_seed(7))
    for our, their in zip(
        torch.autograd.grad(ours, (x, weight, bias), cotangent),
        torch.autograd.grad(theirs, (x, weight, bias), cotangent),
        strict=True,
    ):
        assert_close(our, their, **CLOSE)


def trap(cases: list[dict]):
    """Over every method, with and without groups, each of these arguments."""

    def decorate(test):
        for mark in (
            every_method,
            with_groups,
            pytest.mark.parametrize("arguments", cases, ids=lambda case: str(case).replace("'", "")),
        ):
            test = mark(test)
        return test

    return decorate


def layer_of(arguments, groups):
    return Layer(**arguments, groups=groups, channels=(2 * groups, groups))


def matrix_by_padding_the_kernel(kernel, height, width, swapped):
    """A 2-d convolution's matrix as written by hand: each row is the kernel, padded to where its window lies.

    ``F.pad`` takes the last axis first. Who swaps the axes puts the window of output (o, p) at (p, o).
    """
    kernel_height, kernel_width = kernel.shape
    rows = []
    for o in range(height - kernel_height + 1):
        for p in range(width - kernel_width + 1):
            top, left = (p, o) if swapped else (o, p)
            padding = (left, width - kernel_width - left, top, height - kernel_height - top)
            rows.append(F.pad(kernel, padding).flatten())
    return torch.stack(rows)


def test_swapped_axes_when_padding_the_kernel_survive_the_round_trip():
    """On a square input Cᵀ(C x) comes out right; no step of it is."""
    layer = Layer(sizes=(5, 5), kernel=(3, 3))
    x, weight, _ = layer.tensors()
    flat, y = x.flatten(), F.conv2d(x[None], weight)
    right, wrong = (matrix_by_padding_the_kernel(weight[0, 0], 5, 5, swapped) for swapped in (False, True))
    assert_close(right, jacobian(layer, weight))
    assert_close(wrong.T @ (wrong @ flat), right.T @ (right @ flat))
    assert not torch.allclose(wrong @ flat, y.flatten())
    assert not torch.allclose(wrong.T @ y.flatten(), F.conv_transpose2d(y, weight).flatten())


@pytest.mark.parametrize("sizes", [(5, 5), (4, 6)], ids=str)
def test_swapped_axes_when_padding_the_kernel_are_not_ours(sizes):
    """Each step by itself is PyTorch's, and so is the round trip; beside the square, the wrong one fails there too."""
    layer = Layer(sizes=sizes, kernel=(3, 3))
    x, weight, _ = layer.tensors()
    ours, y = convmat.conv_matrix(weight, sizes), F.conv2d(x[None], weight)
    back = F.conv_transpose2d(y, weight).flatten()
    assert_close(ours @ x.flatten(), y.flatten(), **CLOSE)
    assert_close(ours.T @ y.flatten(), back, **CLOSE)
    assert_close(ours.T @ (ours @ x.flatten()), back, **CLOSE)
    wrong = matrix_by_padding_the_kernel(weight[0, 0], *sizes, swapped=True)
    hidden = torch.allclose(wrong.T @ (wrong @ x.flatten()), back)
    assert hidden == (sizes[0] == sizes[1])


@every_method
@pytest.mark.parametrize("sizes", [(4, 7), (7, 4)], ids=str)
@pytest.mark.parametrize("kernel", [(2, 3), (3, 2), (1, 4)], ids=str)
@both_directions
def test_swapped_axes_are_not_ours(method, sizes, kernel, transposed):
    assert_every_step(Layer(sizes=sizes, kernel=kernel, transposed=transposed), method)


@trap(
    [
        {"transposed": transposed, "sizes": (5, 6), "kernel": (2, 4), "padding": padding, "stride": stride}
        for transposed in (False, True)
        for padding in (1, "same")
        for stride in (1, (2, 3))
    ]
)
def test_even_kernels(arguments, groups, method):
    assert_every_step(layer_of(arguments, groups), method)


@trap(
    [
        {"transposed": transposed, "sizes": (6, 5), "kernel": kernel, "stride": stride, "padding": (1, 0)}
        for transposed in (False, True)
        for kernel, stride in (((3, 4), (2, 3)), ((2, 1), (3, 2)), ((4, 3), (3, 4)))
    ]
)
def test_kernels_that_are_no_multiple_of_the_stride(arguments, groups, method):
    assert_every_step(layer_of(arguments, groups), method)


EMPTY_PHASES = [
    {"transposed": transposed, "sizes": (7, 6), "kernel": (3, 2), "stride": (2, 3), "dilation": (2, 3)}
    for transposed in (False, True)
] + [{"transposed": True, "sizes": (3, 4), "kernel": (2, 3), "stride": (4, 2), "dilation": (2, 4), "padding": (1, 2)}]


@trap(EMPTY_PHASES)
def test_empty_phases(arguments, groups, method):
    assert_every_step(layer_of(arguments, groups), method)


@every_method
@with_groups
def test_outputs_of_empty_phases_are_exactly_zero(groups, method):
    """With gcd(dilation, stride) = 2, every other output is fed by no tap."""
    arguments = {"transposed": True, "sizes": (4,), "kernel": (3,), "stride": 4, "dilation": 2, "padding": 1}
    layer = layer_of(arguments, groups)
    x, weight, _ = layer.tensors(2)
    output = layer(x, weight, method=method)
    assert_close(output, reference(layer, x, weight), **CLOSE)
    empty, fed = output[..., 0::2], output[..., 1::2]  # i + 1 is odd: no multiple of 2
    assert bool((fed != 0).all())
    if method == "fft":  # rounding is global
        assert_close(empty, torch.zeros_like(empty), **CLOSE)
    else:
        assert bool((empty == 0).all())


@trap(
    [
        {
            "transposed": False,
            "sizes": (2, 3),
            "kernel": (2, 3),
            "padding": (4, 3),
            "dilation": (1, 1),
            "stride": (2, 1),
        },
        {"transposed": False, "sizes": (1, 2), "kernel": (1, 2), "padding": ((2, 3), (5, 4)), "stride": (1, 3)},
        {"transposed": True, "sizes": (7, 6), "kernel": (2, 3), "padding": (3, 3), "stride": (2, 2)},
        {"transposed": True, "sizes": (6, 5), "kernel": (1, 2), "padding": ((2, 1), (0, 4)), "stride": (1, 2)},
    ]
)
def test_padding_larger_than_the_kernel_reaches(arguments, groups, method):
    assert_every_step(layer_of(arguments, groups), method)


@trap(
    [
        {"transposed": False, "sizes": (6, 8), "kernel": (3, 2), "stride": (2, 4), "padding": (1, 0)},
        {"transposed": False, "sizes": (7, 5), "kernel": (1, 1), "stride": (4, 3)},
        {
            "transposed": True,
            "sizes": (3, 2),
            "kernel": (3, 2),
            "stride": (2, 4),
            "padding": (1, 0),
            "output_size": (6, 8),
        },
        {"transposed": True, "sizes": (2, 2), "kernel": (1, 1), "stride": (4, 3), "output_size": (7, 5)},
    ]
)
def test_inputs_that_the_stride_does_not_divide(arguments, groups, method):
    assert_every_step(layer_of(arguments, groups), method)


@trap(
    [
        {"sizes": (3, 2), "kernel": (2, 3), "stride": (1, 2), "dilation": (3, 4), "output_padding": (2, 3)},
        {
            "sizes": (2, 3),
            "kernel": (3, 1),
            "stride": 1,
            "dilation": (2, 3),
            "output_padding": (1, 2),
            "padding": (1, 0),
        },
        {
            "sizes": (4, 3),
            "kernel": (2, 2),
            "stride": (2, 1),
            "dilation": 3,
            "output_padding": 2,
            "padding": ((1, 3), (2, 0)),
        },
    ]
)
def test_output_padding_not_below_the_stride(arguments, groups, method):
    layer = layer_of({**arguments, "transposed": True}, groups)
    assert any(
        more >= stride
        for more, stride in zip(layer.per_axis(layer.output_padding), layer.per_axis(layer.stride), strict=True)
    )
    assert_every_step(layer, method)
    if not isinstance(layer.per_axis(layer.padding)[0], tuple):  # PyTorch has it under the same name
        x, weight, bias = layer.tensors(2)
        options = {name: layer.options[name] for name in ("stride", "padding", "output_padding", "groups", "dilation")}
        assert_close(layer(x, weight, bias, method=method), F.conv_transpose2d(x, weight, bias, **options), **CLOSE)


@every_method
def test_output_padding_appends_computed_cells(method):
    """Zero only where no tap reaches: cropped by padding, the appended cell is a sum like any other."""
    x, weight = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[1.0, 10.0, 100.0]]])
    output = convmat.conv_transpose1d(x, weight, stride=2, padding=1, output_padding=1, method=method)
    assert_close(output, torch.tensor([[[10.0, 102.0, 20.0, 200.0]]]))
    uncropped = convmat.conv_transpose1d(x, weight, stride=2, output_padding=1, method=method)
    assert_close(uncropped, torch.tensor([[[1.0, 10.0, 102.0, 20.0, 200.0, 0.0]]]))
