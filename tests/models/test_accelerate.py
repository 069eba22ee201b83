"""Swapping the layers of models, whatever was done to these layers before or after, and back."""

import copy
import functools
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from convmat import GeometryError
from convmat import nn as layers
from convmat.models.accelerating import accelerate, restore
from convmat.planning import Plan, plan

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
DIRECT = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Named(nn.ConvTranspose2d):
    """A subclass that computes as PyTorch does."""

    def __init__(self, *args: Any, label: str = "named", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.label = label


class OwnForward(nn.ConvTranspose2d):
    def forward(self, input, output_size=None):
        return super().forward(input, output_size) * 2


class OwnConvForward(nn.Conv2d):
    def _conv_forward(self, input, weight, bias):
        return super()._conv_forward(input, weight - weight.mean(), bias)


class Double(nn.Module):
    def forward(self, weight):
        return weight * 2

    def right_inverse(self, weight):
        return weight / 2


def layer(cls: Any = nn.ConvTranspose2d, **options: Any) -> Any:
    torch.manual_seed(0)
    return cls(4, 2, 3, **{"stride": 2, "padding": 1, "dtype": torch.float64, **options})


def input_of(module: Any, size: int = 5) -> torch.Tensor:
    torch.manual_seed(1)
    ndim = len(module.kernel_size)
    return torch.randn(2, module.in_channels, *range(size, size + ndim), dtype=torch.float64)


def outcome(module: Any, input: torch.Tensor) -> list[torch.Tensor]:
    """The output, and the gradients of the input and of the parameters."""
    input = input.clone().requires_grad_()
    output = module(input)
    wanted = [input, *(parameter for parameter in module.parameters() if parameter.requires_grad)]
    return [output.detach(), *torch.autograd.grad(output.square().sum(), wanted)]


def assert_same(got: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


# -- what may have been done to a layer --------------------------------------------------------------------------------


def with_hooks(module: nn.Module) -> nn.Module:
    module.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    module.register_forward_hook(lambda module, args, output: output * 3)
    module.register_full_backward_hook(lambda module, grads, _: (grads[0] * 2,))
    module.register_state_dict_post_hook(
        lambda module, state, prefix, _: state.update({f"{prefix}more": torch.ones(1)})
    )
    return module


def frozen(module: nn.Module) -> nn.Module:
    module.weight.requires_grad_(False)
    return module


def pruned(module: nn.Module) -> nn.Module:
    torch.manual_seed(2)
    return prune.random_unstructured(module, "weight", amount=0.5)


def twice_parametrized(module: nn.Module) -> nn.Module:
    parametrize.register_parametrization(module, "bias", Double())
    return parametrize.register_parametrization(parametrizations.weight_norm(module), "weight", Double())


DONE_BEFORE: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda module: module,
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "old weight_norm": torch.nn.utils.weight_norm,
    "old spectral_norm": torch.nn.utils.spectral_norm,
    "twice parametrized": twice_parametrized,
    "pruned": pruned,
    "hooks": with_hooks,
    "frozen": frozen,
    "channels_last": lambda module: module.to(memory_format=torch.channels_last),
}
KINDS = {
    "transposed": lambda: layer(),
    "transposed 1-d": lambda: layer(nn.ConvTranspose1d, groups=2, output_padding=1),
    "transposed 3-d": lambda: layer(nn.ConvTranspose3d, bias=True, dilation=2),
    "direct": lambda: layer(nn.Conv2d, padding="same", stride=1, padding_mode="circular"),
    "direct 1-d": lambda: layer(nn.Conv1d),
    "subclass": lambda: layer(Named, label="mine"),
}
COMBINATIONS = [("transposed", done) for done in DONE_BEFORE] + [
    (kind, done) for kind in list(KINDS)[1:] for done in ("nothing", "weight_norm", "old weight_norm", "hooks")
]


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize(("kind", "done"), COMBINATIONS)
def test_all_is_as_before(kind, done):
    module = DONE_BEFORE[done](KINDS[kind]()).eval()
    cls, input, state = type(module), input_of(module), module.state_dict(keep_vars=True)
    expected = outcome(module, input)

    for method in ("auto", "phases", "zero_insertion", "unfold"):
        report = accelerate(module, conv=True, method=method)
        assert [(entry.name, entry.method) for entry in report] == [("", method)]
        assert module.method == method
        assert isinstance(module, cls.__mro__[1 if "Parametrized" in cls.__name__ else 0])
        assert not module.training
        assert_same(outcome(module, input), expected)
        assert type(module).__name__ == cls.__name__
        now = module.state_dict(keep_vars=True)
        assert list(now) == list(state)
        assert all(now[key] is state[key] for key in state if key != "more")

    with torch.no_grad():
        module(input)  # or hooks leave a weight with a graph, which PyTorch does not copy
    twin = copy.deepcopy(module)
    assert_same(outcome(twin, input), expected)
    assert restore(module).restored == ("",)
    assert type(module) is cls
    assert "method" not in vars(module)
    assert_same(outcome(module, input), expected)
    restore(twin)
    assert type(twin) is cls
    assert_same(outcome(twin, input), expected)


def add(module: nn.Module) -> None:
    parametrize.register_parametrization(module, "weight", Double())


def add_to_bias(module: nn.Module) -> None:
    parametrize.register_parametrization(module, "bias", Double())


def remove(module: nn.Module) -> None:
    parametrize.remove_parametrizations(module, "weight")


STEPS = {
    "added after": [accelerate, add, restore, remove],
    "added after, removed before": [accelerate, add, remove, restore],
    "removed after": [add, accelerate, remove, restore],
    "removed after restoring": [add, accelerate, restore, remove],
    "another added": [add, accelerate, add_to_bias, restore, remove],
    "another added and accelerated again": [add, accelerate, add_to_bias, accelerate, restore, accelerate, remove],
    "one of two removed": [add, add_to_bias, accelerate, remove, restore],
    "one of two removed, one added": [add, add_to_bias, accelerate, remove, add, restore],
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("cls", [nn.ConvTranspose2d, Named])
def test_parametrizations_come_and_go(cls, steps):
    module = layer(cls)
    input, accelerated = input_of(module), False
    expected = module(input)
    for step in steps:
        step(module)
        accelerated = {accelerate: True, restore: False}.get(step, accelerated)
        assert isinstance(module, layers.ConvTranspose2d) == accelerated
        assert isinstance(module, cls)
        assert_same([module(input)], [expected])
        assert_same([copy.deepcopy(module)(input)], [expected])
    if not accelerated and not parametrize.is_parametrized(module):
        assert type(module) is cls


def test_copies_that_share_a_parametrized_class_keep_theirs():
    module = parametrizations.weight_norm(layer())
    twin, input = copy.deepcopy(module), input_of(module)
    shared, expected = type(module), module(input)
    accelerate(module)
    assert type(twin) is shared
    parametrize.remove_parametrizations(module, "weight")
    assert_same([twin(input), module(input)], [expected, expected])
    accelerate(twin)
    restore(twin)
    assert type(twin) is shared


@pytest.mark.parametrize("cls", [nn.ConvTranspose2d, Named])
def test_models_are_saved_and_loaded(cls):
    model = nn.Sequential(layer(cls), nn.ReLU())
    input = input_of(model[0])
    expected = model(input)
    accelerate(model, method="phases")
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for loaded in (
        torch.load(file, weights_only=False),
        *(pickle.loads(pickle.dumps(model, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    ):
        assert type(loaded[0]) is type(model[0])
        assert loaded[0].method == "phases"
        assert_same([loaded(input)], [expected])
        restore(loaded)
        assert type(loaded[0]) is cls
    plain = nn.Sequential(layer(cls), nn.ReLU())
    plain.load_state_dict(model.state_dict())
    assert_same([plain(input)], [expected])


def test_parametrized_models_are_pickled_as_little_as_before():
    module = parametrizations.weight_norm(layer())
    with pytest.raises(RuntimeError) as before:
        pickle.dumps(module)
    accelerate(module)
    with pytest.raises(RuntimeError) as after:
        pickle.dumps(module)
    assert str(after.value) == str(before.value)


# -- where layers are --------------------------------------------------------------------------------------------------


class Model(nn.Module):
    """Layers in every kind of container, one of them in two places."""

    def __init__(self):
        super().__init__()
        self.direct = nn.Conv1d(2, 2, 3)
        self.list = nn.ModuleList([nn.ConvTranspose1d(2, 2, 3), nn.Sequential(nn.ConvTranspose1d(2, 2, 2))])
        self.dict = nn.ModuleDict({"<up>": nn.ConvTranspose1d(2, 2, 4, 2)})
        self.again = self.list[0]
        self.nothing = None
        self.register_module("none", None)


def test_layers_are_found_wherever_they_are():
    model = Model()
    direct, again = model.direct, model.again
    report = accelerate(model, conv=False)
    assert report.swapped == ("list.0", "list.1.0", "dict.<up>")
    assert report.layers[0].aliases == ("again",)
    assert model.again is model.list[0] is again
    assert isinstance(again, layers.ConvTranspose1d)
    assert type(direct) is nn.Conv1d
    assert accelerate(model).swapped == ("direct",)
    assert restore(model).restored == ("direct", "list.0", "list.1.0", "dict.<up>")
    assert [type(module) for module in (direct, again)] == [nn.Conv1d, nn.ConvTranspose1d]


@pytest.mark.parametrize("cls", [*TRANSPOSED, *DIRECT])
def test_the_model_may_be_a_layer_itself(cls):
    module = cls(2, 2, 3)
    assert accelerate(module).swapped == ("",)
    assert isinstance(module, getattr(layers, cls.__name__))
    restore(module)
    assert type(module) is cls


def test_again_and_again():
    model = nn.Sequential(layer())
    assert [entry.done for entry in accelerate(model)] == ["swapped"]
    made = type(model[0])
    assert [entry.done for entry in accelerate(model)] == ["unchanged"]
    assert [entry.done for entry in accelerate(model, method="unfold")] == ["method changed"]
    assert type(model[0]) is made
    assert model[0].method == "unfold"
    assert len(restore(model)) == 1
    assert len(restore(model)) == 0
    assert type(model[0]) is nn.ConvTranspose2d


def test_output_size_is_still_an_argument():
    module = layer()
    input = input_of(module)
    expected = module(input, output_size=(10, 12))
    accelerate(module, method="phases")
    assert_same([module(input, output_size=(10, 12))], [expected])


def test_optimizers_hooks_on_tensors_and_modes_go_on():
    model = nn.Sequential(layer(), nn.ConvTranspose2d(2, 1, 3, dtype=torch.float64))
    reference = copy.deepcopy(model)
    optimizers = [torch.optim.Adam(each.parameters(), lr=0.1) for each in (model, reference)]
    accelerate(model, method="zero_insertion")
    for _ in range(3):
        for each, optimizer in zip((model, reference), optimizers, strict=True):
            optimizer.zero_grad()
            each(input_of(model[0])).square().sum().backward()
            optimizer.step()
    assert_same(list(model.parameters()), list(reference.parameters()))
    model.half().double()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}


def test_neither_accelerating_nor_planning_steps_a_power_iteration():
    module = parametrizations.spectral_norm(layer()).train()
    before = copy.deepcopy(module.state_dict())
    accelerate(module)
    plan(module, (4, 5, 6))
    restore(module)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["auto", "phases"])
def test_compiled(method, when):
    torch._dynamo.reset()  # other tests may have compiled the same layers as often as is allowed
    model = nn.Sequential(
        parametrizations.weight_norm(layer()), nn.ReLU(), layer(Named, in_channels=2) if 0 else nn.ReLU()
    )
    input = input_of(layer())
    expected = model(input)
    if when == "before":
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        compiled(input)
        assert len(accelerate(compiled, method=method)) == 1
    else:
        accelerate(model, method=method)
        compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert_same([compiled(input)], [expected])
    restore(model)
    assert_same([compiled(input)], [expected])


# -- what is left alone ------------------------------------------------------------------------------------------------


def patched():
    module = layer()
    module.forward = lambda input: input
    return module


def with_method():
    module = layer()
    module.method = "nearest"
    return module


def quantized():
    cls = type("ConvTranspose2d", (nn.Module,), {"__module__": "somewhere.quantized"})
    return cls()


@dataclass(frozen=True)
class LeftAlone:
    build: Callable[[], nn.Module]
    why: str
    method: str = "auto"


LEFT_ALONE = {
    "own forward": LeftAlone(lambda: layer(OwnForward), "OwnForward has a forward of its own"),
    "own _conv_forward": LeftAlone(lambda: layer(OwnConvForward), "OwnConvForward has a _conv_forward of its own"),
    "parametrized, own forward": LeftAlone(
        lambda: parametrizations.weight_norm(layer(OwnForward)), "has a forward of its own"
    ),
    "patched": LeftAlone(patched, "its forward was replaced"),
    "own method": LeftAlone(with_method, "an attribute 'method' of its own"),
    "lazy": LeftAlone(lambda: nn.LazyConvTranspose2d(2, 3), "no weight yet: run the model once"),
    "lazy direct": LeftAlone(lambda: nn.LazyConv1d(2, 3), "no weight yet"),
    "quantized": LeftAlone(quantized, "somewhere.quantized.ConvTranspose2d is no torch.nn.ConvTranspose2d"),
    "ours": LeftAlone(lambda: layers.ConvTranspose2d(4, 2, 3), "a convmat layer already"),
    "bool": LeftAlone(lambda: of_dtype(torch.bool), "torch.bool"),
    "a dtype without kernels": LeftAlone(
        lambda: of_dtype(torch.float8_e4m3fn), "method='native' fails on torch.float8_e4m3fn on cpu"
    ),
    "a dtype that the method refuses": LeftAlone(
        lambda: of_dtype(torch.int64), "method='fft' cannot take this layer", "fft"
    ),
    "arguments that PyTorch would refuse": LeftAlone(lambda: layer(output_padding=2), "output_padding=2"),
}


def of_dtype(dtype: torch.dtype) -> Any:
    module = layer()
    for name, parameter in module.named_parameters():
        setattr(module, name, nn.Parameter(parameter.detach().to(dtype), requires_grad=False))
    return module


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
@pytest.mark.parametrize("case", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_left_alone_and_said_so(case):
    model = nn.Sequential(case.build(), nn.ReLU())
    cls, attributes = type(model[0]), dict(vars(model[0]))
    report = accelerate(model, conv=True, method=case.method)
    (entry,) = report
    assert entry.done == "left alone"
    assert case.why in entry.reason
    assert entry.reason in " ".join(str(report).split())
    assert report.swapped == ()
    assert type(model[0]) is cls
    assert vars(model[0]) == attributes
    assert len(restore(model)) == 0
    assert type(model[0]) is cls


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_lazy_layers_are_swapped_once_they_have_a_weight():
    model = nn.Sequential(nn.LazyConvTranspose1d(2, 3))
    model(torch.ones(1, 4, 5))
    assert accelerate(model).swapped == ("0",)


def wrap(module: Any) -> None:
    module.__class__ = type("Wrapped", (type(module),), {})


def patch(module: Any) -> None:
    module.forward = functools.partial(type(module).forward, module)  # as libraries do that wrap it


@pytest.mark.parametrize(("change", "why"), [(wrap, "become a Wrapped since"), (patch, "forward was replaced since")])
def test_layers_that_became_something_else_since_are_left_alone(change, why):
    module = layer()
    input = input_of(module)
    expected = module(input)
    accelerate(module)
    change(module)
    cls = type(module)
    for report in (restore(module), accelerate(module, method="phases")):
        (entry,) = report
        assert (entry.done, entry.method, type(module)) == ("left alone", "auto", cls)
        assert why in entry.reason
        assert_same([module(input)], [expected])


def test_layers_without_values_are_swapped():
    module = nn.ConvTranspose2d(2, 3, 4, device="meta")
    assert accelerate(module).swapped == ("",)
    assert module(torch.empty(1, 2, 5, 6, device="meta")).shape == (1, 3, 8, 9)


# -- bad input ---------------------------------------------------------------------------------------------------------

BAD_MODELS = {
    "a list": ([nn.Linear(1, 1)], "not list"),
    "none": (None, "not NoneType"),
    "a class": (Model, "class Model"),
}


@pytest.mark.parametrize("call", [accelerate, restore])
@pytest.mark.parametrize(("model", "words"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_no_module(call, model, words):
    with pytest.raises(TypeError, match=f"model must be a torch.nn.Module, .*{words}"):
        call(model)


@pytest.mark.parametrize("method", ["fastest", "", "Auto", None, ["phases"]])
def test_unknown_methods_change_nothing(method):
    module = layer()
    with pytest.raises(GeometryError, match=r"unknown: need one of 'auto', 'native', .*'phases'"):
        accelerate(module, method=method)
    assert type(module) is nn.ConvTranspose2d


@pytest.mark.parametrize("name", ["conv", "freeze", "fold"])
@pytest.mark.parametrize("value", [1, "False", None, [nn.Conv2d]])
def test_flags_that_are_no_bool_change_nothing(name, value):
    module = layer()
    with pytest.raises(TypeError, match=f"{name} must be True or False, not {type(value).__name__}"):
        accelerate(module, **{name: value})
    assert type(module) is nn.ConvTranspose2d


# -- reports -----------------------------------------------------------------------------------------------------------


def test_report_in_a_terminal():
    model = nn.Sequential(nn.ConvTranspose2d(8, 4, (4, 3), stride=(2, 1), padding=1, groups=2), layer(OwnForward))
    model.append(model[0])
    assert str(accelerate(model, method="phases")).splitlines() == [
        "accelerate(Sequential): 1 swapped, 1 left alone",
        "",
        "swapped, method 'phases': asked by you",
        "  0 (also 2)  ConvTranspose2d  8 -> 4, kernel 4x3, stride 2x1, padding 1,",
        "                               groups 2",
        "left alone: OwnForward has a forward of its own",
        "  1           ConvTranspose2d  4 -> 2, kernel 3, stride 2, padding 1",
    ]
    assert "convmat.plan(layer, in_shape) says which" in str(accelerate(model)).replace("\n", " ")


def nested(name: str, module: nn.Module) -> nn.Module:
    """A model with one layer, as deep as its name says."""
    for part in reversed(name.split(".")):
        parent = nn.Module()
        parent.register_module(part, module)
        module = parent
    return module


NAMES = ["up", "generator.upsampler.0", "decoder.blocks.3.upsample.conv", "a.very.long.name.of.a.layer.in.the.decoder"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("build", [layer, lambda: layer(OwnForward), lambda: of_dtype(torch.float8_e4m3fn)])
def test_reports_fit_a_terminal(name, build):
    options = {"stride": (2, 3), "padding": (1, 2), "output_padding": 1, "dilation": 3, "groups": 2}
    large = nn.utils.skip_init(nn.ConvTranspose2d, 1024, 512, (16, 17), **options)
    model = nn.ModuleList([nested(name, build()), nested(name, large)])
    for report in (accelerate(model), accelerate(model, method="phases"), restore(model)):
        assert max(map(len, str(report).splitlines())) <= 80
        words = str(report).split()
        for entry in report:
            assert set(f"{entry.name} {entry.kind} {entry.shape} {entry.reason}".split()) <= set(words)


def test_report_in_a_notebook():
    html = accelerate(Model(), conv=False)._repr_html_()
    assert html.count("<tr>") == 4
    assert "<td>dict.&lt;up&gt;</td>" in html
    assert "<up>" not in html
    assert "2 -&gt; 2" in html


@pytest.mark.parametrize("model", [nn.Linear(2, 2), nn.Sequential(), nn.Sequential(nn.Conv2d(1, 1, 1)), nn.Identity()])
def test_no_layer_to_swap(model):
    report = accelerate(model, conv=False)
    assert (len(report), report.swapped) == (0, ())
    assert str(report) == f"accelerate({type(model).__name__}): no transposed convolution in it, nothing to swap"
    if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        assert str(accelerate(model)).endswith(": no convolution in it, nothing to swap")
    assert "nothing to swap" in report._repr_html_()
    assert "nothing to restore" in str(restore(model))


# -- plans -------------------------------------------------------------------------------------------------------------

PLANS = {
    "native": (lambda: of_dtype(torch.bfloat16), (4, 5, 6), "native", "PyTorch's own function takes torch.bfloat16"),
    "direct": (lambda: layer(nn.Conv1d).half(), (4, 9), "native", "torch.float16 over 1 axes"),
    "integers": (lambda: of_dtype(torch.int16), (4, 5, 6), "unfold", "takes no torch.int16"),
    "fixed": (lambda: accelerated(layer(), "phases"), (4, 5, 6), "phases", "the layer says method='phases'"),
    "accelerated": (lambda: accelerated(of_dtype(torch.bfloat16), "auto"), (4, 5, 6), "native", "PyTorch's own"),
}


def accelerated(module: Any, method: str) -> Any:
    accelerate(module, method=method)
    return module


@pytest.mark.parametrize(("build", "in_shape", "method", "reason"), PLANS.values(), ids=PLANS)
def test_plan(build, in_shape, method, reason):
    planned = plan(build(), in_shape)
    assert planned.method == method
    assert reason in planned.reason
    assert str(planned) == f"{method}: {planned.reason}"
    assert planned == Plan(method, planned.reason)


@pytest.mark.parametrize("kind", [nn.ConvTranspose2d, nn.Conv2d])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_plan_by_estimate(dtype, kind):
    """Where our kernel could compute a layer, the plan weighs it against PyTorch's own function."""
    pytest.importorskip("numba")
    planned = plan(layer(kind).to(dtype), (4, 5, 6))
    assert planned.method in ("tiles", "native")
    assert planned.reason.endswith("by estimate")


BAD_PLANS = {
    "batch": (lambda: layer(), (1, 4, 5, 6), GeometryError, "without the batch"),
    "channels": (lambda: layer(), (3, 5, 6), GeometryError, "3 channels"),
    "bool": (lambda: of_dtype(torch.bool), (4, 5, 6), GeometryError, "torch.bool"),
    "no convolution": (lambda: nn.Linear(2, 2), (2,), TypeError, "Linear"),
    "too small": (lambda: layer(nn.Conv2d, padding=0), (4, 2, 5), GeometryError, "kernel_size=3"),
}


@pytest.mark.parametrize(("build", "in_shape", "error", "words"), BAD_PLANS.values(), ids=BAD_PLANS)
def test_plans_that_cannot_be(build, in_shape, error, words):
    with pytest.raises(error, match=words):
        plan(build(), in_shape)


def test_plan_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert "bfloat16" in plan(nn.ConvTranspose2d(4, 2, 3), (4, 5, 6)).reason
        assert plan(layer(nn.Conv2d), (4, 5, 6)).reason.endswith("by estimate")  # of float64, as it is
