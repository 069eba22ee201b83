"""What the command line says of wrong input, in both languages: one line that says what is wrong and what would do."""

import ast
import copy
import dataclasses
import errno
import os
import pickle
import re
import string
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import convmat
from convmat import Geometry, GeometryError
from convmat.checking.comparing import Comparison
from convmat.cli import main
from convmat.geometry import Sentence
from convmat.geometry.memory import check_fits
from convmat.kernel import computing
from convmat.methods import METHODS
from convmat.terminal import accelerating
from convmat.terminal.chinese_sentences import OF_THE_SYSTEM, SENTENCES
from convmat.terminal.tables import comparison_row
from convmat.terminal.texts import CHINESE, ENGLISH

LAYER = ("--input", "4x4", "--kernel", "3")
SMALL = ("--input", "4x4", "--kernel", "2")
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
    "weight of numbers": (
        ("matrix", *LAYER, "--weight", "1,2,1"),
        "need one as numpy.save writes it, of shape (1, 1, 3, 3)",
    ),
    "weight of another shape": (("matrix", *LAYER, "--weight", "data.npy"), "(8, 9): need (1, 1, 3, 3)\n"),
    "weight of another kernel": (("matrix", *SMALL, "--weight", "half.npy"), "need (1, 1, 2, 2), or --kernel 3x3\n"),
    "flat weight": (("matrix", *LAYER, "--weight", "flat.npy"), "array.reshape(1, 1, 3, 3) would do\n"),
    "weight": (("matrix", *LAYER, "--weight", "text.txt"), "--weight text.txt is no array"),
    "ending": (("matrix", *LAYER, "--out", "C.xyz"), "need an ending out of .npz"),
    "overflow": (("check", "--input", "9999999999x9999999999", "--kernel", "1"), "sizes overflow"),
    "too large": (("matrix", "--input", "99999x99999", "--kernel", "3", "--out", "C.npz"), "89994600081 nonzero"),
    "no photo": (("upsample", "none.png", "--scale", "2", "--out", "o.png"), "none.png: No such file"),
    "no picture": (("upsample", "text.txt", "--scale", "2", "--out", "o.png"), "text.txt is no picture"),
    "cut off": (("upsample", "cut.png", "--scale", "2", "--out", "o.png"), "cut.png"),
    "scale": (("upsample", "photo.png", "--scale", "1", "--out", "o.png"), "must be an integer of at least 2"),
    "no integer": (
        ("upsample", "photo.png", "--scale", "2.5", "--out", "o.png"),
        "--scale '2.5' must be an integer of at least 2",
    ),
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
    "drawing": (("draw", "slide", *LAYER, "--out", "x.bmp"), "need an ending out of .png, .svg, .pdf"),
    "animation": (("draw", "animate", *LAYER, "--out", "x.png"), "need an ending out of .gif"),
    "a folder to draw to": (("draw", "slide", *LAYER, "--out", "none/x.png"), "there is no folder none"),
    "a cell": (("draw", "arithmetic", *LAYER, "--at", "9x9"), "at=(9, 9) is no output cell"),
    "names and numbers": (("draw", "slide", *LAYER, "--names", "--weight", "w.npy"), "exclude each other"),
    "no model to accelerate": (("accelerate", "torch.nn:Conv2d"), "makes no model without arguments"),
    "no such drawing": (("draw", "frobnicate"), "No such command 'frobnicate'"),
    "a folder for the gallery": (("draw", "gallery", "--out", "text.txt"), "text.txt"),
}


