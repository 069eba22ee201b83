"""Wrong calls, and what their messages must say: the argument, its value, the rule, and what would do instead."""

import re

import pytest
import torch

import convmat
from convmat import GeometryError
from tests.layers import METHODS


def direct(sizes=(5, 6), channels=(2, 3), kernel=(3, 2), bias=None, weight=None, dtype=torch.float32, **options):
    """A call of conv1d to conv3d that is right but for the options."""
    groups = options.get("groups", 1)
    weight = torch.ones(channels[1], channels[0] // max(int(groups), 1), *kernel) if weight is None else weight
    function = getattr(convmat, f"conv{len(sizes)}d")
    return lambda: function(torch.ones(2, channels[0], *sizes, dtype=dtype), weight, bias, **options)


def transposed(sizes=(5, 6), channels=(2, 3), kernel=(3, 2), weight=None, **options):
    groups = options.get("groups", 1)
    weight = torch.ones(channels[0], channels[1] // max(int(groups), 1), *kernel) if weight is None else weight
    function = getattr(convmat, f"conv_transpose{len(sizes)}d")
    return lambda: function(torch.ones(2, channels[0], *sizes), weight, **options)


def matrix(sizes=(5, 6), weight_shape=(3, 2, 3, 2), **options):
    return lambda: convmat.conv_matrix(torch.ones(weight_shape), sizes, **options)


def transposed_matrix(sizes=(5, 6), weight_shape=(2, 3, 3, 2), **options):
    return lambda: convmat.conv_transpose_matrix(torch.ones(weight_shape), sizes, **options)


X2 = torch.ones(2, 2, 5, 6)
W2 = torch.ones(3, 2, 3, 2)

GEOMETRY_ERRORS = {
    # dimensions
    "input of too few dimensions": (
        lambda: convmat.conv2d(X2[0, 0], W2),
        ["input of shape (5, 6)", "2 dimensions", "needs 4", "or 3", "input[None] would do"],
    ),
    "input of too many dimensions": (
        lambda: convmat.conv2d(X2[None], W2),
        ["input of shape (1, 2, 2, 5, 6)", "5 dimensions"],
    ),
    "weight of too few dimensions": (
        lambda: convmat.conv2d(X2, W2[0]),
        ["weight of shape (2, 3, 2)", "3 dimensions", "needs 4"],
    ),
    "weight of a kernel alone": (
        lambda: convmat.conv2d(X2[:, :1], W2[0, 0]),
        ["weight of shape (3, 2)", "needs 4", "weight[None, None] would do"],
    ),
    "weight of too many dimensions": (
        lambda: convmat.conv_transpose1d(X2[0], W2),
        ["weight of shape (3, 2, 3, 2)", "needs 3"],
    ),
    "matrix of a weight without a kernel": (
        matrix(weight_shape=(3, 2)),
        ["weight of shape (3, 2)", "no kernel", "weight[None, None] would do"],
    ),
    "matrix with a batch in the size": (
        matrix(sizes=(1, 2, 5, 6)),
        ["input_size=(1, 2, 5, 6)", "2 spatial sizes", "(5, 6) would do"],
    ),
    "layer without the channels": (
        lambda: convmat.matrix(torch.nn.Conv2d(2, 3, 3), (5, 6)),
        ["in_shape=(5, 6)", "2 spatial sizes", "(2, 5, 6) would do"],
    ),
    "layer with a batch": (
        lambda: convmat.draw.sparsity(torch.nn.Conv2d(2, 3, 3), (1, 2, 5, 6)),
        ["in_shape=(1, 2, 5, 6)", "2 spatial sizes", "(2, 5, 6) would do"],
    ),
    "page of a layer, with its channels": (
        lambda: convmat.explore(torch.nn.Conv2d(2, 3, 3), (2, 5, 6)),
        ["input_size=(2, 5, 6)", "3 values", "2 axes"],
    ),
    # channels and groups
    "channels": (
        direct(weight=torch.ones(3, 4, 3, 2)),
        ["input has 2 channels", "(3, 4, 3, 2)", "groups=1", "4*1 = 4"],
    ),
    "channels with groups": (
        direct(weight=torch.ones(4, 2, 3, 2), groups=2),
        ["input has 2 channels", "groups=2", "2*2 = 4"],
    ),
    "channels of a transposed one": (
        transposed(weight=torch.ones(3, 2, 3, 2)),
        ["input has 2 channels", "weight.shape[0] = 3"],
    ),
    "groups 0": (direct(groups=0), ["groups=0", "at least 1"]),
    "groups -1": (direct(groups=-1), ["groups=-1", "at least 1"]),
    "groups 0, transposed": (transposed(groups=0), ["groups=0", "at least 1"]),
    "groups that do not divide the outputs": (
        direct(weight=torch.ones(3, 1, 3, 2), groups=2),
        ["3 output channels", "groups=2"],
    ),
    "groups that do not divide the inputs": (
        transposed(groups=3, weight=torch.ones(2, 1, 3, 2)),
        ["2 input channels", "groups=3"],
    ),
    # sizes
    "kernel larger than the input": (
        direct(kernel=(3, 8)),
        ["spatial axis 1", "kernel_size=8", "6+0+0=6", "kernel_size <= 6"],
    ),
    "dilated kernel larger than the padded input": (
        direct(dilation=(4, 1), padding=(1, 0)),
        [
            "spatial axis 0",
            "kernel_size=3",
            "dilation=4",
            "9 cells",
            "5+1+1=7",
            "2 more of padding",
            "kernel_size <= 2",
        ],
    ),
    "kernel larger than the input in 1-d": (
        direct(sizes=(4,), kernel=(7,)),
        ["kernel_size=7", "4+0+0=4", "kernel_size <= 4"],
    ),
    "input of nothing": (direct(sizes=(0, 6), padding=2), ["spatial axis 0", "input_size=0", "at least 1"]),
    "transposed: input of nothing": (transposed(sizes=(5, 0)), ["spatial axis 1", "input_size=0", "at least 1"]),
    "kernel of nothing": (direct(kernel=(3, 0)), ["spatial axis 1", "kernel_size=0", "at least 1"]),
    "stride 0": (direct(stride=0), ["spatial axis 0", "stride=0", "at least 1"]),
    "stride -1": (direct(stride=(1, -1)), ["spatial axis 1", "stride=-1", "at least 1"]),
    "dilation 0": (direct(dilation=(0, 1)), ["spatial axis 0", "dilation=0", "at least 1"]),
    "transposed: stride 0": (transposed(stride=0), ["stride=0", "at least 1"]),
    "transposed: dilation -2": (transposed(dilation=-2), ["dilation=-2", "at least 1"]),
    "transposed: padding crops all": (
        transposed(sizes=(1, 2), padding=(2, 0)),
        ["spatial axis 0", "(2, 2)", "crops away", "= 3"],
    ),
    "sizes that overflow": (
        lambda: convmat.Geometry.conv((2**32, 2**32), 1),
        [f"input shape (1, {2**32}, {2**32})", str(2**64), "2**63-1", "overflow"],
    ),
    "output sizes that overflow": (
        lambda: convmat.Geometry.conv_transpose((2**20, 2**20), 1, stride=2**13),
        ["output shape", "2**63-1", "overflow"],
    ),
    "channels that overflow": (
        lambda: convmat.Geometry.conv((2**31, 2**30), 1, in_channels=8),
        [f"input shape (8, {2**31}, {2**30})", "overflow"],
    ),
    "matrix whose size overflows": (matrix(sizes=(2**32, 2**32)), ["input shape", "overflow"]),
    # output_padding and output_size
    "output_padding not below stride and dilation": (
        transposed(stride=(2, 3), dilation=(1, 2), output_padding=(0, 3)),
        ["spatial axis 1", "output_padding=3", "0 <= output_padding < max(stride=3, dilation=2)", "2 would do"],
    ),
    "output_padding of a stride of 1": (
        transposed(output_padding=1),
        ["output_padding=1", "max(stride=1", "0 would do"],
    ),
    "negative output_padding": (transposed(stride=2, output_padding=-1), ["output_padding=-1", "0 <= ", "0 would do"]),
    "output_padding with output_size": (
        transposed(stride=2, output_padding=1, output_size=(12, 12)),
        ["output_padding=1", "output_size=12", "leave output_padding at 0"],
    ),
    "output_padding with same": (
        transposed(stride=2, output_padding=1, padding="same"),
        ["output_padding=1", "padding='same'"],
    ),
    "output_size too small": (
        transposed(stride=(2, 3), output_size=(10, 17)),
        ["spatial axis 0", "output_size=10", "need 11 <= output_size <= 12", "11 would do"],
    ),
    "output_size too large": (
        transposed(stride=(2, 3), output_size=(11, 20)),
        ["spatial axis 1", "output_size=20", "need 17 <= output_size <= 19", "19 would do"],
    ),
    "output_size of same": (
        transposed(stride=3, padding="same", output_size=(12, 18)),
        ["spatial axis 0", "output_size=12", "need 13 <= output_size <= 15", "13 would do"],
    ),
    "output_size with channels": (transposed(output_size=(3, 7, 7)), ["output_size=(3, 7, 7)", "3 values", "2 axes"]),
    # padding
    "negative padding": (direct(padding=-1), ["padding (-1, -1)", "lo >= 0 and hi >= 0"]),
    "negative padding at the end": (
        direct(padding=((0, 0), (1, -2))),
        ["spatial axis 1", "padding (1, -2)", "must not be neg"],
    ),
    "transposed: negative padding": (transposed(padding=(0, -1)), ["spatial axis 1", "padding (-1, -1)", ">= 0"]),
    "reflect as wide as the side": (
        direct(padding=(1, 6), padding_mode="reflect"),
        ["spatial axis 1", "(6, 6)", "'reflect'", "6 cells", "padding < 6", "at most 5"],
    ),
    "circular wider than the side": (
        direct(padding=((0, 6), (0, 0)), padding_mode="circular"),
        ["spatial axis 0", "(0, 6)", "'circular'", "5 cells", "padding <= 5", "at most 5"],
    ),
    "transposed: reflect as wide as the output": (
        transposed(sizes=(2, 4), kernel=(5, 3), padding=(2, 0), padding_mode="reflect"),
        ["spatial axis 0", "(2, 2)", "'reflect'", "2 cells", "padding < 2", "at most 1"],
    ),
    "transposed: circular wider than the output": (
        transposed(sizes=(2, 4), kernel=(6, 3), padding=((3, 2), (0, 0)), padding_mode="circular"),
        ["spatial axis 0", "(3, 2)", "'circular'", "2 cells", "padding <= 2", "at most 2"],
    ),
    "a pair in 1-d": (direct(sizes=(6,), kernel=(3,), padding=(1, 2)), ["padding=(1, 2)", "2 values", "((1, 2),)"]),
    "a list for a pair in 1-d": (direct(sizes=(6,), kernel=(3,), padding=[1, 2]), ["2 values", "((1, 2),)"]),
    "paddings for three axes": (direct(padding=(1, 2, 3)), ["padding=(1, 2, 3)", "3 values", "2 axes"]),
    "a triple for a pair": (direct(padding=((1, 2, 3), 0)), ["(1, 2, 3)", "pair (lo, hi)"]),
    # lengths of the others
    "strides for three axes": (direct(stride=(1, 2, 3)), ["stride=(1, 2, 3)", "3 values", "2 axes"]),
    "no strides": (direct(stride=()), ["stride=()", "0 values", "2 axes"]),
    "dilations for three axes": (transposed(dilation=[1, 2, 3]), ["dilation=(1, 2, 3)", "3 values", "2 axes"]),
    "output_paddings for three axes": (transposed(output_padding=(0, 0, 0)), ["output_padding=(0, 0, 0)", "2 axes"]),
    # names
    "unknown method": (direct(method="winograd"), ["method='winograd'", "unknown", "'auto'", *map(repr, METHODS)]),
    "unknown padding_mode": (
        direct(padding_mode="mirror"),
        ["padding_mode='mirror'", "'zeros'", "'reflect'", "'replicate'", "'circular'"],
    ),
    "padding_mode of NumPy": (transposed(padding_mode="constant"), ["padding_mode='constant'", "'zeros'"]),
    "unknown padding": (direct(padding="full"), ["padding='full'", "'same'", "'valid'"]),
    "unknown layout": (
        matrix(layout=torch.sparse_bsr),
        [
            "layout=torch.sparse_bsr",
            "'csc'",
            "torch.strided",
            "torch.sparse_coo",
            "torch.sparse_csr",
            "torch.sparse_csc",
        ],
    ),
    # dtypes and bias
    "weight of another dtype": (
        direct(dtype=torch.float64),
        ["input is torch.float64", "weight is torch.float32", "same", "input.to(weight.dtype) would do"],
    ),
    "bias of another dtype": (
        direct(bias=torch.ones(3, dtype=torch.float64)),
        ["input is torch.float32", "bias is torch.float64", "should be the same", "bias.to(input.dtype) would do"],
    ),
    "weight on another device": (direct(weight=W2.to("meta")), ["input is on cpu", "weight on meta", "same device"]),
    "bias of wrong length": (direct(bias=torch.ones(2)), ["bias of shape (2,)", "need (3,)"]),
    "bias of two dimensions": (direct(bias=torch.ones(3, 1)), ["bias of shape (3, 1)", "need (3,)"]),
    "bias of no dimensions": (direct(bias=torch.ones(())), ["bias of shape ()", "need (3,)"]),
    "transposed: bias of wrong length": (transposed(bias=torch.ones(2)), ["bias of shape (2,)", "need (3,)"]),
    # matrices
    "matrix: kernel larger than the input": (
        matrix(sizes=(2, 6)),
        ["spatial axis 0", "kernel_size=3", "kernel_size <= 2"],
    ),
    "matrix: groups": (matrix(groups=2), ["3 output channels", "groups=2"]),
    "transposed matrix: output_size": (
        transposed_matrix(output_size=(6, 7)),
        ["spatial axis 0", "need 7 <= output_size <= 7"],
    ),
    "transposed matrix: groups": (transposed_matrix(groups=3), ["2 input channels", "groups=3"]),
    "column_memory of nothing": (lambda: convmat.column_memory(0).__enter__(), ["limit=0", "at least 1"]),
}

TYPE_ERRORS = {
    "input is no tensor": (lambda: convmat.conv2d([[1.0]], W2), ["input must be a torch.Tensor", "list"]),
    "input of NumPy": (
        lambda: convmat.conv2d(X2.numpy(), W2),
        ["input must be a torch.Tensor, not ndarray; torch.as_tensor(input) would do"],
    ),
    "a shape for an input": (
        lambda: convmat.conv2d((2, 2, 5, 6), W2),
        ["input must be a torch.Tensor, not tuple; that is a shape: torch.randn(2, 2, 5, 6) would do"],
    ),
    "a shape to compare methods on, before the first is computed": (
        lambda: convmat.compare_methods(torch.nn.Conv2d(2, 3, 3), (1, 2, 5, 6)),
        ["input must be a torch.Tensor", "torch.randn(1, 2, 5, 6) would do"],
    ),
    "image of NumPy": (
        lambda: convmat.upsample(X2.numpy(), 2),
        ["image must be a torch.Tensor", "torch.as_tensor(image) would do"],
    ),
    "counts of NumPy": (
        lambda: convmat.richardson_lucy(W2[0, 0], X2[0, 0].numpy()),
        ["y must be a torch.Tensor", "torch.as_tensor(y) would do"],
    ),
    "data for their sizes": (
        lambda: convmat.blur_operator(W2[0, 0], X2[0, 0]),
        ["data_size=<Tensor of shape (5, 6)>", "data.shape would do"],
    ),
    "page of a layer, with a tensor for its size": (
        lambda: convmat.explore(torch.nn.Conv2d(2, 3, 3), X2),
        ["input_size=<Tensor of shape (2, 2, 5, 6)>", "x.shape[2:] would do"],
    ),
    "weight is a layer": (
        lambda: convmat.ConvOperator(torch.nn.Conv2d(2, 3, 3), (2, 5, 6)),
        ["weight must be a torch.Tensor, not Conv2d", "layer.weight would do", "ConvOperator.from_module"],
    ),
    "layer is a tensor": (lambda: convmat.plan(X2, (2, 5, 6)), ["layer is a Tensor", "Conv2d"]),
    "weight is no tensor": (lambda: convmat.conv2d(X2, None), ["weight must be a torch.Tensor", "NoneType"]),
    "bias is no tensor": (lambda: convmat.conv2d(X2, W2, 1.0), ["bias must be a torch.Tensor", "float"]),
    "weight of a matrix is no tensor": (
        lambda: convmat.conv_matrix([[1.0]], (3,)),
        ["weight must be a torch.Tensor", "list"],
    ),
    "weight of a transposed matrix is no tensor": (
        lambda: convmat.conv_transpose_matrix([[1.0]], (3,)),
        ["weight must be a torch.Tensor", "list"],
    ),
    "stride of a fraction": (direct(stride=1.5), ["stride=1.5", "integer", "float"]),
    "stride that is true": (direct(stride=True), ["stride=True", "integer", "bool"]),
    "a stride of the two is a string": (direct(stride=(1, "2")), ["stride='2'", "integer", "str"]),
    "stride is a string": (direct(stride="2"), ["stride='2'", "integer", "str"]),
    "stride is None": (direct(stride=None), ["stride=None", "integer", "NoneType"]),
    "padding of a fraction": (direct(padding=0.5), ["padding=0.5", "integer", "float"]),
    "padding that is true": (direct(padding=(True, 1)), ["padding=True", "integer", "bool"]),
    "padding pair of a fraction": (direct(padding=((1, 0.5), 1)), ["padding=0.5", "integer", "float"]),
    "padding for one axis the same": (direct(padding=("same", 1)), ["padding='same'", "integer", "str"]),
    "dilation of a fraction": (transposed(dilation=2.0), ["dilation=2.0", "integer", "float"]),
    "output_padding that is true": (
        transposed(stride=2, output_padding=True),
        ["output_padding=True", "integer", "bool"],
    ),
    "output_size of a fraction": (transposed(output_size=(7.0, 7)), ["output_size=7.0", "integer", "float"]),
    "groups of a fraction": (direct(groups=1.0), ["groups=1.0", "integer", "float"]),
    "groups that are true": (direct(groups=True), ["groups=True", "integer", "bool"]),
    "groups of a fraction, transposed": (transposed(groups=1.0), ["groups=1.0", "integer", "float"]),
    "input_size of a fraction": (matrix(sizes=(5.0, 6)), ["input_size=5.0", "integer", "float"]),
    "a geometry's size is a string": (
        lambda: convmat.Geometry.conv("12", 3),
        ["input_size='12'", "sequence of integers"],
    ),
    "column_memory of a fraction": (lambda: convmat.column_memory(1e6).__enter__(), ["limit=1000000.0", "integer"]),
}


def assert_says(error, fragments):
    message = str(error.value)
    missing = [fragment for fragment in fragments if not re.search(re.escape(fragment), message)]
    assert not missing, f"{message!r} does not say {missing}"


@pytest.mark.parametrize(("call", "fragments"), GEOMETRY_ERRORS.values(), ids=GEOMETRY_ERRORS.keys())
def test_wrong_sizes_and_values(call, fragments):
    with pytest.raises(GeometryError) as error:
        call()
    assert_says(error, fragments)


@pytest.mark.parametrize(("call", "fragments"), TYPE_ERRORS.values(), ids=TYPE_ERRORS.keys())
def test_wrong_types(call, fragments):
    with pytest.raises(TypeError) as error:
        call()
    assert_says(error, fragments)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name", ["kernel larger than the input", "channels", "reflect as wide as the side", "groups 0"]
)
def test_every_method_says_the_same(name, method):
    call, fragments = {
        "kernel larger than the input": (direct(kernel=(3, 8), method=method), ["kernel_size=8"]),
        "channels": (direct(weight=torch.ones(3, 4, 3, 2), method=method), ["input has 2 channels"]),
        "reflect as wide as the side": (direct(padding=(1, 6), padding_mode="reflect", method=method), ["padding < 6"]),
        "groups 0": (direct(groups=0, method=method), ["groups=0"]),
    }[name]
    with pytest.raises(GeometryError) as error:
        call()
    assert_says(error, fragments)


def test_the_one_error_is_pytorchs_and_pythons():
    assert issubclass(GeometryError, ValueError)
    assert issubclass(GeometryError, RuntimeError)


def test_what_would_do_does():
    """The nearest values that the messages name."""
    assert direct(kernel=(3, 6))().shape == (2, 3, 3, 1)
    assert direct(dilation=(4, 1), padding=(2, 0))().shape == (2, 3, 1, 5)
    assert direct(padding=(1, 5), padding_mode="reflect")().shape == (2, 3, 5, 15)
    assert direct(padding=((0, 5), (0, 0)), padding_mode="circular")().shape == (2, 3, 8, 5)
    assert direct(sizes=(6,), kernel=(3,), padding=((1, 2),))().shape == (2, 3, 7)
    assert transposed(stride=(2, 3), output_size=(11, 19))().shape == (2, 3, 11, 19)
    assert transposed(stride=(2, 3), dilation=(1, 2), output_padding=(0, 2))().shape == (2, 3, 11, 20)
    assert transposed(sizes=(2, 4), kernel=(6, 3), padding=((2, 2), (0, 0)), padding_mode="circular")().shape[2:] == (
        3,
        6,
    )


@pytest.mark.parametrize("stride", [(2.0, 2), (2, True), [2, 2.0]])
def test_what_equals_an_integer_is_refused_even_if_that_was_asked_before(stride):
    x, weight = torch.ones(1, 2, 5, 6), torch.ones(3, 2, 3, 2)
    convmat.conv2d(x, weight, stride=(2, 2))
    convmat.conv2d(x, weight, stride=(2, 1))
    with pytest.raises(TypeError, match=r"stride=.* must be an integer"):
        convmat.conv2d(x, weight, stride=stride)
