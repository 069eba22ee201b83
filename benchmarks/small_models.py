"""Networks that are short enough to be written out."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class FSRCNN(nn.Module):
    """Super-resolution (Dong, Loy and Tang, 2016): features, mapped, enlarged by one transposed convolution."""

    def __init__(self, scale: int, d: int = 56, s: int = 12, m: int = 4) -> None:
        super().__init__()
        mapping = (layer for _ in range(m) for layer in (nn.Conv2d(s, s, 3, padding=1), nn.PReLU(s)))
        self.features = nn.Sequential(
            *(nn.Conv2d(1, d, 5, padding=2), nn.PReLU(d)),
            *(nn.Conv2d(d, s, 1), nn.PReLU(s)),
            *mapping,
            *(nn.Conv2d(s, d, 1), nn.PReLU(d)),
        )
        self.enlarge = nn.ConvTranspose2d(d, 1, 9, stride=scale, padding=4, output_padding=scale - 1)

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, 1, height, width) -> (batch, 1, scale*height, scale*width)."""
        return self.enlarge(self.features(picture))


class FCN8s(nn.Module):
    """Segmentation (Long, Shelhamer and Darrell, 2015): a VGG-16, and scores enlarged by 2, 2 and 8."""

    def __init__(self, width: int = 64, classes: int = 21) -> None:
        super().__init__()
        w = width
        self.to_pool3 = nn.Sequential(*_stage(3, w, 2), *_stage(w, 2 * w, 2), *_stage(2 * w, 4 * w, 3))
        self.to_pool4 = nn.Sequential(*_stage(4 * w, 8 * w, 3))
        self.to_pool5 = nn.Sequential(*_stage(8 * w, 8 * w, 3))
        self.score3, self.score4 = nn.Conv2d(4 * w, classes, 1), nn.Conv2d(8 * w, classes, 1)
        self.score5 = nn.Sequential(
            *(nn.Conv2d(8 * w, 16 * w, 7, padding=3), nn.ReLU()),
            *(nn.Conv2d(16 * w, 16 * w, 1), nn.ReLU()),
            nn.Conv2d(16 * w, classes, 1),
        )
        self.double5 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
        self.double4 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
        self.enlarge = nn.ConvTranspose2d(classes, classes, 16, stride=8, padding=4, bias=False)

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, 3, height, width) -> (batch, classes, height, width), the sizes multiples of 32."""
        pool3 = self.to_pool3(picture)
        pool4 = self.to_pool4(pool3)
        scores = self.double5(self.score5(self.to_pool5(pool4))) + self.score4(pool4)
        return self.enlarge(self.double4(scores) + self.score3(pool3))


class ResNet18(nn.Module):
    """Classification (He, Zhang, Ren and Sun, 2016): 20 convolutions, three of them of shortcuts."""

    def __init__(self, width: int = 64, classes: int = 10) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(
            nn.Conv2d(3, w, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(w), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        self.blocks = nn.Sequential(
            *(_Residual(w, w, 1), _Residual(w, w, 1)),
            *(_Residual(w, 2 * w, 2), _Residual(2 * w, 2 * w, 1)),
            *(_Residual(2 * w, 4 * w, 2), _Residual(4 * w, 4 * w, 1)),
            *(_Residual(4 * w, 8 * w, 2), _Residual(8 * w, 8 * w, 1)),
        )
        self.scores = nn.Linear(8 * w, classes)

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, 3, height, width) -> (batch, classes)."""
        return self.scores(self.blocks(self.stem(picture)).mean((2, 3)))


class _Residual(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *(nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()),
            *(nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False), nn.BatchNorm2d(out_channels)),
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return (self.path(x) + self.shortcut(x)).relu()


def _stage(in_channels: int, out_channels: int, count: int) -> list[nn.Module]:
    """Convolutions, then pooling."""
    channels = [in_channels, *[out_channels] * count]
    pairs = pairwise(channels)
    return [*(layer for i, o in pairs for layer in (nn.Conv2d(i, o, 3, padding=1), nn.ReLU())), nn.MaxPool2d(2)]


