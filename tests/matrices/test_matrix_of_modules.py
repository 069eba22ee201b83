"""Modules with a forward of their own: what is linear has a matrix, that of its Jacobian; the rest is refused."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convmat
from convmat import GeometryError
from convmat.matrices import modules

SHAPE = (2, 4, 5)


class Module(nn.Module):
    """Two convolutions, a number per channel, and a function of them."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(2, 2, 3, padding=1)
        self.second = nn.ConvTranspose2d(2, 2, (3, 2), padding=1, output_padding=0, stride=1)
        self.gain = nn.Parameter(torch.randn(2, 1, 1))
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def loop(m, x):
    for _ in range(2):
        x = x + m.first(x)
    return x


def in_place(m, x):
    y = m.first(x)
    y += x
    y *= 2
    return y


def chunks(m, x):
    first, second = torch.chunk(m.first(x), 2, 1)
    return torch.cat([second, first], 1)


TRACED = {
    "residual": lambda m, x: x + m.first(x),
    "difference": lambda m, x: m.first(x) - x,
    "shift and scale": lambda m, x: -(3 * x + 1) / 4 - m.gain,
    "gain per channel": lambda m, x: m.gain * m.first(x) + torch.mul(x, 0.5),
    "concatenation": lambda m, x: torch.cat([m.first(x)[..., 1:], x[..., :4], m.second(x)[:, :, :1]], 2),
    "concatenation of a constant": lambda m, x: torch.cat([x, m.gain.expand(x.size(0), 2, 1, 5)], 2),
    "of other sizes": lambda m, x: torch.cat([m.second(x).flatten(1), x.flatten(1)], 1),
    "reshaping": lambda m, x: m.first(x).reshape(x.size(0), 2, -1).permute(0, 2, 1),
    "view of sizes": lambda m, x: m.first(x).view(x.shape[0], -1)[:, ::3],
    "broadcast": lambda m, x: x[:, :1] + m.first(x),
    "chunks": chunks,
    "in place": in_place,
    "loop": loop,
    "flip and roll": lambda m, x: torch.roll(x.flip(3), 1, 2).contiguous(),
}
PUSHED = {
    "slice of chunks": lambda m, x: torch.cat(torch.chunk(m.first(x), 2, 1)[::-1], 1),  # PyTorch 2.8 cannot trace it
    "functional": lambda m, x: F.conv2d(x, m.first.weight, stride=2),
    "mean": lambda m, x: x - x.mean((2, 3), keepdim=True),
    "by the shape": lambda m, x: m.first(x) if x.shape[-1] > 3 else x,
    "matrix product": lambda m, x: x @ m.first.weight.flatten()[:15].reshape(5, 3),
    "large constant": lambda m, x: F.avg_pool2d(m.first(x), 2) + 1e4,
}


def jacobian(module, shape=SHAPE):
    """By PyTorch's autograd."""
    x = torch.zeros(1, *shape, dtype=torch.float64)
    y = torch.autograd.functional.jacobian(module, x, create_graph=True)
    return y.reshape(-1, x.numel())


def check(module, shape=SHAPE):
    expected = jacobian(module, shape)
    for layout in ("dense", "coo", "csr", "csc"):
        matrix = convmat.matrix(module, shape, layout=layout)
        torch.testing.assert_close(matrix.to_dense(), expected, rtol=1e-9, atol=1e-9)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    cotangent = torch.randn(expected.shape, dtype=torch.float64)
    if expected.requires_grad:
        ours = torch.autograd.grad(convmat.matrix(module, shape), parameters, cotangent, allow_unused=True)
        theirs = torch.autograd.grad(expected, parameters, cotangent, allow_unused=True)
        for one, other in zip(ours, theirs, strict=True):
            zero = torch.zeros((), dtype=torch.float64)
            torch.testing.assert_close((zero if one is None else one).sum(), (zero if other is None else other).sum())


@pytest.mark.parametrize("function", TRACED.values(), ids=TRACED.keys())
def test_what_is_traced_is_composed(function, monkeypatch):
    monkeypatch.setattr(modules, "_pushed", lambda *_: pytest.fail("unit vectors were pushed"))
    check(Module(function).double())


@pytest.mark.parametrize("function", PUSHED.values(), ids=PUSHED.keys())
def test_what_is_not_traced_is_pushed(function):
    check(Module(function).double())


