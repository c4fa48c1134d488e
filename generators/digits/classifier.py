"""A classifier of digits that judges samples: by its features, or by its answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from generators.digits.data import load, scaled
from generators.digits.training import Plan, fit
from generators.networks import Run
from generators.parameters import Range
from generators.streams import stream
from generators.weights import load_weights, read_tensors


def layer(channels: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, kernel, stride, kernel // 2)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.GELU())


class Classifier(nn.Module):
    """Map images (B, 1, 28, 28) in [0, 1] to scores (B, 10), through 4 · `width` features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            layer(1, width, 5, 2),
            layer(width, 2 * width, 3, 1),
            layer(2 * width, 2 * width, 3, 2),
            layer(2 * width, 4 * width, 3, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(4 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.body(x))
        return scores


@dataclass(frozen=True)
class Recipe:
    """A classifier trained on digits moved by up to `shift` pixels in either direction."""

    width: Annotated[int, Range(1, 256)] = 16
    shift: Annotated[int, Range(0, 8)] = 2
    epochs: Annotated[int, Range(1, 1000)] = 4
    batch: Annotated[int, Range(2, 60000)] = 128
    rate: Annotated[float, Range(0, 1)] = 3e-3
    decay: Annotated[float, Range(0, 1)] = 0.02
    images: Annotated[int, Range(2, 60000)] = 60000


def train(run: Run, recipe: Recipe) -> None:
    """Minimise the cross-entropy; the learning rate falls by `recipe.decay` over the training."""
    digits = load(run.dataset("mnist"), "train").first(recipe.images).to(run.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(run.seed, "weights"))
        network = Classifier(recipe.width)

    def loss(network: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        return cross_entropy(network(shifted(x, recipe.shift, generator)), labels.long())

    plan = Plan(recipe.epochs, recipe.batch, recipe.rate, recipe.decay ** (1 / recipe.epochs))
    fit(network, loss, digits, plan, run)


def shifted(x: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    """Return images (B, 1, H, W), each moved by up to `reach` pixels along either axis."""
    count, _, height, width = x.shape
    size = (2, count, 1)
    down, right = torch.randint(2 * reach + 1, size, device=x.device, generator=generator)
    rows = (down + torch.arange(height, device=x.device))[:, :, None]
    columns = (right + torch.arange(width, device=x.device))[:, None, :]
    image = torch.arange(count, device=x.device)[:, None, None]
    return pad(x, (reach,) * 4)[image, 0, rows, columns].unsqueeze(1)


class Judgement(NamedTuple):
    """Features (N, D) and answers (N,) in 0 … 9, on the CPU."""

    features: Tensor
    answers: Tensor


def classifier(weights: Path) -> Classifier:
    """Return the trained classifier in a safetensors file, ready to be used.

    Raises: ValueError naming the file when it is damaged or another network's.
    """
    tensors = read_tensors(weights)
    if "head.weight" not in tensors:
        raise ValueError(f"{weights} holds another network: it has no head.weight")
    network = Classifier(tensors["head.weight"].shape[1] // 4)
    load_weights(network, tensors, weights)
    network.eval()
    return network.to(memory_format=torch.channels_last)  # type: ignore


@torch.inference_mode()
def judge(network: Classifier, images: Tensor, batch: int = 500) -> Judgement:
    """Return what a classifier makes of images (N, 28, 28) uint8, in float32 on every machine."""
    device = next(network.parameters()).device
    features = torch.cat([network.body(scaled(part.to(device))) for part in images.split(batch)])
    return Judgement(features.cpu(), network.head(features).argmax(dim=1).cpu())
