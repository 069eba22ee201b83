"""Winograd's form against PyTorch: the same numbers from fewer products, and how far off they may be."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from convmat import Geometry
from convmat.checking.measure import peak_bytes
from convmat.kernel import compiled
from convmat.kernel import schedule as kernel_schedule
from convmat.kernel.tiling import winograd
from tests.kernel.kernels import ACTIVATIONS, computed, geometry_of, plan_for, transformed_layers, watched_outputs
from tests.layers import Layer, direct_reference, transposed_reference

pytestmark = pytest.mark.skipif(not compiled.is_installed(), reason="needs Numba")


def reference(layer, input, weight):
    return (transposed_reference if layer.transposed else direct_reference)(layer, input, weight)


def transposed_layer(**options):
    return Layer(**options, transposed=True)


def small_integers(layer, batch):
    """Sums and products of these are exact, halves and quarters of them as well."""
    shapes = (batch, layer.channels[0], *layer.sizes), layer.weight_shape, (layer.channels[1],)
    return tuple(torch.randint(-4, 5, shape).float() for shape in shapes)


@settings(derandomize=True, deadline=None)
@given(
    case=transformed_layers(),
    batch=st.sampled_from([1, 1, 2, 5]),
    threads=st.integers(1, 4),
    window=st.sampled_from([None, 1 << 11, 1 << 13, 1 << 15]),
    whim=st.none() | st.integers(0, 99),
    non_temporal=st.booleans(),
    has_gaps=st.booleans(),
    activation=st.sampled_from([None, *ACTIVATIONS]),
    most_factors=st.sampled_from([1 << 17, 5_000, 1]),
)
@example(  # the phases start together along the height only
    case=(transposed_layer(sizes=(5, 6), kernel=(4, 4), stride=2, padding=(0, 1), channels=(8, 8)), 2),
    batch=1,
    threads=1,
    window=None,
    whim=None,
    non_temporal=False,
    has_gaps=False,
    activation=None,
    most_factors=1,
)
def test_every_number(case, batch, threads, window, whim, non_temporal, has_gaps, activation, most_factors):
    layer, transformed = case
    # A vector of four numbers is too short for a dilation of five.
    assume(transformed in winograd.forms(geometry_of(layer), compiled.processor(torch.float32, 1).lanes))
    input, weight, bias = small_integers(layer, batch)
    if has_gaps:  # between images, channels and rows; what is there is not to be read
        larger = input.new_full([size + 3 for size in input.shape], torch.nan)
        input = larger[tuple(slice(1, -2) for _ in input.shape)].copy_(input)
    plan = plan_for(layer, batch, torch.float32, threads, window, whim, transformed)
    streamed = patch.object(kernel_schedule, "_STREAMED", 0 if non_temporal else 1 << 60)
    at_once = patch.object(winograd, "_MOST_FACTORS", most_factors)
    with streamed, at_once, watched_outputs():
        output = computed(plan, input, weight, bias, threads, activation)
    expected = reference(layer, input.double(), weight.double()) + bias.double().reshape(-1, *(1,) * layer.ndim)
    if activation is not None:
        expected = ACTIVATIONS[activation](layer.channels[1])[0].double()(expected)
    assert torch.equal(output.double(), expected)


@pytest.mark.parametrize("groups", [1, 2, 32])
@pytest.mark.parametrize("layer", [Layer, transposed_layer])
def test_packing_takes_little_more_memory_than_what_is_packed(layer, groups):
    layer = layer(sizes=(7, 8), kernel=(3, 3), padding=1, channels=(512, 512), groups=groups)
    weight = torch.randn(layer.weight_shape)
    plan, kernel = plan_for(layer, 1, torch.float32, transformed=2), compiled.kernel(torch.float32)
    packed = plan.pack(kernel, weight, 1).nbytes
    assert packed >= 16 / 9 * weight.nbytes
    assert peak_bytes(lambda: plan.pack(kernel, weight, 1)) <= packed + (2 << 20)


ERRORS = {
    "2d": (Layer(sizes=(30, 37), kernel=(3, 3), padding=1, channels=(64, 48)), 2),
    "2d, many channels": (Layer(sizes=(9, 14), kernel=(3, 3), padding=1, channels=(512, 64)), 2),
    "2d, along the width": (Layer(sizes=(30, 37), kernel=(3, 3), padding=1, channels=(64, 48)), 1),
    "3d": (Layer(sizes=(6, 11, 16), kernel=(3, 3, 3), padding=1, channels=(32, 24)), 2),
    "1d": (Layer(sizes=(700,), kernel=(3,), padding=1, channels=(128, 32)), 1),
    "1d, 7 taps": (Layer(sizes=(700,), kernel=(7,), padding=3, dilation=(3,), channels=(64, 32)), 1),
    "1d, 11 taps": (Layer(sizes=(700,), kernel=(11,), padding=5, channels=(64, 32)), 1),
    "transposed": (Layer(sizes=(21, 34), kernel=(3, 3), padding=1, channels=(64, 48), transposed=True), 2),
    "two taps": (transposed_layer(sizes=(11, 17), kernel=(4, 4), stride=2, padding=1, channels=(64, 48)), 2),
    "two taps, many channels": (
        transposed_layer(sizes=(5, 8), kernel=(4, 4), stride=2, padding=1, channels=(512, 64)),
        2,
    ),
    "two taps, along the width": (
        transposed_layer(sizes=(11, 17), kernel=(4, 4), stride=2, padding=1, channels=(64, 48)),
        1,
    ),
    "two taps, 3d": (transposed_layer(sizes=(6, 5, 8), kernel=(4, 4, 4), stride=2, padding=1, channels=(32, 24)), 2),
    "two taps, 1d": (transposed_layer(sizes=(90,), kernel=(16,), stride=8, padding=4, channels=(128, 32)), 1),
    "two taps, direct": (Layer(sizes=(22, 34), kernel=(4, 4), stride=2, padding=1, channels=(64, 48)), 2),
    "two taps, direct, many channels": (
        Layer(sizes=(10, 16), kernel=(4, 4), stride=2, padding=1, channels=(512, 64)),
        2,
    ),
    "two taps, direct, along the width": (
        Layer(sizes=(22, 34), kernel=(4, 4), stride=2, padding=1, channels=(64, 48)),
        1,
    ),
    "two taps and one": (Layer(sizes=(720,), kernel=(3,), stride=2, padding=1, channels=(128, 32)), 1),
    "two taps, direct, 1d": (Layer(sizes=(720,), kernel=(16,), stride=8, padding=4, channels=(128, 32)), 1),
}


def like_an_image(shape):
    """Smooth, positive, with edges and flat areas, as activations of images are."""
    steps = [torch.linspace(0, 3 + n, size) for n, size in enumerate(shape[2:])]
    grid = sum(torch.meshgrid(*steps, indexing="ij"))
    channels = torch.arange(shape[1]).reshape(-1, *(1,) * len(steps))
    return (torch.sin(grid + channels).relu() * 5 + (grid > 2) * 3.0).expand(shape).contiguous()


@pytest.mark.parametrize("looks", ["random", "like an image"])
@pytest.mark.parametrize(("layer", "transformed"), ERRORS.values(), ids=ERRORS.keys())
def test_the_error_is_at_most_twice_that_of_pytorch(layer, transformed, looks):
    torch.manual_seed(0)
    input, weight, _ = layer.tensors(1, dtype=torch.float32)
    if looks != "random":
        input = like_an_image(input.shape)
    exact = reference(layer, input.double(), weight.double())
    output = computed(plan_for(layer, 1, torch.float32, transformed=transformed), input, weight, None)
    errors = [(numbers.double() - exact).square().mean() for numbers in (output, reference(layer, input, weight))]
    assert errors[0].sqrt() <= 2 * errors[1].sqrt()


def with_an_infinity(layer):
    """In Winograd's form over both axes: the output where input (5, 8) is infinite, and where it is not."""
    input, weight, _ = layer.tensors(1, dtype=torch.float32)
    infinite = input.clone()
    infinite[0, 3, 5, 8] = torch.inf
    plan = plan_for(layer, 1, torch.float32, transformed=2)
    return [computed(plan, operand, weight, None) for operand in (infinite, input)]


