"""``accelerate(model, example=...)``: measured layer by layer, and nothing but the classes of layers is changed."""

import copy
import functools
import random
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from convmat import GeometryError, accelerate, restore
from convmat.checking.measure import medians_in_turns
from convmat.models import examples

FASTER, SLOWER = (2.0, 1.0), (1.0, 1.0)  # seconds, before and after


def measured(times):
    """Give these times, instead of measuring."""

    def medians(first, second, seconds):
        first()
        second()
        return times

    return medians


@pytest.fixture
def _always_faster(monkeypatch):
    monkeypatch.setattr(examples, "medians_in_turns", measured(FASTER))


@pytest.fixture
def _never_faster(monkeypatch):
    monkeypatch.setattr(examples, "medians_in_turns", measured(SLOWER))


class Branches(nn.Module):
    """A layer called twice, with two shapes; one in two places; one that is never called; an answer of many parts."""

    def __init__(self):
        super().__init__()
        self.once = nn.Conv2d(3, 4, 3)
        self.twice = nn.Conv2d(4, 4, (1, 3), padding="same")
        self.up = nn.ConvTranspose2d(4, 3, 4, 2, 1)
        self.again = self.up
        self.never = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.calls = 0

    def forward(self, image, *, scale=1.0):
        self.calls += 1
        self.last = image
        hidden = self.norm(self.once(image))
        hidden = self.twice(hidden) + self.twice(input=hidden)
        small = self.drop(self.twice(hidden[..., 1:, 2:]))
        enlarged = self.up(small, output_size=(small.shape[2] * 2 + 1, small.shape[3] * 2))
        return {"out": [enlarged * scale, self.again(small)], "size": tuple(image.shape), "nothing": None}


def model_of():
    torch.manual_seed(0)
    return Branches()


def image(height=9, width=12, channels=3):
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(1))


def snapshot(model):
    """All there is to see of a model."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    values = {name: (tensor, tensor.clone(), tensor.requires_grad) for name, tensor in tensors.items()}
    attributes = [(type(module), dict(vars(module)), module.training) for module in model.modules()]
    hooks = [(dict(module._forward_pre_hooks), dict(module._forward_hooks)) for module in model.modules()]
    numbers = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002  # what models use
    return values, attributes, hooks, numbers, torch.is_grad_enabled()


def assert_unchanged(model, before, classes=True):
    (values, attributes, hooks, numbers, grad), now = before, snapshot(model)
    assert list(now[0]) == list(values)
    for name, (tensor, content, requires_grad) in now[0].items():
        assert tensor is values[name][0]
        assert torch.equal(content, values[name][1])
        assert requires_grad == values[name][2]
    for (cls, held, training), (cls_before, held_before, training_before) in zip(now[1], attributes, strict=True):
        assert training == training_before
        if classes:
            assert cls is cls_before
            assert held.keys() == held_before.keys()
        assert all(held[name] is value for name, value in held_before.items())
    assert now[2] == hooks
    assert torch.equal(now[3][0], numbers[0])
    assert now[3][1] == numbers[1]
    assert all(np.array_equal(*pair) for pair in zip(now[3][2], numbers[2], strict=True))
    assert now[4] == grad


# -- what is reported --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_always_faster")
def test_each_layer_with_the_shapes_that_it_meets():
    model = model_of()
    report = accelerate(model, method="phases", example=(image(),))
    assert report.swapped == ("once", "twice", "up", "never")
    once, twice, up, never = report
    assert [(each.shape, each.calls) for each in once.inputs] == [((2, 3, 9, 12), 1)]
    assert [(each.shape, each.calls) for each in twice.inputs] == [((2, 4, 7, 10), 2), ((2, 4, 6, 8), 1)]
    assert up.aliases == ("again",)
    assert [(each.shape, each.calls) for each in up.inputs] == [((2, 4, 6, 8), 1), ((2, 4, 6, 8), 1)]
    assert never.inputs == ()
    assert "not called by the example" in never.reason
    assert {each.method for layer in report for each in layer.inputs} == {"phases"}
    assert (twice.gain, never.gain, report.gain) == (2.0, None, 2.0)
    text = str(report)
    assert "the model on the example: 2000 ms -> 1000 ms, 2.00x" in text
    assert "2x4x7x10, 2 calls, phases: 2000 ms -> 1000 ms, 2.00x" in text
    assert "all 2 shapes: 6000 ms -> 3000 ms, 2.00x" in text
    assert max(map(len, text.splitlines())) <= 80
    assert report._repr_html_().count("2.00x") == text.count("2.00x")


@pytest.mark.usefixtures("_never_faster")
def test_layers_that_gain_nothing_stay_pytorchs():
    model, input = model_of().eval(), image()
    expected = model(input)["out"]
    before = snapshot(model)
    report = accelerate(model, method="phases", example=input)
    assert_unchanged(model, before, classes=False)
    assert report.swapped == ("never",)
    assert [(layer.done, layer.method) for layer in report][:3] == [("left alone", "")] * 3
    assert report.layers[0].reason == "no faster on the example"
    assert report.layers[0].gain == 1.0
    assert [type(model.once), type(model.twice), type(model.up)] == [nn.Conv2d, nn.Conv2d, nn.ConvTranspose2d]
    assert all(torch.equal(*pair) for pair in zip(model(input)["out"], expected, strict=True))


@pytest.mark.usefixtures("_never_faster")
def test_layers_that_were_swapped_before_become_pytorchs_again():
    model = model_of()
    attributes = set(vars(model.once))
    accelerate(model, method="unfold", freeze=True)
    report = accelerate(model, method="phases", example=image())
    assert report.restored == ("once", "twice", "up")
    assert [layer.done for layer in report][3] == "method changed"
    assert type(model.once) is nn.Conv2d
    assert set(vars(model.once)) == attributes


@pytest.mark.usefixtures("_always_faster")
@pytest.mark.parametrize("again", ["unfold", "phases"])
def test_layers_that_were_swapped_before_and_gain(again):
    model = model_of()
    accelerate(model, method="phases")
    cls = type(model.once)
    report = accelerate(model, method=again, example=image())
    assert [layer.done for layer in report] == ["unchanged" if again == "phases" else "method changed"] * 4
    assert (type(model.once), model.once.method) == (cls, again)


@pytest.mark.usefixtures("_always_faster")
def test_what_auto_leaves_to_pytorch_gains_nothing():
    """However the noise of the measurement may be."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 3, 3)).half()
    report = accelerate(model, example=image().half())
    assert [layer.done for layer in report] == ["left alone", "left alone"]
    assert [each.method for layer in report for each in layer.inputs] == ["native", "native"]


