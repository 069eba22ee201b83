"""The matrix of a layer, its dtypes and layouts, its gradients, and its refusals."""

import os
import re
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import convmat
from convmat import GeometryError
from tests.cases import LAYERS
from tests.layers import INTEGERS, PADDING_MODES, Layer, jacobian, reference

LAYOUTS = (torch.strided, torch.sparse_coo, torch.sparse_csr, torch.sparse_csc)
every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=str)
every_case = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
SIZES = (7, 5, 4)

MODULES = {
    "Conv1d": (nn.Conv1d, {"stride": 2}),
    "Conv2d": (nn.Conv2d, {"padding": (1, 2), "dilation": (2, 1), "groups": 2}),
    "Conv3d": (nn.Conv3d, {"padding": 1, "stride": (1, 2, 1)}),
    "Conv1d same": (nn.Conv1d, {"padding": "same", "dilation": 2}),
    "Conv2d same": (nn.Conv2d, {"padding": "same"}),
    "Conv3d valid": (nn.Conv3d, {"padding": "valid", "groups": 2}),
    "ConvTranspose1d": (nn.ConvTranspose1d, {"stride": 3, "output_padding": 2}),
    "ConvTranspose2d": (nn.ConvTranspose2d, {"stride": (2, 1), "padding": 1, "groups": 2, "output_padding": (1, 0)}),
    "ConvTranspose3d": (nn.ConvTranspose3d, {"padding": (1, 0, 1), "dilation": 2, "output_padding": (1, 0, 1)}),
}
for _mode in PADDING_MODES[1:]:
    MODULES[f"Conv1d {_mode}"] = nn.Conv1d, {"padding": 2, "padding_mode": _mode}
    MODULES[f"Conv2d {_mode}"] = nn.Conv2d, {"padding": (2, 1), "padding_mode": _mode, "stride": (1, 2)}
    MODULES[f"Conv3d {_mode}"] = nn.Conv3d, {"padding": (1, 2, 1), "padding_mode": _mode, "groups": 2}


def module_of(name):
    torch.manual_seed(0)
    kind, options = MODULES[name]
    ndim = int(kind.__name__[-2])
    return kind(4, 2, (3, 2, 2)[:ndim], dtype=torch.float64, **options), (4, *SIZES[:ndim])


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@every_layout
@pytest.mark.parametrize("name", MODULES)
def test_matrix_of_a_module_is_the_module_but_for_its_bias(name, layout):
    module, in_shape = module_of(name)
    x = torch.randn(in_shape, dtype=torch.float64)
    y = module(x)
    matrix = convmat.matrix(module, in_shape, layout=layout).to_dense()
    assert matrix.shape == (y.numel(), x.numel())
    without_bias = y - module.bias.reshape(-1, *(1,) * (x.ndim - 1))
    assert_close(matrix @ x.flatten(), without_bias.flatten())


def test_matrix_of_a_module_without_a_bias():
    module = nn.Conv2d(1, 2, (2, 3), bias=False, dtype=torch.float64)
    x = torch.randn(1, 4, 5, dtype=torch.float64)
    assert_close(convmat.matrix(module, x.shape) @ x.flatten(), module(x).flatten())


@pytest.mark.parametrize("kind", [nn.LazyConv2d, nn.LazyConvTranspose1d], ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_lazy_modules_have_no_weight_yet(kind):
    module = kind(2, 3)
    with pytest.raises(GeometryError, match=rf"^{kind.__name__} has no weight yet: call it once"):
        convmat.matrix(module, (1, 9, 8))


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_lazy_modules_that_were_called_are_like_any_other():
    module = nn.LazyConv2d(2, (3, 2))
    x = torch.randn(1, 3, 5, 6)
    y = module(x) - module.bias.reshape(-1, 1, 1)
    assert_close(convmat.matrix(module, x.shape[1:]) @ x.flatten(), y.flatten())


def test_other_modules_are_refused_by_name():
    with pytest.raises(TypeError, match=r"^Bilinear is not known to be linear: it takes no tensor alone .*; leave it"):
        convmat.matrix(nn.Bilinear(2, 3, 4), (2, 3))


@pytest.mark.parametrize("in_shape", [(4, 5), (1, 4, 5, 6), (5,)])
def test_shape_must_be_channels_and_sizes(in_shape):
    with pytest.raises(GeometryError, match=rf"^in_shape={re.escape(str(in_shape))} must hold the channels and the 2 "):
        convmat.matrix(nn.Conv2d(4, 2, 3), in_shape)


def test_channels_must_be_the_modules():
    with pytest.raises(GeometryError, match="input has 3 channels"):
        convmat.matrix(nn.Conv2d(4, 2, 3), (3, 8, 9))


# -- dtypes ------------------------------------------------------------------------------------------------------------

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.complex64, torch.complex128, *INTEGERS]


