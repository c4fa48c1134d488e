"""A UNet that returns the clean digit from a noisy one in one step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from generators.digits.data import load
from generators.digits.training import Plan, fit
from generators.digits.unet import UNet
from generators.networks import Run
from generators.parameters import Range
from generators.streams import stream


@dataclass(frozen=True)
class Recipe:
    """z = `signal` · x + `noise` · ε; the network sees z and is asked for x."""

    signal: Annotated[float, Range(0, 1)] = 1.0
    noise: Annotated[float, Range(0, 10)] = 0.5
    hidden: Annotated[int, Range(1, 1024)] = 128
    epochs: Annotated[int, Range(1, 1000)] = 5
    batch: Annotated[int, Range(2, 60000)] = 256
    rate: Annotated[float, Range(0, 1)] = 1e-4
    images: Annotated[int, Range(2, 60000)] = 60000


def train(run: Run, recipe: Recipe) -> None:
    """Train on the first `recipe.images` training digits, with fresh noise in every batch."""
    digits = load(run.dataset("mnist"), "train").first(recipe.images).to(run.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(run.seed, "weights"))
        network = UNet(recipe.hidden)

    def loss(network: nn.Module, x: Tensor, _: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x.shape, device=x.device, generator=generator)
        return mse_loss(network(recipe.signal * x + recipe.noise * noise), x)

    fit(network, loss, digits, Plan(recipe.epochs, recipe.batch, recipe.rate), run)


def denoiser(weights: Path, hidden: int) -> UNet:
    """Return the trained network whose weights stand in a safetensors file, ready to be used."""
    network = UNet(hidden)
    network.load_state_dict(load_file(weights))
    return network.eval()
