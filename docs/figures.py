"""The figures of the pages: `python docs/figures.py [FOLDER]`; MkDocs runs it by itself.

They hold numbers and symbols only, so that pages in every language share them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import convmat
from convmat import Axis, Geometry, draw

X = np.array([[1, 2, 0, 3, 1, 2], [0, 1, 2, 1, 0, 1], [2, 0, 1, 1, 3, 0]])
KERNEL = np.array([[1, 2, 3], [4, 5, 6]])
LAYER = Geometry.conv(X.shape, KERNEL.shape)
Y = convmat.conv2d(torch.from_numpy(X)[None], torch.from_numpy(KERNEL)[None, None])[0].numpy()

INK, PALE, WHITE = "0.15", "0.93", "1.0"
TINTS = {"blue": "#c9dcf5", "orange": "#fbd9b0", "green": "#cdeac8"}
EDGES = {"blue": "#2463b4", "orange": "#c46a00", "green": "#2f7d32"}
TAP_COLORS = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, KERNEL.size)).reshape(*KERNEL.shape, 4)

Cells = np.ndarray


def main(folder: Path) -> None:
    """Draw every figure into a folder, as NAME.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FIGURES.items():
        make().savefig(folder / f"{name}.png", dpi=160, facecolor="white")


# -- grids ------------------------------------------------------------------------------------------------------------


def grid(axes: Axes, values: Cells, colors: Callable[[int, int], object], at: tuple[float, float] = (0, 0)) -> None:
    """Cells with numbers in them, the upper left corner ``at`` (x, y)."""
    for (row, column), value in np.ndenumerate(values):
        x, y = at[0] + column, at[1] + row
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colors(row, column), edgecolor="0.6", linewidth=0.8))
        axes.text(x + 0.5, y + 0.5, str(value), ha="center", va="center", color=INK, fontsize=11)


def frame(axes: Axes, at: tuple[float, float], size: tuple[int, int], color: str) -> None:
    """A thick border around ``size`` (rows, columns) cells."""
    axes.add_patch(Rectangle(at, size[1], size[0], fill=False, edgecolor=EDGES[color], linewidth=2.5, zorder=3))


def canvas(width: float, height: float, scale: float = 0.42) -> tuple[Figure, Axes]:
    """An empty sheet, measured in cells."""
    figure = Figure(figsize=(width * scale, height * scale))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.axis("off")
    return figure, axes


def note(axes: Axes, x: float, y: float, text: str, size: float = 14) -> None:
    """A symbol."""
    axes.text(x, y, text, ha="center", va="center", color=INK, fontsize=size)


def inside(row: int, column: int, corner: tuple[int, int], size: tuple[int, ...] = KERNEL.shape) -> bool:
    """Whether a cell lies in a window."""
    return corner[0] <= row < corner[0] + size[0] and corner[1] <= column < corner[1] + size[1]


# -- the figures ------------------------------------------------------------------------------------------------------


def slide() -> Figure:
    """Three places of the kernel, and the output that each makes."""
    figure, axes = canvas(24.5, 7.5)
    for number, (corner, color) in enumerate(zip([(0, 0), (0, 1), (1, 3)], TINTS, strict=True)):
        left = 0.5 + number * 8.5
        grid(axes, X, lambda r, c, w=corner, t=TINTS[color]: t if inside(r, c, w) else WHITE, (left, 0.5))
        frame(axes, (left + corner[1], 0.5 + corner[0]), KERNEL.shape, color)
        note(axes, left + 3, 4.25, "↓")
        grid(axes, Y, lambda r, c, w=corner, t=TINTS[color]: t if (r, c) == w else WHITE, (left + 1, 5))
        frame(axes, (left + 1 + corner[1], 5 + corner[0]), (1, 1), color)
    return figure


