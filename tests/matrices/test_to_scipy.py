"""From a tensor, a layer or a model to SciPy's sparse arrays, in one call."""

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import nn

import convmat
from convmat import GeometryError

FORMATS = {"coo": scipy.sparse.coo_array, "csr": scipy.sparse.csr_array, "csc": scipy.sparse.csc_array}


def layer(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Conv2d(2, 4, (3, 2), stride=2, padding=1, groups=2, padding_mode="circular", dtype=dtype)


@pytest.mark.parametrize("format", [None, *FORMATS])
def test_of_a_layer(format):
    convolution = layer()
    array = convmat.to_scipy(convolution, (2, 5, 6), format=format)
    assert type(array) is FORMATS[format or "csr"]
    x = torch.randn(2, 5, 6)
    expected = convolution(x) - convolution.bias[:, None, None]
    assert np.allclose(array @ x.flatten().numpy(), expected.detach().flatten().numpy(), atol=1e-5)


@pytest.mark.parametrize("format", [None, *FORMATS])
@pytest.mark.parametrize("layout", ["dense", "coo", "csr", "csc"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64])
def test_of_a_matrix(layout, format, dtype):
    weight = torch.randn(3, 2, 2, 3, dtype=dtype)
    matrix = convmat.conv_matrix(weight, (4, 5), padding=1, layout=layout)
    array = convmat.to_scipy(matrix.requires_grad_(layout == "dense"), format=format)
    assert type(array) is FORMATS[format or (layout if layout != "dense" else "csr")]
    assert array.shape == tuple(matrix.shape)
    assert np.array_equal(array.toarray(), matrix.detach().to_dense().numpy())


def test_of_a_conjugated_matrix():
    matrix = torch.randn(3, 4, dtype=torch.complex64)
    assert np.array_equal(convmat.to_scipy(matrix.mH).toarray(), matrix.mH.resolve_conj().numpy())


def test_of_a_model():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AvgPool2d(2), nn.Flatten())
    array = convmat.to_scipy(model, (2, 6, 8))
    assert np.allclose(array.toarray(), convmat.matrix(model, (2, 6, 8)).detach())


def test_solvers_take_it():
    array = convmat.to_scipy(layer(torch.float64), (2, 6, 8))
    values = scipy.sparse.linalg.svds(array, k=3, return_singular_vectors=False)
    assert np.allclose(sorted(values), sorted(np.linalg.svd(array.toarray(), compute_uv=False))[-3:])
    assert array.indices.dtype == np.int32  # as SuperLU wants them


def test_values_are_shared():
    matrix = convmat.conv_matrix(torch.ones(1, 1, 3), (5,), layout="csr")
    array = convmat.to_scipy(matrix)
    array.data[0] = 7
    assert matrix.values()[0] == 7


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.ones(3, 4, 5),), GeometryError, r"of shape \(3, 4, 5\).* need two dimensions"),
        ((torch.ones(3, 4).half(),), GeometryError, r"SciPy has no sparse arrays of torch\.float16: matrix\.float\(\)"),
        ((torch.ones(3, 4, device="meta"),), GeometryError, "meta"),
        ((torch.ones(3, 4), (3,)), TypeError, "in_shape=.* goes with a layer only"),
        ((nn.Conv1d(1, 1, 2),), TypeError, "in_shape is missing"),
        ((nn.ReLU(), (3,)), TypeError, "ReLU is not linear"),
        (([[1.0]],), TypeError, r"matrix_or_layer must be a matrix .* not list$"),
        (
            (convmat.ConvOperator(torch.ones(1, 1, 2), 3),),
            TypeError,
            r"not ConvOperator; its own to_scipy\(\) would do",
        ),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        convmat.to_scipy(*arguments)


def test_unknown_formats():
    with pytest.raises(GeometryError, match="format='bsr' is unknown: need one of 'coo', 'csr', 'csc'"):
        convmat.to_scipy(torch.ones(3, 4), format="bsr")


@pytest.mark.parametrize(("name", "layout"), [("dense", torch.strided), ("coo", torch.sparse_coo)])
def test_layouts_by_name(name, layout):
    assert convmat.conv_matrix(torch.ones(1, 1, 2), (4,), layout=name).layout == layout


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # PyTorch's own, when it makes CSC dense
@pytest.mark.parametrize("index_dtype", [torch.int32, torch.int64])
def test_csc(index_dtype):
    weight = torch.randn(3, 2, 2, 3)
    matrix = convmat.conv_matrix(weight, (4, 5), stride=2, layout="csc", index_dtype=index_dtype)
    assert matrix.layout == torch.sparse_csc
    assert matrix.ccol_indices().dtype == matrix.row_indices().dtype == index_dtype
    torch.sparse_csc_tensor(matrix.ccol_indices(), matrix.row_indices(), matrix.values(), matrix.shape)  # checks
    assert torch.equal(matrix.to_dense(), convmat.conv_matrix(weight, (4, 5), stride=2))
