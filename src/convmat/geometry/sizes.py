"""Sizes and padding along one axis, from the arguments of a convolution or a transposed one, and their rules."""

from __future__ import annotations

from typing import Any

from convmat.geometry.errors import GeometryError, unknown
from convmat.geometry.per_axis import an_int, per_axis_padding

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def direct_size(input_size: int, kernel: int, stride: int, padding: Any, dilation: int) -> tuple[int, int, int]:
    """The output size of a convolution, and its padding ``lo`` and ``hi``."""
    check_positive(kernel_size=kernel, stride=stride, dilation=dilation, input_size=input_size)
    extent = dilation * (kernel - 1) + 1
    if _is_same(padding):
        return (input_size + stride - 1) // stride, *_same_padding(input_size, stride, extent)
    lo, hi = _pair(padding)
    padded = input_size + lo + hi
    if extent > padded:
        raise GeometryError.of(
            "kernel_size={kernel} with dilation={dilation} spans {extent} cells, more than the padded input's "
            "{input_size}+{lo}+{hi}={padded}: need dilation*(kernel_size-1)+1 <= input+padding; {missing} more of "
            "padding, or kernel_size <= {largest}, would do",
            kernel=kernel,
            dilation=dilation,
            extent=extent,
            input_size=input_size,
            lo=lo,
            hi=hi,
            padded=padded,
            missing=extent - padded,
            largest=(padded - 1) // dilation + 1,
        )
    return (padded - extent) // stride + 1, lo, hi


def transposed_size(
    input_size: int,
    kernel: int,
    stride: int,
    padding: Any,
    output_padding: int,
    dilation: int,
    output_size: int | None,
) -> tuple[int, int, int]:
    """The output size of a transposed convolution, and its padding ``lo`` and ``hi``."""
    check_positive(kernel_size=kernel, stride=stride, dilation=dilation, input_size=input_size)
    an_int(output_padding, "output_padding")
    if output_size is not None:
        an_int(output_size, "output_size")
    if output_padding and (output_size is not None or _is_same(padding)):
        other = "padding='same'" if _is_same(padding) else f"output_size={output_size}"
        raise GeometryError.of(
            "output_padding={output_padding} cannot go with {other}, which fixes the size: leave output_padding at 0",
            output_padding=output_padding,
            other=other,
        )
    full = (input_size - 1) * stride + dilation * (kernel - 1) + 1
    if _is_same(padding):
        size = input_size * stride if output_size is None else output_size
        _check_reachable(size, (input_size - 1) * stride + 1, input_size * stride)
        return size, *_halves(max(full - size, 0))
    lo, hi = _pair(padding)
    limit = max(stride, dilation)
    if output_size is not None:
        _check_reachable(output_size, full - lo - hi, full - lo - hi + limit - 1)
        return output_size, lo, hi
    if not 0 <= output_padding < limit:
        raise GeometryError.of(
            "output_padding={output_padding} is out of range: need 0 <= output_padding < max(stride={stride}, "
            "dilation={dilation}); {nearest} would do",
            output_padding=output_padding,
            stride=stride,
            dilation=dilation,
            nearest=0 if output_padding < 0 else limit - 1,
        )
    full += output_padding
    if lo + hi >= full:
        raise GeometryError.of(
            "padding {padding} crops away all of the output: need lo + hi < (input-1)*stride + "
            "dilation*(kernel_size-1) + 1 + output_padding = {full}; lo + hi = {most} would leave one cell",
            padding=(lo, hi),
            full=full,
            most=full - 1,
        )
    return full - lo - hi, lo, hi


def check_positive(**values: int) -> None:
    """Check that each value, by name, is an integer of at least 1."""
    for name, value in values.items():
        if an_int(value, name) < 1:
            raise GeometryError.of("{name}={value} must be at least 1", name=name, value=value)


def check_padding(lo: int, hi: int, padding_mode: str, inputs: int) -> None:
    """Check that padding is not negative, of a known mode, and finds what it reads in the axis."""
    check_padding_mode(padding_mode)
    _check_not_negative(lo, hi)
    limit = {"reflect": inputs - 1, "circular": inputs}.get(padding_mode)
    if limit is not None and max(lo, hi) > limit:
        sign = "<" if padding_mode == "reflect" else "<="
        raise GeometryError.of(
            "padding {padding} with padding_mode={padding_mode!r} reads a side of {inputs} cells: need padding {sign} "
            "{inputs}; at most {limit} would do",
            padding=(lo, hi),
            padding_mode=padding_mode,
            inputs=inputs,
            sign=sign,
            limit=limit,
        )


def check_padding_mode(padding_mode: str) -> None:
    """Check that a padding mode is known."""
    if not isinstance(padding_mode, str) or padding_mode not in PADDING_MODES:
        raise unknown("padding_mode", padding_mode, PADDING_MODES)


def _check_reachable(output_size: int, smallest: int, largest: int) -> None:
    smallest = max(smallest, 1)
    if largest < smallest:
        raise GeometryError.of(
            "output_size={output_size} is out of reach: the padding crops away all of the output",
            output_size=output_size,
        )
    if not smallest <= output_size <= largest:
        nearest = min(max(output_size, smallest), largest)
        raise GeometryError.of(
            "output_size={output_size} is out of reach: need {smallest} <= output_size <= {largest}; {nearest} "
            "would do",
            output_size=output_size,
            smallest=smallest,
            largest=largest,
            nearest=nearest,
        )


def _is_same(padding: Any) -> bool:
    return isinstance(padding, str) and padding == "same"


def _pair(padding: Any) -> tuple[int, int]:
    pair: tuple[int, int] = per_axis_padding([padding] if isinstance(padding, tuple) else padding, 1)[0]
    _check_not_negative(*pair)
    return pair


def _check_not_negative(lo: int, hi: int) -> None:
    if min(lo, hi) < 0:
        raise GeometryError.of(
            "padding {padding} must not be negative: need lo >= 0 and hi >= 0; slice to crop", padding=(lo, hi)
        )


def _same_padding(input_size: int, stride: int, extent: int) -> tuple[int, int]:
    """The least padding under which ``ceil(input_size / stride)`` windows fit, split in two as :func:`_halves` does.

    Nothing negative is divided: of symbolic sizes, ONNX would round that the other way.
    """
    reach, rest = extent - 1, (input_size - 1) % stride
    if extent < stride:
        rest = min(rest, reach)
    lo = reach // 2 - (rest + 1 - reach % 2) // 2
    return lo, reach - rest - lo


def _halves(total: int) -> tuple[int, int]:
    """Split padding in two; an odd cell goes to the end."""
    return total // 2, total - total // 2


def kept_range(size: int, lo: int, hi: int) -> tuple[int, int, int, int]:
    """What to do with ``size`` cells to extend them by ``lo`` and ``hi``, either of which may crop.

    Where both do, they must leave something: ``size + lo + hi >= 0``.

    Returns:
        ``(start, length, before, after)``: the range of cells to keep, and the zeros to put before and after it.
    """
    begin, end = -lo, size + hi
    start = min(max(begin, 0), size)
    length = max(min(end, size) - start, 0)
    before = max(min(end, 0) - begin, 0)
    return start, length, before, end - begin - before - length


def middle_start(size: int, inner: int) -> int:
    """Where ``inner`` cells in the middle of ``size`` begin: under the middle taps of an unpadded kernel's windows.

    Of a kernel with an even number of taps, flipped, that is the tap before the middle, as in SciPy's ``mode="same"``.
    """
    return (size - inner + 1) // 2
