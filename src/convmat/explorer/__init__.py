"""The interactive page: a convolution, its matrix and its transpose, linked to the grids.

Python joins the hand-written script and style of this room into one HTML file and gives it a state to begin with.
Everything that the page shows it computes by itself, from the tap table (``script/geometry.js``).
"""

from convmat.explorer.exploring import explore
from convmat.explorer.page import Page

__all__ = ["Page", "explore"]
