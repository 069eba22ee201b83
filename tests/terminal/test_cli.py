"""The command line as people use it."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from PIL import Image

import convmat
from convmat.cli import main
from convmat.terminal.deblurring import make_psf
from convmat.terminal.picture_files import photograph_path


@dataclass
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run the command line in this process, in an empty folder."""

    def run(*arguments) -> Done:
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["convmat", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        return Done(exit.value.code or 0, *capsys.readouterr())

    return run


def in_a_process(*arguments, cwd, **environment):
    command = [sys.executable, "-m", "convmat", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment})


def matrix_lines(output: str) -> list[list[str]]:
    return [line.split() for line in output.split("\n\n", 1)[1].strip().splitlines()]


def test_matrix_in_symbols(run, tmp_path):
    done = run("matrix", "--input", "3x4", "--kernel", "2x3")
    assert done.returncode == 0
    assert "4 x 12 matrix with 24 nonzero entries" in done.stdout
    assert matrix_lines(done.stdout)[0] == ["w00", "w01", "w02", ".", "w10", "w11", "w12", ".", ".", ".", ".", "."]


def test_matrix_where_taps_meet(run, tmp_path):
    layer = ("--input", 3, "--kernel", 3, "--padding", "1:2", "--padding-mode", "replicate")
    assert matrix_lines(run("matrix", *layer).stdout)[-1] == [".", ".", "w0+w1+w2"]


def test_matrix_of_a_transposed_convolution_with_a_weight(run, tmp_path):
    weight = np.arange(1.0, 13).reshape(2, 1, 2, 3)
    np.save(tmp_path / "weight.npy", weight)
    layer = ("--input", "2x3", "--kernel", "2x3", "--transposed", "--stride", "2x1", "--output-padding", "1x0")
    channels = ("--in-channels", 2, "--out-channels", 1, "--weight", "weight.npy")
    printed = matrix_lines(run("matrix", *layer, *channels).stdout)
    expected = convmat.conv_transpose_matrix(torch.from_numpy(weight), (2, 3), stride=(2, 1), output_padding=(1, 0))
    read = [[0.0 if word == "." else float(word) for word in row] for row in printed]
    assert read == expected.tolist()


def test_matrix_saved_for_scipy(run, tmp_path):
    done = run("matrix", "--input", "20x30", "--kernel", 3, "--stride", 2, "--out", "C.npz")
    assert done.returncode == 0
    weight = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    saved = scipy.sparse.load_npz(tmp_path / "C.npz")
    np.testing.assert_array_equal(saved.toarray(), convmat.conv_matrix(weight, (20, 30), stride=2).numpy())


def test_matrix_saved_as_a_picture(run, tmp_path):
    assert run("matrix", "--input", "20x30", "--kernel", 3, "--out", "C.png").returncode == 0
    with Image.open(tmp_path / "C.png") as picture:
        assert min(picture.size) > 200


def test_large_matrices_are_not_printed(run, tmp_path):
    done = run("matrix", "--input", "200x300", "--kernel", 3)
    assert done.returncode == 0
    assert "--out FILE.npz" in done.stdout


def test_check_lists_every_method_in_both_directions(run, tmp_path):
    done = run("check", "--input", "9x8", "--kernel", "3x2", "--stride", 2, "--in-channels", 2)
    assert (done.returncode, done.stderr) == (0, "")
    for method in convmat.available_methods():
        assert done.stdout.count(f"│ {method} ") == (0 if method == "auto" else 2)
    errors = [float(line.split("│")[2]) for line in done.stdout.splitlines() if "e-0" in line]
    assert len(errors) == 2 * (len(convmat.available_methods()) - 1)
    assert max(errors) < 1e-5


def test_upsample(run, tmp_path):
    Image.new("RGB", (7, 5), (10, 200, 30)).save(tmp_path / "in.png")
    done = run("upsample", "in.png", "--scale", 3, "--out", "out.png")
    assert done.returncode == 0
    with Image.open(tmp_path / "out.png") as picture:
        assert (picture.size, picture.mode, picture.getpixel((0, 0))) == ((21, 15), "RGB", (10, 200, 30))