@pytest.mark.usefixtures("_always_faster")
def test_layers_of_which_ours_fails_stay_pytorchs():
    model, input = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3)), image(1000, 1000)
    report = accelerate(model, method="dense", example=input)
    assert [layer.done for layer in report] == ["left alone", "left alone"]
    assert "fails on the example: " in report.layers[0].reason
    assert type(model[0]) is nn.Conv2d


@pytest.mark.parametrize("freeze", [False, True])
def test_measured_for_good(freeze):
    """With the times of this machine, whatever they are."""
    model, input = model_of().eval(), image()
    expected = model(input)["out"]
    report = accelerate(model, freeze=freeze, example=(input,))
    assert report.gain > 0
    for layer in list(report)[:3]:
        assert (layer.done == "swapped") == (layer.gain >= 1.03 and layer.inputs[0].method != "native")
    for ours, theirs in zip(model(input)["out"], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_without_an_example_the_report_says_how_to_measure():
    words = "measures what it gains"
    assert words in str(accelerate(model_of()))
    assert words not in str(accelerate(model_of(), example=image()))
    assert words not in str(accelerate(nn.Linear(2, 3)))


# -- what the example may be -------------------------------------------------------------------------------------------

EXAMPLES = {
    "a tuple": (image(),),
    "a tensor": image(),
    "a dict": {"image": image(), "scale": 2.0},
}


@pytest.mark.usefixtures("_always_faster")
@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_examples(example):
    assert accelerate(model_of(), method="phases", example=example).layers[0].inputs[0].shape == (2, 3, 9, 12)


@pytest.mark.usefixtures("_always_faster")
def test_an_example_that_the_model_writes_to_stays():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3))
    input = image()
    before = input.clone()
    accelerate(model, method="phases", example=(input,))
    assert torch.equal(input, before)


BAD = {
    "channels": ((image(channels=5),), r"Branches\(2x5x9x12\) raised \w+Error: .*channels[^;]*$"),
    "too many": ((image(), image()), r"Branches\(2x3x9x12, 2x3x9x12\) raised TypeError"),
    "a name": ({"picture": image()}, r"Branches\(picture=2x3x9x12\) raised TypeError.*picture"),
    "a shape": ((2, 3, 9, 12), r"\(2, 3, 9, 12\) is a shape: torch\.randn\(2, 3, 9, 12\) would do$"),
    "a shape as the only argument": (([2, 3, 9, 12],), r"torch\.randn\(2, 3, 9, 12\) would do$"),
    "a list": ([image()], r"need a tuple of the model's positional arguments, a dict of those by name"),
}


