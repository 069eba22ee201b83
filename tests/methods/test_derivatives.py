"""Derivatives of every method, in every way that PyTorch differentiates."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, jacfwd, jacrev, jvp, vjp, vmap
from torch.testing import assert_close

from tests.cases import LAYERS
from tests.layers import METHODS, Layer, reference

# PyTorch's forward mode compiles some of its own formulas so.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

every_case = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
every_method = pytest.mark.parametrize("method", ["auto", *METHODS])
both_directions = pytest.mark.parametrize("transposed", [False, True], ids=["direct", "transposed"])

COMPLEX = {
    "direct": Layer(sizes=(4, 3), kernel=(2, 2), stride=(1, 2), padding=(1, 0), groups=2, channels=(2, 2)),
    "transposed": Layer(transposed=True, sizes=(2, 3), kernel=(2, 1), stride=(1, 2), groups=2, channels=(2, 2)),
    "direct circular": Layer(sizes=(3, 2), kernel=(2, 2), padding=1, padding_mode="circular"),
    "transposed reflect": Layer(transposed=True, sizes=(4,), kernel=(2,), padding=1, padding_mode="reflect"),
}
complex_cases = pytest.mark.parametrize("layer", COMPLEX.values(), ids=COMPLEX.keys())


def tracked(layer: Layer, *batch: int, dtype=torch.float64):
    return tuple(tensor.requires_grad_() for tensor in layer.tensors(*batch, dtype=dtype))


def derivative_tensors(layer: Layer, *batch: int, dtype=torch.float64):
    """A point, a direction in which to go from it, and a cotangent."""
    point, direction = layer.tensors(*batch, dtype=dtype), layer.tensors(*batch, dtype=dtype, seed=1)
    cotangent = torch.randn(*batch, layer.channels[1], *layer.out_sizes, dtype=dtype)
    return point, direction, cotangent


# -- against finite differences ----------------------------------------------------------------------------------------


@every_case
@every_method
def test_first_derivatives(layer, method):
    assert gradcheck(lambda *tensors: layer(*tensors, method=method), tracked(layer, 2), fast_mode=True)


@every_case
@every_method
def test_second_derivatives(layer, method):
    assert gradgradcheck(lambda *tensors: layer(*tensors, method=method), tracked(layer, 1), fast_mode=True)


@complex_cases
@every_method
def test_complex_derivatives(layer, method):
    def function(*tensors):
        return layer(*tensors, method=method)

    assert gradcheck(function, tracked(layer, 1, dtype=torch.complex128))
    assert gradgradcheck(function, tracked(layer, 1, dtype=torch.complex128), fast_mode=True)


@pytest.mark.parametrize("name", ["grouped", "circular", "transposed_dilated", "transposed_uneven"])
@every_method
def test_derivatives_entry_by_entry(name, method):
    """Not along random directions only; forward mode as well."""
    layer = LAYERS[name]
    tensors = tracked(layer, 1)
    assert gradcheck(lambda *tensors: layer(*tensors, method=method), tensors, check_forward_ad=True)


# -- against PyTorch's own derivatives ---------------------------------------------------------------------------------


@every_case
@every_method
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_gradients_are_pytorchs(layer, method, dtype):
    point, _, cotangent = derivative_tensors(layer, 2, dtype=dtype)
    _, ours = vjp(lambda *tensors: layer(*tensors, method=method), *point)
    _, theirs = vjp(lambda *tensors: reference(layer, *tensors), *point)
    for our, their in zip(ours(cotangent), theirs(cotangent), strict=True):
        assert_close(our, their, rtol=1e-9, atol=1e-9)


@every_case
@every_method
@pytest.mark.parametrize("wanted", range(3), ids=["input", "weight", "bias"])
def test_gradient_of_one_operand_alone(layer, method, wanted):
    point, _, cotangent = derivative_tensors(layer, 2)
    for position, tensor in enumerate(point):
        tensor.requires_grad_(position == wanted)
    (ours,) = torch.autograd.grad(layer(*point, method=method), point[wanted], cotangent)
    (theirs,) = torch.autograd.grad(reference(layer, *point), point[wanted], cotangent)
    assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@every_case
@every_method
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_forward_mode_is_pytorchs(layer, method, dtype):
    point, direction, _ = derivative_tensors(layer, 2, dtype=dtype)
    ours = jvp(lambda *tensors: layer(*tensors, method=method), point, direction)
    theirs = jvp(lambda *tensors: reference(layer, *tensors), point, direction)
    for our, their in zip(ours, theirs, strict=True):
        assert_close(our, their, rtol=1e-9, atol=1e-9)


@both_directions
@every_method
@pytest.mark.parametrize("wanted", range(2), ids=["input", "weight"])
def test_forward_mode_along_one_operand_alone(method, transposed, wanted):
    layer = Layer(sizes=(4, 3), kernel=(3, 2), stride=(2, 1), padding=1, transposed=transposed)
    point, direction, _ = derivative_tensors(layer, 2)

    def along(function):
        return lambda tensor: function(*point[:wanted], tensor, *point[wanted + 1 :])

    ours = jvp(along(lambda *tensors: layer(*tensors, method=method)), (point[wanted],), (direction[wanted],))
    theirs = jvp(along(lambda *tensors: reference(layer, *tensors)), (point[wanted],), (direction[wanted],))
    assert_close(ours[1], theirs[1], rtol=1e-9, atol=1e-9)


@both_directions
@every_method
@pytest.mark.parametrize("outer", [jacrev, jacfwd], ids=["jacrev", "jacfwd"])
@pytest.mark.parametrize("inner", [jacrev, jacfwd], ids=["jacrev", "jacfwd"])
def test_transforms_compose(method, transposed, outer, inner):
    """The mixed second derivative, by input and weight, forward over reverse and so on.

    Of methods with derivatives of their own, PyTorch would get forward over forward wrong, so these refuse it.
    """
    layer = Layer(sizes=(3,), kernel=(2,), stride=2, padding=1, output_padding=0, transposed=transposed)
    x, weight, _ = layer.tensors()

    def mixed(function):
        return outer(inner(function, argnums=0), argnums=1)(x, weight)

    def compute():
        return mixed(lambda x, w: layer(x, w, method=method).pow(2).sum())

    if method in ("sparse", "unfold") and outer is inner is jacfwd:
        with pytest.raises(NotImplementedError, match="forward mode over forward mode"):
            compute()
        return
    assert_close(compute(), mixed(lambda x, w: reference(layer, x, w).pow(2).sum()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.complex64], ids=str)
@both_directions
@every_method
def test_gradients_in_other_dtypes(method, transposed, dtype):
    layer = Layer(sizes=(4, 3), kernel=(2, 3), stride=(1, 2), padding=1, transposed=transposed, channels=(2, 1))
    tensors = tracked(layer, 2, dtype=dtype)
    output = layer(*tensors, method=method)
    ours = torch.autograd.grad(output, tensors, torch.ones_like(output))
    wide = torch.complex128 if dtype.is_complex else torch.float64
    precise = [tensor.detach().to(wide).requires_grad_() for tensor in tensors]
    expected = reference(layer, *precise)
    theirs = torch.autograd.grad(expected, precise, torch.ones_like(expected))
    tolerance = 1e-1 if dtype in (torch.float16, torch.bfloat16) else 1e-4
    for our, their in zip(ours, theirs, strict=True):
        assert our.dtype == dtype
        assert_close(our.to(wide), their, rtol=tolerance, atol=tolerance)


# -- vmap --------------------------------------------------------------------------------------------------------------

MAPPED = {"input": (0, None), "weight": (None, 0), "both": (0, 0), "input from its last dimension": (-1, None)}


@every_case
@every_method
@pytest.mark.parametrize("in_dims", MAPPED.values(), ids=MAPPED.keys())
@pytest.mark.parametrize("batch", [(), (2,)], ids=["unbatched", "batch"])
def test_vmap(layer, method, in_dims, batch):
    stacks = [
        torch.stack([layer.tensors(*batch, seed=seed)[position] for seed in range(3)], -1 if dim == -1 else 0)
        for position, dim in enumerate(in_dims)
    ]
    x, weight = (stack if dim is not None else stack[0] for stack, dim in zip(stacks, in_dims, strict=True))
    ours = vmap(lambda x, w: layer(x, w, method=method), in_dims)(x, weight)
    by_hand = [
        reference(layer, *(t.select(d, i) if d is not None else t for t, d in zip((x, weight), in_dims, strict=True)))
        for i in range(3)
    ]
    assert_close(ours, torch.stack(by_hand), rtol=1e-9, atol=1e-9)


@every_case
@every_method
def test_gradients_of_each_sample(layer, method):
    x, weight, _ = layer.tensors(3)

    def loss(function):
        return lambda w, x: function(x, w).pow(2).sum()

    ours = vmap(grad(loss(lambda x, w: layer(x, w, method=method))), (None, 0))(weight, x)
    theirs = torch.stack([grad(loss(lambda x, w: reference(layer, x, w)))(weight, sample) for sample in x])
    assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
