"""One training loop for every network on digits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from generators.digits.data import Digits, scaled
from generators.dividing import divides
from generators.machine import bfloat16_pays
from generators.networks import Run
from generators.streams import stream
from generators.weights import read_tensors

Loss = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""(network, x (B, 1, 28, 28) in [0, 1], labels (B,), generator on their device) to a scalar."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast: Adam at `rate`, multiplied by `decay` after each epoch."""

    epochs: int
    batch: int
    rate: float
    decay: float = 1.0


def fit(network: nn.Module, loss: Loss, digits: Digits, plan: Plan, run: Run) -> None:
    """Train `network` for `plan.epochs`, leaving a checkpoint in `run` after each of them.

    Every epoch draws from streams of its own, so a run that was killed ends, once resumed, in the
    weights that it would have had anyway.
    """
    # The stub of Module.to() does not know memory_format.
    network = network.to(run.device, memory_format=torch.channels_last).train()  # type: ignore
    optimizer = torch.optim.Adam(network.parameters(), plan.rate, fused=True)
    losses = run.restore(network, optimizer)
    # Where processes divide a batch, every normalisation asks the others: nothing to compile.
    pays = run.device.type == "cuda" and not divides()
    compiled: nn.Module = torch.compile(network) if pays else network  # type: ignore
    for epoch in range(len(losses), plan.epochs):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * plan.decay**epoch
        generator = torch.Generator(run.device).manual_seed(stream(run.seed, "epoch", epoch))
        steps = updates(compiled, optimizer, loss, digits, plan.batch, generator)
        count = -(-len(digits.images) // plan.batch)
        losses.append(torch.stack(list(run.counted(steps, epoch, plan.epochs, count))).cpu())
        run.checkpoint(network, optimizer, losses)


def updates(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    digits: Digits,
    batch: int,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Pass once over `digits` in random order, yielding the loss of each update (a scalar)."""
    device = digits.images.device
    order = torch.randperm(len(digits.images), device=device, generator=generator)
    for index in order.split(batch):
        x = scaled(digits.images[index])
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_pays(device)):
            value = loss(network, x, digits.labels[index], generator)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        yield value.detach()


def read_losses(path: Path) -> list[Tensor]:
    """Return the losses of a finished training: a tensor per epoch, a number per update."""
    losses = read_tensors(path)
    return [losses[str(epoch)] for epoch in range(len(losses))]
