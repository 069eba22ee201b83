"""Printing and saving matrices for the command line."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.text import Text
from torch import Tensor

from convmat import draw, matrices
from convmat.geometry import Geometry, GeometryError
from convmat.matrices.symbols import symbolic_matrix
from convmat.terminal.progress import spinner
from convmat.terminal.tables import describe

_MOST_PRINTED = 64
_PICTURES = (".png", ".svg", ".pdf")


def print_matrix(geometry: Geometry, weight_file: Path | None, console: Console) -> None:
    """Print a small matrix: the names of its taps, or numbers if there is a weight; of a large one, its size."""
    heading = f"{describe(geometry)}\n{matrices.size_text(geometry)}\n"
    if max(geometry.matrix_shape) > _MOST_PRINTED:
        console.print(heading, highlight=False)
        console.print("Too large to print; --out FILE.npz saves its numbers, --out FILE.png a picture.")
        return
    cells = symbolic_matrix(geometry) if weight_file is None else _numbers(geometry, weight_file)
    console.print(heading, highlight=False)
    console.print(matrix_text(cells), no_wrap=True, overflow="ignore", crop=False)


def matrix_text(cells: list[list[str]]) -> Text:
    """Align a matrix of words in columns; zeros recede to dots."""
    width = max(len(cell) for row in cells for cell in row)
    text = Text()
    for row in cells:
        for cell in row:
            text.append(("." if cell == "0" else cell).rjust(width), style="dim" if cell == "0" else "")
            text.append(" ")
        text.right_crop(1)
        text.append("\n")
    return text


def save_matrix(geometry: Geometry, weight_file: Path | None, out: Path, console: Console) -> None:
    """Save a matrix as SciPy's .npz, or as a picture."""
    ending = out.suffix.lower()
    if ending not in (".npz", *_PICTURES):
        raise GeometryError(f"--out {out}: need an ending out of .npz, {', '.join(_PICTURES)}")
    if weight_file is not None and ending != ".npz":
        raise GeometryError(f"--weight {weight_file} goes with numbers: a picture shows which tap is where")
    with spinner("building the matrix"):
        if ending == ".npz":
            _save_npz(geometry, _weight(geometry, weight_file), out)
        else:
            draw.sparsity(geometry).savefig(out, dpi=150)
    console.print(f"{out}: {' x '.join(map(str, geometry.matrix_shape))} matrix", highlight=False)


def _save_npz(geometry: Geometry, weight: Tensor, out: Path) -> None:
    from scipy.sparse import csr_array, save_npz

    matrix = matrices.csr(geometry, weight)
    parts = (matrix.values().numpy(), matrix.col_indices().numpy(), matrix.crow_indices().numpy())
    with out.open("wb") as file:  # given a path, SciPy would append .npz where it is spelled .NPZ
        save_npz(file, csr_array(parts, shape=geometry.matrix_shape))


def _numbers(geometry: Geometry, weight_file: Path) -> list[list[str]]:
    dense = matrices.dense(geometry, _weight(geometry, weight_file))
    return [[f"{value:.4g}" for value in row] for row in dense.tolist()]


def _weight(geometry: Geometry, file: Path | None) -> Tensor:
    shape = geometry.weight_shape
    if file is None:
        return torch.arange(1.0, prod(shape) + 1).reshape(shape)
    try:
        loaded = np.load(file, allow_pickle=False)
        weight = torch.from_numpy(loaded.astype(loaded.dtype.newbyteorder("=")))
    except (ValueError, TypeError, EOFError, AttributeError):
        raise GeometryError(f"--weight {file} is no array of numbers in NumPy's .npy format") from None
    if tuple(weight.shape) != shape:
        raise GeometryError(f"--weight {file} has shape {tuple(weight.shape)}: need {shape}")
    return weight
