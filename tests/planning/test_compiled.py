"""What ``torch.compile`` sees of a layer, and that it computes the same."""

import pytest
import torch
import torch.nn.functional as F
from functorch.compile import make_boxed_func
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.testing import CompileCounter
from torch.testing import assert_close

import convmat
from convmat.kernel import compiled as kernel
from convmat.planning import compiling, costs
from convmat.tensors.strides import MemoryFormat

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]
OURS, OURS_TRANSPOSED = torch.ops.convmat.conv_untracked.default, torch.ops.convmat.conv_transpose_untracked.default
TRACKED_TRANSPOSED = torch.ops.convmat.conv_transpose.default
OPERATORS = OURS, OURS_TRANSPOSED, torch.ops.convmat.conv.default, TRACKED_TRANSPOSED


@pytest.fixture(autouse=True)
def _fresh():
    yield
    torch.compiler.reset()


class Seen:
    """A backend that runs the graphs of PyTorch's operations as they are, and keeps what they call."""

    def __init__(self):
        self.graphs = []

    def __call__(self, graph, _):
        self.graphs.append([node.target for node in graph.graph.nodes if node.op == "call_function"])
        return graph.forward

    def forward(self, graph, examples):
        """The same for graphs of aten operations, as those that compile them take it."""
        return make_boxed_func(self(graph, examples))

    def ours(self):
        return [target for target in self.graphs[-1] if target in OPERATORS]


def compiled(function, *arguments, dynamic=None):
    """What is seen of a call, and its result, which is that of the call as it is."""
    torch.compiler.reset()  # sizes that differ from those of another layer would be dynamic
    seen = Seen()
    result = torch.compile(function, fullgraph=True, backend=seen, dynamic=dynamic)(*arguments)
    assert_close(result, function(*arguments), rtol=1e-4, atol=1e-4)
    return seen.ours(), result


def enlarging(method="auto"):
    """A layer for which the kernel is chosen, by far."""
    torch.manual_seed(0)
    return convmat.nn.ConvTranspose2d(16, 2, 9, 4, padding=4, output_padding=3, method=method)


def narrow():
    """A layer for which PyTorch's own function is chosen."""
    torch.manual_seed(0)
    return convmat.nn.ConvTranspose1d(1, 1, 2)


PICTURE, SOUND = torch.randn(1, 16, 30, 40), torch.randn(1, 1, 6)


# -- what is seen ------------------------------------------------------------------------------------------------------


def test_a_layer_of_known_sizes_is_ours_where_the_kernel_is_chosen():
    assert convmat.plan(enlarging(), (16, 30, 40)).method == "tiles"
    assert convmat.plan(narrow(), (1, 6)).method == "native"
    with torch.no_grad():
        assert compiled(enlarging(), PICTURE)[0] == [OURS_TRANSPOSED]
        assert compiled(narrow(), SOUND)[0] == []


def test_a_layer_of_any_size_is_ours_and_chooses_when_it_runs():
    with torch.no_grad():
        assert compiled(enlarging(), PICTURE, dynamic=True)[0] == [OURS_TRANSPOSED]
        sound = torch.randn(2, 1, 6)  # a batch of one has a known size
        assert compiled(narrow(), sound, dynamic=True)[0] == [OURS_TRANSPOSED]


SECONDS = {MemoryFormat.CONTIGUOUS: (1.0, 2.0), MemoryFormat.CHANNELS_LAST: (3.0, 1.3)}  # of the kernel, and of PyTorch


def test_pictures_become_ours_where_that_pays_for_their_conversion(monkeypatch):
    """Inductor computes PyTorch's own layers of pictures with the channels last, and all between them."""
    monkeypatch.setattr(costs, "estimate", lambda geometry, call, threads: SECONDS[call.memory_format])
    monkeypatch.setattr(compiling, "_CLEARLY_SHORTER", compiling._CLEARLY)  # whatever processor this is
    layers = nn.Sequential(*(convmat.nn.Conv2d(16, 16, 1) for _ in range(6)))
    bytes_of_picture = 4 * 16 * 30 * 40
    with torch.no_grad():
        for seconds, ours in ((0.05, 6), (0.25, 4), (2.0, 0)):  # each layer gains 0.1 that is sure
            monkeypatch.setattr(costs, "_CONVERT", seconds / bytes_of_picture)
            assert compiled(layers, PICTURE)[0] == [OURS] * ours


