"""Every word of every picture can be read: contrast, sizes and glyphs are measured on what is drawn."""

import re
import warnings
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from convmat import Geometry, draw
from convmat.draw import fonts, words
from convmat.draw.colors import contrast, ink_on

LEAST_CONTRAST = 4.5
SMALLEST_LETTERS = 6.0  # points, on a figure of their own
FRACTION = torch.linspace(-1.5, 2.5, 18).reshape(2, 1, 3, 3)
STAMPED = {"transposed": True, "stride": 2, "padding": 1}
NUMBERED = torch.arange(1, 10).reshape(1, 1, 3, 3)
GROUPED = Geometry.conv_transpose((2, 3), (3, 2), stride=2, groups=2, in_channels=4, out_channels=2)
CHANNELS = Geometry.conv((3, 4), (2, 3), in_channels=2, out_channels=2)

PICTURES = {
    "a stamp": lambda **how: draw.arithmetic(NUMBERED, (2, 3), **STAMPED, **how),
    "gathered": lambda **how: draw.arithmetic(NUMBERED, (2, 3), view="gather", **STAMPED, **how),
    "by names": lambda **how: draw.arithmetic(CHANNELS, **how),
    "a grouped stamp": lambda **how: draw.arithmetic(GROUPED, **how),
    "many terms": lambda **how: draw.arithmetic(torch.ones(1, 2, 3, 3), (5, 4), padding=1, **how),
    "large numbers": lambda **how: draw.arithmetic(12345 * NUMBERED, (2, 3), **STAMPED, **how),
    "fractions": lambda **how: draw.arithmetic(FRACTION, (3, 2), **STAMPED, **how),
    "scattered": lambda **how: draw.arithmetic(NUMBERED, (4, 5), view="scatter", padding=1, **how),
    "replicated": lambda **how: draw.arithmetic(
        NUMBERED, (3, 4), view="scatter", padding=1, padding_mode="replicate", at=(0, 0), **how
    ),
    "one axis": lambda **how: draw.arithmetic(Geometry.conv((5,), 3, padding=1), **how),
    "12 cells": lambda **how: draw.arithmetic(Geometry.conv((12,), 3), **how),
    "a frame": lambda **how: draw.frame(NUMBERED, (2, 3), output_padding=1, **STAMPED, **how),
    "a frame beyond": lambda **how: draw.frame(Geometry.conv_transpose((2, 3), 2, stride=3, output_padding=2), **how),
    "a frame that reflects": lambda **how: draw.frame(NUMBERED, (3, 4), padding_mode="reflect", **STAMPED, **how),
    "a large frame": lambda **how: draw.frame(Geometry.conv_transpose((6, 9), 4, stride=2), **how),
    "stamps": lambda **how: draw.stamps(torch.tensor([[[1, 3, 3, 1]]]), (3,), **STAMPED, **how),
    "stamps of a picture": lambda **how: draw.stamps(NUMBERED, (2, 3), **STAMPED, **how),
    "phases": lambda **how: draw.phases(NUMBERED, (2, 3), **STAMPED, **how),
    "an empty phase": lambda **how: draw.phases(Geometry.conv_transpose((3,), 3, stride=2, dilation=2), **how),
    "many phases": lambda **how: draw.phases(Geometry.conv_transpose((2, 2), (3, 4), stride=(3, 4)), **how),
    "slide": lambda **how: draw.slide(torch.arange(1, 7).reshape(1, 1, 2, 3), (3, 6), **how),
    "unfold": lambda **how: draw.unfold(CHANNELS, **how),
    "zero insertion": lambda **how: draw.zero_insertion(GROUPED, **how),
    "every step": lambda **how: draw.sparsity(Geometry.conv((4, 4), 3), **how),
    "channels": lambda **how: draw.sparsity(CHANNELS, **how),
    "more than 20 cells": lambda **how: draw.sparsity(Geometry.conv((3, 8), 3, padding=1), **how),
    "sums of taps": lambda **how: draw.sparsity(Geometry.conv((5,), 5, padding=2, padding_mode="reflect"), **how),
    "the numbers of a layer": lambda **how: draw.sparsity(FRACTION, (3, 4), padding=1, **how),
    "any matrix": lambda **how: draw.sparsity(torch.tensor([[1.0, -2.5, 0], [0, 33.25, 1e-5]]), **how),
    "padding modes": lambda **how: draw.padding_modes(Geometry.conv((6,), 5, padding=2), **how),
    "overlap": lambda **how: draw.overlap(Geometry.conv_transpose((4, 6), 3, stride=2), **how),
    "overlap of 41 cells": lambda **how: draw.overlap(Geometry.conv_transpose((3, 20), 3, stride=2), **how),
    "upsampling": lambda **how: draw.upsampling(torch.eye(6), 3, **how),
}
every_picture = pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)


