"""Everything that PyTorch does to a function: differentiate, map, compile, export, cast, fake, distribute."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

import convmat
import convmat.nn
from convmat import GeometryError
from tests.cases import LAYERS
from tests.layers import METHODS, reference

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]

# What each method says that it does under ``torch.compile(fullgraph=True)``; the others break the graph.
COMPILED = ("auto", "native", "zero_insertion", "phases", "fft")
BREAKING = ("dense", "sparse", "unfold")
# Exported, the guards of ``phases`` fix the sizes that they were exported with, modulo the stride.
EXPORTED = ("auto", "native", "zero_insertion", "fft")
VARIED = ("grouped", "uneven", "same", "reflect", "transposed_grouped", "transposed_dilated", "transposed_circular")

every_case = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
every_method = pytest.mark.parametrize("method", ["auto", *METHODS])
NAMES = [f"Conv{direction}{ndim}d" for direction in ("", "Transpose") for ndim in (1, 2, 3)]


@pytest.fixture(autouse=True)
def _fresh():
    yield
    torch.compiler.reset()


def larger(layer, input):
    """An input of other sizes and another batch, if the layer takes it."""
    if layer.output_size is not None:
        return torch.cat([input, input])
    return F.pad(torch.cat([input, input[:1]]), [1, 2] * layer.ndim)


class Module(nn.Module):
    """A case as a module, its weight and bias as parameters."""

    def __init__(self, layer, method="auto"):
        super().__init__()
        self.layer, self.method = layer, method
        _, weight, bias = layer.tensors(2)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, input):
        return self.layer(input, self.weight, self.bias, method=self.method)


# -- derivatives of layers, by values ----------------------------------------------------------------------------------


def pair(name, method="auto"):
    """A layer of ours and one of PyTorch's with the same parameters, and an input."""
    made = []
    for module, options in ((convmat.nn, {"method": method}), (nn, {})):
        torch.manual_seed(0)
        made.append(getattr(module, name)(2, 2, 2, 2, 1, groups=2, dtype=torch.float64, **options))
    ndim = int(name[-2])
    return *made, torch.randn(2, 2, *(3 + a for a in range(ndim)), dtype=torch.float64)


def loss_of(layer, input):
    return lambda parameters: functional_call(layer, parameters, (input,)).sin().sum()


@pytest.mark.parametrize("name", NAMES)
def test_transforms_of_layers_are_those_of_pytorchs(name):
    ours, theirs, input = pair(name)
    parameters = {key: value.detach() for key, value in theirs.named_parameters()}
    for transform in (grad, jacfwd, jacrev):
        assert_close(transform(loss_of(ours, input))(parameters), transform(loss_of(theirs, input))(parameters))
    tangent = torch.randn_like(input)
    assert_close(jvp(ours, (input,), (tangent,)), jvp(theirs, (input,), (tangent,)))
    output, pull = vjp(ours, input)
    assert_close(pull(output), vjp(theirs, input)[1](output))


@every_method
@pytest.mark.parametrize("name", ["Conv1d", "ConvTranspose1d"])
def test_second_derivatives_of_layers(name, method):
    ours, theirs, input = pair(name, method)
    weight = theirs.weight.detach()

    def curvature(layer):
        return hessian(lambda weight: functional_call(layer, {"weight": weight}, (input,)).sin().sum())(weight)

    assert_close(curvature(ours), curvature(theirs))
    ours_twice, theirs_twice = (backward_twice(layer, input) for layer in (ours, theirs))
    assert_close(ours_twice, theirs_twice)


def backward_twice(layer, input):
    """The gradient of a gradient penalty, as in WGAN-GP."""
    input = input.clone().requires_grad_()
    (slope,) = torch.autograd.grad(layer(input).sin().sum(), input, create_graph=True)
    return torch.autograd.grad(slope.pow(2).sum(), [layer.weight, layer.bias, input])


@every_method
@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_ensembles(name, method):
    """Several models at once, and the gradient of each sample."""
    models = [getattr(convmat.nn, name)(2, 2, 3, padding=((2, 0), 1), method=method) for _ in range(3)]
    input = torch.randn(2, 2, 4, 5)
    parameters, buffers = stack_module_state(models)
    outputs = vmap(lambda p, b, x: functional_call(models[0], (p, b), (x,)), (0, 0, None))(parameters, buffers, input)
    assert_close(outputs, torch.stack([model(input) for model in models]), rtol=1e-4, atol=1e-5)
    plain = {key: value.detach() for key, value in models[0].named_parameters()}
    each = vmap(lambda x: grad(loss_of(models[0], x[None]))(plain))(input)
    for key in plain:
        expected = torch.stack([grad(loss_of(models[0], sample[None]))(plain)[key] for sample in input])
        assert_close(each[key], expected, rtol=1e-4, atol=1e-5)


# -- compiled ----------------------------------------------------------------------------------------------------------


@every_case
def test_compiled(layer):
    """Forward and backward; the same code for other sizes if these are dynamic."""
    module = Module(layer)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=False)
    input = layer.tensors(2)[0].requires_grad_()
    assert_compiled_alike(compiled, module, input)


