"""BatchNorms folded into the convolutions before them: PyTorch's results, whatever happens, and no trace."""

import copy
import io
import threading

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.testing import assert_close

import convmat
from convmat import accelerate, restore
from convmat.models import examples
from convmat.models.neighbours import chains
from convmat.nn.folded import ACTIVATIONS
from convmat.nn.folding import Fold

NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
LAYERS = [nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d]


class Block(nn.Module):
    """Neighbours that no ``Sequential`` holds."""

    def __init__(self, channels=4):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.norm2 = nn.ConvTranspose2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels)

    def forward(self, input, other=None):
        hidden = self.relu(self.norm1(self.conv1(input)))
        hidden = self.norm2(self.conv2(hidden))
        return self.relu(hidden + (input if other is None else other))


def with_statistics(model):
    """Numbers in all BatchNorms that make a difference."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                    if tensor is not None:
                        tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return model.eval()


def pair(conv=None, norm=None):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3) if conv is None else conv
    return with_statistics(nn.Sequential(conv, nn.BatchNorm2d(4) if norm is None else norm))


def image(*shape, dtype=torch.float32):
    return torch.randn(shape or (2, 3, 9, 12), generator=torch.Generator().manual_seed(2), dtype=dtype)


@pytest.fixture
def folded(monkeypatch):
    """A list that grows with each call that is folded."""
    calls, note = [], Fold.note
    monkeypatch.setattr(Fold, "note", lambda fold, *arguments: calls.append(fold) or note(fold, *arguments))
    return calls


def folding(model):
    accelerate(model, fold=True)
    return model


def assert_as_pytorch(model, *inputs):
    """Compare with a copy that computes as PyTorch does."""
    twin = copy.deepcopy(model)
    restore(twin)
    with torch.no_grad():
        expected = twin(*map(torch.clone, inputs))
        assert_close(model(*map(torch.clone, inputs)), expected, rtol=1e-4, atol=1e-4)


def assert_nothing_is_folded_after(change, model, folded):
    """It computes what its modules compute, one after the other."""
    with torch.no_grad():
        change(model)
        expected = image()
        for module in model:
            expected = module(expected)
        assert_close(model(image()), expected, rtol=1e-4, atol=1e-4)
    assert not folded


# -- which are folded, and what they compute ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "tiles", "native", "phases"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_every_layer(layer, groups, dtype, method, folded):
    conv = layer(4, 6, 3, stride=2, padding=1, groups=groups, bias=groups == 2)
    ndim = len(conv.kernel_size)
    model = with_statistics(nn.Sequential(conv, NORMS[ndim](6), nn.ReLU())).to(dtype)
    input = image(2, 4, *(9, 10, 7)[:ndim], dtype=dtype)
    with torch.no_grad():
        expected = model(input)
        accelerate(model, method=method, fold=True)
        for _ in range(2):
            tolerance = 1e-4 if dtype is torch.float32 else 1e-10
            assert_close(model(input), expected, rtol=tolerance, atol=tolerance)
    assert len(folded) == 2


VARIANTS = {
    "affine": nn.BatchNorm2d(4, affine=False),
    "eps": nn.BatchNorm2d(4, eps=0.5),
    "cumulative": nn.BatchNorm2d(4, momentum=None),
}


@pytest.mark.parametrize("norm", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("bias", [False, True])
def test_every_batch_norm(norm, bias, folded):
    model = folding(pair(nn.Conv2d(3, 4, 3, bias=bias), norm))
    assert_as_pytorch(model, image())
    assert len(folded) == 1


def test_in_a_module_of_ones_own(folded):
    model = folding(with_statistics(nn.Sequential(Block(), Block())))
    assert_as_pytorch(model, image(2, 4, 9, 12))
    assert len(folded) == 4
    assert [layer.folded for layer in accelerate(model, fold=True)] == [
        ("0.norm1", "0.relu"),
        ("0.norm2",),
        ("1.norm1", "1.relu"),
        ("1.norm2",),
    ]


def test_weights_in_channels_last(folded):
    model = folding(pair().to(memory_format=torch.channels_last))
    assert_as_pytorch(model, image().contiguous(memory_format=torch.channels_last))
    assert len(folded) == 1


def with_pruning(conv):
    return prune.l1_unstructured(conv, "weight", amount=0.5)


def with_a_computed_bias(conv):
    return parametrizations.weight_norm(conv, "bias", dim=None)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("compute", "times"),
    [
        (parametrizations.weight_norm, 3),
        (parametrizations.spectral_norm, 3),
        (with_a_computed_bias, 3),
        (torch.nn.utils.weight_norm, 0),  # these set a new weight in every call
        (with_pruning, 0),
    ],
)
def test_weights_that_are_computed(compute, times, folded):
    model = folding(pair(compute(nn.Conv2d(3, 4, 3))))
    with torch.no_grad():
        for _ in range(3):
            conv, norm = model
            expected = norm(conv(image()))
            assert_close(model(image()), expected, rtol=1e-4, atol=1e-4)
            for parameter in conv.parameters():
                parameter.mul_(1.5)
    assert len(folded) == times


# -- which are not -----------------------------------------------------------------------------------------------------


class Twice(nn.Module):
    """The convolution's output has two readers."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, input):
        hidden = self.conv(input)
        return self.norm(hidden) + hidden


