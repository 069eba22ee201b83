"""Solving, against dense pseudo-inverses, SciPy's LSMR and PyLops."""

import warnings

import numpy as np
import pylops
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from convmat import ConvOperator, GeometryError
from tests.strategies import layers

DTYPES = (torch.float64, torch.complex128)
ITERATIVE = ("lsmr", "cg")


def tensor(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def square(dtype=torch.float64):
    """Well conditioned, of full rank."""
    weight = tensor(2, 2, 3, dtype=dtype) * 0.3
    weight[:, :, 1] += 2 * torch.eye(2)
    return ConvOperator(weight, (7,), padding=1)


OPERATORS = {
    "square": square,
    "wide": lambda dtype=torch.float64: ConvOperator(tensor(1, 2, 3, dtype=dtype), (9,), stride=2),
    "tall": lambda dtype=torch.float64: ConvOperator(tensor(3, 1, 3, dtype=dtype), (6,), padding=2),
    "transposed": lambda dtype=torch.float64: ConvOperator.transposed(tensor(2, 3, 3, dtype=dtype), (5,), stride=2),
    "circular": lambda dtype=torch.float64: ConvOperator(
        tensor(3, 2, 3, 3, dtype=dtype), (4, 5), padding=1, padding_mode="circular"
    ),
    "strided": lambda dtype=torch.float64: ConvOperator(
        tensor(2, 2, 4, 2, dtype=dtype), (6, 4), stride=2, padding=((1, 1), (0, 0)), padding_mode="circular"
    ),
    "grouped": lambda dtype=torch.float64: ConvOperator(
        tensor(4, 1, 3, dtype=dtype), (6,), stride=2, padding=((1, 0),), padding_mode="circular", groups=2
    ),
    "covered_twice": lambda dtype=torch.float64: ConvOperator(
        tensor(1, 2, 5, dtype=dtype), (4,), padding=4, padding_mode="circular"
    ),
    "transposed_circular": lambda dtype=torch.float64: ConvOperator.transposed(
        tensor(2, 3, 4, dtype=dtype), (5,), stride=2, padding="same", padding_mode="circular"
    ),
    "volume": lambda dtype=torch.float64: ConvOperator(tensor(2, 1, 2, 2, 2, dtype=dtype), (3, 4, 2)),
    "composed": lambda dtype=torch.float64: (
        ConvOperator(tensor(1, 2, 3, dtype=dtype), (7,)) @ square(dtype)
        + 2 * ConvOperator(tensor(1, 2, 3, dtype=dtype, seed=1), (7,))
    ),
}


def methods_for(op):
    circulant = isinstance(op, ConvOperator) and op.geometry.circulant_refusal() is None
    return ("lsmr", "cg", "direct", "auto", *(["fft"] if circulant else []))


def dense_solution(op, y, damp):
    """For each item; of the damped ones, by the matrix stacked on the damping."""
    matrix = op.to_dense()
    columns = matrix.shape[1]
    found = []
    for item, damping in zip(y.reshape(-1, op.shape[0]), damp.flatten(), strict=True):
        stacked = torch.cat([matrix, damping * torch.eye(columns, dtype=matrix.dtype)])
        found.append(torch.linalg.pinv(stacked) @ torch.cat([item, item.new_zeros(columns)]))
    return torch.stack(found).reshape(*damp.shape, *op.in_shape)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_every_method_gives_the_pseudo_inverses_answer_item_by_item(name, dtype):
    op = OPERATORS[name](dtype)
    y = tensor(2, 3, *op.out_shape, dtype=dtype, seed=2)
    y[0, 1] = 0
    for damp in (torch.zeros(2, 3), torch.tensor([[0.0, 0.3, 0], [1.0, 0, 2.0]])):
        expected = dense_solution(op, y, damp.double())
        for method in methods_for(op):
            solution = op.solve(y, method, damp=damp, tol=1e-13)
            torch.testing.assert_close(solution.x, expected, rtol=1e-9, atol=1e-9)
            residual = torch.linalg.vector_norm((y - op @ solution.x).flatten(2), dim=2)
            torch.testing.assert_close(solution.residual, residual)
            assert solution.x[0, 1].count_nonzero() == 0
            assert solution.iterations[0, 1] == 0
            assert solution.converged.all()
            assert all(reason for row in solution.reason for reason in row)


@given(layers(strings=False), st.sampled_from([0.0, 0.5]), st.integers(0, 3))
def test_any_layer(layer, damp, seed):
    _, weight, _ = layer.tensors(seed=seed)
    make = ConvOperator.transposed if layer.transposed else ConvOperator
    op = make(weight, layer.sizes, **layer.options)
    y = tensor(2, *op.out_shape, seed=seed)
    values = torch.linalg.svdvals(op.to_dense())
    kept = values[values > 1e-12 * values.max()] if len(values) else values
    if damp == 0 and len(kept) and kept.min() < 1e-2 * kept.max():
        damp = 0.1  # the answer would depend on rounding
    expected = dense_solution(op, y, torch.full((2,), damp, dtype=torch.float64))
    for method in methods_for(op):
        if method != "cg":
            found = op.solve(y, method, damp=damp, tol=1e-12, maxiter=2000).x
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_the_same_as_scipy_and_pylops():
    """One damped deblurring problem, by SciPy's LSMR and by PyLops, with the operator as both take it."""
    psf = torch.outer(*[torch.hann_window(9, periodic=False, dtype=torch.float64)[1:-1]] * 2)
    op = ConvOperator((psf / psf.sum())[None, None], (30, 26))
    y, damp = torch.rand(1, 24, 20, dtype=torch.float64), 0.02
    expected = scipy.sparse.linalg.lsmr(op.to_scipy(), y.flatten().numpy(), damp, atol=1e-12, btol=1e-12)[0]
    again = pylops.optimization.basic.lsqr(
        pylops.aslinearoperator(op.to_scipy()),
        y.flatten().numpy(),
        x0=np.zeros(op.shape[1]),
        damp=damp,
        niter=5000,
        atol=1e-13,
        btol=1e-13,
    )[0]
    np.testing.assert_allclose(again, expected, atol=1e-7)
    for method in ITERATIVE:
        found = op.solve(y, method, damp=damp, tol=1e-12)
        np.testing.assert_allclose(found.x.flatten(), expected, atol=1e-7)


def test_pylops_own_convolution_is_the_same_operator():
    """Not through our operator: PyLops builds the blur itself, with zeros around the picture."""
    psf = tensor(3, 5)
    op = ConvOperator(psf.flip(0, 1)[None, None], (12, 10), padding=(1, 2))
    theirs = pylops.signalprocessing.Convolve2D((12, 10), psf.numpy(), offset=(1, 2), dtype="float64")
    y = tensor(1, 12, 10, seed=3)
    expected = pylops.optimization.basic.cgls(
        theirs, y.flatten().numpy(), x0=np.zeros(120), damp=0.3, niter=500, tol=1e-26
    )[0]
    np.testing.assert_allclose(op.solve(y, "lsmr", damp=0.3, tol=1e-13).x.flatten(), expected, atol=1e-9)


def test_as_many_iterations_as_scipys_lsmr():
    op = OPERATORS["square"]()
    y = tensor(*op.out_shape, seed=4)
    theirs = scipy.sparse.linalg.lsmr(op.to_scipy(), y.flatten().numpy(), 0.1, atol=1e-8, btol=1e-8, conlim=0)
    ours = op.solve(y, "lsmr", damp=0.1, tol=1e-8)
    assert abs(int(ours.iterations) - theirs[2]) <= 1
    np.testing.assert_allclose(ours.x.flatten(), theirs[0], atol=1e-9)


@pytest.mark.parametrize("method", ITERATIVE)
def test_each_item_stops_by_itself(method):
    """A batch takes as many iterations for each item as the item by itself; only those at work are mapped."""
    op = ConvOperator(tensor(1, 1, 5, 5), (14, 11), padding=2)
    y = torch.stack([tensor(*op.out_shape, seed=1), op @ (op.T @ tensor(*op.out_shape, seed=2)), 0 * y_of(op)])
    damp = torch.tensor([5.0, 0.5, 0.0])
    together = op.solve(y, method, damp=damp, tol=1e-8)
    for i in range(3):
        alone = op.solve(y[i], method, damp=float(damp[i]), tol=1e-8)
        torch.testing.assert_close(together.x[i], alone.x, rtol=1e-6, atol=1e-7)
        assert abs(int(together.iterations[i]) - int(alone.iterations)) <= 1
        assert together.reason[i] == alone.reason
    assert len(set(together.iterations.tolist())) == 3


def y_of(op):
    return tensor(*op.out_shape, dtype=op.dtype, seed=5)


@pytest.mark.parametrize("method", ITERATIVE)
@pytest.mark.parametrize("damp", [0.0, 0.4])
def test_starting_elsewhere(method, damp):
    op = OPERATORS["square"]()
    y = y_of(op)
    expected = op.solve(y, "direct", damp=damp).x
    found = op.solve(y, method, damp=damp, x0=tensor(*op.in_shape, seed=6), tol=1e-13)
    torch.testing.assert_close(found.x, expected, rtol=1e-9, atol=1e-9)
    again = op.solve(y, method, damp=damp, x0=expected, tol=1e-8)
    assert again.iterations <= 1
    nothing = op.solve(0 * y, method, damp=damp, x0=expected)
    assert nothing.x.count_nonzero() == 0
    assert nothing.iterations == 0


@pytest.mark.parametrize("method", ITERATIVE)
def test_the_nearest_of_many_solutions(method):
    op, x0 = OPERATORS["wide"](), tensor(2, 9, seed=7)
    y = y_of(op)
    expected = x0 + op.solve(y - op @ x0, "direct").x
    torch.testing.assert_close(op.solve(y, method, x0=x0, tol=1e-13).x, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ITERATIVE)
def test_not_converging_warns_and_is_returned(method):
    op = ConvOperator(torch.ones(1, 1, 5, dtype=torch.float64), (60,), padding=2)
    with pytest.warns(RuntimeWarning, match=r"2 of 3 solutions did not converge: maxiter=3 reached"):
        solution = op.solve(torch.stack([y_of(op), y_of(op), 0 * y_of(op)]), method, maxiter=3)
    assert solution.converged.tolist() == [False, False, True]
    assert solution.iterations.tolist() == [3, 3, 0]
    assert solution.reason[0] == "maxiter=3 reached"
    assert 0 < solution.residual[0] < torch.linalg.vector_norm(y_of(op))


def test_singular_systems_say_so():
    average = ConvOperator(
        torch.tensor([[[0.5, 0.5]]], dtype=torch.float64), (6,), padding=((1, 0),), padding_mode="circular"
    )
    y = y_of(average)
    for method in ("fft", "direct", "auto"):
        assert average.solve(y, method).reason.startswith("singular: rank 5 of 6")
        assert average.solve(y, method, damp=0.1).reason == "solved by singular values"
    for method in ITERATIVE:
        torch.testing.assert_close(average.solve(y, method, tol=1e-13).x, average.solve(y, "direct").x)


def test_callbacks_see_the_whole_batch():
    op = OPERATORS["square"]()
    y = torch.stack([y_of(op), 0 * y_of(op)]).reshape(1, 2, *op.out_shape)
    for method in ITERATIVE:
        seen = []
        solution = op.solve(y, method, callback=lambda iteration, x, seen=seen: seen.append((iteration, x.clone())))
        assert [iteration for iteration, _ in seen] == list(range(1, int(solution.iterations.max()) + 1))
        torch.testing.assert_close(seen[-1][1], solution.x)


def test_single_precision_and_empty_batches():
    op = OPERATORS["square"]().to(torch.float32)
    y = y_of(op)
    expected = op.to(torch.float64).solve(y.double(), "direct").x.float()
    for method in methods_for(op):
        solution = op.solve(y, method)
        torch.testing.assert_close(solution.x, expected, rtol=1e-4, atol=1e-5)
        assert isinstance(solution.reason, str)
        assert op.solve(y[None][:0], method).x.shape == (0, *op.in_shape)
    assert op.solve(1e-30 * y, "lsmr").x.abs().max() > 0
    torch.testing.assert_close(1e-30 * op.solve(1e30 * y, "lsmr").x, op.solve(y, "lsmr").x * 1.0)


# -- gradients ---------------------------------------------------------------------------------------------------------


def solved(make, method):
    """A function of weight, y and damp to x."""

    def function(weight, y, damp):
        return make(weight).solve(y, method, damp=damp, tol=1e-12, maxiter=500).x

    return function


GRADIENT_CASES = {
    "square": lambda weight: ConvOperator(weight + torch.tensor([0, 3.0, 0])[None, None], (4,), padding=1),
    "wide": lambda weight: ConvOperator(weight, (7,), stride=2),
    "tall": lambda weight: ConvOperator(weight, (4,), padding=2),
    "transposed": lambda weight: ConvOperator.transposed(weight, (3,), stride=2),
    "circular": lambda weight: ConvOperator(weight, (4,), padding=1, padding_mode="circular"),
    "sum": lambda weight: ConvOperator(weight, (4,), padding=2) + 0.1 * ConvOperator(weight**2, (4,), padding=2),
    "product": lambda weight: ConvOperator(weight, (6,)) @ ConvOperator(weight, (4,), padding=2),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("method", ["lsmr", "cg", "direct", "fft"])
@pytest.mark.parametrize("name", GRADIENT_CASES)
@pytest.mark.parametrize("damped", [False, True])
def test_gradients(name, method, damped, dtype):
    if method == "fft" and name != "circular":
        pytest.skip("not block-circulant")
    weight = tensor(1, 1, 3, dtype=dtype, seed=8).requires_grad_()
    y = tensor(3, *GRADIENT_CASES[name](weight).out_shape, dtype=dtype, seed=9)
    damp = torch.tensor([0.5, 0.9, 0.3], dtype=torch.float64, requires_grad=True) if damped else torch.zeros(3)
    assert torch.autograd.gradcheck(
        solved(GRADIENT_CASES[name], method),
        (weight, y.requires_grad_(), damp),
        atol=1e-6,
        rtol=1e-5,
        fast_mode=dtype.is_complex,  # the same formulas, with conjugates
    )


def test_gradients_where_some_items_are_damped():
    weight = tensor(1, 1, 3, seed=8).requires_grad_()
    y = tensor(2, 1, 3, seed=9).requires_grad_()
    damp = torch.tensor([0.0, 0.9], dtype=torch.float64)
    for method in ("lsmr", "cg", "direct"):
        assert torch.autograd.gradcheck(solved(GRADIENT_CASES["wide"], method), (weight, y, damp), atol=1e-6, rtol=1e-5)


def test_nothing_to_go_back_for_takes_no_iteration():
    """A zero gradient, and the gradient of a zero item, are zero at iteration 0; nothing is divided by zero."""
    op = OPERATORS["square"]()
    for method in (*ITERATIVE, "direct"):
        y = torch.stack([y_of(op), 0 * y_of(op)]).requires_grad_()
        (grad,) = torch.autograd.grad(op.solve(y, method).x.sum() * 0, y)
        assert torch.equal(grad, torch.zeros_like(y))
        weight = op.weight.clone().requires_grad_()
        x = ConvOperator(weight, (7,), padding=1).solve(y[1].detach(), method).x
        (grad,) = torch.autograd.grad(x.sum(), weight)
        assert torch.equal(grad, torch.zeros_like(weight))


def test_a_second_derivative_is_refused():
    op, y = OPERATORS["square"](), y_of(OPERATORS["square"]()).requires_grad_()
    (grad,) = torch.autograd.grad((op.solve(y).x ** 2).sum(), y, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_a_gradient_that_does_not_converge_warns():
    op = ConvOperator(torch.ones(1, 1, 5, dtype=torch.float64), (60,), padding=2)
    y = y_of(op).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = op.solve(y, "lsmr", maxiter=3).x
    with pytest.warns(RuntimeWarning, match="of the gradient did not converge"):
        x.sum().backward()


def test_a_weight_changed_in_place_is_noticed():
    weight = tensor(1, 1, 3).requires_grad_()
    x = ConvOperator(weight, (5,), padding=2).solve(tensor(1, 7)).x
    with torch.no_grad():
        weight += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        x.sum().backward()


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        ((torch.ones(2, 6, dtype=torch.float64),), {}, GeometryError, r"y of shape \(2, 6\).*\(2, 7\) to \(2, 7\)"),
        ((torch.ones(2, 7),), {}, GeometryError, "y is torch.float32.*operator torch.float64"),
        ((np.ones((2, 7)),), {}, TypeError, "y must be a torch.Tensor, not ndarray"),
        ((torch.full((2, 7), torch.nan, dtype=torch.float64),), {}, GeometryError, "y has 14 values that are NaN"),
        ((torch.ones(2, 7, dtype=torch.float64), "svd"), {}, GeometryError, "method='svd' is unknown: need one of"),
        ((torch.ones(2, 7, dtype=torch.float64), "fft"), {}, GeometryError, "output 0 reads a zero through tap 0"),
        (
            (torch.ones(2, 7, dtype=torch.float64),),
            {"damp": -1},
            GeometryError,
            "damp=-1 must be finite and at least 0",
        ),
        ((torch.ones(2, 7, dtype=torch.float64),), {"damp": "x"}, TypeError, "damp='x' must be a number"),
        ((torch.ones(2, 7, dtype=torch.float64),), {"damp": torch.ones(3)}, GeometryError, "damp of shape"),
        ((torch.ones(2, 7, dtype=torch.float64),), {"damp": torch.tensor(-1.0)}, GeometryError, "damp=-1 must be"),
        ((torch.ones(2, 7, dtype=torch.float64),), {"tol": -1}, GeometryError, "tol=-1 must be"),
        ((torch.ones(2, 7, dtype=torch.float64),), {"maxiter": 2.5}, TypeError, "maxiter=2.5 must be an integer"),
        (
            (torch.ones(2, 7, dtype=torch.float64),),
            {"x0": torch.ones(3, 2, 7, dtype=torch.float64)},
            GeometryError,
            r"x0 has the batch \(3,\), but y has \(\)",
        ),
    ],
)
def test_bad_input(arguments, options, error, says):
    with pytest.raises(error, match=says) as caught:
        square().solve(*arguments, **options)
    assert len(str(caught.value)) <= 500


def test_weights_that_are_not_finite_are_refused():
    op = ConvOperator(torch.full((1, 1, 3), torch.inf, dtype=torch.float64), (5,))
    with pytest.raises(GeometryError, match="weight has 3 values that are NaN or infinite"):
        op.solve(tensor(1, 3))


def test_a_matrix_that_would_not_fit_is_refused_before_it_is_made():
    op = ConvOperator(torch.ones(1, 1, 3, 3), (3000, 3000))
    with pytest.raises(GeometryError, match=r"matrix with its singular vectors takes .* use method='lsmr'"):
        op.solve(torch.ones(op.out_shape), "direct")
    half = ConvOperator(torch.ones(1, 1, 3, dtype=torch.float16), (5,))
    with pytest.raises(GeometryError, match=r"solving in torch.float16 is too coarse"):
        half.solve(torch.ones(1, 3, dtype=torch.float16))