def test_an_infinity_stays_in_the_cells_that_read_it():
    """Outputs come in twos along each axis, so the other one of a cell may become NaN as well, and no further one."""
    output, expected = with_an_infinity(Layer(sizes=(12, 20), kernel=(3, 3), padding=1, channels=(8, 8)))
    touched = torch.zeros(12, 20, dtype=torch.bool)
    touched[4:8, 6:10] = True
    assert not output[..., 4:7, 7:10].isfinite().any()
    assert torch.equal(output[..., ~touched], expected[..., ~touched])


@pytest.mark.parametrize(
    ("layer", "shape", "rows", "columns"),
    [(transposed_layer, (24, 40), (9, 13), (15, 19)), (Layer, (6, 10), (2, 4), (3, 5))],
)
def test_with_two_taps_an_infinity_stays_in_the_outputs_that_read_it(layer, shape, rows, columns):
    layer = layer(sizes=(12, 20), kernel=(4, 4), stride=2, padding=1, channels=(8, 8))
    output, expected = with_an_infinity(layer)
    readers = torch.zeros(shape, dtype=torch.bool)
    readers[slice(*rows), slice(*columns)] = True
    assert not output[..., readers].isfinite().any()
    assert torch.equal(output[..., ~readers], expected[..., ~readers])


