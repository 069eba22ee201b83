"""Which inputs an output of pooling or of interpolation reads along one axis, where the weights are fixed.

Each is a small sparse matrix of its own: arrays of the output, the input and a number for each of its entries. What an
input weighs in interpolation is a function of its distance, a profile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from convmat.geometry.table import IntArray

FloatArray: TypeAlias = npt.NDArray[np.float64]
Entries1d: TypeAlias = tuple[IntArray, IntArray, FloatArray]


def _box(distance: FloatArray) -> FloatArray:
    return (distance < 0.5).astype(np.float64)


def _triangle(distance: FloatArray) -> FloatArray:
    return np.maximum(1 - distance, 0)


def _cubic(distance: FloatArray, a: float = -0.75) -> FloatArray:
    """Keys (1981), "Cubic convolution interpolation for digital image processing", eq. 15; a as in PyTorch."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * a * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


# name: (weight at a distance in inputs, distance from which on it is zero)
PROFILES: dict[str, tuple[Callable[[FloatArray], FloatArray], float]] = {
    "nearest": (_box, 0.5),
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
}


def pooling(inputs: int, outputs: int, kernel: int, stride: int, padding: int, count: str) -> Entries1d:
    """The windows of average pooling, and what each of their cells weighs.

    Args:
        inputs, outputs: the two sizes; the last window may overhang the padded input (``ceil_mode``).
        kernel, stride, padding: as in ``AvgPool1d``.
        count: what a window divides by: ``"padded"`` its cells in the padded input, ``"inputs"`` its inputs, ``"one"``
            nothing.

    >>> pooling(3, 2, kernel=2, stride=2, padding=0, count="inputs")
    (array([0, 0, 1]), array([0, 1, 2]), array([0.5, 0.5, 1. ]))
    """
    start = np.arange(outputs, dtype=np.int64) * stride - padding
    first, end = np.maximum(start, 0), np.minimum(start + kernel, inputs)
    cells = {
        "padded": np.minimum(start + kernel, inputs + padding) - start,
        "inputs": end - first,
        "one": np.ones_like(start),
    }[count]
    return _ranges(first, end, 1 / cells)


def adaptive_pooling(inputs: int, outputs: int) -> Entries1d:
    """The windows of adaptive average pooling, which share the inputs out, and the weight of their cells.

    >>> adaptive_pooling(3, 2)
    (array([0, 0, 1, 1]), array([0, 1, 1, 2]), array([0.5, 0.5, 0.5, 0.5]))
    """
    output = np.arange(outputs, dtype=np.int64)
    first, end = output * inputs // outputs, -(-(output + 1) * inputs // outputs)
    return _ranges(first, end, 1 / (end - first))


def interpolation(inputs: int, outputs: int, step: float, aligned: bool, reach: int) -> Entries1d:
    """The inputs within ``reach`` of each output's place among them, and how far they are.

    Args:
        inputs, outputs: the two sizes.
        step: inputs from one output to the next.
        aligned: whether the first cells of both have the same centre (``align_corners``) or the same edge.
        reach: inputs on either side; where there are none, the one at the border stands in (several times, if so).

    >>> interpolation(2, 4, step=0.5, aligned=False, reach=1)[1].reshape(4, 2)
    array([[0, 0],
           [0, 1],
           [0, 1],
           [1, 1]])
    """
    output = np.arange(outputs, dtype=np.int64)
    place = output * step if aligned else (output + 0.5) * step - 0.5
    near = np.floor(place).astype(np.int64)[:, None] + np.arange(1 - reach, 1 + reach)
    distance = np.abs(near - place[:, None])
    return np.repeat(output, 2 * reach), np.clip(near, 0, inputs - 1).reshape(-1), distance.reshape(-1)


def _ranges(first: IntArray, end: IntArray, weight: FloatArray) -> Entries1d:
    """The entries of rows that each hold a range of columns, end excluded, and the same weight in all of it."""
    counts = end - first
    starts = np.cumsum(counts) - counts
    columns = np.arange(counts.sum(), dtype=np.int64) + np.repeat(first - starts, counts)
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts), columns, np.repeat(weight, counts)
