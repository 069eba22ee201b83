"""What an operator is: applying, transposing, composing, and what SciPy sees of it."""

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

import convmat
from convmat import ConvOperator, GeometryError
from tests.cases import LAYERS
from tests.layers import jacobian, reference
from tests.operators.test_spectra import DOUBLE, operator_of, random_operator
from tests.strategies import layers

every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)


# -- the same map as PyTorch's -----------------------------------------------------------------------------------------


@given(layers(), st.sampled_from([DOUBLE, torch.complex128]))
def test_it_maps_as_pytorch_does_and_its_adjoint_is_the_adjoint(layer, dtype):
    x, weight, _ = layer.tensors(2, dtype=dtype)
    op = ConvOperator.of(operator_of(layer).geometry, weight)
    matrix = jacobian(layer, weight)
    torch.testing.assert_close(op @ x, reference(layer, x, weight))
    torch.testing.assert_close(op.to_dense(), matrix)
    torch.testing.assert_close(op.T.to_dense(), matrix.T)
    torch.testing.assert_close(op.H.to_dense(), matrix.mH)
    assert op.shape == tuple(matrix.shape)
    assert convmat.dot_test(op)


@every_layer
def test_any_operand_that_fits(layer):
    op, (x, _, _) = operator_of(layer), layer.tensors(2, 3)
    y = op @ x
    assert y.shape == (2, 3, *op.out_shape)
    matrix = op.to_dense()
    torch.testing.assert_close(y.reshape(6, -1), x.reshape(6, -1) @ matrix.T)
    torch.testing.assert_close(op @ x[0, 0], y[0, 0])
    torch.testing.assert_close(op @ x[0, 0].flatten(), y[0, 0].flatten())
    torch.testing.assert_close(op @ x.reshape(6, -1).T, matrix @ x.reshape(6, -1).T)
    torch.testing.assert_close(op @ x[:0], y[:0])
    assert torch.equal(op(x), y)


def test_a_product_may_be_written_as_a_call():
    """As of operators of SciPy, whatever it is applied to."""
    op = ConvOperator(torch.tensor([[[1.0, 2.0, 3.0]]]), (5,), stride=2)
    x = torch.arange(5.0)
    by_scipy = op.to_scipy()(x.numpy())
    np.testing.assert_array_equal(op(x).numpy(), by_scipy)
    assert torch.equal(op.H(op)(x), op.H @ (op @ x))
    with pytest.raises(TypeError, match="cannot apply an operator to a list"):
        op([1.0, 2.0, 3.0, 4.0, 5.0])


def test_what_fits_twice_is_taken_as_structured():
    """Of shape (channels, 1) a tensor is also a matrix of one column: channels and size it is."""
    op = ConvOperator(torch.ones(2, 3, 1), (1,))
    assert (op @ torch.ones(3, 1)).shape == (2, 1)


@every_layer
def test_gradients_reach_weight_and_input(layer):
    op, (x, weight, _) = operator_of(layer), layer.tensors()
    weight.requires_grad_(), x.requires_grad_()
    assert torch.autograd.gradcheck(lambda w, x: ConvOperator.of(op.geometry, w) @ x, (weight, x))


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
def test_of_a_layer(kind):
    layer = getattr(torch.nn, f"{kind}2d")(2, 4, (3, 2), stride=2, padding=1, groups=2, dtype=DOUBLE)
    x = torch.randn(5, 2, 6, 7, dtype=DOUBLE)
    op = ConvOperator.from_module(layer, x.shape[1:])
    torch.testing.assert_close(op @ x, layer(x) - layer.bias.reshape(-1, 1, 1))
    assert op.weight is layer.weight
    assert ConvOperator.from_module(convmat.nn.Conv1d(1, 1, 3, method="unfold"), (1, 5)).method == "unfold"


# -- the algebra -------------------------------------------------------------------------------------------------------


def test_products_sums_and_multiples_are_those_of_the_matrices():
    first, second = random_operator((2, 3), (3, 2), (6, 5)), random_operator((2, 3), (3, 2), (6, 5), seed=1)
    last = ConvOperator.transposed(torch.randn(3, 4, 2, 2, dtype=DOUBLE), first.out_shape[1:], stride=2)
    a, b, c = (op.to_dense() for op in (first, second, last))
    cases = {
        "product": (last @ first, c @ a),
        "sum": (first + second, a + b),
        "difference": (first - second, a - b),
        "multiple": (2 * first / 4, a / 2),
        "negative": (-first, -a),
        "tensor": (first * torch.tensor(3.0, dtype=DOUBLE), 3 * a),
        "all": (last @ (first + 2 * second) * 3, 3 * c @ (a + 2 * b)),
        "transposed": ((last @ (first - second)).T, (c @ (a - b)).T),
    }
    for name, (op, matrix) in cases.items():
        x = torch.randn(2, *op.in_shape, dtype=DOUBLE)
        torch.testing.assert_close((op @ x).flatten(1), x.flatten(1) @ matrix.T, msg=name)
        torch.testing.assert_close(op.to_dense(), matrix, msg=name)
        torch.testing.assert_close(op.to_sparse().to_dense(), matrix, msg=name)
        torch.testing.assert_close(op.to_sparse(torch.sparse_csr).to_dense(), matrix, msg=name)
        assert convmat.dot_test(op), name
    assert isinstance(2 * first, ConvOperator)


