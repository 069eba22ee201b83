"""Super-resolution: an FSRCNN on a photograph, and what its last layer, a transposed convolution, may become.

FSRCNN (Dong, Loy and Tang, 2016) works on the small picture and enlarges it in one last transposed convolution. Seen
by phases, that layer is an ordinary convolution that makes stride*stride pictures, and a shuffle of their pixels: what
is known as the sub-pixel or pixel-shuffle layer. Both are the same map, as this example checks.

    pip install convmat
    python examples/super_resolution.py [picture]

The weights are random: with trained ones the large picture would be a sharp one. The photograph is Grace Hopper, as it
ships with matplotlib.
"""

import argparse
import statistics
import time

import matplotlib.image
import torch
from matplotlib.cbook import get_sample_data
from torch import nn

import convmat

WAYS = {
    "auto": {},
    "auto, frozen": {"freeze": True},
    "phases": {"method": "phases"},
    "zero_insertion": {"method": "zero_insertion"},
    "unfold": {"method": "unfold"},
}


class FSRCNN(nn.Module):
    """Extract features, shrink them, map, expand them, enlarge."""

    def __init__(self, scale: int, d: int = 56, s: int = 12, m: int = 4):
        super().__init__()
        mapping = [layer for _ in range(m) for layer in (nn.Conv2d(s, s, 3, padding=1), nn.PReLU(s))]
        self.features = nn.Sequential(
            *(nn.Conv2d(1, d, 5, padding=2), nn.PReLU(d)),
            *(nn.Conv2d(d, s, 1), nn.PReLU(s)),
            *mapping,
            *(nn.Conv2d(s, d, 1), nn.PReLU(d)),
        )
        self.enlarge = nn.ConvTranspose2d(d, 1, 9, stride=scale, padding=4, output_padding=scale - 1)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """(batch, 1, height, width) -> (batch, 1, scale*height, scale*width)."""
        return self.enlarge(self.features(picture))


@torch.no_grad()
def main() -> None:
    """Enlarge a picture by every method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", help="default: a photograph that ships with matplotlib")
    path = parser.parse_args().picture or get_sample_data("grace_hopper.jpg", asfileobj=False)
    torch.manual_seed(0)
    picture = luminance(path)
    network = FSRCNN(scale=3).eval()
    expected = network(picture)
    print(f"picture {tuple(picture.shape[-2:])} -> {tuple(expected.shape[-2:])}\n")
    features = network.features(picture)
    before = milliseconds(network.enlarge, features)

    print(convmat.accelerate(network), end="\n\n")
    print(f"The plan of the last layer: {convmat.plan(network.enlarge, features.shape[1:])}\n")

    # Each way computes the same picture. Frozen weights lie ready in the order in which our CPU kernel reads them.
    print("method          largest difference   last layer   times as fast")
    print(f"{'PyTorch':14}  {'':18}   {before:7.1f} ms")
    for name, options in WAYS.items():
        convmat.accelerate(network, **options)
        difference = (network(picture) - expected).abs().max().item()
        assert difference < 1e-5
        after = milliseconds(network.enlarge, features)
        print(f"{name:14}  {difference:18.1e}   {after:7.1f} ms   {before / after:13.2f}")

    convmat.restore(network)
    assert type(network.enlarge) is nn.ConvTranspose2d
    assert torch.equal(network(picture), expected)
    print("\nRestored: the same network, the same picture.")


def luminance(path: str) -> torch.Tensor:
    """The brightness of a picture, every third pixel of it, of shape (1, 1, height, width)."""
    pixels = torch.tensor(matplotlib.image.imread(path)[::3, ::3, :3] / 255.0, dtype=torch.float32)
    return (pixels @ torch.tensor([0.299, 0.587, 0.114]))[None, None]


def milliseconds(layer: nn.Module, features: torch.Tensor, calls: int = 5) -> float:
    """The median time of a call, after one to warm up."""
    times = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        layer(features)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[1:])


if __name__ == "__main__":
    main()