def rendered(figure):
    """Laid out as for a PNG, so that sizes are known, glyphs are looked up, and no pixel is painted."""
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    return canvas.get_renderer()


def relative_luminance(color) -> float:
    """As WCAG 2.2 defines it, written down a second time."""
    linear = np.where(np.array(to_rgb(color)) <= 0.04045, np.array(to_rgb(color)) / 12.92, 0)
    above = ((np.array(to_rgb(color)) + 0.055) / 1.055) ** 2.4
    return float(
        np.where(linear > 0, linear, np.where(np.array(to_rgb(color)) == 0, 0, above)) @ [0.2126, 0.7152, 0.0722]
    )


def measured_contrast(one, other) -> float:
    return contrast_of(to_rgb(one), to_rgb(other))


@cache
def contrast_of(one, other) -> float:
    lighter, darker = sorted((relative_luminance(one), relative_luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def all_axes(figure):
    return [axes for parent in figure.axes for axes in (parent, *parent.child_axes)]


def cells_of(axes):
    """Each word in a cell, with the colour behind it and the box of its cell in pixels."""
    boxes = [p for p in axes.patches if p.get_gid() != "frame" and p.get_fill()]
    for text in axes.texts:
        if text.get_gid() not in ("cell", "corner"):
            continue
        x, y = text.get_position()
        if axes.images:
            (image,) = axes.images
            value = image.get_array()[round(y), round(x)]
            color = "white" if np.ma.is_masked(value) else image.cmap(image.norm(value))
            corners = axes.transData.transform([(round(x) - 0.5, round(y) - 0.5), (round(x) + 0.5, round(y) + 0.5)])
        else:
            box = next(p for p in boxes if p.get_x() < x < p.get_x() + 1 and p.get_y() < y < p.get_y() + 1)
            color = box.get_facecolor()
            corners = axes.transData.transform([(box.get_x(), box.get_y()), (box.get_x() + 1, box.get_y() + 1)])
        yield text, color, (corners.min(0), corners.max(0))


@every_picture
@pytest.mark.parametrize("language", ["en", "zh"])
def test_words_can_be_read(make, language):
    with warnings.catch_warnings():
        if fonts.families("zh", "卷") is None:
            warnings.simplefilter("ignore", UserWarning)
        figure = make(lang=language)
    renderer = rendered(figure)  # warns of glyphs that are missing, and warnings are errors here
    width, height = figure.get_size_inches() * figure.dpi
    sheet = figure.get_facecolor()
    for axes in all_axes(figure):
        drawn = list(cells_of(axes))
        assert len({id(text) for text, _, _ in drawn}) == len(drawn)
        of_cells: dict = {}
        for text, color, (least, most) in drawn:
            assert measured_contrast(text.get_color(), color) >= LEAST_CONTRAST, text.get_text()
            assert text.get_fontsize() >= SMALLEST_LETTERS
            box = text.get_window_extent(renderer)
            assert box.x0 >= least[0] - 0.5, text.get_text()
            assert box.x1 <= most[0] + 0.5, text.get_text()
            assert box.y0 >= least[1] - 0.5, text.get_text()
            assert box.y1 <= most[1] + 0.5, text.get_text()
            of_cells.setdefault(tuple(least.round()), []).append(box)
        for boxes in of_cells.values():  # the number of a cell, and the tap in its corner
            assert not any(one.overlaps(other) and shared(one, other) > 2 for one, other in combinations(boxes, 2))
        words = [text for text in axes.texts if text.get_gid() == "words"]
        words += [text for text in (axes.title, axes.xaxis.label, axes.yaxis.label) if text.get_text()]
        for text in words if axes.axison or axes.texts else []:
            assert measured_contrast(text.get_color(), sheet) >= LEAST_CONTRAST
            box = text.get_window_extent(renderer)
            assert -0.5 <= box.x0 < box.x1 <= width + 0.5, text.get_text()
            assert -0.5 <= box.y0 < box.y1 <= height + 0.5, text.get_text()
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in words if text.get_text()]
        for (one, a), (other, b) in combinations(boxes, 2):
            assert not a.overlaps(b) or shared(a, b) <= 2, (one, other)


def shared(one, other) -> float:
    """How many pixels two boxes share in the direction in which they share fewer."""
    return min(min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0))


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry.conv((9,), 3, padding=1, stride=8),
        Geometry.conv((5, 6), 1, padding=2),
        Geometry.conv((5, 6), 3, padding=2),
        Geometry.conv((12, 13), (3, 2), padding=1),
    ],
    ids=["flat", "tall", "names too long", "too many cells for words"],
)
def test_panels_and_their_keys_fill_the_picture_side_by_side(geometry):
    figure = draw.padding_modes(geometry)
    renderer = rendered(figure)
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [panel.get_tightbbox(renderer) for panel in figure.axes[0].child_axes]
    assert all(one.x1 <= other.x0 + 0.5 for one, other in pairwise(boxes))
    assert all(-0.5 <= box.x0 < box.x1 <= width + 0.5 and -0.5 <= box.y0 < box.y1 <= height + 0.5 for box in boxes)
    assert sum(box.width * box.height for box in boxes) >= 0.7 * width * height