@pytest.mark.parametrize("name", VARIED)
@torch.fx.experimental._config.patch(use_duck_shape=False)  # else a batch of as many items as channels is not any batch
@torch._dynamo.config.patch(error_on_recompile=True)
def test_compiled_for_any_size(name):
    """Once."""
    layer, module = LAYERS[name], Module(LAYERS[name])
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
    input = layer.tensors(2)[0]
    assert_compiled_alike(compiled, module, input.requires_grad_())
    assert_compiled_alike(compiled, module, larger(layer, input.detach()).requires_grad_())


def assert_compiled_alike(compiled, module, input):
    output, expected = compiled(input), module(input)
    assert_close(output, expected)
    operands = [input, module.weight, module.bias]
    ours, theirs = (torch.autograd.grad(result.sin().sum(), operands) for result in (output, expected))
    assert_close(ours, theirs)


@pytest.mark.parametrize("method", [method for method in COMPILED if method not in ("auto", "native")])
@pytest.mark.parametrize("name", ["uneven", "transposed_grouped", "transposed_circular"])
def test_methods_compiled(name, method):
    layer, module = LAYERS[name], Module(LAYERS[name], method)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert_compiled_alike(compiled, module, layer.tensors(2)[0].requires_grad_())


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # read by the compiler
@pytest.mark.parametrize("method", BREAKING)
def test_methods_that_break_the_graph(method):
    """They run as they are, and say so where a whole graph is asked for."""
    layer, module = LAYERS["transposed_grouped"], Module(LAYERS["transposed_grouped"], method)
    input = layer.tensors(2)[0].requires_grad_()
    assert_compiled_alike(torch.compile(module, backend="aot_eager"), module, input)
    torch.compiler.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(module, fullgraph=True, backend="aot_eager")(input)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_by_inductor():
    model = nn.Sequential(
        convmat.nn.Conv2d(2, 3, 3, 2, "same", padding_mode="circular"),
        nn.ReLU(),
        convmat.nn.ConvTranspose2d(3, 1, 4, 2, padding=((2, 1), 1), padding_mode="reflect"),
    )
    input = torch.randn(2, 2, 6, 7)
    assert_close(torch.compile(model, fullgraph=True)(input), model(input))


@pytest.mark.parametrize("dynamic", [False, True])
def test_unfold_and_fold_compiled(dynamic):
    arguments = ((2, 3), 1, ((1, 0), (0, 2)), (2, 1))
    input = torch.randn(2, 3, 6, 7, requires_grad=True)
    model = nn.Sequential(convmat.nn.Unfold(*arguments), nn.ReLU(), convmat.nn.Fold((6, 7), *arguments))
    output = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=dynamic)(input)
    assert_close(output, model(input))
    ours, theirs = (torch.autograd.grad(result.sin().sum(), input) for result in (output, model(input)))
    assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["plain", "transposed"])
def test_a_plain_layer_is_one_node(name):
    """Compiled and exported, ``"auto"`` is PyTorch's own convolution."""
    layer = LAYERS[name]
    program = torch.export.export(Module(layer), layer.tensors(2)[:1])
    calls = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert len(calls) == 1
    assert calls[0].startswith(f"aten.conv{'_transpose' if layer.transposed else ''}{layer.ndim}d")


# -- exported ----------------------------------------------------------------------------------------------------------


def any_size(layer):
    spatial = range(2, 2 + layer.ndim) if layer.output_size is None else ()
    return (dict.fromkeys((0, *spatial), torch.export.Dim.DYNAMIC),)


@every_case
def test_exported_for_any_size(layer):
    assert_exported_alike(layer, strict=False)


@pytest.mark.parametrize("name", VARIED)
def test_exported_strictly(name):
    assert_exported_alike(LAYERS[name], strict=True)


@pytest.mark.parametrize("name", ["uneven", "transposed_uneven"])
@pytest.mark.parametrize("method", [method for method in EXPORTED if method not in ("auto", "native")])
def test_methods_exported(name, method):
    assert_exported_alike(LAYERS[name], method, strict=False)


def assert_exported_alike(layer, method="auto", strict=False):
    module, input = Module(layer, method), larger(layer, layer.tensors(2)[0])
    program = torch.export.export(module, (input,), strict=strict, dynamic_shapes=any_size(layer))
    exported = program.module()
    for example in (input, larger(layer, input)):
        assert_close(exported(example), module(example))
    operators = {node.target for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)}
    assert {operator.namespace for operator in operators} == {"aten"}


@pytest.mark.parametrize("name", ["uneven", "transposed_grouped"])
def test_phases_exported_for_one_size(name):
    layer, module = LAYERS[name], Module(LAYERS[name], "phases")
    input = layer.tensors(2)[0]
    exported = torch.export.export(module, (input,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)).module()
    assert_close(exported(torch.cat([input, input])), module(torch.cat([input, input])))


