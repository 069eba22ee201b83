"""Models saved whole: the names of ours that they hold are few, documented, and stay."""

import importlib
import io
import pickle
import pickletools
import zipfile

import pytest
import torch
from torch import nn

import convmat
from convmat import accelerate, restore
from convmat.nn import saved

# What later versions must still find; to be added to, never to be taken from.
PROMISED = {
    "convmat.nn.saved": {"rebuild_layer", "FrozenWeight", "Fold", "FoldingForward", "NormForward", "ActivationForward"},
    "convmat.nn": {
        *(f"{lazy}Conv{direction}{n}d" for lazy in ("", "Lazy") for direction in ("", "Transpose") for n in (1, 2, 3)),
        "Unfold",
        "Fold",
    },
}


class Named(nn.ConvTranspose2d):
    """A subclass that computes as PyTorch does."""


def model_of():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ConvTranspose2d(4, 5, 3, 2),
        Named(5, 6, 3),
        convmat.nn.ConvTranspose2d(6, 2, 4, 2, padding="same", padding_mode="circular", method="unfold"),
        convmat.nn.Conv2d(2, 2, 3),
    )


def others():
    """Each layer of ours, as its constructor makes it."""
    return nn.ModuleList(
        [
            *(getattr(convmat.nn, name)(2, 3) for name in PROMISED["convmat.nn"] if name.startswith("Lazy")),
            *(getattr(convmat.nn, name)(2, 3, 3) for name in PROMISED["convmat.nn"] if name.startswith("Conv")),
            convmat.nn.Unfold(3),
            convmat.nn.Fold(5, 3),
        ]
    )


def names_in(pickled):
    """The (module, name) pairs that a pickle looks up."""
    strings, found, memo = [], set(), memo_of(pickled)
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            found.add(tuple(argument.split(" ")))
        elif opcode.name == "STACK_GLOBAL":
            found.add(tuple(strings[-2:]))
        if isinstance(argument, str) and "UNICODE" in opcode.name:
            strings.append(argument)
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            strings.append(memo[argument])
    return found


def memo_of(pickled):
    """What a pickle remembers, where these are strings."""
    memo, last = {}, None
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "MEMOIZE":
            memo[len(memo)] = last
        elif "BINPUT" in opcode.name:
            memo[argument] = last
        last = argument if "UNICODE" in opcode.name else None
    return memo


def saved_by_torch(model):
    file = io.BytesIO()
    torch.save(model, file)
    with zipfile.ZipFile(file) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        return archive.read(name)


def ours(names):
    return {(module, name) for module, name in names if module.split(".")[0] == "convmat"}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
@pytest.mark.parametrize("freeze", [False, True])
def test_pickles_hold_promised_names_only(freeze):
    model = nn.Sequential(model_of(), others())
    accelerate(model, conv=True, freeze=freeze)
    promised = {(module, name) for module, names in PROMISED.items() for name in names}
    for pickled in (saved_by_torch(model), *(pickle.dumps(model, protocol) for protocol in range(6))):
        held = ours(names_in(pickled))
        assert promised >= held
        assert ("convmat.nn.saved", "rebuild_layer") in held
        assert (("convmat.nn.saved", "FrozenWeight") in held) == freeze


def test_pickles_of_folded_models_hold_promised_names_only():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    accelerate(model, fold=True)
    for pickled in (saved_by_torch(model), *(pickle.dumps(model, protocol) for protocol in range(6))):
        held = ours(names_in(pickled))
        assert held == {("convmat.nn.saved", name) for name in PROMISED["convmat.nn.saved"] - {"FrozenWeight"}}


@pytest.mark.parametrize("module", PROMISED)
def test_promised_names_are_there(module):
    found = importlib.import_module(module)
    assert set(found.__all__) - {"spectral_norm"} == PROMISED[module]  # what it makes is saved as a state_dict alone
    for name in PROMISED[module]:
        assert (getattr(found, name).__module__, getattr(found, name).__name__) == (module, name)


def test_promised_names_are_documented():
    for name in saved.__all__:
        assert f"``{name}``" in saved.__doc__


@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("protocol", [None, *range(6)], ids=lambda protocol: f"protocol {protocol}")
def test_what_is_saved_is_loaded(freeze, protocol):
    """By ``torch.save`` and by each protocol of pickles."""
    model, input = model_of().requires_grad_(False), torch.randn(2, 3, 9, 8)
    expected = model(input)
    accelerate(model, conv=True, method="phases", freeze=freeze)
    if protocol is None:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=False)
    else:
        loaded = pickle.loads(pickle.dumps(model, protocol))
    assert [type(layer) for layer in loaded] == [type(layer) for layer in model]
    assert [layer.method for layer in loaded] == [*["phases"] * 3, "unfold", "auto"]
    assert [vars(layer).keys() for layer in loaded] == [vars(layer).keys() for layer in model]
    torch.testing.assert_close(loaded(input), expected, rtol=1e-4, atol=1e-4)
    assert restore(loaded).restored == ("0", "1", "2")
    assert [type(layer) for layer in loaded] == [type(layer) for layer in model_of()]
    torch.testing.assert_close(loaded(input), expected, rtol=1e-4, atol=1e-4)
