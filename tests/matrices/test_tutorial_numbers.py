"""Numbers and shapes that a tutorial on writing transposed convolution by hand prints."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import convmat
from tests.layers import METHODS

PRINTED = json.loads((Path(__file__).parent / "data" / "tutorial_numbers.json").read_text(encoding="utf-8"))
DIRECT = torch.tensor(PRINTED["conv2d_output"], dtype=torch.float64)
TRANSPOSED = torch.tensor(PRINTED["conv_transpose2d_output"], dtype=torch.float64)


def recovered_kernel() -> torch.Tensor:
    """The 3x3 kernel, by least squares: each of the 16 outputs is a sum of the 4 inputs times taps."""
    equations = np.zeros((16, 9))
    for i, j in np.ndindex(2, 2):
        for a, b in np.ndindex(3, 3):
            equations[(i + a) * 4 + j + b, a * 3 + b] += DIRECT[i, j].item()
    kernel, _, rank, _ = np.linalg.lstsq(equations, TRANSPOSED.numpy().reshape(-1), rcond=None)
    assert rank == 9
    return torch.from_numpy(kernel).reshape(1, 1, 3, 3)


@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_every_method_prints_the_same_numbers(method):
    output = convmat.conv_transpose2d(DIRECT[None, None], recovered_kernel(), method=method)
    torch.testing.assert_close(output[0, 0], TRANSPOSED, rtol=0, atol=1e-3)


@pytest.mark.parametrize("layout", [torch.strided, torch.sparse_coo, torch.sparse_csr], ids=str)
def test_the_matrix_prints_the_same_numbers(layout):
    matrix = convmat.conv_matrix(recovered_kernel(), (4, 4), layout=layout)
    assert matrix.shape == (4, 16)
    output = matrix.to_dense().T @ DIRECT.flatten()
    torch.testing.assert_close(output.reshape(4, 4), TRANSPOSED, rtol=0, atol=1e-3)


def test_unfold_multiply_and_fold_or_view():
    """1x3x10x12 under 2x3x4x5 gives 1x2x7x8, the columns laid out by fold with kernel 1 or by a mere view."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, 10, 12, dtype=torch.float64, generator=generator)
    weight = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=generator)
    columns = convmat.unfold(x, (4, 5))
    torch.testing.assert_close(columns, F.unfold(x, (4, 5)))
    assert columns.shape == (1, 60, 56)
    product = weight.flatten(1) @ columns
    folded = convmat.fold(product, (7, 8), (1, 1))
    assert folded.shape == (1, 2, 7, 8)
    assert torch.equal(folded, product.view(1, 2, 7, 8))
    torch.testing.assert_close(folded, F.conv2d(x, weight))


def test_shape_of_the_columns():
    assert convmat.unfold(torch.zeros(2, 5, 3, 4), (2, 3)).shape == (2, 30, 4)
