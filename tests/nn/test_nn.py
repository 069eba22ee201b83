"""The layers: PyTorch's in every respect, and beyond."""

import copy
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import convmat
import convmat.nn
from convmat import GeometryError
from tests.cases import LAYERS
from tests.layers import METHODS, reference

NAMES = [f"Conv{direction}{ndim}d" for direction in ("", "Transpose") for ndim in (1, 2, 3)]
every_name = pytest.mark.parametrize("name", NAMES)
every_case = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())

# PyTorch's own "same" says this of itself.
copies_for_same = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


def both(name, *args, **kwargs):
    """A layer of ours and one of PyTorch's, made under the same seed."""
    made = []
    for module in (convmat.nn, nn):
        torch.manual_seed(0)
        made.append(getattr(module, name)(*args, **kwargs))
    return made


def assert_pytorchs(ours, theirs, *arguments, **options):
    """By PyTorch's own function exactly its numbers; by ``"auto"`` to rounding, for it may sum in another order."""
    expected = theirs(*arguments, **options)
    digits = 1e-14 if expected.dtype == torch.float64 else 1e-6
    largest = expected.abs().max().item()
    assert_close(ours(*arguments, **options), expected, rtol=0, atol=digits * largest)
    chosen, ours.method = ours.method, "native"
    assert torch.equal(ours(*arguments, **options), expected)
    ours.method = chosen


def input_for(name, *batch, channels=4, size=5):
    return torch.randn(*batch, channels, *(size + a for a in range(ndim_of(name))))


def ndim_of(name):
    return int(name[-2])


def of_case(layer, **options):
    """The layer of a case, with its parameters and an input."""
    input, weight, bias = layer.tensors(2)
    cls = getattr(convmat.nn, f"Conv{'Transpose' if layer.transposed else ''}{layer.ndim}d")
    arguments = {name: value for name, value in layer.options.items() if name != "output_size"}
    module = cls(*layer.channels, layer.kernel, dtype=torch.float64, **arguments, **options)
    with torch.no_grad():
        module.weight.copy_(weight)
        module.bias.copy_(bias)
    return module, input, [layer.output_size] if layer.output_size else []


# -- PyTorch's arguments -----------------------------------------------------------------------------------------------

PLAIN = {
    "defaults": {},
    "all": {"stride": 2, "padding": 1, "dilation": 2, "groups": 2, "bias": False},
    "lists": {"stride": [2], "padding": [1]},
    "double": {"dtype": torch.float64},
    "meta": {"device": "meta"},
}
DIRECT = {
    "same": {"padding": "same", "dilation": 2},
    "valid": {"padding": "valid"},
    "mode": {"padding": 1, "padding_mode": "circular"},
}


@every_name
@pytest.mark.parametrize("options", PLAIN.values(), ids=PLAIN.keys())
def test_plain_layers_are_pytorchs(name, options):
    if "stride" in options and isinstance(options["stride"], list):
        options = {key: value * ndim_of(name) for key, value in options.items()}
    assert_alike(name, 4, 6, 3, **options)


@pytest.mark.parametrize("name", NAMES[:3])
@pytest.mark.parametrize("options", DIRECT.values(), ids=DIRECT.keys())
def test_plain_direct_layers_are_pytorchs(name, options):
    assert_alike(name, 4, 6, 3, **options)


@pytest.mark.parametrize("name", NAMES[3:])
def test_plain_transposed_layers_are_pytorchs(name):
    assert_alike(name, 4, 6, 3, 3, 1, 2, 2, False, 2)  # in PyTorch's order


