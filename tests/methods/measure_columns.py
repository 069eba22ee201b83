"""Print how much memory ``method="unfold"`` takes at its peak, as JSON; run by the tests of its limit.

Memory is followed by the profiler's own records of every allocation, from before the call to after it, so that what
was there before (input, weight) does not count, and what the call returns does.
"""

import json
import sys

import torch

import convmat


def peak(function) -> int:
    """The most bytes allocated at once, beyond what there was."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        kept = function()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    del kept
    return most


def measure(transposed, sizes, in_channels, out_channels, kernel, padding, stride, groups, limit):
    """The peaks of the forward pass and of the backward pass."""
    shape = (in_channels, out_channels // groups) if transposed else (out_channels, in_channels // groups)
    x = torch.randn(2, in_channels, *sizes, requires_grad=True)
    weight = torch.randn(*shape, *kernel, requires_grad=True)
    function = convmat.conv_transpose2d if transposed else convmat.conv2d

    def forward():
        with convmat.column_memory(limit):
            return function(x, weight, None, stride, padding, groups=groups, method="unfold")

    y = forward()  # and warm up
    cotangent = torch.ones_like(y)
    torch.autograd.grad(forward(), (x, weight), cotangent)
    return {"forward": peak(forward), "backward": peak(lambda: torch.autograd.grad(y, (x, weight), cotangent))}


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps([measure(**arguments) for arguments in json.loads(sys.argv[1])]))
