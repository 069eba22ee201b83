"""unfold and fold over any number of axes: against PyTorch in two, against loops in the others."""

import re
from itertools import product
from math import prod

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import convmat
from convmat import GeometryError
from tests.layers import INTEGERS, random_tensor
from tests.strategies import axis_numbers

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128, *INTEGERS]

# (sizes, arguments), of 1 to 4 axes
CASES = {
    "one axis": ((7,), {"kernel_size": (3,), "dilation": 2, "padding": 1, "stride": 2}),
    "one axis, uneven": ((5,), {"kernel_size": (2,), "padding": ((0, 3),), "stride": 3}),
    "two axes": ((4, 5), {"kernel_size": (2, 3), "dilation": (2, 1), "padding": (1, 0), "stride": (1, 2)}),
    "two axes, one number": ((4, 5), {"kernel_size": 3, "padding": 2, "stride": 2}),
    "two axes, a single cell": ((3, 4), {"kernel_size": (1, 1)}),
    "three axes": ((3, 4, 2), {"kernel_size": (2, 1, 2), "padding": (1, 0, 1), "stride": (2, 3, 1)}),
    "four axes": (
        (2, 3, 2, 4),
        {"kernel_size": (2, 2, 1, 3), "dilation": (1, 2, 1, 1), "padding": ((0, 0), (0, 1), (1, 0), (0, 0))},
    ),
}
every_case = pytest.mark.parametrize(("sizes", "arguments"), CASES.values(), ids=CASES.keys())


def per_axis(value, ndim):
    return tuple(value) if isinstance(value, tuple) else (value,) * ndim


