"""Networks in training: a checkpoint after every epoch, and a record when all of them are done."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from generators import files
from generators.dividing import divides, tie
from generators.errors import AuthorError
from generators.figure import LOSSES, Progress, epoch_file
from generators.processes import everywhere
from generators.weights import load_weights, read_tensors


@dataclass
class Run:
    """One network being trained in `folder`, on `device`, from the streams of `seed`.

    `dataset` gives the folder of a data set by its name.
    """

    folder: Path
    seed: int
    device: torch.device
    dataset: Callable[[str], Path]
    progress: Progress
    seconds: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> Path:
        return self.folder / "state.safetensors"

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
        """Load the last checkpoint, if there is one, and return its losses, a tensor per epoch.

        Where several processes train the network, from here on they do it as one would.
        Raises: AuthorError naming the checkpoint when it is damaged or another network's.
        """
        if divides():
            tie(network, optimizer)
        if not self.state.exists():
            return []
        try:
            tensors = read_tensors(self.state)
            load_weights(network, part(tensors, "network."), self.state)
        except ValueError as error:
            wrong = AuthorError(f"{error}; delete it to train from the first epoch")
            raise everywhere(wrong) from None
        groups = optimizer.state_dict()["param_groups"]
        moments: dict[int, dict[str, Tensor]] = {}
        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        for name, value in part(tensors, "optimizer.").items():
            index, moment = name.split(".")
            if value.dim():
                # A fused optimizer walks raw memory: moments must lie as their parameter does.
                value = torch.empty_like(parameters[int(index)]).copy_(value)
            moments.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.seconds = tensors["seconds"].tolist()
        losses = part(tensors, "losses.")
        return [losses[str(epoch)] for epoch in range(len(losses))]

    def checkpoint(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, losses: list[Tensor]
    ) -> None:
        """Keep the weights of the epoch just finished, and all that going on from it needs."""
        now = time.monotonic()
        self.seconds.append(now - self.started)
        self.started = now
        weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
        files.write(self.folder / epoch_file(len(losses)), save(weights))
        tensors = {f"network.{name}": value for name, value in weights.items()}
        for index, moments in optimizer.state_dict()["state"].items():
            for moment, value in moments.items():
                tensors[f"optimizer.{index}.{moment}"] = value.cpu().contiguous()
        tensors |= {f"losses.{epoch}": values for epoch, values in enumerate(losses)}
        tensors["seconds"] = torch.tensor(self.seconds, dtype=torch.float64)
        files.write(self.state, save(tensors))

    def finish(self) -> None:
        """Keep the losses; the checkpoint may go as soon as there is a record."""
        tensors = read_tensors(self.state)
        self.seconds = tensors["seconds"].tolist()
        files.write(self.folder / LOSSES, save(part(tensors, "losses.")))

    def counted(
        self, steps: Iterable[Tensor], epoch: int, epochs: int, count: int
    ) -> Iterator[Tensor]:
        """Pass the losses of an epoch's `count` updates on, reporting each as progress."""
        for step, loss in enumerate(steps, 1):
            self.progress(f"epoch {epoch + 1} of {epochs}", epoch * count + step, epochs * count)
            yield loss


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    found = {name: value for name, value in tensors.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in found.items()}
