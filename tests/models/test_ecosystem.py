"""Other libraries, and accelerated layers: what works beside them, and what is said where it cannot."""

import copy
import functools
import warnings
from types import MethodType

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.ao import quantization
from torch.ao.quantization import quantize_fx
from torch.utils.flop_counter import FlopCounterMode

import convmat
from convmat import GeometryError, accelerate, restore

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit:DeprecationWarning",
    "ignore:torch.ao.quantization is deprecated:DeprecationWarning",
    "ignore:torch.quantize_per_tensor:UserWarning",
    "ignore:reduce_range will be deprecated:UserWarning",
)


def model_of():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 4, 4, 2, 1),
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, 3, (3, 5), (2, 3), 1, output_padding=1),
    ).eval()


def input_of():
    torch.manual_seed(1)
    return torch.randn(2, 3, 10, 13)


def types_of(model):
    return [type(module) for module in model.modules()]


# -- a forward that is the class's own ---------------------------------------------------------------------------------


def add_hook(module):
    """As Hugging Face's accelerate does it."""
    module._old_forward = module.forward
    module.forward = functools.update_wrapper(
        functools.partial(lambda module, *args, **kwargs: module._old_forward(*args, **kwargs), module),
        module._old_forward,
    )


def remove_hook(module):
    module.forward = module._old_forward
    del module._old_forward


def hook_and_unhook(module):
    add_hook(module)
    remove_hook(module)


