"""Networks that are short enough to be written out."""

from __future__ import annotations

from itertools import pairwise

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