@every_layout
@every_case
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(layer, dtype, layout):
    """Entries are taps, so exact; where several meet, their sum is rounded as the dtype rounds."""
    weight = layer.tensors(dtype=dtype)[1]
    matrix = layer.matrix(weight, layout=layout)
    assert matrix.dtype == dtype
    assert matrix.layout == layout
    expected = jacobian(layer, weight.to(torch.complex128 if dtype.is_complex else torch.float64))
    values = matrix.to_dense().to(expected.dtype)
    half = dtype in (torch.float16, torch.bfloat16)
    exact = layer.padding_mode == "zeros" or dtype in INTEGERS
    assert_close(values, expected, rtol=0, atol=0 if exact else 0.05 if half else 1e-6)


@every_layout
@every_case
def test_bool_weights_say_where_something_is_read(layer, layout):
    """The sum of bool is "or": ones show which input each output reads."""
    weight = torch.ones(layer.weight_shape, dtype=torch.bool)
    matrix = layer.matrix(weight, layout=layout)
    assert matrix.dtype == torch.bool
    assert torch.equal(matrix.to_dense(), jacobian(layer, weight.double()) != 0)


@pytest.mark.parametrize("index_dtype", [None, torch.int32, torch.int64], ids=str)
def test_index_dtype_of_csr(index_dtype):
    layer = LAYERS["grouped"]
    weight = layer.tensors()[1]
    matrix = layer.matrix(weight, layout=torch.sparse_csr, index_dtype=index_dtype)
    assert matrix.crow_indices().dtype == matrix.col_indices().dtype == (index_dtype or torch.int64)
    assert_close(matrix.to_dense(), jacobian(layer, weight))
    x = layer.tensors()[0]
    assert_close(matrix @ x.flatten(), reference(layer, x, weight).flatten())


# -- gradients ---------------------------------------------------------------------------------------------------------


@every_layout
@every_case
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_gradients_flow_from_the_entries_to_the_weight(layer, layout, dtype):
    _, weight, _ = layer.tensors(dtype=dtype)
    weight.requires_grad_()
    if layout in (torch.sparse_csr, torch.sparse_csc) and dtype.is_complex:
        with pytest.raises(GeometryError, match=r"no gradients of torch.complex128 in CSR and CSC: use .*coo"):
            layer.matrix(weight, layout=layout)
        assert_close(layer.matrix(weight.detach(), layout=layout).to_dense(), jacobian(layer, weight.detach()))
        return
    generator = torch.Generator().manual_seed(1)
    cotangent = torch.randn(jacobian(layer, weight.detach()).shape, dtype=dtype, generator=generator)
    matrix = layer.matrix(weight, layout=layout)
    if layout == torch.strided:
        entries, at = matrix, cotangent
    elif layout == torch.sparse_coo:
        entries, at = matrix.values(), cotangent[tuple(matrix.indices())]
    elif layout == torch.sparse_csc:
        counts = matrix.ccol_indices().diff()
        columns = torch.arange(len(counts)).repeat_interleave(counts)
        entries, at = matrix.values(), cotangent[matrix.row_indices(), columns]
    else:
        counts = matrix.crow_indices().diff()
        rows = torch.arange(len(counts)).repeat_interleave(counts)
        entries, at = matrix.values(), cotangent[rows, matrix.col_indices()]
    (ours,) = torch.autograd.grad(entries, weight, at)
    # By PyTorch: <cotangent, C(w)> = sum over unit inputs of <cotangent's column, conv(unit, w)>.
    units = torch.eye(cotangent.shape[1], dtype=dtype).reshape(-1, layer.channels[0], *layer.sizes)
    columns = reference(layer, units, weight)
    (theirs,) = torch.autograd.grad(columns, weight, cotangent.T.reshape(columns.shape))
    assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@every_case
def test_dense_matrix_is_twice_differentiable(layer):
    weight = layer.tensors()[1].requires_grad_()
    assert torch.autograd.gradcheck(lambda w: layer.matrix(w).pow(2), (weight,), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda w: layer.matrix(w).pow(2), (weight,), fast_mode=True)


def test_sparse_product_carries_gradients():
    layer = Layer(sizes=(4, 5), kernel=(2, 3), channels=(2, 3))
    x, weight, _ = layer.tensors()
    weight.requires_grad_()
    matrix = layer.matrix(weight, layout=torch.sparse_coo)
    y = torch.sparse.mm(matrix, x.reshape(-1, 1))
    (ours,) = torch.autograd.grad(y.sum(), weight)
    (theirs,) = torch.autograd.grad(reference(layer, x, weight).sum(), weight)
    assert_close(ours, theirs)


