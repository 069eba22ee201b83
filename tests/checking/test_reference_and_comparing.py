"""PyTorch's own answers, the comparison with them, and what is measured there."""

import math

import pytest
import torch
import torch.nn.functional as F

from convmat import Geometry
from convmat.checking.comparing import compare_methods
from convmat.checking.measure import median_seconds, peak_bytes
from convmat.checking.reference import reference
from convmat.methods import METHODS, native
from convmat.tensors.memory import available, human


def test_reference_is_pytorchs_own_function_where_there_is_one():
    x, y = torch.randn(2, 4, 7, 9, dtype=torch.float64), torch.randn(2, 6, 4, 3, dtype=torch.float64)
    weight = torch.randn(6, 2, 3, 2, dtype=torch.float64)
    direct = Geometry.conv((7, 9), (3, 2), 2, 1, groups=2, in_channels=4, out_channels=6)
    torch.testing.assert_close(reference(direct, x, weight), F.conv2d(x, weight, None, 2, 1, 1, 2))
    transposed = Geometry.conv_transpose((4, 3), (3, 2), 2, 1, 1, 2, in_channels=6, out_channels=4)
    torch.testing.assert_close(
        reference(transposed, y, weight), F.conv_transpose2d(y, weight, None, 2, 1, output_padding=1, groups=2)
    )


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_reference_pads_as_pytorch_does(mode):
    x, weight = torch.randn(2, 1, 5, 6, 4), torch.randn(1, 1, 3, 2, 3)
    geometry = Geometry.conv((5, 6, 4), (3, 2, 3), padding=((1, 2), (0, 1), (3, 0)), padding_mode=mode)
    torch.testing.assert_close(
        reference(geometry, x, weight), F.conv3d(F.pad(x, (3, 0, 0, 1, 1, 2), mode=mode), weight)
    )


@pytest.mark.parametrize("transposed", [False, True])
def test_every_method_is_compared(transposed):
    geometry = Geometry.conv((9, 8), (3, 2), stride=2, padding=1, in_channels=2, out_channels=3)
    results = list(compare_methods(geometry.transpose() if transposed else geometry, repeats=1))
    assert [result.method for result in results] == list(METHODS)
    assert all(result.max_error < 1e-5 and result.seconds > 0 and result.peak > 0 for result in results)


def test_a_wrong_method_is_found_out(monkeypatch):
    def prepare(geometry, call):
        right = native.prepare(geometry, call)
        return lambda *tensors: right(*tensors) + 1

    wrong = METHODS["native"].__class__("native", "", prepare, lambda *_: None)
    monkeypatch.setitem(METHODS, "native", wrong)
    (result,) = compare_methods(Geometry.conv((5, 6), 3), methods=["native"])
    assert result.max_error == pytest.approx(1, abs=1e-4)


def test_refusals_are_reported_not_raised():
    geometry = Geometry.conv((3000, 4000), 3, padding=1)
    (result,) = compare_methods(geometry, methods=["dense"])
    assert "12000000 x 12000000" in result.refused
    assert math.isnan(result.max_error)


def test_peak_counts_what_is_held_together():
    one = 4 * 1000 * 1000

    def three_at_a_time():
        first = torch.ones(1000, 1000)
        second = first + 1
        return first + second

    def one_after_the_other():
        for _ in range(5):
            torch.ones(1000, 1000)

    assert peak_bytes(three_at_a_time) == pytest.approx(3 * one, rel=0.01)
    assert peak_bytes(one_after_the_other) == pytest.approx(one, rel=0.01)


def test_time_is_the_median_after_a_warm_up():
    calls = []
    assert median_seconds(lambda: calls.append(1), repeats=5) >= 0
    assert len(calls) == 6


def test_memory_of_this_machine():
    free = available(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50
    assert available(torch.device("meta")) is None


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (3 * 2**30, "3.0 GiB"),
        (2**60, "1.0 EiB"),
        (2**80, "1048576.0 EiB"),
    ],
)
def test_sizes_for_people(size, text):
    assert human(size) == text