@pytest.mark.parametrize(
    "name", ["a stamp", "by names", "stamps", "phases", "slide", "unfold", "every step", "overlap"]
)
def test_on_small_axes_words_shrink_with_their_cells(name):
    figure = Figure(figsize=(6, 3))
    left, right = figure.subplots(1, 2)
    assert PICTURES[name](ax=right) is figure
    assert not left.texts
    renderer = rendered(figure)
    outside = right.get_window_extent(renderer)
    for text, color, (least, most) in cells_of(right):
        box = text.get_window_extent(renderer)
        assert box.width <= most[0] - least[0] + 1
        assert box.height <= most[1] - least[1] + 1
        assert measured_contrast(text.get_color(), color) >= LEAST_CONTRAST
        assert outside.x0 - 1 <= least[0] < most[0] <= outside.x1 + 1


def test_letters_are_as_large_as_asked_and_cells_grow():
    small, large = (draw.arithmetic(NUMBERED, (4, 5), font_size=size) for size in (8, 16))
    sizes = [{text.get_fontsize() for text in f.axes[0].texts if text.get_gid() == "cell"} for f in (small, large)]
    assert sizes == [{8.0}, {16.0}]
    np.testing.assert_allclose(large.get_size_inches(), 2 * small.get_size_inches(), rtol=0.02)


def test_on_a_dark_sheet_words_are_white():
    figure = Figure(facecolor="#102030")
    draw.frame(NUMBERED, (2, 3), ax=figure.add_subplot(), **STAMPED)
    assert {text.get_color() for text in figure.axes[0].texts if text.get_gid() == "words"} == {"white"}


@pytest.mark.parametrize("color", ["white", "black", "#767676", "#777777", "#0072b2", "#d55e00", "yellow", "#aadc32"])
def test_one_of_two_inks_is_always_legible(color):
    assert contrast(ink_on(color), color) >= LEAST_CONTRAST
    assert contrast(ink_on(color), color) == pytest.approx(measured_contrast(ink_on(color), color))


# -- languages ---------------------------------------------------------------------------------------------------------


def test_both_languages_say_everything():
    for english, chinese in words._WORDS.values():
        assert set(re.findall(r"\{\w*\}", english)) == set(re.findall(r"\{\w*\}", chinese))
        assert re.search(r"[\u4e00-\u9fff]", chinese) or english == ", "
        assert not re.search(r"[\u4e00-\u9fff]", english)


@pytest.mark.skipif(fonts.families("zh", "卷") is None, reason="no font with Chinese glyphs is installed")
def test_chinese_is_written_with_its_glyphs():
    """And not with the box that a font has for every character that it lacks."""
    said = "".join(chinese for _, chinese in words._WORDS.values())
    latin, chinese = fonts.families("zh", said)
    known = get_font(findfont(latin)).get_charmap().keys() | get_font(findfont(chinese)).get_charmap().keys()
    assert set(map(ord, said)) <= known
    figure = draw.frame(NUMBERED, (2, 3), lang="zh", **STAMPED)
    texts = [text.get_text() for text in figure.axes[0].texts if text.get_gid() == "words"]
    assert texts[0] == "转置卷积：卷积核 3×3，步长 2，填充 1"
    assert "输入" in texts
    pictures = {glyph: inked(glyph, [latin, chinese]) for glyph in "卷积转置\U0010fffd"}
    assert len({picture.tobytes() for picture in pictures.values()}) == len(pictures)


def inked(glyph: str, families: list[str]) -> np.ndarray:
    figure = Figure(figsize=(0.5, 0.5))
    figure.text(0.1, 0.1, glyph, fontfamily=families, fontsize=20)
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the one that no font has
        canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def test_without_a_chinese_font_it_says_so_and_writes_english(monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: iter(()))
    with pytest.warns(UserWarning, match="no installed font has the glyphs of lang='zh'.*fonts-wqy-microhei"):
        figure = draw.frame(NUMBERED, (2, 3), lang="zh", **STAMPED)
    assert figure.axes[0].texts[0].get_text() == "transposed convolution: kernel 3×3, stride 2, padding 1"


def test_fonts_that_came_since_matplotlib_looked_are_found(monkeypatch):
    """matplotlib keeps its list of fonts from one process to the next."""
    from matplotlib import font_manager

    kept = [entry for entry in font_manager.fontManager.ttflist if entry.name not in fonts._CHINESE]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", kept)
    known = fonts.families("zh", "卷积")
    installed = [path for path in font_manager.findSystemFonts() if fonts.has_glyphs(path, "卷积")]
    assert (known is not None) == bool(installed)