VOLUME = ("deconvolve", "data.npy", "psf.npy", "out.npy")
# Each by its way into the library; the sentences themselves are tested elsewhere.
WRONG_TOO = {
    "no argument": ("upsample", "--scale", "2", "--out", "o.png"),
    "nearly a command": ("matrx",),
    "no such option": ("matrix", "--zzz"),
    "nearly an option": ("matrix", "--inptu", "3"),
    "no value": ("matrix", "--input"),
    "a value of a flag": ("matrix", *LAYER, "--transposed=3"),
    "one argument too many": ("matrix", "x", *LAYER),
    "no such picture": ("draw", "slid"),
    "counts": ("matrix", *LAYER, "--stride", "1x1x1"),
    "many counts": ("matrix", *LAYER, "--stride", "x".join("1" * 10)),
    "counts of padding": ("matrix", "--input", "4", "--kernel", "3", "--padding", "1x2"),
    "an axis": ("matrix", *LAYER, "--dilation", "9x1"),
    "negative padding": ("matrix", *LAYER, "--padding", "-1"),
    "no padding": ("matrix", *LAYER, "--padding", "much"),
    "reflect": ("matrix", *LAYER, "--padding", "4", "--padding-mode", "reflect"),
    "circular": ("matrix", *LAYER, "--padding", "5", "--padding-mode", "circular"),
    "large": ("matrix", "--input", "4", "--kernel", "1", "--stride", str(2**64)),
    "very large": ("matrix", "--input", "4", "--kernel", "1", "--stride", str(10**40)),
    "groups of channels": ("matrix", *LAYER, "--groups", "2", "--in-channels", "2"),
    "output size": ("matrix", *LAYER, "--transposed", "--output-size", "99"),
    "no output": ("matrix", *LAYER, "--transposed", "--output-size", "1", "--padding", "9"),
    "output padding": ("matrix", *LAYER, "--transposed", "--output-padding", "5"),
    "output padding and size": ("matrix", *LAYER, "--transposed", "--output-padding", "1", "--padding", "same"),
    "cropped": ("matrix", *LAYER, "--transposed", "--padding", "9"),
    "model or layer": ("norm",),
    "layer over four axes": ("norm", "--input", "2x2x2x2", "--kernel", "1"),
    "no convolution": ("norm", "torch.nn:ReLU"),
    "what a model raises": ("norm", "torch.nn:MSELoss"),
    "no module": ("norm", "nowhere:Model"),
    "no model": ("norm", "nothing"),
    "no model file": ("norm", "nothing.pt"),
    "three axes": ("draw", "slide", "--input", "3x3x3", "--kernel", "2"),
    "axes of an overlap": ("draw", "overlap", "--input", "3x3x3", "--kernel", "2"),
    "transposed": ("draw", "unfold", *LAYER, "--transposed"),
    "view": ("draw", "arithmetic", *LAYER, "--view", "none"),
    "gather": ("draw", "arithmetic", *LAYER, "--transposed", "--padding-mode", "circular", "--view", "gather"),
    "a cell of the input": ("draw", "arithmetic", *LAYER, "--view", "scatter", "--at", "99"),
    "font": ("draw", "slide", *LAYER, "--font-size", "900"),
    "no font": ("draw", "slide", *LAYER, "--font-size", "large"),
    "speed": ("draw", "animate", *LAYER, "--seconds", "900"),
    "steps": ("draw", "animate", "--input", "99x99", "--kernel", "3"),
    "stamps": ("draw", "stamps", "--input", "30x30", "--kernel", "3"),
    "phases": ("draw", "phases", "--input", "3x3", "--kernel", "40", "--stride", "40"),
    "mixed phases": ("draw", "phases", *LAYER, "--padding", "1", "--padding-mode", "circular"),
    "a large picture": ("draw", "arithmetic", "--input", "400x400", "--kernel", "3"),
    "a large weight": ("draw", "slide", "--input", "4000", "--kernel", "4000", "--in-channels", "4000"),
    "a large matrix": ("draw", "sparsity", "--input", "9000x9000", "--kernel", "3"),
    "a large overlap": ("draw", "overlap", "--input", "9000x9000", "--kernel", "3"),
    "half precision": ("matrix", *LAYER, "--weight", "half.npy", "--out", "C.npz"),
    "seconds": ("tune", "--seconds", "inf"),
    "few seconds": ("tune", "--seconds", "0"),
    "psf": ("deblur", "photo.png", "--psf", "square:2"),
    "psf with a text": ("deblur", "photo.png", "--psf", "disk:x"),
    "infinite psf": ("deblur", "photo.png", "--psf", "disk:inf"),
    "large psf": ("deblur", "photo.png", "--psf", "disk:50"),
    "psf of zeros": ("deblur", "photo.png", "--psf", "zeros.npy"),
    "negative psf": ("deblur", "photo.png", "--psf", "negative.npy"),
    "psf in a file": ("deblur", "photo.png", "--psf", "half.npy"),
    "noise": ("deblur", "photo.png", "--noise", "salt:1"),
    "method of deblurring": ("deblur", "photo.png", "--method", "wiener"),
    "damping": ("deblur", "photo.png", "--method", "lsmr", "--damp", "inf"),
    "negative damping": ("deblur", "photo.png", "--damp", "-1"),
    "iterations": ("deblur", "photo.png", "--iterations", "x"),
    "memory of a volume": (*VOLUME, "--memory", "much"),
    "little memory": (*VOLUME, "--memory", "9"),
    "resume or not": (*VOLUME, "--overwrite", "--resume"),
    "method of a volume": (*VOLUME, "--method", "x"),
    "nan in a volume": ("deconvolve", "nan.npy", "psf.npy", "out.npy"),
    "negative volume": ("deconvolve", "negative.npy", "psf.npy", "out.npy"),
    "negative part": ("deconvolve", "negative.npy", "psf.npy", "out.npy", "--crop", "5x6"),
    "nan in a part": ("deconvolve", "nan.npy", "psf.npy", "out.npy", "--crop", "5x6", "--method", "lsmr"),
    "psf larger than the volume": ("deconvolve", "psf.npy", "data.npy", "out.npy"),
    "psf of more axes": ("deconvolve", "line.npy", "psf.npy", "out.npy"),
    "volume that is there": ("deconvolve", "data.npy", "psf.npy", "psf.npy"),
    "no folder for a volume": ("deconvolve", "data.npy", "psf.npy", "none/out.npy"),
    "part": (*VOLUME, "--crop", "99x99"),
    "damping of a volume": (*VOLUME, "--method", "cg", "--damp", "inf"),
}

