"""Hypothesis strategies for axes and layers. All are constructive: what they draw is valid."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from tests.layers import PADDING_MODES, Layer

# How much of its side each padding mode may take: padding <= m - margin.
_MARGIN = {"reflect": 1, "circular": 0}


class AxisNumbers(NamedTuple):
    """The numbers of one axis: a direct convolution from m to n cells."""

    m: int
    n: int
    kernel: int
    stride: int
    dilation: int
    lo: int
    hi: int
    slack: int
    padding_mode: str

    @property
    def extent(self) -> int:
        return self.dilation * (self.kernel - 1) + 1


@st.composite
def axis_numbers(draw, transposed=None, padding_mode=None, largest=5, even=None) -> AxisNumbers:
    """One axis: by the formula of the direct size, or by that of the transposed one with ``output_padding``."""
    transposed = draw(st.booleans()) if transposed is None else transposed
    mode = draw(st.sampled_from(PADDING_MODES)) if padding_mode is None else padding_mode
    even = draw(st.booleans()) if even is None else even
    kernel = draw(st.integers(1, min(largest, 4)))
    stride = draw(st.integers(1, min(largest, 4)))
    dilation = draw(st.integers(1, 3))
    extent = dilation * (kernel - 1) + 1
    if not transposed:
        lo = draw(st.integers(0, largest))
        hi = lo if even else draw(st.integers(0, largest))
        smallest = max(1, extent - lo - hi, max(lo, hi) + _MARGIN[mode] if mode in _MARGIN else 1)
        m = smallest + draw(st.integers(0, largest))
        n = (m + lo + hi - extent) // stride + 1
        return AxisNumbers(m, n, kernel, stride, dilation, lo, hi, m + lo + hi - (n - 1) * stride - extent, mode)
    n = draw(st.integers(1, largest))
    slack = draw(st.integers(0, max(stride, dilation) - 1))
    full = (n - 1) * stride + extent + slack
    smallest = 1
    if mode in _MARGIN:  # lo + hi = full - m <= 2*(m - margin)
        smallest = max(-(-(full + 2 * _MARGIN[mode]) // 3), 1)
    m = draw(st.integers(min(max(smallest, full - 2 * largest), full), full))
    most = m - _MARGIN[mode] if mode in _MARGIN else full - m
    low, high = max(full - m - most, 0), min(full - m, most)
    lo = (full - m) // 2 if even and (full - m) % 2 == 0 else draw(st.integers(low, high))
    return AxisNumbers(m, n, kernel, stride, dilation, lo, full - m - lo, slack, mode)


@st.composite
def same_axis_numbers(draw, transposed, largest=5) -> tuple[int, int, int, int, int]:
    """Size, kernel, stride, dilation and output size of an axis for ``"same"``, which any padding mode can pad."""
    kernel, stride, dilation = (draw(st.integers(1, most)) for most in (3, 3, 2))
    extent = dilation * (kernel - 1) + 1
    if not transposed:
        return extent + draw(st.integers(0, largest)), kernel, stride, dilation, 0
    size = -(-extent // stride) + 1 + draw(st.integers(0, 2))
    return size, kernel, stride, dilation, draw(st.integers((size - 1) * stride + 1, size * stride))


@st.composite
def layers(draw, transposed=None, padding_mode=None, ndim=None, strings=True) -> Layer:
    """A layer over 1 to 3 axes: any direction, padding mode, groups, stride, dilation, padding and output padding."""
    transposed = draw(st.booleans()) if transposed is None else transposed
    mode = draw(st.sampled_from(PADDING_MODES)) if padding_mode is None else padding_mode
    ndim = draw(st.sampled_from([1, 1, 2, 2, 3])) if ndim is None else ndim
    largest = {1: 6, 2: 4, 3: 2}[ndim]
    groups = draw(st.integers(1, 3 if ndim < 3 else 2))
    channels = tuple(groups * draw(st.integers(1, 2)) for _ in range(2))
    common = {"groups": groups, "channels": channels, "padding_mode": mode, "transposed": transposed}
    if strings and draw(st.integers(0, 4)) == 0:
        axes = [draw(same_axis_numbers(transposed, largest)) for _ in range(ndim)]
        sizes, kernel, stride, dilation, wanted = zip(*axes, strict=True)
        output_size = wanted if transposed and draw(st.booleans()) else None
        return Layer(
            sizes=sizes,
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            padding="same",
            output_size=output_size,
            **common,
        )
    even = draw(st.booleans())
    axes = [draw(axis_numbers(transposed, mode, largest, even)) for _ in range(ndim)]
    padding = tuple((axis.lo, axis.hi) for axis in axes)
    if all(lo == hi for lo, hi in padding):
        padding = tuple(lo for lo, _ in padding)
        if strings and not any(padding):
            padding = "valid"
    return Layer(
        sizes=tuple(axis.n if transposed else axis.m for axis in axes),
        kernel=tuple(axis.kernel for axis in axes),
        stride=tuple(axis.stride for axis in axes),
        dilation=tuple(axis.dilation for axis in axes),
        padding=padding,
        output_padding=tuple(axis.slack for axis in axes) if transposed else 0,
        **common,
    )