def test_help_and_version(run, tmp_path):
    for arguments in ([], ["--help"], ["matrix", "--help"], ["upsample", "-h"]):
        assert "Usage: convmat" in run(*arguments).stdout
    assert in_a_process("--version", cwd=tmp_path).stdout == f"convmat {convmat.__version__}\n"


def test_an_error_in_a_process_of_its_own(tmp_path):
    done = in_a_process("matrix", "--input", "4", "--kernel", "0", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "convmat: kernel_size=0 must be at least 1\n")


LAYER = ("--input", "4x4", "--kernel", "3")
WRONG = {
    "no kernel": (("matrix", "--input", "4x4"), "Missing option '--kernel'"),
    "no such command": (("frobnicate",), "No such command 'frobnicate'"),
    "sizes": (("matrix", "--input", "4xfour", "--kernel", "3"), "--input '4xfour' must be integers joined by x"),
    "padding": (("matrix", *LAYER, "--padding", "1:2:3"), "--padding '1:2:3' must be"),
    "kernel too large": (("check", "--input", "4", "--kernel", "9"), "kernel_size <= 4, would do"),
    "padding mode": (("matrix", *LAYER, "--padding-mode", "mirror"), "need one of 'zeros', 'reflect'"),
    "groups": (("matrix", *LAYER, "--groups", "2"), "in_channels=1 must be a multiple of groups=2"),
    "direct": (("matrix", *LAYER, "--output-padding", "1"), "--transposed only"),
    "no weight": (("matrix", *LAYER, "--weight", "none.npy"), "none.npy: No such file"),
    "weight": (("matrix", *LAYER, "--weight", "text.txt"), "--weight text.txt is no array"),
    "ending": (("matrix", *LAYER, "--out", "C.xyz"), "need an ending out of .npz"),
    "overflow": (("check", "--input", "9999999999x9999999999", "--kernel", "1"), "sizes overflow"),
    "too large": (("matrix", "--input", "99999x99999", "--kernel", "3", "--out", "C.npz"), "89994600081 nonzero"),
    "no photo": (("upsample", "none.png", "--scale", "2", "--out", "o.png"), "none.png: No such file"),
    "no picture": (("upsample", "text.txt", "--scale", "2", "--out", "o.png"), "text.txt is no picture"),
    "cut off": (("upsample", "cut.png", "--scale", "2", "--out", "o.png"), "cut.png"),
    "scale": (("upsample", "photo.png", "--scale", "1", "--out", "o.png"), "scale=1 must be at least 2"),
    "no integer": (("upsample", "photo.png", "--scale", "1.5", "--out", "o.png"), "--scale"),
    "interpolation": (("upsample", "photo.png", "--scale", "2", "--kernel", "x", "--out", "o.png"), "'bicubic'"),
    "method": (("upsample", "photo.png", "--scale", "2", "--method", "x", "--out", "o.png"), "'auto', 'native'"),
    "overwrite": (("upsample", "photo.png", "--scale", "2", "--out", "photo.png"), "is the picture to read"),
    "format": (("upsample", "photo.png", "--scale", "2", "--out", "o.xyz"), "ending '.xyz'; .png would do"),
    "alpha": (("upsample", "photo.png", "--scale", "2", "--out", "o.jpg"), "JPEG cannot hold"),
    "no folder": (("upsample", "photo.png", "--scale", "2", "--out", "none/o.png"), "there is no folder none"),
    "four axes": (("check", "--input", "2x2x2x2", "--kernel", "2"), "at most 3 axes, not 4"),
    "no channels": (("check", *LAYER, "--in-channels", "0"), "--in-channels"),
    "weight in a picture": (("matrix", *LAYER, "--weight", "text.txt", "--out", "C.png"), "goes with numbers"),
    "memory": (("check", "--input", "20000x20000", "--kernel", "3", "--batch", "99999"), "not enough memory"),
    "32 bits": (("upsample", "float.tiff", "--scale", "2", "--out", "o.png"), "32 bits without a known white"),
    "report": (("demo", "--out", "text.txt"), "text.txt"),
}


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_clear_line(arguments, says, run, tmp_path):
    (tmp_path / "text.txt").write_text("no picture")
    Image.effect_noise((40, 30), 50).convert("RGBA").save(tmp_path / "photo.png")
    whole = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("F", (4, 3)).save(tmp_path / "float.tiff")
    before = sorted(tmp_path.iterdir())
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("convmat: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "photo.png").read_bytes() == whole


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.pictures: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])


