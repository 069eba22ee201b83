"""Solving over dask arrays on a disk: as in memory, whoever computes, and whatever breaks."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import torch

import convmat
from convmat import ConvOperator, GeometryError, richardson_lucy
from convmat.operators.volumes import cutting, disk, job
from tests.layers import PADDING_MODES

PSF = torch.tensor([1.0, 2, 4, 2, 1])[:, None, None] * torch.tensor([1.0, 3, 1])[:, None] * torch.tensor([1.0, 2, 3, 1])


@pytest.fixture(autouse=True)
def blocks(monkeypatch):
    """Small volumes in many blocks: else a few cells would be one. Several threads would wait for one another most."""
    monkeypatch.setattr(cutting, "_OVERHEAD", 0)
    monkeypatch.setattr(cutting, "_CHUNK", 1000)
    with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*did not converge", category=RuntimeWarning)
        yield


def counts(*sizes, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full(sizes, 20.0, dtype=dtype), generator=generator) + 1


THREADS = {"scheduler": "threads", "num_workers": 2}


def lazy(y, *chunks):
    return da.from_array(y.numpy(), chunks=chunks or 7)


def near(found, expected, tolerance=1e-11):
    found = torch.from_numpy(found.compute())
    assert found.dtype == expected.dtype
    assert float((found - expected).abs().max()) <= tolerance * float(expected.abs().max())


def blocks_of(store, side="scene"):
    marker = json.loads((store / "convmat.json").read_text())
    return cutting.Cut(**{name: tuple(value) for name, value in marker["blocks"][side].items()}).count


# -- as in memory ------------------------------------------------------------------------------------------------------


def test_richardson_lucy(tmp_path):
    y = counts(20, 15, 17)
    told = []
    found = richardson_lucy(
        PSF.double(),
        lazy(y, 6, 15, 5),
        6,
        callback=lambda i, x: told.append((i, x.compute())),
        store=tmp_path / "x.zarr",
        memory="500KiB",
    )
    assert blocks_of(tmp_path / "x.zarr") >= 8
    expected = richardson_lucy(PSF.double(), y, 6)
    near(found.x, expected.x)
    assert found.residual.item() == pytest.approx(expected.residual.item(), rel=1e-9)
    assert (found.iterations, found.reason, found.converged) == (6, expected.reason, True)
    op = convmat.blur_operator(PSF.double(), y.shape)
    assert [i for i, _ in told] == [1, 2, 3, 4, 5, 6]
    for _, x in told:
        assert np.isfinite(x).all()
        assert (x >= 0).all()
        assert float((op @ torch.from_numpy(x)[None]).sum()) == pytest.approx(float(y.sum()), rel=1e-10)
    assert sorted(path.name for path in (tmp_path / "x.zarr").iterdir()) == ["convmat.json", "x"]


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("transposed", [False, True])
def test_richardson_lucy_of_any_operator(tmp_path, mode, transposed):
    weight = torch.rand(4, 1 if transposed else 2, 3, 2, dtype=torch.float64)
    options = {"stride": (2, 1), "padding": ((2, 1), (0, 1)), "groups": 2, "dilation": (1, 2), "padding_mode": mode}
    op = (ConvOperator.transposed if transposed else ConvOperator)(weight, (19, 18), **options)
    y = counts(*op.out_shape)
    found = richardson_lucy(op, lazy(y), 4, store=tmp_path / "x", memory="20KiB")
    assert blocks_of(tmp_path / "x") > 2
    near(found.x, richardson_lucy(op, y, 4).x)


def test_of_products_and_sums(tmp_path):
    blur = convmat.blur_operator(torch.rand(3, 4, dtype=torch.float64), (20, 21))
    bin2 = ConvOperator(torch.ones(1, 1, 2, 2, dtype=torch.float64), (20, 21), stride=2)
    op = bin2 @ blur + 0.5 * (bin2 @ blur)
    y = counts(*op.out_shape)
    near(richardson_lucy(op, lazy(y), 4, store=tmp_path / "x", memory="64KiB").x, richardson_lucy(op, y, 4).x)


@pytest.mark.parametrize("stop", [0.02, "discrepancy"])
def test_stopping_rules(tmp_path, stop):
    y = counts(20, 18)
    psf = PSF[:, 0].double()
    expected = richardson_lucy(psf, y, 60, stop)
    found = richardson_lucy(psf, lazy(y), 60, stop, store=tmp_path / "x", memory="40KiB")
    assert (found.iterations, found.reason) == (expected.iterations, expected.reason)
    near(found.x, expected.x)


@pytest.mark.parametrize("method", ["lsmr", "cg"])
@pytest.mark.parametrize(
    ("damp", "dtype"), [(0.0, torch.float64), (0.3, torch.float32), (0.3, torch.complex128)], ids=str
)
def test_least_squares(tmp_path, method, damp, dtype):
    weight = torch.randn(2, 2, 3, 4, dtype=dtype)
    op = ConvOperator(weight, (22, 19), padding=(1, 2), stride=(1, 2))
    y = torch.randn(op.out_shape, dtype=dtype)
    found = op.solve(lazy(y), method, damp, maxiter=7, store=tmp_path / "x", memory=30 * 1024 * dtype.itemsize // 4)
    expected = op.solve(y, method, damp, maxiter=7)
    assert blocks_of(tmp_path / "x") >= 2
    near(found.x, expected.x, 1e-5 if dtype == torch.float32 else 1e-11)
    assert found.residual.item() == pytest.approx(expected.residual.item(), rel=1e-5)
    assert (found.iterations, found.reason) == (expected.iterations, expected.reason)


@pytest.mark.parametrize("method", ["lsmr", "cg"])
def test_least_squares_until_it_converges(tmp_path, method):
    op = ConvOperator(torch.tensor([[[1.0, 9.0, 1.0]]], dtype=torch.float64), (40,), padding=1)
    x = torch.randn(1, 40, dtype=torch.float64)
    found = op.solve(lazy(op @ x), method, tol=1e-8, store=tmp_path / "x", memory="8KiB")
    assert found.converged
    near(found.x, x, 1e-6)
    zero = op.solve(lazy(0 * x), method, store=tmp_path / "0", memory="8KiB")
    assert (zero.iterations, float(abs(zero.x).max())) == (0, 0.0)


def test_no_seams(tmp_path):
    """The difference from the result in memory is no larger beside a bound between blocks."""
    y = counts(60, 62, dtype=torch.float32)
    psf = torch.ones(7, 5)
    found = richardson_lucy(psf, lazy(y, 16, 16), 10, store=tmp_path / "x", memory="100KiB").x.compute()
    error = np.abs(found - richardson_lucy(psf, y, 10).x.numpy())[8:-8, 8:-8]
    marker = json.loads((tmp_path / "x" / "convmat.json").read_text())
    block = marker["blocks"]["scene"]["block"][0]
    rows = (np.arange(len(error)) + 8) % block
    beside = (rows < 2) | (rows >= block - 2)
    assert block < 40
    assert error[beside].mean() <= 1.5 * error[~beside].mean() + 1e-7


# -- whoever computes --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    from distributed.utils import get_mp_context

    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        # Forked from one process that has imported all of it; else each worker would, for most of the time.
        get_mp_context().set_forkserver_preload(["distributed", "convmat.operators.volumes"])
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster:
            yield cluster


def bits(found):
    return found.x.compute(scheduler="synchronous").tobytes()


@pytest.mark.parametrize("method", ["lsmr", "rl"])
def test_the_same_bits_whoever_computes(tmp_path, cluster, method):
    """One thread, several, two processes; and one of them killed in the middle of an iteration."""
    from distributed import Client

    y = counts(24, 20, 18, dtype=torch.float32)
    op = convmat.blur_operator(PSF, y.shape)

    def solve(store, watch=None):
        stored = job.Stored(tmp_path / store, "400KiB", watch=watch)
        if method == "rl":
            return convmat.operators.deconvolution.restore_stored(op, lazy(y)[None], 4, None, "poisson", None, stored)
        from convmat.operators.solvers.solving import solve

        return solve(op, lazy(y)[None], "lsmr", 0.1, None, None, 4, None, stored)

    with dask.config.set(scheduler="synchronous"):
        expected = bits(solve("alone"))
    assert blocks_of(tmp_path / "alone") >= 8
    for threads in (1, 3):
        with dask.config.set(scheduler="threads", num_workers=threads):
            assert bits(solve(f"threads{threads}")) == expected
    with Client(cluster) as client:
        killed = []

        def watch(progress):
            if progress.iteration == 2 and progress.part > 0.3 and not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        assert bits(solve("cluster")) == expected
        if method == "rl":
            assert bits(solve("killed", watch)) == expected
            assert killed


def test_lazy_products_on_a_cluster(cluster):
    from distributed import Client

    op = ConvOperator(torch.randn(1, 1, 5, 4), (30, 28), padding=2)
    x = torch.randn(1, 30, 28)
    with Client(cluster):
        near(op @ lazy(x), op @ x, 1e-5)


def test_torch_keeps_its_threads(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with dask.config.set(THREADS):
            richardson_lucy(PSF, lazy(counts(8, 8, 8, dtype=torch.float32)), 1, store=tmp_path / "x")
        assert torch.get_num_threads() == 2
        seen = []
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start(), thread.join()
        assert seen == [2]
    finally:
        torch.set_num_threads(before)


# -- going on after a break --------------------------------------------------------------------------------------------


class Break(Exception):  # noqa: N818
    pass


def breaking(at):
    def watch(progress):
        if progress.iteration + progress.part > at:
            raise Break

    return watch


def run(y, store, method="rl", iterations=5, psf=PSF, damp=0.1, **options):
    options = job.Stored(store, options.pop("memory", "300KiB"), **options)
    if method == "rl":
        return convmat.operators.deconvolution.restore_stored(psf, y, iterations, None, "poisson", None, options)
    from convmat.operators.solvers.solving import solve

    return solve(convmat.blur_operator(psf, y.shape), y[None], method, damp, None, None, iterations, None, options)


@pytest.mark.parametrize(
    ("method", "at"), [("rl", 0.1), ("rl", 3.4), ("rl", 5.9), ("lsmr", 3.4), ("lsmr", 5.9), ("cg", 2.6)]
)
def test_resume_gives_the_same_bits(tmp_path, method, at):
    y = lazy(counts(18, 15, 16, dtype=torch.float32))
    expected = run(y, tmp_path / "whole", method)
    with pytest.raises(Break):
        run(y, tmp_path / "broken", method, watch=breaking(at))
    marker = json.loads((tmp_path / "broken" / "convmat.json").read_text())
    assert marker["iteration"] == (int(at) - 1 if at >= 1 else None)
    first = []
    found = run(y, tmp_path / "broken", method, resume=True, watch=lambda progress: first.append(progress.iteration))
    assert first[0] == max(int(at), 1) - (at < 1)
    assert bits(found) == bits(expected)
    assert float(found.residual) == float(expected.residual)


def test_resume_of_what_has_ended(tmp_path):
    y = lazy(counts(18, 15, 16, dtype=torch.float32))
    store = tmp_path / "x"
    first = run(y, store, iterations=3)
    again = run(y, store, iterations=3, resume=True)
    assert bits(again) == bits(first)
    assert float(again.residual) == float(first.residual)
    more = run(y, store, iterations=5, resume=True)
    assert bits(more) == bits(run(y, tmp_path / "at_once", iterations=5))
    run(y, store, "lsmr", iterations=2, overwrite=True)
    with pytest.raises(GeometryError, match=r"its vectors are gone.*overwrite=True"):
        run(y, store, "lsmr", iterations=4, resume=True)


def test_what_is_there_is_not_overwritten(tmp_path):
    y = lazy(counts(12, 11, 10, dtype=torch.float32))
    store = tmp_path / "x"
    run(y, store, iterations=2)
    with pytest.raises(GeometryError, match=r"exists, iteration 2 is whole: resume=True.*overwrite=True"):
        run(y, store)
    with pytest.raises(GeometryError, match="exclude each other"):
        run(y, store, resume=True, overwrite=True)
    assert int(run(y, store, iterations=1, overwrite=True).iterations) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(GeometryError, match="none that convmat made"):
            run(y, tmp_path / "mine", **options)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_resume_goes_on_with_the_same_only(tmp_path):
    y = counts(12, 11, 10, dtype=torch.float32)
    for method in ("rl", "lsmr"):
        store = tmp_path / method
        with pytest.raises(Break):
            run(lazy(y), store, method, watch=breaking(2.3))
        other = y.clone()
        other[3, 4, 5] += 1
        with pytest.raises(GeometryError, match="other data"):
            run(lazy(other), store, method, resume=True)
        with pytest.raises(GeometryError, match="other data"):
            run(lazy(y.flip(0)), store, method, resume=True)
        with pytest.raises(GeometryError, match="another operator, PSF, method or damping"):
            run(lazy(y), store, method, psf=PSF.flip(2), resume=True)
        with pytest.raises(GeometryError, match="another operator, PSF, method or damping"):
            run(lazy(y), store, "cg", resume=True)
        assert int(run(lazy(y, 3, 11, 2), store, method, resume=True).iterations) == 5
    with pytest.raises(Break):
        run(lazy(y), store, "lsmr", overwrite=True, watch=breaking(2.3))
    with pytest.raises(GeometryError, match="damping"):
        run(lazy(y), store, "lsmr", damp=0.2, resume=True)


def test_killed_while_it_ended(tmp_path):
    y = lazy(counts(12, 11, 10, dtype=torch.float32))
    expected = bits(run(y, tmp_path / "whole", iterations=3))
    with pytest.raises(Break):
        run(y, tmp_path / "x", iterations=3, watch=breaking(4.1))
    os.replace(tmp_path / "x" / "x.odd", tmp_path / "x" / "x")
    assert bits(run(y, tmp_path / "x", iterations=3, resume=True)) == expected


KILLED = """
import sys, dask, torch
from convmat.operators.volumes import cutting
cutting._OVERHEAD, cutting._CHUNK = 0, 1000
sys.path.insert(0, {root!r})
from tests.operators.test_volumes import THREADS, counts, lazy, run
with dask.config.set(THREADS):
    run(lazy(counts(30, 25, 26, dtype=torch.float32)), {store!r}, iterations=400, memory="800KiB")