def region_matrix() -> Figure:
    """Two regions of the input and their columns; the kernel as a row, times the region matrix."""
    figure, axes = canvas(26, 7)
    places = dict(zip([(0, 0), (1, 2)], ["blue", "orange"], strict=True))
    number = {place: place[0] * Y.shape[1] + place[1] for place in places}

    def tint(row: int, column: int) -> str:
        return next((TINTS[color] for place, color in places.items() if inside(row, column, place)), WHITE)

    grid(axes, X, tint, (0.5, 2))
    for place, color in places.items():
        frame(axes, (0.5 + place[1], 2 + place[0]), KERNEL.shape, color)
    regions = convmat.unfold(torch.from_numpy(X)[None], KERNEL.shape).numpy()
    of_column = {number[place]: color for place, color in places.items()}
    note(axes, 7.35, 3.5, "→")
    grid(axes, KERNEL.reshape(1, -1), lambda r, c: PALE, (8.5, 3))
    note(axes, 15.25, 3.5, "·")
    grid(axes, regions, lambda r, c: TINTS[of_column[c]] if c in of_column else WHITE, (16, 0.5))
    for column, color in of_column.items():
        frame(axes, (16 + column, 0.5), (6, 1), color)
    note(axes, 25, 3.5, "=  y")
    return figure


def kernel_matrix() -> Figure:
    """The matrix of the layer, its taps by name."""
    return _bare(draw.sparsity(LAYER, title=" "))


def transpose() -> Figure:
    """Its transpose."""
    return _bare(draw.sparsity(LAYER.transpose(), title=" "))


def _bare(figure: Figure) -> Figure:
    """Without the words on the axes."""
    axes = figure.axes[0]
    axes.set(xlabel="", ylabel="", title="")
    axes.tick_params(labelsize=8, color="0.6")
    return figure


def spread() -> Figure:
    """Three cells of y, each a copy of the kernel in the output, two cells apart; their sum."""
    y, kernel = np.array([4, 8, 0]), np.array([1, 3, 3, 1])
    axis = Axis.conv_transpose(len(y), len(kernel), stride=2, padding=1)
    figure, axes = canvas(9, 9)
    left = 2.5
    total = np.zeros(axis.inputs, dtype=int)
    for o, color in enumerate(TINTS):
        top = 0.5 + 1.6 * o
        grid(axes, y[o : o + 1, None], lambda r, c, t=TINTS[color]: t, (0.3, top))
        note(axes, 1.9, top + 0.5, "→")
        row = np.full(axis.inputs, "·", dtype=object)
        for tap, cell in axis.reads(o):
            row[cell] = y[o] * kernel[tap]
            total[cell] += row[cell]
        grid(axes, row[None], lambda r, c, t=TINTS[color], row=row: WHITE if row[c] == "·" else t, (left, top))
    note(axes, left + axis.inputs / 2, 5.65, "↓ +")
    grid(axes, total[None], lambda r, c: PALE, (left, 6.4))
    note(axes, left + axis.inputs / 2, 8.5, "y = (4, 8, 0),   w = (1, 3, 3, 1)", 11)
    return figure


