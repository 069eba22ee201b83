"""Transposed convolutions of a single cell: one matrix product, of which the padding crops a part."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from convmat import conv_transpose2d
from convmat.methods import numbers


def watch_crops(monkeypatch):
    """The tensors that are cropped, in the order of the calls."""
    cropped = []
    crop = numbers._needed_taps
    monkeypatch.setattr(
        numbers, "_needed_taps", lambda tensor, geometry: cropped.append(tensor) or crop(tensor, geometry)
    )
    return cropped


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("kernel", "padding", "output_padding"),
    [((3, 4), (1, 1), (1, 0)), ((3, 5), (1, 2), (0, 0)), ((2, 3), (0, 0), (0, 0)), ((4, 2), (0, 0), (0, 0))],
)
@pytest.mark.parametrize("batch", [1, 200])
def test_they_equal_pytorch(batch, kernel, padding, output_padding, dtype, channels_last, monkeypatch):
    cropped = watch_crops(monkeypatch)
    x, weight, bias = torch.randn(batch, 70, 1, 1), torch.randn(70, 6, *kernel), torch.randn(6)
    x, weight, bias = (tensor.to(dtype) for tensor in (x, weight, bias))
    if channels_last:
        x = x.expand(batch, 70, 1, 1).to(memory_format=torch.channels_last)
    for add in (None, bias):
        expected = F.conv_transpose2d(x, weight, add, 2, padding, output_padding)
        actual = conv_transpose2d(x, weight, add, 2, padding, output_padding, method="tiles")
        assert_close(actual, expected, rtol=1e-5, atol=1e-4)
    if numbers.computing.is_ready(dtype) and padding != (
        0,
        0,
    ):  # few inputs: a part of the product; many: of the weight
        assert {len(tensor) for tensor in cropped} == ({batch} if batch == 1 else {70})
