"""The command line as people use it."""

import os
import re
import struct
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
import typer
from PIL import Image
from rich.cells import cell_len

import convmat
from convmat.checking import tuning
from convmat.cli.application import app
from convmat.demo import photograph as demo_photograph
from convmat.draw import guide
from convmat.kernel import computing
from convmat.planning import correcting
from convmat.terminal import english
from convmat.terminal import tuning as terminal_tuning
from convmat.terminal.deblurring import make_psf
from convmat.terminal.picture_files import photograph_path
from convmat.terminal.prose import line_ends
from convmat.terminal.tables import calls_native
from convmat.terminal.texts import CHINESE, ENGLISH


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


SMALL = ("--input", "2x3", "--kernel", "3", "--stride", "2", "--padding", "1", "--output-padding", "1")
DRAWINGS = {
    "frame": SMALL,
    "stamps": (*SMALL, "--transposed"),  # which it is in any case
    "phases": SMALL,
    "zero-insertion": SMALL,
    "slide": ("--input", "3x6", "--kernel", "2x3"),
    "unfold": ("--input", "3x6", "--kernel", "2x3"),
    "sparsity": ("--input", "4x4", "--kernel", "3", "--names"),
    "padding-modes": ("--input", "6", "--kernel", "5", "--padding", "2"),
    "overlap": (*SMALL, "--transposed"),
    "arithmetic": (*SMALL, "--transposed", "--view", "gather", "--at", "1x2"),
}


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.filterwarnings("ignore:no installed font")
def test_draw(name, run, tmp_path):
    done = run("draw", name, *DRAWINGS[name])
    assert (done.returncode, done.stderr) == (0, "")
    width, height = re.fullmatch(rf"{name}\.png: (\d+) x (\d+) pixels\n", done.stdout).groups()
    with Image.open(tmp_path / f"{name}.png") as picture:
        assert np.abs(np.subtract(picture.size, (int(width), int(height)))).max() <= 1
    done = run("draw", name, *DRAWINGS[name], "--lang", "zh", "--font-size", "12", "--out", "x.svg")
    assert done.stderr == ""
    assert done.stdout.startswith("x.svg：")
    assert (tmp_path / "x.svg").stat().st_size > 5000


def test_draw_has_every_figure_of_a_layer(run):
    listed = set(re.findall(r"^│ ([a-z][a-z-]+) ", run("draw").stdout, re.MULTILINE))
    assert listed == {*DRAWINGS, "animate", "gallery"}
    others = {"Animation", "upsampling"}  # no pictures of a layer
    assert {name.replace("_", "-") for name in convmat.draw.__all__} - others == listed


def test_draw_takes_a_weight(run, tmp_path):
    np.save(tmp_path / "w.npy", np.arange(9.0).reshape(1, 1, 3, 3) - 4)
    done = run("draw", "animate", *SMALL, "--transposed", "--weight", "w.npy", "--seconds", "0.2", "--dpi", "50")
    assert re.fullmatch(r"steps\.gif: 6 steps, \d+ x \d+ pixels\n", done.stdout)
    with Image.open(tmp_path / "steps.gif") as picture:
        assert picture.n_frames == 6


def test_draw_gallery(run, tmp_path, monkeypatch):
    few = guide.cases()[:2]
    monkeypatch.setattr(guide, "cases", lambda: few)
    done = run("draw", "gallery", "--stills", "--out", "here")
    assert done.stdout == f"{Path('here') / 'index.html'}: 2 pictures\n"
    assert sorted(path.suffix for path in (tmp_path / "here").iterdir()) == [".html", ".png", ".png"]


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
    assert "as native" not in done.stdout


MODEL = """
from torch import nn
build = lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 4, 2, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3), nn.Dropout())
"""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_accelerate_shows_each_layer_and_the_model(run, tmp_path, language):
    (tmp_path / f"of_{language}.py").write_text(MODEL)
    model = ("accelerate", f"of_{language}:build", "--input", "2x9x12", "--batch", "2")
    done = run(*model, "--freeze", "--fold", "--lang", language, columns=80)
    assert done.returncode == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert [row[:2] for row in rows] in (
        [["0 + 1", "2x2x9x12"], ["2", "2x3x18x24"]],
        [["0", "2x2x9x12"], ["2", "2x3x18x24"]],  # where it gains nothing
    )
    for _, _, method, before, after, _ in rows:
        assert method in ("tiles", "PyTorch")
        assert before.endswith(" ms")
        assert after.endswith(" ms")
    assert {"en": "The model: ", "zh": "整个模型："}[language] in done.stdout
    assert max(map(cell_len, done.stdout.splitlines())) <= 80


def test_accelerate_a_model_without_convolutions(run):
    assert run("accelerate", "torch.nn:Identity").stdout == "The model has no convolution.\n"


