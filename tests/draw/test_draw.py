"""Pictures show what the geometry says."""

import sys

import numpy as np
import pytest

from convmat import Geometry, GeometryError, draw
from convmat.matrices.symbols import symbolic_matrix


def shown(figure) -> np.ma.MaskedArray:
    (image,) = figure.axes[0].images
    return image.get_array()


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry.conv((4, 5), (3, 2)),
        Geometry.conv_transpose((3, 4), (2, 3), stride=2, groups=2, in_channels=4, out_channels=2),
        Geometry.conv((4, 3), 3, padding=2, padding_mode="reflect"),
    ],
)
def test_sparsity_shows_every_entry(geometry):
    picture = shown(draw.sparsity(geometry))
    entries = np.array([[entry != "0" for entry in row] for row in symbolic_matrix(geometry)])
    np.testing.assert_array_equal(~np.ma.getmaskarray(picture), entries)


def test_each_tap_has_its_colour():
    picture = shown(draw.sparsity(Geometry.conv((4, 4), (3, 3))))
    names = np.array(symbolic_matrix(Geometry.conv((4, 4), (3, 3))))
    for name in set(names.ravel()) - {"0"}:
        assert set(picture[names == name].tolist()) == {int(name[1]) * 3 + int(name[2])}


def test_small_matrices_name_their_taps():
    figure = draw.sparsity(Geometry.conv((4, 4), (3, 3)))
    assert {text.get_text() for text in figure.axes[0].texts} == {f"w{i}{j}" for i in range(3) for j in range(3)}
    assert figure.axes[0].get_title() == "C: 4 x 16"
    assert draw.sparsity(Geometry.conv_transpose((2, 2), 3)).axes[0].get_title() == "Cᵀ: 16 x 4"


def test_large_matrices_are_drawn_in_blocks():
    picture = shown(draw.sparsity(Geometry.conv((100, 90), 3, padding=1)))
    assert max(picture.shape) <= 800
    with pytest.raises(GeometryError, match="too large to draw"):
        draw.sparsity(Geometry.conv((4000, 4000), 3))


def test_overlap_shows_the_counts():
    geometry = Geometry.conv_transpose((3, 4), (3, 3), stride=2)
    figure = draw.overlap(geometry)
    np.testing.assert_array_equal(shown(figure), geometry.overlap())
    assert [text.get_text() for text in figure.axes[0].texts] == [str(n) for n in geometry.overlap().ravel()]
    assert shown(draw.overlap(Geometry.conv_transpose((3,), 3, stride=2))).shape == (1, 7)
    with pytest.raises(GeometryError, match="over 3 axes cannot be drawn"):
        draw.overlap(Geometry.conv((3, 3, 3), 2))


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"'pip install matplotlib' installs it$") as error:
        draw.sparsity(Geometry.conv((4, 5), (3, 2)))
    assert "\n" not in str(error.value)