def assert_alike(name, *args, **options):
    ours, theirs = both(name, *args, **options)
    assert isinstance(ours, getattr(nn, name))
    attributes = {key: value for key, value in vars(ours).items() if key != "method"}
    for key, value in vars(theirs).items():
        if key == "_parameters":
            continue
        assert attributes[key] == value, key
    assert attributes.keys() == vars(theirs).keys()
    if "padding_mode" not in options and not isinstance(options.get("padding"), str):  # theirs lacks the quotes
        assert repr(ours) == repr(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for our, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (our.dtype, our.device, our.shape) == (their.dtype, their.device, their.shape)
        if not our.is_meta:
            assert torch.equal(our, their)
    for batch in ((), (2,)):
        input = input_for(name, *batch).to(theirs.weight)
        if input.is_meta:
            assert ours(input).shape == theirs(input).shape
        else:
            assert_pytorchs(ours, theirs, input)


# -- beyond PyTorch's --------------------------------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("method", ["auto", "phases"])
def test_layers_compute_their_function(layer, method):
    module, input, output_size = of_case(layer, method=method)
    expected = reference(layer, input, module.weight, module.bias)
    assert_close(module(input, *output_size), expected, rtol=1e-9, atol=1e-9)


@every_case
def test_repr_makes_the_layer_again(layer):
    for method in ("auto", *METHODS):
        module, input, output_size = of_case(layer, method=method)
        again = eval("convmat.nn." + repr(module), {"convmat": convmat}).double()
        assert repr(again) == repr(module)
        again.load_state_dict(module.state_dict())
    assert torch.equal(again(input, *output_size), module(input, *output_size))


REPRESENTED = {
    "Conv1d(2, 4, kernel_size=(3,), stride=(1,), padding=((2, 0),))": lambda: convmat.nn.Conv1d(
        2, 4, 3, padding=[[2, 0]]
    ),
    "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 2))": lambda: convmat.nn.Conv2d(
        2, 4, 3, padding=((1, 1), 2)
    ),
    "ConvTranspose1d(2, 4, kernel_size=(3,), stride=(2,), padding='same', bias=False, padding_mode='circular', "
    "method='fft')": lambda: convmat.nn.ConvTranspose1d(
        2, 4, 3, 2, "same", bias=False, padding_mode="circular", method="fft"
    ),
    "LazyConvTranspose1d(4, kernel_size=(3,), stride=(2,), padding='valid')": lambda: convmat.nn.LazyConvTranspose1d(
        4, 3, 2, "valid"
    ),
    "Unfold(kernel_size=3, dilation=1, padding='same', stride=1)": lambda: convmat.nn.Unfold(3, padding="same"),
    "Fold(output_size=(4,), kernel_size=2, dilation=1, padding=((1, 0),), stride=1)": lambda: convmat.nn.Fold(
        (4,), 2, padding=((1, 0),)
    ),
}


@pytest.mark.parametrize(("text", "make"), REPRESENTED.items(), ids=[text[:20] for text in REPRESENTED])
def test_repr(text, make):
    assert repr(make()) == text
    assert repr(eval("convmat.nn." + text, {"convmat": convmat})) == text


def test_uneven_padding_in_the_order_of_pad():
    """Some read PyTorch's private attribute."""
    layer = convmat.nn.Conv2d(1, 1, 3, padding=((2, 0), 1), padding_mode="circular", bias=False)
    input = torch.randn(1, 1, 4, 5)
    padded = F.pad(input, layer._reversed_padding_repeated_twice, mode="circular")
    assert_close(F.conv2d(padded, layer.weight), layer(input))


@pytest.mark.parametrize("name", NAMES[3:])
def test_output_size(name):
    ours, theirs = both(name, 4, 2, 3, stride=3, padding=1, output_padding=1)
    for batch in ((2,), ()):
        input = input_for(name, *batch)
        for more in range(3):
            sizes = [(size - 1) * 3 - 2 + 3 + more for size in input.shape[-ndim_of(name) :]]
            assert_pytorchs(ours, theirs, input, sizes)
            assert_pytorchs(ours, theirs, input, output_size=theirs(input, sizes).shape)
        for wrong in ([7] * (ndim_of(name) + 3), [], [100] * ndim_of(name)):
            with pytest.raises(ValueError, match="output_size"):
                ours(input, wrong)
            with pytest.raises(ValueError, match=r"output_size|output size"):
                theirs(input, wrong)


def test_output_size_of_wrong_length_is_explained():
    with pytest.raises(GeometryError, match=r"ConvTranspose2d: output_size=\(9,\) has 1 values: need the 2 spatial"):
        convmat.nn.ConvTranspose2d(1, 1, 2)(torch.ones(1, 1, 3, 3), [9])


def test_output_size_moves_the_padding_of_same():
    layer = convmat.nn.ConvTranspose1d(1, 1, 4, stride=3, padding="same")
    for size in (13, 14, 15):
        assert layer(torch.randn(1, 5), (size,)).shape == (1, size)


# -- a model's life ----------------------------------------------------------------------------------------------------


def through_pickle(layer):
    return pickle.loads(pickle.dumps(layer))


def through_save(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def through_state_dict(layer):
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    again = eval("convmat.nn." + repr(layer), {"convmat": convmat})
    again.load_state_dict(torch.load(file, weights_only=True))
    return again


@pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle, through_save, through_state_dict])
@every_name
def test_copies(copied, name):
    layer = getattr(convmat.nn, name)(4, 2, 3, padding=((2, 0),), padding_mode="circular", method="phases")
    again, input = copied(layer), input_for(name, 2)
    assert type(again) is type(layer)
    assert repr(again) == repr(layer)
    assert torch.equal(again(input), layer(input))
    assert again.weight is not layer.weight