class OwnNorm(nn.BatchNorm2d):
    def forward(self, input):
        return super().forward(input) * 2


class Looping(Twice):
    def forward(self, input):
        for _ in range(int(input.shape[0])):
            hidden = self.norm(self.conv(input))
        return hidden


class InTwoPlaces(nn.Module):
    def __init__(self):
        super().__init__()
        conv = nn.Conv2d(3, 3, 3, padding=1)
        self.one, self.other = nn.Sequential(conv, nn.BatchNorm2d(3)), nn.Sequential(conv, nn.ReLU())

    def forward(self, input):
        return self.one(self.other(input))


class WithSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.norm = nn.ConvTranspose2d(3, 4, 3, 2), nn.BatchNorm2d(4)

    def forward(self, input):
        return self.norm(self.up(input, output_size=(20, 26)))


NOT_FOLDED = {
    "two readers": lambda: Twice(),
    "a batch norm of one's own": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), OwnNorm(4)),
    "another norm": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, track_running_stats=True)),
    "something between": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.BatchNorm2d(4)),
    "before": lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)),
    "no statistics": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
    "in two places": lambda: InTwoPlaces(),
    "an output size": lambda: WithSize(),
    "a convolution with a forward of its own": lambda: nn.Sequential(Loud(3, 4, 3), nn.BatchNorm2d(4)),
    "half precision": lambda: nn.Sequential(Floated(), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Floated()).bfloat16(),
    "not traced": lambda: Looping(),
}


class Floated(nn.Module):
    def forward(self, input):
        return input.to({torch.float32: torch.bfloat16}.get(input.dtype, torch.float32))


class Loud(nn.Conv2d):
    def forward(self, input):
        return super().forward(input) * 3


@pytest.mark.parametrize("build", NOT_FOLDED.values(), ids=NOT_FOLDED)
def test_not_folded(build, folded):
    assert_as_pytorch(folding(with_statistics(build())), image())
    assert not folded


def test_one_axis_without_a_batch_is_not_folded(folded):
    """BatchNorm1d takes the channels of (channels, length) for a batch, and the length for channels."""
    model = folding(pair(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)))
    assert_as_pytorch(model, image(3, 6))
    assert not folded
    assert_as_pytorch(model, image(2, 3, 6))
    assert len(folded) == 1


WRONG = {
    "axes": lambda: pair(nn.Conv3d(3, 4, 3)),
    "channels": lambda: pair(norm=nn.BatchNorm2d(5)),
    "dtype": lambda: pair(norm=nn.BatchNorm2d(4).double()),
}


