"""The kernel against PyTorch in float64: any geometry, any place in memory, any way to cut it."""

from unittest.mock import patch

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convmat.kernel import schedule as kernel_schedule
from tests.kernel.kernels import (
    ACTIVATIONS,
    assert_right,
    calls,
    computed,
    has_contiguous_output,
    plan_for,
    watched_outputs,
)

WINDOWS = st.sampled_from([None, 1 << 9, 1 << 11, 1 << 13, 1 << 15])
THREADS = st.integers(1, 4)


@settings(derandomize=True)
@given(call=calls())
def test_the_method(call):
    operands = call.tensors()
    with torch.no_grad(), watched_outputs():
        output = call.layer(*operands, method="tiles")
    assert_right(output, call.layer, *operands)


@settings(derandomize=True)
@given(call=calls())
def test_auto(call):
    operands = call.tensors()
    with torch.no_grad():
        output = call.layer(*operands)
    assert_right(output, call.layer, *operands)


@settings(derandomize=True)
@given(
    call=calls(batches=(1, 2, 3, 7, 16, 17)),
    threads=THREADS,
    window=WINDOWS,
    whim=st.none() | st.integers(0, 99),
    shift=st.sampled_from([0, 0, 1, 3, 8]),
    non_temporal=st.booleans(),
    activation=st.sampled_from([None, *ACTIVATIONS]),
)
def test_the_kernel(call, threads, window, whim, shift, non_temporal, activation):
    """Small caches make many boxes, and whether outputs go around the caches is a matter of their size."""
    operands = call.tensors()
    contiguous = has_contiguous_output(operands[0])
    plan = plan_for(call.layer, call.batch, call.dtype, threads, window, whim, contiguous=contiguous)
    streamed = patch.object(kernel_schedule, "_STREAMED", 0 if non_temporal else 1 << 60)
    with streamed, watched_outputs(shift):
        output = computed(plan, *operands, threads, activation)
    assert_right(output, call.layer, *operands, activation)
