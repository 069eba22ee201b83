"""Richardson-Lucy, against scikit-image and a loop over dense matrices."""

import numpy as np
import pytest
import skimage.restoration
import torch

import convmat
from convmat import ConvOperator, GeometryError, blur_operator, crop_to_data, richardson_lucy


def random(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def gaussian(*sizes, deviation=1.5, dtype=torch.float64):
    psf = torch.ones((), dtype=dtype)
    for size in sizes:
        cells = torch.arange(size, dtype=dtype) - (size - 1) / 2
        psf = psf[..., None] * torch.exp(-((cells / deviation) ** 2) / 2)
    return psf / psf.sum()


def by_matrix(op, y, iterations, x):
    """The formula itself."""
    matrix = op.to_dense()
    for _ in range(iterations):
        x = x * (matrix.T @ (y / (matrix @ x))) / matrix.sum(0)
    return x


OPERATORS = {
    "rectangular": lambda: ConvOperator(random(1, 1, 3, 4), (9, 11)),
    "zeros": lambda: ConvOperator(random(1, 1, 3, 3), (9, 8), padding=1),
    "circular": lambda: ConvOperator(random(2, 2, 3, 3), (6, 5), padding=1, padding_mode="circular"),
    "strided": lambda: ConvOperator(random(2, 1, 3), (12,), stride=2, padding=1),
    "volume": lambda: ConvOperator(random(1, 1, 2, 3, 3), (5, 6, 7)),
    "large_kernel": lambda: ConvOperator(random(2, 1, 5, 6), (40, 35), padding=((2, 1), (0, 3)), groups=2),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_formula_and_what_it_keeps(name):
    op = OPERATORS[name]()
    y = 10 * random(2, *op.out_shape, seed=1)
    x0 = 0.1 + random(2, *op.in_shape, seed=2)
    found = richardson_lucy(op, y, 7, x0=x0)
    for i in range(2):
        expected = by_matrix(op, y[i].flatten(), 7, x0[i].flatten()).reshape(op.in_shape)
        torch.testing.assert_close(found.x[i], expected)
    assert (found.x >= 0).all()
    sums = (op @ found.x).flatten(1).sum(1)
    torch.testing.assert_close(sums, y.flatten(1).sum(1))
    assert found.iterations.tolist() == [7, 7]
    assert found.reason == ["all 7 iterations done"] * 2
    torch.testing.assert_close(found.residual, torch.linalg.vector_norm((y - op @ found.x).flatten(1), dim=1))


@pytest.mark.parametrize("method", ["auto", "native"])
def test_the_same_as_scikit_image_in_the_interior(method):
    """Its zero padding and its missing division by opᵀ 1 reach as far as 2 radii an iteration from the border."""
    radius, iterations, n, m = 2, 6, 96, 80
    psf, y = gaussian(5, 5) + 0.01 * random(5, 5), random(n, m, seed=3)
    psf = psf / psf.sum()
    theirs = skimage.restoration.richardson_lucy(y.numpy(), psf.numpy(), num_iter=iterations, clip=False)
    op = blur_operator(psf, (n, m))
    op = ConvOperator(op.weight, op.in_shape[1:], method=method)
    ours = richardson_lucy(op, y[None], iterations, x0=torch.full(op.in_shape, 0.5, dtype=torch.float64)).x
    ours = crop_to_data(ours, (n, m))[0].numpy()
    inner = 2 * radius * iterations
    inside = (slice(inner, -inner),) * 2
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=1e-9)
    assert not np.allclose(ours, theirs, rtol=1e-2)


@pytest.mark.parametrize("sizes", [(3,), (4,), (4, 3), (2, 5), (3, 2, 4)])
def test_even_and_anisotropic_psfs_keep_a_point_in_its_place(sizes):
    """Not normalised, and with its middle as SciPy's mode="same" has it."""
    import scipy.signal

    data = tuple(17 + a for a in range(len(sizes)))
    point = torch.zeros(data, dtype=torch.float64)
    place = tuple(7 + a for a in range(len(sizes)))
    point[place] = 100
    psf = gaussian(*sizes, deviation=1.0)
    blurred = torch.from_numpy(scipy.signal.convolve(point.numpy(), psf.numpy(), mode="same", method="direct"))
    restored = crop_to_data(richardson_lucy(5 * psf, blurred, 300).x, data)
    assert tuple(torch.nonzero(restored == restored.max())[0].tolist()) == place
    assert restored[place] > 90
    torch.testing.assert_close(restored.sum(), blurred.sum(), rtol=1e-6, atol=0)


def test_the_rectangular_operator_brightens_no_border():
    """A scene that goes on beyond the data: how far the flux near the border is off, by kind of operator."""
    psf = gaussian(9, 9, deviation=2.0)
    scene = (random(72, 68, seed=4) > 0.93).double() * 200 + 5
    data = (64, 60)
    y = torch.poisson((blur_operator(psf, data) @ scene[None]), generator=torch.Generator().manual_seed(5))[0]
    truth = crop_to_data(scene, data)
    border = torch.ones(data, dtype=torch.bool)
    border[4:-4, 4:-4] = False
    ours = crop_to_data(richardson_lucy(psf, y, 50).x, data)
    padded = richardson_lucy(ConvOperator(psf.flip(0, 1)[None, None], data, padding=4), y[None], 50).x[0]
    excess, padded_excess = (float(x[border].sum() / truth[border].sum()) - 1 for x in (ours, padded))
    assert padded_excess > 0.2
    assert abs(excess) < padded_excess / 3
    errors = [torch.linalg.vector_norm(x - truth) for x in (ours, padded)]
    assert errors[0] < errors[1]


def test_dark_data_makes_no_nan():
    psf = gaussian(5, 5, dtype=torch.float32)
    for method in ("auto", "native"):
        y = torch.zeros(2, 1, 40, 36)
        y[0, 0, 20, 10] = 1e4
        op = ConvOperator(blur_operator(psf, (40, 36)).weight, (44, 40), method=method)
        solution = richardson_lucy(op, y, 200)
        assert torch.isfinite(solution.x).all()
        assert (solution.x >= 0).all()
        torch.testing.assert_close((op @ solution.x[0]).sum(), y[0].sum(), rtol=1e-4, atol=0)
        assert solution.iterations.tolist() == [200, 0]
        assert solution.reason[1] == "y is zero, and so is x"
        assert solution.x[1].count_nonzero() == 0
        sparse = y.clone()
        sparse[0, 0, 5, 5] = 1e-30
        start = torch.zeros(2, *op.in_shape)
        start[:, :, :30, :30] = 1e-20
        assert torch.isfinite(richardson_lucy(op, sparse, 30, x0=start).x).all()


def test_stopping_by_relative_change_item_by_item():
    psf, y = gaussian(5), random(3, 40, seed=6)
    y[1] = 7.0
    seen = []
    solution = richardson_lucy(
        psf, y, 2000, stop=1e-3, callback=lambda iteration, x: seen.append((iteration, x.clone()))
    )
    assert solution.reason == ["relative change at most 0.001"] * 3
    assert solution.converged.all()
    assert solution.iterations[1] < solution.iterations[0] < 2000
    torch.testing.assert_close(seen[-1][1], solution.x)
    for i, last in enumerate(solution.iterations.tolist()):
        x, before = (dict(seen)[k][i] for k in (last, last - 1)) if last > 1 else (solution.x[i], solution.x[i])
        assert torch.linalg.vector_norm(x - before) <= 1e-3 * torch.linalg.vector_norm(before)


def test_stopping_by_discrepancy():
    psf, data, generator = gaussian(7, 7), (50, 45), torch.Generator().manual_seed(7)
    scene = 300 * (random(56, 51, seed=8) > 0.9).double() + 10
    mean = (blur_operator(psf, data) @ scene[None])[0]
    counts = torch.poisson(mean, generator=generator)
    solution = richardson_lucy(psf, counts, 1000, stop="discrepancy")
    assert solution.reason == "discrepancy: op @ x is as near to y as Poisson noise allows"
    image = (blur_operator(psf, data) @ solution.x[None])[0]
    deviance = 2 * (torch.xlogy(counts, counts / image) - counts + image).mean()
    assert 0.9 < deviance <= 1
    assert 1 < solution.iterations < 1000
    noisy = (mean + 3 * torch.randn(data, dtype=torch.float64, generator=generator)).clamp(min=0)
    solution = richardson_lucy(psf, noisy, 1000, stop="discrepancy", noise=3.0)
    assert solution.residual <= 3 * (50 * 45) ** 0.5
    assert solution.reason.endswith("Gaussian noise of 3 allows")
    with pytest.warns(RuntimeWarning, match="all 2 iterations done before the stopping rule held"):
        solution = richardson_lucy(psf, noisy, 2, stop="discrepancy", noise=1e-3)
    assert not solution.converged


def test_cells_that_no_data_sees_keep_their_value():
    op = ConvOperator(torch.tensor([[[1.0, 1.0]]]), (7,), stride=3)
    x = richardson_lucy(op, torch.tensor([[4.0, 6.0]]), 5).x
    torch.testing.assert_close(x, torch.tensor([[2.0, 2.0, 2.5, 3.0, 3.0, 2.5, 2.5]]))


@pytest.mark.parametrize(
    ("psf", "y", "options", "error", "says"),
    [
        (
            torch.ones(15, 15, 31),
            torch.ones(31, 15, 15),
            {},
            GeometryError,
            "psf 15 x 15 x 31 on data 31 x 15 x 15: .*permute",
        ),
        (torch.ones(9), torch.ones(5), {}, GeometryError, "psf 9 on data 5.*crop it"),
        (torch.ones(3, 3), torch.ones(5), {}, GeometryError, "the PSF has more axes"),
        (torch.zeros(3), torch.ones(5), {}, GeometryError, "psf is zero everywhere"),
        (torch.tensor([1.0, -1, 3]), torch.ones(5), {}, GeometryError, "psf has 1 negative values, down to -1"),
        (torch.ones(3), torch.tensor([1.0, -2, 3]), {}, GeometryError, "y has 1 negative values, down to -2.*subtract"),
        (torch.ones(3), torch.tensor([1.0, torch.nan, 3]), {}, GeometryError, "y has values that are NaN"),
        (torch.ones(3), torch.ones(5, dtype=torch.int32), {}, TypeError, "y must be floating-point"),
        (torch.ones(3), np.ones(5), {}, TypeError, "y must be a torch.Tensor"),
        (np.ones(3), torch.ones(5), {}, TypeError, "op must be a ConvOperator or a PSF"),
        (torch.ones(3), torch.ones(5), {"stop": "never"}, GeometryError, "stop='never' is unknown"),
        (torch.ones(3), torch.ones(5), {"noise": -1.0}, GeometryError, "noise=-1.0 is unknown"),
        (torch.ones(3), torch.ones(5), {"iterations": -1}, GeometryError, "iterations=-1 must be at least 0"),
        (torch.ones(3), torch.ones(5), {"x0": torch.ones(5)}, GeometryError, r"x0 of shape \(5,\): need \(7,\)"),
        (ConvOperator(-torch.ones(1, 1, 3), (7,)), torch.ones(1, 5), {}, GeometryError, "weight has 3 negative values"),
        (ConvOperator(torch.zeros(1, 1, 3), (7,)), torch.ones(1, 5), {}, GeometryError, "weight is zero everywhere"),
        (
            ConvOperator(torch.ones(1, 1, 3), (7,)),
            torch.ones(1, 6),
            {},
            GeometryError,
            r"y of shape \(1, 6\).*\(1, 7\)",
        ),
    ],
)
def test_bad_input(psf, y, options, error, says):
    with pytest.raises(error, match=says) as caught:
        richardson_lucy(psf, y, **options)
    assert len(str(caught.value)) <= 500


def test_public():
    assert {"richardson_lucy", "blur_operator", "crop_to_data"} <= set(convmat.__all__)
