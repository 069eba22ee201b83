"""A 1-Lipschitz network: divide every layer by its true norm, and see what the norm of the reshaped weight gets wrong.

A network that lengthens no difference between two pictures cannot be fooled by a small change of one: if its scores for
two classes differ by d, no change shorter than d / sqrt(2) makes it say the other class. The layers here are divided by
the norm that they have as linear operators (convmat.nn.spectral_norm). PyTorch's own spectral_norm divides by the norm
of the weight reshaped to a matrix, which is smaller: layers so normalised still lengthen, each by another factor, and
what is certified with them is wrong.

    pip install convmat
    python examples/lipschitz.py

The pictures are stripes in noise, upright or level: made here, learned in seconds.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils import parametrizations

import convmat

SIZES = (14, 18)
WIDTH = 8


def main() -> None:
    """Train the network in both ways and compare what its layers do to lengths."""
    print("true norm of each layer after training, and of all together\n")
    print("normalised by          layer 1   layer 2   layer 3   product   accuracy   certified at 0.2")
    for name, normalise in {
        "reshaped weight": lambda layer, in_shape: parametrizations.spectral_norm(layer, n_power_iterations=3),
        "the layer's own norm": lambda layer, in_shape: convmat.nn.spectral_norm(layer, in_shape=in_shape),
    }.items():
        report(name, train(network(normalise)))


def network(normalise: Callable[[nn.Module, tuple[int, ...]], nn.Module]) -> nn.Sequential:
    """Three convolutions, each normalised; absolute values and averages between them lengthen nothing."""
    torch.manual_seed(0)
    channels = (1, WIDTH, WIDTH, 2)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(channels):
        layers += [normalise(nn.Conv2d(fan_in, fan_out, 3, padding=1), (fan_in, *SIZES)), Absolute()]
    return nn.Sequential(*layers, Scores())


class Absolute(nn.Module):
    """Absolute values, which keep the length of a tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of the same shape."""
        return x.abs()


class Scores(nn.Module):
    """The sum of each channel over the square root of its cells: a map of norm 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) -> (batch, channels)."""
        return x.flatten(2).sum(2) / x[0, 0].numel() ** 0.5


def stripes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of stripes of any phase in noise, and whether they are level."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.randint(2, (count,), generator=generator)
    rows, columns = torch.meshgrid(*(torch.arange(float(size)) for size in SIZES), indexing="ij")
    place = torch.where(level.bool()[:, None, None], rows, columns)
    phase = 6.28 * torch.rand(count, 1, 1, generator=generator)
    noise = 0.5 * torch.randn(count, *SIZES, generator=generator)
    return (torch.sin(1.6 * place + phase) + noise)[:, None] / 2, level


def train(model: nn.Sequential) -> nn.Sequential:
    """A hundred steps."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(100):
        pictures, level = stripes(32, seed=step)
        loss = nn.functional.cross_entropy(4 * model(pictures), level)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def report(name: str, model: nn.Sequential) -> None:
    """The true norms, and how many pictures no change of length 0.2 can turn, by what the network claims to be."""
    pictures, level = stripes(400, seed=1000)
    norms = [layer.lower for layer in convmat.layer_norms(model, pictures[:1])]
    scores = model(pictures)
    margin = scores.gather(1, level[:, None])[:, 0] - scores.gather(1, 1 - level[:, None])[:, 0]
    accuracy = (margin > 0).float().mean().item()
    certified = (margin > 2**0.5 * 0.2).float().mean().item()
    product = torch.tensor(norms).prod().item()
    figures = "   ".join(f"{value:7.3f}" for value in (*norms, product))
    sound = "" if product < 1.03 else f"  (wrong: it may lengthen by {product:.2f})"
    print(f"{name:20}   {figures}   {accuracy:8.0%}   {certified:16.0%}{sound}")


if __name__ == "__main__":
    main()
