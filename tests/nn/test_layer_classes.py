"""One list of the layers that convolve, which all other lists agree with."""

import re
from pathlib import Path

import pytest
from torch import nn

import convmat
from convmat.nn.accelerated import DIRECT, OURS, TRANSPOSED
from convmat.tensors.arguments import CONVOLUTION_LAYERS, DIRECT_LAYERS, TRANSPOSED_LAYERS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "layers.md"
NAMES = {layer.__name__ for layer in CONVOLUTION_LAYERS}
LAZY = {f"Lazy{name}" for name in NAMES}
OTHERS = {"Unfold", "Fold", "spectral_norm"}


def test_all_are_accelerated():
    assert set(DIRECT) == set(DIRECT_LAYERS)
    assert set(TRANSPOSED) == set(TRANSPOSED_LAYERS)
    assert {**DIRECT, **TRANSPOSED} == OURS


@pytest.mark.parametrize("theirs", CONVOLUTION_LAYERS)
def test_ours_is_pytorchs_of_the_same_name(theirs):
    name = theirs.__name__
    ours = getattr(convmat.nn, name)
    assert OURS[theirs] is ours
    assert issubclass(ours, theirs)
    assert name.replace("ConvTranspose", "conv_transpose").replace("Conv", "conv") in convmat.__all__


@pytest.mark.parametrize("name", sorted(LAZY))
def test_a_lazy_layer_becomes_an_ordinary_one(name):
    lazy = getattr(convmat.nn, name)
    assert issubclass(lazy, getattr(nn, name))
    assert lazy.cls_to_become is getattr(convmat.nn, name.removeprefix("Lazy"))


def test_all_are_public():
    assert set(convmat.nn.__all__) == NAMES | LAZY | OTHERS


def test_the_reference_has_all():
    text = REFERENCE.read_text(encoding="utf-8")
    assert set(re.findall(r"^::: convmat\.nn\.(\w+)$", text, re.MULTILINE)) == {*NAMES, *OTHERS, "saved"}
    for direction in ("Conv", "ConvTranspose"):
        assert f"`Lazy{direction}1d` to `Lazy{direction}3d`" in text
