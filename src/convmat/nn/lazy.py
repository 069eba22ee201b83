"""Lazy layers, which take the number of input channels from their first input and then become ordinary ones."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from convmat.geometry import Padding, PerAxis
from convmat.nn.checks import check_channels, check_choices, errors_of
from convmat.nn.direct import Conv1d, Conv2d, Conv3d
from convmat.nn.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d


class _LazyDirect(nn.Module):
    _shown_channels: ClassVar[tuple[str, ...]] = ("out_channels",)

    def __init__(
        self,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        method: str = "auto",
    ) -> None:
        with errors_of(self):
            check_channels(groups, out_channels=out_channels)
            check_choices(padding_mode, method)
        super().__init__(
            out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device=device, dtype=dtype
        )
        self.method = method


class _LazyTransposed(nn.Module):
    _shown_channels: ClassVar[tuple[str, ...]] = ("out_channels",)

    def __init__(
        self,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: PerAxis = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        method: str = "auto",
    ) -> None:
        with errors_of(self):
            check_channels(groups, out_channels=out_channels)
            check_choices(padding_mode, method)
        super().__init__(
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            groups,
            bias,
            dilation,
            padding_mode,
            device=device,
            dtype=dtype,
        )
        self.method = method


class LazyConv1d(_LazyDirect, nn.LazyConv1d, Conv1d):  # type: ignore[misc]
    """:class:`Conv1d` without ``in_channels``, as in :class:`torch.nn.LazyConv1d`."""

    cls_to_become = Conv1d  # type: ignore[assignment]


class LazyConv2d(_LazyDirect, nn.LazyConv2d, Conv2d):  # type: ignore[misc]
    """:class:`Conv2d` without ``in_channels``, as in :class:`torch.nn.LazyConv2d`.

    >>> import torch
    >>> layer = LazyConv2d(8, kernel_size=3, padding="same")
    >>> layer(torch.randn(1, 3, 7, 10)).shape
    torch.Size([1, 8, 7, 10])
    >>> layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding='same')
    """

    cls_to_become = Conv2d  # type: ignore[assignment]


class LazyConv3d(_LazyDirect, nn.LazyConv3d, Conv3d):  # type: ignore[misc]
    """:class:`Conv3d` without ``in_channels``, as in :class:`torch.nn.LazyConv3d`."""

    cls_to_become = Conv3d  # type: ignore[assignment]


class LazyConvTranspose1d(_LazyTransposed, nn.LazyConvTranspose1d, ConvTranspose1d):  # type: ignore[misc]
    """:class:`ConvTranspose1d` without ``in_channels``, as in :class:`torch.nn.LazyConvTranspose1d`."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, nn.LazyConvTranspose2d, ConvTranspose2d):  # type: ignore[misc]
    """:class:`ConvTranspose2d` without ``in_channels``, as in :class:`torch.nn.LazyConvTranspose2d`."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, nn.LazyConvTranspose3d, ConvTranspose3d):  # type: ignore[misc]
    """:class:`ConvTranspose3d` without ``in_channels``, as in :class:`torch.nn.LazyConvTranspose3d`."""

    cls_to_become = ConvTranspose3d
