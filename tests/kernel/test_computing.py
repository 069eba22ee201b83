"""The door to the kernel."""

import torch

import convmat


def test_a_profiler_sees_the_kernel():
    """In inference, too, where no operator of PyTorch's is called."""
    input, weight = torch.randn(1, 4, 5, 6), torch.randn(4, 3, 4, 4)
    with torch.inference_mode():
        convmat.conv_transpose2d(input, weight, stride=2, method="tiles")
        with torch.profiler.profile(acc_events=True) as profile:  # else 2.11 warns that it forgets some
            convmat.conv_transpose2d(input, weight, stride=2, method="tiles")
    assert "convmat::conv_transpose" in {event.key for event in profile.key_averages()}
