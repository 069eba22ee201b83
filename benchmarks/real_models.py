"""Whole models, from their configurations, with random weights: nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}  # before transformers is imported

import torch
from torch import Tensor, nn

from benchmarks.small_models import FSRCNN, YOLO, FCN8s, WhisperStem


@dataclass(frozen=True)
class Model:
    """A model, what to call it with, and how.

    Attributes:
        key: for the command line.
        name: for the table.
        build: makes the module; small, if asked to be quick.
        inputs: makes what it is called with; small, if asked to be quick.
        call: calls it and gives one tensor.
    """

    key: str
    name: str
    build: Callable[[bool], nn.Module]
    inputs: Callable[[bool], tuple[Tensor, ...]]
    call: Callable[..., Tensor] = lambda model, *inputs: model(*inputs)


def _hifigan(quick: bool) -> nn.Module:
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    return SpeechT5HifiGan(SpeechT5HifiGanConfig(upsample_initial_channel=64 if quick else 512))


def _encodec(quick: bool) -> nn.Module:
    from transformers import EncodecConfig, EncodecModel

    config = EncodecConfig(num_filters=8) if quick else EncodecConfig()
    decoder: nn.Module = EncodecModel(config).decoder
    return decoder


def _sam(quick: bool) -> nn.Module:
    from transformers import SamMaskDecoderConfig
    from transformers.models.sam.modeling_sam import SamMaskDecoder

    small: dict[str, Any] = {"hidden_size": 64, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 64}
    return SamMaskDecoder(SamMaskDecoderConfig(**small) if quick else SamMaskDecoderConfig())


def _sam_inputs(quick: bool) -> tuple[Tensor, ...]:
    """Embeddings of the image, of its positions, of two points, and of no mask."""
    channels, size = (64, 16) if quick else (256, 64)
    image, points = (1, channels, size, size), (1, 1, 2, channels)
    return tuple(torch.randn(shape) for shape in (image, image, points, image))


def _call_sam(model: nn.Module, *inputs: Tensor) -> Tensor:
    return model(*inputs, multimask_output=True)[0]


def _unet(quick: bool) -> nn.Module:
    from monai.networks.nets.unet import UNet

    channels = (8, 16, 32) if quick else (16, 32, 64, 128, 256)
    return UNet(3, 1, 2, channels, strides=(2,) * (len(channels) - 1), num_res_units=2)


def _resnet(quick: bool) -> nn.Module:
    from transformers import ResNetConfig, ResNetForImageClassification

    small: dict[str, Any] = {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1]}
    return ResNetForImageClassification(ResNetConfig(**small) if quick else ResNetConfig())


def _convnext(quick: bool) -> nn.Module:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    small: dict[str, Any] = {"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1]} if quick else {}
    # By the usual scale, blocks would add so little that a wrong one would not be noticed.
    return ConvNextForImageClassification(ConvNextConfig(layer_scale_init_value=1.0, **small))


def _mobilenet(quick: bool) -> nn.Module:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    config = MobileNetV2Config(depth_multiplier=0.25 if quick else 1.0, tf_padding=False)
    return MobileNetV2ForImageClassification(config)


def _call_classifier(model: nn.Module, *inputs: Tensor) -> Tensor:
    return model(*inputs).logits


def _noise(small: tuple[int, ...], large: tuple[int, ...]) -> Callable[[bool], tuple[Tensor, ...]]:
    return lambda quick: (torch.randn(small if quick else large),)


_PICTURE = _noise((1, 3, 64, 64), (1, 3, 224, 224))
_SPECTRUM = _noise((1, 80, 30), (1, 80, 3000))
MODELS = (
    Model("hifigan", "HiFi-GAN (SpeechT5)", _hifigan, _noise((20, 80), (200, 80))),
    Model("encodec", "EnCodec decoder", _encodec, _noise((1, 128, 15), (1, 128, 150))),
    Model("sam", "SAM mask decoder", _sam, _sam_inputs, _call_sam),
    Model("unet3d", "3-D U-Net (MONAI)", _unet, _noise((1, 1, 16, 16, 16), (1, 1, 96, 96, 96))),
    Model("fsrcnn", "FSRCNN x3", lambda quick: FSRCNN(3), _noise((1, 1, 16, 16), (1, 1, 128, 128))),
    Model("fcn8s", "FCN-8s", lambda quick: FCN8s(8 if quick else 64), _noise((1, 3, 64, 64), (1, 3, 256, 256))),
    Model("resnet50", "ResNet-50", _resnet, _PICTURE, _call_classifier),
    Model("convnext", "ConvNeXt-T", _convnext, _PICTURE, _call_classifier),
    Model("mobilenet", "MobileNetV2", _mobilenet, _PICTURE, _call_classifier),
    Model("yolo", "YOLO-like", lambda quick: YOLO(8 if quick else 16), _noise((1, 3, 64, 64), (1, 3, 640, 640))),
    Model("whisper", "Whisper stem", lambda quick: WhisperStem(32 if quick else 512), _SPECTRUM),
)
