"""Random geometries for the page, and what it should show: by Python's table, by PyTorch and by NumPy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from random import Random

import numpy as np
import torch
import torch.nn.functional as F

import convmat
from convmat.explorer.states import geometry_state, window
from convmat.geometry import PADDING_MODES, Geometry, GeometryError

NUMPY_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@dataclass
class Case:
    """A geometry with a weight and an input, and what the page should make of them."""

    geometry: Geometry
    weight: torch.Tensor
    input: torch.Tensor

    @property
    def state(self) -> dict:
        return {
            "geometry": geometry_state(self.geometry),
            "weight": self.weight.flatten().tolist(),
            "input": self.input.flatten().tolist(),
        }

    @cached_property
    def direct(self) -> np.ndarray:
        """C, whichever direction the map is."""
        direct = self.geometry.transpose() if self.geometry.transposed else self.geometry
        return convmat.matrices.convolutions.dense(direct, self.weight).numpy()

    @property
    def structure(self) -> np.ndarray:
        """Where C holds a tap, be it zero."""
        return Case(self.geometry, torch.ones_like(self.weight), self.input).direct != 0

    @property
    def output(self) -> np.ndarray:
        matrix = self.direct
        return (matrix.T if self.geometry.transposed else matrix) @ self.input.flatten().numpy()

    @property
    def canvas(self) -> np.ndarray:
        """The first output channel's sum of stamps, uncropped; of a direct map the first channel's padded input."""
        if not self.geometry.transposed:
            mode = NUMPY_MODES[self.geometry.padding_mode]
            return np.pad(self.input[0].numpy(), [(axis.lo, axis.hi) for axis in self.geometry.axes], mode=mode)
        transpose = F.conv_transpose1d if self.geometry.ndim == 1 else F.conv_transpose2d
        groups, stride, dilation = self.geometry.groups, self.geometry.stride, self.geometry.dilation
        full = transpose(self.input[None].double(), self.weight.double(), None, stride, 0, 0, groups, dilation)[0, 0]
        beyond = [
            (0, max(axis.lo + axis.inputs - size, 0)) for axis, size in zip(self.geometry.axes, full.shape, strict=True)
        ]
        return np.pad(full.numpy(), beyond)


def traits(geometry: Geometry) -> set[str]:
    """What is special about a geometry."""
    axes = geometry.axes
    found = {geometry.padding_mode, f"{geometry.ndim}-d", "transposed" if geometry.transposed else "direct"}
    if geometry.transposed:
        found |= {"op >= stride" for axis in axes if axis.slack >= axis.stride}
        found |= {"op > padding" for axis in axes if axis.slack > axis.hi}
    found |= {"gcd > 1" for axis in axes if gcd(axis.stride, axis.dilation) > 1}
    found |= {"lo != hi" for axis in axes if axis.lo != axis.hi}
    found |= {"even kernel" for axis in axes if axis.kernel % 2 == 0}
    found |= {"untouched" for axis in axes if 0 in axis.overlap()}
    if geometry.groups > 1:
        found.add("groups")
    if max(geometry.in_channels, geometry.out_channels) > geometry.groups:
        found.add("channels")
    return found


def random_geometry(random: Random) -> Geometry:
    """A small one of any kind that the page can show whole."""
    while True:
        ndim = random.choice((1, 2, 2))
        most = 9 if ndim == 1 else 5

        def each(low: int, high: int, ndim: int = ndim) -> tuple[int, ...]:
            return tuple(random.randint(low, high) for _ in range(ndim))

        groups = random.choice((1, 1, 1, 2, 3))
        transposed = random.random() < 0.6
        padding = tuple((lo, lo if random.random() < 0.5 else random.randint(0, 3)) for lo in each(0, 3))
        arguments = {
            "dilation": each(1, 3),
            "groups": groups,
            "in_channels": groups * random.choice((1, 1, 2)),
            "out_channels": groups * random.choice((1, 1, 2)),
            "padding_mode": random.choice((*PADDING_MODES, "zeros", "zeros")),
        }
        common = (each(1, most), each(1, 4), each(1, 3), padding)
        try:
            geometry = (
                Geometry.conv_transpose(*common, output_padding=each(0, 2), **arguments)
                if transposed
                else Geometry.conv(*common, **arguments)
            )
        except GeometryError:
            continue
        if window(geometry) == geometry and np.prod(geometry.matrix_shape) <= 6000:
            return geometry


def random_cases(count: int, seed: int = 0, doubles: bool = False) -> list[Case]:
    random, generator = Random(seed), torch.Generator().manual_seed(seed)
    cases = []
    for _ in range(count):
        geometry = random_geometry(random)
        if doubles:
            weight = torch.randn(geometry.weight_shape, generator=generator, dtype=torch.float64)
            input = torch.randn(geometry.in_shape, generator=generator, dtype=torch.float64)
        else:
            weight = torch.randint(-4, 5, geometry.weight_shape, generator=generator)
            input = torch.randint(-9, 10, geometry.in_shape, generator=generator)
        cases.append(Case(geometry, weight, input))
    return cases


def all_traits(cases: list[Case]) -> Counter:
    return Counter(trait for case in cases for trait in traits(case.geometry))
