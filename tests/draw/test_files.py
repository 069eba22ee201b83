"""Notebooks, files, animations and the gallery."""

import base64
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageSequence

from convmat import Geometry, GeometryError, draw
from convmat.draw.guide import case_weight, cases

README_PICTURES = Path(__file__).parent.parent.parent / "docs" / "assets"
SMALL = {"transposed": True, "stride": 2, "padding": 1, "output_padding": 1}
WEIGHT = torch.arange(1, 10).reshape(1, 1, 3, 3)


def frames_of(gif: bytes) -> list[np.ndarray]:
    with Image.open(BytesIO(gif)) as file:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)]


@pytest.fixture(scope="module")
def animation():
    return draw.animate(WEIGHT, (2, 3), **SMALL)


def test_figures_show_themselves_in_a_notebook():
    figure = draw.sparsity(Geometry.conv((4, 4), 3))
    assert isinstance(figure, Figure)
    with Image.open(BytesIO(figure._repr_png_())) as picture:
        assert picture.size == tuple(np.round(figure.get_size_inches() * figure.dpi))


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.filterwarnings("ignore:no installed font")
def test_every_format_can_be_written(ending, start, language, tmp_path):
    path = tmp_path / f"frame.{ending}"
    draw.frame(WEIGHT, (2, 3), lang=language, **SMALL).savefig(path)
    assert path.read_bytes().startswith(start)
    assert path.stat().st_size > 5000


def test_an_animation_has_a_frame_for_each_step_and_ends_with_the_whole(animation, tmp_path):
    animation.save(tmp_path / "steps.gif")
    assert (tmp_path / "steps.gif").read_bytes() == animation.gif
    frames = frames_of(animation.gif)
    assert len(frames) == animation.frames == 6
    assert {frame.shape for frame in frames} == {(*animation.size[::-1], 3)}
    with Image.open(BytesIO(animation.gif)) as file:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(file)]
        assert file.info["loop"] == 0
    assert durations == [700] * 5 + [2100]
    assert frames[0][2, 2].tolist() == [255, 255, 255]
    empty = [(frame == 255).all(-1).sum() for frame in frames]
    assert empty == sorted(empty, reverse=True)  # each step writes on the canvas
    assert len(set(empty)) == len(empty)
    shown = re.fullmatch(r'<img alt="6 steps" src="data:image/gif;base64,(.*)">', animation._repr_html_())
    assert base64.b64decode(shown[1]) == animation.gif
    assert repr(animation).startswith("<Animation of 6 frames, ")


def test_frames_are_the_steps(animation):
    """The last frame of an animation is the last step, pixel by pixel but for the palette."""
    last = frames_of(animation.gif)[-1]
    figure = draw.arithmetic(WEIGHT, (2, 3), at=5, so_far=True, **SMALL)
    figure.savefig(file := BytesIO(), dpi=100)
    with Image.open(file) as picture:
        alone = np.asarray(picture.convert("RGB"))
    height, width = min(len(last), len(alone)), min(last.shape[1], alone.shape[1])
    off = np.abs(last[:height, :width].astype(int) - alone[:height, :width]).max(-1)
    assert np.mean(off > 40) < 0.005


@pytest.mark.parametrize("name", ["transposed.gif", "transposed.zh.gif"])
def test_the_readme_shows_what_its_command_makes(name, animation):
    """As large and as long; its pixels depend on the font and on matplotlib."""
    kept, again = frames_of((README_PICTURES / name).read_bytes()), frames_of(animation.gif)
    assert len(kept) == len(again) == 6
    assert len({frame.shape for frame in kept}) == 1
    assert (README_PICTURES / name).stat().st_size < 80_000
    if kept[0].shape == again[0].shape:  # not of the Chinese one, whose words are shorter
        assert np.mean(np.abs(kept[-1].astype(int) - again[-1])) < 12


# -- the gallery -------------------------------------------------------------------------------------------------------