@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("example", "words"), BAD.values(), ids=BAD)
def test_bad_examples_change_nothing(example, words, swapped, freeze):
    model = model_of()
    if swapped:
        accelerate(model, method="unfold", freeze=freeze)
    before = snapshot(model)
    with pytest.raises(GeometryError, match=rf"^example: .*{words}"):
        accelerate(model, method="phases", example=example)
    assert_unchanged(model, before)


@pytest.mark.parametrize(("arguments", "error"), [(1, KeyboardInterrupt), (2, KeyboardInterrupt), (2, ValueError)])
@pytest.mark.parametrize("swapped", [False, True])
def test_whatever_happens_while_it_is_measured_changes_nothing(monkeypatch, swapped, arguments, error):
    """While a layer is measured (of one argument), or the model (of two)."""

    def fail(first, second, seconds):
        first()
        second()
        if len(first.args) == arguments:
            raise error
        return FASTER

    model = model_of()
    if swapped:
        accelerate(model, method="unfold", freeze=True)
    before = snapshot(model)
    monkeypatch.setattr(examples, "medians_in_turns", fail)
    with pytest.raises(error):
        accelerate(model, method="phases", example=image())
    assert_unchanged(model, before)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_lazy_layers_are_not_given_a_weight():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LazyLinear(3))
    with pytest.raises(GeometryError, match=r"'1' has no weight yet.*: run the model once before"):
        accelerate(model, example=image())
    assert model[1].has_uninitialized_params()
    assert type(model[0]) is nn.Conv2d


def test_a_model_without_convolutions_is_not_run():
    assert len(accelerate(nn.Linear(2, 3), example="nothing that it takes")) == 0


# -- nothing stays behind ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_always_faster")
@pytest.mark.parametrize("training", [False, True])
def test_a_model_is_as_it_was(training):
    """BatchNorm's statistics, dropout's random numbers, attributes that a forward pass sets, gradients asked for."""
    model = model_of().train(training)
    model.once.weight.requires_grad_(False)
    before, twin = snapshot(model), copy.deepcopy(model)
    accelerate(model, method="phases", example=image())
    assert_unchanged(model, before, classes=False)
    assert model.calls == 0
    assert not hasattr(model, "last")
    restore(model)
    assert_unchanged(model, before)
    outputs = []
    for each in (model, twin):
        torch.manual_seed(3)
        outputs.append(each(image())["out"][0])
    assert torch.equal(*outputs)


NORMS = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "old weight_norm": torch.nn.utils.weight_norm,
    "old spectral_norm": torch.nn.utils.spectral_norm,
}


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("times", [FASTER, SLOWER])
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_weights_that_are_computed(monkeypatch, norm, times):
    monkeypatch.setattr(examples, "medians_in_turns", measured(times))
    model = nn.Sequential(norm(nn.Conv2d(3, 4, 3)), norm(nn.ConvTranspose2d(4, 3, 3))).train()
    before, classes = snapshot(model), [type(layer) for layer in model]
    accelerate(model, method="phases", example=image())
    assert_unchanged(model, before, classes=False)
    restore(model)
    assert [type(layer) for layer in model] == classes
    assert_unchanged(model, before)


@pytest.mark.usefixtures("_always_faster")
def test_hooks_of_a_layer_are_not_called_by_measuring_it():
    """They run as often as the model does, and the layer is measured on what they make of its input."""
    model, seen = nn.Sequential(nn.Conv2d(3, 4, 3)), []
    model[0].register_forward_pre_hook(lambda layer, inputs: (inputs[0][..., 1:],))
    model[0].register_forward_hook(lambda *_: seen.append(1))
    (layer,) = accelerate(model, method="phases", example=image())
    assert layer.inputs[0].shape == (2, 3, 9, 11)
    assert len(seen) == 4  # to see the shapes, to measure the layers, and twice the model in this test


@pytest.mark.usefixtures("_always_faster")
def test_compiled_models_are_measured_without_compiling():
    model = model_of()
    compiled = torch.compile(model, backend=functools.partial(pytest.fail, "compiled"))
    report = accelerate(compiled, method="phases", example=image())
    assert report.layers[0].inputs[0].shape == (2, 3, 9, 12)


@pytest.mark.usefixtures("_always_faster")
def test_under_inference_mode():
    with torch.inference_mode():
        model = model_of()
        model.double()
        report = accelerate(model, method="phases", example=image().double())
    assert len(report.swapped) == 4


def test_seconds_are_of_calls_that_take_turns():
    order = []
    first, second = medians_in_turns(lambda: order.append(1), lambda: order.append(2), 0.0)
    assert re.fullmatch("(12){2}(12|21){3}", "".join(map(str, order)))
    assert 0 < first < 1
    assert 0 < second < 1