def test_without_a_kernel_tiles_is_native_both_ways(monkeypatch):
    layer = convmat.Geometry.conv_transpose((4, 5), (3, 2), stride=2)
    for geometry in (layer, layer.transpose()):
        operands = torch.ones(1, *geometry.in_shape), torch.ones(geometry.weight_shape)
        assert not calls_native(geometry, "tiles", *operands)
        assert not calls_native(geometry, "phases", *operands)
        with monkeypatch.context() as patch:
            patch.setattr(computing, "is_ready", lambda dtype: False)
            assert calls_native(geometry, "tiles", *operands)


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_line_is_wider_than_the_terminal(run, columns, language):
    large = ("--input", "8x8", "--kernel", "3")
    channels = ("--input", "5x5", "--kernel", "3x4", "--in-channels", "2", "--out-channels", "4")
    replicate = ("--input", "6x7", "--kernel", "5", "--padding", "2", "--padding-mode", "replicate")
    for arguments in (
        ("matrix", *large),
        ("matrix", *channels),
        ("matrix", *replicate),
        ("check", "--input", "9x8", "--kernel", "3x2"),
        ("methods",),
        ("--help",),
        *((command, "--help") for command in ("demo", "matrix", "check", "accelerate", "draw", "upsample", "methods")),
        *(("draw", command, "--help") for command in ("frame", "arithmetic", "animate", "gallery")),
    ):
        done = run(*arguments, "--lang", language, columns=columns)
        assert done.returncode == 0
        assert max(map(cell_len, done.stdout.splitlines())) <= columns, arguments


def test_a_matrix_too_wide_for_names_is_printed_in_letters(run):
    lines = run("matrix", "--input", "8x8", "--kernel", "3", columns=80).stdout.splitlines()
    assert lines[3] == "One letter per entry; `| less -S` shows whole words."
    rows = lines[4:40]
    key = dict(re.findall(r"(\w) = (\w+)", "\n".join(lines[40:])))
    assert list(key.items()) == list(zip("abcdefghi", (f"w{i}{j}" for i in range(3) for j in range(3)), strict=True))
    named = [["0" if letter == "." else key[letter] for letter in row] for row in rows]
    assert named == convmat.symbolic_matrix(convmat.Geometry.conv((8, 8), (3, 3)))


def test_a_matrix_too_wide_for_letters_is_printed_in_blocks(run):
    whole = run("matrix", "--input", "8x8", "--kernel", "3", columns=80).stdout.splitlines()[4:40]
    lines = run("matrix", "--input", "8x8", "--kernel", "3", columns=60).stdout.splitlines()
    first, second = (lines.index(f"columns {columns}") for columns in ("0 to 59", "60 to 63"))
    blocks = [lines[at + 1 : at + 37] for at in (first, second)]
    assert ["".join(parts) for parts in zip(*blocks, strict=True)] == whole


def test_a_matrix_of_many_numbers_is_printed_in_blocks_of_whole_numbers(run, tmp_path):
    weight = np.random.default_rng(0).standard_normal((8, 2, 3, 3))
    np.save(tmp_path / "weight.npy", weight)
    layer = ("--input", "4x5", "--kernel", "3", "--in-channels", "2", "--out-channels", "8", "--weight", "weight.npy")
    lines = run("matrix", *layer, columns=80).stdout.splitlines()
    assert lines[3] == "In blocks of columns; `| less -S` shows whole rows."
    rows = [""] * 48
    for at in (number for number, line in enumerate(lines) if line.startswith("columns ")):
        rows = [f"{row} {part}" for row, part in zip(rows, lines[at + 1 : at + 49], strict=True)]
    read = [[0.0 if word == "." else float(word) for word in row.split()] for row in rows]
    expected = convmat.conv_matrix(torch.from_numpy(weight), (4, 5)).numpy()
    np.testing.assert_allclose(read, expected, rtol=1e-3)


def test_a_pipe_gets_whole_rows(run):
    """No terminal, whose width is not known."""
    lines = run("matrix", "--input", "8x8", "--kernel", "3", columns=None).stdout.splitlines()[3:]
    printed = [["0" if word == "." else word for word in line.split()] for line in lines if line]
    assert printed == convmat.symbolic_matrix(convmat.Geometry.conv((8, 8), (3, 3)))


def test_flags_take_no_value_in_the_help(run):
    for command in ("demo", "matrix", "check", "accelerate", "upsample", "methods"):
        assert "bool" not in run(command, "--help").stdout


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
    ],
)
def test_the_language_is_that_of_the_locale(run, monkeypatch, environment, language):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("普通卷积" in run("methods").stdout) == (language == "zh")
    assert "普通卷积" in run("methods", "--lang=zh").stdout
    assert "普通卷积" not in run("--lang", "en", "methods").stdout


