"""Volumes as files: zarr, NumPy's .npy, and TIFF where tifffile is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from convmat.operators.extras import needed
from convmat.terminal.texts import InputError

if TYPE_CHECKING:
    import dask.array as da

ENDINGS = (".zarr", ".npy", ".tif", ".tiff")
_CHUNK = "64MiB"  # of a file that has no chunks of its own


def check_ending(path: Path) -> None:
    """Check that a volume can be of that kind.

    Raises:
        InputError: if its ending is not one that we know.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError("wrong.volume_ending", path=path, endings=", ".join(ENDINGS))


def open_volume(path: Path) -> da.Array:
    """A volume as a lazy array of single or double precision; integers become single precision.

    Raises:
        InputError: if it is no volume of real numbers.
        OSError: if it cannot be read.
    """
    check_ending(path)
    if not path.exists():
        raise FileNotFoundError(2, os.strerror(2), str(path))
    try:
        lazy = _READERS[path.suffix.lower()](path)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("wrong.volume", path=path, error=error) from None
    if lazy.dtype.kind not in "fiu" or not all(lazy.shape):
        raise InputError("wrong.volume", path=path, error=f"{lazy.dtype}, {lazy.shape}")
    return lazy if lazy.dtype in (np.float32, np.float64) else lazy.astype(np.float32)


def read_psf(path: Path, axes: int) -> Tensor:
    """A point-spread function with so many axes, whole; axes of one cell before them are left out.

    Raises:
        InputError: if it has another number of axes.
    """
    array = np.asarray(open_volume(path).compute())
    while array.ndim > axes and array.shape[0] == 1:
        array = array[0]
    if array.ndim != axes:
        raise InputError("wrong.psf_axes", path=path, shape=array.shape, axes=axes)
    return torch.from_numpy(np.ascontiguousarray(array))


def write_volume(volume: da.Array, path: Path) -> None:
    """Write a lazy array, chunk by chunk: wholly, or not at all."""
    beside = path.with_name(f"{path.name}.part")
    _remove(beside)
    target = _WRITERS[path.suffix.lower()](beside, volume)
    needed("dask.array").store(volume, target, lock=True, scheduler="threads")
    if hasattr(target, "flush"):
        target.flush()
    _remove(path)
    os.replace(beside, path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _from_zarr(path: Path) -> da.Array:
    opened = needed("zarr").open(str(path), mode="r")
    if not hasattr(opened, "shape"):  # a group: that of its arrays, if there is one
        (name,) = opened.array_keys()
        opened = opened[name]
    return needed("dask.array").from_zarr(opened)


def _from_npy(path: Path) -> da.Array:
    # Of the file itself, and not of what it holds: tasks elsewhere open it again.
    whole = np.load(path, mmap_mode="r", allow_pickle=False)
    return _in_chunks(whole.shape, whole.dtype, lambda first, end: np.load(path, mmap_mode="r")[first:end])


def _from_tiff(path: Path) -> da.Array:
    tifffile = needed("tifffile", "dask] tifffile[all")
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        shape, dtype, pages = series.shape, series.dtype, len(series.pages)
    if len(shape) == 3 and pages == shape[0]:
        return _in_chunks(shape, dtype, lambda first, end: _pages(path, first, end))
    whole = tifffile.imread(path)
    return _in_chunks(whole.shape, whole.dtype, lambda first, end: whole[first:end])


def _pages(path: Path, first: int, end: int) -> Any:
    return np.atleast_3d(needed("tifffile").imread(path, key=range(first, end))).reshape(end - first, *_page(path))


def _page(path: Path) -> tuple[int, ...]:
    with needed("tifffile").TiffFile(path) as file:
        shape: tuple[int, ...] = file.series[0].shape[1:]
        return shape


def _in_chunks(shape: tuple[int, ...], dtype: np.dtype[Any], load: Callable[[int, int], Any]) -> da.Array:
    """An array of which some planes are loaded at a time."""
    da = needed("dask.array")
    chunks = da.core.normalize_chunks(("auto", *(-1,) * (len(shape) - 1)), shape, limit=_CHUNK, dtype=dtype)

    def planes(block_info: Any = None) -> Any:
        (first, end), *_ = block_info[None]["array-location"]
        return np.asarray(load(first, end))

    return da.map_blocks(planes, chunks=chunks, dtype=dtype, meta=np.empty((0,) * len(shape), dtype))


def _to_zarr(path: Path, volume: da.Array) -> Any:
    zarr = needed("zarr")
    chunks = tuple(min(max(sizes), 128) for sizes in volume.chunks)
    return zarr.open(str(path), mode="w", shape=volume.shape, chunks=chunks, dtype=volume.dtype)


def _to_npy(path: Path, volume: da.Array) -> Any:
    return np.lib.format.open_memmap(path, "w+", volume.dtype, volume.shape)


def _to_tiff(path: Path, volume: da.Array) -> Any:
    tifffile = needed("tifffile", "dask] tifffile[all")
    return tifffile.memmap(path, shape=volume.shape, dtype=volume.dtype, bigtiff=True, photometric="minisblack")


_READERS = {".zarr": _from_zarr, ".npy": _from_npy, ".tif": _from_tiff, ".tiff": _from_tiff}
_WRITERS = {".zarr": _to_zarr, ".npy": _to_npy, ".tif": _to_tiff, ".tiff": _to_tiff}
