"""``convmat deconvolve``: from file to file."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import dask
import numpy as np
import pytest
import torch
from PIL import Image

import convmat
from convmat.cli import main
from convmat.operators.volumes import job

tifffile = pytest.importorskip("tifffile")
zarr = pytest.importorskip("zarr")


@pytest.fixture(autouse=True)
def volume(tmp_path, monkeypatch):
    """Counts in a file of each kind, and a PSF."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    counts = random.poisson(20, (12, 18, 15)).astype(np.uint16)
    counts[5:7, 8:10, 6:9] += 300
    np.save("data.npy", counts)
    tifffile.imwrite("data.tif", counts)
    array = zarr.open("data.zarr", mode="w", shape=counts.shape, chunks=(5, 7, 15), dtype=counts.dtype)
    array[:] = counts
    np.save("psf.npy", np.hanning(7)[1:-1, None, None] * np.hanning(5)[1:-1, None] * np.hanning(5)[1:-1])
    with dask.config.set(scheduler="threads", num_workers=2):
        yield counts


def convmat_deconvolve(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["convmat", "deconvolve", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    return end.value.code or 0, out, err


def restored(counts, iterations):
    psf = torch.from_numpy(np.load("psf.npy")).float()
    y = torch.from_numpy(counts.astype(np.float32))
    return convmat.crop_to_data(convmat.richardson_lucy(psf, y, iterations).x, y.shape).numpy()


@pytest.mark.parametrize("ending", ["npy", "tif", "zarr"])
def test_every_kind_of_file(ending, volume, monkeypatch, capsys):
    other = {"npy": "tif", "tif": "zarr", "zarr": "npy"}[ending]
    code, out, err = convmat_deconvolve(
        monkeypatch, capsys, f"data.{ending}", "psf.npy", f"out.{other}", "--iterations", "3"
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "3 iterations: all 3 iterations done"
    assert out.splitlines()[2] == f"out.{other}: 12 x 18 x 15 voxels"
    read = {"npy": np.load, "tif": tifffile.imread, "zarr": lambda path: zarr.open(path, mode="r")[:]}[other]
    found = read(f"out.{other}")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, restored(volume, 3), rtol=1e-4)
    assert sorted(os.listdir()) == ["data.npy", "data.tif", "data.zarr", f"out.{other}", "psf.npy"]


@pytest.mark.parametrize(
    ("language", "line"), [("en", "4 iterations: maxiter=4 reached"), ("zh", "迭代 4 次：达到上限 4 次")]
)
def test_least_squares_in_both_languages(language, line, monkeypatch, capsys):
    arguments = ["data.npy", "psf.npy", "out.npy", "--method", "lsmr", "--iterations", "4", "--lang", language]
    code, out, err = convmat_deconvolve(monkeypatch, capsys, *arguments)
    assert (code, err) == (0, "")
    assert out.startswith(line)
    assert np.isfinite(np.load("out.npy")).all()


def test_a_preview_shows_a_part_and_goes_no_further_unasked(volume, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    code, out, err = convmat_deconvolve(monkeypatch, capsys, "data.npy", "psf.npy", "out.npy", "--crop", "8x10x9")
    assert (code, err) == (0, "")
    assert re.search(r"out.npy.preview.png: before and after, 8 x 10 x 9 voxels", out)
    assert re.search(r"the whole would take about \d+:\d\d\n.*without --crop", out)
    with Image.open("out.npy.preview.png") as picture:
        assert picture.size == (9 + 4 + 9, 10)
        pixels = np.asarray(picture) / 255
    part = volume[2:10, 4:14, 3:12].max(0).astype(float)
    np.testing.assert_allclose(pixels[:, :9], (part - part.min()) / (part.max() - part.min()), atol=0.01)
    assert not os.path.exists("out.npy")


def test_a_preview_and_then_the_whole(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question: question == "Restore the whole?")
    arguments = ["data.npy", "psf.npy", "out.npy", "--iterations", "2", "--crop", "8x10x9"]
    assert convmat_deconvolve(monkeypatch, capsys, *arguments)[0] == 0
    assert os.path.exists("out.npy")


def test_resume_after_a_break(volume, monkeypatch, capsys):
    def broken(self, iteration, numbers=None):
        commit(self, iteration, numbers)
        if iteration == 3:
            raise KeyboardInterrupt

    commit = job.Job.commit
    arguments = ["data.npy", "psf.npy", "out.npy", "--iterations", "5"]
    monkeypatch.setattr(job.Job, "commit", broken)
    assert convmat_deconvolve(monkeypatch, capsys, *arguments)[0] == 130
    monkeypatch.setattr(job.Job, "commit", commit)
    assert json.loads(Path("out.npy.work/convmat.json").read_text())["iteration"] == 3
    code, _, err = convmat_deconvolve(monkeypatch, capsys, *arguments)
    assert code == 2
    assert "exists, iteration 3 is whole" in err
    assert convmat_deconvolve(monkeypatch, capsys, *arguments, "--resume")[0] == 0
    np.testing.assert_allclose(np.load("out.npy"), restored(volume, 5), rtol=1e-4)
    code, _, err = convmat_deconvolve(monkeypatch, capsys, *arguments)
    assert (code, err) == (2, "convmat: out.npy exists: --overwrite writes it anew\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data.npy", "psf.npy", "out.png"], "out.png: need an ending out of .zarr, .npy, .tif, .tiff"),
        (["none.npy", "psf.npy", "out.npy"], "none.npy: No such file or directory"),
        (["data.npy", "psf.npy", "out.npy", "--method", "magic"], "--method 'magic' is unknown: need one of rl, lsmr"),
        (["data.npy", "psf.npy", "out.npy", "--crop", "8x10"], "--crop 8 x 10 does not go with data of 12 x 18 x 15"),
        (["data.npy", "psf.npy", "out.npy", "--memory", "1KiB"], "memory=1.0 KiB is too little"),
        (["data.npy", "flat.npy", "out.npy"], r"flat.npy has shape (3, 3): need a PSF of 3 axes"),
        (["data.npy", "wrong.npy", "out.npy"], "Its axes must be in the order of the data's; psf.permute(1, 0, 2)"),
        (["data.npy", "psf.npy", "no/out.npy"], "no/out.npy: there is no folder no"),
        (["text.npy", "psf.npy", "out.npy"], "text.npy is no volume of one to three axes of real numbers"),
    ],
)
def test_what_is_wrong(arguments, message, monkeypatch, capsys):
    np.save("flat.npy", np.ones((3, 3)))
    np.save("wrong.npy", np.ones((13, 3, 3)))
    np.save("text.npy", np.array(["a"]))
    code, out, err = convmat_deconvolve(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("convmat: ")
    assert message in err
    assert len(err) < 500
    assert not os.path.exists("out.npy")


def test_without_dask(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dask.array", None)
    code, _, err = convmat_deconvolve(monkeypatch, capsys, "data.npy", "psf.npy", "out.npy")
    assert code == 2
    assert 'is missing, which volumes need: pip install "convmat[dask]"' in err


def test_progress_on_a_terminal():
    """Iteration, rate, bytes, time left and residual, in no more than 80 columns."""
    code = "import sys; sys.argv = ['convmat', *sys.argv[1:]]; from convmat.cli import main; main()"
    arguments = ["deconvolve", "data.npy", "psf.npy", "out.npy", "--iterations", "60"]
    parent, child = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    program = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=child, stdout=subprocess.DEVNULL, env=environment
    )
    os.close(child)
    shown = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    assert program.wait() == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert re.search(r"\d+/60 ━+.* \d+:\d\d left, residual [\d.e+]+\s+[\d.]+ Mvoxel/s, .*iB read, .*iB written", text)