def test_matrix_of_a_module_carries_gradients():
    module = nn.Conv2d(2, 3, (2, 3), dtype=torch.float64)
    convmat.matrix(module, (2, 4, 5)).sum().backward()
    assert_close(module.weight.grad, torch.full_like(module.weight, 9.0))


# -- refusals ----------------------------------------------------------------------------------------------------------

TOO_LARGE = Layer(sizes=(2**14, 2**13), kernel=(3, 5), channels=(8, 16), padding=(1, 2))
ROWS, COLUMNS = 16 * 2**27, 8 * 2**27
# Per axis: every tap reads every cell but those beyond the border.
ENTRIES = 16 * 8 * (3 * 2**14 - 2) * (5 * 2**13 - 6)


@every_layout
def test_what_would_not_fit_is_refused_with_its_size_and_the_way_out(layout):
    weight = torch.zeros(TOO_LARGE.weight_shape)
    with pytest.raises(GeometryError) as error:
        TOO_LARGE.matrix(weight, layout=layout)
    message = str(error.value)
    for part in (f"{ROWS} x {COLUMNS}", str(ENTRIES), str(layout), "iB", "are free", "convmat.conv"):
        assert part in message
    assert ("torch.sparse_csr, or" in message) == (layout == torch.strided)


def test_it_is_refused_before_anything_is_allocated():
    """The highest mark of a process' memory does not move, whatever the layout."""
    program = f"""
import resource
import torch, convmat
weight = torch.zeros({TOO_LARGE.weight_shape})
def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for layout in {LAYOUTS}:
    convmat.conv_matrix(weight, (5, 6), layout=layout)
    before = used()
    try:
        convmat.conv_matrix(weight, {TOO_LARGE.sizes}, padding=(1, 2), layout=layout)
    except convmat.GeometryError:
        print(used() - before)
"""
    kilobytes = subprocess.check_output([sys.executable, "-W", "ignore", "-c", program]).split()
    assert len(kilobytes) == len(LAYOUTS)
    assert max(map(int, kilobytes)) < 4096


FIRST = f"""
import os, warnings
import torch, convmat
warnings.simplefilter("error")
for layout in {LAYOUTS}:
    child = os.fork()
    if child == 0:
        convmat.conv_matrix(torch.ones(1, 1, 2), (5,), layout=layout)
        os._exit(0)
    print(layout, os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def first_matrices() -> dict[str, str]:
    """How processes end that make their first matrix: forked from one that has imported what they need."""
    printed = subprocess.check_output([sys.executable, "-c", FIRST], text=True)
    return dict(line.split() for line in printed.splitlines())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@every_layout
def test_the_first_matrix_of_a_process_comes_without_warnings(layout, first_matrices):
    assert first_matrices[str(layout)] == "0"


def test_dense_refused_where_sparse_fits():
    weight = torch.ones(1, 1, 2)
    with pytest.raises(GeometryError, match=r"use layout=torch\.sparse_csr"):
        convmat.conv_matrix(weight, (2**21,))
    matrix = convmat.conv_matrix(weight, (2**15,), layout=torch.sparse_csr)
    assert matrix.values().numel() == 2 * (2**15 - 1)


def test_int32_indices_that_would_overflow_are_refused():
    weight = torch.empty(1, 1, 1, device="meta")
    for size in ((2**31,), (2**40,)):
        with pytest.raises(GeometryError, match=rf"index_dtype=torch\.int32 cannot count {size[0]} .*torch\.int64"):
            convmat.conv_matrix(weight, size, layout=torch.sparse_csr, index_dtype=torch.int32)


def test_int32_counts_entries_and_not_rows_alone():
    """Few rows and columns, but too many entries."""
    weight = torch.empty(2**10, 2**10, 64, device="meta")
    with pytest.raises(GeometryError, match=r"int32 cannot count"):
        convmat.conv_matrix(weight, (2**7,), layout=torch.sparse_csr, index_dtype=torch.int32)


@pytest.mark.parametrize("layout", [torch.strided, torch.sparse_coo], ids=str)
def test_index_dtype_goes_with_csr_alone(layout):
    with pytest.raises(GeometryError, match=r"index_dtype=torch\.int32 goes with layout=torch\.sparse_csr"):
        convmat.conv_matrix(torch.ones(1, 1, 2), (4,), layout=layout, index_dtype=torch.int32)


def test_other_index_dtypes_are_unknown():
    with pytest.raises(GeometryError, match=r"index_dtype=torch\.int16 is unknown: need one of torch\.int32, torch\.i"):
        convmat.conv_matrix(torch.ones(1, 1, 2), (4,), layout=torch.sparse_csr, index_dtype=torch.int16)
