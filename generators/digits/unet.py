"""The exercise's UNet for 28×28 images, layer by layer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Modulation = Callable[[Tensor], Tensor]


class Conv(nn.Sequential):
    """Keep the size: (B, C, H, W) to (B, D, H, W)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(nn.Conv2d(channels, hidden, 3, 1, 1), nn.BatchNorm2d(hidden), nn.GELU())


class DownConv(nn.Sequential):
    """Halve the size: (B, C, H, W) to (B, D, H/2, W/2)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(nn.Conv2d(channels, hidden, 3, 2, 1), nn.BatchNorm2d(hidden), nn.GELU())


class UpConv(nn.Sequential):
    """Double the size: (B, C, H, W) to (B, D, 2H, 2W)."""

    def __init__(self, channels: int, hidden: int) -> None:
        convolution = nn.ConvTranspose2d(channels, hidden, 4, 2, 1)
        super().__init__(convolution, nn.BatchNorm2d(hidden), nn.GELU())


class Flatten(nn.Sequential):
    """Average each channel: (B, C, 7, 7) to (B, C, 1, 1)."""

    def __init__(self) -> None:
        super().__init__(nn.AvgPool2d(7), nn.GELU())


class Unflatten(nn.Sequential):
    """Spread each channel out again: (B, C, 1, 1) to (B, C, 7, 7)."""

    def __init__(self, channels: int) -> None:
        convolution = nn.ConvTranspose2d(channels, channels, 7, 7, 0)
        super().__init__(convolution, nn.BatchNorm2d(channels), nn.GELU())


class ConvBlock(nn.Sequential):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(Conv(channels, hidden), Conv(hidden, hidden))


class DownBlock(nn.Sequential):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(DownConv(channels, hidden), ConvBlock(hidden, hidden))


class UpBlock(nn.Sequential):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(UpConv(channels, hidden), ConvBlock(hidden, hidden))


def unchanged(x: Tensor) -> Tensor:
    return x


def in_float32(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply one layer outside autocast; the two one-channel convolutions are kept out of bf16."""
    with torch.autocast(x.device.type, enabled=False):
        result: Tensor = layer(x.float())
    return result


class UNet(nn.Module):
    """Map images (B, 1, 28, 28) to images of the same shape, through D = `hidden` channels.

    Conditioning enters at two places, as functions of the activations there: `bottom` on the
    unflattened (B, 2D, 7, 7), `middle` on the first upsampled (B, D, 14, 14).
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = ConvBlock(1, hidden)
        self.down1 = DownBlock(hidden, hidden)
        self.down2 = DownBlock(hidden, 2 * hidden)
        self.flatten = Flatten()
        self.unflatten = Unflatten(2 * hidden)
        self.up1 = UpBlock(4 * hidden, hidden)
        self.up2 = UpBlock(2 * hidden, hidden)
        self.last = ConvBlock(2 * hidden, hidden)
        self.out = nn.Conv2d(hidden, 1, 3, 1, 1)

    def forward(
        self, x: Tensor, bottom: Modulation = unchanged, middle: Modulation = unchanged
    ) -> Tensor:
        convolution, norm, activation = self.first[0]  # type: ignore
        a = self.first[1](activation(norm(in_float32(convolution, x))))  # type: ignore
        b = self.down1(a)
        c = self.down2(b)
        u = bottom(self.unflatten(self.flatten(c)))
        x = middle(self.up1(torch.cat((c, u), dim=1)))
        x = self.up2(torch.cat((b, x), dim=1))
        return in_float32(self.out, self.last(torch.cat((a, x), dim=1)))
