"""PyTorch's own sample inputs and error inputs for the functions that convmat replaces."""

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import convmat
from tests.layers import METHODS, random_tensor, refused

CONVOLUTIONS = [f"conv{direction}{ndim}d" for direction in ("", "_transpose") for ndim in (1, 2, 3)]
DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.complex128,
    torch.complex64,
    torch.int64,
    torch.bool,
]

# PyTorch's own "same" says this of itself.
copies_for_same = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


@cache
def op_info(name: str):
    from torch.testing._internal.common_methods_invocations import op_db

    return next(op for op in op_db if op.name == f"nn.functional.{name}")


# By the functions of its table: around them, PyTorch looks for the source of every caller among all modules there are.


@cache
def samples(name: str, dtype: torch.dtype):
    torch.manual_seed(0)
    info = op_info(name)
    return list(info.sample_inputs_func(info, "cpu", dtype, requires_grad=False))


@cache
def errors(name: str):
    torch.manual_seed(0)
    info = op_info(name)
    return list(info.error_inputs_func(info, "cpu"))


def assert_same(ours, theirs, **tolerances):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert_close(ours, theirs, **tolerances)


def tolerances(expected):
    """``"auto"`` and PyTorch may sum in different orders: in float32, both round relative to the largest output."""
    if expected.dtype != torch.float32 or not expected.numel():
        return {}
    return {"rtol": 0, "atol": 1e-6 * expected.abs().max().item()}


def test_dtypes_are_all_that_pytorch_supports():
    supported = set().union(*(op_info(name).dtypes for name in [*CONVOLUTIONS, "unfold"]))
    assert supported == set(DTYPES)


@copies_for_same
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", [*CONVOLUTIONS, "unfold"])
def test_sample_inputs(name, dtype):
    if dtype not in op_info(name).dtypes:
        pytest.skip("PyTorch does not take this dtype")
    for sample in samples(name, dtype):
        theirs = getattr(F, name)(sample.input, *sample.args, **sample.kwargs)
        ours = getattr(convmat, name)(sample.input, *sample.args, **sample.kwargs)
        assert_same(ours, theirs, **tolerances(theirs))


@copies_for_same
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_sample_inputs_by_every_method(name, method, dtype):
    assert not refused(method, dtype, transposed="transpose" in name)
    for sample in samples(name, dtype):
        theirs = getattr(F, name)(sample.input, *sample.args, **sample.kwargs)
        ours = getattr(convmat, name)(sample.input, *sample.args, **sample.kwargs, method=method)
        assert_same(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_unfold_samples_folded_back(dtype):
    """PyTorch lists no samples for fold: the columns of those for unfold."""
    for sample in samples("unfold", torch.float64):
        size = tuple(sample.input.shape[-2:])
        columns = F.unfold(sample.input, *sample.args, **sample.kwargs)
        columns = random_tensor(columns.shape, dtype)
        exact = dtype == torch.int64
        theirs = F.fold(columns.double() if exact else columns, size, *sample.args, **sample.kwargs).to(dtype)
        assert_same(convmat.fold(columns, size, *sample.args, **sample.kwargs), theirs)


ERROR_NAMES = [f"conv{ndim}d" for ndim in (1, 2, 3)]


def supported_beyond_pytorch(kwargs) -> bool:
    """``padding="same"`` with a stride is an error to PyTorch alone."""
    return kwargs.get("padding") == "same" and kwargs.get("stride", 1) != 1


@pytest.mark.parametrize("name", ERROR_NAMES)
def test_error_inputs(name):
    for error in errors(name):
        sample = error.sample_input
        if supported_beyond_pytorch(sample.kwargs):
            continue
        with pytest.raises(RuntimeError):
            getattr(convmat, name)(sample.input, *sample.args, **sample.kwargs)


def test_error_inputs_that_are_supported_here():
    found = 0
    for name in ERROR_NAMES:
        for error in errors(name):
            sample = error.sample_input
            if not supported_beyond_pytorch(sample.kwargs):
                continue
            found += 1
            stride = sample.kwargs["stride"]
            weight = sample.args[0]
            output = getattr(convmat, name)(sample.input, *sample.args, **sample.kwargs)
            sizes = [-(-size // stride) for size in sample.input.shape[2:]]
            assert output.shape == (sample.input.shape[0], weight.shape[0], *sizes)
    assert found


@pytest.mark.parametrize("name", [f"conv_transpose{ndim}d" for ndim in (1, 2, 3)])
def test_error_inputs_of_the_direct_ones_transposed(name):
    """The wrong dtypes, strides, paddings and groups of the direct functions' error inputs are wrong here too."""
    for error in errors(name.replace("_transpose", "")):
        sample = error.sample_input
        if supported_beyond_pytorch(sample.kwargs):
            continue
        with pytest.raises(RuntimeError):
            getattr(convmat, name)(sample.input, *sample.args, **sample.kwargs)