@every_name
def test_state_dict_goes_both_ways(name):
    ours, theirs = both(name, 4, 2, 3)
    for one, other in ((ours, theirs), (theirs, ours)):
        nn.init.normal_(one.weight)
        other.load_state_dict(one.state_dict())
        assert torch.equal(one.weight, other.weight)
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        ours.load_state_dict(type(theirs)(4, 2, 5).state_dict())


@every_name
def test_class_swapped_in_place(name):
    """What ``__init__`` would have set has its default on the class."""
    ours, theirs = both(name, 4, 2, 3, stride=2, padding=1)
    theirs.__class__ = type(ours)
    input = input_for(name, 2)
    assert torch.equal(theirs(input), ours(input))
    assert repr(theirs) == repr(ours)
    assert theirs.method == "auto"
    theirs.__class__ = getattr(nn, name)
    assert_pytorchs(ours, theirs, input)


@every_name
def test_meta_and_empty(name):
    layer = getattr(convmat.nn, name)(4, 2, 3, padding="same", device="meta")
    assert layer(input_for(name, 2).to("meta")).shape == (2, 2, *input_for(name).shape[1:])
    layer = layer.to_empty(device="cpu")
    torch.manual_seed(0)
    layer.reset_parameters()
    torch.manual_seed(0)
    assert torch.equal(layer.weight, getattr(nn, name)(4, 2, 3).weight)


@every_name
@pytest.mark.parametrize("padding", [1, ((2, 0),)], ids=["even", "uneven"])
def test_memory_format_and_dtype(name, padding):
    layer = getattr(convmat.nn, name)(4, 6, 3, padding=padding)
    input = input_for(name, 2)
    expected = layer(input)
    if ndim_of(name) > 1:
        memory_format = {2: torch.channels_last, 3: torch.channels_last_3d}[ndim_of(name)]
        layer, input = layer.to(memory_format=memory_format), input.contiguous(memory_format=memory_format)
        output = layer(input)
        assert output.is_contiguous(memory_format=memory_format)
        assert_close(output, expected)
    for dtype in (torch.bfloat16, torch.float64):
        assert layer.to(dtype)(input.to(dtype)).dtype == dtype


