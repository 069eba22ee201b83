"""The kernel as an operator of PyTorch, and with all that looks at operations instead of numbers."""

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import convmat
from tests.cases import LAYERS
from tests.kernel.kernels import Call, assert_right
from tests.layers import Layer, reference

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]
CASES = {
    "plain": Layer(transposed=True, sizes=(5, 4), kernel=(2, 3), channels=(2, 3)),
    "grouped": Layer(transposed=True, sizes=(6,), kernel=(4,), stride=3, padding=1, groups=2, channels=(4, 6)),
    "uneven": Layer(
        transposed=True, sizes=(4, 3), kernel=(3, 4), stride=(2, 1), padding=((2, 0), (1, 2)), channels=(2, 3)
    ),
    "dilated": Layer(
        transposed=True,
        sizes=(3, 4),
        kernel=(2, 3),
        stride=(2, 1),
        dilation=(3, 2),
        output_padding=(2, 1),
        channels=(3, 2),
    ),
    "volume": Layer(transposed=True, sizes=(2, 3, 4), kernel=(2, 1, 3), stride=(1, 2, 2), channels=(2, 2)),
    "direct": Layer(sizes=(5, 4), kernel=(2, 3), padding=1, channels=(2, 3)),
    "direct, grouped": Layer(sizes=(9,), kernel=(4,), stride=3, padding=1, groups=2, channels=(4, 6)),
    "direct, uneven": Layer(sizes=(7, 5), kernel=(3, 4), stride=(2, 1), padding=((2, 0), (1, 2)), channels=(2, 3)),
    "direct, dilated": Layer(sizes=(9, 8), kernel=(2, 3), stride=(2, 1), dilation=(3, 2), channels=(3, 2)),
    "direct, volume": Layer(sizes=(3, 5, 7), kernel=(2, 1, 3), stride=(1, 2, 2), padding=(1, 0, 1), channels=(2, 2)),
    "direct, points": Layer(sizes=(3, 5, 4), kernel=(1, 1, 1), channels=(2, 3)),
}
every_case = pytest.mark.parametrize("layer", CASES.values(), ids=CASES.keys())
some_cases = pytest.mark.parametrize("name", [name for name in CASES if name == "direct" or "direct" not in name])
every_method = pytest.mark.parametrize("method", ["tiles", "auto"])


@pytest.fixture(autouse=True)
def _fresh():
    yield
    torch.compiler.reset()


def arguments(layer):
    """What the operator is told of a layer."""
    padding = [end for lo, hi, *_ in layer.numbers() for end in (lo, hi)]
    size = layer.output_padding if layer.transposed else layer.out_sizes
    stride, size, dilation = (list(layer.per_axis(value)) for value in (layer.stride, size, layer.dilation))
    return stride, padding, size, dilation, layer.groups


def operator_of(layer, tracked=True):
    name = "conv_transpose" if layer.transposed else "conv"
    return getattr(torch.ops.convmat, name if tracked else f"{name}_untracked")


def call(layer, *operands, method="tiles", tracked=True):
    return operator_of(layer, tracked)(*operands, *arguments(layer), method)