class WhisperStem(nn.Module):
    """The convolutions in front of Whisper's encoder (Radford et al., 2022), for 80 bands of sound."""

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv1d(80, width, 3, padding=1), nn.GELU()),
            *(nn.Conv1d(width, width, 3, stride=2, padding=1), nn.GELU()),
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(batch, 80, length) -> (batch, length / 2, width)."""
        return self.layers(spectrogram).transpose(1, 2)


class YOLO(nn.Module):
    """Detection in the manner of YOLOv8: three scales, mixed from coarse to fine and back, one prediction a cell."""

    def __init__(self, width: int = 16, outputs: int = 144) -> None:
        super().__init__()
        w = width
        self.to_8 = nn.Sequential(
            *(_unit(3, w, 3, 2), _unit(w, 2 * w, 3, 2), _Split(2 * w, 2 * w, 1)),
            *(_unit(2 * w, 4 * w, 3, 2), _Split(4 * w, 4 * w, 2)),
        )
        self.to_16 = nn.Sequential(_unit(4 * w, 8 * w, 3, 2), _Split(8 * w, 8 * w, 2))
        self.to_32 = nn.Sequential(_unit(8 * w, 16 * w, 3, 2), _Split(16 * w, 16 * w, 1), _Pyramid(16 * w))
        self.larger = nn.Upsample(scale_factor=2)
        self.up_16, self.up_8 = _Split(24 * w, 8 * w, 1, False), _Split(12 * w, 4 * w, 1, False)
        self.smaller_16, self.down_16 = _unit(4 * w, 4 * w, 3, 2), _Split(12 * w, 8 * w, 1, False)
        self.smaller_32, self.down_32 = _unit(8 * w, 8 * w, 3, 2), _Split(24 * w, 16 * w, 1, False)
        self.heads = nn.ModuleList(
            nn.Sequential(_unit(channels, 4 * w, 3), _unit(4 * w, 4 * w, 3), nn.Conv2d(4 * w, outputs, 1))
            for channels in (4 * w, 8 * w, 16 * w)
        )

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, 3, height, width) -> (batch, outputs, cells of all scales), the sizes multiples of 32."""
        at_8 = self.to_8(picture)
        at_16 = self.to_16(at_8)
        at_32 = self.to_32(at_16)
        at_16 = self.up_16(torch.cat((self.larger(at_32), at_16), 1))
        at_8 = self.up_8(torch.cat((self.larger(at_16), at_8), 1))
        at_16 = self.down_16(torch.cat((self.smaller_16(at_8), at_16), 1))
        at_32 = self.down_32(torch.cat((self.smaller_32(at_16), at_32), 1))
        scales = zip(self.heads, (at_8, at_16, at_32), strict=True)
        return torch.cat([head(cells).flatten(2) for head, cells in scales], 2)


class _Split(nn.Module):
    """Half of the channels pass by, the others go through bottlenecks; all results are mixed."""

    def __init__(self, in_channels: int, out_channels: int, count: int, residual: bool = True) -> None:
        super().__init__()
        half = out_channels // 2
        self.residual = residual
        self.enter = _unit(in_channels, out_channels, 1)
        self.bottlenecks = nn.ModuleList(
            nn.Sequential(_unit(half, half, 3), _unit(half, half, 3)) for _ in range(count)
        )
        self.leave = _unit((2 + count) * half, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.enter(x).chunk(2, 1))
        for bottleneck in self.bottlenecks:
            added = bottleneck(parts[-1])
            parts.append(parts[-1] + added if self.residual else added)
        return self.leave(torch.cat(parts, 1))


class _Pyramid(nn.Module):
    """The largest of 5x5, 9x9 and 13x13 neighbours, beside the cell itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter, self.leave = _unit(channels, channels // 2, 1), _unit(2 * channels, channels, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.leave(torch.cat(parts, 1))


def _unit(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Module:
    """Convolution, normalization, activation; the weight is such that signals do not vanish."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.SiLU())
