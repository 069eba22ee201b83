"""A layer divided by its true norm."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import convmat
from convmat import ConvOperator, GeometryError
from convmat.nn import spectral_norm

LAYERS = {
    "zeros": (nn.Conv2d(8, 8, 3, padding=1), (8, 12, 10)),
    "strided": (nn.Conv2d(3, 8, 4, stride=2, padding=1), (3, 12, 10)),
    "transposed": (nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1), (4, 6, 5)),
    "grouped": (nn.Conv1d(4, 8, 5, padding=2, groups=2, padding_mode="circular"), (4, 20)),
    "ours": (convmat.nn.Conv3d(2, 3, 3, padding="same", padding_mode="replicate"), (2, 4, 5, 6)),
}


def true_norm(layer, in_shape) -> float:
    return float(torch.linalg.matrix_norm(convmat.matrix(layer, in_shape).detach().double(), 2))


@pytest.mark.parametrize(("layer", "in_shape"), LAYERS.values(), ids=LAYERS)
def test_the_layer_has_norm_one(layer, in_shape):
    torch.manual_seed(0)
    layer.reset_parameters()
    expected = layer.weight.detach() / true_norm(layer, in_shape)
    wrapped = spectral_norm(layer, in_shape=in_shape)
    assert wrapped is layer
    assert true_norm(layer, in_shape) == pytest.approx(1, rel=1e-3)
    torch.testing.assert_close(layer.weight, expected, rtol=2e-3, atol=0.0)
    parametrize.remove_parametrizations(layer, "weight")
    assert true_norm(layer, in_shape) == pytest.approx(1, rel=1e-3)


def test_pytorchs_own_does_not():
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 8, 3, padding=1), n_power_iterations=50)
    assert true_norm(layer, (8, 12, 10)) > 1.3


def test_it_stays_one_while_training():
    torch.manual_seed(0)
    layer, in_shape = spectral_norm(nn.Conv2d(4, 4, 3, padding=1), in_shape=(4, 9, 8)), (4, 9, 8)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)
    x, y = torch.randn(16, 4, 9, 8), torch.randn(16, 4, 9, 8)
    before = layer.parametrizations.weight.original.detach().clone()
    for _ in range(40):
        optimizer.zero_grad()
        (layer(x) - y).square().mean().mul(20).backward()
        optimizer.step()
    assert (layer.parametrizations.weight.original - before).norm() > 0.2 * before.norm()
    assert true_norm(layer, in_shape) == pytest.approx(1, rel=1e-2)


def test_gradients_are_those_of_the_division():
    torch.manual_seed(1)  # the largest singular value is well apart from the others
    layer = nn.Conv2d(2, 3, 3, padding=1, dtype=torch.float64)
    weight = layer.weight.detach().clone().requires_grad_()
    target = torch.randn_like(weight)
    (expected,) = torch.autograd.grad(
        ((weight / ConvOperator(weight, (4, 3), padding=1).norm()) * target).sum(), weight
    )
    spectral_norm(layer, in_shape=(2, 4, 3), steps=200)
    (layer.weight * target).sum().backward()
    torch.testing.assert_close(layer.parametrizations.weight.original.grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("layer", "in_shape"),
    [
        (nn.Conv2d(2, 3, (3, 2), padding=1, dtype=torch.float64), (2, 4, 3)),
        (nn.ConvTranspose1d(4, 2, 3, stride=2, groups=2, dtype=torch.float64), (4, 5)),
        (convmat.nn.Conv1d(2, 2, 3, padding="same", padding_mode="reflect", dtype=torch.float64), (2, 6)),
        (nn.Conv1d(2, 3, 2, dtype=torch.complex128), (2, 5)),
    ],
)
def test_first_and_second_gradients(layer, in_shape, training):
    """Of the division by the length of the image of the vector at hand, which is what eval mode keeps."""
    torch.manual_seed(1)
    layer.reset_parameters()
    normalise = spectral_norm(layer, in_shape=in_shape).parametrizations.weight[0].train(training)
    normalise(layer.parametrizations.weight.original)  # to the top, or training would move on
    for _ in range(300 * training):
        normalise(layer.parametrizations.weight.original)
    vector, geometry = normalise.vector.clone(), normalise.geometry
    weight = layer.parametrizations.weight.original.detach().clone().requires_grad_()
    target = torch.randn_like(weight)

    def derivatives(normalised):
        (first,) = torch.autograd.grad((normalised * target.conj()).sum().real, weight, create_graph=True)
        (second,) = torch.autograd.grad((first * target.conj()).sum().real, weight)
        return normalised, first, second

    expected = derivatives(weight / torch.linalg.vector_norm(ConvOperator.of(geometry, weight).apply(vector)))
    for mine, other in zip(derivatives(normalise(weight)), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-8)


def test_the_norm_is_as_precise_under_autocast():
    layer, in_shape = spectral_norm(nn.Conv2d(4, 6, 3, padding=1), in_shape=(4, 9, 8)), (4, 9, 8)
    weight = layer.parametrizations.weight.original
    with torch.autocast("cpu", torch.bfloat16):
        normalised = layer.weight
        layer(torch.randn(2, *in_shape)).sum().backward()
    assert normalised.dtype == torch.float32
    assert weight.grad.isfinite().all()
    geometry, vector = layer.parametrizations.weight[0].geometry, layer.parametrizations.weight[0].vector
    with torch.no_grad():
        expected = torch.linalg.vector_norm(ConvOperator.of(geometry, weight).apply(vector))
    torch.testing.assert_close(weight.norm() / normalised.norm(), expected, rtol=1e-4, atol=0)


@pytest.mark.filterwarnings("ignore")  # the compiler's own, and those of forward mode
def test_transforms_and_compilers_see_plain_operations():
    # In float64: the terms of the tangent are much larger than their sum.
    layer = spectral_norm(nn.Conv1d(2, 3, 3, padding=1, dtype=torch.float64), in_shape=(2, 9)).eval()
    weight, x = layer.parametrizations.weight.original.detach(), torch.randn(4, 2, 9, dtype=torch.float64)

    def loss(weight):
        named = {"parametrizations.weight.original": weight}
        return torch.func.functional_call(layer, named, (x,)).square().sum()

    layer(x).square().sum().backward()
    expected = layer.parametrizations.weight.original.grad
    torch.testing.assert_close(torch.func.grad(loss)(weight), expected)
    _, tangent = torch.func.jvp(loss, (weight,), (weight.cos(),))
    torch.testing.assert_close(tangent, (expected * weight.cos()).sum())
    torch.testing.assert_close(torch.compile(layer, backend="eager")(x), layer(x))


def test_eval_changes_nothing_and_a_state_dict_carries_all():
    layer = spectral_norm(nn.Conv1d(2, 2, 3), in_shape=(2, 9)).eval()
    x = torch.randn(1, 2, 9)
    expected = layer(x)
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    assert set(state) == {"bias", "parametrizations.weight.original", "parametrizations.weight.0.vector"}
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=0)
    other = spectral_norm(nn.Conv1d(2, 2, 3), in_shape=(2, 9)).eval()
    other.load_state_dict(state)
    torch.testing.assert_close(other(x), expected, rtol=0, atol=0)


def test_several_passes_before_one_backward():
    layer = spectral_norm(nn.Conv1d(2, 2, 3, padding=1), in_shape=(2, 9))
    layer(layer(torch.randn(4, 2, 9))).square().sum().backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_bad_input():
    with pytest.raises(TypeError, match="Linear"):
        spectral_norm(nn.Linear(2, 2), in_shape=(2,))
    with pytest.raises(GeometryError, match="Conv2d: input has 3 channels"):
        spectral_norm(nn.Conv2d(2, 2, 3), in_shape=(3, 5, 5))
    with pytest.raises(GeometryError, match="steps=0"):
        spectral_norm(nn.Conv2d(2, 2, 3), in_shape=(2, 5, 5), steps=0)
    layer = nn.Conv2d(2, 2, 3)
    nn.init.zeros_(layer.weight)
    with pytest.raises(GeometryError, match="the weight is zero"):
        spectral_norm(layer, in_shape=(2, 5, 5))
