"""Segmentation: a 3-d U-Net of MONAI on a synthetic scan, with its convolutions computed by convmat.

The encoder halves the volume with strided convolutions, the decoder doubles it back with transposed ones. Both are
swapped.

    pip install convmat monai
    python examples/segmentation.py

The network is trained for some steps, to show that gradients flow and optimizers keep working.
"""

import copy

import torch
from monai.losses import DiceLoss
from monai.networks.nets import UNet

import convmat


def main() -> None:
    """Swap, train, restore."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)  # in float32, rounding grows with every step until it shows
    scan, truth = ball_in_noise(size=16)
    unet = UNet(spatial_dims=3, in_channels=1, out_channels=1, channels=(8, 16, 32), strides=(2, 2), num_res_units=1)
    swapped = copy.deepcopy(unet)

    report = convmat.accelerate(swapped)
    print(report, end="\n\n")
    print(f"{len(report.swapped)} layers swapped; the state_dict is as before: {same_keys(unet, swapped)}")
    # "auto" may take our kernel, which sums in another order than PyTorch: the last digits may differ.
    torch.testing.assert_close(swapped(scan), unet(scan), rtol=1e-10, atol=1e-10)

    # The same training, once with PyTorch's layers and once with every layer computed as a product of columns.
    convmat.accelerate(swapped, method="unfold")
    print("\nDice loss\n  step   PyTorch   unfold")
    for step, losses in enumerate(zip(train(unet, scan, truth), train(swapped, scan, truth), strict=True)):
        if step % 10 == 0:
            print("  {:4}   {:.5f}   {:.5f}".format(step, *losses))
        assert abs(losses[0] - losses[1]) < 1e-6

    # Checkpoints go both ways, for parameters and their names are untouched.
    unet.load_state_dict(swapped.state_dict())
    convmat.restore(swapped)
    with torch.no_grad():
        assert torch.equal(unet(scan), swapped(scan))
        found = swapped(scan).sigmoid() > 0.5
    right = (found == truth.bool()).float().mean()
    print(f"\nRestored. {right:.1%} of the voxels are told right by now.")


def train(unet: torch.nn.Module, scan: torch.Tensor, truth: torch.Tensor, steps: int = 21) -> list[float]:
    """Train, and return the losses."""
    criterion, optimizer = DiceLoss(sigmoid=True), torch.optim.Adam(unet.parameters(), lr=2e-2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = criterion(unet(scan), truth)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def ball_in_noise(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A scan and the truth, both of shape (1, 1, size, size, size)."""
    axes = torch.meshgrid(*[torch.linspace(-1, 1, size)] * 3, indexing="ij")
    inside = (sum(axis**2 for axis in axes) < 0.3).double()
    return (inside + 0.5 * torch.randn_like(inside))[None, None], inside[None, None]


def same_keys(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two models name their parameters alike."""
    return list(one.state_dict()) == list(other.state_dict())


if __name__ == "__main__":
    main()
