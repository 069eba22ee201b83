"""Pictures of convolutions, as matplotlib figures that need no screen and show in a notebook, and animations.

Everything is drawn from the tap table. Each function takes what :func:`convmat.conv_matrix` takes, a matrix, a
geometry, or a layer with its weight; ``ax=`` draws on given axes, ``font_size=`` sets the size of letters, which cells
grow with, and ``lang="zh"`` writes Chinese.

>>> from convmat import Geometry, draw
>>> figure = draw.sparsity(Geometry.conv((4, 4), (3, 3)))
>>> figure.savefig("matrix.png")  # doctest: +SKIP
"""

from convmat.draw.animation import Animation, animate
from convmat.draw.arithmetic import arithmetic, frame, slide, stamps, zero_insertion
from convmat.draw.guide import gallery
from convmat.draw.matrix import padding_modes, sparsity
from convmat.draw.overlap import overlap
from convmat.draw.phases import phases
from convmat.draw.regions import unfold
from convmat.draw.upsampled import upsampling

__all__ = [
    "Animation",
    "animate",
    "arithmetic",
    "frame",
    "gallery",
    "overlap",
    "padding_modes",
    "phases",
    "slide",
    "sparsity",
    "stamps",
    "unfold",
    "upsampling",
    "zero_insertion",
]
