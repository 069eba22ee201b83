"""From a layer to its geometry."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import convmat
from convmat import Geometry, GeometryError
from convmat.tensors.arguments import layer_geometry

LAYERS = {
    "1-d": (nn.Conv1d(2, 4, 3, stride=2, padding=1), (2, 9)),
    "2-d": (nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding="valid", dilation=2, groups=2), (2, 9, 7)),
    "3-d": (nn.Conv3d(1, 2, 2, padding=1, padding_mode="circular"), (1, 3, 4, 5)),
    "transposed": (nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=(1, 0), groups=2), (4, 3, 5)),
    "ours": (convmat.nn.ConvTranspose2d(4, 2, 3, stride=2, padding="same", padding_mode="reflect"), (4, 3, 5)),
    "pairs": (convmat.nn.Conv2d(4, 2, 3, padding=((1, 0), (2, 1))), (4, 3, 5)),
}
every_layer = pytest.mark.parametrize(("layer", "in_shape"), LAYERS.values(), ids=LAYERS.keys())


@every_layer
def test_it_is_that_of_the_layer(layer, in_shape):
    geometry = Geometry.of(layer, in_shape)
    assert geometry == layer_geometry(layer, in_shape)
    assert geometry.weight_shape == tuple(layer.weight.shape)
    assert geometry.in_shape == in_shape
    assert geometry.out_shape == tuple(layer(torch.ones(1, *in_shape)).shape[1:])


def test_any_object_with_the_attributes_will_do():
    layer = SimpleNamespace(
        in_channels=2, out_channels=3, kernel_size=(3,), stride=(1,), padding=(1,), dilation=(1,), groups=1
    )
    assert Geometry.of(layer, (2, 5)) == Geometry.conv((5,), 3, padding=1, in_channels=2, out_channels=3)


def test_a_weight_that_is_computed_is_not_touched():
    layer = torch.nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 3, 3))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    Geometry.of(layer, (2, 5, 6))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


@pytest.mark.parametrize(
    ("layer", "in_shape", "error", "message"),
    [
        (nn.Conv2d(2, 3, 3), (3, 5, 6), GeometryError, r"in_shape=\(3, 5, 6\) has 3 channels.* in_channels=2"),
        (nn.Conv2d(2, 3, 3), (1, 2, 5, 6), GeometryError, "must hold the channels and the 2 spatial sizes, without"),
        (nn.LazyConv2d(3, 3), (2, 5, 6), GeometryError, "has no weight yet: call it once"),
        (nn.Conv2d(2, 3, 7), (2, 5, 6), GeometryError, "kernel_size=7"),
        (nn.Linear(3, 4), (3,), TypeError, "layer is a Linear, which has no in_channels: need a convolution layer"),
        (nn.Conv2d(2, 3, 3), torch.rand(1, 2, 5, 6), TypeError, r"x\.shape\[1:\] would do"),
    ],
)
def test_refusals(layer, in_shape, error, message):
    with pytest.raises(error, match=message):
        Geometry.of(layer, in_shape)


# -- accepted wherever a geometry is -----------------------------------------------------------------------------------


def test_symbols_and_pictures_of_a_layer():
    layer, in_shape = nn.ConvTranspose2d(1, 1, 3, stride=2), (1, 3, 4)
    geometry = Geometry.of(layer, in_shape)
    assert convmat.symbolic_matrix(layer, in_shape) == convmat.symbolic_matrix(geometry)
    for draw in (convmat.draw.sparsity, convmat.draw.overlap):
        ours, theirs = (figure.axes[0] for figure in (draw(layer, in_shape), draw(geometry)))
        assert ours.get_title() == theirs.get_title()
        assert (ours.images[0].get_array() == theirs.images[0].get_array()).all()


def test_methods_are_compared_with_the_weight_of_a_layer():
    layer = nn.Conv2d(2, 3, 3, dtype=torch.float64)
    (result,) = convmat.compare_methods(layer, in_shape=(2, 6, 7), methods=["unfold"], repeats=1)
    assert result.max_error < 1e-12
    (result,) = convmat.compare_methods(layer, torch.randn(2, 2, 6, 7).double(), methods=["phases"], repeats=1)
    assert result.max_error < 1e-12


def test_a_layer_needs_a_shape_and_a_geometry_has_one():
    layer = nn.Conv2d(1, 1, 3)
    with pytest.raises(TypeError, match=r"geometry must be a convmat\.Geometry, or .* in_shape, not Conv2d alone"):
        convmat.symbolic_matrix(layer)
    with pytest.raises(TypeError, match=r"in_shape=.* goes with a layer only"):
        convmat.draw.sparsity(Geometry.of(layer, (1, 4, 4)), (1, 4, 4))