# What is wrong is that another library says so, in its own words.
PASSED_ON = [
    *(WRONG[name][0] for name in ("no picture", "cut off", "alpha", "no model to accelerate")),
    *(WRONG_TOO[name] for name in ("what a model raises", "no module")),
]


@pytest.fixture
def files(tmp_path):
    """What the commands above read."""
    (tmp_path / "text.txt").write_text("no picture")
    Image.effect_noise((40, 30), 50).convert("RGBA").save(tmp_path / "photo.png")
    whole = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("F", (4, 3)).save(tmp_path / "float.tiff")
    data = np.ones((8, 9), np.float32)
    arrays = {
        "data": data,
        "psf": np.ones((3, 2), np.float32),
        "line": np.ones(9, np.float32),
        "nan": np.where(np.arange(9) == 4, np.nan, data),
        "negative": np.where(np.arange(9) == 4, -1, data),
        "zeros": np.zeros((3, 3), np.float32),
        "half": np.ones((1, 1, 3, 3), np.float16),
        "flat": np.ones(9),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


def read_all(folder: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and ".work" not in str(path)
    }


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_clear_line(arguments, says, run, files):
    before = read_all(files)
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("convmat: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert read_all(files) == before


def is_chinese(line: str) -> bool:
    """Whether the command line has Chinese words for what is wrong, and not only for that something is."""
    return bool(re.search(r"[\u4e00-\u9fff]", line)) and CHINESE("wrong.other", error="") not in line


@pytest.mark.parametrize(
    "arguments", [*(arguments for arguments, _ in WRONG.values()), *WRONG_TOO.values()], ids=[*WRONG, *WRONG_TOO]
)
def test_it_is_said_in_chinese(arguments, run, files):
    before = read_all(files)
    english, chinese = run(*arguments), run(*arguments, "--lang", "zh")
    for done in (english, chinese):
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert is_chinese(chinese.stderr)
    assert not re.search(r"[\u4e00-\u9fff]", english.stderr)
    assert read_all(files) == before
    words = re.findall(r"(?<![\w./'\"=-])[a-z]{3,} [a-z]{3,}(?![\w./'\"=(])", chinese.stderr)
    assert arguments in PASSED_ON or not words  # but for single ones: names of arguments, values, files and functions


def test_that_the_kernel_is_not_there_is_said_in_chinese(run, monkeypatch):
    missing = Sentence("Numba, which our kernel needs, is not installed: pip install numba")
    monkeypatch.setattr(computing, "obstacle", lambda: missing)
    monkeypatch.setattr(computing, "is_worthwhile", lambda: False)
    tune = ("tune", "--out", "tuning.json")
    assert run(*tune).stderr == f"convmat: {missing}\n"
    assert run(*tune, "--lang", "zh").stderr == "convmat: 没有安装我们的内核所需的 Numba：pip install numba\n"
    # Of a model the report has a note on it, in English, where a layer is left to "auto".
    report = dataclasses.replace(convmat.accelerate(torch.nn.Conv2d(2, 2, 3)), note=f"auto\n{missing}")
    monkeypatch.setattr(accelerating, "accelerate", lambda model, **options: report)
    done = run("accelerate", "torch.nn:Identity", "--lang", "zh")
    assert "没有安装我们的内核所需的 Numba：pip install numba" in done.stdout
    assert missing not in done.stdout


def test_a_table_says_in_chinese_why_a_method_refused():
    with pytest.raises(GeometryError) as found:
        check_fits(Sentence("an array of shape {shape}", shape=(9, 8)), 2**41, 2**30, "smaller sizes")
    row = comparison_row(Comparison("dense", refused=found.value.sentence), CHINESE)
    assert row.note == "dense: 形状为 (9, 8) 的数组需要 2.0 TiB 内存，但只剩 1.0 GiB：请改用更小的尺寸"
    refusal = METHODS["fft"].refuses(Geometry.conv((5,), 3), torch.int32)
    assert CHINESE.sentence(refusal) == "torch.int32 的频谱会有舍入误差"


SIZES = st.lists(st.integers(-1, 5), min_size=1, max_size=3).map(lambda sizes: "x".join(map(str, sizes)))
ODD = st.sampled_from(["same", "valid", "1:2", "1:2x0:1", "x", "", "3.5", "1e9", str(2**64), "-", "--"])
OPTIONS = {
    "--input": SIZES,
    "--kernel": SIZES,
    "--stride": SIZES,
    "--padding": SIZES | ODD,
    "--dilation": SIZES | ODD,
    "--groups": st.integers(-1, 3).map(str) | ODD,
    "--in-channels": st.integers(0, 4).map(str) | ODD,
    "--out-channels": st.integers(0, 4).map(str),
    "--padding-mode": st.sampled_from(["zeros", "reflect", "replicate", "circular", "mirror"]),
    "--transposed": st.none(),
    "--output-padding": SIZES,
    "--output-size": SIZES,
    "--names": st.none(),
}


@st.composite
def command_lines(draw) -> list[str]:
    """Options of a layer with values that may be right, some of them left out, and words that belong nowhere."""
    names = ["--input", "--kernel", *draw(st.lists(st.sampled_from(sorted(OPTIONS)), max_size=5))]
    line = ["matrix"]
    for name in names:
        value = draw(OPTIONS[name])
        line += [name] if value is None else [name, value]
    return line + draw(st.lists(st.sampled_from(["x", "--kernal", "--weight", "-k", "--transposed=1"]), max_size=1))


@given(command_lines())
def test_whatever_is_wrong_is_said_in_chinese(arguments):
    said = []
    with (
        patch.object(sys, "argv", ["convmat", "--lang", "zh", *arguments]),
        patch("convmat.cli.entry_point.print", lambda line, file: said.append(line), create=True),
        pytest.raises(SystemExit) as end,
    ):
        main()
    assert end.value.code in (None, 0, 2)
    assert len(said) == (end.value.code == 2)
    assert all(map(is_chinese, said))


# -- the sentences themselves ------------------------------------------------------------------------------------------


def texts_in(node: ast.expr) -> list[str]:
    """The texts that an argument may be; of one that is put together here, none."""
    if isinstance(node, ast.IfExp):
        return texts_in(node.body) + texts_in(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def sentences() -> dict[str, str]:
    """Every template in the code that is filled in, or is a sentence within one; and where it stands."""
    found = {}
    for path in sorted(Path(convmat.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            function = node.func if isinstance(node, ast.Call) else None
            name = getattr(function, "id", "") or ast.unparse(function) if function else ""
            if name in ("Sentence", "as_sentence") or (name == "GeometryError.of"):
                found |= {text: path.name for argument in node.args for text in texts_in(argument)}
    return found


def constants() -> set[str]:
    """Every text in the code of the library."""
    paths = [path for path in Path(convmat.__file__).parent.rglob("*.py") if path.name != "chinese_sentences.py"]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    return {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def placeholders(template: str) -> list[str]:
    return sorted({f"{name}:{spec}" for _, name, spec, _ in string.Formatter().parse(template) if name})


def test_every_sentence_is_there_in_chinese():
    assert {text: where for text, where in sentences().items() if text not in SENTENCES} == {}


def test_no_warning_is_a_mere_text():
    """Each is a sentence, or one made just before: the command line says it in Chinese."""
    for path in sorted(Path(convmat.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].lstrip("_") == "warn":
                warned = getattr(node.args[0], "func", node.args[0])
                assert ast.unparse(warned) in ("Sentence", "told"), f"{path.name}: {ast.unparse(node)}"


def test_no_chinese_sentence_is_left_over():
    of_the_system = {os.strerror(number) for number in errno.errorcode}
    assert set(SENTENCES) - constants() == set(OF_THE_SYSTEM)
    assert sys.platform == "win32" or set(OF_THE_SYSTEM) <= of_the_system


@pytest.mark.parametrize("english", SENTENCES)
def test_both_languages_name_the_same_values(english):
    chinese = SENTENCES[english]
    assert placeholders(chinese) == placeholders(english)
    assert re.search(r"[\u4e00-\u9fff；]", chinese)
    assert not re.search(r"[\u4e00-\u9fff][,:;?!]|[,:;?!][\u4e00-\u9fff]", chinese)


def test_an_error_keeps_what_it_is_made_of():
    with pytest.raises(GeometryError) as found:
        Geometry.conv((4, 5), 3, stride=(1, 0))
    for error in (
        found.value,
        copy.copy(found.value),
        copy.deepcopy(found.value),
        pickle.loads(pickle.dumps(found.value)),
    ):
        assert type(error) is GeometryError
        assert str(error) == "spatial axis 1: stride=0 must be at least 1"
        assert CHINESE.sentence(error.sentence) == "空间轴 1：stride=0 不能小于 1"
        assert ENGLISH.sentence(error.sentence) == str(error)


def test_braces_mean_nothing_in_a_finished_text():
    for error in (GeometryError("{name}"), GeometryError.of("{value}", value="{name}")):
        assert str(error) == error.sentence == "{name}"
        assert CHINESE.sentence(error.sentence) == "{name}"
    assert GeometryError().sentence == ""
