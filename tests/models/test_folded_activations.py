"""Activations folded into the convolutions before them: PyTorch's results, whatever happens, and no trace."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import convmat
from convmat import accelerate, restore
from convmat.nn.folding import ActivationForward, Fold
from convmat.tensors.activations import Activation
from tests.models.test_folding import (
    assert_as_pytorch,
    assert_nothing_is_folded_after,
    folding,
    image,
    saved,
    with_statistics,
)

LAYERS = [nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d]
ACTIVATIONS = {
    "ReLU": lambda channels: nn.ReLU(),
    "ReLU, in place": lambda channels: nn.ReLU(inplace=True),
    "ReLU6": lambda channels: nn.ReLU6(),
    "Hardtanh": lambda channels: nn.Hardtanh(-0.25, 0.5),
    "LeakyReLU": lambda channels: nn.LeakyReLU(0.2),
    "PReLU": lambda channels: nn.PReLU(),
    "PReLU of channels": lambda channels: with_slopes(nn.PReLU(channels)),
}


def with_slopes(layer):
    layer.weight.data = torch.linspace(-0.5, 1.5, layer.num_parameters)
    return layer


def pair(activation=None, conv=None):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3) if conv is None else conv
    return nn.Sequential(conv, nn.ReLU() if activation is None else activation).eval()


@pytest.fixture
def folded(monkeypatch):
    """A list that grows with the layers that have nothing to do."""
    layers, note = [], Fold.note
    monkeypatch.setattr(Fold, "note", lambda fold, output, then: layers.extend(then) or note(fold, output, then))
    return layers


# -- which are folded, and what they compute ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "tiles", "native", "phases"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_every_layer(layer, activation, dtype, method, folded):
    model = nn.Sequential(layer(4, 6, 3, stride=2, padding=1, groups=2), activation(6)).to(dtype).eval()
    input = image(2, 4, *(9, 10, 7)[: len(model[0].kernel_size)], dtype=dtype)
    tolerance = 1e-4 if dtype is torch.float32 else 1e-10
    with torch.no_grad():
        expected = model(input)
        accelerate(model, method=method, freeze=True, fold=True)
        for _ in range(3):
            assert_close(model(input), expected, rtol=tolerance, atol=tolerance)
    assert folded == [model[1]] * 3


CONVOLUTIONS = {
    "winograd": lambda: nn.Conv2d(32, 48, 3, padding=1),
    "winograd, along the width": lambda: nn.Conv2d(32, 48, (1, 3)),
    "depthwise": lambda: nn.Conv2d(32, 32, 3, padding=1, groups=32),
    "one tap": lambda: nn.Conv2d(32, 48, 1, bias=False),
    "padded around": lambda: nn.Conv2d(32, 8, 3, padding=1, padding_mode="circular"),
    "transposed, padded around": lambda: convmat.nn.ConvTranspose2d(
        32, 8, 3, stride=2, padding=1, padding_mode="circular"
    ),
    "one window": lambda: nn.ConvTranspose2d(32, 8, (21, 38)),
}
FORMATS = {
    "contiguous": lambda input: input,
    "channels last": lambda input: input.contiguous(memory_format=torch.channels_last),
    "apart": lambda input: input.repeat_interleave(2, -1)[..., ::2],
}


@pytest.mark.parametrize("method", ["auto", "tiles"])
@pytest.mark.parametrize("layout", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("build", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_in_every_layout(build, layout, method, folded):
    model = nn.Sequential(build(), nn.LeakyReLU(0.1)).eval()
    is_ours = type(model[0]).__module__.startswith("convmat")
    input = layout(image(2, 32, *((1, 1) if model[0].kernel_size == (21, 38) else (20, 37))))
    with torch.no_grad():
        expected = model(input)
        accelerate(model, method=method)
        plain = model(input)
        accelerate(model, method=method, fold=True)
        output = model(input)
    assert_close(plain, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(output, plain)
    assert output.stride() == plain.stride()
    assert folded == ([] if is_ours else [model[1]])


class Block(nn.Module):
    """One activation is called three times, behind a BatchNorm, a convolution, and a sum."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm, self.conv2 = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, input):
        hidden = self.relu(self.norm(self.conv1(input)))
        return self.relu(self.relu(self.conv2(hidden)) - 0.5)


