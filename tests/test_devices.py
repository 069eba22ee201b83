"""On a GPU: the same numbers as PyTorch's, in every method, layer and operator. Skipped where there is none."""

import pytest
import torch
from torch import nn

import convmat
from tests.layers import METHODS, Layer, reference

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks"),  # PyTorch's own, once
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
