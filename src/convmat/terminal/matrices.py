"""Printing and saving matrices for the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from math import prod
from pathlib import Path
from string import ascii_letters, digits

import numpy as np
import torch
from rich.console import Console
from rich.text import Text
from torch import Tensor

from convmat import draw, matrices
from convmat.geometry import Geometry
from convmat.matrices.symbols import symbolic_matrix
from convmat.progress import spinner
from convmat.terminal.tables import describe
from convmat.terminal.texts import InputError, Texts

_MOST_PRINTED = 64
PICTURES = (".png", ".svg", ".pdf")
_LETTERS = ascii_letters + digits
_NUMBER = re.compile(r"-?[\d.]+(?:e[+-]?\d+)?")


def print_matrix(geometry: Geometry, weight_file: Path | None, console: Console, texts: Texts) -> None:
    """Print a small matrix: the names of its taps, or numbers if there is a weight; of a large one, its size."""
    heading = f"{describe(geometry, texts)}\n{_size(geometry, texts)}\n"
    if max(geometry.matrix_shape) > _MOST_PRINTED:
        console.print(heading, highlight=False)
        console.print(texts("matrix.too_large"))
        return
    cells = symbolic_matrix(geometry) if weight_file is None else _numbers(geometry, weight_file)
    console.print(heading, highlight=False)
    print_cells(cells, geometry.kernel_size[-1], console, texts)


def print_cells(cells: Sequence[Sequence[str]], per_row: int, console: Console, texts: Texts) -> None:
    """Print a matrix of words in aligned columns.

    A file or a pipe gets whole rows. On a terminal that is too narrow for them every word becomes one letter, and the
    rows come in blocks of columns if that is not enough.

    Args:
        cells: the rows; zeros are ``"0"``.
        per_row: how many letters to explain in one row, if they fit: as many as the kernel has in one.
        console: to print to.
        texts: of the language.
    """
    needed = len(cells[0]) * (_widest(cells) + 1) - 1
    if needed <= console.width or not _is_bounded(console):
        _print_rows(cells, " ", console)
        return
    letters = _letters(cells)
    if letters is None:
        console.print(texts("matrix.blocks"), style="dim", highlight=False)
        _print_blocks(cells, " ", console, texts)
        return
    console.print(texts("matrix.letters"), style="dim", highlight=False)
    _print_blocks([[letters.get(cell, cell) for cell in row] for row in cells], "", console, texts)
    _print_key(letters, per_row, console)


def _is_bounded(console: Console) -> bool:
    """Whether a row has to fit in the console's width: on a terminal, and where somebody has set a width."""
    return console.is_terminal or "COLUMNS" in os.environ


def _letters(cells: Sequence[Sequence[str]]) -> dict[str, str] | None:
    """A letter for each word but zero, in the order of the taps; ``None`` where there are too many."""
    words = {cell for row in cells for cell in row} - {"0"}
    if len(words) > len(_LETTERS):
        return None
    return dict(zip(sorted(words, key=_numbers_in), _LETTERS, strict=False))


def _numbers_in(word: str) -> tuple[list[float], str]:
    """What to sort by: ``w[0,0,2]`` comes before ``w[0,0,10]``."""
    return [float(number) for number in _NUMBER.findall(word)], word


