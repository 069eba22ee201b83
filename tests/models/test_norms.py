"""The norms of a model's convolutions."""

import pytest
import torch
from torch import nn

import convmat
from convmat import GeometryError
from convmat.terminal.loading import load


def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 2, stride=2), nn.ConvTranspose2d(6, 3, 3)
    )


def test_norms_of_a_model():
    network = model().train()
    norms = convmat.layer_norms(network, torch.ones(1, 3, 12, 10))
    assert [layer.name for layer in norms] == ["0", "2", "3"]
    assert network.training
    x = torch.ones(1, 3, 12, 10)
    for layer, part in zip(norms, (network[0], network[2], network[3]), strict=True):
        matrix = convmat.matrix(part, layer.operator.in_shape).detach()
        values = torch.linalg.svdvals(matrix.double())
        assert layer.lower == pytest.approx(values[0].item(), rel=1e-3)
        assert layer.lower <= values[0].item() * (1 + 1e-5) <= layer.upper * (1 + 1e-4)
        assert layer.cond == pytest.approx((values[0] / values[-1]).item(), rel=1e-3)
        assert layer.reshaped == pytest.approx(torch.linalg.matrix_norm(part.weight.flatten(1), 2).item())
    assert network(x).requires_grad  # hooks and modes are as before


def test_a_layer_at_two_sizes_is_told_twice():
    layer = nn.Conv1d(1, 1, 3)
    twice = convmat.layer_norms(nn.Sequential(layer, layer), torch.ones(1, 1, 9))
    assert [norm.operator.in_shape for norm in twice] == [(1, 9), (1, 7)]


def test_a_model_without_convolutions():
    with pytest.raises(GeometryError, match="Linear called no convolution"):
        convmat.layer_norms(nn.Linear(2, 2), torch.ones(1, 2))


BAD_INPUTS = {
    "none": ((), r"Sequential\(\) raised TypeError: .*; need what the model is called with$"),
    "a shape": (((1, 3, 12, 10),), r"\(1, 3, 12, 10\) is a shape: torch\.randn\(1, 3, 12, 10\) would do$"),
    "channels": ((torch.ones(1, 4, 12, 10),), r"Sequential\(1x4x12x10\) raised .*channels"),
}


@pytest.mark.parametrize(("inputs", "words"), BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_inputs_that_do_not_fit(inputs, words):
    network = model().train()
    with pytest.raises(GeometryError, match=rf"^inputs: .*{words}"):
        convmat.layer_norms(network, *inputs)
    assert network.training
    assert not any(layer._forward_pre_hooks for layer in network)


def test_a_layer_that_is_called_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 2, 3)

        def forward(self, signal):
            return self.conv(input=signal)

    (norm,) = convmat.layer_norms(Named(), torch.ones(1, 1, 9))
    assert norm.operator.in_shape == (1, 9)


def test_models_by_name_or_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(nn.Conv2d(1, 1, 3), "model.pt")
    assert isinstance(load("model.pt"), nn.Conv2d)
    (tmp_path / "of_mine.py").write_text("import torch\nbuild = lambda: torch.nn.Conv1d(1, 1, 3)\nmade = build()\n")
    assert isinstance(load("of_mine:build"), nn.Conv1d)
    assert isinstance(load("of_mine:made"), nn.Conv1d)
    torch.save({"weight": torch.ones(1)}, "state.pt")
    (tmp_path / "text.pt").write_text("no model")
    for name, message in {
        "of_mine": "is no model",
        "of_mine:other": "cannot be imported",
        "not_there:build": "cannot be imported",
        "torch.nn:Conv2d": "without arguments",
        "torch:__version__": "no torch.nn.Module",
        "state.pt": "no torch.nn.Module",
        "text.pt": "holds no model",
    }.items():
        with pytest.raises(GeometryError, match=message):
            load(name)


def test_a_class_of_transformers_is_made_from_its_configuration():
    pytest.importorskip("transformers")
    found = load("transformers:MobileViTModel")
    assert any(isinstance(module, nn.Conv2d) for module in found.modules())
