"""Flow matching as in `flow`, ending in a moving average of the weights and not the last ones."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from safetensors.torch import save
from torch import Tensor, nn

from generators import files
from generators.digits import flow
from generators.figure import epoch_file
from generators.networks import Run
from generators.parameters import Range
from generators.weights import load_weights, read_tensors


@dataclass(frozen=True)
class Recipe:
    """A time-conditioned network as `flow.Recipe` has it, averaged over the last `share`."""

    share: Annotated[float, Range(1e-4, 1)] = 0.1
    hidden: Annotated[int, Range(1, 1024)] = 64
    epochs: Annotated[int, Range(1, 1000)] = 10
    batch: Annotated[int, Range(2, 60000)] = 64
    rate: Annotated[float, Range(0, 1)] = 1e-2
    decay: Annotated[float, Range(0, 1)] = 0.1
    images: Annotated[int, Range(2, 60000)] = 60000


@dataclass
class Averaging(Run):
    """A run that lets the training be and keeps, beside the weights, their moving average.

    After update n the average moves by 1 / (share · n) of the way towards the weights, at most all
    of it: it has forgotten how training began, and reaches back over about the last `share` of it,
    however long that was (a power function average, Karras et al. 2024). BatchNorm's statistics
    are averaged with the weights that they belong to.
    """

    share: float = 0.1
    updates: int = 0

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
        losses = super().restore(network, optimizer)
        self.network, self.average = network, copy.deepcopy(network)
        self.updates = sum(len(epoch) for epoch in losses)
        if losses:
            last = self.folder / epoch_file(len(losses))
            kept = self.folder / average_file(len(losses))
            if kept.exists():
                files.write(last, kept.read_bytes())
            load_weights(self.average, read_tensors(last), last)
        return losses

    def counted(
        self, steps: Iterable[Tensor], epoch: int, epochs: int, count: int
    ) -> Iterator[Tensor]:
        for loss in super().counted(steps, epoch, epochs, count):
            self.follow()
            yield loss

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average towards the weights as they are after one more update."""
        self.updates += 1
        weight = min(1.0, 1 / (self.share * self.updates))
        pairs = zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        )
        for mine, theirs in pairs:
            if mine.is_floating_point():
                mine.lerp_(theirs, weight)
            else:
                mine.copy_(theirs)

    def checkpoint(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, losses: list[Tensor]
    ) -> None:
        """Keep what `Run` keeps, with the average as the weights of the epoch.

        The average is written first, under a name of its own: whenever the run is killed, the
        checkpoint that it left finds the average that belongs to it.
        """
        tensors = self.average.state_dict().items()
        content = save({name: value.cpu().contiguous() for name, value in tensors})
        files.write(self.folder / average_file(len(losses)), content)
        super().checkpoint(network, optimizer, losses)
        files.write(self.folder / epoch_file(len(losses)), content)


def average_file(epoch: int) -> str:
    return f"average-{epoch:04d}.safetensors"


def train(run: Run, recipe: Recipe) -> None:
    """Train as `flow.train` does, update for update; the weights of each epoch are averages."""
    averaging = Averaging(
        run.folder, run.seed, run.device, run.dataset, run.progress, share=recipe.share
    )
    plain = flow.Recipe(
        hidden=recipe.hidden,
        epochs=recipe.epochs,
        batch=recipe.batch,
        rate=recipe.rate,
        decay=recipe.decay,
        images=recipe.images,
    )
    flow.train(averaging, plain)
    run.seconds = averaging.seconds
    for epoch in range(1, recipe.epochs + 1):
        (run.folder / average_file(epoch)).unlink(missing_ok=True)