def test_complex_multiples_and_adjoints():
    op = random_operator((2, 3), (3,), (6,))
    product = (op.H @ op).to(torch.complex128) * 1j
    torch.testing.assert_close(product.H.to_dense(), product.to_dense().mH)
    assert (1j * op).dtype == torch.complex128


def test_moving():
    op = random_operator((2, 3), (3,), (6,)).to(torch.float32)
    assert (op.dtype, (op.T @ op).to(DOUBLE).dtype) == (torch.float32, DOUBLE)
    assert op.to("meta").device.type == "meta"


# -- SciPy -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE, torch.complex128])
def test_scipy_sees_the_matrix(dtype):
    op = random_operator((2, 3), (3, 2), (6, 5), dtype=dtype)
    matrix, view = op.to_dense().numpy(), op.to_scipy()
    generator = np.random.default_rng(0)
    x, y = (generator.standard_normal((n, 3)) for n in (60, 48))
    close = {"rtol": 1e-4, "atol": 1e-4}
    assert view.matvec(x[:, 0]).shape == (48,)
    for ours, theirs in (
        (view.matvec(x[:, 0]), matrix @ x[:, 0]),
        (view @ x, matrix @ x),
        (view.rmatmat(y), matrix.conj().T @ y),
        (view.H @ y, matrix.conj().T @ y),
        (view.T @ y[:, 0], matrix.T @ y[:, 0]),
        (view @ (x + 1j * x), matrix @ (x + 1j * x)),
        ((view.H @ view) @ x, matrix.conj().T @ (matrix @ x)),
    ):
        np.testing.assert_allclose(ours, theirs, **close)
    assert (view @ x).dtype == matrix.dtype
    assert view.dtype == matrix.dtype


def test_scipys_solvers_take_it():
    op = random_operator((2, 2), (3, 2), (6, 5), padding=((1, 1), (1, 0)))
    x = np.random.default_rng(0).standard_normal(60)
    found = scipy.sparse.linalg.lsmr(op.to_scipy(), op.to_scipy() @ x, atol=1e-12, btol=1e-12, maxiter=2000)[0]
    np.testing.assert_allclose(found, x, atol=1e-6)


# -- dot_test ----------------------------------------------------------------------------------------------------------


def test_a_wrong_adjoint_is_found():
    class Wrong(ConvOperator):
        @property
        def H(self):  # noqa: N802
            return ConvOperator.of(self.geometry.transpose(), self.weight.flip(-1))

    result = convmat.dot_test(Wrong(torch.randn(2, 3, 3), (7,)))
    assert not result
    assert result.error > result.tolerance
    assert convmat.dot_test(ConvOperator(torch.zeros(2, 3, 3), (7,)))


def test_what_is_no_operator():
    with pytest.raises(TypeError, match=r"not Conv1d; ConvOperator\.from_module\(layer, in_shape\) would do$"):
        convmat.dot_test(torch.nn.Conv1d(2, 3, 3))


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_shapes_that_do_not_match_are_both_printed():
    op = ConvOperator(torch.ones(4, 3, 3, 3), (8, 9))
    with pytest.raises(GeometryError, match=r"\(4, 8, 9\).*\(3, 8, 9\)") as error:
        op @ torch.ones(4, 8, 9)
    assert "(..., 3, 8, 9), a flat vector of shape (216,), or a matrix of shape (216, k)" in str(error.value)
    with pytest.raises(GeometryError, match=r"\(3, 8, 9\) to \(4, 6, 7\)"):
        op @ op
    with pytest.raises(GeometryError, match="cannot add"):
        op + op.T
    with pytest.raises(GeometryError, match=r"\(1, 1, 3\)"):
        ConvOperator.of(op.geometry, torch.ones(1, 1, 3))


def test_other_bad_operands():
    op = ConvOperator(torch.ones(4, 3, 3), (9,))
    with pytest.raises(GeometryError, match=r"torch.float32 on cpu and the input torch.float64 on cpu"):
        op @ torch.ones(3, 9, dtype=DOUBLE)
    with pytest.raises(GeometryError, match="float64"):
        op.T @ op.to(DOUBLE)
    with pytest.raises(TypeError, match="a ndarray"):
        op @ np.ones((3, 9))
    with pytest.raises(TypeError, match="op @ other"):
        op * torch.ones(3, 9)
    with pytest.raises(TypeError):
        op + 1
    with pytest.raises(GeometryError, match="method='fastest'"):
        ConvOperator(torch.ones(4, 3, 3), (9,), method="fastest")
    with pytest.raises(GeometryError, match="input_size=0"):
        ConvOperator(torch.ones(4, 3, 3), (0,))


def test_a_dense_product_that_does_not_fit_is_refused():
    op = ConvOperator(torch.ones(64, 64, 3, 3), (224, 200), padding=1)
    with pytest.raises(GeometryError, match="are free"):
        (op.T @ op).to_dense()


def test_repr():
    op = ConvOperator(torch.ones(4, 2, 3, 3), (8, 9), (2, 1), ((1, 0), (1, 1)), groups=2, padding_mode="reflect")
    assert repr(op) == (
        "ConvOperator((4, 8, 9) -> (4, 4, 9), kernel 3x3, stride 2x1, reflect padding 1:0x1, 2 groups, torch.float32, "
        "method 'auto')"
    )
    assert "transposed" in repr(op.T)
