"""ONNX: standard operators, which ONNX Runtime computes to the same numbers."""

from collections import Counter

import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import convmat.nn
from tests.cases import LAYERS
from tests.layers import Layer

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

CASES = {name: layer for name, layer in LAYERS.items() if layer.output_size is None}
PLAIN = [
    name
    for name, layer in CASES.items()
    if layer.padding_mode == "zeros" and name not in ("transposed_uneven", "transposed_far_out", "transposed_dilated")
]
# What is beyond PyTorch's own: one of each kind.
BEYOND = {
    "transposed_dilated": {"ConvTranspose", "Pad", "Add"},
    "transposed_uneven": {"ConvTranspose", "Slice"},
    "transposed_far_out": {"ConvTranspose", "Slice"},
    "transposed_reflect": {"ConvTranspose", "Split", "Slice", "Add", "Concat"},
    "transposed_replicate": {"ConvTranspose", "Split", "ReduceSum", "Add", "Concat"},
    "transposed_circular": {"ConvTranspose", "Split", "Add", "Concat"},
    "reflect": {"Conv", "Slice", "Concat"},
    "replicate": {"Conv", "Slice", "Expand", "Concat"},
    "circular": {"Conv", "Slice", "Concat"},
}
CAUSAL = Layer(transposed=True, sizes=(4,), kernel=(4,), stride=2, padding=((0, 2),), channels=(2, 3))


def module_of(layer):
    cls = getattr(convmat.nn, f"Conv{'Transpose' if layer.transposed else ''}{layer.ndim}d")
    options = {name: value for name, value in layer.options.items() if name != "output_size"}
    torch.manual_seed(0)
    return cls(*layer.channels, layer.kernel, **options).eval()


def exported(module, input, **options):
    """The operators of the ONNX model of one input and one output, and a function that runs it."""
    operators, run = exported_whole(module, input, **options)
    return operators, lambda example: run(example)[0]


def exported_whole(module, *arguments, **options):
    """The operators of the ONNX model, and a function of the inputs to all outputs."""
    model = torch.onnx.export(module, arguments, dynamo=True, verbose=False, **options).model_proto
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [input.name for input in session.get_inputs()]
    operators = Counter(node.op_type for node in model.graph.node)
    assert all(node.domain == "" for node in model.graph.node)

    def run(*examples):
        fed = {name: example.numpy() for name, example in zip(names, examples, strict=True)}
        return [torch.from_numpy(output) for output in session.run(None, fed)]

    return operators, run


def assert_runs_alike(run, module, example):
    assert_close(run(example), module(example).detach(), rtol=1e-5, atol=1e-5)


def test_every_case_is_one_or_the_other():
    assert {*PLAIN, *BEYOND} == CASES.keys()


class SideBySide(torch.nn.Module):
    """Layers that have nothing to do with one another, and an input of each.

    The inputs are one argument: with ``*inputs``, PyTorch 2.9 exports no sizes that are dynamic.
    """

    def __init__(self, layers):
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, inputs):
        return tuple(layer(input) for layer, input in zip(self.layers, inputs, strict=True))


def test_a_plain_layer_is_one_node():
    """All of them in one model, since exporting takes as long for one."""
    layers = [CASES[name] for name in PLAIN]
    model = SideBySide(map(module_of, layers)).eval()
    inputs = [layer.tensors(2, dtype=torch.float32)[0] for layer in layers]
    operators, run = exported_whole(model, inputs)
    transposed = sum(layer.transposed for layer in layers)
    assert operators == {"ConvTranspose": transposed, "Conv": len(layers) - transposed}
    assert_all_run_alike(run, model, inputs, PLAIN)


def assert_all_run_alike(run, model, inputs, names):
    for name, output, expected in zip(names, run(*inputs), model(inputs), strict=True):
        assert_close(output, expected.detach(), rtol=1e-5, atol=1e-5, msg=lambda said, name=name: f"{name}: {said}")


@pytest.mark.parametrize(("name", "allowed"), BEYOND.items(), ids=BEYOND.keys())
def test_what_is_beyond_is_plain_operators(name, allowed):
    layer, module = CASES[name], module_of(CASES[name])
    input = layer.tensors(2, dtype=torch.float32)[0]
    operators, run = exported(module, input)
    assert operators.keys() == allowed
    assert operators["ConvTranspose" if layer.transposed else "Conv"] == 1
    assert_runs_alike(run, module, input)


def test_a_causal_crop():
    operators, run = exported(module_of(CAUSAL), torch.randn(1, 2, 4))
    assert operators == {"ConvTranspose": 1, "Slice": 1}
    assert_runs_alike(run, module_of(CAUSAL), torch.randn(1, 2, 4))


def test_any_batch_and_size():
    names = ["strided", "same", *BEYOND]
    layers = [CASES[name] for name in names]
    model = SideBySide(map(module_of, layers)).eval()
    inputs = [F.pad(layer.tensors(2, dtype=torch.float32)[0], [1, 1] * layer.ndim) for layer in layers]
    dynamic = [dict.fromkeys((0, *range(2, 2 + layer.ndim)), torch.export.Dim.DYNAMIC) for layer in layers]
    _, run = exported_whole(model, inputs, dynamic_shapes=(dynamic,))
    for more in ([0, 0], [0, 1], [1, 2]):
        larger = [F.pad(torch.cat([input, input[:1]]), more * (input.ndim - 2)) for input in inputs]
        assert_all_run_alike(run, model, larger, names)


@pytest.mark.parametrize("padding", [1, ((1, 0), (0, 2))])
def test_unfold_and_fold(padding):
    unfold = convmat.nn.Unfold((2, 3), padding=padding, stride=(2, 1))
    fold = convmat.nn.Fold((6, 7), (2, 3), padding=padding, stride=(2, 1))
    input = torch.randn(2, 2, 6, 7)
    for module, example in ((unfold, input), (fold, unfold(input))):
        assert_runs_alike(exported(module, example)[1], module, example)
