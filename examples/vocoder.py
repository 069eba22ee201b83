"""A vocoder: let the upsampling layers of a HiFi-GAN compute with convmat, and get PyTorch's layers back.

A vocoder turns a mel spectrogram into sound. Its transposed convolutions (the ``upsampler``) stretch time: here, one
column of the spectrogram becomes 256 samples. Their weights are normalised by ``weight_norm``, which stays in place.

    pip install convmat transformers
    python examples/vocoder.py

The weights are random, so it makes noise; with those of a trained model it would speak.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded

import torch
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

import convmat


def main() -> None:
    """Swap, compare, restore."""
    torch.manual_seed(0)
    vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(upsample_initial_channel=64)).eval()
    vocoder.apply_weight_norm()
    mel = rising_tone(columns=40, bands=vocoder.config.model_in_dim)

    with torch.no_grad():
        expected = vocoder(mel)
        print(f"mel {tuple(mel.shape)} -> {expected.numel()} samples, with PyTorch\n")

        # Every ConvTranspose1d becomes a convmat layer, in place. "auto" takes our CPU kernel for it or PyTorch's own,
        # whichever should be faster.
        print(convmat.accelerate(vocoder), end="\n\n")
        print(f"  auto            differs by {largest_difference(vocoder(mel), expected):.1e}")

        # Other methods compute the same in their own way; calling again just changes the method.
        for method in ("phases", "zero_insertion", "unfold"):
            convmat.accelerate(vocoder, method=method)
            print(f"  {method:14}  differs by {largest_difference(vocoder(mel), expected):.1e}")

        # Frozen for inference: the weights are kept as the kernel reads them, and weight norm is computed once.
        convmat.accelerate(vocoder, freeze=True)
        print(f"  auto, frozen    differs by {largest_difference(vocoder(mel), expected):.1e}")

        # What would "auto" take for the first layer, and why?
        convmat.accelerate(vocoder)
        first = vocoder.upsampler[0]
        print(
            f"\nThe plan for {first.in_channels} channels, 40 columns: {convmat.plan(first, (first.in_channels, 40))}"
        )

        convmat.restore(vocoder)
        assert torch.equal(vocoder(mel), expected)
        print("Restored: PyTorch's layers are back, and so are exactly their samples.")


def rising_tone(columns: int, bands: int) -> torch.Tensor:
    """A log-mel spectrogram of shape (columns, bands): one bright line that climbs."""
    line = torch.linspace(0.1, 0.8, columns)[:, None] * bands
    return -((torch.arange(bands) - line) ** 2) / 8


def largest_difference(samples: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, which must be within rounding of the loudest sample."""
    difference = (samples - expected).abs().max()
    assert difference <= 1e-4 * expected.abs().max()
    return difference.item()


if __name__ == "__main__":
    main()
