"""Every method computes what PyTorch computes, and what the matrix does."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import convmat
from convmat import GeometryError
from tests.cases import LAYERS
from tests.layers import INTEGERS, METHODS, PADDING_MODES, Layer, reference, refused
from tests.strategies import layers

EXACT = {"rtol": 1e-9, "atol": 1e-9}
every_case = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
every_method = pytest.mark.parametrize("method", METHODS)
both_directions = pytest.mark.parametrize("transposed", [False, True], ids=["direct", "transposed"])
batches = st.sampled_from([(), (0,), (1,), (2,)])


def assert_by_matrix(layer: Layer, x, weight, bias, output):
    """Compare an output with the matrix times the flat input."""
    batch = x.shape[: x.ndim - layer.ndim - 1]
    flat = x.reshape(*batch, -1) if x.numel() else x.new_zeros(*batch, x[0].numel() if batch == () else x[:1].numel())
    if batch == (0,):
        assert output.shape == (0, layer.channels[1], *layer.out_sizes)
        return
    expected = (flat @ layer.matrix(weight).T).reshape(*batch, layer.channels[1], *layer.out_sizes)
    assert_close(output, expected + bias.reshape(-1, *(1,) * layer.ndim), **EXACT)


@every_method
@both_directions
@given(data=st.data(), batch=batches)
def test_zeros(method, transposed, data, batch):
    layer = data.draw(layers(transposed=transposed, padding_mode="zeros"))
    x, weight, bias = layer.tensors(*batch)
    output = layer(x, weight, bias, method=method)
    assert output.shape == (*batch, layer.channels[1], *layer.out_sizes)
    assert_close(output, reference(layer, x, weight, bias), **EXACT)
    assert_by_matrix(layer, x, weight, bias, output)


@every_method
@both_directions
@given(data=st.data(), batch=batches, padding_mode=st.sampled_from(PADDING_MODES[1:]))
def test_other_padding_modes(method, transposed, data, batch, padding_mode):
    layer = data.draw(layers(transposed=transposed, padding_mode=padding_mode))
    x, weight, bias = layer.tensors(*batch)
    output = layer(x, weight, bias, method=method)
    assert output.shape == (*batch, layer.channels[1], *layer.out_sizes)
    assert_close(output, reference(layer, x, weight, bias), **EXACT)
    assert_by_matrix(layer, x, weight, bias, output)


@every_case
@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize("batch", [(), (0,), (3,)], ids=["unbatched", "empty", "three"])
def test_each_case(layer, method, batch):
    x, weight, bias = layer.tensors(*batch)
    assert_close(layer(x, weight, bias, method=method), reference(layer, x, weight, bias), **EXACT)
    assert_close(layer(x, weight, method=method), reference(layer, x, weight), **EXACT)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@every_method
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_same_is_pytorchs_same(method, ndim):
    layer = Layer(sizes=(6, 5, 4)[:ndim], kernel=(3, 2, 4)[:ndim], dilation=(1, 2, 1)[:ndim], padding="same")
    x, weight, bias = layer.tensors(2)
    theirs = getattr(F, layer.name)(x, weight, bias, padding="same", dilation=layer.dilation)
    assert_close(layer(x, weight, bias, method=method), theirs, **EXACT)


TOLERANCES = {
    torch.float32: {"rtol": 1e-4, "atol": 1e-4},
    torch.complex64: {"rtol": 1e-4, "atol": 1e-4},
    torch.float16: {"rtol": 2e-2, "atol": 2e-2},
    torch.bfloat16: {"rtol": 1e-1, "atol": 1e-1},
    torch.float64: EXACT,
    torch.complex128: EXACT,
}


def wide(tensor):
    return tensor if tensor.dtype in INTEGERS else tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


@every_case
@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize("dtype", [*TOLERANCES, *INTEGERS], ids=str)
def test_dtypes(layer, method, dtype):
    x, weight, bias = layer.tensors(2, dtype=dtype)
    if refused(method, dtype, transposed=layer.transposed, dilated=layer.is_dilated):
        with pytest.raises(GeometryError, match=rf"method='{method}' cannot take this layer: .*{dtype}"):
            layer(x, weight, bias, method=method)
        return
    output = layer(x, weight, bias, method=method)
    assert output.dtype == dtype
    expected = reference(layer, *map(wide, (x, weight, bias)))
    assert_close(output, expected.to(dtype), **TOLERANCES.get(dtype, {"rtol": 0, "atol": 0}))


@pytest.mark.parametrize("method", ["auto", *METHODS])
@both_directions
def test_bool_has_no_sums(method, transposed):
    layer = Layer(sizes=(4, 3), kernel=(2, 2), transposed=transposed)
    x, weight, _ = layer.tensors(1, dtype=torch.bool)
    with pytest.raises(GeometryError, match=r"torch\.bool"):
        layer(x, weight, method=method)


@every_method
@both_directions
def test_a_sum_over_no_channels_is_zero(method, transposed):
    """PyTorch's own answer has no output channels either, or none at all; the matrix is the measure here."""
    layer = Layer(sizes=(4, 3), kernel=(2, 2), channels=(0, 2) if not transposed else (2, 0), transposed=transposed)
    x, weight, bias = layer.tensors(2)
    expected = bias.reshape(-1, 1, 1).expand(2, layer.channels[1], *layer.out_sizes)
    assert_close(layer(x, weight, bias, method=method), expected)