def geometry_with(**options):
    return Geometry.conv((12, 10), **{"kernel_size": 3, "in_channels": 16, "out_channels": 16, **options})


def transposed_geometry_with(**options):
    channels = {"in_channels": 16, "out_channels": 16}
    return Geometry.conv_transpose((6, 5), **{"kernel_size": 4, "stride": 2, **channels, **options})


FORMS = [
    (geometry_with(padding=(3, 0)), (1, 2)),
    (geometry_with(groups=2), (1, 2)),
    (geometry_with(kernel_size=(3, 5)), (1,)),
    (geometry_with(kernel_size=(2, 3), stride=(2, 1)), (1,)),
    (geometry_with(kernel_size=(3, 2)), ()),
    (geometry_with(dilation=(3, 2)), (1, 2)),
    (geometry_with(dilation=(1, 4), padding=2), (1, 2)),
    (geometry_with(dilation=(6, 1), padding=(6, 1)), (1, 2)),
    (geometry_with(dilation=(1, 6), padding=6), ()),
    (geometry_with(groups=4), ()),  # too few channels in a group
]


STRIDED_FORMS = [
    (geometry_with(stride=(1, 2)), (1,)),
    (geometry_with(stride=2), (1,)),
    (geometry_with(stride=2, kernel_size=4), (1, 2)),
    (geometry_with(stride=2, kernel_size=4, padding=(3, 0), groups=2), (1, 2)),
    (geometry_with(stride=(3, 4), kernel_size=(6, 8), padding=3), (1,)),
    (geometry_with(stride=2, kernel_size=(3, 4)), (1,)),
    (geometry_with(stride=2, kernel_size=(4, 5)), ()),
    (geometry_with(stride=3, kernel_size=6), ()),
    (geometry_with(stride=2, kernel_size=4, dilation=(1, 2)), ()),
    (geometry_with(stride=2, kernel_size=4, groups=4), ()),  # too few channels in a group
]
TRANSPOSED_FORMS = [
    (transposed_geometry_with(padding=1), (1, 2)),
    (transposed_geometry_with(padding=(3, 0), output_padding=1, groups=2), (1, 2)),
    (transposed_geometry_with(kernel_size=(14, 4), stride=(7, 2)), (1, 2)),
    (transposed_geometry_with(kernel_size=16, stride=8), (1,)),
    (transposed_geometry_with(kernel_size=(3, 4)), (1,)),
    (transposed_geometry_with(kernel_size=(3, 4), stride=(1, 2)), (1,)),
    (transposed_geometry_with(kernel_size=(4, 3)), ()),
    (transposed_geometry_with(kernel_size=(4, 3), stride=(2, 1)), (1,)),
    (transposed_geometry_with(dilation=(1, 3)), ()),
    (transposed_geometry_with(dilation=(3, 1)), (1,)),
    (transposed_geometry_with(kernel_size=14, stride=7), ()),
    (transposed_geometry_with(groups=4), ()),  # too few channels in a group
]


@pytest.mark.parametrize(("geometry", "forms"), FORMS)
def test_which_forms_there_are(geometry, forms):
    assert winograd.forms(geometry, 8) == winograd.forms(geometry.transpose(), 8) == forms


@pytest.mark.parametrize(("geometry", "forms"), [*STRIDED_FORMS, *TRANSPOSED_FORMS])
def test_which_forms_there_are_of_two_taps(geometry, forms):
    assert winograd.forms(geometry, 8) == forms


def test_what_is_not_contiguous_or_not_in_single_precision_has_no_such_form():
    geometry = Geometry.conv((64, 64), 3, padding=1, in_channels=64, out_channels=64)
    for dtype, contiguous, transformed in (
        (torch.float32, True, 2),
        (torch.float32, False, 0),
        (torch.float64, True, 0),
    ):
        schedule = kernel_schedule.Schedule(geometry, 1, compiled.processor(dtype, 1), contiguous)
        assert schedule.rows.transformed == transformed
