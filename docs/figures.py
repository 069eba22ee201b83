"""The figures of the pages: `python docs/figures.py [FOLDER]`; MkDocs runs it by itself.

All are drawn by `convmat.draw`, once for each language: FOLDER/NAME.png in English, FOLDER/zh/NAME.png in Chinese (in
English too where no installed font can write it).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure

from convmat import Axis, Geometry, draw

X = torch.tensor([[1, 2, 0, 3, 1, 2], [0, 1, 2, 1, 0, 1], [2, 0, 1, 1, 3, 0]])
KERNEL = torch.tensor([[[[1, 2, 3], [4, 5, 6]]]])
LAYER = Geometry.conv(X.shape, KERNEL.shape[2:])
SMALL = Geometry.conv_transpose((2, 3), 3, stride=2, padding=1, output_padding=1)
NUMBERED = torch.arange(1, 10).reshape(1, 1, 3, 3)


def main(folder: Path) -> None:
    """Draw every figure in every language, as NAME.png, and every animation, as NAME.gif."""
    for language, place in (("en", folder), ("zh", folder / "zh")):
        place.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="no installed font has the glyphs")
            for name, make in FIGURES.items():
                make(language).savefig(place / f"{name}.png", dpi=160, facecolor="white")
            for name, animate in ANIMATIONS.items():
                animate(language).save(place / f"{name}.gif")


def bare(figure: Figure) -> Figure:
    """A matrix without the words on its axes."""
    for axes in figure.axes:
        axes.set(xlabel="", ylabel="", title="")
        axes.tick_params(labelsize=8, color="0.6")
    return figure


def side_by_side(width: float, height: float) -> tuple[Figure, list]:
    """An empty figure with two places."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, 2)


def checkerboards(_: str) -> Figure:
    """How many taps reach each output: a kernel of 3, then one of 4, stride 2."""
    figure, places = side_by_side(9, 3.2)
    for kernel, place in zip((3, 4), places, strict=True):
        draw.overlap(Geometry.conv_transpose((4, 6), (kernel, kernel), stride=2), most=4, ax=place)
        place.axis("off")
    return bare(figure)


def every_step(_: str) -> Figure:
    """The right matrix of a 4x4 input, and the one with two of its rows exchanged."""
    figure, places = side_by_side(13, 1.9)
    for rows, name, place in zip((range(4), (0, 2, 1, 3)), ("C", "P C"), places, strict=True):
        draw.sparsity(Geometry.conv((4, 4), (3, 3)), rows=rows, ax=place)
        place.set(title=name, xlabel="", ylabel="", xticks=[])
    return figure


def upsampling(language: str) -> Figure:
    """A detail of a photograph, small, and upsampled by the three kernels."""
    photo = matplotlib.image.imread(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") / 255.0
    face = torch.from_numpy(photo[10:490, 60:460]).permute(2, 0, 1)
    small = torch.nn.functional.interpolate(face[None], size=(24, 20), mode="area")[0].float()
    return draw.upsampling(small, 6, lang=language)


FIGURES: dict[str, Callable[[str], Figure]] = {
    "slide": lambda lang: draw.slide(KERNEL, X.shape, input=X, places=[0, 1, 7], title="", lang=lang),
    "region-matrix": lambda lang: draw.unfold(KERNEL, X.shape, input=X, places=[0, 6], title="", lang=lang),
    "kernel-matrix": lambda _: bare(draw.sparsity(LAYER)),
    "transpose": lambda _: bare(draw.sparsity(LAYER.transpose())),
    "frame": lambda lang: draw.frame(SMALL, weight=NUMBERED, title="", lang=lang),
    "spread": lambda lang: draw.stamps(
        torch.tensor([[[1, 3, 3, 1]]]),
        (3,),
        stride=2,
        padding=1,
        input=torch.tensor([4, 8, 0]),
        title="",
        lang=lang,
    ),
    "upsampling": upsampling,
    "zero-insertion": lambda lang: draw.zero_insertion(
        KERNEL, (2, 3), stride=(2, 3), input=torch.tensor([[1, 2, 3], [4, 5, 6]]), at=(2, 4), title="", lang=lang
    ),
    "phases": lambda lang: draw.phases(SMALL, weight=NUMBERED, title="", lang=lang),
    "checkerboards": checkerboards,
    "every-step": every_step,
    "padding": lambda lang: draw.padding_modes(Geometry((Axis.conv(6, kernel=5, padding=2),)), lang=lang),
}
ANIMATIONS: dict[str, Callable[[str], draw.Animation]] = {
    "stamps": lambda lang: draw.animate(SMALL, weight=NUMBERED, title="", lang=lang),
}

if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "assets" / "generated")
