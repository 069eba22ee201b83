"""A layer passes on inputs that PyTorch's own function computes best, until something changes."""

import copy
import pickle

import pytest
import torch
from torch import nn

import convmat
from convmat.kernel import compiled
from convmat.nn import passing


def that_has_computed(kind):
    """A layer of a kind, which has seen an input like the one below."""
    torch.manual_seed(0)
    made = kind(4, 6, (3, 2), 2, 1, method="native")
    made(torch.randn(2, 4, 9, 12))
    return made


@pytest.fixture
def layer():
    return that_has_computed(convmat.nn.Conv2d)


@pytest.fixture
def transposed():
    return that_has_computed(convmat.nn.ConvTranspose2d)


@pytest.fixture
def input():
    torch.manual_seed(1)
    return torch.randn(2, 4, 9, 12)


def is_passed_on(layer, input):
    """``None`` where nobody knows yet."""
    kind = passing.kind_of_input(layer, input)
    return passing.format_of_output(layer, kind) is not None if passing.is_known(layer, kind) else None


def by_pytorch(layer, input):
    return nn.functional.conv2d(input, layer.weight, layer.bias, layer.stride, layer.padding)


def test_what_was_native_once_is_passed_on(layer, input):
    assert is_passed_on(layer, input)
    assert torch.equal(layer(input), by_pytorch(layer, input))
    with torch.no_grad():
        layer.weight.mul_(2)
    assert torch.equal(layer(input), by_pytorch(layer, input))


def test_another_kind_of_input_is_not(layer, input):
    others = {
        "size": input[..., :-1],
        "strides": input.movedim(1, -1).contiguous().movedim(-1, 1),
        "dtype": input.double(),
        "batch": input[0],
        "device": input.to("meta"),
    }
    for what, other in others.items():
        assert not is_passed_on(layer, other), what
    with torch.no_grad():
        assert not is_passed_on(layer, input)


def test_other_devices_have_kinds_of_their_own(layer, input):
    there, elsewhere = layer.to("meta"), input.to("meta")
    assert there(elsewhere).is_meta
    assert is_passed_on(there, elsewhere)


def test_channels_last_stay_last(layer, input):
    channels_last = input.contiguous(memory_format=torch.channels_last)
    for _ in range(3):
        output = layer(channels_last)
        assert output.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(output, layer(input))
    assert is_passed_on(layer, channels_last)


def test_a_single_input_has_no_batch(layer, input):
    for _ in range(3):
        torch.testing.assert_close(layer(input[0]), layer(input)[0])


@pytest.mark.parametrize(
    ("name", "value"), [("method", "fft"), ("padding", ((1, 0), (2, 1))), ("padding_mode", "circular")]
)
def test_a_layer_that_is_changed_computes_what_it_says(layer, input, name, value):
    setattr(layer, name, value)
    assert not is_passed_on(layer, input)
    options = {"padding_mode": layer.padding_mode, "method": layer.method}
    expected = convmat.conv2d(input, layer.weight, layer.bias, layer.stride, layer.padding, **options)
    for _ in range(2):
        torch.testing.assert_close(layer(input), expected)


def test_the_kernel_is_passed_by_nobody(input):
    layer = convmat.nn.Conv2d(4, 6, 3, method="tiles")
    with torch.no_grad():
        for _ in range(2):
            layer(input)
        assert is_passed_on(layer, input) is False or not compiled.is_installed()


def test_copies_and_pickles_know_nothing(layer, input):
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert is_passed_on(other, input) is None
        assert torch.equal(other(input), layer(input))


def test_it_is_forgotten_with_the_layer_and_bounded(layer):
    for width in range(3, 90):
        layer(torch.randn(1, 4, 5, width))
        assert len(passing._known[layer]) <= 64
    convmat.empty_cache()
    assert layer not in passing._known


def test_a_subclass_with_a_function_of_its_own_still_computes_by_it(input):
    class Doubled(convmat.nn.Conv2d):
        def _conv_forward(self, input, weight, bias):
            return super()._conv_forward(input, 2 * weight, bias)

    layer = Doubled(4, 6, 3, bias=False, method="native")
    for _ in range(3):
        torch.testing.assert_close(layer(input), 2 * nn.functional.conv2d(input, layer.weight))


def test_transposed_layers_are_passed_on_too(transposed, input):
    assert is_passed_on(transposed, input)
    expected = nn.functional.conv_transpose2d(input, transposed.weight, transposed.bias, 2, 1)
    assert torch.equal(transposed(input), expected)
    channels_last = input.contiguous(memory_format=torch.channels_last)
    for _ in range(2):
        output = transposed(channels_last)
        assert output.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(output, expected)


def test_a_wanted_size_is_computed_as_it_says(transposed, input):
    assert transposed(input).shape == (2, 6, 17, 22)
    assert transposed(input, output_size=(18, 23)).shape == (2, 6, 18, 23)
    assert transposed(input).shape == (2, 6, 17, 22)


@pytest.mark.parametrize(
    ("name", "value"), [("method", "fft"), ("padding", ((1, 0), (2, 1))), ("output_padding", (1, 1))]
)
def test_a_transposed_layer_that_is_changed_computes_what_it_says(transposed, input, name, value):
    setattr(transposed, name, value)
    assert not is_passed_on(transposed, input)
    others = transposed.stride, transposed.padding, transposed.output_padding
    expected = convmat.conv_transpose2d(input, transposed.weight, transposed.bias, *others, method=transposed.method)
    for _ in range(2):
        torch.testing.assert_close(transposed(input), expected)


def test_padding_that_pytorchs_layer_lacks_is_passed_on_to_nobody(input):
    layer = convmat.nn.ConvTranspose2d(4, 6, 3, padding=((1, 0), (0, 1)), method="native")
    for _ in range(2):
        torch.testing.assert_close(layer(input), layer(input, output_size=(10, 13)))
    assert is_passed_on(layer, input) is False


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_frozen_weight_is_computed_once_all_the_same(kind, input):
    layer = nn.utils.parametrizations.weight_norm(kind(4, 6, 3))
    convmat.accelerate(layer, method="native", freeze=True)
    computed = []
    layer.parametrizations.weight[0].register_forward_hook(lambda *_: computed.append(1))
    with torch.no_grad():
        outputs = [layer(input) for _ in range(3)]
    assert len(computed) <= 1
    torch.testing.assert_close(outputs[0], outputs[2])