def test_errors_of_the_command_line_are_said_in_chinese(run):
    done = run("matrix", "--input", "4xq", "--kernel", "3", "--lang", "zh")
    assert (done.returncode, done.stderr) == (2, "convmat: --input '4xq' 必须是用 x 连接的整数，例如 4x5\n")
    assert "--lang 'fr' is unknown: need one of en, zh" in run("methods", "--lang", "fr").stderr
    assert "requires an argument" in run("methods", "--lang").stderr


def test_no_key_of_a_text_is_left_in_the_help(run):
    keys = "|".join(re.escape(key) for key in english.WORDS if "." in key)
    for command in ("demo", "matrix", "check", "accelerate", "upsample", "methods"):
        for language in ("en", "zh"):
            assert not re.search(rf"(?<![\w.])({keys})(?![\w.])", run(command, "--help", "--lang", language).stdout)


COMMANDS = typer.main.get_command(app).commands
HELPED = [*((name,) for name in COMMANDS), *(("draw", name) for name in COMMANDS["draw"].commands)]


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["english", "chinese"])
@pytest.mark.parametrize("command", HELPED, ids=" ".join)
def test_help_shows_all_of_each_text(run, command, texts, columns):
    """Whatever is broken into lines; the frame and the spaces left out."""

    def bare(text):
        return re.sub(r"[\s│`]", "", text)

    shown = bare(run(*command, "--help", "--lang", texts.language, columns=columns).stdout)
    described = COMMANDS[command[0]] if len(command) == 1 else COMMANDS["draw"].commands[command[1]]
    assert bare(texts(described.help)) in shown
    for option in described.params:
        assert bare(texts(option.help)) in shown
        assert ("--" not in option.opts[0]) or option.opts[0] in shown
        if option.required:
            assert bare(texts(option.help) + texts("help.required")) in shown
        elif option.show_default and isinstance(option.default, str):
            assert bare(texts(option.help) + texts("help.default", value=option.default)) in shown


def test_help_in_chinese_has_no_english_of_typers(run):
    for command in ((), ("draw",), ("norm",), ("upsample",)):
        shown = run(*command, "--help", "--lang", "zh").stdout
        assert not re.search(r"usage|options|arguments|commands|default|required|show this", shown, re.IGNORECASE)


def test_lines_of_help_end_between_words_or_chinese_characters():
    def lines(text, width):
        ends = [0, *line_ends(text, width), len(text)]
        return [text[start:end].rstrip() for start, end in pairwise(ends)]

    assert lines("one two, three", 8) == ["one two,", "three"]
    assert lines("用 convmat 画出（每一步）。", 10) == ["用 convmat", "画出（每一", "步）。"]
    assert lines("padding [default: 0]", 15) == ["padding", "[default: 0]"]
    assert lines("abcdefgh", 3) == ["abc", "def", "gh"]


def test_upsample(run, tmp_path):
    Image.new("RGB", (7, 5), (10, 200, 30)).save(tmp_path / "in.png")
    done = run("upsample", "in.png", "--scale", 3, "--out", "out.png")
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(tmp_path / "out.png") as picture:
        assert (picture.size, picture.mode, picture.getpixel((0, 0))) == ((21, 15), "RGB", (10, 200, 30))


@pytest.mark.parametrize("read", ["png", "tiff"])
@pytest.mark.parametrize("written", ["png", "tiff"])
def test_upsample_keeps_16_bits_of_grey(run, tmp_path, read, written):
    levels = np.random.default_rng(0).integers(0, 65536, (5, 7), np.uint16)
    Image.fromarray(levels).save(tmp_path / f"in.{read}")
    done = run("upsample", f"in.{read}", "--scale", 3, "--kernel", "nearest", "--out", f"out.{written}")
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(tmp_path / f"out.{written}") as picture:
        np.testing.assert_array_equal(np.asarray(picture), levels.repeat(3, 0).repeat(3, 1))


def test_upsample_says_where_16_bits_are_lost(run, tmp_path):
    Image.fromarray(np.full((5, 7), 30_000, np.uint16)).save(tmp_path / "grey.png")
    done = run("upsample", "grey.png", "--scale", 2, "--out", "out.jpg")
    assert done.returncode == 0
    assert done.stderr == "convmat: out.jpg: 16 bits are cut to 8, which is what JPEG holds; .png would keep them\n"
    with Image.open(tmp_path / "out.jpg") as picture:
        assert abs(picture.getpixel((3, 3)) - 30_000 / 257) < 2
    (tmp_path / "colour.png").write_bytes(png_of_16_bit_colours(7, 5))
    done = run("upsample", "colour.png", "--scale", 2, "--out", "out.png")
    assert done.returncode == 0
    assert "colour.png has 16 bits per channel, of which 8 are read" in done.stderr