def test_unit_vectors_are_pushed_some_at_a_time(monkeypatch):
    monkeypatch.setattr(modules, "_AT_A_TIME", 100)
    calls = []

    def function(m, x):
        calls.append(len(x))
        return F.conv2d(x, m.first.weight)

    convmat.matrix(Module(function), SHAPE)
    assert max(calls) <= 4
    assert sum(calls) >= 40


def test_pytorchs_warning_about_its_own_scripts_stays_unsaid(monkeypatch):
    """It warns where forward derivatives are first asked for, with Python 3.14 in words of its own."""
    jvp = torch.func.jvp

    def warning(*arguments):
        said = "`torch.jit.script` is not supported in Python 3.14+ and may break."
        warnings.warn(said, DeprecationWarning, stacklevel=1)
        return jvp(*arguments)

    monkeypatch.setattr(torch.func, "jvp", warning)
    assert convmat.matrix(Module(PUSHED["functional"]), SHAPE).shape[1] == 40


def test_a_residual_matrix_is_as_sparse_as_its_parts():
    layer = Module(TRACED["residual"])
    assert convmat.to_scipy(layer, (2, 64, 48)).nnz == convmat.to_scipy(layer.first, (2, 64, 48)).nnz


def test_as_a_part_of_a_model():
    inner = Module(TRACED["residual"])
    check(nn.Sequential(nn.ReflectionPad2d(1), inner, nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten())).double())


def test_parts_in_eval_mode():
    class Normalised(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.drop = nn.BatchNorm2d(2), nn.Dropout(0.5)

        def forward(self, x):
            return x + self.drop(self.norm(x))

    with pytest.raises(GeometryError, match=r"^Normalised: its part 'norm', a BatchNorm2d, is in train mode.*eval\(\)"):
        convmat.matrix(Normalised(), SHAPE)
    module = Normalised()
    module.norm.running_var.fill_(4.0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(GeometryError, match="train mode"):
        convmat.matrix(module, SHAPE)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    check(module.double().eval())


NONLINEAR = {
    "activation": lambda m, x: torch.relu(m.first(x)) + x,
    "absolute value": lambda m, x: x.abs(),
    "product of values": lambda m, x: x * m.first(x),
    "division by a value": lambda m, x: m.first(x) / (1 + x**2),
    "norm": lambda m, x: x / x.norm(),
    "random": lambda m, x: F.dropout(x, 0.5),
    "maximum": lambda m, x: F.max_pool2d(x, 2),
    "small bend": lambda m, x: x + 0.1 * torch.sin(x),
}


@pytest.mark.parametrize("function", NONLINEAR.values(), ids=NONLINEAR.keys())
def test_what_is_not_linear_is_refused(function):
    with pytest.raises(TypeError, match=r"^Module is not linear: leave it out, or take the matrices of what comes"):
        convmat.matrix(Module(function), SHAPE)


def test_the_refusal_names_the_part_and_is_short():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            return x + self.act(x)

    with pytest.raises(TypeError, match=r"^1: Block is not linear \(its part 'act' is a ReLU\): leave it out") as error:
        convmat.matrix(nn.Sequential(nn.Identity(), Block()), SHAPE)
    assert len(str(error.value)) < 150


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda m, x: (x, x), TypeError, "Module returns a tuple: need one tensor"),
        (lambda m, x: x.flatten(), GeometryError, "it mixes the batch with the rest"),
        (
            lambda m, x: x.reshape(len(x), 7),
            GeometryError,
            r"in_shape=\(2, 4, 5\) \(without the batch\) does not fit: ",
        ),
        (lambda m, x: x.sum(0, keepdim=True).expand_as(x), TypeError, "Module is not linear"),
    ],
)
def test_what_no_matrix_can_say_is_refused(function, error, message):
    with pytest.raises(error, match=message):
        convmat.matrix(Module(function), SHAPE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtypes(dtype):
    module = Module(TRACED["residual"]).to(dtype)
    matrix = convmat.matrix(module, SHAPE)
    assert matrix.dtype == dtype
    torch.testing.assert_close(matrix.double(), jacobian(Module(TRACED["residual"]).double()), rtol=0.02, atol=0.02)


def test_too_large_to_push_is_refused():
    with pytest.raises(GeometryError, match="are free: use "):
        convmat.matrix(Module(PUSHED["functional"]), (2, 2000, 3000))
