"""``accelerate(model, freeze=True)``: packed weights are those of the layer, whatever is done to it."""

import copy
import io
import threading
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.testing import assert_close

import convmat

frozen_or_not = pytest.mark.parametrize("freeze", [True, False], ids=["frozen", "not frozen"])
every_method = pytest.mark.parametrize("method", ["tiles", "auto"])
pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")


def layer_of(channels=(4, 3), kernel=4, dtype=torch.float32):
    torch.manual_seed(0)
    return nn.ConvTranspose2d(*channels, kernel, 2, 1, dtype=dtype)


def large():
    """More numbers than a thread digests at a time."""
    return layer_of((64, 32))


def input_of(layer, size=5):
    torch.manual_seed(1)
    return torch.randn(2, layer.in_channels, size, size + 3, dtype=layer_dtype(layer))


def layer_dtype(layer):
    return next(layer.parameters()).dtype


def direct():
    """The other direction."""
    torch.manual_seed(0)
    return nn.Conv2d(4, 3, 4, 2, 1)


def plain(layer, input):
    """What PyTorch makes of the numbers that are in the layer now."""
    function = torch.conv2d if isinstance(layer, nn.Conv2d) else torch.conv_transpose2d
    return function(input, layer.weight, layer.bias, layer.stride, layer.padding, dilation=layer.dilation)


def assert_fresh(layer, input=None):
    input = input_of(layer) if input is None else input
    tolerances = {"rtol": 1e-4, "atol": 1e-4} if input.dtype is torch.float32 else {}
    with torch.no_grad():
        assert_close(layer(input), plain(layer, input), **tolerances)


def frozen(layer, method="tiles", freeze=True):
    """A layer whose weights have been packed; if it is not frozen, they are kept by their content."""
    convmat.accelerate(layer, method=method, freeze=freeze)
    assert_fresh(layer)
    assert_fresh(layer)
    return layer


# -- changes -----------------------------------------------------------------------------------------------------------


def by_load_state_dict(layer):
    layer.load_state_dict({name: value * 2 + 1 for name, value in layer.state_dict().items()})


def by_assigned_state_dict(layer):
    layer.load_state_dict({name: value * 2 + 1 for name, value in layer.state_dict().items()}, assign=True)


def by_optimizer(layer):
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    layer(input_of(layer)).square().sum().backward()
    optimizer.step()


def by_fused_optimizer(layer):
    optimizer = torch.optim.AdamW(layer.parameters(), 0.1, fused=True)
    layer(input_of(layer)).square().sum().backward()
    optimizer.step()


def in_place(layer):
    with torch.no_grad():
        layer.weight.mul_(2)


def one_number_in_place(layer):
    with torch.no_grad():
        layer.weight[-1, -1, -1, -2] += 1


def through_a_view(layer):
    with torch.no_grad():
        layer.weight[0].transpose(0, 2)[1] += 1


def through_data_by_copy(layer):
    layer.weight.data.copy_(layer.weight.data.flip(0))


def one_number_through_data(layer):
    layer.weight.data.view(-1)[-3] += 1


def through_data_by_mul(layer):
    layer.weight.data.mul_(2)


def other_data(layer):
    layer.weight.data = layer.weight.data * 2


def other_data_twice(layer):
    for _ in range(5):  # memory that was let go of is used again
        layer.weight.data = layer.weight.data * 2
        assert_fresh(layer)


def other_parameter(layer):
    layer.weight = nn.Parameter(layer.weight.detach() * 2)


def other_dtype(layer):
    layer.double()


def other_dtype_and_back(layer):
    layer.double()
    assert_fresh(layer)
    in_place(layer)
    layer.float()


def by_numpy(layer):
    layer.weight.detach().numpy()[...] *= 2


def by_initialisation(layer):
    nn.init.xavier_uniform_(layer.weight)


def by_another_tensor_of_the_same_memory(layer):
    shared = layer.weight.data
    shared += 1


def in_inference_mode(layer):
    with torch.inference_mode():
        layer.weight.mul_(2)


def by_swapping(layer):
    other = nn.Parameter(layer.weight.detach() * 2)
    torch.utils.swap_tensors(layer.weight, other)