@pytest.mark.parametrize("build", WRONG.values(), ids=WRONG)
def test_what_pytorch_refuses_is_refused(build):
    model = build()
    input = image(2, 3, 5, 6, 7) if isinstance(model[0], nn.Conv3d) else image()
    with pytest.raises((RuntimeError, ValueError)) as expected:
        model(input)
    with torch.no_grad(), pytest.raises(expected.type):
        folding(model)(input)


@pytest.mark.parametrize("which", [0, 1])
def test_hooks_see_what_is_between(which, folded):
    model, seen = folding(pair()), []
    handle = model[which].register_forward_hook(lambda layer, inputs, output: seen.extend([inputs[0], output]))
    with torch.no_grad():
        result = model(image())
        torch.testing.assert_close(model[0](image()), seen[which ^ 1], rtol=1e-4, atol=1e-4)
        handle.remove()
        assert not folded
        assert_close(model(image()), result, rtol=1e-4, atol=1e-4)
    assert len(folded) == 1


def test_layers_called_by_themselves_compute_as_they_are(folded):
    model, input = folding(pair()), image()
    conv, norm = model
    with torch.no_grad():
        expected = torch.conv2d(input, conv.weight, conv.bias)
        for output in (conv(input), model[:1](input), copy.deepcopy(conv)(input)):
            assert_close(output, expected, rtol=1e-4, atol=1e-4)
        assert_close(norm(expected), copy.deepcopy(model)(input), rtol=1e-4, atol=1e-4)
    assert len(folded) == 1


@pytest.mark.parametrize("half", [True, False])
def test_gradients(half, folded):
    """Of all parameters, and of the input alone."""
    model, twin = pair().double(), pair().double()
    folding(model)
    results = []
    for each in (model, twin):
        each.requires_grad_(half)
        input = image(dtype=torch.float64).requires_grad_()
        wanted = [input, *(each.parameters() if half else ())]
        results.append(torch.autograd.grad(each(input).square().sum(), wanted))
    assert_close(*results)
    assert bool(folded) == (not half)


def test_training_and_back(folded):
    model = folding(pair())
    twin = pair()
    for _ in range(2):
        for each in (model, twin):
            each.train()
            each(image()).sum().backward()
            each.eval()
        assert_close(dict(model.named_buffers()), dict(twin.named_buffers()), rtol=1e-4, atol=1e-4)
        with torch.no_grad():
            assert_close(model(image()), twin(image()), rtol=1e-4, atol=1e-4)
    assert len(folded) == 2


@pytest.mark.parametrize("which", [0, 1])
def test_one_of_them_in_training(which, folded):
    model = folding(pair())
    model[which].train()
    assert_as_pytorch(model, image())
    assert not folded


def test_under_autocast(folded):
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert folding(pair())(image()).dtype == pair()(image()).dtype
    assert not folded


@pytest.mark.parametrize("what", ["running_var", "weight"])
def test_numbers_that_are_not_finite(what, folded):
    model = pair()
    getattr(model[1], what).data[1] = torch.inf
    with torch.no_grad():
        expected = model(image())
        assert_close(folding(model)(image()), expected, equal_nan=True, rtol=1e-4, atol=1e-4)


# -- changes -----------------------------------------------------------------------------------------------------------