@pytest.mark.parametrize("cls", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("when", ["before", "after", "both", "copied"])
def test_hooks_added_and_removed(cls, when):
    layer, input = cls(3, 2, 3), input_of()
    attributes, expected = set(vars(layer)), layer(input)
    if when in ("before", "both", "copied"):
        hook_and_unhook(layer)
        assert isinstance(vars(layer)["forward"], MethodType)
    if when == "copied":
        layer = copy.deepcopy(layer)
    assert accelerate(layer, conv=True, method="phases").swapped == ("",)
    torch.testing.assert_close(layer(input), expected)
    if when in ("after", "both"):
        hook_and_unhook(layer)
    torch.testing.assert_close(layer(input), expected)
    assert [entry.done for entry in accelerate(layer, conv=True)] == ["method changed"]
    assert restore(layer).restored == ("",)
    assert type(layer) is cls
    assert set(vars(layer)) == attributes
    assert torch.equal(layer(input), expected)


def test_hooks_that_are_still_there():
    layer = nn.ConvTranspose2d(3, 2, 3)
    add_hook(layer)
    assert accelerate(layer).layers[0].reason == "its forward was replaced"
    remove_hook(layer)
    assert accelerate(layer).swapped == ("",)
    add_hook(layer)
    assert restore(layer).layers[0].reason == "its forward was replaced since"
    remove_hook(layer)
    assert restore(layer).restored == ("",)


def test_a_forward_of_another_layer_is_a_replacement():
    layer, other = nn.ConvTranspose2d(3, 2, 3), nn.ConvTranspose2d(3, 2, 3)
    layer.forward = other.forward
    assert accelerate(layer).layers[0].reason == "its forward was replaced"


# -- layers made of the class of an accelerated one --------------------------------------------------------------------


class Named(nn.ConvTranspose2d):
    def __init__(self, *arguments, label="named", **options):
        super().__init__(*arguments, **options)
        self.label = label


@pytest.mark.parametrize("cls", [nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, Named])
def test_layers_made_of_the_class_of_an_accelerated_one(cls):
    """As LoRA makes its own beside it."""
    base = cls(4, 6, 3)
    accelerate(base, conv=True, method="phases")
    torch.manual_seed(0)
    made = type(base)(4, 2, base.kernel_size, base.stride, base.padding, bias=False)
    torch.manual_seed(0)
    expected = cls(4, 2, base.kernel_size, base.stride, base.padding, bias=False)
    assert torch.equal(made.weight, expected.weight)
    input = torch.randn(2, 4, *range(5, 5 + len(base.kernel_size)))
    torch.testing.assert_close(made(input), expected(input))
    model = nn.ModuleList([base, made])
    assert [entry.done for entry in accelerate(model, conv=True, method="phases")] == ["unchanged", "method changed"]
    assert restore(model).restored == ("0", "1")
    assert types_of(model)[1:] == [cls, cls]
    assert set(vars(made)) == set(vars(expected))
    assert torch.equal(made(input), expected(input))


def test_they_take_what_pytorchs_take():
    """Nothing that PyTorch's layer could not hold after it was restored."""
    layer = nn.ConvTranspose2d(4, 6, 3)
    accelerate(layer)
    with pytest.raises(TypeError, match="method"):
        type(layer)(4, 2, 3, method="phases")
    with pytest.raises(ValueError, match="zeros"):
        type(layer)(4, 2, 3, padding_mode="circular")


# -- torch.jit ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "native", "tiles"])
def test_traced_as_pytorchs_layers_are(method):
    """No warnings of sizes that Python looks at, and the same operations."""
    model, input = model_of(), input_of()
    with warnings.catch_warnings(record=True) as before:
        warnings.simplefilter("always")
        expected = torch.jit.trace(model, input)
    accelerate(model, conv=True, method=method)
    with warnings.catch_warnings(record=True) as after:
        warnings.simplefilter("always")
        traced = torch.jit.trace(model, input)
    assert [warning.category for warning in after] == [warning.category for warning in before]
    kinds = [[node.kind() for node in each.inlined_graph.nodes()] for each in (traced, expected)]
    assert kinds[0] == kinds[1]
    other = torch.randn(1, 3, 7, 8)
    assert torch.equal(traced(other), expected(other))


def test_traced_with_what_pytorch_lacks():
    layer, input = convmat.nn.ConvTranspose1d(3, 2, 4, 2, padding="same", padding_mode="circular"), torch.randn(1, 3, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(layer, input)
    torch.testing.assert_close(traced(input), layer(input))


def test_tracing_steps_a_power_iteration_no_more_often():
    model, twin = (nn.utils.parametrizations.spectral_norm(nn.ConvTranspose1d(3, 2, 4)).train() for _ in range(2))
    twin.load_state_dict(model.state_dict())
    accelerate(model)
    for each in (model, twin):
        torch.jit.trace(each, torch.randn(1, 3, 9), check_trace=False)
    for key, value in model.state_dict().items():
        assert torch.equal(value, twin.state_dict()[key])


def test_a_traced_model_has_no_layers_to_swap():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model_of().eval(), torch.randn(1, 3, 6, 7))
    assert "accelerate the model before torch.jit.trace" in str(accelerate(traced))


@pytest.mark.parametrize("whole", [False, True])
def test_scripting_says_what_would_do(whole):
    model = model_of()
    accelerate(model, conv=False)
    scripted = model if whole else model[3]
    with pytest.raises(TypeError, match=r"cannot compile ConvTranspose2d.* convmat\.restore\(model\)"):
        torch.jit.script(scripted)
    restore(model)
    input = torch.randn(1, *(3, 6, 7) if whole else (8, 6, 7))
    torch.testing.assert_close(torch.jit.script(scripted)(input), scripted(input))


def test_scripting_a_layer_of_ours():
    with pytest.raises(TypeError, match=r"a layer of convmat: use torch\.jit\.trace or torch\.export$"):
        torch.jit.script(convmat.nn.Conv1d(2, 3, 3))


# -- quantizing and fusing ---------------------------------------------------------------------------------------------


def fuse_experimentally(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what it imports
        from torch.fx.experimental import optimization
    return optimization.fuse(model)


MISSED = r"call convmat\.restore\(model\) before, and accelerate last"


@pytest.mark.parametrize("tool", [quantize_fx.fuse_fx, fuse_experimentally, torch.fx.symbolic_trace])
def test_tools_on_graphs_that_miss_layers_say_so(tool):
    model, input = model_of(), input_of()
    accelerate(model, conv=True)
    with pytest.warns(UserWarning, match=MISSED):
        assert nn.Conv2d not in types_of(tool(model))
    restore(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fused = tool(model)
    assert any(isinstance(module, nn.Conv2d) for module in fused.modules())
    torch.testing.assert_close(fused(input), model(input), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fuse", [quantize_fx.fuse_fx, fuse_experimentally])
def test_fused_first_then_accelerated(fuse):
    """As the documentation says."""
    model, input = model_of(), input_of()
    fused = fuse(model)
    assert accelerate(fused).swapped
    torch.testing.assert_close(fused(input), model(input), rtol=1e-4, atol=1e-4)


def test_layers_of_ours_are_traced_without_a_word():
    layer = convmat.nn.ConvTranspose1d(2, 3, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.fx.symbolic_trace(layer)


def quantized_eagerly(model):
    wrapped = nn.Sequential(quantization.QuantStub(), model, quantization.DeQuantStub()).eval()
    weight = quantization.default_weight_observer
    wrapped.qconfig = quantization.QConfig(activation=quantization.default_observer, weight=weight)
    prepared = quantization.prepare(wrapped)
    prepared(input_of())
    return quantization.convert(prepared)


@pytest.mark.skipif("fbgemm" not in torch.backends.quantized.supported_engines, reason="needs quantized kernels")
def test_quantized_numbers_name_the_way_back(monkeypatch):
    monkeypatch.setattr(torch.backends.quantized, "engine", "fbgemm")
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 3, 3))
    accelerate(model, conv=True)
    with pytest.raises(GeometryError, match=r"input is quantized \(torch\.quint8\).* convmat\.restore\(model\) before"):
        quantized_eagerly(model)(input_of())
    restore(model)
    assert quantized_eagerly(model)(input_of()).shape == (2, 3, 10, 13)


# -- counting ----------------------------------------------------------------------------------------------------------


def operations(model, input):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input)
    return counter.get_total_flops()


@pytest.mark.parametrize("freeze", [False, True])
def test_pytorchs_counter_counts_the_same(freeze):
    model, input = model_of(), input_of()
    expected = operations(model, input)
    accelerate(model, conv=True, freeze=freeze)
    assert operations(model, input) == expected > 0


@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_counters_that_replace_pytorchs_function(monkeypatch, name, freeze):
    model, input, calls = model_of(), input_of(), []
    expected = model(input)
    original = getattr(F, name)
    accelerate(model, conv=True, freeze=freeze)
    with torch.no_grad():
        model(input)
    monkeypatch.setattr(F, name, lambda *args, **kwargs: calls.append(args) or original(*args, **kwargs))
    with torch.no_grad():
        torch.testing.assert_close(model(input), expected, rtol=1e-4, atol=1e-4)
    assert len(calls) == (1 if name == "conv2d" else 2)
    monkeypatch.undo()
    with torch.no_grad():
        model(input)
    assert len(calls) == (1 if name == "conv2d" else 2)


# -- Numba is missing --------------------------------------------------------------------------------------------------


@pytest.fixture
def _without_numba(monkeypatch):
    from convmat.kernel import compiled

    error = ModuleNotFoundError("No module named 'numba'", name="numba")
    monkeypatch.setattr(compiled, "_import_error", lambda: error)
    convmat.empty_cache()
    yield
    convmat.empty_cache()


SAID = "Numba, which our kernel needs, is not installed: pip install numba"


@pytest.mark.usefixtures("_without_numba")
@pytest.mark.parametrize("method", ["auto", "tiles"])
def test_reports_say_that_numba_is_missing(method):
    report = accelerate(model_of(), method=method)
    assert SAID in str(report).splitlines()
    assert f"<p>{SAID}</p>" in report._repr_html_()
    assert SAID not in str(accelerate(model_of(), method="native"))


@pytest.mark.usefixtures("_without_numba")
def test_plans_say_that_numba_is_missing():
    planned = convmat.plan(nn.ConvTranspose2d(4, 3, 4), (4, 5, 6))
    assert planned.method == "native"
    assert planned.reason == f"PyTorch's own function takes torch.float32 over 2 axes; {SAID}"
    for other in (nn.Conv2d(4, 3, 4).half(), nn.ConvTranspose2d(4, 3, 4, dtype=torch.bfloat16)):  # not for the kernel
        assert "Numba" not in convmat.plan(other, (4, 5, 6)).reason


def test_with_numba_nothing_is_said():
    pytest.importorskip("numba")
    assert "Numba" not in str(accelerate(model_of()))
    assert "Numba" not in convmat.plan(nn.ConvTranspose2d(4, 3, 4), (4, 5, 6)).reason
