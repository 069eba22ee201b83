"""The compiled functions for a number type, and what they suit."""

from __future__ import annotations

import gc
import hashlib
import importlib.metadata
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch

from convmat.geometry import Sentence
from convmat.kernel.caching import compile_or_load, is_kept
from convmat.kernel.notices import described, warn
from convmat.kernel.threads import fork_safe_lock
from convmat.kernel.tiling.processor import Processor

_NAMES = {torch.float32: "float32", torch.float64: "float64"}
_INTERLEAVED = (1, 2, 3, 4, 5, 6, 7, 8)
_lock = fork_safe_lock()  # of Numba too, whose own lock would never open in a child forked while it works


class Kernel(NamedTuple):
    """The compiled functions; each takes the address of a task and a number of threads."""

    pack: Callable[[int, int], None]
    digest: Callable[[int, int], None]
    convolve: Callable[[int, int], None]


def takes(dtype: torch.dtype) -> bool:
    """Whether the kernel knows a type of number."""
    return dtype in _NAMES


def is_installed() -> bool:
    """Whether Numba is there and the kernel has not failed here."""
    return _import_error() is None and not _failed


def is_worthwhile() -> bool:
    """Whether the kernel is there and the processor multiplies and adds in one instruction, as it needs to be fast."""
    return is_installed() and (_is_arm() or bool(_features().get("fma")))


def obstacle() -> str | None:
    """Why the kernel is not there and what mends it, in one line; ``None`` where it is."""
    error = _import_error()
    if error is None:
        if not _failed:
            return None
        return Sentence("our kernel cannot be compiled here ({kind})", kind=type(_failed[0]).__name__)
    if isinstance(error, ModuleNotFoundError) and error.name in ("numba", "llvmlite"):
        return Sentence("Numba, which our kernel needs, is not installed: pip install numba")
    return Sentence(
        "Numba, which our kernel needs, does not load ({kind}): pip install --upgrade numba", kind=type(error).__name__
    )


@cache
def _import_error() -> ImportError | None:
    with _lock:
        try:
            import llvmlite.binding  # noqa: F401

            if not any(is_kept(name, _made_from(dtype)) for dtype, name in _NAMES.items()):
                import numba  # noqa: F401
        except ImportError as error:
            return error
    return None


_failed: list[BaseException] = []


def kernel(dtype: torch.dtype) -> Kernel | None:
    """The kernel for a type of number, compiled or loaded when first asked for; ``None`` where that fails.

    A failure warns once.
    """
    if dtype in _kernels:
        return _kernels[dtype]
    with _lock:
        if dtype not in _kernels:
            _kernels[dtype] = _build_or_warn(dtype)
    return _kernels[dtype]


_kernels: dict[torch.dtype, Kernel | None] = {}


def _build_or_warn(dtype: torch.dtype) -> Kernel | None:
    error: BaseException | None = _import_error()
    if error is None:
        try:
            return _build(dtype)
        except Exception as failure:  # of whatever kind: PyTorch can do without
            error = failure
    _failed.append(error)
    warn(
        Sentence(
            "convmat's kernel cannot be compiled here, PyTorch's own functions are used instead: {reason}",
            reason=described(error),
        )
    )
    return None


def _build(dtype: torch.dtype) -> Kernel:
    from convmat.kernel.machine_code import place
    from convmat.kernel.pages import let_memory_be_kept
    from convmat.kernel.threads import runner

    let_memory_be_kept()
    code = compile_or_load(_NAMES[dtype], _made_from(dtype), partial(_compile, dtype))
    return Kernel(*map(runner, place(code, Kernel._fields)))


def _compile(dtype: torch.dtype) -> bytes:
    from convmat.kernel import program
    from convmat.kernel.machine_code import generate
    from convmat.kernel.stages.pieces import Pieces

    shape = processor(dtype, 1)
    pieces = Pieces(_NAMES[dtype], shape.lanes, shape.widest, _INTERLEAVED)
    with _without_collections():
        return generate(program.translated(pieces, program.functions(pieces)), Kernel._fields)


def _made_from(dtype: torch.dtype) -> str:
    """All that compiled code depends on, beside the type of number."""
    from convmat.kernel import machine_code

    compilers = [importlib.metadata.version(name) for name in ("numba", "llvmlite")]
    return repr((_VERSION, compilers, machine_code.processor(), processor(dtype, 1), _INTERLEAVED))


@contextmanager
def _without_collections() -> Iterator[None]:
    """Let Python collect no garbage: compiling makes so many objects that this would take a seventh of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def version_of(folder: Path) -> str:
    """A digest of all source files in a folder and below, or of the compiled ones where only those are installed."""
    sources = sorted(folder.rglob("*.py")) or sorted(folder.rglob("*.pyc"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


# Of all that is compiled or compiled in, the tiling's constants included.
_VERSION = version_of(Path(__file__).parent)


# -- the processor -----------------------------------------------------------------------------------------------------

# The most vectors of a tile of 1, 2, ... rows, for 32 and for 16 registers: sums, one row of inputs and one weight.
_WIDEST = {32: (8, 8, 6, 6, 4, 4, 3, 3), 16: (6, 4, 3, 3, 2, 2)}


@cache
def processor(dtype: torch.dtype, threads: int) -> Processor:
    """What tilings must know of the processor at hand."""
    vector_bytes, registers = _registers()
    size = dtype.itemsize
    return Processor(vector_bytes // size, _WIDEST[registers], threads, _window_bytes(), size)


@cache
def _registers() -> tuple[int, int]:
    """Bytes of a vector register, and how many there are."""
    if _features().get("avx512f"):
        return 64, 32
    if _features().get("avx2"):
        return 32, 16
    return (16, 32) if _is_arm() else (16, 16)


def _features() -> dict[str, bool]:
    from convmat.kernel import machine_code

    return machine_code.features()


def _is_arm() -> bool:
    return platform.machine() in ("arm64", "aarch64")


@cache
def _window_bytes() -> int:
    """The part of the second-level cache that a window may take, which is usually all a core has to itself."""
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
        cache_bytes = int(size.removesuffix("K")) << 10
    except (OSError, ValueError):
        cache_bytes = 1 << 20
    return min(max(cache_bytes, 256 << 10), 1 << 20) * 5 // 8  # more would be slower, even where there is more
