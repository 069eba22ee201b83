"""Still pictures of matrices and overlaps, as matplotlib figures that need no screen and show in a notebook.

>>> from convmat import Geometry, draw
>>> figure = draw.sparsity(Geometry.conv((4, 4), (3, 3)))
>>> figure.savefig("matrix.png")  # doctest: +SKIP
"""

from convmat.draw.matrix import sparsity
from convmat.draw.overlap import overlap

__all__ = ["overlap", "sparsity"]