def test_demo(tmp_path):
    done = in_a_process("demo", "--out", "report", cwd=tmp_path, DISPLAY="", MPLBACKEND="")
    assert (done.returncode, done.stderr) == (0, "")
    assert "DIFFERENT" not in done.stdout
    assert done.stdout.count("equal to") == 5
    for words in ("1x2x7x8", "2x30x4", "w00 w01 w02", "1x60x56"):
        assert words in done.stdout
    for method in convmat.available_methods():
        shown = "dense*" if method == "dense" else method
        assert done.stdout.count(f"│ {shown} ") == (0 if method == "auto" else 2)
    report = Path(tmp_path / "report")
    assert "report/index.html" in done.stdout
    page = Page()
    page.feed((report / "index.html").read_text(encoding="utf-8"))
    assert len(page.pictures) == 9
    for name in page.pictures:
        with Image.open(report / name) as picture:
            assert min(picture.size) >= 80
    with Image.open(report / "photograph.png") as photo, Image.open(report / "upsampled.png") as upsampled:
        assert upsampled.size == (2 * photo.width, 2 * photo.height)


def psnrs(printed: str) -> tuple[float, float]:
    before, after = re.search(r"PSNR ([\d.]+) dB blurred, ([\d.]+) dB restored", printed).groups()
    return float(before), float(after)


@pytest.mark.parametrize("method", ["rl", "lsmr"])
@pytest.mark.parametrize("noise", ["poisson:500", "gaussian:0.02"])
def test_deblur(method, noise, run, tmp_path):
    photograph = Image.open(photograph_path())
    photograph.crop((180, 60, 340, 180)).save(tmp_path / "photo.png")
    done = run("deblur", "photo.png", "--psf", "motion:7:30", "--noise", noise, "--method", method, "--out", "all.png")
    assert (done.returncode, done.stderr) == (0, "")
    before, after = psnrs(done.stdout)
    assert after > before + 0.5
    with Image.open(tmp_path / "all.png") as picture:
        width, height = re.search(r"each (\d+) x (\d+) pixels", done.stdout).groups()
        assert picture.size == (3 * int(width) + 2 * 4, int(height))


def test_deblur_with_a_psf_of_ones_own(run, tmp_path):
    np.save(tmp_path / "psf.npy", np.outer([1, 2, 1], [1, 2, 3, 2, 1]))
    Image.open(photograph_path()).convert("L").crop((200, 60, 300, 150)).save(tmp_path / "grey.png")
    done = run("deblur", "grey.png", "--psf", "psf.npy", "--noise", "none", "--iterations", "20")
    before, after = psnrs(done.stdout)
    assert after > before + 1
    assert "20 iterations: all 20 iterations done" in done.stdout
    assert "deblurred.png: photo, blurred, restored, each 96 x 88 pixels" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--psf", "square:2"], "--psf 'square:2' is unknown: need gaussian:SIGMA"),
        (["--psf", "gaussian:x"], "--psf 'gaussian:x' must be a name and numbers"),
        (["--psf", "gaussian:inf"], "--psf 'gaussian:inf' must have finite numbers"),
        (["--noise", "salt:1"], "--noise 'salt:1' is unknown: need poisson:PEAK"),
        (["--method", "wiener"], "--method 'wiener' is unknown: need rl or lsmr"),
        (["--out", "x.unknown"], "no picture format is known"),
        (["missing.png"], "missing.png: No such file"),
        (["--psf", "missing.npy"], "missing.npy: No such file"),
    ],
)
def test_deblur_says_what_is_wrong(arguments, says, run, tmp_path):
    done = run("deblur", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("psf", ["gaussian:0.7", "gaussian:2", "disk:3.5", "motion:1", "motion:9:45", "motion:15:90"])
def test_psfs_are_normalised_odd_and_centred(psf):
    found = make_psf(psf)
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    assert found.min() >= 0
    assert all(size % 2 for size in found.shape)
    torch.testing.assert_close(found, found.flip(0, 1), atol=1e-3, rtol=0)  # each of these is its own mirror image
