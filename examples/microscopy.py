"""Microscopy: a volume is blurred and counted chunk by chunk, and restored on a disk, without seams.

Beads and filaments, blurred by a point-spread function of 31 x 15 x 15 voxels, longer than wide, are counted with
Poisson noise. Beside it stands the usual recipe: every tile by itself, with a halo, through dask's ``map_overlap``.

    pip install "convmat[dask]" scikit-image
    python examples/microscopy.py --size 128 --out pictures

Larger sizes take longer, and no more memory than ``--memory``; the comparisons in memory are left out from 256 on.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import dask
import dask.array as da
import matplotlib as mpl
import numpy as np
import torch

import convmat

mpl.use("Agg")

CHUNK = 32  # voxels: of the files, and of the tiles that are restored by themselves
BACKGROUND, BRIGHT = 2.0, 1500.0  # expected counts
LARGEST_IN_MEMORY = 255
RESOLVED = (5, 3, 3)  # voxels: no more is to be had from such data


def main() -> None:
    """Make the data, restore them, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=48, help="voxels along each axis; default: 48")
    parser.add_argument("--iterations", type=int, default=20, help="default: 20")
    parser.add_argument("--memory", default="256MiB", help="default: 256MiB")
    parser.add_argument("--out", type=Path, help="a folder for the pictures; default: none are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options, Path(folder))


def run(options: argparse.Namespace, folder: Path) -> None:
    """The whole story; ``folder`` is for the volumes."""
    sizes, psf = (options.size,) * 3, make_psf()
    op = convmat.blur_operator(psf, sizes)
    scene = make_scene(op.in_shape[1:])
    image = (op @ scene[None])[0]  # lazy: a task for each chunk
    counts = image.map_blocks(count, dtype=np.float32)
    da.to_zarr(counts, str(folder / "counts.zarr"))
    data = da.from_zarr(str(folder / "counts.zarr"))
    print(f"{' x '.join(map(str, sizes))} voxels, {data.nbytes / 2**20:.1f} MiB, in {data.npartitions} chunks")

    began = time.perf_counter()
    solution = convmat.richardson_lucy(
        psf, data, options.iterations, store=folder / "restored.zarr", memory=options.memory
    )
    seconds = time.perf_counter() - began
    print(f"restored on the disk in {seconds:.1f} s: {solution.reason}, residual {float(solution.residual):.4g}")
    if options.size > LARGEST_IN_MEMORY:
        return
    compare(options, psf, data, scene, solution.x)


def compare(options: argparse.Namespace, psf: torch.Tensor, data: da.Array, scene: da.Array, found: da.Array) -> None:
    """Beside scikit-image, whole and tile by tile, and beside our own solver in memory."""
    from skimage.restoration import richardson_lucy

    sizes, y = data.shape, data.compute()
    truth = inner(scene.compute(), sizes)
    ours, in_memory = (
        inner(x, sizes)
        for x in (found.compute(), convmat.richardson_lucy(psf, torch.from_numpy(y), options.iterations).x.numpy())
    )

    def theirs(tile: np.ndarray) -> np.ndarray:
        return richardson_lucy(tile, psf.numpy(), options.iterations, clip=False, filter_epsilon=1e-6)

    whole = theirs(y)
    halo = tuple(n // 2 for n in psf.shape)  # the radius of the PSF, as recipes have it
    tiles = data.rechunk(max(CHUNK, options.size // 2))
    tiled = tiles.map_overlap(theirs, depth=halo, boundary="reflect", dtype=np.float32).compute()
    mirrored = theirs(np.pad(y, [(n, n) for n in halo], "symmetric"))  # the border that map_overlap makes
    mirrored = mirrored[tuple(slice(n, n + size) for n, size in zip(halo, sizes, strict=True))]

    print("\n                                      error    seams (of the maximum)")
    for name, x, reference in (
        ("convmat, on a disk", ours, in_memory),
        ("scikit-image, tile by tile", tiled, mirrored),
        ("scikit-image, whole", whole, None),
        ("the counts as they are", y - BACKGROUND, None),
    ):
        error = np.linalg.norm(resolved(x - truth)) / np.linalg.norm(resolved(truth))
        seams = "" if reference is None else f"{np.abs(x - reference).max() / reference.max():.1e}"
        print(f"  {name:32}  {error:7.3f}    {seams}")
    print(f"\nerror: |x - truth| / |truth|, of means over {' x '.join(map(str, RESOLVED))} voxels")
    print("seams: the largest difference from the same method on the whole volume")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        draw_projections(truth, y, ours, options.out / "projections.png")
        draw_seams(ours, in_memory, tiled, mirrored, tiles.chunks, options.out / "seams.png")
        print(f"pictures: {options.out}{os.sep}")


# -- the data ----------------------------------------------------------------------------------------------------------


def make_psf() -> torch.Tensor:
    """A beam that widens on both sides of its focus, of shape (31, 15, 15)."""
    z, y, x = np.ogrid[-15:16, -7:8, -7:8]
    width = 1.3 * np.sqrt(1 + (z / 5) ** 2)
    psf = np.exp(-(y**2 + x**2) / (2 * width**2)) / width**2 * np.exp(-((z / 9) ** 2))
    return torch.from_numpy((psf / psf.sum()).astype(np.float32))


def make_scene(sizes: tuple[int, ...]) -> da.Array:
    """Beads and filaments as a lazy array: each chunk draws what lies in it."""
    random = np.random.default_rng(0)
    scale = np.array(sizes)
    beads = random.random((max(int(scale.prod() / 3e3), 20), 3)) * scale
    filaments = []
    for _ in range(max(int(scale.prod() ** (1 / 3) / 6), 6)):
        steps = np.cumsum(random.normal(0, 0.12, (4 * max(sizes), 3)), 0) + random.normal(0, 1, 3)
        way = np.cumsum(0.5 * steps / np.linalg.norm(steps, axis=1, keepdims=True), 0)
        filaments.append(way + random.random(3) * scale)
    points = np.concatenate([beads, *filaments])
    light = np.concatenate([np.full(len(beads), 12.0), np.full(len(points) - len(beads), 1.0)])

    def draw(block_info: dict | None = None) -> np.ndarray:
        ranges = np.array(block_info[None]["array-location"])
        cells = np.full(ranges[:, 1] - ranges[:, 0], BACKGROUND, np.float32)
        there = ((points >= ranges[:, 0]) & (points < ranges[:, 1])).all(1)
        at = tuple((points[there] - ranges[:, 0]).astype(int).T)
        np.add.at(cells, at, BRIGHT * light[there])
        return cells

    chunks = da.core.normalize_chunks((CHUNK,) * 3, sizes)
    return da.map_blocks(draw, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))


def count(image: np.ndarray, block_id: tuple[int, ...] = ()) -> np.ndarray:
    """Counts with Poisson noise; those of a chunk are the same whenever they are made."""
    return np.random.default_rng(block_id).poisson(np.maximum(image, 0)).astype(np.float32)


def inner(x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """The part of a scene under the data, less the background."""
    return convmat.crop_to_data(torch.from_numpy(x), sizes).numpy() - BACKGROUND


def resolved(x: np.ndarray) -> np.ndarray:
    """Means over so many voxels as are told apart."""
    from scipy.ndimage import uniform_filter

    return uniform_filter(x, RESOLVED)


# -- the pictures ------------------------------------------------------------------------------------------------------


def draw_projections(truth: np.ndarray, counts: np.ndarray, restored: np.ndarray, path: Path) -> None:
    """Maximum projections from above and from the side: the truth, the counts, and restored."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(9, 6.2), layout="constrained")
    for column, (title, x) in zip(axes.T, (("truth", truth), ("counts", counts), ("restored", restored)), strict=True):
        for axis, along, names in zip(column, (0, 1), (("y", "x"), ("z", "x")), strict=True):
            flat = np.sqrt(np.maximum(x.max(along), 0))
            axis.imshow(flat, cmap="magma", vmax=np.quantile(flat, 0.999), origin="lower")
            axis.set(xticks=[], yticks=[], ylabel=names[0], xlabel=names[1])
        column[0].set_title(title)
    figure.suptitle("Maximum projections, from above and from the side (square root of the brightness)")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_seams(
    ours: np.ndarray, in_memory: np.ndarray, tiled: np.ndarray, whole: np.ndarray, chunks: tuple, path: Path
) -> None:
    """Where the results of blocks and tiles differ from those of the whole volume."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm

    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    pairs = (("tile by tile, halo = radius of the PSF", tiled, whole), ("convmat, in blocks", ours, in_memory))
    for axis, (title, x, reference) in zip(axes, pairs, strict=True):
        difference = np.abs(x - reference).max(0) / reference.max()
        shown = axis.imshow(np.maximum(difference, 1e-9), norm=LogNorm(1e-8, 1e-1), cmap="magma", origin="lower")
        axis.set(title=f"{title}\nlargest {difference.max():.1e}", xticks=[], yticks=[])
        for cut in np.cumsum(chunks[1])[:-1]:
            axis.axhline(cut - 0.5, color="white", lw=0.5, ls=":")
            axis.axvline(cut - 0.5, color="white", lw=0.5, ls=":")
    figure.colorbar(shown, ax=axes, label="difference from the whole, of its maximum")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    with dask.config.set(scheduler="threads"):
        main()
