"""Hostile links: what may stand after the # of the page's address."""

from __future__ import annotations

from random import Random

NASTY = [
    "</script><img src=x onerror=alert(1)>",
    '"><b>',
    "'",
    "1e9",
    "NaN",
    "-1",
    "0",
    "Infinity",
    "x" * 50,
    "1x1x1x1",
    "%00",
    "{}",
]


def fuzzed(random: Random) -> str:
    """A link of random names and values, some of them no numbers at all."""
    names = ["input_size", "kernel_size", "stride", "padding", "output_padding", "dilation", "groups", "in_channels"]
    names += [
        "out_channels",
        "padding_mode",
        "map",
        "seed",
        "kernel",
        "weight",
        "input",
        "show",
        "panel",
        "pin",
        "step",
    ]
    names += ["lang", "theme", "story", "turned", "__proto__", "constructor"]

    def value() -> str:
        if random.random() < 0.4:
            return random.choice(NASTY)
        return random.choice("x:,").join(
            str(random.choice([0, 1, 2, 3, 7, 12, 48, 999999999, -5, 2.5])) for _ in range(random.randint(1, 4))
        )

    parts = [f"{random.choice(names)}={value()}" for _ in range(random.randint(1, 12))]
    return "&".join(parts)