def no_change(layer):
    pass


CHANGES = [
    by_load_state_dict,
    by_assigned_state_dict,
    by_optimizer,
    by_fused_optimizer,
    in_place,
    one_number_in_place,
    through_a_view,
    through_data_by_copy,
    one_number_through_data,
    through_data_by_mul,
    other_data,
    other_data_twice,
    other_parameter,
    other_dtype,
    other_dtype_and_back,
    by_numpy,
    by_initialisation,
    by_another_tensor_of_the_same_memory,
    in_inference_mode,
    by_swapping,
    no_change,
]
every_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)


@every_method
@every_change
@pytest.mark.parametrize("make", [layer_of, large, direct], ids=["small", "large", "direct"])
def test_changes_are_seen(make, change, method):
    layer = frozen(make(), method)
    change(layer)
    assert_fresh(layer)
    assert_fresh(layer)


@every_change
@pytest.mark.parametrize("make", [layer_of, large, direct], ids=["small", "large", "direct"])
def test_layers_that_are_not_frozen_are_never_stale(make, change):
    layer = frozen(make(), freeze=False)
    change(layer)
    assert_fresh(layer)
    layer.weight.data.view(-1)[12345 % layer.weight.numel()] += 100
    assert_fresh(layer)


PARTS = {
    "an input channel": lambda weight: weight[5],
    "an output channel": lambda weight: weight[:, 7],
    "the first tap": lambda weight: weight[:, :, 0, 0],
    "a tap": lambda weight: weight[:, :, 1, 2],
    "a row of taps": lambda weight: weight[:, :, 3],
    "every other number": lambda weight: weight.view(-1)[1::2],
    "the last half": lambda weight: weight[32:],
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
@pytest.mark.parametrize("channels", [(64, 32), (64, 64), (256, 128), (48, 50)], ids=str)
def test_parts_of_a_large_weight_written_through_data(part, channels):
    """As pruning and quantization write them: by whole channels, or by taps."""
    layer = frozen(layer_of(channels))
    part(layer.weight.data).mul_(0)
    assert_fresh(layer)


@pytest.mark.parametrize("number", [0, 1, 77, -1])
def test_any_number_of_a_small_weight_written_through_data(number):
    layer = frozen(layer_of())
    layer.weight.data.view(-1)[number] += 1
    assert_fresh(layer)


def test_a_weight_that_is_no_parameter():
    """As a hypernetwork or :func:`functional_call` sets it."""
    layer = frozen(layer_of())
    weight = layer.weight.detach()
    del layer.weight
    for factor in (1, 2, 3):
        layer.weight = weight * factor
        assert_fresh(layer)


@pytest.mark.parametrize("how", ["in place", "another tensor"])
def test_one_number_of_a_large_weight_that_is_no_parameter(how):
    """Written in a way that PyTorch counts."""
    layer = large()
    weight = layer.weight.detach().clone()
    del layer.weight
    layer.weight = weight
    frozen(layer)
    if how == "in place":
        layer.weight[3, 4, 1, 2] += 100
    else:
        layer.weight = weight.clone()
        layer.weight[3, 4, 1, 2] += 100
    assert_fresh(layer)


def test_weights_that_are_lent():
    layer = frozen(layer_of())
    input, bias = input_of(layer), layer.bias.detach()
    with torch.no_grad():
        for factor in (2, 3):
            weight = layer.weight.detach() * factor
            lent = torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (input,))
            assert_close(lent, torch.conv_transpose2d(input, weight, bias, 2, 1), rtol=1e-4, atol=1e-4)
    assert_fresh(layer)


def test_a_changed_bias_is_seen():
    layer = frozen(layer_of())
    layer.bias.data += 1
    assert_fresh(layer)


def test_weights_that_are_nan():
    """These are not even equal to themselves."""
    layer = frozen(layer_of())
    with torch.no_grad():
        layer.weight.fill_(torch.nan)
        assert bool(layer(input_of(layer)).isnan().any())
    layer.weight.data.zero_()
    assert_fresh(layer)


# -- weights that are computed -----------------------------------------------------------------------------------------


