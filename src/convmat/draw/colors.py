"""Colours that people with any colour vision tell apart, and the ink that is legible on each.

The hues are those of Okabe and Ito, "Color Universal Design" (2008). A colour never says anything by itself: frames,
hatches and numbers say it too.
"""

from __future__ import annotations

from typing import Any

WHITE, PALE, GREY = "#ffffff", "#eeeeee", "#8a8a8a"
BLUE, ORANGE, GREEN, VERMILLION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
# Tints to write on.
WINDOW, READ, MADE, FED = "#bfe0f2", "#fbe3b0", "#bfe8d9", "#f6d3bd"
# Phases and places, one after the other.
CYCLE = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#0072b2", "#d55e00", "#999999")
INSERTED_HATCH, PADDED_HATCH, UNREACHED_HATCH = "...", "////", "xx"
HATCH_COLOR = "#c8c8c8"


def luminance(color: Any) -> float:
    """The relative luminance of a colour, from 0 to 1, as WCAG 2.2 defines it."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Any, other: Any) -> float:
    """The contrast of two colours, from 1 to 21, as WCAG 2.2 defines it.

    >>> round(contrast("black", "white"))
    21
    """
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def ink_on(color: Any) -> str:
    """Black or white, whichever is easier to read on a colour: the contrast is never below 4.58.

    >>> ink_on("white"), ink_on("#440154")
    ('black', 'white')
    """
    return max("black", "white", key=lambda ink: contrast(ink, color))


def tint(color: Any, share: float) -> str:
    """A share of a colour, the rest white."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (1 - share * (1 - part) for part in to_rgb(color))
    return to_hex((red, green, blue))
