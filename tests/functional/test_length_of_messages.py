"""Whatever stands where an argument belongs: the message names it, and is short."""

import numpy as np
import pytest
import torch
from torch import nn

import convmat
from convmat import GeometryError

MOST = 500

X = torch.ones(1, 2, 5, 6)
W = torch.ones(2, 2, 3, 2)

# Calls that are right. Each argument is replaced in turn by each of the wrong ones.
CALLS = {
    "conv2d": (
        convmat.conv2d,
        {
            "input": X,
            "weight": W,
            "bias": None,
            "stride": 1,
            "padding": 0,
            "dilation": 1,
            "groups": 1,
            "padding_mode": "zeros",
            "method": "native",
        },
    ),
    "conv_transpose2d": (
        convmat.conv_transpose2d,
        {
            "input": X,
            "weight": W,
            "bias": None,
            "stride": 1,
            "padding": 0,
            "output_padding": 0,
            "groups": 1,
            "dilation": 1,
            "output_size": None,
            "padding_mode": "zeros",
            "method": "native",
        },
    ),
    "unfold": (convmat.unfold, {"input": X, "kernel_size": (2, 2), "dilation": 1, "padding": 0, "stride": 1}),
    "fold": (
        convmat.fold,
        {"input": torch.ones(4, 6), "output_size": (3, 4), "kernel_size": 2, "dilation": 1, "padding": 0, "stride": 1},
    ),
    "upsample": (convmat.upsample, {"image": X, "scale": 2, "kernel": "nearest", "method": "native"}),
    "conv_matrix": (
        convmat.conv_matrix,
        {"weight": W, "input_size": (5, 6), "stride": 1, "padding": 0, "padding_mode": "zeros", "layout": "dense"}
        | {"index_dtype": None, "groups": 1},
    ),
    "conv_transpose_matrix": (
        convmat.conv_transpose_matrix,
        {"weight": W, "input_size": (5, 6), "output_padding": 0, "output_size": None, "layout": "csr"},
    ),
    "matrix of a layer": (
        convmat.matrix,
        {"module": nn.Conv2d(2, 3, 3), "in_shape": (2, 5, 6), "layout": "coo", "index_dtype": None},
    ),
    "matrix of a model": (
        convmat.matrix,
        {"module": nn.Sequential(nn.Flatten(), nn.Linear(60, 2)), "in_shape": (2, 5, 6), "layout": "csc"},
    ),
    "to_scipy": (
        convmat.to_scipy,
        {"matrix_or_layer": nn.Conv2d(2, 3, 3), "in_shape": (2, 5, 6), "format": "csr"},
    ),
    "to_scipy of a matrix": (convmat.to_scipy, {"matrix_or_layer": torch.ones(3, 4), "in_shape": None}),
    "plan": (convmat.plan, {"layer": nn.Conv2d(2, 3, 3), "in_shape": (2, 5, 6), "batch": 1}),
    "symbolic_matrix": (convmat.symbolic_matrix, {"geometry": nn.Conv2d(1, 1, 3), "in_shape": (1, 5, 6)}),
    "sparsity": (convmat.draw.sparsity, {"geometry": nn.Conv2d(1, 1, 3), "in_shape": (1, 4, 4)}),
    "overlap": (convmat.draw.overlap, {"geometry": nn.Conv2d(1, 1, 3), "in_shape": (1, 4, 4)}),
    "draw.arithmetic": (
        convmat.draw.arithmetic,
        {"geometry": convmat.Geometry.conv((3, 4), 2), "view": "gather", "at": (1, 1), "input": X[0, 0, :3, :4]}
        | {"weight": W[:1, :1, :2, :2], "ax": None, "font_size": 9, "lang": "en"},
    ),
    "draw.frame": (
        convmat.draw.frame,
        {"geometry": W[:1, :1], "input_size": (2, 3), "stride": 2, "padding": 1, "output_padding": 0, "groups": 1}
        | {"dilation": 1, "output_size": None, "padding_mode": "zeros"},
    ),
    "draw.sparsity": (convmat.draw.sparsity, {"geometry": torch.ones(2, 3), "rows": [1], "entries": None}),
    "draw.unfold": (convmat.draw.unfold, {"geometry": convmat.Geometry.conv((3,), 2), "places": [0]}),
    "draw.padding_modes": (
        convmat.draw.padding_modes,
        {"geometry": convmat.Geometry.conv((3,), 3, padding=1), "modes": ["zeros"]},
    ),
    "draw.upsampling": (convmat.draw.upsampling, {"image": torch.ones(3, 4), "scale": 2, "kernels": ["nearest"]}),
    "draw.animate": (
        convmat.draw.animate,
        {"geometry": convmat.Geometry.conv((2,), 2), "out": None, "seconds": 0.5, "dpi": 50},
    ),
    "compare_methods": (
        lambda **arguments: list(convmat.compare_methods(**arguments)),
        {"geometry": nn.Conv2d(2, 2, (3, 2)), "input": X, "weight": W, "in_shape": (2, 5, 6)}
        | {"methods": "native", "repeats": 1},
    ),
    "column_memory": (lambda limit: convmat.column_memory(limit).__enter__(), {"limit": 10_000}),
    "Axis": (
        convmat.Axis,
        {"inputs": 5, "outputs": 3, "kernel": 3, "stride": 1, "dilation": 1, "lo": 0, "hi": 0, "padding_mode": "zeros"},
    ),
    "Axis.conv": (convmat.Axis.conv, {"input_size": 5, "kernel": 3, "stride": 1, "padding": 0, "dilation": 1}),
    "Axis.conv_transpose": (
        convmat.Axis.conv_transpose,
        {"input_size": 5, "kernel": 3, "stride": 1, "padding": 0, "output_padding": 0, "output_size": None},
    ),
    "Axis.feeds": (convmat.Axis.conv(5, 3).feeds, {"input": 1}),
    "Geometry": (
        convmat.Geometry,
        {"axes": (convmat.Axis.conv(5, 3),), "in_channels": 1, "out_channels": 1, "groups": 1},
    ),
    "Geometry.conv": (
        convmat.Geometry.conv,
        {"input_size": (5, 6), "kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        | {"in_channels": 1, "out_channels": 1, "padding_mode": "zeros"},
    ),
    "Geometry.conv_transpose": (
        convmat.Geometry.conv_transpose,
        {"input_size": (5, 6), "kernel_size": 3, "output_padding": 0, "output_size": None, "padding_mode": "zeros"},
    ),
    "Geometry.of": (convmat.Geometry.of, {"layer": nn.Conv2d(2, 3, 3), "in_shape": (2, 5, 6)}),
    "Geometry.reads": (convmat.Geometry.conv((5, 6), 3).reads, {"output": (1, 1)}),
    "nn.Conv2d": (
        convmat.nn.Conv2d,
        {"in_channels": 2, "out_channels": 2, "kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        | {"padding_mode": "zeros", "method": "auto"},
    ),
    "nn.ConvTranspose2d": (
        convmat.nn.ConvTranspose2d,
        {"in_channels": 2, "out_channels": 2, "kernel_size": 3, "stride": 1, "padding": 0, "output_padding": 0}
        | {"groups": 1, "dilation": 1, "padding_mode": "zeros", "method": "auto"},
    ),
    "nn.LazyConv2d": (convmat.nn.LazyConv2d, {"out_channels": 2, "kernel_size": 3, "stride": 1, "method": "auto"}),
    "nn.Unfold": (convmat.nn.Unfold, {"kernel_size": 3, "dilation": 1, "padding": 0, "stride": 1}),
    "nn.Fold": (convmat.nn.Fold, {"output_size": 9, "kernel_size": 3, "dilation": 1, "padding": 0, "stride": 1}),
    "a layer's call": (convmat.nn.Conv2d(2, 3, 3), {"input": X}),
    "a transposed layer's call": (convmat.nn.ConvTranspose2d(2, 3, 3), {"input": X, "output_size": None}),
}


class KindWithAVeryLongName:
    pass


KindWithAVeryLongName.__name__ = "Kind" * 200

WRONG = {
    "a picture": torch.rand(3, 64, 64),
    "a batch": torch.rand(2, 2, 64, 64),
    "many numbers": torch.rand(5000),
    "many integers": torch.arange(5000),
    "many integers in rows": torch.arange(5000).reshape(2500, 2),
    "without numbers": torch.empty(3, 64, 64, device="meta"),
    "an array": np.random.default_rng(0).random((3, 64, 64)),
    "an array of integers": np.arange(5000),
    "a long list": list(range(3000)),
    "a long list of lists": [[0.5] * 300] * 300,
    "a long tuple": (1,) * 3000,
    "a long text": "same" * 2000,
    "a long text of bytes": b"same" * 2000,
    "a huge integer": 10**6000,
    "huge integers": (10**6000, 10**6000),
    "large integers": (2**40, 2**40),
    "a dictionary": {f"key {number}": "value" * 10 for number in range(500)},
    "a set": set(range(3000)),
    "a kind of its own": KindWithAVeryLongName(),
    "a model": nn.Sequential(*(nn.Tanh() for _ in range(300))),
    "many axes": torch.ones((1,) * 60),
    "nothing": None,
    "a slice": slice(10**300),
}


def assert_says_it_shortly(function, arguments, name, wrong):
    message = ""
    try:
        function(**(arguments | {name: wrong}))
    except (GeometryError, TypeError) as error:
        message = str(error)
    assert len(message) <= MOST, message


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("call", CALLS)
def test_no_message_is_long(call, wrong):
    function, arguments = CALLS[call]
    for name in arguments:
        assert_says_it_shortly(function, arguments, name, wrong)


def test_the_calls_are_right():
    for function, arguments in CALLS.values():
        function(**arguments)


SHAPES = {
    "matrix": (lambda x: convmat.matrix(nn.Conv2d(3, 4, 3), x), ["in_shape", "(2, 3, 64, 64)", "x.shape[1:]"]),
    "matrix of a model": (lambda x: convmat.matrix(nn.Flatten(), x), ["in_shape", "x.shape[1:]"]),
    "plan": (lambda x: convmat.plan(nn.Conv2d(3, 4, 3), x), ["in_shape", "x.shape[1:]"]),
    "Geometry.of": (lambda x: convmat.Geometry.of(nn.Conv2d(3, 4, 3), x), ["in_shape", "x.shape[1:]"]),
    "conv_matrix": (lambda x: convmat.conv_matrix(W, x), ["input_size", "x.shape[2:]"]),
    "output_size": (lambda x: convmat.conv_transpose2d(X, W, output_size=x), ["output_size", "x.shape[2:]"]),
    "stride": (lambda x: convmat.conv2d(X, W, stride=x), ["stride", "(2, 3, 64, 64)", "each of the 2 axes"]),
    "padding": (lambda x: convmat.conv2d(X, W, padding=x), ["padding", "(2, 3, 64, 64)", "(lo, hi)"]),
    "groups": (lambda x: convmat.conv2d(X, W, groups=x), ["groups", "(2, 3, 64, 64)", "must be an integer"]),
}


@pytest.mark.parametrize(("call", "fragments"), SHAPES.values(), ids=SHAPES.keys())
def test_a_tensor_where_a_shape_belongs(call, fragments):
    with pytest.raises(TypeError) as error:
        call(torch.rand(2, 3, 64, 64))
    message = str(error.value)
    assert all(fragment in message for fragment in fragments), message
    assert len(message) < 250


def test_small_tensors_and_arrays_of_integers_are_sizes():
    assert convmat.conv2d(X, W, stride=torch.tensor([2, 1]), padding=np.array([[1, 0], [0, 1]])).shape == (1, 2, 2, 6)
    assert convmat.conv_matrix(W, torch.tensor([5, 6])).shape == (2 * 3 * 5, 60)
