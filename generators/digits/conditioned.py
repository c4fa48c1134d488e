"""The UNet told the time, and the class: where the two enter, and how."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from generators.digits.unet import UNet, in_float32
from generators.weights import load_weights, read_tensors

CLASSES = 10
Network = TypeVar("Network", bound=nn.Module)
Join = Callable[[Tensor, Tensor], Tensor]
"""How time enters activations: `torch.add` (DDPM edition) or `torch.mul` (flow edition)."""


class FCBlock(nn.Sequential):
    """Turn numbers (B, N) into one factor or summand per channel, (B, D, 1, 1)."""

    def __init__(self, inputs: int, channels: int) -> None:
        layers = nn.Linear(inputs, channels), nn.GELU(), nn.Linear(channels, channels)
        super().__init__(*layers, nn.Unflatten(1, (channels, 1, 1)))


class TimeUNet(nn.Module):
    """A UNet of x (B, 1, 28, 28) and t (B,) in [0, 1]; the labels it is also given are ignored."""

    def __init__(self, hidden: int, join: Join) -> None:
        super().__init__()
        self.unet = UNet(hidden)
        self.time_bottom = FCBlock(1, 2 * hidden)
        self.time_middle = FCBlock(1, hidden)
        self.join = join

    def forward(self, x: Tensor, t: Tensor, one_hot: Tensor | None = None) -> Tensor:
        t1, t2 = self.time_bottom(t[:, None]), self.time_middle(t[:, None])
        result: Tensor = self.unet(
            x, bottom=lambda u: self.join(u, t1), middle=lambda u: self.join(u, t2)
        )
        return result


class ClassUNet(nn.Module):
    """A UNet of x (B, 1, 28, 28), t (B,) in [0, 1] and one-hot classes (B, 10), zero for none.

    The class is a gate and the time a summand: u · c1 + t1 at the bottom, and so in the middle.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.unet = UNet(hidden)
        self.time_bottom = FCBlock(1, 2 * hidden)
        self.time_middle = FCBlock(1, hidden)
        self.class_bottom = FCBlock(CLASSES, 2 * hidden)
        self.class_middle = FCBlock(CLASSES, hidden)

    def forward(self, x: Tensor, t: Tensor, one_hot: Tensor) -> Tensor:
        t1, t2 = self.time_bottom(t[:, None]), self.time_middle(t[:, None])
        c1, c2 = self.class_bottom(one_hot), self.class_middle(one_hot)
        result: Tensor = self.unet(x, bottom=lambda u: u * c1 + t1, middle=lambda u: u * c2 + t2)
        return result


def time_unet(weights: Path, join: Join) -> TimeUNet:
    """Return the trained TimeUNet in a safetensors file, ready to be used.

    Raises: ValueError naming the file when it is damaged or another network's.
    """
    tensors = read_tensors(weights)
    network = TimeUNet(hidden_channels(tensors, weights), join)
    load_weights(network, tensors, weights)
    return ready(network)


def class_unet(weights: Path) -> ClassUNet:
    """Return the trained ClassUNet in a safetensors file, ready to be used.

    Raises: ValueError naming the file when it is damaged or another network's.
    """
    tensors = read_tensors(weights)
    network = ClassUNet(hidden_channels(tensors, weights))
    load_weights(network, tensors, weights)
    return ready(network)


def ready(network: Network) -> Network:
    """Return it as samplers use it: in eval mode, and told the time in float32 under autocast, too.

    From 0.5 to 1 bfloat16 has 128 times; what is left of the way at t = 0.99 would be off by 17 %.
    """
    for block in network.modules():
        if isinstance(block, FCBlock):
            block.forward = partial(in_float32, nn.Sequential(*block))  # type: ignore
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore


def hidden_channels(tensors: dict[str, Tensor], weights: Path) -> int:
    if "unet.out.weight" not in tensors:
        raise ValueError(f"{weights} holds another network: it has no unet.out.weight")
    return tensors["unet.out.weight"].shape[1]


def one_hot(labels: Tensor, keep: Tensor) -> Tensor:
    """Return labels (B,) as one-hot float32 (B, 10), all zero where `keep` (B,) is False."""
    classes = torch.arange(CLASSES, device=labels.device)
    return ((labels[:, None] == classes) & keep[:, None]).float()