# -- what a layer computes by is kept, too: it is decided anew after any change of what that depends on ----------------


def another_stride(layer):
    layer.stride = (1, 2)


def another_padding(layer):
    layer.padding = (0, 1)


def another_dilation(layer):
    layer.dilation = (1, 2)


def another_bias(layer):
    layer.bias = nn.Parameter(torch.randn(3))


def another_memory_of_the_bias(layer):
    layer.bias.data = torch.randn(6)[::2]


def no_bias(layer):
    layer.bias = None


def another_number_of_threads(layer):
    torch.set_num_threads(torch.get_num_threads() + 1)


def another_weight(layer):
    layer.weight = nn.Parameter(torch.randn_like(layer.weight))


def another_kernel_size(layer):
    layer.weight = nn.Parameter(torch.randn(*layer.weight.shape[:2], 3, 5))


OTHER_ARGUMENTS = [
    another_stride,
    another_padding,
    another_dilation,
    another_bias,
    another_memory_of_the_bias,
    no_bias,
    another_number_of_threads,
    another_weight,
    another_kernel_size,
]


@pytest.fixture
def threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@every_method
@frozen_or_not
@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("change", OTHER_ARGUMENTS, ids=lambda change: change.__name__)
@pytest.mark.parametrize("make", [layer_of, direct], ids=["transposed", "direct"])
def test_a_change_of_what_a_layer_computes_by(make, change, freeze, method):
    layer, input = frozen(make(), method, freeze), torch.randn(2, 4, 9, 12)
    for _ in range(2):
        for _ in range(3):
            with torch.no_grad():
                output = layer(input)
                expected = plain(layer, input)
            assert_close(output, expected, rtol=1e-4, atol=1e-4)
        change(layer)


@pytest.mark.parametrize("name", ["weight", "bias"])
@pytest.mark.parametrize("make", [layer_of, direct], ids=["transposed", "direct"])
def test_the_memory_of_a_layer_that_is_not_frozen_is_let_go_of(make, name):
    """Once the layer has moved to a GPU, or a hook has put its weights on a disk."""
    layer = make()
    numbers = getattr(layer, name).detach().numpy().copy()
    setattr(layer, name, nn.Parameter(torch.from_numpy(numbers)))
    frozen(layer, freeze=False)
    memory = weakref.ref(numbers)
    del numbers
    assert memory() is not None
    layer.to("meta")
    assert memory() is None


@frozen_or_not
@pytest.mark.parametrize("make", [layer_of, direct], ids=["transposed", "direct"])
def test_a_wrong_bias_is_refused_as_ever(make, freeze):
    """The kernel would read beyond its end."""
    layer, input = frozen(make(), freeze=freeze), torch.randn(2, 4, 9, 12)
    with torch.no_grad():
        layer(input), layer(input)
        layer.bias = nn.Parameter(torch.randn(2))
        with pytest.raises(ValueError, match="bias"):
            layer(input)


@frozen_or_not
@pytest.mark.parametrize("make", [layer_of, direct], ids=["transposed", "direct"])
def test_what_is_kept_is_left_to_who_watches_or_asks_for_gradients(make, freeze, monkeypatch):
    layer, input = frozen(make(), "auto", freeze), torch.randn(2, 4, 9, 12)
    with torch.no_grad():
        expected = layer(input)
        layer(input)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(input).dtype == torch.bfloat16
    assert layer(input.requires_grad_()).requires_grad
    calls, name = [], "conv2d" if isinstance(layer, nn.Conv2d) else "conv_transpose2d"
    own = getattr(torch.nn.functional, name)
    monkeypatch.setattr(torch.nn.functional, name, lambda *args, **options: calls.append(name) or own(*args, **options))
    with torch.no_grad():
        assert_close(layer(input), expected, rtol=1e-4, atol=1e-4)
    assert calls


def with_weight_norm(layer):
    return parametrizations.weight_norm(layer)