CHANGES = {
    "weight": lambda conv, norm: conv.weight[1, 2, 0].add_(1),
    "bias": lambda conv, norm: conv.bias.mul_(3),
    "weight anew": lambda conv, norm: setattr(conv.weight, "data", conv.weight * 2),
    "scale": lambda conv, norm: norm.weight.mul_(2),
    "shift": lambda conv, norm: norm.bias.add_(1),
    "mean": lambda conv, norm: norm.running_mean.add_(1),
    "variance": lambda conv, norm: norm.running_var.mul_(3),
    "eps": lambda conv, norm: setattr(norm, "eps", 0.1),
    "state_dict": lambda conv, norm: norm.load_state_dict({k: v * 2 for k, v in norm.state_dict().items()}),
    "another parameter": lambda conv, norm: setattr(norm, "weight", nn.Parameter(norm.weight.detach() * 2)),
    "another bias": lambda conv, norm: setattr(conv, "bias", None),
    "statistics taken away": lambda conv, norm: [setattr(norm, f"running_{name}", None) for name in ("mean", "var")],
    "dtype": lambda conv, norm: [conv.double(), norm.double()],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_are_seen(change):
    model = folding(pair())
    assert_as_pytorch(model, image())
    with torch.no_grad():
        change(*model)
    for _ in range(2):
        assert_as_pytorch(model, image(dtype=model[0].weight.dtype))


def test_data_anew_twice():
    """Memory that was let go of is used again."""
    model = folding(pair())
    for _ in range(5):
        model[0].weight.data = model[0].weight.data * 1.5
        assert_as_pytorch(model, image())


def test_what_pytorch_does_not_count_is_seen_by_the_next_call_of_accelerate():
    model = folding(pair())
    assert_as_pytorch(model, image())
    model[0].weight.data.mul_(2)
    assert_as_pytorch(folding(model), image())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inference_mode(mode, folded):
    with mode():
        model = pair()
        assert_as_pytorch(folding(model), image())
        model[0].weight.mul_(2)
        assert_as_pytorch(model, image())
    assert len(folded) == (2 if mode is torch.no_grad else 0)  # PyTorch does not count what changes there
    model = folding(pair())
    for factor in (1, 2):
        with mode():
            model[0].weight.mul_(factor)
            assert_as_pytorch(model, image())
    assert len(folded) == (4 if mode is torch.no_grad else 2)


def insert(model):
    model.insert(1, nn.ReLU())


def replace(model):
    model[1] = nn.Identity()


def parametrize(model):
    parametrizations.weight_norm(model[1], "weight", dim=None)


@pytest.mark.parametrize("change", [insert, replace, parametrize])
def test_modules_that_change(change, folded):
    assert_nothing_is_folded_after(change, folding(pair()), folded)


class Flags(Block):
    """What follows what depends on an attribute, its own or of something that it holds."""

    def __init__(self):
        super().__init__()
        self.raw, self.config = False, {"raw": False}

    def forward(self, input):
        hidden = self.conv1(input)
        return hidden if self.raw or self.config["raw"] else self.norm1(hidden)


def test_attributes_that_change(folded):
    model, input = folding(with_statistics(Flags())), image(2, 4, 9, 12)
    assert_as_pytorch(model, input)
    assert len(folded) == 1
    model.raw = True
    assert_as_pytorch(model, input)
    assert len(folded) == 1
    model.raw, model.config["raw"] = False, True  # this is seen when no BatchNorm takes what is folded
    for _ in range(2):
        with torch.no_grad():
            assert_close(model(input), model.conv1(input), rtol=1e-4, atol=1e-4)
    assert len(folded) == 2


def test_other_arguments_than_those_traced(folded):
    model, input = folding(with_statistics(Block())), image(2, 4, 9, 12)
    assert_as_pytorch(model, input, input * 2)
    assert not folded
    assert_as_pytorch(model, input)
    assert len(folded) == 2


# -- copies, and back --------------------------------------------------------------------------------------------------


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("again", [copy.deepcopy, saved])
@pytest.mark.parametrize("build", [pair, lambda: with_statistics(Block(3))], ids=["order", "graph"])
def test_copies_have_weights_of_their_own(again, build, folded):
    model = folding(build())
    assert_as_pytorch(model, image())
    other = again(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    for each in (other, model):
        before = len(folded)
        assert_as_pytorch(each, image())
        assert len(folded) > before
    restore(other)
    assert [*map(type, other.modules())] == [*map(type, build().modules())]
    assert all("forward" not in vars(module) for module in other.modules())


def test_all_is_as_before_once_restored():
    model, untouched = (
        with_statistics(nn.Sequential(Block(3), pair())),
        with_statistics(nn.Sequential(Block(3), pair())),
    )
    untouched.load_state_dict(model.state_dict())
    state, attributes = model.state_dict(keep_vars=True), [dict(vars(module)) for module in model.modules()]
    folding(model)
    assert_as_pytorch(model, image())
    assert [*model.state_dict()] == [*state]
    assert all(value is state[name] for name, value in model.state_dict(keep_vars=True).items())
    restore(model)
    assert [*map(type, model.modules())] == [*map(type, untouched.modules())]
    for module, before in zip(model.modules(), attributes, strict=True):
        assert vars(module).keys() == before.keys()
        assert all(vars(module)[name] is value for name, value in before.items())
    assert all(torch.equal(value, untouched.state_dict()[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(image()), untouched(image()))


@pytest.mark.parametrize("how", [lambda model: accelerate(model), lambda model: restore(model[0])])
def test_folding_no_more(how, folded):
    model = folding(pair())
    how(model)
    assert_as_pytorch(model, image())
    assert not folded


def test_forwards_of_others_stay():
    model = pair()
    model[1].forward = lambda input: input * 5
    model.forward = lambda input: model[1](model[0](input)) + 1
    assert_as_pytorch(folding(model), image())
    restore(model)
    assert_close(model[1](image()), image() * 5)


@pytest.mark.parametrize("build", [pair, lambda: with_statistics(Block(3))], ids=["order", "graph"])
def test_compiled(build):
    model = build().requires_grad_(False)
    expected = model(image())
    compiled = torch.compile(folding(model), fullgraph=True, backend="eager")
    assert_close(compiled(image()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("build", [pair, lambda: with_statistics(Block(3))], ids=["sequential", "own"])
def test_exported(build, strict):
    if strict and torch.__version__.startswith("2.8."):
        pytest.skip("strictly, PyTorch 2.8 exports no module whose forward is an object")
    model = build()
    expected = model(image())
    exported = torch.export.export(folding(model), (image(),), strict=strict).module()
    assert_close(exported(image()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:torch.fx does not see layers:UserWarning")
def test_traced_by_others():
    model = pair()
    expected = model(image())
    graph = torch.fx.symbolic_trace(folding(model))
    assert_close(graph(image()), expected, rtol=1e-4, atol=1e-4)
    assert_close(torch.func.functional_call(model, dict(model.named_parameters()), (image(),)), expected)
    assert_close(torch.vmap(model)(image()[:, None])[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_threads_do_not_take_each_others_outputs(folded):
    model, input, right = folding(with_statistics(nn.Sequential(*(Block(3) for _ in range(4))))), image(), []
    with torch.no_grad():
        expected = model(input)

    def run():
        with torch.no_grad():
            right.extend(torch.allclose(model(input), expected, rtol=1e-4, atol=1e-4) for _ in range(20))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 60
    assert len(folded) == 61 * 8


def test_signatures_stay():
    import inspect

    model = Block()
    before = inspect.signature(model.forward)
    assert inspect.signature(folding(model).forward) == before


# -- with an example ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("times", [(2.0, 1.0), (1.0, 2.0)])
def test_measured_with_the_batch_norm(monkeypatch, times, training, folded):
    def medians(first, second, seconds):
        for call in (first, second):
            call()
        return times

    monkeypatch.setattr(examples, "medians_in_turns", medians)
    model = with_statistics(nn.Sequential(Block(3), pair())).train(training)
    state = copy.deepcopy(model.state_dict())
    report = accelerate(model, freeze=True, fold=True, example=image())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    gains = times[0] > times[1]
    assert [layer.folded for layer in report] == (
        [("0.norm1", "0.relu"), ("0.norm2",), ("1.1",)] if gains else [()] * 3
    )
    assert ("0.norm1 and 0.relu folded in" in str(report)) == gains
    assert ("forward" in vars(model[0])) == gains
    assert bool(folded) == (not training)
    assert_as_pytorch(model.eval(), image())


# -- neighbours --------------------------------------------------------------------------------------------------------


class Activated(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.a, self.b, self.c, self.norm = (
            nn.Conv2d(3, 3, 1),
            nn.Conv2d(3, 3, 1),
            nn.Conv2d(3, 3, 1),
            nn.BatchNorm2d(3),
        )
        self.act, self.last = activation(), activation()

    def forward(self, input):
        return self.last(self.norm(self.b(self.act(self.a(input))))) + self.c(input)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_chains(activation):
    model = Activated(activation)
    assert [(chain.owner, chain.conv, chain.norm, chain.activation) for chain in chains(model)] == [
        (model, model.a, None, model.act),
        (model, model.b, model.norm, model.last),
    ]
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), activation(), nn.Conv2d(3, 3, 1), activation())
    assert [(chain.conv, chain.norm, chain.activation) for chain in chains(model)] == [
        (model[0], model[1], model[2]),
        (model[3], None, model[4]),
    ]


def test_tracing_leaves_nothing_behind():
    class Counting(Block):
        def forward(self, input):
            self.last = input
            self.count = getattr(self, "count", 0) + 1
            return super().forward(input)

    model = Counting()
    before = dict(vars(model))
    assert len(list(chains(model))) == 2
    assert vars(model) == before
    assert_as_pytorch(folding(with_statistics(model)), image(2, 4, 9, 12))
    assert convmat.restore(model).restored == ("conv1", "conv2")


# -- how a convolution with something folded in is computed is kept, and decided anew after any change -----------------


def with_no_grad(change):
    def changed(conv, norm, activation):
        with torch.no_grad():
            change(conv, norm, activation)

    return changed


CHANGES = {
    "none": lambda conv, norm, activation: None,
    "stride": lambda conv, norm, activation: setattr(conv, "stride", (1, 2)),
    "padding": lambda conv, norm, activation: setattr(conv, "padding", (0, 1)),
    "dilation": lambda conv, norm, activation: setattr(conv, "dilation", (1, 2)),
    "weight": with_no_grad(lambda conv, norm, activation: conv.weight.mul_(2)),
    "another weight": lambda conv, norm, activation: setattr(conv, "weight", nn.Parameter(torch.randn(4, 4, 1, 3))),
    "bias": with_no_grad(lambda conv, norm, activation: conv.bias.add_(1)),
    "mean": lambda conv, norm, activation: norm.running_mean.add_(1),
    "another variance": lambda conv, norm, activation: setattr(norm, "running_var", torch.rand(4) + 1),
    "epsilon": lambda conv, norm, activation: setattr(norm, "eps", 0.5),
    "norm in training": lambda conv, norm, activation: norm.train(),
    "slope": with_no_grad(lambda conv, norm, activation: activation.weight.mul_(3)),
    "a hook behind": lambda conv, norm, activation: activation.register_forward_hook(lambda *_: None),
    "another hook": lambda conv, norm, activation: norm.register_forward_hook(lambda *_: None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("method", ["auto", "tiles", "native"])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_change_between_calls(kind, method, change):
    torch.manual_seed(0)
    model = with_statistics(nn.Sequential(kind(4, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4)))
    twin, inputs = copy.deepcopy(model), (image(2, 4, 9, 12), image(2, 4, 7, 12), image(2, 4, 9, 12))
    accelerate(model, method=method, freeze=True, fold=True)
    for _ in range(2):
        for input in inputs:
            with torch.no_grad():
                assert_close(model(input), twin(input), rtol=1e-4, atol=1e-4)
        for one in (model, twin):
            torch.manual_seed(1)
            change(*one)