@every_method
@both_directions
def test_input_need_not_be_contiguous(method, transposed):
    layer = Layer(sizes=(4, 3), kernel=(2, 3), channels=(4, 2), groups=2, stride=(1, 2), transposed=transposed)
    x, weight, bias = layer.tensors(2)
    strided_x, strided_weight = x.mT.contiguous().mT, weight.transpose(0, 3).contiguous().transpose(0, 3)
    assert not strided_x.is_contiguous()
    assert_close(layer(strided_x, strided_weight, bias, method=method), reference(layer, x, weight, bias), **EXACT)
    lazily_conjugated = layer(x.to(torch.complex128).conj(), (1j * weight).conj(), method=method)
    assert_close(lazily_conjugated, -1j * reference(layer, x, weight), **EXACT)


@every_method
@every_case
def test_inputs_are_left_as_they_are(method, layer):
    tensors = layer.tensors(2)
    copies = [tensor.clone() for tensor in tensors]
    layer(*tensors, method=method)
    for tensor, copy in zip(tensors, copies, strict=True):
        assert torch.equal(tensor, copy)


@every_method
@both_directions
def test_output_is_memory_of_its_own(method, transposed):
    """Even where the map is the identity."""
    layer = Layer(sizes=(3, 4), kernel=(1, 1), transposed=transposed)
    x = layer.tensors(1)[0]
    output = layer(x, torch.ones(layer.weight_shape, dtype=x.dtype), method=method)
    assert_close(output, x, **EXACT)
    output.zero_()
    assert bool((x != 0).all())


@every_method
@both_directions
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@pytest.mark.parametrize("lower", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_gives_pytorchs_dtype(method, transposed, dtype, padding_mode, lower):
    layer = Layer(sizes=(4, 5), kernel=(3, 2), padding=1, padding_mode=padding_mode, transposed=transposed)
    x, weight, bias = layer.tensors(2, dtype=dtype)
    with torch.autocast("cpu", dtype=lower):
        theirs = getattr(F, layer.name)(x, weight, bias, padding=1)
        ours = layer(x, weight, bias, method=method)
    assert ours.dtype == theirs.dtype
    assert_close(ours, reference(layer, *map(wide, (x, weight, bias))).to(ours.dtype), rtol=1e-1, atol=1e-1)


@every_method
@both_directions
def test_autocast_takes_tensors_of_two_dtypes(method, transposed):
    layer = Layer(sizes=(4, 5), kernel=(3, 2), transposed=transposed)
    x, weight, bias = layer.tensors(2, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x.bfloat16(), weight, bias, method=method).dtype == torch.bfloat16


@every_method
@both_directions
@pytest.mark.parametrize("poison", [torch.nan, torch.inf], ids=str)
def test_nan_and_infinity_stay_in_the_outputs_that_read_them_or_the_method_says_so(method, transposed, poison):
    says_so = "NaN" in (getattr(convmat.methods, method).__doc__ or "")
    layer = Layer(sizes=(7, 6), kernel=(2, 3), stride=(1, 2), padding=1, transposed=transposed)
    x, weight, _ = layer.tensors(1)
    x[0, 0, 3, 2] = poison
    spoilt, expected = (
        result.isfinite().logical_not() for result in (layer(x, weight, method=method), reference(layer, x, weight))
    )
    assert bool(expected.any())
    assert says_so or torch.equal(spoilt, expected)


def test_available_methods():
    methods = convmat.available_methods()
    assert list(methods) == ["auto", *METHODS]
    assert all(line.endswith((".", "kernels.", "crop.")) and "\n" not in line for line in methods.values())


@pytest.mark.parametrize("padding", [(12, 14), (0, 0)])
def test_wide_atrous_convolutions_come_back_contiguous(padding):
    """PyTorch computes them faster with the channels last, which is nobody else's business."""
    torch.manual_seed(0)
    input, weight = torch.randn(2, 6, 29, 31), torch.randn(5, 6, 3, 3)
    options = {"padding": padding, "dilation": (12, 9)}
    with torch.no_grad():
        output = convmat.conv2d(input, weight, method="native", **options)
    assert output.is_contiguous()
    expected = torch.nn.functional.conv2d(input.double(), weight.double(), **options)
    torch.testing.assert_close(output, expected.float(), rtol=1e-4, atol=1e-5)