# Input, kernel, stride, padding, dilation and output of the guide's animations (Dumoulin and Visin, 2016).
GUIDE = {
    "no_padding_no_strides": (4, 3, 1, 0, 1, 2),
    "arbitrary_padding_no_strides": (5, 4, 1, 2, 1, 6),
    "same_padding_no_strides": (5, 3, 1, 1, 1, 5),
    "full_padding_no_strides": (5, 3, 1, 2, 1, 7),
    "no_padding_strides": (5, 3, 2, 0, 1, 2),
    "padding_strides": (5, 3, 2, 1, 1, 3),
    "padding_strides_odd": (6, 3, 2, 1, 1, 3),
    "dilation": (7, 3, 1, 0, 2, 3),
}


def test_the_gallery_has_all_classic_cases():
    classic = {case.name.removesuffix("_scatter").removesuffix("_gather"): case for case in cases() if case.classic}
    assert len(classic) == 15
    for name, (size, kernel, stride, padding, dilation, outputs) in GUIDE.items():
        (axis, other), transposed = classic[name].geometry.axes, classic.pop(f"{name}_transposed", None)
        assert axis == other
        assert (axis.inputs, axis.kernel, axis.stride, axis.lo, axis.hi, axis.dilation, axis.outputs) == (
            *(size, kernel, stride, padding, padding, dilation),
            outputs,
        )
        assert not classic.pop(name).geometry.transposed
        if name != "dilation":
            assert transposed is not None
            assert (transposed.geometry.read, transposed.geometry.written) == ((outputs,) * 2, (size,) * 2)
    assert not classic


def test_the_gallery_has_what_the_guide_lacks():
    others = [case.geometry for case in cases() if not case.classic]
    transposed = [geometry for geometry in others if geometry.transposed]
    assert any(axis.slack > axis.hi for geometry in transposed for axis in geometry.axes)
    assert any(0 < axis.slack <= axis.hi for geometry in transposed for axis in geometry.axes)
    assert any(max(geometry.dilation) > 1 for geometry in transposed)
    assert any(geometry.groups > 1 for geometry in transposed)
    assert any(geometry.kernel_size == geometry.stride for geometry in transposed)
    assert any(len(set(geometry.read)) > 1 and len(set(geometry.kernel_size)) > 1 for geometry in transposed)
    assert any(len(set(geometry.read)) > 1 and not geometry.transposed for geometry in others)
    views = {case.geometry: set() for case in cases()}
    for case in cases():
        views[case.geometry].add(case.view)
        assert case_weight(case.geometry).min() >= 1
    assert all(found == ({"scatter", "gather"} if g.transposed else {"gather"}) for g, found in views.items())


def test_stills_of_the_gallery(tmp_path, monkeypatch):
    few = [case for case in cases() if case.name in ("padding_strides", "grouped_transposed_gather")]
    monkeypatch.setattr("convmat.draw.guide.cases", lambda: few)
    *pictures, index = draw.gallery(tmp_path / "all", stills=True)
    assert [path.name for path in pictures] == ["padding_strides.png", "grouped_transposed_gather.png"]
    html = index.read_text(encoding="utf-8")
    assert re.findall(r'src="([^"]*)"', html) == [path.name for path in pictures]
    described = "convolution: kernel 3×3, stride 2, padding 1"
    assert f'alt="{described}"' in html
    assert f"<figcaption>{described} (padding_strides)</figcaption>" in html  # so in Chinese on a Chinese page
    for path in pictures:
        with Image.open(path) as picture:
            assert min(picture.size) > 200


def test_an_animation_of_the_gallery(tmp_path, monkeypatch):
    few = [case for case in cases() if case.name == "no_padding_no_strides"]
    monkeypatch.setattr("convmat.draw.guide.cases", lambda: few)
    (picture, index) = draw.gallery(tmp_path, lang="en")
    assert len(frames_of(picture.read_bytes())) == 4
    assert index.name == "index.html"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"seconds": 0}, "need 0.02 <= seconds"), ({"dpi": 1e4}, "need 20 <= dpi"), ({"view": "all"}, "need one of")],
)
def test_what_is_wrong_with_an_animation(wrong, says):
    with pytest.raises(GeometryError, match=says):
        draw.animate(WEIGHT, (2, 3), **SMALL, **wrong)


def test_a_file_that_is_no_path_is_refused_before_anything_is_drawn():
    with pytest.raises(TypeError, match="out=3 must be a path, not int"):
        draw.animate(WEIGHT, (2, 3), out=3, **SMALL)