"""


def test_a_killed_program_loses_one_iteration_at_most(tmp_path):
    root = str(Path(__file__).parents[2])
    store = tmp_path / "x"
    code = KILLED.format(root=root, store=str(store))
    program = subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL)
    try:
        while program.poll() is None:
            try:
                whole = json.loads((store / "convmat.json").read_text())["iteration"]
            except (OSError, ValueError):
                whole = None
            if whole is not None and whole >= 3:
                break
            time.sleep(0.01)
    finally:
        program.kill()
        program.wait()
    whole = json.loads((store / "convmat.json").read_text())["iteration"]
    assert 3 <= whole < 400
    y = lazy(counts(30, 25, 26, dtype=torch.float32))
    first = []
    options = {"iterations": whole + 2, "memory": "800KiB"}
    found = run(y, store, resume=True, watch=lambda progress: first.append(progress.iteration), **options)
    assert first[0] == whole + 1
    assert bits(found) == bits(run(y, tmp_path / "whole", **options))
    assert sorted(path.name for path in store.iterdir()) == ["convmat.json", "x"]
    assert not list((store / "x").glob("*.part"))


# -- the disk and the memory -------------------------------------------------------------------------------------------


def test_a_full_disk_keeps_the_last_whole_iteration(tmp_path, monkeypatch):
    y = lazy(counts(18, 15, 16, dtype=torch.float32))
    expected = bits(run(y, tmp_path / "whole"))
    real, store = os.replace, tmp_path / "x"

    def full(source, target):
        if ".even" in str(target) and "x" in str(target) and "." in os.path.basename(target)[:3]:
            marker = json.loads((store / "convmat.json").read_text())
            if marker["iteration"] == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        real(source, target)

    monkeypatch.setattr(disk.os, "replace", full)
    message = "the disk is full; iteration 3 is kept: free some, then resume"
    with pytest.raises(OSError, match=message) as found, dask.config.set(THREADS):
        run(y, store)
    assert found.value.errno == errno.ENOSPC
    monkeypatch.setattr(disk.os, "replace", real)
    assert bits(run(y, store, resume=True)) == expected


def test_what_does_not_fit_on_the_disk_is_not_begun(tmp_path, monkeypatch):
    y = lazy(counts(12, 11, 10, dtype=torch.float32))
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 9000}))
    with pytest.raises(GeometryError, match=r"takes .* KiB \(y .*, ratio .*, x.even .*, x.odd .*\), but 8.8 KiB are"):
        run(y, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_too_little_memory(tmp_path):
    y = lazy(counts(12, 11, 10, dtype=torch.float32), 12, 11, 10)
    with pytest.raises(GeometryError, match=r"memory=100 B is too little.*smallest blocks.*more memory"):
        run(y, tmp_path / "x", memory=100)
    with pytest.raises(GeometryError, match=r"too little to copy a chunk of y.*smaller chunks"):
        run(y, tmp_path / "x", memory="18KiB")
    for memory in ("much", 0, -1, True, None):
        with pytest.raises(GeometryError, match=r"memory=.* must be a number of bytes"):
            run(y, tmp_path / "y", memory=memory)


def test_more_memory_makes_larger_blocks():
    op = convmat.blur_operator(torch.ones(9, 5, 3), (200, 100, 80))
    sizes = []
    for memory in (2**18, 2**20, 2**23, 2**27):
        blocking = cutting.choose_blocking(op, memory, 2, 1)
        task, kept = cutting._bytes(op, blocking.data, blocking.scene)
        assert task * blocking.at_a_time + kept <= memory
        sizes.append(np.prod(blocking.data.usual))
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("shape", [(1, 7), (2, 10, 9), (1, 30, 21, 26)])
@pytest.mark.parametrize("pieces", [1, 3, 5])
def test_blocks_cover_a_volume_once(shape, pieces):
    cut = cutting.Cut.of(shape, (pieces,) * (len(shape) - 1))
    seen = np.zeros(shape[1:], dtype=int)
    for ranges in cut.blocks():
        seen[tuple(slice(*pair) for pair in ranges)] += 1
        assert all(start % chunk == 0 for (start, _), chunk in zip(ranges, cut.chunks, strict=True))
    assert (seen == 1).all()
    assert len(cut.blocks()) == cut.count


def test_arrays_are_zarrs(tmp_path):
    """What is written by hand is read by zarr, and the other way round."""
    zarr = pytest.importorskip("zarr")
    disk.create(tmp_path, "a", (2, 11, 7), (2, 4, 3), np.dtype("float32"), 1.5)
    tasks = disk.Disk(tmp_path)
    assert (tasks.read("a", [(0, 11), (0, 7)]) == 1.5).all()
    block = torch.rand(1, 2, 5, 4)
    tasks.write("a", [(3, 8), (2, 6)], block)
    whole = np.full((2, 11, 7), 1.5, np.float32)
    whole[:, 3:8, 2:6] = block[0].numpy()
    np.testing.assert_array_equal(zarr.open(str(tmp_path / "a"), mode="r")[:], whole)
    zarr.open(str(tmp_path / "a"), mode="r+")[:, 9:11, 5:7] = 9
    whole[:, 9:11, 5:7] = 9
    np.testing.assert_array_equal(tasks.read("a", [(2, 11), (1, 7)])[0], whole[:, 2:, 1:])


# -- what does not go together -----------------------------------------------------------------------------------------


def test_bad_data(tmp_path):
    y = counts(12, 11, 10, dtype=torch.float32)
    for value, what in ((float("nan"), "NaN or infinite"), (float("inf"), "NaN or infinite"), (-1.0, "negative")):
        wrong = y.clone()
        wrong[8, 3, 9] = value
        with pytest.raises(
            GeometryError, match=rf"{what}.*in chunk \(0, 1, 0, 1\), the first of them at \(0, 8, 3, 9\)"
        ):
            run(lazy(wrong), tmp_path / str(value))
    run(lazy(y - 20), tmp_path / "lsmr", "lsmr", iterations=1)


def test_bad_arguments(tmp_path):
    y = lazy(counts(12, 11, 10, dtype=torch.float32))
    with pytest.raises(GeometryError, match=r"psf 4 x 3 x 12 .*Its axes must be in the order.*permute"):
        run(y, tmp_path / "x", psf=torch.ones(4, 3, 12))
    with pytest.raises(GeometryError, match="store is missing"):
        richardson_lucy(PSF, y)
    with pytest.raises(GeometryError, match="need equally many axes"):
        richardson_lucy(PSF[0], y, store=tmp_path / "x")
    with pytest.raises(GeometryError, match="x0"):
        richardson_lucy(PSF, y, store=tmp_path / "x", x0=torch.ones(16, 13, 13))
    with pytest.raises(GeometryError, match="there is no folder"):
        run(y, tmp_path / "nowhere" / "x")
    op = convmat.blur_operator(PSF, y.shape)
    with pytest.raises(GeometryError, match="a batch is solved item by item"):
        op.solve(y[None, None], store=tmp_path / "x")
    with pytest.raises(GeometryError, match="float64 and the operator float32"):
        op.solve(y[None].astype(float), store=tmp_path / "x")
    with pytest.raises(GeometryError, match="'lsmr' or 'cg'"):
        op.solve(y[None], "fft", store=tmp_path / "x")
    with pytest.raises(GeometryError, match="x0"):
        op.solve(y[None], x0=torch.ones(op.in_shape), store=tmp_path / "x")
    with pytest.raises(GeometryError, match="go with dask arrays"):
        op.solve(torch.ones(op.out_shape), store=tmp_path / "x")
    with pytest.raises(GeometryError, match="zero everywhere"):
        richardson_lucy(ConvOperator(torch.zeros(1, 1, 3), (9,)), lazy(torch.ones(1, 7)), store=tmp_path / "z")
    assert not (tmp_path / "x").exists()


def test_dask_missing(monkeypatch):
    from convmat.operators.extras import needed

    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ModuleNotFoundError, match=r'zarr is missing.*pip install "convmat\[dask\]"'):
        needed("zarr")