def upsampling() -> Figure:
    """A detail of a photograph, small, and upsampled by the three kernels."""
    photo = matplotlib.image.imread(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") / 255.0
    face = torch.from_numpy(photo[10:490, 60:460]).permute(2, 0, 1)
    small = torch.nn.functional.interpolate(face[None], size=(24, 20), mode="area")[0].float()
    pictures = [small, *(convmat.upsample(small, 6, kernel) for kernel in ("nearest", "bilinear", "bicubic"))]
    figure = Figure(figsize=(10, 3.25))
    for number, picture in enumerate(pictures):
        height = 1 / 6 if number == 0 else 1
        axes = figure.add_axes((0.01 + 0.2475 * number, 0.02 + 0.48 * (1 - height), 0.2375, 0.96 * height))
        axes.imshow(picture.clamp(0, 1).permute(1, 2, 0).numpy(), interpolation="none")
        axes.axis("off")
    return figure


def zero_insertion() -> Figure:
    """The input pulled apart and padded, and the flipped kernel on it; beside it the output."""
    y, stride = np.array([[1, 2, 3], [4, 5, 6]]), (2, 3)
    axes_of = [Axis.conv_transpose(n, k, s) for n, k, s in zip(y.shape, KERNEL.shape, stride, strict=True)]
    (above, below), (before, after) = (axis.zero_insertion_padding() for axis in axes_of)
    pulled = np.zeros([(n - 1) * s + 1 for n, s in zip(y.shape, stride, strict=True)], dtype=int)
    pulled[:: stride[0], :: stride[1]] = y
    padded = np.pad(pulled, ((above, below), (before, after)))
    z = convmat.conv_transpose2d(torch.from_numpy(y)[None], torch.from_numpy(KERNEL)[None, None], stride=stride)
    output, window = z[0].numpy(), (2, 4)

    def shade(row: int, column: int) -> str:
        if padded[row, column]:
            return TINTS["orange"]
        in_y = above <= row < len(padded) - below and before <= column < padded.shape[1] - after
        return WHITE if in_y else PALE

    figure, axes = canvas(27.5, 6)
    grid(axes, padded, shade, (0.5, 0.5))
    frame(axes, (0.5 + window[1], 0.5 + window[0]), KERNEL.shape, "blue")
    note(axes, 12.15, 3, "∗")
    grid(axes, KERNEL[::-1, ::-1], lambda r, c: TINTS["blue"], (12.8, 2))
    note(axes, 16.65, 3, "=")
    grid(axes, output, lambda r, c: TINTS["blue"] if (r, c) == window else WHITE, (17.5, 1))
    frame(axes, (17.5 + window[1], 1 + window[0]), (1, 1), "blue")
    return figure


def checkerboards() -> Figure:
    """How many taps reach each output: a kernel of 3, then one of 4, stride 2."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for number, kernel in enumerate((3, 4)):
        counts = Geometry.conv_transpose((4, 6), (kernel, kernel), stride=2).overlap()
        axes = figure.add_subplot(1, 2, number + 1)
        axes.imshow(counts, cmap="magma", vmin=0, vmax=4.5, interpolation="nearest")
        axes.axis("off")
        for (row, column), count in np.ndenumerate(counts):
            axes.text(column, row, str(count), ha="center", va="center", color="black" if count > 2 else "white")
    return figure


def every_step() -> Figure:
    """The right matrix of a 4x4 input, and the one with two of its rows exchanged."""
    right = _taps(Geometry.conv((4, 4), (3, 3)))
    figure = Figure(figsize=(11, 1.7), layout="constrained")
    colors = matplotlib.colormaps["viridis"]
    for number, rows in enumerate((right, right[[0, 2, 1, 3]])):
        axes = figure.add_subplot(1, 2, number + 1)
        axes.imshow(np.ma.masked_less(rows, 0), cmap=colors, vmin=0, vmax=9.2, interpolation="nearest")
        axes.set_xticks(np.arange(-0.5, 16), [])
        axes.set_yticks(range(4), ["0", "1", "2", "3"] if number == 0 else ["0", "2", "1", "3"])
        axes.tick_params(length=0)
        axes.set_xlabel("C" if number == 0 else "P C")
        for at in (3.5, 7.5, 11.5):
            axes.axvline(at, color="0.75", linewidth=0.6)
        for (row, column), tap in np.ndenumerate(rows):
            if tap >= 0:
                name = f"w{tap // 3}{tap % 3}"
                axes.text(column, row, name, ha="center", va="center", color="white", fontsize=7)
    return figure


def _taps(geometry: Geometry) -> Cells:
    """The number of the tap in each entry of a matrix, -1 for none (one channel, a 3x3 kernel, zero padding)."""
    names = convmat.symbolic_matrix(geometry)
    return np.array([[-1 if name == "0" else int(name[1:], 3) for name in row] for row in names])


def padding() -> Figure:
    """A convolution of 6 cells with 5 taps, padded by 2 in four ways."""
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    for number, mode in enumerate(("zeros", "circular", "reflect", "replicate")):
        axis = Axis.conv(6, kernel=5, padding=2, padding_mode=mode)
        taps = np.full((axis.outputs, axis.inputs), -1)
        for output in range(axis.outputs):
            for tap, cell in reversed(axis.reads(output)):
                taps[output, cell] = tap
        axes = figure.add_subplot(1, 4, number + 1)
        axes.imshow(np.ma.masked_less(taps, 0), cmap="viridis", vmin=0, vmax=5, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        names = convmat.symbolic_matrix(Geometry((axis,)))
        for (row, column), tap in np.ndenumerate(taps):
            if tap >= 0:
                sum_of_taps = names[row][column].replace("w", "")
                size = 9 if len(sum_of_taps) < 4 else 7.5
                axes.text(column, row, sum_of_taps, ha="center", va="center", color="white", fontsize=size)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "slide": slide,
    "region-matrix": region_matrix,
    "kernel-matrix": kernel_matrix,
    "transpose": transpose,
    "spread": spread,
    "upsampling": upsampling,
    "zero-insertion": zero_insertion,
    "checkerboards": checkerboards,
    "every-step": every_step,
    "padding": padding,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "assets" / "generated")