@every_name
def test_lazy(name):
    lazy = getattr(convmat.nn, f"Lazy{name}")(6, 3, 2, "same", method="phases")
    assert isinstance(lazy, getattr(nn, f"Lazy{name}"))
    assert isinstance(lazy, getattr(convmat.nn, name))
    assert repr(eval("convmat.nn." + repr(lazy), {"convmat": convmat})) == repr(lazy)
    unused, input = copy.deepcopy(lazy), input_for(name, 2)
    torch.manual_seed(0)
    output = lazy(input)
    torch.manual_seed(0)
    expected = getattr(convmat.nn, name)(4, 6, 3, 2, "same", method="phases")
    assert type(lazy) is type(expected)
    assert repr(lazy) == repr(expected)
    assert torch.equal(output, expected(input))
    unused.load_state_dict(expected.state_dict())
    assert torch.equal(unused.weight, expected.weight)


def test_traced_to_a_graph():
    """One node for each layer, as for PyTorch's."""
    model = nn.Sequential(
        convmat.nn.Conv2d(2, 3, 3, padding="same", stride=2),
        nn.ReLU(),
        convmat.nn.ConvTranspose2d(3, 2, 4, 2, padding=((2, 0), 1), padding_mode="circular"),
        convmat.nn.Unfold(3),
        convmat.nn.Fold((6, 8), 3),
    )
    input = torch.randn(1, 2, 6, 8)
    assert torch.equal(torch.fx.symbolic_trace(model)(input), model(input))


def test_fused_with_batch_norm():
    conv, norm = convmat.nn.ConvTranspose2d(2, 3, 3, padding=((1, 0), 0)).eval(), nn.BatchNorm2d(3).eval()
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.weight)
    fused, input = nn.utils.fusion.fuse_conv_bn_eval(conv, norm, transpose=True), torch.randn(1, 2, 4, 5)
    assert_close(fused(input), norm(conv(input)))


# -- unfold and fold ---------------------------------------------------------------------------------------------------

COLUMNS = {"one": (3, 1, 0, 1), "all": ((2, 3), (2, 1), (1, 2), (1, 2)), "list": ([2, 2], [1, 1], 1, 2)}


@pytest.mark.parametrize("arguments", COLUMNS.values(), ids=COLUMNS.keys())
def test_unfold_and_fold_are_pytorchs(arguments):
    (unfold, their_unfold), input = both("Unfold", *arguments), torch.randn(2, 3, 6, 7)
    assert isinstance(unfold, nn.Unfold)
    assert repr(unfold) == repr(their_unfold)
    columns = unfold(input)
    assert torch.equal(columns, their_unfold(input))
    fold, their_fold = both("Fold", (6, 7), *arguments)
    assert isinstance(fold, nn.Fold)
    assert repr(fold) == repr(their_fold)
    assert_close(through_pickle(fold)(columns), their_fold(columns))


# -- bad input ---------------------------------------------------------------------------------------------------------

WRONG = {
    "groups": (GeometryError, "groups=0", lambda cls: cls(4, 4, 3, groups=0)),
    "in_channels": (GeometryError, "in_channels=3 must be divisible by groups=2", lambda cls: cls(3, 4, 3, groups=2)),
    "out_channels": (GeometryError, "out_channels=3 must be", lambda cls: cls(4, 3, 3, groups=2)),
    "kernel_size": (GeometryError, "kernel_size=0 must be at least 1", lambda cls: cls(1, 1, 0)),
    "stride": (TypeError, r"stride=1\.5 must be an integer", lambda cls: cls(1, 1, 3, 1.5)),
    "dilation": (GeometryError, r"dilation=\(1, 1, 1, 1\) has 4 values", lambda cls: cls(1, 1, 3, dilation=(1,) * 4)),
    "padding": (GeometryError, "padding=-1 must not be negative", lambda cls: cls(1, 1, 3, padding=-1)),
    "padding's name": (GeometryError, "padding='sam' is unknown", lambda cls: cls(1, 1, 3, padding="sam")),
    "padding's pair": (GeometryError, "must be a pair", lambda cls: cls(1, 1, 3, padding=((1, 2, 3),))),
    "padding_mode": (GeometryError, "padding_mode='zero' is unknown", lambda cls: cls(1, 1, 3, padding_mode="zero")),
    "method": (GeometryError, "method='best' is unknown", lambda cls: cls(1, 1, 3, method="best")),
}


