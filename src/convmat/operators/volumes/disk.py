"""Arrays on a disk, in the zarr format, as tasks read and write them.

Chunks are not compressed, so that each is a file of plain numbers (zarr's format 2). Tasks read and write these files
themselves: only the cells that they want, without a lock, and several times as fast as by a general reader.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convmat.geometry import ChunkSlice, GeometryError, regular_chunk_slices
from convmat.geometry.memory import human
from convmat.operators.boxes import Ranges
from convmat.operators.extras import needed

Array = npt.NDArray[Any]
_PART = ".part"  # of a chunk that is being written


class Disk:
    """The arrays in a folder, of shape (channels, *sizes), with all channels in each chunk.

    Attributes:
        read_bytes: how much was read through this object.
        written_bytes: how much was written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read_bytes = self.written_bytes = 0
        self._metadata: dict[str, _Metadata] = {}

    def read(self, name: str, ranges: Ranges) -> Tensor:
        """Cells of an array, of shape (1, channels, *sizes)."""
        metadata = self._metadata_of(name)
        cells = np.empty((metadata.shape[0], *(stop - start for start, stop in ranges)), metadata.dtype)
        for chunk in metadata.chunks_in(ranges):
            here = cells[chunk.outside(ranges)]
            with _Numbers(self.folder / name / chunk.file, metadata) as numbers:
                here[...] = metadata.fill if numbers.array is None else numbers.array[chunk.inside]
        self.read_bytes += cells.nbytes
        return torch.from_numpy(cells)[None]

    def reader(self, name: str) -> Callable[[Ranges], Tensor]:
        """Reads cells of one array."""
        return lambda ranges: self.read(name, ranges)

    def write(self, name: str, ranges: Ranges, cells: Tensor) -> None:
        """Write cells, of shape (1, channels, *sizes). Who writes some cells of a chunk must be alone with it."""
        metadata, array = self._metadata_of(name), cells[0].detach().cpu().numpy()
        for chunk in metadata.chunks_in(ranges):
            path = self.folder / name / chunk.file
            whole = np.empty((metadata.shape[0], *metadata.chunk), metadata.dtype)
            if not chunk.is_whole(metadata):  # what is not written stays as it is
                with _Numbers(path, metadata) as numbers:
                    whole[...] = metadata.fill if numbers.array is None else numbers.array
            whole[chunk.inside] = array[chunk.outside(ranges)]
            beside = f"{path}.{os.getpid()}.{threading.get_ident()}{_PART}"
            try:
                with open(beside, "wb") as file:
                    file.write(whole.data)
                os.replace(beside, path)
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise
        self.written_bytes += array.nbytes

    def _metadata_of(self, name: str) -> _Metadata:
        if name not in self._metadata:
            self._metadata[name] = _Metadata.of(self.folder / name)
        return self._metadata[name]


@dataclass(frozen=True)
class _Metadata:
    """How an array lies on the disk, as its own file says."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...]  # without the channels
    dtype: np.dtype[Any]
    fill: Any

    @classmethod
    def of(cls, path: Path) -> _Metadata:
        said = json.loads((path / ".zarray").read_text(encoding="utf-8"))
        dtype = np.dtype(said["dtype"])
        fill = said["fill_value"]  # of complex numbers, a pair
        fill = complex(*fill) if isinstance(fill, list) else fill
        return cls(tuple(said["shape"]), tuple(said["chunks"][1:]), dtype, dtype.type(fill))

    def chunks_in(self, ranges: Ranges) -> Iterator[_Chunk]:
        """The chunks that hold cells of some ranges."""
        per_axis = (
            regular_chunk_slices(size, chunk, start, stop)
            for size, chunk, (start, stop) in zip(self.shape[1:], self.chunk, ranges, strict=True)
        )
        return map(_Chunk, product(*per_axis))


@dataclass(frozen=True)
class _Chunk:
    """The cells of a chunk that are in some ranges."""

    slices: tuple[ChunkSlice, ...]

    @property
    def file(self) -> str:
        """Its name."""
        return ".".join(["0", *(str(along.chunk) for along in self.slices)])

    @property
    def inside(self) -> tuple[slice, ...]:
        """Where they lie in the chunk."""
        return (slice(None), *(slice(along.start, along.stop) for along in self.slices))

    def outside(self, ranges: Ranges) -> tuple[slice, ...]:
        """Where they lie in the ranges."""
        cells = zip(self.slices, ranges, strict=True)
        return (slice(None), *(slice(along.first - start, along.end - start) for along, (start, _) in cells))

    def is_whole(self, metadata: _Metadata) -> bool:
        """Whether these are all cells that the chunk has."""
        return all(
            along.start == 0 and (along.stop == chunk or along.end == size)
            for along, chunk, size in zip(self.slices, metadata.chunk, metadata.shape[1:], strict=True)
        )


class _Numbers:
    """The numbers of a chunk's file, as long as a ``with`` lasts; ``None`` if there is no file."""

    def __init__(self, path: Path, metadata: _Metadata) -> None:
        self.array: Array | None = None
        self._mapped: mmap.mmap | None = None
        try:
            with path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            return
        self.array = np.frombuffer(self._mapped, metadata.dtype).reshape(metadata.shape[0], *metadata.chunk)

    def __enter__(self) -> _Numbers:
        return self

    def __exit__(self, *error: object) -> None:
        self.array = None
        if self._mapped is not None:
            self._mapped.close()


def create(
    folder: Path, name: str, shape: Sequence[int], chunks: Sequence[int], dtype: np.dtype[Any], fill: float = 0
) -> None:
    """Create an array that holds one number everywhere, and takes no room yet."""
    zarr = needed("zarr")
    kind = {"zarr_format": 2} if int(zarr.__version__.partition(".")[0]) >= 3 else {"zarr_version": 2}
    chunks = tuple(min(chunk, size) for chunk, size in zip(chunks, shape, strict=True))
    zarr.create(
        shape=tuple(shape),
        chunks=chunks,
        dtype=dtype,
        compressor=None,
        fill_value=dtype.type(fill),
        store=str(folder / name),
        overwrite=True,
        **kind,
    )


def check_room(folder: Path, arrays: dict[str, tuple[int, int]]) -> None:
    """Check that arrays fit on the disk, before any of them is written.

    Args:
        folder: where they will be.
        arrays: how many cells each has on the disk, and the bytes of one, by its name.
    """
    sizes = {name: cells * itemsize for name, (cells, itemsize) in arrays.items()}
    free = shutil.disk_usage(folder.resolve().parent).free
    if sum(sizes.values()) > free:
        listed = ", ".join(f"{name} {human(size)}" for name, size in sizes.items())
        raise GeometryError.of(
            "store={folder!r} takes {size} ({listed}), but {free} are free there: use another disk, or free some of it",
            folder=str(folder),
            size=human(sum(sizes.values())),
            listed=listed,
            free=human(free),
        )


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def tidy(array: Path) -> None:
    """Remove what somebody who was killed has left of a chunk."""
    for path in array.glob(f"*{_PART}"):
        path.unlink(missing_ok=True)