def with_old_weight_norm(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(layer)


def with_spectral_norm(layer):
    return parametrizations.spectral_norm(layer)


def with_old_spectral_norm(layer):
    return nn.utils.spectral_norm(layer)


def with_pruning(layer):
    return prune.l1_unstructured(layer, "weight", amount=0.5)


COMPUTED = [with_weight_norm, with_old_weight_norm, with_spectral_norm, with_old_spectral_norm, with_pruning]


@every_method
@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("compute", COMPUTED, ids=lambda compute: compute.__name__)
def test_computed_weights(compute, order, method):
    layer = layer_of().eval()
    if order == "before":
        compute(layer)
    convmat.accelerate(layer, method=method, freeze=True)
    if order == "after":
        assert_fresh(layer)
        compute(layer)
    layer.eval()
    assert_fresh_by_twin(layer)
    stored = [parameter for name, parameter in layer.named_parameters() if name != "bias"]
    changes = [lambda tensor: tensor.mul_(1.5), lambda tensor: tensor[..., 0].add_(1)]
    for parameter in stored:
        for change in changes:
            with torch.no_grad():
                change(parameter)
            assert_fresh_by_twin(layer)
            change(parameter.data)
            assert_fresh_by_twin(layer)
    layer.load_state_dict({name: value * 0.5 for name, value in layer.state_dict().items()})
    assert_fresh_by_twin(layer)


def assert_fresh_by_twin(layer):
    """Compare with a copy that computes as PyTorch does."""
    twin = copy.deepcopy(layer) if not hasattr(layer, "weight_g") and not hasattr(layer, "weight_orig") else layer
    input = input_of(layer)
    with torch.no_grad():
        ours = layer(input)
        if twin is not layer:
            convmat.restore(twin)
            expected = twin(input)
        else:
            expected = plain(layer, input)
    assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_spectral_norm_in_training():
    """Its estimate changes with every call, and the output with it."""
    layer = with_spectral_norm(layer_of()).train()
    convmat.accelerate(layer, method="tiles", freeze=True)
    twin = convmat_restored(layer)
    for _ in range(3):
        input = input_of(layer).requires_grad_()
        assert_close(layer(input), twin(input), rtol=1e-4, atol=1e-4)


def convmat_restored(layer):
    twin = copy.deepcopy(layer)
    convmat.restore(twin)
    return twin


# -- copies ------------------------------------------------------------------------------------------------------------


def copied(layer):
    return copy.deepcopy(layer)


def saved(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("again", [copied, saved, copy.copy], ids=["copied", "saved", "shared"])
def test_copies_have_weights_of_their_own(again):
    layer = frozen(large())
    other = again(layer)
    assert_fresh(other)
    if again is not copy.copy:
        with torch.no_grad():
            other.weight.mul_(3)
    other.weight = nn.Parameter(other.weight.detach() * 2)
    for _ in range(2):
        assert_fresh(other)
        assert_fresh(layer)


def test_what_is_saved_is_not_larger():
    layer = large()
    convmat.accelerate(layer, method="tiles", freeze=True)
    sizes = []
    for _ in range(2):
        file = io.BytesIO()
        torch.save(layer, file)
        sizes.append(len(file.getvalue()))
        assert_fresh(layer)
    assert sizes[0] == sizes[1]


def test_state_dict_and_parameters_are_those_of_pytorch():
    layer, untouched = frozen(large()), large()
    assert list(layer.state_dict()) == list(untouched.state_dict())
    assert [name for name, _ in layer.named_parameters()] == [name for name, _ in untouched.named_parameters()]
    assert not list(layer.named_buffers())
    untouched.load_state_dict(layer.state_dict())


def test_restored():
    layer = frozen(layer_of())
    before = set(vars(layer_of()))
    convmat.restore(layer)
    assert type(layer) is nn.ConvTranspose2d
    assert set(vars(layer)) == before
    assert_fresh(layer)


def test_thawed():
    """Accelerated again without freezing."""
    layer = frozen(large())
    convmat.accelerate(layer, method="tiles")
    layer.weight.data.view(-1)[12345] += 100
    assert_fresh(layer)


# -- gradients ---------------------------------------------------------------------------------------------------------


@every_method
def test_gradients(method):
    layer, untouched = frozen(layer_of(dtype=torch.float64), method), layer_of(dtype=torch.float64)
    results = []
    for module in (layer, untouched):
        input = input_of(module).requires_grad_()
        output = module(input)
        results.append(torch.autograd.grad(output.square().sum(), [input, *module.parameters()]))
    assert_close(*results)


@every_method
def test_gradients_of_the_input_alone(method):
    layer, untouched = (make.requires_grad_(False) for make in (layer_of(), layer_of()))
    frozen(layer, method)
    results = []
    for module in (layer, untouched):
        input = input_of(module).requires_grad_()
        module(input).square().sum().backward()
        results.append(input.grad)
    assert_close(*results, rtol=1e-4, atol=1e-4)


@every_method
@pytest.mark.parametrize("compute", [lambda layer: layer, *COMPUTED], ids=["plain", *(c.__name__ for c in COMPUTED)])
def test_inference_mode_then_gradients(compute, method):
    """What was made in inference mode is not in the way later."""
    layer = compute(layer_of()).eval()
    layer.requires_grad_(False)
    convmat.accelerate(layer, method=method, freeze=True)
    input = input_of(layer)
    with torch.inference_mode():
        expected = layer(input)
    tracked = input.requires_grad_()
    output = layer(tracked)
    assert_close(output, expected.clone())
    output.sum().backward()
    assert tracked.grad is not None


def test_a_weight_made_anew_by_a_hook():
    """As a layer that another one tells its weight."""
    source, layer = nn.Parameter(torch.randn(4, 3, 4, 4)), layer_of()
    del layer.weight
    layer.register_forward_pre_hook(lambda layer, _: setattr(layer, "weight", source * 2))
    layer.weight = source * 2
    convmat.accelerate(layer, method="tiles", freeze=True)
    for _ in range(3):
        with torch.no_grad():
            assert_fresh(layer)
            source.add_(1)


@every_method
def test_training_between_inferences(method):
    layer, twin = layer_of(), layer_of()
    convmat.accelerate(layer, method=method, freeze=True)
    optimizers = [torch.optim.SGD(module.parameters(), 1e-3) for module in (layer, twin)]
    for _ in range(3):
        for module, optimizer in zip((layer, twin), optimizers, strict=True):
            optimizer.zero_grad()
            module(input_of(module)).square().sum().backward()
            optimizer.step()
        with torch.no_grad():
            assert_close(layer(input_of(layer)), twin(input_of(twin)), rtol=1e-4, atol=1e-4)


# -- elsewhere ---------------------------------------------------------------------------------------------------------


@every_method
def test_layers_that_are_inference_tensors(method):
    with torch.inference_mode():
        layer = layer_of()
        convmat.accelerate(layer, method=method, freeze=True)
        input = input_of(layer)
        for _ in range(2):
            assert_close(layer(input), plain(layer, input), rtol=1e-4, atol=1e-4)
            layer.weight.mul_(2)
    assert_fresh(layer)


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex64], ids=str)
def test_dtypes_that_the_kernel_does_not_take(dtype):
    layer = layer_of().to(dtype)
    convmat.accelerate(layer, freeze=True)
    input = input_of(layer)
    with torch.no_grad():
        assert_close(layer(input), plain(layer, input))


def test_autocast():
    layer = frozen(layer_of())
    input = input_of(layer)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        output, expected = layer(input), plain(layer, input)
    assert output.dtype == expected.dtype == torch.bfloat16
    assert_close(output, expected, rtol=2e-2, atol=2e-2)


def test_several_sizes_and_numbers_of_threads(threads):
    layer = frozen(large())
    for count in (1, 2, 1):
        threads(count)
        for size in (1, 4, 30):
            assert_fresh(layer, torch.randn(2, 64, size, size + 1))


def test_a_writer_beside_a_reader():
    """Each output is that of the old weight or that of the new."""
    layer = frozen(large())
    input, outputs, stop = input_of(layer), [], threading.Event()
    old = layer.weight.detach().clone()

    def read():
        with torch.no_grad():
            while not stop.is_set():
                layer(input)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for factor in range(1, 20):
        layer.weight = nn.Parameter(old * factor)
        with torch.no_grad():
            outputs.append((layer(input), plain(layer, input)))
    stop.set()
    for reader in readers:
        reader.join()
    for ours, theirs in outputs:
        assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