def cells_under_each_window(sizes, kernel_size, dilation=1, padding=0, stride=1):
    """For each tap and window, the cell read, or ``None`` for a zero: a list of rows."""
    ndim = len(sizes)
    kernel, dilation, stride = (per_axis(value, ndim) for value in (kernel_size, dilation, stride))
    padding = [item if isinstance(item, tuple) else (item, item) for item in per_axis(padding, ndim)]
    windows = [
        range((m + lo + hi - d * (k - 1) - 1) // s + 1)
        for m, k, d, (lo, hi), s in zip(sizes, kernel, dilation, padding, stride, strict=True)
    ]

    def cell(tap, window):
        index = tuple(
            o * s - lo + t * d for o, s, (lo, _), t, d in zip(window, stride, padding, tap, dilation, strict=True)
        )
        return index if all(0 <= i < m for i, m in zip(index, sizes, strict=True)) else None

    return [[cell(tap, window) for window in product(*windows)] for tap in product(*map(range, kernel))]


def unfold_by_loops(x, arguments):
    cells = cells_under_each_window(x.shape[2:], **arguments)
    rows = [
        [x[(b, c, *cell)] if cell is not None else torch.zeros((), dtype=x.dtype) for cell in row]
        for b in range(x.shape[0])
        for c in range(x.shape[1])
        for row in cells
    ]
    return torch.stack([torch.stack(row) for row in rows]).reshape(x.shape[0], x.shape[1] * len(cells), -1)


def fold_by_loops(columns, sizes, arguments):
    cells = cells_under_each_window(sizes, **arguments)
    result = torch.zeros(columns.shape[0], columns.shape[1] // len(cells), *sizes, dtype=columns.dtype)
    for b, c, (t, row) in product(range(result.shape[0]), range(result.shape[1]), enumerate(cells)):
        for window, cell in enumerate(row):
            if cell is not None:
                result[(b, c, *cell)] += columns[b, c * len(cells) + t, window]
    return result


def tensors(sizes, arguments, dtype=torch.float64, batch=2, channels=2):
    """An input, and columns of the shape of its own."""
    generator = torch.Generator().manual_seed(0)
    x = random_tensor((batch, channels, *sizes), dtype, generator)
    cells = cells_under_each_window(sizes, **arguments)
    return x, random_tensor((batch, channels * len(cells), len(cells[0])), dtype, generator)


@every_case
def test_unfold_by_loops(sizes, arguments):
    x, columns = tensors(sizes, arguments)
    ours = convmat.unfold(x, **arguments)
    assert ours.shape == columns.shape
    assert torch.equal(ours, unfold_by_loops(x, arguments))


@every_case
def test_fold_by_loops(sizes, arguments):
    x, columns = tensors(sizes, arguments)
    ours = convmat.fold(columns, sizes, **arguments)
    assert ours.shape == x.shape
    assert_close(ours, fold_by_loops(columns, sizes, arguments), rtol=1e-12, atol=1e-12)


@st.composite
def arguments_in_two_axes(draw):
    """Sizes and arguments that PyTorch's functions take."""
    axes = [draw(axis_numbers(transposed=False, padding_mode="zeros", largest=4, even=True)) for _ in range(2)]
    sizes, kernel, stride, dilation, padding = zip(
        *((a.m, a.kernel, a.stride, a.dilation, a.lo) for a in axes), strict=True
    )
    return sizes, {"kernel_size": kernel, "dilation": dilation, "padding": padding, "stride": stride}


@given(arguments_in_two_axes())
def test_unfold_is_pytorchs(case):
    sizes, arguments = case
    x, _ = tensors(sizes, arguments)
    assert torch.equal(convmat.unfold(x, **arguments), F.unfold(x, **arguments))


@given(arguments_in_two_axes())
def test_fold_is_pytorchs(case):
    sizes, arguments = case
    _, columns = tensors(sizes, arguments)
    assert_close(convmat.fold(columns, sizes, **arguments), F.fold(columns, sizes, **arguments), rtol=1e-12, atol=1e-12)


def test_arguments_in_pytorchs_order():
    x = torch.randn(2, 3, 6, 7)
    columns = F.unfold(x, (2, 3), 2, 1, (1, 2))
    assert torch.equal(convmat.unfold(x, (2, 3), 2, 1, (1, 2)), columns)
    assert_close(convmat.fold(columns, (6, 7), (2, 3), 2, 1, (1, 2)), F.fold(columns, (6, 7), (2, 3), 2, 1, (1, 2)))


def test_one_number_means_two_axes():
    x = torch.randn(2, 3, 6, 6)
    columns = convmat.unfold(x, 2)
    assert torch.equal(columns, F.unfold(x, 2))
    assert_close(convmat.fold(columns, 6, 2), F.fold(columns, 6, 2))


@every_case
def test_fold_is_the_transpose_of_unfold(sizes, arguments):
    """The dot product test: <columns, unfold(x)> = <fold(columns), x>."""
    x, columns = tensors(sizes, arguments)
    by_columns = (columns * convmat.unfold(x, **arguments)).sum()
    assert_close(by_columns, (convmat.fold(columns, sizes, **arguments) * x).sum())


@every_case
def test_multiplying_columns_is_a_convolution(sizes, arguments):
    if len(sizes) > 3:
        pytest.skip("PyTorch convolves over at most 3 axes")
    x, _ = tensors(sizes, arguments)
    kernel = per_axis(arguments["kernel_size"], len(sizes))
    weight = torch.randn(3, 2, *kernel, dtype=x.dtype)
    ours = weight.flatten(1) @ convmat.unfold(x, **arguments)
    options = {name: value for name, value in arguments.items() if name != "kernel_size"}
    padding = [
        item if isinstance(item, tuple) else (item,) * 2 for item in per_axis(options.pop("padding", 0), len(sizes))
    ]
    padded = F.pad(x, [amount for pair in reversed(padding) for amount in pair])
    assert_close(ours, getattr(F, f"conv{len(sizes)}d")(padded, weight, **options).flatten(2))


@every_case
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(sizes, arguments, dtype):
    x, columns = tensors(sizes, arguments, dtype)
    unfolded, folded = convmat.unfold(x, **arguments), convmat.fold(columns, sizes, **arguments)
    assert unfolded.dtype == folded.dtype == dtype
    assert torch.equal(unfolded, unfold_by_loops(x, arguments))
    wide = torch.complex128 if dtype.is_complex else torch.float64
    expected = fold_by_loops(columns.to(wide), sizes, arguments).to(dtype)
    exact = dtype in INTEGERS
    loose = 0.05 if dtype in (torch.float16, torch.bfloat16) else 1e-4
    assert_close(folded, expected, rtol=0 if exact else loose, atol=0 if exact else loose)


@every_case
def test_bool(sizes, arguments):
    x, columns = tensors(sizes, arguments, torch.bool)
    unfolded, folded = convmat.unfold(x, **arguments), convmat.fold(columns, sizes, **arguments)
    assert unfolded.dtype == folded.dtype == torch.bool
    assert torch.equal(unfolded, unfold_by_loops(x, arguments))
    assert torch.equal(folded, fold_by_loops(columns.long(), sizes, arguments) > 0)


def test_bool_like_pytorchs():
    x = torch.tensor([[[[True, False, True], [False, True, True]]]])
    assert torch.equal(convmat.unfold(x, 2, padding=1), F.unfold(x, 2, padding=1))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@every_case
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_derivatives(sizes, arguments, dtype):
    for tensor, function in zip(
        tensors(sizes, arguments, dtype, batch=1, channels=1),
        (lambda x: convmat.unfold(x, **arguments), lambda columns: convmat.fold(columns, sizes, **arguments)),
        strict=True,
    ):
        tensor.requires_grad_()
        assert torch.autograd.gradcheck(function, (tensor,), check_forward_ad=True)
        assert torch.autograd.gradgradcheck(lambda t, f=function: f(t) * f(t), (tensor,), fast_mode=True)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@every_case
def test_transforms(sizes, arguments):
    """vmap over samples; Jacobians by forward and by reverse mode."""
    for tensor, function in zip(
        tensors(sizes, arguments, channels=1),
        (lambda x: convmat.unfold(x, **arguments), lambda columns: convmat.fold(columns, sizes, **arguments)),
        strict=True,
    ):
        assert torch.equal(torch.func.vmap(function)(tensor), function(tensor))
        sample = tensor[0]
        forward, reverse = torch.func.jacfwd(function)(sample), torch.func.jacrev(function)(sample)
        assert torch.equal(forward, reverse)
        applied = forward.reshape(-1, sample.numel()) @ sample.flatten()
        assert_close(applied, function(sample).flatten())


@every_case
@pytest.mark.parametrize("batch", [None, 0, 1], ids=["unbatched", "empty", "one"])
def test_batches(sizes, arguments, batch):
    x, columns = tensors(sizes, arguments, batch=1 if batch is None else batch)
    unfolded = convmat.unfold(x[0] if batch is None else x, **arguments)
    folded = convmat.fold(columns[0] if batch is None else columns, sizes, **arguments)
    assert unfolded.shape == (columns[0].shape if batch is None else columns.shape)
    assert folded.shape == (x[0].shape if batch is None else x.shape)
    if batch != 0:
        assert torch.equal(unfolded.reshape(columns.shape), unfold_by_loops(x, arguments))
        assert_close(folded.reshape(x.shape), fold_by_loops(columns, sizes, arguments), rtol=1e-12, atol=1e-12)


@every_case
def test_no_memory_is_shared_with_the_input(sizes, arguments):
    x, columns = tensors(sizes, arguments)
    for tensor, result in ((x, convmat.unfold(x, **arguments)), (columns, convmat.fold(columns, sizes, **arguments))):
        copy = tensor.clone()
        result.zero_()
        assert torch.equal(tensor, copy)


ERRORS = {
    "unfold: no channels": (
        lambda: convmat.unfold(torch.ones(4, 5), (2, 2)),
        ["input of shape (4, 5)", "2 dim", "needs 4"],
    ),
    "unfold: too large a kernel": (
        lambda: convmat.unfold(torch.ones(1, 4, 5), (2, 6)),
        ["axis 1", "kernel_size=6", "<= 5"],
    ),
    "unfold: kernel 0": (lambda: convmat.unfold(torch.ones(1, 4, 5), (0, 2)), ["kernel_size=0", "at least 1"]),
    "unfold: stride 0": (lambda: convmat.unfold(torch.ones(1, 4, 5), 2, stride=0), ["stride=0", "at least 1"]),
    "unfold: three strides": (
        lambda: convmat.unfold(torch.ones(1, 4, 5), 2, stride=(1, 2, 3)),
        ["stride=(1, 2, 3)", "2 axes"],
    ),
    "unfold: negative padding": (
        lambda: convmat.unfold(torch.ones(1, 4, 5), 2, padding=-1),
        ["padding (-1, -1)", ">= 0"],
    ),
    "fold: rows": (
        lambda: convmat.fold(torch.ones(1, 5, 6), (3, 4), 2),
        ["has 5 rows", "multiple of prod(kernel_size) = 4"],
    ),
    "fold: windows": (lambda: convmat.fold(torch.ones(1, 4, 5), (3, 4), 2), ["has 5 columns", "2 x 3 = 6", "(3, 4)"]),
    "fold: dimensions": (
        lambda: convmat.fold(torch.ones(1, 2, 4, 6), (3, 4), 2),
        ["input of shape (1, 2, 4, 6)", "fold"],
    ),
    "fold: output of nothing": (lambda: convmat.fold(torch.ones(1, 4, 6), (0, 4), 2), ["=0 must be at least 1"]),
}


@pytest.mark.parametrize(("call", "fragments"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(call, fragments):
    with pytest.raises(GeometryError) as error:
        call()
    assert all(re.search(re.escape(fragment), str(error.value)) for fragment in fragments), str(error.value)


TYPE_ERRORS = {
    "unfold: a list for a tensor": (lambda: convmat.unfold([[1, 2]], (2,)), "input must be a torch.Tensor, not list"),
    "fold: a list for a tensor": (lambda: convmat.fold([[1, 2]], (2,), 1), "input must be a torch.Tensor, not list"),
    "unfold: a kernel of floats": (
        lambda: convmat.unfold(torch.ones(1, 4), (2.0,)),
        "kernel_size=2.0 must be an integer",
    ),
    "unfold: one float": (lambda: convmat.unfold(torch.ones(1, 4, 4), 2.0), "kernel_size=2.0 must be an integer"),
    "unfold: a bool": (lambda: convmat.unfold(torch.ones(1, 4, 4), True), "kernel_size=True must be an integer"),
    "fold: one float": (lambda: convmat.fold(torch.ones(1, 4, 4), 2.0, 1), "output_size=2.0 must be an integer"),
    "fold: a bool": (lambda: convmat.fold(torch.ones(1, 1, 1), True, 1), "output_size=True must be an integer"),
}


@pytest.mark.parametrize(("call", "message"), TYPE_ERRORS.values(), ids=TYPE_ERRORS.keys())
def test_wrong_types(call, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


def test_sizes_of_columns_agree_with_prod():
    x = torch.ones(1, 2, 3, 4, 5)
    assert convmat.unfold(x, (2, 2, 2)).shape == (1, 2 * 8, prod((2, 3, 4)))
