"""Calls made before take a short way: it must never be taken where something is different."""

import pytest
import torch
import torch.nn.functional as F

import convmat
from convmat import GeometryError
from convmat.nn import ConvTranspose2d
from convmat.planning import shortcuts


@pytest.fixture(autouse=True)
def none_known():
    convmat.empty_cache()
    yield
    convmat.empty_cache()


def tensors(dtype=torch.float32):
    torch.manual_seed(0)
    return torch.randn(2, 6, 5, 7, dtype=dtype), torch.randn(6, 4, 4, 4, dtype=dtype), torch.randn(4, dtype=dtype)


def known():
    return len(shortcuts._known)


@pytest.fixture
def long_way(monkeypatch):
    """How often the long way was taken."""
    from convmat.functional import convolving

    taken, run = [], convolving.run

    def counting(*arguments):
        taken.append(arguments)
        return run(*arguments)

    monkeypatch.setattr(convolving, "run", counting)
    return taken


@pytest.mark.parametrize("method", ["auto", "tiles", "native"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_second_call_is_short_and_equal(method, channels_last, long_way):
    input, weight, bias = tensors()
    if channels_last:
        input = input.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        outputs = [convmat.conv_transpose2d(input, weight, bias, 2, 1, method=method) for _ in range(3)]
    assert len(long_way) == 1
    assert all(torch.equal(output, outputs[0]) and output.stride() == outputs[0].stride() for output in outputs)
    torch.testing.assert_close(outputs[2], F.conv_transpose2d(input, weight, bias, 2, 1))


SHORT = {
    **{method: {"method": method} for method in convmat.available_methods()},
    "circular": {"padding_mode": "circular"},
    "reflect": {"padding_mode": "reflect", "method": "phases"},
    "two ends": {"padding": ((0, 1), (1, 0)), "method": "native"},
}


@pytest.mark.parametrize("options", SHORT.values(), ids=SHORT.keys())
@pytest.mark.parametrize("place", ["contiguous", "channels last", "one number apart", "odd strides"])
@pytest.mark.parametrize("direction", ["conv2d", "conv_transpose2d"])
def test_every_method_in_both_directions_is_short_the_second_time(direction, options, place, long_way):
    input, weight, bias = tensors()
    if direction == "conv2d":
        weight, bias = weight.transpose(0, 1).contiguous(), torch.randn(4)
    places = {
        "contiguous": input,
        "channels last": input.contiguous(memory_format=torch.channels_last),
        "one number apart": torch.randn(2, 6, 5, 14)[..., ::2],
        "odd strides": torch.randn(5, 7, 6).movedim(-1, 0)[None],
    }
    first, again = (
        getattr(convmat, direction)(places[place], weight, bias, 2, **{"padding": 1, **options}) for _ in range(2)
    )
    assert len(long_way) == 1
    assert torch.equal(first, again)
    assert first.stride() == again.stride()
    expected = getattr(convmat, direction)(
        places[place].contiguous(), weight, bias, 2, **{"padding": 1, **options, "method": "zero_insertion"}
    )
    torch.testing.assert_close(first, expected)


def test_without_a_batch(long_way):
    input, weight, bias = tensors()
    outputs = [convmat.conv_transpose2d(input[0], weight, bias, 2, 1) for _ in range(2)]
    assert len(long_way) == 1
    assert torch.equal(*outputs)
    torch.testing.assert_close(outputs[0], F.conv_transpose2d(input[0], weight, bias, 2, 1))


@pytest.mark.parametrize("direction", ["conv2d", "conv_transpose2d"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_another_device_is_short_as_well(direction, channels_last, long_way):
    operands = [operand.to("meta") for operand in tensors()]
    if direction == "conv2d":
        operands[1:] = operands[1].transpose(0, 1).contiguous(), None
    if channels_last:
        operands[0] = operands[0].contiguous(memory_format=torch.channels_last)
    outputs = [getattr(convmat, direction)(*operands, 2, 1) for _ in range(2)]
    assert len(long_way) == 1
    expected = getattr(F, direction)(*operands, 2, 1)
    for output in outputs:
        assert output.is_meta
        assert output.shape == expected.shape
        assert output.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_operands_on_two_devices_stay_wrong():
    input, weight, bias = tensors()
    for operands in ((input, weight, bias), [operand.to("meta") for operand in (input, weight, bias)]):
        convmat.conv_transpose2d(*operands, 2, 1)
    for operands in ((input.to("meta"), weight, bias), (input, weight.to("meta"), bias)):
        with pytest.raises((GeometryError, RuntimeError)):
            convmat.conv_transpose2d(*operands, 2, 1)


WRONG = {
    "true is not 1": ({"stride": True}, TypeError),
    "nor is 1.0": ({"padding": 1.0}, TypeError),
    "true among integers": ({"stride": (2, True)}, TypeError),
    "a method unknown": ({"method": "tile"}, GeometryError),
    "groups": ({"groups": 4}, GeometryError),
    "a bias too long": ({"bias": torch.zeros(5)}, GeometryError),
    "a bias of another type": ({"bias": torch.zeros(4, dtype=torch.float64)}, GeometryError),
    "a bias that is none": ({"bias": [0.0] * 4}, TypeError),
}


@pytest.mark.parametrize(("wrong", "error"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_stays_wrong(wrong, error):
    input, weight, bias = tensors()
    right = {"stride": 1, "padding": 1}
    for options in (right, {**right, "stride": (2, 1)}):
        for _ in range(2):
            convmat.conv_transpose2d(input, weight, **{"bias": bias, **options})
    for _ in range(2):
        with pytest.raises(error):
            convmat.conv_transpose2d(input, weight, **{"bias": bias, **right, **wrong})


def test_other_axes_are_another_call():
    input, weight, _ = tensors()
    convmat.conv_transpose2d(input, weight)
    with pytest.raises(GeometryError, match="1-d"):
        convmat.conv_transpose1d(input, weight)
    with pytest.raises(GeometryError, match=r"input is torch\.float64"):
        convmat.conv_transpose2d(input.double(), weight)
    with pytest.raises(TypeError, match=r"torch\.Tensor"):
        convmat.conv_transpose2d(input.numpy(), weight)


def test_gradients_are_found_after_calls_without():
    input, weight, bias = tensors()
    with torch.no_grad():
        for _ in range(2):
            convmat.conv_transpose2d(input, weight, bias, 2, 1, method="tiles")
    for operand in (input, weight, bias):
        operand.requires_grad_()
        output = convmat.conv_transpose2d(input, weight, bias, 2, 1, method="tiles")
        (gradient,) = torch.autograd.grad(output.sum(), operand)
        (expected,) = torch.autograd.grad(F.conv_transpose2d(input, weight, bias, 2, 1).sum(), operand)
        torch.testing.assert_close(gradient, expected)
        operand.requires_grad_(False)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of torch.func.jvp
def test_autocast_transforms_and_threads_after_plain_calls(threads):
    input, weight, bias = tensors()
    arguments = (weight, bias, 2, 1)
    for _ in range(2):
        expected = convmat.conv_transpose2d(input, *arguments)
    with torch.autocast("cpu", torch.bfloat16):
        assert convmat.conv_transpose2d(input, *arguments).dtype == torch.bfloat16
    mapped = torch.vmap(lambda image: convmat.conv_transpose2d(image, *arguments))(input[:, None])
    torch.testing.assert_close(mapped[:, 0], expected)
    tangent = torch.func.jvp(lambda image: convmat.conv_transpose2d(image, *arguments), (input,), (input,))[1]
    torch.testing.assert_close(tangent, expected - bias[:, None, None])
    assert convmat.conv_transpose2d(input.to("meta"), weight.to("meta"), None, 2, 1).is_meta
    threads(3)
    torch.testing.assert_close(convmat.conv_transpose2d(input, *arguments), expected)


def test_a_layer_that_is_changed_computes_what_it_is_now():
    input = torch.randn(2, 6, 5, 7)
    layer = ConvTranspose2d(6, 4, 4, 2, 1)
    with torch.no_grad():
        for change in ({}, {"stride": (3, 2)}, {"padding": (0, 1)}, {"method": "phases"}, {"padding_mode": "circular"}):
            for name, value in change.items():
                setattr(layer, name, value)
            for _ in range(2):
                torch.testing.assert_close(
                    layer(input),
                    convmat.conv_transpose2d(
                        input,
                        layer.weight,
                        layer.bias,
                        layer.stride,
                        layer.padding,
                        padding_mode=layer.padding_mode,
                        method="zero_insertion",
                    ),
                )


def test_a_forked_child_decides_anew(monkeypatch, threads):
    """One thread in the parent, and one in its child, which must not enter the parent's pool of threads."""
    input, weight, _ = tensors()
    arguments = (2, 1, "auto")
    threads(1)
    key = shortcuts.key_of(input, weight, None, arguments)
    monkeypatch.setattr(shortcuts.computing, "is_forked", lambda: True)
    assert shortcuts.key_of(input, weight, None, arguments) != key


def test_only_so_many_are_known(monkeypatch):
    monkeypatch.setattr(shortcuts, "_MOST", 5)
    _, weight, _ = tensors()
    for size in range(1, 30):
        convmat.conv_transpose2d(torch.randn(1, 6, 3, size), weight)
    assert 0 < known() <= 5


def test_over_one_axis_outputs_are_contiguous_as_pytorchs_are():
    """A transposed spectrogram made all of a vocoder compute with its channels last."""
    spectrogram, weight = torch.randn(1, 20, 6).mT, torch.randn(4, 6, 3)
    assert not spectrogram.is_contiguous()
    for method in ("auto", "native", "tiles", "unfold"):
        with torch.no_grad():
            output = convmat.conv1d(spectrogram, weight, padding=1, method=method)
        expected = F.conv1d(spectrogram, weight, padding=1)
        assert output.stride() == expected.stride()
        torch.testing.assert_close(output, expected)