def _print_key(letters: dict[str, str], per_row: int, console: Console) -> None:
    """What each letter stands for."""
    widest = max(map(len, letters), default=0)
    entries = [f"{letter} = {word.ljust(widest)}" for word, letter in letters.items()]
    room = max((console.width + 3) // (widest + 7), 1)
    count = per_row if 1 < per_row <= room else room
    for start in range(0, len(entries), count):
        console.print("   ".join(entries[start : start + count]).rstrip(), highlight=False, no_wrap=True, crop=False)


def _print_blocks(cells: Sequence[Sequence[str]], gap: str, console: Console, texts: Texts) -> None:
    """Print as many columns at a time as fit; a block that is the only one needs no heading."""
    columns = len(cells[0])
    count = max((console.width + len(gap)) // (_widest(cells) + len(gap)), 1)
    for first in range(0, columns, count):
        last = min(first + count, columns)
        if count < columns:
            console.print(texts("matrix.block", first=first, last=last - 1), style="dim", highlight=False)
        _print_rows([row[first:last] for row in cells], gap, console)


def _print_rows(cells: Sequence[Sequence[str]], gap: str, console: Console) -> None:
    console.print(matrix_text(cells, gap), no_wrap=True, overflow="ignore", crop=False)


def matrix_text(cells: Sequence[Sequence[str]], gap: str = " ") -> Text:
    """Align a matrix of words in columns; zeros recede to dots."""
    width = _widest(cells)
    text = Text()
    for row in cells:
        for number, cell in enumerate(row):
            text.append(gap if number else "")
            text.append(("." if cell == "0" else cell).rjust(width), style="dim" if cell == "0" else "")
        text.append("\n")
    return text


def _widest(cells: Sequence[Sequence[str]]) -> int:
    return max(len(cell) for row in cells for cell in row)


def save_matrix(geometry: Geometry, weight_file: Path | None, out: Path, console: Console, texts: Texts) -> None:
    """Save a matrix as SciPy's .npz, or as a picture."""
    ending = out.suffix.lower()
    if ending not in (".npz", *PICTURES):
        raise InputError("wrong.ending", out=out, endings=", ".join((".npz", *PICTURES)))
    if weight_file is not None and ending != ".npz":
        raise InputError("wrong.weight_in_picture", file=weight_file)
    with spinner(texts("busy.matrix")):
        if ending == ".npz":
            _save_npz(geometry, read_weight(geometry, weight_file), out)
        else:
            draw.sparsity(geometry).savefig(out, dpi=150)
    rows, columns = geometry.matrix_shape
    console.print(texts("matrix.saved", out=out, rows=rows, columns=columns), highlight=False, soft_wrap=True)


def _save_npz(geometry: Geometry, weight: Tensor, out: Path) -> None:
    from scipy.sparse import save_npz

    matrix = matrices.to_scipy(matrices.csr(geometry, weight))
    with out.open("wb") as file:  # given a path, SciPy would append .npz where it is spelled .NPZ
        save_npz(file, matrix)


def _size(geometry: Geometry, texts: Texts) -> str:
    """The size of a matrix, in words, as of :func:`convmat.matrices.size_text`."""
    rows, columns = geometry.matrix_shape
    key = "matrix.size" if geometry.padding_mode == "zeros" else "matrix.size_at_most"  # taps may meet in an entry
    return texts(key, rows=rows, columns=columns, entries=geometry.most_entries())


def _numbers(geometry: Geometry, weight_file: Path) -> list[list[str]]:
    dense = matrices.dense(geometry, read_weight(geometry, weight_file))
    return [[f"{value:.4g}" for value in row] for row in dense.tolist()]


def read_weight(geometry: Geometry, file: Path | None) -> Tensor:
    """The weight in a file, or one whose taps are numbered.

    Raises:
        InputError: if it is none in NumPy's format, or has another shape.
        OSError: if it cannot be read.
    """
    shape = geometry.weight_shape
    if file is None:
        return torch.arange(1.0, prod(shape) + 1).reshape(shape)
    if file.suffix.lower() != ".npy" and not file.exists():  # numbers, perhaps
        raise InputError("wrong.no_weight", text=str(file), needed=shape)
    try:
        loaded = np.load(file, allow_pickle=False)
        weight = torch.from_numpy(loaded.astype(loaded.dtype.newbyteorder("=")))
    except (ValueError, TypeError, EOFError, AttributeError):
        raise InputError("wrong.weight", file=file) from None
    if tuple(weight.shape) != shape:
        raise _wrong_shape(file, tuple(weight.shape), shape)
    return weight


def _wrong_shape(file: Path, shape: tuple[int, ...], needed: tuple[int, ...]) -> InputError:
    """That a weight has another shape, and what would do: to reshape it, or another kernel, if it is that alone."""
    if prod(shape) == prod(needed):
        return InputError("wrong.weight_reshape", file=file, shape=shape, needed=needed)
    if len(shape) == len(needed) and shape[:2] == needed[:2]:
        kernel = "x".join(map(str, shape[2:]))
        return InputError("wrong.weight_kernel", file=file, shape=shape, needed=needed, kernel=kernel)
    return InputError("wrong.weight_shape", file=file, shape=shape, needed=needed)