def test_pictures_are_pytorchs_again_where_ours_lose(monkeypatch):
    """The kernel gains much with 3x3 and loses a little with 1x1."""
    contiguous, channels_last = MemoryFormat.CONTIGUOUS, MemoryFormat.CHANNELS_LAST
    of_pytorch = {(3, contiguous): 3.0, (3, channels_last): 3.0, (1, channels_last): 0.9}

    def estimate(geometry, call, threads):
        return 1.0, of_pytorch.get((geometry.kernel_size[0], call.memory_format), 1.0)

    monkeypatch.setattr(costs, "estimate", estimate)
    monkeypatch.setattr(compiling, "_CLEARLY_SHORTER", compiling._CLEARLY)
    kernels = 1, 3, 1, 1, 1, 3
    layers = nn.Sequential(*(convmat.nn.Conv2d(16, 16, kernel, padding=kernel // 2) for kernel in kernels))
    with torch.no_grad():
        for conversion, ours in ((0.01, 2), (0.15, 3), (1.5, 5)):  # the first 3x3 gains 1.8; a 1x1 after it loses 0.1
            monkeypatch.setattr(costs, "_CONVERT", conversion / (4 * 16 * 30 * 40))
            assert len(compiled(layers, PICTURE)[0]) == ours


def guards(model, *arguments):
    """How many guards are checked in each call of what is compiled."""
    counts = []

    def keep_all(found):
        counts.append(len({(guard.guard_type, guard.name) for guard in found}))
        return [True] * len(found)

    torch.compiler.reset()
    torch.compile(model, backend="eager", options={"guard_filter_fn": keep_all})(*arguments)
    return counts[-1]


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ConvTranspose1d])
def test_a_layer_is_guarded_about_as_pytorchs_is(kind):
    """Each guard takes time in each call, and so would those of all that is decided while a layer is traced."""
    sound, extra = torch.randn(2, 8, 50), []
    for count in (2, 6):
        model = nn.Sequential(*(kind(8, 8, 3, padding=1) for _ in range(count)))
        plain = guards(model, sound)
        convmat.accelerate(model)
        extra.append(guards(model, sound) - plain)
    of_two, of_six = extra
    assert of_two < 150
    assert of_six - of_two <= 4 * 8  # its method and the classes of its parameters among them


def test_methods():
    with torch.no_grad():
        assert compiled(convmat.nn.Conv2d(3, 2, (3, 2), method="tiles"), torch.randn(1, 3, 5, 6))[0] == [OURS]
        for method in ("native", "phases"):
            assert compiled(enlarging(method), PICTURE)[0] == []


def test_functions_and_padding_modes():
    weight = torch.randn(16, 2, 9, 9)
    with torch.no_grad():
        for mode in ("zeros", "circular"):
            ours, _ = compiled(
                lambda x, w, mode=mode: convmat.conv_transpose2d(x, w, None, 4, ((2, 4), 4), padding_mode=mode),
                PICTURE,
                weight,
            )
            assert ours == [OURS_TRANSPOSED]
        assert compiled(lambda x, w: convmat.conv_transpose2d(x, w, stride=4), PICTURE[0], weight)[0]


UNUSUAL = {
    "integers": {"stride": 2, "padding": 1, "dilation": 2},
    "lists": {"stride": [2, 1], "padding": [1, 2]},
    "pairs": {"padding": ((1, 0), (2, 1))},
    "words": {"padding": "same"},
    "reflected": {"padding": 1, "padding_mode": "reflect"},
    "no batch": {"input": torch.randn(3, 6, 7)},
    "channels last": {"input": torch.randn(2, 3, 6, 7).contiguous(memory_format=torch.channels_last)},
    "nothing": {"input": torch.randn(0, 3, 6, 7)},
}


@pytest.mark.parametrize("arguments", UNUSUAL.values(), ids=UNUSUAL.keys())
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("method", ["auto", "tiles"])
def test_all_arguments_of_functions(arguments, dynamic, method):
    arguments = {"input": torch.randn(2, 3, 6, 7)} | arguments
    picture = arguments.pop("input")
    if dynamic:
        torch._dynamo.maybe_mark_dynamic(picture, picture.ndim - 1)
    weight, bias = torch.randn(4, 3, 3, 3), torch.randn(4)
    _, result = compiled(lambda x, w, b: convmat.conv2d(x, w, b, method=method, **arguments), picture, weight, bias)
    assert result.stride() == convmat.conv2d(picture, weight, bias, method=method, **arguments).stride()


CHANGING = {
    "stride": ([1, 2, 3, 2], {}),
    "strides": ([(1, 2), (2, 2), (3, 1)], {}),
    "padding": ([0, 1, 2, 1], {}),
    "paddings": ([(0, 1), (1, 2), (2, 4)], {}),
    "dilation": ([1, 2, 1, 3], {}),
    "groups": ([1, 2, 4], {}),
    "output_padding": ([0, 1, 2, 1], {"stride": 3}),
}
CONSTANT = ("stride", "strides", "dilation", "groups")  # in a graph: another is compiled for each value


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("method", ["auto", "tiles", "native", "phases"])
@pytest.mark.parametrize("direction", ["conv2d", "conv_transpose2d"])
def test_arguments_that_change(direction, method, name):
    """``torch.compile`` takes an integer that was another before for a symbol."""
    values, others = CHANGING[name]
    argument = name.removesuffix("s") if name != "groups" else name
    if direction == "conv2d" and argument == "output_padding":
        pytest.skip("has none")
    if name in CONSTANT and method in ("native", "phases"):  # which take as long to trace; the rest comes before them
        values = [*values[:2], values[0]]
    torch.manual_seed(0)
    picture = torch.randn(2, 8, 10, 13)

    def convolve(function, options, value):
        groups = value if argument == "groups" else 1
        weight = KERNELS[:, : 8 // groups] if direction == "conv2d" else KERNELS
        return function(picture, weight, **{**others, **options, argument: value})

    ours, pytorchs = getattr(convmat, direction), getattr(F, direction)
    run = torch.compile(lambda value: convolve(ours, {"method": method}, value), fullgraph=True, backend="eager")
    for value in values:
        torch.testing.assert_close(run(value), convolve(pytorchs, {}, value), rtol=1e-4, atol=1e-4)


KERNELS = torch.randn(8, 8, 4, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dynamic", [False, True])
def test_wrong_arguments_are_refused_as_they_are(dynamic):
    picture, weight = torch.randn(2, 3, 6, 7), torch.randn(4, 3, 3, 3)
    wrong = {
        "dimensions": (picture[0], weight[:, :, 0]),
        "channels": (picture[:, :2], weight),
        "bias": (picture, weight, torch.randn(3)),
    }
    for operands in wrong.values():
        torch.compiler.reset()
        with pytest.raises(Exception, match="|".join(wrong)):
            torch.compile(convmat.conv2d, fullgraph=True, backend="eager", dynamic=dynamic)(*operands)


def test_what_the_kernel_does_not_take_is_pytorchs():
    with torch.no_grad():
        assert compiled(enlarging().bfloat16(), PICTURE.bfloat16())[0] == []
        with torch.autocast("cpu"):
            ours, result = compiled(enlarging(), PICTURE)
    assert (ours, result.dtype) == ([], torch.bfloat16)


def test_without_the_kernel(monkeypatch):
    monkeypatch.setattr(kernel, "_failed", [ImportError("none here")])
    with torch.no_grad():
        assert compiled(enlarging(), PICTURE)[0] == []
        assert compiled(enlarging(), PICTURE, dynamic=True)[0] == []


class Labelled(torch.Tensor):
    """A tensor of another class."""


def test_other_tensors_are_pytorchs():
    layer = enlarging()
    seen = Seen()
    run = torch.compile(layer, backend=seen)
    with torch.no_grad():
        assert_close(run(PICTURE.as_subclass(Labelled)).as_subclass(torch.Tensor), layer(PICTURE))
    assert not any(target in OPERATORS for graph in seen.graphs for target in graph)
    on_meta = enlarging().to("meta")
    seen = Seen()
    assert torch.compile(on_meta, backend=seen)(PICTURE.to("meta")).shape == (1, 2, 120, 160)
    assert seen.ours() == []


TRANSFORMS = {
    "vmap": lambda layer: torch.func.vmap(lambda x: layer(x[None])[0]),
    "grad": lambda layer: torch.func.grad(lambda x: layer(x).sin().sum()),
    "jvp": lambda layer: lambda x: torch.func.jvp(layer, (x,), (x.cos(),)),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
def test_transforms_within_are_given_pytorchs(transform):
    layer = enlarging().requires_grad_(False)
    assert compiled(transform(layer), PICTURE)[0] == []
    assert compiled(layer, PICTURE)[0] == [OURS_TRANSPOSED]  # and the next call knows nothing of it


@pytest.mark.parametrize("strict", [False, True])
def test_exported_programs_are_pytorchs(strict):
    for dynamic in (None, ({2: torch.export.Dim.DYNAMIC},)):
        graph = torch.export.export(enlarging(), (PICTURE,), strict=strict, dynamic_shapes=dynamic).graph
        names = [node.target.namespace for node in graph.nodes if isinstance(node.target, torch._ops.OpOverload)]
        assert set(names) == {"aten"}


# -- recompiling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dynamic", [None, True])
def test_no_more_graphs_than_pytorchs_own(dynamic):
    """For sounds of many lengths."""
    model = nn.Sequential(nn.ConvTranspose1d(8, 4, 8, 4, 2), nn.LeakyReLU(), nn.Conv1d(4, 4, 7, padding=3), nn.Tanh())
    counts = []
    for accelerate in (False, True):
        torch.compiler.reset()
        if accelerate:
            assert len(convmat.accelerate(model).swapped) == 2
        counter = CompileCounter()
        run = torch.compile(model, fullgraph=True, backend=counter, dynamic=dynamic)
        with torch.no_grad():
            for length in (50, 60, 70, 71, 1000):
                sound = torch.randn(1, 8, length)
                assert_close(run(sound), model(sound), rtol=1e-4, atol=1e-5)
        counts.append(counter.frame_count)
    assert counts[0] == counts[1] == (1 if dynamic else 2)


def test_marked_dynamic():
    counter = CompileCounter()
    layer = enlarging()
    run = torch.compile(layer, fullgraph=True, backend=counter)
    with torch.no_grad():
        for size in (30, 31, 50):
            picture = torch.randn(1, 16, size, 40)
            torch._dynamo.mark_dynamic(picture, 2)
            assert_close(run(picture), layer(picture))
    assert counter.frame_count == 1


def test_parts_of_sounds_of_any_length():
    """Their sizes are known, and their strides in memory are not."""
    weight, counter = torch.randn(4, 8, 5), CompileCounter()
    run = torch.compile(lambda sound: convmat.conv1d(sound[..., :20], weight), backend=counter, dynamic=True)
    with torch.no_grad():
        for length in (50, 60, 71):
            sound = torch.randn(2, 8, length)
            assert_close(run(sound), nn.functional.conv1d(sound[..., :20], weight), rtol=1e-4, atol=1e-4)
    assert counter.frame_count == 1


# -- compiled by inductor ----------------------------------------------------------------------------------------------


def mixed():
    """Layers of ours between those of PyTorch, whose inputs inductor lays out with their channels last."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()),
        *(nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ReLU()),
        nn.Conv2d(8, 3, 3, padding=1),
    )
    convmat.accelerate(model[2:3], method="tiles")
    return model


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("dynamic", [False, True])
def test_memory_formats(memory_format, dynamic):
    model = mixed()
    run = torch.compile(model, fullgraph=True, dynamic=dynamic)
    for size in (10, 12)[: 1 + dynamic]:
        picture = torch.randn(2, 3, size, 14).contiguous(memory_format=memory_format)
        with torch.no_grad():
            output, expected = run(picture), model(picture)
        assert_close(output, expected, rtol=1e-4, atol=1e-5)
        assert output.stride() == expected.stride()


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("dynamic", [False, True])
def test_training(dynamic):
    model, picture = mixed(), torch.randn(2, 3, 10, 14)
    plain = mixed()
    convmat.restore(plain)
    run = torch.compile(model, fullgraph=True, dynamic=dynamic)
    for network, call in ((model, run), (plain, plain)):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            call(picture).square().mean().backward()
            optimizer.step()
    assert_close(list(model.parameters()), list(plain.parameters()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dynamic", [False, True])
def test_gradients_are_ours_too(dynamic):
    """And each is chosen when it runs."""
    seen = Seen()
    backend = aot_autograd(fw_compiler=seen.forward, bw_compiler=seen.forward)
    layer = enlarging()
    picture = torch.randn(4, 16, 30, 40, requires_grad=True)
    output = torch.compile(layer, fullgraph=True, backend=backend, dynamic=dynamic)(picture)
    operands = [picture, *layer.parameters()]
    above = torch.randn_like(output)
    assert_close(
        torch.autograd.grad(output, operands, above),
        torch.autograd.grad(layer(picture), operands, above),
        rtol=1e-4,
        atol=1e-3,
    )
    forward, backward = seen.graphs
    assert TRACKED_TRANSPOSED in forward
    assert torch.ops.convmat.conv_transpose_backward.default in backward
    assert not any("convolution" in str(target) for target in (*forward, *backward))


def test_changed_weights_are_noticed():
    layer = enlarging()
    run = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        for _ in range(3):
            assert_close(run(PICTURE), layer(PICTURE))
            layer.weight.data.mul_(2)