def png_of_16_bit_colours(width: int, height: int) -> bytes:
    """A picture that Pillow reads and cannot write: the format's own words, one after the other."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + struct.pack(">HHH", 1000, 30_000, 60_000) * width for _ in range(height))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tiff"])
def test_upsample_says_that_frames_are_left_out(run, tmp_path, ending):
    first, *others = (Image.new("RGB", (6, 4), (80 * number, 0, 0)) for number in range(3))
    first.save(tmp_path / f"in.{ending}", save_all=True, append_images=others)
    done = run("upsample", f"in.{ending}", "--scale", 2, "--out", "out.png")
    assert done.returncode == 0
    assert done.stderr == f"convmat: in.{ending} holds 3 pictures; the first alone is upsampled\n"


def test_help_and_version(run, tmp_path):
    for arguments in ([], ["--"], ["draw", "--"], ["--help"], ["matrix", "--help"]):
        assert "Usage: convmat" in run(*arguments).stdout
    assert "Usage: convmat upsample [OPTIONS] PHOTO\n" in run("upsample", "-h").stdout.replace(" " * 20, "")
    assert "用法：convmat norm [选项] [MODEL]" in run("norm", "--help", "--lang", "zh").stdout
    assert run("--version").stdout == f"convmat {convmat.__version__}\n"


def test_an_error_in_a_process_of_its_own(tmp_path):
    command = [sys.executable, "-m", "convmat", "matrix", "--input", "4", "--kernel", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "convmat: kernel_size=0 must be at least 1\n")


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.pictures: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])


@pytest.fixture
def part_of_the_photograph(tmp_path):
    """The demo takes it instead of the whole, which takes seconds by every method."""
    with Image.open(photograph_path()) as whole:
        whole.crop((0, 0, 320, 230)).save(tmp_path / "part.png")
    return tmp_path / "part.png"


DEMO = """
import pathlib
from convmat.cli import main
from convmat.cli.application import app
from convmat.terminal.prose import line_ends
from convmat.demo import photograph
photograph.photograph_path = lambda: pathlib.Path("part.png")
main()
"""


@pytest.mark.usefixtures("part_of_the_photograph")
def test_demo(tmp_path):
    command = [sys.executable, "-c", DEMO, "demo", "--out", "report"]
    environment = {**os.environ, "DISPLAY": "", "MPLBACKEND": "", "COLUMNS": "80"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    check_demo(done.stdout, tmp_path / "report", "en")
    assert "DIFFERENT" not in done.stdout
    assert done.stdout.count("equal to") == 4


def test_demo_in_chinese(run, tmp_path, monkeypatch, part_of_the_photograph):
    monkeypatch.setattr(demo_photograph, "photograph_path", lambda: part_of_the_photograph)
    done = run("demo", "--out", "report", "--lang", "zh", columns=80)
    assert (done.returncode, done.stderr) == (0, "")
    check_demo(done.stdout, tmp_path / "report", "zh")
    assert "不同" not in done.stdout
    assert done.stdout.count("相等") == 4


def check_demo(printed: str, report: Path, language: str) -> None:
    for words in ("1x2x7x8", "2x30x4", "w00 w01 w02", "1x60x56", "report/index.html"):
        assert words in printed
    for method in convmat.available_methods():
        shown = "dense*" if method == "dense" else method
        assert printed.count(f"│ {shown} ") == (0 if method == "auto" else 2)
    lines = printed.splitlines()
    assert max(map(cell_len, lines)) <= 80
    sentences = [line for line in lines if line and line[0] not in "┏┃┡│└╭╰ "]
    assert not [line for line in sentences if cell_len(line) < 6]  # no word left over from the line before
    text = (report / "index.html").read_text(encoding="utf-8")
    assert f'<html lang="{language}">' in text
    page = Page()
    page.feed(text)
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


@pytest.mark.skipif(not computing.is_worthwhile(), reason="needs Numba")
@pytest.mark.parametrize(("language", "says"), [("en", "auto uses it from now on"), ("zh", "auto 从现在起使用它")])
def test_tune(language, says, run, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "PROBES", tuning.PROBES[:2])
    monkeypatch.setattr(terminal_tuning, "PROBES", tuning.PROBES)
    monkeypatch.setenv(correcting.VARIABLE, str(tmp_path / "tuning.json"))
    done = run("tune", "--seconds", 1, "--lang", language)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert "PyTorch" in done.stdout
    assert correcting.read(tmp_path / "tuning.json") == correcting.now()
    assert "CONVMAT_TUNING" in run("tune", "--seconds", 1, "--out", tmp_path / "other.json").stdout
    monkeypatch.undo()
    correcting.read_again()
