"""Promises about memory, measured; each in a process of its own."""

import json
import re
from functools import cache
from math import prod
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

import convmat
from convmat import GeometryError
from tests.layers import Layer, reference
from tests.scripts import result_of

LAYERS = {
    "more channels": {"in_channels": 8, "out_channels": 16},
    "fewer channels": {"in_channels": 16, "out_channels": 4},
    "many from one": {"in_channels": 1, "out_channels": 32},
    "one from many": {"in_channels": 32, "out_channels": 1},
    "grouped": {"in_channels": 8, "out_channels": 16, "groups": 2},
    "strided": {"in_channels": 8, "out_channels": 16, "stride": 2},
}
SCRIPT = Path(__file__).parent / "measure_columns.py"
LIMITS = [2**15, 2**17, 2**18, 2**20]
UNLIMITED = 2**40
COMMON = {"sizes": (28, 32), "kernel": (3, 5), "padding": (1, 2), "stride": 1, "groups": 1}
ALIGNMENT = 2048  # bytes to round up a few small tensors


CASES = [(name, transposed) for name in LAYERS for transposed in (False, True)]
every_case = pytest.mark.parametrize(("name", "transposed"), CASES)


@cache
def peaks() -> dict[tuple[str, bool], dict[int, dict[str, int]]]:
    """For every case, by limit: the most memory in the forward and in the backward pass."""
    calls = [
        {**COMMON, **LAYERS[name], "transposed": transposed, "limit": limit}
        for name, transposed in CASES
        for limit in [*LIMITS, UNLIMITED]
    ]
    measured = iter(result_of(SCRIPT, json.dumps(calls)))
    return {case: {limit: next(measured) for limit in [*LIMITS, UNLIMITED]} for case in CASES}


def beyond_what_it_takes_anyway(name: str, transposed: bool) -> dict[str, dict[int, int]]:
    """For both passes, by limit: the most memory besides input, weight, output and the padded copy."""
    arguments = {**COMMON, **LAYERS[name]}
    channels = arguments.pop("in_channels"), arguments.pop("out_channels")
    layer = Layer(**arguments, transposed=transposed, channels=channels)
    input = 4 * 2 * layer.channels[0] * prod(layer.sizes)
    output = 4 * 2 * layer.channels[1] * prod(layer.out_sizes)
    weight = 4 * prod(layer.weight_shape)
    padded = 4 * 2 * layer.channels[transposed] * prod(lo + m + hi for lo, hi, _, m, _ in layer.numbers())
    anyway = {
        "forward": output + padded + ALIGNMENT,
        # the gradients of both operands, and a weight more to sum in
        "backward": input + 2 * weight + padded + ALIGNMENT,
    }
    measured = peaks()[name, transposed]
    return {which: {limit: taken[which] - anyway[which] for limit, taken in measured.items()} for which in anyway}


@pytest.mark.parametrize("which", ["forward", "backward"])
@every_case
def test_columns_stay_under_their_limit(name, transposed, which):
    beyond = beyond_what_it_takes_anyway(name, transposed)[which]
    assert {limit: beyond[limit] for limit in LIMITS if beyond[limit] > limit} == {}


@pytest.mark.parametrize("which", ["forward", "backward"])
@pytest.mark.parametrize("transposed", [False, True], ids=["direct", "transposed"])
@pytest.mark.parametrize("name", ["more channels", "fewer channels", "grouped"])
def test_columns_would_take_more_without_a_limit(name, transposed, which):
    beyond = beyond_what_it_takes_anyway(name, transposed)[which]
    assert all(beyond[UNLIMITED] > limit for limit in LIMITS if limit <= 2**18)
    assert all(beyond[UNLIMITED] > 2 * beyond[limit] for limit in LIMITS if limit <= 2**17)


@pytest.mark.parametrize("transposed", [False, True], ids=["direct", "transposed"])
@pytest.mark.parametrize("groups", [1, 2])
def test_smallest_limit(transposed, groups):
    """The error names a limit; it suffices, and one byte less does not."""
    layer = Layer(sizes=(5, 4), kernel=(3, 2), groups=groups, channels=(2, 4), transposed=transposed)
    x, weight, bias = (tensor.requires_grad_() for tensor in layer.tensors(2))
    with pytest.raises(GeometryError, match=r"column_memory\(1\) is too small") as error, convmat.column_memory(1):
        layer(x, weight, bias, method="unfold")
    smallest = int(re.findall(r"(\d+)$", str(error.value))[0])
    columns = layer.channels[transposed] * prod(layer.kernel) * x.element_size()
    assert smallest >= columns
    with pytest.raises(GeometryError, match="too small"), convmat.column_memory(smallest - 1):
        layer(x, weight, bias, method="unfold")
    with convmat.column_memory(smallest):
        output = layer(x, weight, bias, method="unfold")
    theirs = reference(layer, x, weight, bias)
    assert_close(output, theirs)
    for ours, expected in zip(
        torch.autograd.grad(output.sum(), (x, weight, bias)),
        torch.autograd.grad(theirs.sum(), (x, weight, bias)),
        strict=True,
    ):
        assert_close(ours, expected)


@pytest.mark.parametrize("limit", [200, 700, 1500, 5000, 2**30])
@pytest.mark.parametrize("transposed", [False, True], ids=["direct", "transposed"])
def test_any_limit_gives_the_same_numbers(limit, transposed):
    """Cut along the batch, along the first axis, or along the last: the same sums, and the same derivatives."""
    layer = Layer(sizes=(5, 6), kernel=(2, 3), stride=(1, 2), padding=1, transposed=transposed, channels=(1, 2))
    x, weight, bias = (tensor.requires_grad_() for tensor in layer.tensors(3))
    with convmat.column_memory(limit):
        ours = layer(x, weight, bias, method="unfold")
    theirs = reference(layer, x, weight, bias)
    assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    cotangent = torch.randn(ours.shape, dtype=ours.dtype)
    for our, their in zip(
        torch.autograd.grad(ours, (x, weight, bias), cotangent),
        torch.autograd.grad(theirs, (x, weight, bias), cotangent),
        strict=True,
    ):
        assert_close(our, their, rtol=1e-9, atol=1e-9)


def test_limit_ends_with_its_context():
    x, weight = torch.ones(1, 1, 4), torch.ones(1, 1, 3)
    with convmat.column_memory(1), pytest.raises(GeometryError, match="too small"):
        convmat.conv1d(x, weight, method="unfold")
    assert convmat.conv1d(x, weight, method="unfold").shape == (1, 1, 2)