@every_name
@pytest.mark.parametrize(("error", "text", "make"), WRONG.values(), ids=WRONG.keys())
def test_errors_name_layer_and_argument(name, error, text, make):
    with pytest.raises(error, match=f"^{name}: .*{text}"):
        make(getattr(convmat.nn, name))


@pytest.mark.parametrize("options", [{"output_padding": 2, "stride": 2}, {"output_padding": 1, "padding": "same"}])
def test_output_padding_out_of_range(options):
    with pytest.raises(GeometryError, match=r"^ConvTranspose2d: output_padding="):
        convmat.nn.ConvTranspose2d(1, 1, 3, **options)


def test_lazy_errors():
    with pytest.raises(GeometryError, match=r"^LazyConv1d: out_channels=3 must be divisible by groups=2"):
        convmat.nn.LazyConv1d(3, 3, groups=2)
    with pytest.raises(GeometryError, match=r"^LazyConv1d: method='best'"):
        convmat.nn.LazyConv1d(3, 3, method="best")
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        convmat.nn.LazyConv1d(4, 3, groups=2)(torch.ones(1, 3, 5))


def test_fold_errors():
    with pytest.raises(GeometryError, match=r"^Fold: output_size=0"):
        convmat.nn.Fold((4, 0), 2)
    with pytest.raises(TypeError, match=r"^Unfold: stride='a'"):
        convmat.nn.Unfold(2, stride="a")


@pytest.mark.parametrize(("padding", "size"), [("valid", 7), ("same", 5), ([1], 5), ([[1, 0]], 6)], ids=str)
def test_padding_that_is_no_number_or_cannot_be_hashed(padding, size):
    assert convmat.nn.ConvTranspose1d(1, 1, 3, padding=padding)(torch.ones(1, 1, 5)).shape == (1, 1, size)


# -- names in errors ---------------------------------------------------------------------------------------------------


CLASSES = [name for name in convmat.nn.__all__ if isinstance(getattr(convmat.nn, name), type)]


@pytest.mark.parametrize("name", CLASSES)
def test_a_missing_argument_is_said_of_the_public_class(name):
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) missing \d required positional argument"):
        getattr(convmat.nn, name)()
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) got an unexpected keyword argument 'channels'"):
        getattr(convmat.nn, name)(1, 1, 1, channels=3)


def test_a_missing_input_is_said_of_the_public_class():
    with pytest.raises(TypeError, match=r"^ConvTranspose2d\.forward\(\) missing 1 required positional argument"):
        convmat.nn.ConvTranspose2d(1, 1, 1)()


def test_subclasses_of_users_keep_their_functions():
    class Doubled(convmat.nn.ConvTranspose1d):
        def __init__(self, channels):
            super().__init__(channels, channels, 3)

        def forward(self, input, output_size=None):
            return 2 * super().forward(input, output_size)

    layer = Doubled(2)
    x = torch.randn(1, 2, 5)
    assert torch.equal(layer(x), 2 * convmat.nn.ConvTranspose1d.forward(layer, x))


def test_the_size_of_any_tensor_will_do_as_output_size():
    """As in PyTorch, where segmentation networks hand over ``image.size()``, whose channels are others."""
    image = torch.randn(2, 3, 9, 12)
    for layer in (nn.ConvTranspose2d(8, 5, 3, stride=2, padding=1), convmat.nn.ConvTranspose2d(8, 5, 3, 2, 1)):
        assert layer(torch.randn(2, 8, 5, 6), output_size=image.size()).shape == (2, 5, 9, 12)
