"""The story in numbers: a 4x4 input, a 3x3 kernel, and the matrix that connects them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from torch import Tensor

import convmat
from convmat.geometry import Geometry
from convmat.matrices.symbols import symbolic_matrix
from convmat.terminal.matrices import print_cells
from convmat.terminal.texts import Texts


def tell(console: Console, texts: Texts) -> None:
    """Print the story; every number in it is computed."""
    _matrix(console, texts)
    _columns(console, texts)


def _matrix(console: Console, texts: Texts) -> None:
    x = torch.tensor([[3.0, 1, 0, 2], [2, 0, 1, 3], [1, 2, 2, 0], [0, 1, 3, 1]])
    kernel = torch.tensor([[1.0, 2, 1], [3, 1, 2], [1, 4, 1]])
    weight, image = kernel[None, None], x[None, None]
    matrix = convmat.conv_matrix(weight, (4, 4))
    y = matrix @ x.flatten()
    back = matrix.T @ y

    _heading(console, texts("demo.matrix"))
    console.print(texts("demo.matrix.shapes"))
    console.print(texts("demo.matrix.rows"))
    console.print()
    print_cells(symbolic_matrix(Geometry.conv((4, 4), (3, 3))), 3, console, texts)
    console.print(texts("demo.matrix.numbers"))
    console.print()
    print_cells(_words(matrix), 3, console, texts)
    direct = F.conv2d(image, weight)[0, 0]
    _side_by_side(console, {"x": x, texts("demo.kernel"): kernel, "C x": y.reshape(2, 2), "F.conv2d(x)": direct})
    _verdict(console, texts, y.reshape(2, 2), direct)

    _heading(console, texts("demo.transpose"))
    console.print(texts("demo.transpose.spread"))
    console.print()
    transposed = F.conv_transpose2d(y.reshape(1, 1, 2, 2), weight)[0, 0]
    _side_by_side(console, {"y": y.reshape(2, 2), "Cᵀ y": back.reshape(4, 4), "F.conv_transpose2d(y)": transposed})
    _verdict(console, texts, back.reshape(4, 4), transposed)
    console.print(texts("demo.transpose.no_inverse"), style="dim")


def _columns(console: Console, texts: Texts) -> None:
    generator = torch.Generator().manual_seed(0)
    _heading(console, texts("demo.columns"))
    x = torch.randn(1, 3, 10, 12, generator=generator)
    weight = torch.randn(2, 3, 4, 5, generator=generator)
    columns = convmat.unfold(x, (4, 5))
    product = weight.flatten(1) @ columns
    folded, viewed = convmat.fold(product, (7, 8), (1, 1)), product.view(1, 2, 7, 8)
    shapes = {
        "x": x,
        texts("demo.weight"): weight,
        "unfold(x)": columns,
        texts("demo.columns.product"): product,
        texts("demo.columns.folded"): folded,
        texts("demo.columns.viewed"): viewed,
    }
    _shapes(console, shapes)
    _verdict(console, texts, torch.stack((folded, viewed)), F.conv2d(x, weight), "F.conv2d")

    console.print()
    console.print(texts("demo.columns.transposed"))
    console.print()
    spread = weight.flatten(1).T @ folded.flatten(2)
    summed = convmat.fold(spread, (10, 12), (4, 5))
    _shapes(console, {f"{texts('demo.weight')}ᵀ @ y": spread, "fold": summed})
    _verdict(console, texts, summed, F.conv_transpose2d(folded, weight), "F.conv_transpose2d")

    batch = convmat.unfold(torch.randn(2, 5, 3, 4, generator=generator), (2, 3))
    console.print()
    console.print(texts("demo.columns.batch"))
    console.print()
    _shapes(console, {texts("demo.columns.batch_unfold"): batch})


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


def _shapes(console: Console, tensors: dict[str, Tensor]) -> None:
    table = Table.grid(padding=(0, 3))
    for name, tensor in tensors.items():
        table.add_row(name, "x".join(map(str, tensor.shape)))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


def _verdict(console: Console, texts: Texts, ours: Tensor, theirs: Tensor, name: str = "PyTorch") -> None:
    error = (ours - theirs).abs().max().item()
    key, style = ("demo.equal", "green") if error <= 1e-4 else ("demo.different", "bold red")
    console.print(f"  {texts(key, name=name, error=f'{error:.1e}')}", style=style, highlight=False)