def test_an_activation_that_is_called_several_times(folded):
    model = folding(with_statistics(Block()))
    assert_as_pytorch(model, image())
    assert folded == [model.norm, model.relu, model.relu]
    assert [layer.folded for layer in accelerate(model, fold=True)] == [("norm", "relu"), ("relu",)]


def test_no_numbers_and_no_batch(folded):
    model = folding(pair(nn.PReLU()))
    assert_as_pytorch(model, image()[:0])
    assert_as_pytorch(model, image()[0])
    assert folded == [model[1]]


# -- which are not -----------------------------------------------------------------------------------------------------


class OwnReLU(nn.ReLU):
    def forward(self, input):
        return super().forward(input) + 1


NOT_FOLDED = {
    "of one's own": lambda: pair(OwnReLU()),
    "another": lambda: pair(nn.SiLU()),
    "something between": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.ReLU()),
    "something between that is linear": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Identity(), nn.ReLU()),
    "in training": lambda: pair().train(),
}


@pytest.mark.parametrize("build", NOT_FOLDED.values(), ids=NOT_FOLDED)
def test_not_folded(build, folded):
    assert_as_pytorch(folding(build()), image())
    assert not folded


def test_a_batch_norm_in_training_keeps_its_activation(folded):
    model = folding(with_statistics(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())))
    model[1].train()
    assert_as_pytorch(model, image())
    assert not folded


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_see_what_is_between(which, register, folded):
    model, seen = folding(pair()), []
    handle = getattr(model[which], register)(lambda layer, inputs, *output: seen.append((*output, *inputs)[0]))
    with torch.no_grad():
        model(image())
        expected = torch.conv2d(image(), model[0].weight, model[0].bias)
        if (which, register) == (1, "register_forward_hook"):
            expected = expected.relu()
        if (which, register) == (0, "register_forward_pre_hook"):
            expected = image()
        assert_close(seen[0], expected, rtol=1e-4, atol=1e-4)
        handle.remove()
        before = len(folded)
        model(image())
    assert len(folded) == before + 1


def test_a_batch_norm_is_folded_where_hooks_see_its_activation(folded):
    model = folding(with_statistics(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())))
    model[2].register_forward_hook(lambda *_: None)
    assert_as_pytorch(model, image())
    assert folded == [model[1]]


def test_layers_called_by_themselves_compute_as_they_are(folded):
    model, input = folding(pair(nn.PReLU(4))), image()
    conv, activation = model
    with torch.no_grad():
        expected = torch.conv2d(input, conv.weight, conv.bias)
        for output in (conv(input), model[:1](input), copy.deepcopy(conv)(input)):
            assert_close(output, expected, rtol=1e-4, atol=1e-4)
        assert_close(activation(expected), torch.prelu(expected, activation.weight))
    assert not folded


@pytest.mark.parametrize("who", ["parameters", "input"])
def test_gradients(who, folded):
    model, twin = pair(nn.PReLU(4)).double(), pair(nn.PReLU(4)).double()
    folding(model)
    results = []
    for each in (model, twin):
        each.requires_grad_(who == "parameters")
        input = image(dtype=torch.float64).requires_grad_(who == "input")
        wanted = [input] if who == "input" else [*each.parameters()]
        results.append(torch.autograd.grad(each(input).square().sum(), wanted))
    assert_close(*results)
    assert not folded
    assert_as_pytorch(model, image(dtype=torch.float64))
    assert folded == [model[1]]


