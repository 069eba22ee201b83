"""What a picture shows, read back from its artists: grids of cells, found by where they lie, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor

import numpy as np
from matplotlib.colors import to_hex

ROUNDED = (-1e-5, 0.0, 1e-5)


@dataclass
class Cell:
    """A cell as drawn."""

    text: str = ""
    corner: str = ""
    color: str = ""
    hatch: str = ""


@dataclass
class DrawnGrid:
    """Cells that touch, by row and column, and the frames that begin among them."""

    x: float
    y: float
    cells: dict[tuple[int, int], Cell]
    frames: list[tuple[int, int, int, int, str]] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = zip(*self.cells, strict=True)
        return max(rows) + 1, max(columns) + 1

    @property
    def texts(self) -> np.ndarray:
        array = np.full(self.shape, "", object)
        for index, cell in self.cells.items():
            array[index] = cell.text
        return array

    @property
    def corners(self) -> dict[tuple[int, int], str]:
        return {index: cell.corner for index, cell in self.cells.items() if cell.corner}

    @property
    def hatched(self) -> set[tuple[int, int]]:
        return {index for index, cell in self.cells.items() if cell.hatch}

    def colored(self, color: str) -> set[tuple[int, int]]:
        return {index for index, cell in self.cells.items() if cell.color == color}


def read(figure, axes=None) -> list[DrawnGrid]:
    """The grids of a sheet, from left to right, and from the top down."""
    axes = figure.axes[0] if axes is None else axes
    cells: dict[tuple[float, float], Cell] = {}
    for patch in axes.patches:
        if patch.get_gid() != "frame":
            cell = cells.setdefault((round(patch.get_x(), 5), round(patch.get_y(), 5)), Cell())
            if patch.get_hatch():
                cell.hatch = patch.get_hatch()
            elif patch.get_fill():
                cell.color = to_hex(patch.get_facecolor())
    assert all(patch.get_width() == patch.get_height() == 1 for patch in axes.patches if patch.get_gid() != "frame")
    buckets: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for at in cells:
        buckets.setdefault((floor(at[0]), floor(at[1])), []).append(at)
    for text in axes.texts:
        if text.get_gid() in ("cell", "corner"):
            x, y = text.get_position()
            near = [at for dx in (0, 1) for dy in (0, 1) for at in buckets.get((floor(x) - dx, floor(y) - dy), ())]
            (place,) = [at for at in near if at[0] < x < at[0] + 1 and at[1] < y < at[1] + 1]
            setattr(cells[place], {"cell": "text", "corner": "corner"}[text.get_gid()], text.get_text())
    grids = [_grid(places, cells) for places in _touching(set(cells))]
    for patch in axes.patches:
        if patch.get_gid() == "frame":
            grid = next(g for g in grids if _begins_in(patch, g))
            row, column = round(patch.get_y() - grid.y), round(patch.get_x() - grid.x)
            size = round(patch.get_height()), round(patch.get_width())
            grid.frames.append((row, column, *size, to_hex(patch.get_edgecolor())))
    return sorted(grids, key=lambda grid: (round(grid.x + grid.shape[1] / 2, 2), grid.y))


def _touching(places: set[tuple[float, float]]) -> list[set[tuple[float, float]]]:
    """The places, in groups that touch."""
    groups = []
    while places:
        group, border = set(), [places.pop()]
        while border:
            x, y = border.pop()
            group.add((x, y))
            steps = [(x + dx, y + dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))]
            near = {(round(a + e, 5), round(b + f, 5)) for a, b in steps for e in ROUNDED for f in ROUNDED} & places
            places -= near
            border += near
        groups.append(group)
    return groups


def _grid(places: set[tuple[float, float]], cells: dict[tuple[float, float], Cell]) -> DrawnGrid:
    left, top = min(x for x, _ in places), min(y for _, y in places)
    return DrawnGrid(left, top, {(round(y - top), round(x - left)): cells[x, y] for x, y in places})


def _begins_in(patch, grid: DrawnGrid) -> bool:
    row, column = patch.get_y() - grid.y, patch.get_x() - grid.x
    near = abs(row - round(row)) + abs(column - round(column)) < 1e-3
    return near and (round(row), round(column)) in grid.cells


def stacks(grids: list[DrawnGrid]) -> list[list[DrawnGrid]]:
    """Grids below one another, by the middle that they share."""
    found: list[list[DrawnGrid]] = []
    for grid in grids:
        middle = grid.x + grid.shape[1] / 2
        if found and abs(found[-1][0].x + found[-1][0].shape[1] / 2 - middle) < 1e-2:
            found[-1].append(grid)
        else:
            found.append([grid])
    return found


def numbers(grid: DrawnGrid) -> np.ndarray:
    """The numbers of a grid; an empty cell is no number."""
    return np.array([[float(text) if text else np.nan for text in row] for row in grid.texts])


def as_two_axes(array) -> np.ndarray:
    """A channel of one axis as a row."""
    array = np.asarray(array)
    return array[None] if array.ndim == 1 else array
