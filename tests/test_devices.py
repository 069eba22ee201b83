"""On a GPU: the same numbers as PyTorch's, in every method, layer and operator. Skipped where there is none."""

import copy

import pytest
import torch
from torch import nn

import convmat
from tests.layers import METHODS, Layer, reference

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks", "ignore:`torch.jit:DeprecationWarning"),  # PyTorch's
]

LAYERS = {
    "1d": Layer(sizes=(23,), kernel=(5,), stride=2, padding=3, channels=(4, 6)),
    "2d": Layer(sizes=(9, 12), kernel=(3, 4), stride=(2, 1), padding=1, groups=2, channels=(4, 6)),
    "3d": Layer(sizes=(4, 5, 7), kernel=(3, 2, 3), dilation=(1, 2, 1), padding=1, channels=(3, 2)),
    "transposed 1d": Layer(sizes=(11,), kernel=(4,), stride=3, padding=1, channels=(4, 6), transposed=True),
    "transposed 2d": Layer(sizes=(6, 7), kernel=(4, 3), stride=2, padding=1, channels=(4, 6), transposed=True),
    "reflect": Layer(sizes=(9, 12), kernel=(3, 5), padding=2, padding_mode="reflect", channels=(3, 4)),
}
cases = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())


@cases
@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_every_method(layer, method):
    operands = layer.tensors(2)
    output = layer(*(operand.cuda() for operand in operands), method=method)
    assert output.is_cuda
    torch.testing.assert_close(output.cpu(), reference(layer, *operands))


@cases
def test_gradients(layer):
    operands = [operand.requires_grad_() for operand in layer.tensors(2)]
    on_gpu = [operand.detach().cuda().requires_grad_() for operand in operands]
    reference(layer, *operands).square().sum().backward()
    layer(*on_gpu).square().sum().backward()
    for expected, operand in zip(operands, on_gpu, strict=True):
        torch.testing.assert_close(operand.grad.cpu(), expected.grad)


@cases
def test_the_matrix(layer):
    input, weight, _ = layer.tensors(2)
    matrix = layer.matrix(weight.cuda())
    assert matrix.is_cuda
    torch.testing.assert_close((input.cuda().flatten(1) @ matrix.mT).cpu(), reference(layer, input, weight).flatten(1))


def test_an_accelerated_model_moves_to_the_gpu_and_back():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 4, 4, 2, 1)).eval()
    input = torch.randn(2, 3, 9, 14)
    with torch.no_grad():
        expected = model(input)
        convmat.accelerate(model)
        torch.testing.assert_close(model.cuda()(input.cuda()).cpu(), expected, rtol=1e-3, atol=1e-3)  # TF32
        torch.testing.assert_close(model.cpu()(input), expected, rtol=1e-4, atol=1e-5)


def model_of_both_directions():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.GELU()
    return nn.Sequential(*layers).eval().cuda()


@pytest.mark.parametrize("options", [{}, {"freeze": True}, {"freeze": True, "fold": True}], ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_an_accelerated_model_computes_what_it_did(options, channels_last):
    model, input = model_of_both_directions(), torch.randn(2, 3, 9, 14, device="cuda")
    if channels_last:
        model, input = (part.to(memory_format=torch.channels_last) for part in (model, input))
    accelerated = copy.deepcopy(model)
    convmat.accelerate(accelerated, **options)
    with torch.no_grad():
        for _ in range(3):
            expected, output = model(input), accelerated(input)
            torch.testing.assert_close(output, expected, rtol=1e-3, atol=1e-3)  # TF32
            assert output.stride() == expected.stride()
    convmat.restore(accelerated)
    with torch.no_grad():
        assert torch.equal(accelerated(input), model(input))


def test_layers_that_moved_ask_again():
    layer, input = convmat.nn.ConvTranspose2d(64, 32, 4, 2, 1), torch.randn(2, 64, 19, 24)
    with torch.no_grad():
        for device in ("cuda", "cpu", "cuda", "cpu"):
            layer, input = layer.to(device), input.to(device)
            for _ in range(2):
                expected = nn.functional.conv_transpose2d(input, layer.weight, layer.bias, 2, 1)
                torch.testing.assert_close(layer(input), expected, rtol=1e-3, atol=1e-3)  # TF32
                output = convmat.conv_transpose2d(input, layer.weight, layer.bias, 2, 1)
                torch.testing.assert_close(output, expected, rtol=1e-3, atol=1e-3)


def test_operands_on_two_devices_are_refused():
    layer = LAYERS["2d"]
    input, weight, bias = (operand.cuda() for operand in layer.tensors(2))
    layer(input, weight, bias)
    for operands in ((input.cpu(), weight, bias), (input, weight.cpu(), bias), (input, weight, bias.cpu())):
        with pytest.raises((convmat.GeometryError, RuntimeError)):
            layer(*operands)


def test_autocast_after_plain_calls():
    layer = LAYERS["transposed 2d"]
    operands = [operand.cuda() for operand in layer.tensors(2, dtype=torch.float32)]
    for _ in range(2):
        expected = layer(*operands)
    with torch.autocast("cuda", torch.bfloat16):
        output = layer(*operands)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), expected, rtol=5e-2, atol=5e-2)
    assert layer(*operands).dtype == torch.float32


@cases
def test_compiled(layer):
    torch.compiler.reset()
    operands = [operand.cuda() for operand in layer.tensors(2)]
    compiled = torch.compile(lambda *operands: layer(*operands).relu(), fullgraph=True)
    torch.testing.assert_close(compiled(*operands), layer(*operands).relu(), rtol=1e-3, atol=1e-3)  # TF32


@cases
def test_transforms(layer):
    input, weight, bias = (operand.cuda().double() for operand in layer.tensors(2))
    for _ in range(2):
        expected = layer(input, weight, bias)
    mapped = torch.vmap(lambda one: layer(one[None], weight, bias)[0])(input)
    torch.testing.assert_close(mapped, expected)
    _, tangent = torch.func.jvp(lambda input: layer(input, weight, bias), (input,), (input,))
    torch.testing.assert_close(tangent, layer(input, weight, None))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    layer = LAYERS["transposed 2d"]
    operands = [operand.cuda().to(dtype) for operand in layer.tensors(2)]
    torch.testing.assert_close(layer(*operands), reference(layer, *operands))


def test_the_operator():
    operator = convmat.blur_operator(torch.rand(5, 3, dtype=torch.float64).cuda(), (20, 17))
    x, y = (torch.randn(*shape, dtype=torch.float64).cuda() for shape in (operator.in_shape, operator.out_shape))
    left, right = (y * (operator @ x)).sum(), ((operator.T @ y) * x).sum()
    torch.testing.assert_close(left, right)


def test_norms_and_solutions():
    torch.manual_seed(0)
    kernel, picture = torch.rand(5, 3, dtype=torch.float64), torch.rand(24, 19, dtype=torch.float64)
    here, there = (convmat.blur_operator(psf, (20, 17)) for psf in (kernel, kernel.cuda()))
    assert float(there.norm()) == pytest.approx(float(here.norm()))
    data = here @ picture.reshape(here.in_shape)
    solutions = [convmat.richardson_lucy(here, data, 3).x, convmat.richardson_lucy(there, data.cuda(), 3).x]
    assert solutions[1].is_cuda
    torch.testing.assert_close(solutions[1].cpu(), solutions[0])