class Called(nn.Module):
    """The operator, called by its name."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, *operands):
        return call(self.layer, *operands)


# -- the operator ------------------------------------------------------------------------------------------------------


SAMPLES = {
    "numbers": (torch.float32, False, True),
    "numbers without a bias": (torch.float64, False, False),
    "gradients": (torch.float64, True, True),
    "gradients without a bias": (torch.float32, True, False),
}
CHOICES = (), ("tiles",), ("native", True)
# Each layer with gradients and one choice; for all else it is the operator that matters, and not the layer.
THOROUGHLY = "grouped", "direct, uneven"
CHECKED = [
    (name, sample, CHOICES if name in THOROUGHLY else CHOICES[number % 3 :][:1])
    for number, name in enumerate(CASES)
    for sample in SAMPLES
    if sample == "gradients" or name in THOROUGHLY
]


@pytest.mark.parametrize(
    ("name", "sample", "choices"), CHECKED, ids=[f"{name}-{sample}" for name, sample, _ in CHECKED]
)
def test_it_is_what_it_says(name, sample, choices):
    layer, (dtype, tracked, with_bias) = CASES[name], SAMPLES[sample]
    input, weight, bias = layer.tensors(2, dtype=dtype)
    operands = [input, weight, bias if with_bias else None]
    if tracked:
        operands = [None if operand is None else operand.requires_grad_() for operand in operands]
    for choice in choices:
        torch.library.opcheck(operator_of(layer).default, (*operands, *arguments(layer), *choice))
        if not tracked:
            torch.library.opcheck(operator_of(layer, tracked).default, (*operands, *arguments(layer), *choice))


@every_case
def test_its_backward_is_what_it_says(layer):
    input, weight, _ = layer.tensors(2, dtype=torch.float32)
    grad = torch.randn(2, layer.channels[1], *layer.out_sizes)
    backward = torch.ops.convmat.conv_transpose_backward if layer.transposed else torch.ops.convmat.conv_backward
    for wanted in ((True, True, True), (False, True, False)):
        torch.library.opcheck(backward.default, (grad, input, weight, *arguments(layer), wanted))


@every_case
def test_it_computes_what_pytorch_does(layer):
    operands = layer.tensors(3)
    assert_close(call(layer, *operands), reference(layer, *operands))
    assert_close(call(layer, operands[0], operands[1], None), reference(layer, *operands[:2]))
    assert torch.equal(call(layer, *operands, tracked=False), call(layer, *operands))
    halves = [operand.bfloat16() for operand in operands]
    assert_close(call(layer, *halves), reference(layer, *operands).bfloat16(), rtol=0.1, atol=0.1)
    assert call(layer, operands[0][:0], *operands[1:]).shape == (0, layer.channels[1], *layer.out_sizes)


@every_case
def test_its_derivatives(layer):
    operands = [operand.requires_grad_() for operand in layer.tensors(2)]
    assert gradcheck(lambda *operands: call(layer, *operands), operands, fast_mode=True)
    assert gradgradcheck(lambda *operands: call(layer, *operands), operands, fast_mode=True)


@every_case
def test_it_is_mapped(layer):
    inputs = torch.stack([layer.tensors(2, seed=seed)[0] for seed in range(3)])
    weights = torch.stack([layer.tensors(2, seed=seed)[1] for seed in range(3)])
    bias = layer.tensors(2)[2]
    mapped = torch.vmap(lambda input, weight: call(layer, input, weight, bias))(inputs, weights)
    each = [call(layer, input, weight, bias) for input, weight in zip(inputs, weights, strict=True)]
    assert_close(mapped, torch.stack(each))
    along_batch = torch.vmap(lambda input: call(layer, input, weights[0], bias), 1, 1)(inputs.transpose(0, 1))
    assert_close(along_batch, torch.stack([call(layer, input, weights[0], bias) for input in inputs], 1))


@every_case
def test_it_is_compiled_and_exported(layer):
    operands = layer.tensors(2)

    expected = call(layer, *operands)
    assert_close(torch.compile(Called(layer), fullgraph=True, backend="aot_eager")(*operands), expected)
    program = torch.export.export(Called(layer), operands)
    assert str(operator_of(layer)) in str(program.graph)
    assert_close(program.module()(*operands), expected)


def test_what_gradients_are_not_asked_for_is_not_computed():
    layer = CASES["plain"]
    operands = layer.tensors(2)
    for wanted in range(3):
        tracked = [operand.clone().requires_grad_(n == wanted) for n, operand in enumerate(operands)]
        output = layer(*tracked, method="tiles")
        output.sum().backward()
        assert [operand.grad is not None for operand in tracked] == [n == wanted for n in range(3)]


def test_a_weight_that_was_changed_before_the_backward_pass_is_noticed():
    layer = CASES["plain"]
    input, weight, bias = (operand.requires_grad_() for operand in layer.tensors(2))
    output = layer(input, weight, bias, method="tiles")
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


# -- the method --------------------------------------------------------------------------------------------------------


class Module(nn.Module):
    """A layer by one of the methods."""

    def __init__(self, layer, method):
        super().__init__()
        self.layer, self.method = layer, method

    def forward(self, *operands):
        return self.layer(*operands, method=self.method)


@some_cases
@every_method
def test_compiled(name, method):
    assert_compiled(CASES[name], method, dynamic=False)


@every_method
def test_compiled_for_any_size(method):
    assert_compiled(CASES["uneven"], method, dynamic=True)


def assert_compiled(layer, method, dynamic):
    compiled = torch.compile(Module(layer, method), fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for tracked in (False, True):
        operands = [operand.requires_grad_(tracked) for operand in layer.tensors(2)]
        output, expected = compiled(*operands), reference(layer, *operands)
        assert_close(output, expected)
        if tracked:
            ours, theirs = (torch.autograd.grad(result.sin().sum(), operands) for result in (output, expected))
            assert_close(ours, theirs)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_by_inductor():
    model = nn.Sequential(nn.ConvTranspose2d(3, 2, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(2, 1, 3))
    input = torch.randn(2, 3, 5, 6)
    with torch.no_grad():
        expected = model(input)
        convmat.accelerate(model, method="tiles", freeze=True)
        assert_close(model(input), expected, rtol=1e-4, atol=1e-5)
        assert_close(torch.compile(model, fullgraph=True)(input), expected, rtol=1e-4, atol=1e-5)


@some_cases
@every_method
def test_exported(name, method):
    layer = CASES[name]
    operands = layer.tensors(2)
    program = torch.export.export(Module(layer, method), operands)
    assert_close(program.module()(*operands), reference(layer, *operands))
    operators = {node.target for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)}
    assert {operator.namespace for operator in operators} == {"aten"}


@some_cases
@every_method
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx(name, method, mode):
    layer = CASES[name]
    operands = layer.tensors(2)
    traced = make_fx(lambda *operands: layer(*operands, method=method), tracing_mode=mode)(*operands)
    others = layer.tensors(2, seed=1)
    assert_close(traced(*others), reference(layer, *others))


@some_cases
@every_method
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_traced_by_jit(name, method):
    layer = CASES[name]
    operands = layer.tensors(2)
    with torch.no_grad():
        traced = torch.jit.trace(lambda *operands: layer(*operands, method=method), operands)
    others = layer.tensors(2, seed=1)
    assert_close(traced(*others), reference(layer, *others))


@some_cases
@every_method
def test_functionalized(name, method):
    layer = CASES[name]
    operands = layer.tensors(2)
    assert_close(
        functionalize(lambda *operands: layer(*operands, method=method))(*operands), reference(layer, *operands)
    )


@every_method
def test_counted(method):
    """What counts operations sees those of a convolution."""
    layer = CASES["grouped"]
    counts = []
    for chosen in (method, "native"):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            layer(*layer.tensors(2), method=chosen)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


@every_method
@pytest.mark.parametrize("name", ["plain", "uneven"])
def test_fake_numbers_of_kinds(name, method):
    """On devices that are not there."""
    layer = CASES[name]
    with FakeTensorMode():
        operands = [torch.empty(operand.shape, device="cuda") for operand in layer.tensors(2)]
        output = layer(*operands, method=method)
    assert output.shape == (2, layer.channels[1], *layer.out_sizes)
    assert output.device.type == "cuda"


class Labelled(torch.Tensor):
    """A tensor of another class."""


@every_method
def test_other_classes_of_tensors(method):
    layer = CASES["plain"]
    operands = layer.tensors(2)
    for n in range(3):
        labelled = [operand.as_subclass(Labelled) if n == k else operand for k, operand in enumerate(operands)]
        output = layer(*labelled, method=method)
        assert type(output) is type(layer(*labelled, method="native"))
        assert_close(output.as_subclass(torch.Tensor), reference(layer, *operands))


@every_method
@pytest.mark.parametrize("kept", ["checkpoint", "save_on_cpu", "anomaly"])
def test_ways_to_train(method, kept):
    layer = CASES["dilated"]
    operands = [operand.requires_grad_() for operand in layer.tensors(2)]
    theirs = torch.autograd.grad(reference(layer, *operands).sin().sum(), operands)

    def compute(*operands):
        return layer(*operands, method=method)

    if kept == "checkpoint":
        output = checkpoint(compute, *operands, use_reentrant=False)
    elif kept == "save_on_cpu":
        with torch.autograd.graph.save_on_cpu():
            output = compute(*operands)
    else:
        with pytest.warns(UserWarning, match="Anomaly Detection"), torch.autograd.detect_anomaly():
            output = compute(*operands)
    assert_close(torch.autograd.grad(output.sin().sum(), operands), theirs)


@every_method
def test_tensors_of_inference_mode(method):
    layer = CASES["plain"]
    with torch.inference_mode():
        operands = layer.tensors(2)
        inside = layer(*operands, method=method)
    assert inside.is_inference()
    outside = layer(*operands, method=method)
    assert torch.equal(inside, outside)
    assert_right(outside, layer, *operands)
    tracked = layer.tensors(2)[1].requires_grad_()
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        layer(operands[0], tracked, method=method)


@every_method
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(method, half):
    layer = CASES["uneven"]
    operands = Call(layer, 2, torch.float32).tensors()
    with torch.no_grad(), torch.autocast("cpu", dtype=half):
        output, theirs = layer(*operands, method=method), layer(*operands, method="native")
    assert output.dtype == theirs.dtype == half
    assert_close(output, theirs)


@every_method
def test_gradients_of_an_empty_batch(method):
    layer = CASES["plain"]
    operands = [operand.requires_grad_() for operand in layer.tensors(0)]
    output = layer(*operands, method=method)
    output.sum().backward()
    assert output.shape == (0, 3, *layer.out_sizes)
    assert not operands[1].grad.any()


@pytest.mark.parametrize("name", [name for name, layer in LAYERS.items() if layer.padding_mode != "zeros"])
def test_other_padding_modes_in_float32(name):
    layer = LAYERS[name]
    operands = layer.tensors(2, dtype=torch.float32)
    with torch.no_grad():
        output = layer(*operands, method="tiles")
    assert_close(output, reference(layer, *(operand.double() for operand in operands)).float(), rtol=1e-4, atol=1e-4)
