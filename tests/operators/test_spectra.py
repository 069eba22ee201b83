"""Singular values against dense SVD, and against those that are known in closed form."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import convmat
from convmat import Axis, ConvOperator, Geometry, GeometryError
from convmat.operators import golub_kahan
from convmat.operators.circulant import Circulant
from convmat.operators.torus import torus_bound
from tests.strategies import axis_numbers, layers

DOUBLE = torch.float64


def operator_of(layer, dtype=DOUBLE, seed=0) -> ConvOperator:
    _, weight, _ = layer.tensors(dtype=dtype, seed=seed)
    make = ConvOperator.transposed if layer.transposed else ConvOperator
    return make(weight, layer.sizes, **layer.options)


def random_operator(channels, kernel, sizes, seed=0, dtype=DOUBLE, **options) -> ConvOperator:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(
        channels[1], channels[0] // options.get("groups", 1), *kernel, dtype=dtype, generator=generator
    )
    return ConvOperator(weight, sizes, **options)


def dense_values(op) -> torch.Tensor:
    return torch.from_numpy(np.linalg.svd(op.to_dense().numpy(), compute_uv=False))


# -- every way to find them, on layers of all kinds --------------------------------------------------------------------


@given(layers(), st.sampled_from([DOUBLE, torch.complex128]))
def test_norm_values_and_bounds_are_those_of_the_matrix(layer, dtype):
    op = operator_of(layer, dtype)
    expected = dense_values(op)
    torch.testing.assert_close(op.singular_values(), expected, rtol=1e-6, atol=1e-9 * float(expected[0]))
    torch.testing.assert_close(op.norm(), expected[0], rtol=1e-6, atol=0.0)
    lower, upper, _ = op.norm_bounds()
    assert lower <= float(expected[0]) * (1 + 1e-12)
    assert upper >= float(expected[0]) * (1 - 1e-12)


@settings(max_examples=60)
@given(layers(), st.sampled_from([DOUBLE, torch.complex128]))
def test_products_and_the_torus_alone_agree_with_the_matrix(layer, dtype):
    """As large operators are computed, on small ones."""
    op = operator_of(layer, dtype)
    expected = float(dense_values(op)[0])
    top = golub_kahan.largest(op, 1e-8)
    assert top.value == pytest.approx(expected, rel=1e-6)
    for upper in (torus_bound(op.geometry, op.weight, top.value), op.upper_bound(top.value)[0]):
        assert upper >= expected * (1 - 1e-12)


@given(axis_numbers())
def test_an_axis_is_circulant_where_shifting_its_matrix_shows_it(numbers):
    axis = Axis(*numbers[:7], numbers.padding_mode)
    op = ConvOperator.of(Geometry((axis,)), torch.arange(1, axis.kernel + 1, dtype=DOUBLE).reshape(1, 1, -1).log1p())
    matrix = op.to_dense().numpy()
    shifted = np.roll(np.roll(matrix, 1, axis=0), axis.stride, axis=1)
    reads_no_zero = not (axis.source() < 0).any()
    assert (axis.circulant_refusal() is None) == (reads_no_zero and np.allclose(matrix, shifted))


@given(axis_numbers())
def test_an_axis_is_part_of_its_torus(numbers):
    axis = Axis(*numbers[:7], numbers.padding_mode)
    torus = axis.on_torus()
    assert torus.circulant_refusal() is None
    weight = torch.arange(1, axis.kernel + 1, dtype=DOUBLE).reshape(1, 1, -1).log1p()
    inner = ConvOperator.of(Geometry((axis.unpadded(),)), weight).to_dense()
    outer = ConvOperator.of(Geometry((torus,)), weight).to_dense()
    if torus is axis:
        return
    # Rows of the larger matrix, from the input's first cell on: the kernel's first tap lies at lo there, here at 0.
    moved = torch.roll(outer, -axis.unpadded().lo, dims=1)
    torch.testing.assert_close(moved[: inner.shape[0], : inner.shape[1]], inner)


@pytest.mark.parametrize("dtype", [DOUBLE, torch.complex128])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(1, 2), (2, 3), (7, 13)])
def test_strided_circular_layers(kernel, stride, dtype):
    ends = tuple((min(2, k - 1), max(k - 1 - 2, 0)) for k in kernel)
    sizes = (6, 12)
    if max(map(sum, ends)) >= sizes[0]:
        ends = ((3, 3), (6, 6))
    op = random_operator((2, 3), kernel, sizes, stride=stride, padding=ends, padding_mode="circular", dtype=dtype)
    if op.circulant_refusal():
        assert not all(n * stride % m == 0 for n, m in zip(op.out_shape[1:], sizes, strict=True))
        return
    for each in (op, op.T):
        expected = dense_values(each)
        torch.testing.assert_close(each.singular_values(), expected, rtol=0, atol=1e-14 * 10 * float(expected[0]))


@settings(max_examples=60)
@given(layers(padding_mode="circular"), st.sampled_from([DOUBLE, torch.complex128]))
def test_the_frequencies_apply_the_operator(layer, dtype):
    op = operator_of(layer, dtype)
    if op.circulant_refusal() is not None:
        with pytest.raises(GeometryError, match="not block-circulant"):
            Circulant(op.geometry, op.weight)
        return
    view = Circulant(op.geometry, op.weight)
    x, _, _ = layer.tensors(2, dtype=dtype)
    torch.testing.assert_close(view.join_out(view.full() @ view.split_in(x)), op @ x)


# -- known values ------------------------------------------------------------------------------------------------------


def test_first_difference():
    values = ConvOperator(torch.tensor([[[1.0, -1.0]]], dtype=DOUBLE), (8,)).singular_values()
    expected = torch.tensor([2 * math.sin(j * math.pi / 16) for j in range(7, 0, -1)], dtype=DOUBLE)
    torch.testing.assert_close(values, expected)


def test_second_difference():
    op = ConvOperator(torch.tensor([[[1.0, -2.0, 1.0]]], dtype=DOUBLE), (9,), padding=1)
    assert op.cond().item() == pytest.approx(1 / math.tan(math.pi / 20) ** 2, rel=1e-12)
    assert op.cond().item() == pytest.approx(39.86345818906, rel=1e-12)


@pytest.mark.parametrize(
    ("kernel", "size", "circular", "zeros"), [((1, -1, 1), 5, 2.618034, 2.732051), ((1, 0, -1), 2, 0.0, 1.0)]
)
def test_the_circular_norm_bounds_nothing(kernel, size, circular, zeros):
    weight = torch.tensor([[kernel]], dtype=DOUBLE)
    around = ConvOperator(weight, (size,), padding=1, padding_mode="circular")
    op = ConvOperator(weight, (size,), padding=1)
    assert around.norm().item() == pytest.approx(circular, abs=1e-6)
    assert op.norm().item() == pytest.approx(zeros, abs=1e-6)
    assert torus_bound(op.geometry, weight, 0.0) >= zeros > circular


def test_patches_that_touch():
    op = random_operator((3, 20), (16, 16), (32, 48), stride=16)
    assert op.circulant_refusal() is None
    torch.testing.assert_close(op.norm(), torch.linalg.matrix_norm(op.weight.flatten(1), 2))


def test_groups_take_the_largest():
    op = random_operator((4, 6), (3, 3), (6, 5), groups=2, padding=1)
    alone = [ConvOperator(part, (6, 5), padding=1).norm() for part in op.weight.chunk(2)]
    torch.testing.assert_close(op.norm(), max(alone))
    assert op.norm() < 0.9 * alone[0] * alone[1]


def test_outputs_that_cover_the_input_several_times():
    """Every value c = 2 times (once a dimension) that of the operator with as many outputs as inputs."""
    op = random_operator((1, 1), (5, 5), (4, 4), padding=4, padding_mode="circular")
    once = ConvOperator(op.weight, (4, 4), padding=((0, 4), (0, 4)), padding_mode="circular")
    assert op.out_shape == (1, 8, 8)
    torch.testing.assert_close(op.singular_values(), 2 * once.singular_values())


def test_frobenius_norm_is_the_sum_of_squares():
    op = random_operator((3, 4), (3, 2), (7, 6), stride=(2, 1), padding=1)
    torch.testing.assert_close(op.singular_values().square().sum(), op.to_dense().square().sum())


def test_transposing_keeps_the_values():
    op = random_operator((3, 4), (3, 2), (8, 6), stride=2, padding_mode="circular", padding=((1, 0), (0, 0)))
    assert op.circulant_refusal() is None
    torch.testing.assert_close(op.singular_values(), op.T.singular_values())
    torch.testing.assert_close(op.norm(), op.T.norm())


def test_an_orthonormal_kernel_keeps_all_lengths():
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=DOUBLE)).Q
    op = ConvOperator(rotation.reshape(5, 5, 1, 1), (6, 7))
    torch.testing.assert_close(op.singular_values(), torch.ones(210, dtype=DOUBLE))
    assert op.cond().item() == pytest.approx(1)


def test_the_norm_of_the_reshaped_weight_is_too_small():
    op = random_operator((8, 8), (3, 3), (16, 20), padding=1)
    assert torch.linalg.matrix_norm(op.weight.flatten(1), 2) < 0.75 * op.norm()


# -- large operators ---------------------------------------------------------------------------------------------------


def test_norm_of_a_large_operator_lies_between_its_bounds():
    op = random_operator((16, 16), (3, 3), (40, 36), padding=1)
    lower, upper, method = op.norm_bounds(tol=1e-6)
    expected = op.to_scipy()
    from scipy.sparse.linalg import svds

    truth = float(svds(expected, k=1, return_singular_vectors=False, tol=1e-10)[0])
    assert method == "torus"
    assert lower == pytest.approx(truth, rel=1e-6)
    assert lower <= truth * (1 + 1e-12)
    assert truth <= upper <= 1.005 * truth


def test_values_that_lie_close_together_at_the_top():
    """What lies between them is not taken for converged."""
    op = random_operator((8, 8), (3, 3), (12, 10), padding=1)
    expected = dense_values(op)
    assert op.shape[0] * op.shape[1] > 1 << 19  # so that products find it
    assert op.norm(tol=1e-6).item() == pytest.approx(expected[0].item(), rel=1e-6)


def test_some_values_of_a_large_operator_with_several_equal_ones():
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], dtype=DOUBLE).reshape(1, 1, 3, 3)
    size = 30
    op = ConvOperator(kernel, (size, size), padding=1)  # the discrete Laplacian: sums of values of second differences
    line = 2 - 2 * torch.cos(torch.arange(1, size + 1, dtype=DOUBLE) * math.pi / (size + 1))
    expected = (line[:, None] + line[None, :]).flatten().sort(descending=True).values
    torch.testing.assert_close(op.singular_values(4, tol=1e-8), expected[:4], rtol=1e-6, atol=0.0)
    torch.testing.assert_close(op.singular_values(3, "smallest"), expected[-3:])


def test_norms_of_products_and_sums():
    op = random_operator((2, 3), (3, 3), (6, 5), padding=1)
    other = random_operator((2, 3), (3, 3), (6, 5), seed=1, padding=1)
    squares = (op.T @ op).singular_values()
    torch.testing.assert_close(squares, op.T.singular_values()[: len(squares)].square(), atol=1e-10, rtol=1e-9)
    for combined in (op.T @ other, op + other, 3 * op - other):
        expected = float(torch.linalg.matrix_norm(combined.to_dense(), 2))
        assert combined.norm().item() == pytest.approx(expected)
        assert combined.upper_bound(expected)[0] >= expected


# -- gradients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"padding_mode": "circular"}, {}], ids=["fft", "dense"])
def test_gradients_reach_the_weight(options):
    weight = random_operator((2, 2), (3, 3), (4, 6)).weight.requires_grad_()
    for of in (lambda op: op.norm(), lambda op: op.singular_values(), lambda op: op.cond().log()):
        assert torch.autograd.gradcheck(lambda w, of=of: of(ConvOperator(w, (4, 6), padding=1, **options)), weight)


def test_the_gradient_of_a_large_norm():
    weight = random_operator((4, 8), (3, 3), (30, 24)).weight
    op = ConvOperator(weight.clone().requires_grad_(), (30, 24), padding=1)
    (gradient,) = torch.autograd.grad(op.norm(tol=1e-9), op.weight)
    direction = random_operator((4, 8), (3, 3), (30, 24), seed=1).weight
    ahead, behind = (
        ConvOperator(weight + step * direction, (30, 24), padding=1).norm(tol=1e-10) for step in (1e-4, -1e-4)
    )
    torch.testing.assert_close((gradient * direction).sum(), (ahead - behind) / 2e-4, rtol=1e-5, atol=0.0)


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_what_has_no_singular_values():
    with pytest.raises(GeometryError, match="floating dtype"):
        ConvOperator(torch.ones(1, 1, 3, dtype=torch.int64), (5,)).norm()
    for size in (5, 2000):
        broken = ConvOperator(torch.tensor([[[1.0, math.nan, 1.0]]]), (size,))
        for ask in (broken.norm, broken.norm_bounds, broken.singular_values):
            with pytest.raises(GeometryError, match="not finite"):
                ask()
    with pytest.raises(GeometryError, match="k=0 is out of range"):
        ConvOperator(torch.ones(1, 1, 3), (5,)).singular_values(0)
    with pytest.raises(GeometryError, match="which='middle'"):
        ConvOperator(torch.ones(1, 1, 3), (5,)).singular_values(1, "middle")
    with pytest.raises(GeometryError, match="tol=2"):
        ConvOperator(torch.ones(2, 2, 3, 3), (50, 50)).norm(tol=2)


def test_a_dense_svd_that_does_not_fit_is_refused_at_once():
    op = ConvOperator(torch.ones(64, 64, 3, 3), (224, 200), padding=1)
    with pytest.raises(GeometryError, match=r"are free.*op.norm\(\).*not block-circulant: spatial axis 0: output 0"):
        op.singular_values()


def test_no_channels_no_norm():
    op = ConvOperator.of(Geometry((Axis.conv(5, 3),), in_channels=0, out_channels=2), torch.zeros(2, 0, 3))
    assert op.norm() == 0
    assert op.norm_bounds()[:2] == (0, 0)
    assert op.singular_values().shape == (0,)


def test_half_precision_is_computed_in_single():
    op = random_operator((2, 3), (3, 3), (8, 9), padding=1)
    half = op.to(torch.float16)
    expected = dense_values(half.to(DOUBLE))
    torch.testing.assert_close(half.singular_values().to(DOUBLE), expected, rtol=1e-5, atol=1e-5)
    assert convmat.dot_test(half)
