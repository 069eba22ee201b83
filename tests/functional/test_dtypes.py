"""Every dtype is computed with, or refused in words of ours that say which would do."""

import pytest
import torch

import convmat
from convmat import GeometryError

# PyTorch's own, of quantized tensors.
pytestmark = pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor", "ignore:ComplexHalf support")

DTYPES = sorted({value for value in vars(torch).values() if isinstance(value, torch.dtype)}, key=str)
COMPUTED = {"float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128"} | {
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
}


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def tensor(shape, dtype):
    try:
        return torch.ones(shape).to(dtype)
    except (RuntimeError, NotImplementedError):
        try:
            return torch.empty(shape, dtype=dtype)
        except (RuntimeError, NotImplementedError):
            pytest.skip(f"PyTorch makes no tensors of {dtype}")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_methods_compute_or_refuse(dtype):
    x, weight = tensor((1, 2, 5, 6), dtype), tensor((2, 2, 3, 2), dtype)
    for function in (convmat.conv2d, convmat.conv_transpose2d):
        for method in convmat.available_methods():
            try:
                function(x, weight, method=method)
            except GeometryError as error:
                refusal = str(error)
            else:
                assert name_of(dtype) in COMPUTED
                continue
            assert name_of(dtype) in refusal
            if name_of(dtype) not in (*COMPUTED, "bool"):
                kinds = "is quantized" if x.is_quantized else "need float16 to float64, bfloat16"
                assert kinds in refusal
                assert "would do" in refusal


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_auto_computes_what_any_method_does(dtype):
    if name_of(dtype) in COMPUTED:
        x, weight = tensor((1, 2, 5, 6), dtype), tensor((2, 2, 3, 2), dtype)
        assert convmat.conv2d(x, weight).dtype == convmat.conv_transpose2d(x, weight).dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_unfold_fold_and_matrices_compute_or_refuse(dtype):
    calls = (
        lambda: convmat.unfold(tensor((1, 2, 5, 6), dtype), 2, padding=1),
        lambda: convmat.fold(tensor((4, 6), dtype), (3, 4), 2),
        lambda: convmat.conv_matrix(tensor((2, 2, 3, 2), dtype), (5, 6)),
        lambda: convmat.conv_matrix(tensor((2, 2, 3, 2), dtype), (5, 6), layout="csc"),
    )
    for call in calls:
        try:
            call()
        except GeometryError as error:
            refusal = str(error)
        else:
            continue
        assert name_of(dtype) in refusal
        assert name_of(dtype) not in COMPUTED - {"complex32"}


def test_autocast_casts_what_it_can():
    x, weight = torch.ones(1, 2, 5, 6).to(torch.float8_e5m2), torch.ones(2, 2, 3, 2)
    with torch.autocast("cpu"):
        assert convmat.conv2d(x, weight).dtype == torch.bfloat16