def test_who_counts_operations_sees_the_convolution(monkeypatch, folded):
    """It may keep what it has seen, so that is not written to."""
    model, outputs, convolve = folding(pair()), [], torch.nn.functional.conv2d

    def count(*operands):
        outputs.append(convolve(*operands))
        return outputs[-1]

    with torch.no_grad():
        expected = model(image())
        monkeypatch.setattr(torch.nn.functional, "conv2d", count)
        assert_close(model(image()), expected, rtol=1e-4, atol=1e-4)
        assert_close(outputs, [convolve(image(), model[0].weight, model[0].bias)])
    assert len(folded) == 2


# -- changes -----------------------------------------------------------------------------------------------------------

CHANGES = {
    "slopes": (lambda: nn.PReLU(4), lambda layer: layer.weight.mul_(-2)),
    "slopes by data": (lambda: nn.PReLU(4), lambda layer: setattr(layer.weight, "data", layer.weight * 3)),
    "other slopes": (lambda: nn.PReLU(4), lambda layer: setattr(layer, "weight", nn.Parameter(torch.ones(1)))),
    "a slope": (lambda: nn.LeakyReLU(0.1), lambda layer: setattr(layer, "negative_slope", 0.7)),
    "a limit": (lambda: nn.ReLU6(), lambda layer: setattr(layer, "max_val", 0.2)),
}


@pytest.mark.parametrize(("build", "change"), CHANGES.values(), ids=CHANGES)
def test_changes_are_seen(build, change, folded):
    model = folding(pair(build()))
    assert_as_pytorch(model, image())
    with torch.no_grad():
        change(model[1])
    for _ in range(2):
        assert_as_pytorch(model, image())
    assert folded == [model[1]] * 3


def replace(model):
    model[1] = nn.Tanh()


@pytest.mark.parametrize("change", [replace, lambda model: model.append(nn.Sigmoid())])
def test_modules_that_change(change, folded):
    assert_nothing_is_folded_after(change, folding(pair()), folded)


# -- copies, and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [copy.deepcopy, saved])
def test_copies_have_slopes_of_their_own(again):
    model = folding(pair(nn.PReLU(4)))
    assert_as_pytorch(model, image())
    other = again(model)
    with torch.no_grad():
        other[1].weight.mul_(3)
    for each in (other, model):
        assert_as_pytorch(each, image())
    restore(other)
    assert [*map(type, other)] == [nn.Conv2d, nn.PReLU]
    assert all("forward" not in vars(module) for module in other.modules())


def test_all_is_as_before_once_restored():
    model, untouched = (
        with_statistics(nn.Sequential(Block(), pair(nn.PReLU()))),
        with_statistics(nn.Sequential(Block(), pair(nn.PReLU()))),
    )
    untouched.load_state_dict(model.state_dict())
    attributes = [dict(vars(module)) for module in model.modules()]
    folding(model)
    assert isinstance(vars(model[1][1])["forward"], ActivationForward)
    assert_as_pytorch(model, image())
    assert [*model.state_dict()] == [*untouched.state_dict()]
    restore(model)
    for module, before in zip(model.modules(), attributes, strict=True):
        assert vars(module).keys() == before.keys()
        assert all(vars(module)[name] is value for name, value in before.items())
    assert torch.equal(model(image()), untouched(image()))


def test_compiled():
    model = pair(nn.PReLU(4)).requires_grad_(False)
    expected = model(image())
    compiled = torch.compile(folding(model), fullgraph=True, backend="eager")
    assert_close(compiled(image()), expected, rtol=1e-4, atol=1e-4)


# -- the activation by itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("build", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_by_pytorch(build, dtype, monkeypatch):
    """Where PyTorch computes the convolution, it computes the activation, in place but for slopes of channels."""
    model = pair(build(4)).to(dtype)
    applied, apply = [], Activation.applied_to
    monkeypatch.setattr(Activation, "applied_to", lambda *arguments: applied.append(arguments) or apply(*arguments))
    with torch.no_grad():
        expected = model(image(dtype=dtype))
        accelerate(model, method="native", fold=True)
        for _ in range(3):
            assert torch.equal(model(image(dtype=dtype)), expected)
    assert len(applied) == 3
