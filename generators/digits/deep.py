"""Flow matching with a better network: deep where images are small, told the time everywhere."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, silu

from generators.digits.data import load
from generators.digits.training import Plan, fit
from generators.digits.unet import in_float32
from generators.figure import Trained
from generators.networks import Run
from generators.parameters import Range
from generators.streams import stream
from generators.weights import load_weights, read_tensors

GROUP = 8
"""Channels that are normalised together, or the next more that divide all."""
WAVES = 16
HIGHEST = 100.0
"""The fastest wave that tells the time, in multiples of the slowest."""
TOLD = 64
VARIANCE = 0.1
"""About that of the pixels of MNIST in [0, 1]."""


def norm(channels: int) -> nn.GroupNorm:
    groups = next(n for n in range(max(1, channels // GROUP), 0, -1) if channels % n == 0)
    return nn.GroupNorm(groups, channels)


def convolution(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, stride, 1)


class Waves(nn.Module):
    """Turn t (B,) in [0, 1] into sines and cosines (B, 2 · WAVES) of it (Vaswani et al. 2017)."""

    def forward(self, t: Tensor) -> Tensor:
        falls = torch.linspace(0, math.log(HIGHEST), WAVES, device=t.device).exp()
        angles = t[:, None] * falls * math.pi / 2
        return torch.cat((angles.sin(), angles.cos()), dim=1)


class Residual(nn.Module):
    """Add to x (B, C, H, W) what two convolutions make of it; C may change to D.

    Between them the time, told as (B, TOLD), scales and shifts each channel (Perez et al. 2018).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([norm(channels), norm(width)])
        self.first = convolution(channels, width)
        self.second = convolution(width, width)
        self.told = nn.Linear(TOLD, 2 * width)
        self.around = nn.Conv2d(channels, width, 1) if channels != width else nn.Identity()
        for weight in (self.second.weight, self.told.weight, self.told.bias):
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)
        y = self.norms[1](self.first(silu(self.norms[0](x))))
        y = self.second(silu(torch.addcmul(shift, y, 1 + scale)))
        result: Tensor = self.around(x) + y
        return result


class DeepUNet(nn.Module):
    """Predict the velocity of x (B, 1, 28, 28) at t (B,) in [0, 1]; labels are ignored.

    Channels grow as images shrink, `width` at 28×28, twice that at 14×14, four times at 7×7, where
    three of the seven blocks are. If `is_informed`, x comes in at variance 1, and the answer is
    added to the best linear guess at the scale of its error (Karras et al. 2022, section 5).
    """

    def __init__(self, width: int, is_informed: bool) -> None:
        super().__init__()
        self.is_informed = is_informed
        layers = Waves(), nn.Linear(2 * WAVES, TOLD), nn.SiLU(), nn.Linear(TOLD, TOLD), nn.SiLU()
        self.time = nn.Sequential(*layers)
        self.first = convolution(1, width)
        self.large = Residual(width, width)
        self.into_middle = convolution(width, 2 * width, 2)
        self.middle = Residual(2 * width, 2 * width)
        self.into_small = convolution(2 * width, 4 * width, 2)
        self.small = nn.ModuleList([Residual(4 * width, 4 * width) for _ in range(3)])
        self.out_of_small = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.middle_again = Residual(4 * width, 2 * width)
        self.out_of_middle = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.large_again = Residual(2 * width, width)
        self.norm = norm(width)
        self.out = convolution(width, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, t: Tensor, one_hot: Tensor | None = None) -> Tensor:
        if not self.is_informed:
            return self.answer(x, t)
        guess, error, variance = linear(t.reshape(-1, 1, 1, 1))
        return guess * x + error * self.answer(x / variance.sqrt(), t)

    def answer(self, x: Tensor, t: Tensor) -> Tensor:
        told = self.time(t)
        a = self.large(in_float32(self.first, x), told)
        b = self.middle(self.into_middle(a), told)
        y = self.into_small(b)
        for block in self.small:
            y = block(y, told)
        y = self.middle_again(torch.cat((b, self.out_of_small(y)), dim=1), told)
        y = self.large_again(torch.cat((a, self.out_of_middle(y)), dim=1), told)
        return in_float32(self.out, silu(self.norm(y)))


def linear(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best linear guess of x_1 - x_0 as a multiple of x_t, its error, and Var(x_t).

    For x_t = (1-t) x_0 + t x_1 with independent parts of mean 0, of variances 1 and `VARIANCE`;
    the error is a standard deviation.
    """
    variance = (1 - t) ** 2 + VARIANCE * t**2
    return (VARIANCE * t - (1 - t)) / variance, (VARIANCE / variance).sqrt(), variance


def deep_unet(trained: Trained, epoch: int) -> DeepUNet:
    """Return a trained DeepUNet as it was after an epoch, ready to be used.

    Raises: ValueError naming the file when it is damaged or another network's.
    """
    path = trained.weights(epoch)
    tensors = read_tensors(path)
    if "first.weight" not in tensors:
        raise ValueError(f"{path} holds another network: it has no first.weight")
    network = DeepUNet(len(tensors["first.weight"]), bool(trained.recipe["informed"]))
    load_weights(network, tensors, path)
    network.eval()
    return network.to(memory_format=torch.channels_last)  # type: ignore


@dataclass(frozen=True)
class Recipe:
    """A DeepUNet that predicts x_1 - x_0.

    `informed` by a linear guess or not; trained at times about the middle (`middling`), the
    logistic function of normal numbers (Esser et al. 2024, section 3.1), or at all alike.
    """

    width: Annotated[int, Range(1, 1024)] = 20
    informed: bool = True
    middling: bool = True
    epochs: Annotated[int, Range(1, 1000)] = 10
    batch: Annotated[int, Range(2, 60000)] = 64
    rate: Annotated[float, Range(0, 1)] = 3e-3
    decay: Annotated[float, Range(0, 1)] = 0.1
    images: Annotated[int, Range(2, 60000)] = 60000


def train(run: Run, recipe: Recipe) -> None:
    """Minimise ‖v(x_t, t) - (x_1 - x_0)‖² as `flow.train` does, with another network and times."""
    digits = load(run.dataset("mnist"), "train").first(recipe.images).to(run.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(run.seed, "weights"))
        network = DeepUNet(recipe.width, recipe.informed)
    draw = torch.randn if recipe.middling else torch.rand

    def loss(network: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        drawn = draw(len(x), device=x.device, generator=generator)
        t = drawn.sigmoid() if recipe.middling else drawn
        noise = torch.randn(x.shape, device=x.device, generator=generator)
        along = t.reshape(-1, 1, 1, 1)
        return mse_loss(network((1 - along) * noise + along * x, t), x - noise)

    plan = Plan(recipe.epochs, recipe.batch, recipe.rate, recipe.decay ** (1 / recipe.epochs))
    fit(network, loss, digits, plan, run)
