"""The symbolic matrix, its taps replaced by their values, is the matrix."""

import re

import pytest
import torch

from convmat import Geometry, GeometryError
from convmat.matrices import dense
from convmat.matrices.symbols import symbolic_matrix

GEOMETRIES = {
    "tutorial": Geometry.conv((4, 4), (3, 3)),
    "channels": Geometry.conv((3, 4), (2, 3), padding=1, groups=2, in_channels=4, out_channels=6),
    "long kernel": Geometry.conv((13,), 11, padding=2),
    "taps meet": Geometry.conv((3, 4), 3, padding=((2, 1), (1, 3)), padding_mode="circular"),
    "transposed": Geometry.conv_transpose((2, 3), (3, 2), stride=2, output_padding=1, dilation=(1, 3)),
    "transposed channels": Geometry.conv_transpose((3,), 3, stride=2, groups=2, in_channels=6, out_channels=4),
}


def value(entry: str, weight: torch.Tensor) -> float:
    """Read an entry as a person would."""
    total = 0.0
    for term in filter("0".__ne__, entry.split("+")):
        inside = re.fullmatch(r"w\[(.*)\]", term)
        index = map(int, inside[1].split(",")) if inside else (0, 0, *map(int, term[1:]))
        total += weight[tuple(index)].item()
    return total


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_symbols_stand_for_the_matrix(geometry):
    weight = torch.randn(geometry.weight_shape, dtype=torch.float64)
    read = [[value(entry, weight) for entry in row] for row in symbolic_matrix(geometry)]
    torch.testing.assert_close(torch.tensor(read, dtype=torch.float64), dense(geometry, weight))


def test_too_large_to_spell_out():
    with pytest.raises(GeometryError, match=r"3600 x 3600 matrix has 12960000 entries.*at most 100000"):
        symbolic_matrix(Geometry.conv((60, 60), 3, padding=1))
