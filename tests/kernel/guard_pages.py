"""Compute with every tensor of the kernel beside a page of memory that nobody may touch: one byte too far is a crash.

Prints how many layers were computed and which of the results were wrong; before each layer, what is to be computed.
"""

import ctypes
import faulthandler
import json
import mmap
import random
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from convmat.kernel import compiled
from convmat.kernel import schedule as kernel_schedule
from tests.kernel.kernels import (
    ACTIVATIONS,
    CHANNELS,
    DTYPES,
    PLACES,
    SIZES,
    STRIDES,
    Call,
    assert_right,
    computed,
    has_contiguous_output,
    plan_for,
)
from tests.layers import Layer

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
PAGE = mmap.PAGESIZE


class Guarded:
    """Memory between two pages that are closed, at the end of what is open or at its start."""

    def __init__(self, at_end: bool) -> None:
        self.at_end, self.mapped = at_end, []

    def empty(self, count: int, dtype: torch.dtype):
        """A tensor of so many numbers."""
        if not count:
            return torch.empty(0, dtype=dtype)
        pages = -(-count * dtype.itemsize // PAGE)
        size = (pages + 2) * PAGE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        start = LIBC.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
        assert start not in (None, ctypes.c_void_p(-1).value)
        self.mapped.append((start, size))
        assert LIBC.mprotect(start, PAGE, 0) == LIBC.mprotect(start + size - PAGE, PAGE, 0) == 0
        at = start + size - PAGE - count * dtype.itemsize if self.at_end else start + PAGE
        memory = (ctypes.c_char * (count * dtype.itemsize)).from_address(at)
        return torch.frombuffer(memory, dtype=dtype)

    def placed(self, tensor):
        """A copy, with the same steps from number to number."""
        span = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
        flat = self.empty(span, tensor.dtype).copy_(tensor.as_strided((span,), (1,)))
        return flat.as_strided(tensor.shape, tensor.stride())

    @contextmanager
    def instead_of_torchs(self):
        """The kernel's own tensors lie here, too."""

        def output(shape, like, memory_format=torch.contiguous_format):
            plain = torch.empty(shape, dtype=like.dtype, memory_format=memory_format)
            return self.empty(plain.numel(), like.dtype).as_strided(plain.shape, plain.stride())

        def scratch(count):
            return self.empty(count, torch.uint8)

        with patch.object(kernel_schedule, "empty", output), patch.object(kernel_schedule, "scratch", scratch):
            yield

    def close(self) -> None:
        for start, size in self.mapped:
            LIBC.munmap(start, size)


def random_call(source: random.Random) -> Call:
    """A layer small enough, in any place."""
    ndim = source.randint(1, 3)
    outer = ndim - 1
    kernel = (*(source.randint(1, 3) for _ in range(outer)), source.randint(1, 6))
    stride = (*(source.randint(1, 3) for _ in range(outer)), source.choice(STRIDES))
    if source.random() < 0.3:  # then lines may be stored at once
        stride = (1,) * ndim
    dilation = tuple(source.randint(1, 3) for _ in range(ndim))
    sizes = (*(source.randint(1, 5) for _ in range(outer)), source.choice(SIZES))
    padding = []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        full = (size - 1) * s + d * (k - 1) + 1
        lo = source.randrange(min(full, k * d + 2))
        padding.append((lo, source.randrange(min(full - lo, k * d + 2))))
    groups = source.choice([1, 1, 2, 3])
    layer = Layer(
        transposed=True,
        sizes=sizes,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=tuple(padding),
        output_padding=tuple(source.randrange(max(s, d)) for s, d in zip(stride, dilation, strict=True)),
        groups=groups,
        channels=tuple(groups * source.choice(CHANNELS) for _ in range(2)),
    )
    places = source.choice(list(PLACES)), source.choice(["contiguous", "offset"])
    return Call(layer, source.choice([1, 1, 2, 3, 17]), source.choice(DTYPES), *places)


def random_transformed_call(source: random.Random) -> tuple[Call, int, bool]:
    """One that has Winograd's form, and along how many axes."""
    transformed, has_two_taps = source.choice([1, 2]), source.random() < 0.5
    transposed, stride = source.random() < 0.5, (1,) * transformed
    if has_two_taps:
        stride = (source.choice([2, 5, 8]),) if transformed == 1 else (source.choice([2, 3]) if transposed else 2, 2)
    kernel = tuple(2 * s if has_two_taps else 3 for s in stride)
    if transformed == 1 and not has_two_taps:
        kernel = (source.choice([3, 5, 7, 11]),)
    sizes = tuple(source.choice([size for size in SIZES if size > 1]) for _ in kernel)
    layer = Layer(
        transposed=transposed,
        sizes=sizes if transposed else tuple((n - 1) * s + k for n, s, k in zip(sizes, stride, kernel, strict=True)),
        kernel=kernel,
        stride=stride,
        padding=tuple(source.randrange(min(k, (size + k - 1) // 2)) for size, k in zip(sizes, kernel, strict=True)),
        channels=(source.choice([8, 16, 17]), source.choice([8, 9, 24])),
    )
    return Call(layer, source.choice([1, 1, 2, 3]), torch.float32, *["contiguous"] * 2), transformed, False


def random_call_by_channels(source: random.Random) -> tuple[Call, int, bool]:
    """One whose lanes can be output channels."""
    call = random_call(source)
    lanes = compiled.processor(call.dtype, 1).lanes
    channels = source.choice(CHANNELS), lanes * source.choice([1, 2, 3, 5])
    layer = replace(call.layer, channels=tuple(call.layer.groups * count for count in channels))
    return replace(call, layer=layer), 0, True


def compute(
    call: Call,
    transformed: int,
    by_channels: bool,
    by_line: bool,
    threads: int,
    window: int | None,
    whim: int | None,
    at_end: bool,
    non_temporal: bool,
    activation: str | None,
) -> None:
    guarded = Guarded(at_end)
    try:
        operands = [guarded.placed(tensor) for tensor in call.tensors()]
        forms = transformed, by_channels, has_contiguous_output(operands[0]), False, by_line
        plan = plan_for(call.layer, call.batch, call.dtype, threads, window, whim, *forms)
        with guarded.instead_of_torchs(), patch.object(kernel_schedule, "_STREAMED", 0 if non_temporal else 1 << 60):
            output = computed(plan, *operands, threads, activation, guarded.placed)
        assert_right(output, call.layer, *operands, activation)
    finally:
        guarded.close()


CALLS = (lambda source: (random_call(source), 0, False)), random_transformed_call, random_call_by_channels


def main(count: int, seed: int) -> None:
    source, wrong = random.Random(seed), []
    for _ in range(count):
        arguments = (
            *source.choices(CALLS, weights=[5, 2, 2])[0](source),
            source.random() < 0.5,
            source.choice([1, 1, 2, 3]),
            source.choice([None, 1 << 10, 1 << 12]),
            source.choice([None, None, source.randrange(100)]),
            source.random() < 0.7,
            source.random() < 0.5,
            source.choice([None, *ACTIVATIONS]),
        )
        print(arguments, file=sys.stderr, flush=True)
        try:
            compute(*arguments)
        except AssertionError as error:
            wrong.append(f"{arguments}: {error}")
    print(json.dumps({"computed": count, "wrong": wrong}))


if __name__ == "__main__":
    faulthandler.enable()
    torch.set_num_threads(1)
    main(int(sys.argv[1]), int(sys.argv[2]))