def test_symbolic_sizes_of_make_fx():
    layer = LAYERS["transposed_circular"]
    operands = layer.tensors(2)
    traced = make_fx(lambda *operands: layer(*operands), tracing_mode="symbolic")(*operands)
    operands = larger(layer, operands[0]), *operands[1:]
    assert_close(traced(*operands), layer(*operands))


# -- without numbers ---------------------------------------------------------------------------------------------------


@every_case
@every_method
def test_fake_tensors(layer, method):
    operands = layer.tensors(2)
    expected = layer(*operands, method=method)
    with FakeTensorMode() as mode:
        fakes = [mode.from_tensor(operand) for operand in operands]
        if method == "sparse":
            with pytest.raises(RuntimeError, match="same device"):  # PyTorch fakes no CSR tensors
                layer(*fakes, method=method)
            return
        output = layer(*fakes, method=method)
    assert (output.shape, output.dtype, output.device) == (expected.shape, expected.dtype, expected.device)
    strides = zip(output.shape, output.stride(), expected.stride(), strict=True)
    assert all(fake == real for size, fake, real in strides if size > 1)


@every_case
@every_method
def test_meta_tensors(layer, method):
    operands = layer.tensors(2)
    metas = [operand.to("meta") for operand in operands]
    if method in ("dense", "sparse"):
        with pytest.raises(GeometryError, match="meta device"):
            layer(*metas, method=method)
        return
    output = layer(*metas, method=method)
    assert output.is_meta
    assert output.shape == (2, layer.channels[1], *layer.out_sizes)


# -- casting and memory ------------------------------------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_autocast(name, method, half, dtype):
    ours, theirs = (
        module(2, 4, 3, padding=1, dtype=dtype) for module in (getattr(convmat.nn, name), getattr(nn, name))
    )
    theirs.load_state_dict(ours.state_dict())
    ours.method = method
    input = torch.randn(1, 2, 5, 6, dtype=dtype)
    with torch.autocast("cpu", dtype=half):
        output, expected = ours(input), theirs(input)
    assert output.dtype == expected.dtype
    assert_close(output, expected, rtol=5e-2, atol=5e-2)
    output.sum().backward()
    assert ours.weight.grad.dtype == dtype


@every_method
@pytest.mark.parametrize("name", [name for name, layer in LAYERS.items() if layer.ndim > 1])
def test_channels_last(name, method):
    layer = replace(LAYERS[name], channels=(4, 4))  # with one alone, either layout is the other
    operands = layer.tensors(2)
    memory_format = {2: torch.channels_last, 3: torch.channels_last_3d}[layer.ndim]
    expected = layer(*operands, method=method)
    assert expected.is_contiguous()
    output = layer(operands[0].contiguous(memory_format=memory_format), *operands[1:], method=method)
    assert output.is_contiguous(memory_format=memory_format)
    assert_close(output, expected)


@every_method
def test_inference_mode(method):
    layer = LAYERS["transposed_circular"]
    input, weight, bias = layer.tensors(2)
    weight.requires_grad_()
    with torch.inference_mode():
        output = layer(input, weight, bias, method=method)
    assert output.is_inference()
    assert_close(output, reference(layer, input, weight, bias).detach())


@every_method
def test_several_threads_at_once(method):
    cases = [LAYERS[name] for name in VARIED] * 4
    expected = [reference(layer, *layer.tensors(2)) for layer in cases]
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda layer: layer(*layer.tensors(2), method=method), cases))
    assert_close(outputs, expected, rtol=1e-9, atol=1e-9)


# -- distributed -------------------------------------------------------------------------------------------------------

TRAIN = """
import os, signal, sys, torch, torch.distributed as dist
import convmat, convmat.nn
import torch._dynamo  # by one process for both, since it takes a second; DistributedDataParallel needs it
torch.set_num_threads(1)
store, child = sys.argv[1], os.fork()
rank = int(child == 0)
signal.alarm(100)  # whoever waits for the other
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
torch.manual_seed(0)
model = torch.nn.Sequential(
    convmat.nn.Conv1d(1, 2, 3, 2, "same"), convmat.nn.ConvTranspose1d(2, 1, 4, 2, "same", padding_mode="circular")
)
inputs = torch.randn(2, 3, 1, 8)
parallel = torch.nn.parallel.DistributedDataParallel(model)
parallel(inputs[rank]).sin().mean().backward()
ours = [parameter.grad.clone() for parameter in model.parameters()]
model.zero_grad()
model(inputs.flatten(0, 1)).sin().mean().backward()
torch.testing.assert_close(ours, [parameter.grad for parameter in model.parameters()])
dist.destroy_process_group()
assert not child or os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_distributed_data_parallel(tmp_path):
    """Two processes average the gradients of their halves of a batch to those of the whole."""
    command = [sys.executable, "-W", "ignore", "-c", TRAIN, str(tmp_path / "store")]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("method", ["unfold", "sparse"])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_methods_that_jit_would_freeze_are_refused(method):
    with pytest.raises(NotImplementedError, match=r"cannot be traced by torch\.jit"):
        torch.jit.trace(convmat.nn.Conv1d(1, 2, 3, method=method), torch.ones(1, 1, 5))
