"""What would not fit in memory is refused before it is allocated, by every function and picture."""

import sys

import pytest
import torch
from torch import nn

import convmat
from convmat import Axis, Geometry, GeometryError
from convmat.cli import main

X = torch.ones(1, 1, 8, 8)
W = torch.ones(1, 1, 2, 2)
FAR = 2**24

CALLS = {
    "conv_transpose2d": lambda: convmat.conv_transpose2d(X, W, stride=FAR),
    "conv_transpose2d, unbatched": lambda: convmat.conv_transpose2d(X[0], W, stride=FAR),
    "conv_transpose1d": lambda: convmat.conv_transpose1d(X[0, :, 0], W[0], stride=2**40, method="phases"),
    "conv2d": lambda: convmat.conv2d(X, W, padding=FAR),
    "with a padding mode": lambda: convmat.conv2d(X, W, stride=FAR, padding=FAR, padding_mode="replicate"),
    "a layer": lambda: nn.Sequential(convmat.nn.ConvTranspose2d(1, 1, 2, stride=FAR))(X),
    "unfold": lambda: convmat.unfold(X, 2, padding=FAR),
    "unfold of few windows": lambda: convmat.unfold(X, 2, padding=FAR, stride=FAR),
    "upsample": lambda: convmat.upsample(torch.ones(60, 40), 100_000),
    "matrix": lambda: convmat.matrix(nn.Conv2d(1, 1, 3), (1, FAR, FAR)),
    "sparsity": lambda: convmat.draw.sparsity(Geometry.conv((FAR, FAR), 3)),
    "overlap": lambda: convmat.draw.overlap(Geometry.conv((FAR, FAR), 3)),
    "the overlap of a geometry": lambda: Geometry.conv((FAR, FAR), 3).overlap(),
    "an axis' table": lambda: Axis.conv(2**50, 3).source(),
    "its padding": lambda: Axis.conv(2**50, 3).padding_source(),
    "its overlap": lambda: Axis.conv(2**50, 3).overlap(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_it_is_refused(call):
    with pytest.raises(GeometryError, match=r"takes .*iB to build, but .* are free|is too large to draw|too many to"):
        call()


def test_both_sizes_are_told():
    with pytest.raises(GeometryError, match=r"output of shape \(1, 1, \d+, \d+\) and torch\.float32 takes 49\.0 PiB"):
        CALLS["conv_transpose2d"]()


def test_it_is_asked_in_every_call(monkeypatch):
    """What was decided once is not asked anew, but memory is, and only where it matters."""
    asked = []

    def available(device):
        asked.append(device)
        return 2**40 if len(asked) < 4 else 0

    monkeypatch.setattr("convmat.tensors.memory.available", available)
    monkeypatch.setattr("convmat.planning.running.WORTH_ASKING", 2**10)
    small, large = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 31, 37)
    for _ in range(3):
        convmat.conv2d(small, W)
    assert not asked
    for _ in range(2):  # the first asks twice: before it plans, and before it computes
        convmat.conv2d(large, W)
    with pytest.raises(GeometryError, match=r"but 0 B are free: use a smaller batch"):
        convmat.conv2d(large, W)


def test_the_command_refuses(tmp_path, monkeypatch, capsys):
    from PIL import Image

    Image.new("RGB", (60, 40)).save(tmp_path / "small.png")
    files = str(tmp_path / "small.png"), "--out", str(tmp_path / "large.png")
    monkeypatch.setattr(sys, "argv", ["convmat", "upsample", *files, "--scale", "10000"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "upsampling to 400000 x 600000 by scale=10000 takes" in line
