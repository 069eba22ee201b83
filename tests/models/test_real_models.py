"""Models that others wrote, with random weights: before and after acceleration, and after restoring.

Their libraries take seconds to import, and are imported by the process that builds such a model.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported

import pytest
import torch
from torch import nn

from convmat.models.accelerating import accelerate, restore

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the libraries


@dataclass(frozen=True)
class Case:
    """A model, what to call it with, and how many layers are to be swapped: transposed ones, and all."""

    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple[torch.Tensor, ...]]
    transposed: int
    all: int
    call: Callable[..., torch.Tensor] = lambda model, *inputs: model(*inputs)


def hifigan():
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    config = SpeechT5HifiGanConfig(
        model_in_dim=10,
        upsample_initial_channel=16,
        upsample_rates=[4, 3],
        upsample_kernel_sizes=[8, 7],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
    )
    model = SpeechT5HifiGan(config)
    model.apply_weight_norm()
    return model


def encodec():
    from transformers import EncodecConfig, EncodecModel

    config = EncodecConfig(
        num_filters=2, hidden_size=8, codebook_dim=8, codebook_size=8, upsampling_ratios=[4, 2], num_lstm_layers=1
    )
    return EncodecModel(config)


def sam_mask_decoder():
    from transformers import SamMaskDecoderConfig
    from transformers.models.sam.modeling_sam import SamMaskDecoder

    return SamMaskDecoder(
        SamMaskDecoderConfig(hidden_size=16, mlp_dim=16, num_attention_heads=2, iou_head_hidden_dim=16)
    )


def unet(spatial_dims):
    from monai.networks.nets import UNet

    return UNet(
        spatial_dims, in_channels=1, out_channels=2, channels=(4, 8, 8), strides=(2, 2), num_res_units=1, norm="batch"
    )


class DCGANGenerator(nn.Module):
    """As PyTorch's DCGAN tutorial defines it, with fewer channels."""

    def __init__(self, nz=10, ngf=4, nc=3):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 8),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, input):
        return self.main(input)


def weights_init(module):
    """The tutorial's initialisation, which goes by the names of classes."""
    classname = module.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(module.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(module.weight.data, 1.0, 0.02)
        nn.init.constant_(module.bias.data, 0)


CASES = {
    "hifigan": Case(hifigan, lambda: (torch.randn(2, 5, 10),), 2, 12),
    "encodec": Case(
        encodec,
        lambda: (torch.randn(2, 1, 64),),
        2,
        20,
        # Quantising has no gradient: the decoder is called on what the encoder says.
        lambda model, audio: model.decoder(model.encoder(audio)),
    ),
    "sam mask decoder": Case(
        sam_mask_decoder,
        lambda: tuple(torch.randn(1, *shape) for shape in ((16, 4, 5), (16, 4, 5), (2, 3, 16), (16, 4, 5))),
        2,
        2,
        lambda model, *inputs: model(*inputs, multimask_output=True)[0],
    ),
    "unet 2-d": Case(lambda: unet(2), lambda: (torch.randn(2, 1, 16, 12),), 2, 9),
    "unet 3-d": Case(lambda: unet(3), lambda: (torch.randn(1, 1, 8, 8, 12),), 2, 9),
    "dcgan": Case(lambda: DCGANGenerator().apply(weights_init), lambda: (torch.randn(2, 10, 1, 1),), 5, 5),
}


def outcome(case, model, inputs):
    """The output, and the gradients of the inputs and of every parameter."""
    inputs = [tensor.clone().requires_grad_() for tensor in inputs]
    output = case.call(model, *inputs)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=output.dtype)
    gradients = torch.autograd.grad(output, [*inputs, *model.parameters()], weights, allow_unused=True)
    return [output.detach(), *(gradient for gradient in gradients if gradient is not None)]


def assert_same(got, expected):
    """Equal to rounding: measured are 4e-15 of the largest number of a tensor, and 6e-15 around zero."""
    for ours, theirs in zip(got, expected, strict=True):
        error, largest = (ours - theirs).abs().max().item(), theirs.abs().max().item()
        assert error <= 2e-14 + 1e-12 * largest


@pytest.mark.parametrize("name", CASES)
def test_model_computes_the_same_and_comes_back(name):
    case = CASES[name]
    torch.manual_seed(0)
    model = case.build().eval().double()
    inputs = [tensor.double() for tensor in case.inputs()]
    expected = outcome(case, model, inputs)
    modules, classes = list(model.modules()), [type(module) for module in model.modules()]
    state = model.state_dict(keep_vars=True)

    for conv, count in ((False, case.transposed), (True, case.all)):
        for method in ("auto", "phases", "zero_insertion", "unfold"):
            report = accelerate(model, conv=conv, method=method)
            assert len(report) == count, str(report)
            assert {layer.done for layer in report} <= {"swapped", "method changed"}
            assert_same(outcome(case, model, inputs), expected)
    for key, value in model.state_dict(keep_vars=True).items():
        assert state.pop(key) is value
    assert not state

    assert len(restore(model).restored) == case.all
    assert list(model.modules()) == modules
    assert [type(module) for module in model.modules()] == classes
    assert_same(outcome(case, model, inputs), expected)


def test_single_precision_is_exact_with_pytorchs_own_functions():
    torch.manual_seed(0)
    model, case = unet(3), CASES["unet 3-d"]
    (volume,) = case.inputs()
    expected = outcome(case, model, [volume])
    accelerate(model, conv=True, method="native")
    assert all(map(torch.equal, outcome(case, model, [volume]), expected))


def test_encodec_with_its_quantizer():
    torch.manual_seed(0)
    model, (audio,) = encodec().eval(), CASES["encodec"].inputs()
    with torch.no_grad():
        expected = model(audio).audio_values
        accelerate(model, conv=True, method="native")
        assert torch.equal(model(audio).audio_values, expected)
        accelerate(model, conv=True)  # may sum in another order in the decoder
        torch.testing.assert_close(model(audio).audio_values, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_hifigan_drops_its_weight_norm_afterwards():
    """As vocoders do before they are used: what parametrized the layers goes, the swapped layers stay."""
    torch.manual_seed(0)
    model, (mel,) = hifigan().eval(), CASES["hifigan"].inputs()
    plain = [nn.ConvTranspose1d] * 2
    with torch.no_grad():
        expected = model(mel)
        accelerate(model)
        for layer in model.upsampler:
            nn.utils.parametrize.remove_parametrizations(layer, "weight")
        torch.testing.assert_close(model(mel), expected)
        restore(model)
        assert [type(layer) for layer in model.upsampler] == plain
        torch.testing.assert_close(model(mel), expected)
