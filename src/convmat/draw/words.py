"""What pictures say, in each language, and the fonts to say it with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from convmat.draw.figures import check_matplotlib, size_in_points
from convmat.draw.fonts import families
from convmat.geometry import Geometry, GeometryError, Sentence, shown

LANGUAGES = ("en", "zh")

_WORDS = {
    "direct": ("convolution", "卷积"),
    "transposed": ("transposed convolution", "转置卷积"),
    "kernel_size": ("kernel {}", "卷积核 {}"),
    "stride": ("stride {}", "步长 {}"),
    "padding": ("padding {}", "填充 {}"),
    "dilation": ("dilation {}", "空洞 {}"),
    "output_padding": ("output padding {}", "输出填充 {}"),
    "groups": ("groups {}", "分组 {}"),
    "padding_mode": ("padding mode {}", "填充模式 {}"),
    "and": (", ", "，"),
    "input": ("input", "输入"),
    "padded_input": ("input, padded", "填充后的输入"),
    "inserted_input": ("input, zeros inserted, padded", "插零并填充后的输入"),
    "kernel": ("kernel", "卷积核"),
    "flipped": ("kernel, flipped", "翻转的卷积核"),
    "output": ("output", "输出"),
    "canvas": ("sum of stamps; frame: output", "印记之和；方框：输出"),
    "counts": ("stamps per cell; frame: output", "每格的印记数；方框：输出"),
    "regions": ("regions of the input, as columns", "输入的各个区域，每个一列"),
    "gather.direct": ("each output gathers the cells under the kernel", "每个输出收集卷积核下的格子"),
    "gather.transposed": (
        "as a direct convolution: stride 1, zeros inserted, padding {padding}, kernel flipped",
        "看作普通卷积：步长 1，插零，填充 {padding}，卷积核翻转",
    ),
    "scatter.direct": ("each input is scattered to all outputs that read it", "每个输入散布到读它的所有输出"),
    "scatter.transposed": (
        "each input stamps the kernel; stamps add up; padding crops",
        "每个输入盖一次卷积核的印记；印记相加；填充负责裁剪",
    ),
    "crop": (
        "{axis}padding {lo} crops {lo} before; padding {hi} - output padding {slack} crops {after} after",
        "{axis}填充 {lo} 在开头裁去 {lo} 格；填充 {hi} - 输出填充 {slack} 在末尾裁去 {after} 格",
    ),
    "beyond": (
        "{axis}padding {lo} crops {lo} before; output padding {slack} > padding {hi}: {beyond} beyond the last stamp",
        "{axis}填充 {lo} 在开头裁去 {lo} 格；输出填充 {slack} > 填充 {hi}：超出最后一个印记 {beyond} 格",
    ),
    "overhang": (
        "{axis}padding mode {mode}: what hangs over ({lo} before, {hi} after) is added back",
        "{axis}填充模式 {mode}：伸出的部分（开头 {lo} 格、末尾 {hi} 格）加回原处",
    ),
    "rows": ("rows: ", "行："),
    "columns": ("columns: ", "列："),
    "more": ("… and {count} more", "…… 还有 {count} 项"),
    "phase": ("phase {name}", "相位 {name}"),
    "phase.taps": ("taps {count}", "抽头 {count}"),
    "phase.sum": ("sum {total}", "和 {total}"),
    "phases": ("each phase of the output has taps of its own", "输出的每个相位各有自己的抽头"),
    "empty": ("no tap: zeros", "没有抽头：全是零"),
    "input cell": ("input cell", "输入格"),
    "output cell": ("output cell", "输出格"),
    "overlap": (
        "taps per output: kernel {kernel}, stride {stride}",
        "每个输出的抽头数：卷积核 {kernel}，步长 {stride}",
    ),
    "overlap.matrix": ("entries per row of Cᵀ", "Cᵀ 每行的非零元素数"),
    "zeros": ("zeros", "零填充"),
    "reflect": ("reflect", "镜像填充"),
    "replicate": ("replicate", "边缘复制"),
    "circular": ("circular", "循环填充"),
    "nearest": ("nearest", "最近邻"),
    "bilinear": ("bilinear", "双线性"),
    "bicubic": ("bicubic", "双三次"),
    "small": ("input, {width} x {height} pixels", "输入，{width} x {height} 像素"),
    "busy": ("drawing", "正在画图"),
    "gallery": ("Convolution arithmetic", "卷积算术"),
}


class Words:
    """The words of a language; English ones where no font can write it.

    Args:
        language: ``"en"`` or ``"zh"``.

    Raises:
        GeometryError: if it is neither.

    >>> Words("en")("stride", 2)
    'stride 2'
    """

    def __init__(self, language: str) -> None:
        check_matplotlib()
        if not isinstance(language, str) or language not in LANGUAGES:
            known = " or ".join(map(repr, LANGUAGES))
            raise GeometryError(f"lang={shown(language)} is unknown: need {known}")
        place = LANGUAGES.index(language)
        found = families(language, "".join(texts[place] for texts in _WORDS.values()))
        if found is None:
            warnings.warn(
                Sentence(
                    "no installed font has the glyphs of lang={language!r}, so the picture is in English; a font as "
                    "Noto Sans CJK SC or WenQuanYi Micro Hei (Debian: fonts-wqy-microhei) would do",
                    language=language,
                ),
                stacklevel=4,
            )
            place, found = 0, families("en", "")
        self.language = LANGUAGES[place]
        self.families: list[str] = found or []
        self._place = place
        self._sizes: dict[tuple[str, bool], tuple[float, float]] = {}  # for as long as one picture, or animation

    def __call__(self, key: str, /, *numbers: object, **values: object) -> str:
        """The text of a key, its placeholders filled in."""
        return _WORDS[key][self._place].format(*numbers, **values)

    def size(self, text: str, bold: bool = False) -> tuple[float, float]:
        """The width and the height of a text in letters of one point."""
        if (text, bold) not in self._sizes:
            self._sizes[text, bold] = size_in_points(text, self.families, bold)
        return self._sizes[text, bold]

    def joined(self, parts: list[str]) -> str:
        """Parts of a list, with the comma of the language."""
        return self("and").join(parts)


def describe(geometry: Geometry, words: Words, ndim: int = 2) -> str:
    """A geometry in one line: its direction, and of its last axes every argument that is not the default."""
    axes = geometry.axes[-ndim:]
    per_axis: dict[str, tuple[Any, ...]] = {
        "kernel_size": tuple(axis.kernel for axis in axes),
        "stride": tuple(axis.stride for axis in axes),
        "padding": tuple((axis.lo, axis.hi) for axis in axes),
        "dilation": tuple(axis.dilation for axis in axes),
        "output_padding": tuple(axis.slack for axis in axes) if geometry.transposed else (),
    }
    defaults = {"stride": 1, "padding": (0, 0), "dilation": 1, "output_padding": 0}
    parts = [
        words(name, sizes_text(values, name == "kernel_size"))
        for name, values in per_axis.items()
        if set(values) - ({defaults[name]} if name in defaults else set())
    ]
    if geometry.groups > 1:
        parts.append(words("groups", geometry.groups))
    if geometry.padding_mode != "zeros":
        parts.append(words("padding_mode", geometry.padding_mode))
    name = words("transposed" if geometry.transposed else "direct")
    return f"{name}{': ' if words.language == 'en' else '：'}{words.joined(parts)}"


def sizes_text(values: Sequence[int | tuple[int, int]], in_full: bool = False) -> str:
    """Sizes, or pairs of them, of all axes; a single one where they agree, unless wanted in full.

    >>> sizes_text((3, 3), in_full=True), sizes_text((2, 2)), sizes_text(((1, 1), (0, 2)))
    ('3×3', '2', '1×0:2')
    """
    pairs = [value if isinstance(value, tuple) else (value, value) for value in values]
    texts = [f"{lo}" if lo == hi else f"{lo}:{hi}" for lo, hi in pairs]
    return texts[0] if len(set(texts)) == 1 and not in_full else "×".join(texts)
