"""Spectra stay finite where outputs do."""

import pytest
import torch
import torch.nn.functional as F

import convmat


def transposed(x, weight):
    return F.conv_transpose2d(x, weight, stride=2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize(
    "scales", [(1e18, 1e18), (1e-18, 1e-18), (1e37, 1e-37), (1e-37, 1e37), (1e-40, 1e30), (1e30, 1.0)], ids=str
)
def test_large_and_small_numbers(scales, dtype):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 8, 7, 9, generator=generator).to(dtype) * scales[0]
    weight = torch.rand(8, 8, 3, 3, generator=generator).to(dtype) * scales[1]
    wide = torch.complex128 if dtype.is_complex else torch.float64
    for ours, theirs in (
        (convmat.conv2d(x, weight, method="fft"), F.conv2d(x.to(wide), weight.to(wide))),
        (convmat.conv_transpose2d(x, weight, stride=2, method="fft"), transposed(x.to(wide), weight.to(wide))),
    ):
        tolerance = 1e-5 if min(scales) > 1e-39 else 1e-3  # subnormal numbers have fewer digits
        assert (ours.to(wide) - theirs).abs().max() <= tolerance * theirs.abs().max()


def test_the_case_that_gave_nan():
    x, weight = torch.full((1, 8, 9, 9), 1e18), torch.full((4, 8, 3, 3), 1e18)
    output = convmat.conv2d(x, weight, method="fft")
    torch.testing.assert_close(output, torch.full_like(output, 72e36), rtol=1e-5, atol=0)


def test_gradients_of_large_numbers():
    x, weight = torch.full((1, 2, 5, 6), 1e17, requires_grad=True), torch.full((3, 2, 2, 2), 1e17, requires_grad=True)
    ours = torch.autograd.grad(convmat.conv2d(x, weight, method="fft").sum(), (x, weight))
    theirs = torch.autograd.grad(F.conv2d(x, weight).sum(), (x, weight))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=0)


def test_powers_of_two_are_undone_exactly():
    """Scaling the operands by powers of two scales the result by them, to the last bit."""
    x, weight = torch.randn(1, 2, 5, 6), torch.randn(3, 2, 2, 2)
    plain = convmat.conv2d(x, weight, method="fft")
    assert torch.equal(convmat.conv2d(x * 2.0**50, weight * 2.0**-70, method="fft"), plain * 2.0**-20)


def test_each_sample_of_vmap_by_itself():
    x, weight = (
        torch.randn(3, 1, 2, 5, 6) * torch.tensor([1e18, 1.0, 1e-18]).reshape(3, 1, 1, 1, 1),
        torch.randn(3, 2, 2, 2),
    )
    ours = torch.vmap(lambda one: convmat.conv2d(one, weight, method="fft"))(x)
    for one, sample in zip(ours, x, strict=True):
        expected = F.conv2d(sample, weight)
        assert (one - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_infinities_and_nothing():
    x = torch.zeros(1, 1, 4, 5)
    assert torch.equal(convmat.conv2d(x, torch.ones(1, 1, 2, 2), method="fft"), torch.zeros(1, 1, 3, 4))
    x[0, 0, 0, 0] = float("inf")
    assert not convmat.conv2d(x, torch.ones(1, 1, 2, 2), method="fft").isfinite().all()
