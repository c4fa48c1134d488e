"""A UNet that returns the clean digit from a noisy one in one step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from generators.digits.data import load
from generators.digits.training import Plan, fit
from generators.digits.unet import UNet
from generators.machine import bfloat16_pays
from generators.networks import Run
from generators.parameters import Range
from generators.streams import stream
from generators.weights import load_weights, read_tensors


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


def denoiser(weights: Path) -> UNet:
    """Return the trained network whose weights stand in a safetensors file, ready to be used.

    Raises: ValueError naming the file when it is damaged or another network's.
    """
    tensors = read_tensors(weights)
    if "out.weight" not in tensors:
        raise ValueError(f"{weights} holds another network: it has no out.weight")
    network = UNet(hidden=tensors["out.weight"].shape[1])
    load_weights(network, tensors, weights)
    network.eval()
    return network.to(memory_format=torch.channels_last)  # type: ignore


@torch.inference_mode()
def estimate(network: UNet, z: Tensor, batch: int = 250) -> Tensor:
    """Return the network's estimates of x (N, 1, 28, 28) for noisy images z, on z's device."""
    device = next(network.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_pays(device)):
        return torch.cat([network(part.to(device)).to(z.device) for part in z.split(batch)])


def noised(x: Tensor, signal: float, noise: float, seed: int) -> Tensor:
    """Return z = signal · x + noise · ε with ε ~ N(0, I) from the stream `seed`."""
    generator = torch.Generator().manual_seed(seed)
    return signal * x + noise * torch.randn(x.shape, generator=generator)


def mean_squared_error(estimates: Tensor, x: Tensor) -> float:
    """Return the mean of (estimate - x)² over all images and pixels."""
    return mse_loss(estimates.double(), x.double()).item()
