"""Arrays on a disk, in the zarr format, as tasks read and write them."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convmat.geometry import GeometryError
from convmat.geometry.memory import human
from convmat.operators.boxes import Ranges
from convmat.operators.extras import needed


class Disk:
    """The arrays in a folder, of shape (channels, *sizes), opened when they are first asked for.

    Attributes:
        read_bytes: how much was read through this object.
        written_bytes: how much was written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read_bytes = self.written_bytes = 0
        self._arrays: dict[str, Any] = {}

    def read(self, name: str, ranges: Ranges) -> Tensor:
        """Cells of an array, of shape (1, channels, *sizes)."""
        cells = np.asarray(self._array(name)[_index(ranges)])
        self.read_bytes += cells.nbytes
        return torch.from_numpy(cells)[None]

    def reader(self, name: str) -> Callable[[Ranges], Tensor]:
        """Reads cells of one array."""
        return lambda ranges: self.read(name, ranges)

    def write(self, name: str, ranges: Ranges, cells: Tensor) -> None:
        """Write a block of shape (1, channels, *sizes)."""
        block = cells[0].detach().cpu().contiguous().numpy()
        self._array(name)[_index(ranges)] = block
        self.written_bytes += block.nbytes

    def write_region(self, name: str, region: Ranges, cells: Tensor) -> None:
        """Write cells of an array, its channels among the ranges; one at a time, for regions may share chunks."""
        self._array(name)[tuple(slice(start, stop) for start, stop in region)] = cells.numpy()
        self.written_bytes += cells.numpy().nbytes

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            self._arrays[name] = needed("zarr").open(str(self.folder / name), mode="r+")
        return self._arrays[name]


def _index(ranges: Ranges) -> tuple[slice, ...]:
    return (slice(None), *(slice(start, stop) for start, stop in ranges))


def create(
    folder: Path, name: str, shape: Sequence[int], chunks: Sequence[int], dtype: np.dtype[Any], fill: float = 0
) -> None:
    """Create an array that holds one number everywhere, and takes no room yet.

    It is not compressed: noise is not to be compressed, and the time is better spent.
    """
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


def check_room(folder: Path, arrays: dict[str, tuple[Sequence[int], np.dtype[Any]]]) -> None:
    """Check that arrays fit on the disk, before any of them is written.

    Args:
        folder: where they will be.
        arrays: the shape and dtype of each, by its name.
    """
    sizes = {name: prod(shape) * dtype.itemsize for name, (shape, dtype) in arrays.items()}
    free = shutil.disk_usage(folder.resolve().parent).free
    if sum(sizes.values()) > free:
        listed = ", ".join(f"{name} {human(size)}" for name, size in sizes.items())
        raise GeometryError(
            f"store={str(folder)!r} takes {human(sum(sizes.values()))} ({listed}), but {human(free)} are free there: "
            "use another disk, or free some of it"
        )


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
