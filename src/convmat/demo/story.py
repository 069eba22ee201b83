"""The story in numbers: a 4x4 input, a 3x3 kernel, and the matrix that connects them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.text import Text
from torch import Tensor

import convmat
from convmat.geometry import Geometry
from convmat.matrices.symbols import symbolic_matrix
from convmat.terminal.matrices import matrix_text


def tell(console: Console) -> None:
    """Print the story; every number in it is computed."""
    _kernel_matrix(console)
    _columns(console)


def _kernel_matrix(console: Console) -> None:
    x = torch.tensor([[3.0, 1, 0, 2], [2, 0, 1, 3], [1, 2, 2, 0], [0, 1, 3, 1]])
    kernel = torch.tensor([[1.0, 2, 1], [3, 1, 2], [1, 4, 1]])
    weight, image = kernel[None, None], x[None, None]
    matrix = convmat.conv_matrix(weight, (4, 4))
    y = matrix @ x.flatten()
    back = matrix.T @ y

    _heading(console, "1. A convolution is a matrix")
    console.print("A 4x4 input and a 3x3 kernel give a 2x2 output. Each output is one row of the matrix K")
    console.print("(C, in the rest of convmat):\n")
    console.print(matrix_text(symbolic_matrix(Geometry.conv((4, 4), (3, 3)))), no_wrap=True)
    console.print("In numbers:\n")
    console.print(matrix_text(_words(matrix)), no_wrap=True)
    direct = F.conv2d(image, weight)[0, 0]
    _side_by_side(console, {"x": x, "kernel": kernel, "K x": y.reshape(2, 2), "F.conv2d(x)": direct})
    _verdict(console, y.reshape(2, 2), direct)

    _heading(console, "2. A transposed convolution is that matrix transposed")
    console.print("The same K, now from 2x2 to 4x4: it spreads each of the four numbers over nine cells.\n")
    transposed = F.conv_transpose2d(y.reshape(1, 1, 2, 2), weight)[0, 0]
    _side_by_side(console, {"y": y.reshape(2, 2), "Kᵀ y": back.reshape(4, 4), "F.conv_transpose2d(y)": transposed})
    _verdict(console, back.reshape(4, 4), transposed)
    console.print("It has the shape of x, but it is not x: the transpose is no inverse.", style="dim")


def _columns(console: Console) -> None:
    generator = torch.Generator().manual_seed(0)
    _heading(console, "3. The same by unfold, a matrix product, and fold")
    x = torch.randn(1, 3, 10, 12, generator=generator)
    weight = torch.randn(2, 3, 4, 5, generator=generator)
    columns = convmat.unfold(x, (4, 5))
    product = weight.flatten(1) @ columns
    folded, viewed = convmat.fold(product, (7, 8), (1, 1)), product.view(1, 2, 7, 8)
    _shapes(console, x=x, weight=weight, **{"unfold(x)": columns, "weight as a matrix @ unfold(x)": product})
    _shapes(console, **{"its fold with a 1x1 kernel": folded, "or a mere view": viewed})
    _verdict(console, folded, F.conv2d(x, weight), "F.conv2d")
    _verdict(console, viewed, F.conv2d(x, weight), "F.conv2d")

    console.print("\nTransposed: multiply by the transposed weight matrix first, then fold the columns.\n")
    spread = weight.flatten(1).T @ folded.flatten(2)
    summed = convmat.fold(spread, (10, 12), (4, 5))
    _shapes(console, **{"weightᵀ @ y": spread, "fold": summed})
    _verdict(console, summed, F.conv_transpose2d(folded, weight), "F.conv_transpose2d")

    batch = convmat.unfold(torch.randn(2, 5, 3, 4, generator=generator), (2, 3))
    console.print("\nWith a batch: every column holds the 5 * 2 * 3 = 30 cells under one of the 2 * 2 windows.\n")
    _shapes(console, **{"unfold of 2x5x3x4 with a 2x3 kernel": batch})


def _heading(console: Console, text: str) -> None:
    console.print()
    console.rule(text, align="left", style="dim")
    console.print()


def _side_by_side(console: Console, matrices: dict[str, Tensor]) -> None:
    panels = [Panel(_block(matrix), title=name, expand=False) for name, matrix in matrices.items()]
    console.print(Columns(panels, padding=(0, 2)))


def _block(matrix: Tensor) -> Text:
    words = _words(matrix)
    width = max(len(word) for row in words for word in row)
    return Text("\n".join(" ".join(word.rjust(width) for word in row) for row in words), no_wrap=True)


def _words(matrix: Tensor) -> list[list[str]]:
    return [[f"{value:g}" for value in row] for row in matrix.tolist()]


def _shapes(console: Console, **tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        console.print(f"  {name:32} {'x'.join(map(str, tensor.shape))}", highlight=False)


def _verdict(console: Console, ours: Tensor, theirs: Tensor, name: str = "PyTorch") -> None:
    error = (ours - theirs).abs().max().item()
    word, style = ("equal to", "green") if error <= 1e-4 else ("DIFFERENT FROM", "bold red")
    console.print(f"  {word} {name} (largest difference {error:.1e})", style=style, highlight=False)
