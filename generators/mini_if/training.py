"""One training loop for both stages, on one process or several, that can be killed at any time."""

import io
import math
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.local_sgd import LocalSGD
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from generators import files
from generators.errors import AuthorError
from generators.machine import own_cores
from generators.mini_if.average import Average
from generators.mini_if.examples import Example
from generators.mini_if.loss import HybridLoss
from generators.mini_if.painter import Painter
from generators.mini_if.recipe import WORDS, Recipe
from generators.mini_if.samples import Sampler

STATE, LOG = "state.pt", "log.csv"
COLUMNS = "pictures,seconds,simple,variance,per_second\n"
LONGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Limits:
    """When a training ends, in pictures seen in all and minutes of this call.

    The rate falls to nothing between `decay_from` and `pictures`, if both are given. Checkpoints
    come every `save` minutes, samples every `sample`, lines of the log every `log`.
    """

    pictures: float = math.inf
    minutes: float = math.inf
    decay_from: float = math.inf
    save: float = 5.0
    sample: float = 6.0
    log: float = 1.0

    def share(self, pictures: int) -> float:
        """Return what is left of the rate after so many pictures, in [0, 1].

        The shape is 1 - √, which Hägele et al. 2024 found to fall best after a constant rate.
        """
        if pictures < self.decay_from or math.isinf(self.pictures):
            return 1.0
        done = (pictures - self.decay_from) / max(1, self.pictures - self.decay_from)
        return 1 - math.sqrt(min(1, done))


class Alarm:
    """Rings when `minutes` have gone since it last rang."""

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        self.last = time.monotonic()

    def rings(self) -> bool:
        rings = time.monotonic() - self.last >= self.seconds
        self.last = time.monotonic() if rings else self.last
        return rings


@dataclass
class Training:
    """Everything that changes while a stage learns, and the folder that it is kept in.

    Several processes share every gradient, or, where `apart` is above 1, learn apart for so many
    updates and then take the mean of their weights (local SGD, Stich 2019). `seconds` counts those
    of all processes.
    """

    painter: Painter
    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    apart: int = 1
    pictures: int = 0
    seconds: float = 0.0
    asked_to_stop: bool = False
    sums: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        device = self.accelerator.device
        # On a CPU channels last, a group norm of few channels takes ten times as long backward.
        layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
        # The stub of Module.to() does not know memory_format.
        self.painter.to(device, memory_format=layout)  # type: ignore
        self.average = Average(self.painter, self.recipe.longest_average)
        named = self.average.parameters.items()
        groups = [
            {"params": [each for name, each in named if name.startswith(WORDS) == is_words],
             "share": self.recipe.words_share if is_words else 1.0}
            for is_words in (False, True)
        ]  # fmt: skip
        self.optimizer = torch.optim.AdamW(
            groups, self.recipe.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self.restore()

    @property
    def updates(self) -> int:
        return self.pictures // self.recipe.batch

    def run(
        self, examples: Dataset[Example], loss: HybridLoss, limits: Limits, sampler: Sampler
    ) -> None:
        """Learn until a limit is reached or the process is asked to stop, then checkpoint."""
        signal.signal(signal.SIGTERM, self.stop)
        network: nn.Module = self.accelerator.prepare(self.painter)
        loss = loss.to(self.accelerator.device)
        alarms = [Alarm(each) for each in (limits.minutes, limits.save, limits.sample, limits.log)]
        with (
            closing(self.batches(examples)) as batches,
            LocalSGD(self.accelerator, network, self.apart, enabled=self.apart > 1) as together,
        ):
            while self.pictures < limits.pictures:
                began = time.monotonic()
                self.update(network, loss, next(batches), limits)
                together.step()
                ends, saves, samples, logs = self.agreed([each.rings() for each in alarms])
                self.seconds += self.accelerator.num_processes * (time.monotonic() - began)
                if logs:
                    self.log(alarms[3].seconds)
                if samples:
                    self.sample(sampler)
                if ends or saves:
                    self.checkpoint()
                if ends:
                    return
        self.checkpoint()
        self.sample(sampler)

    def stop(self, number: int, frame: object) -> None:
        """Checkpoint and end after the update under way."""
        self.asked_to_stop = True

    def agreed(self, rings: list[bool]) -> list[bool]:
        """Return what the first process hears: clocks differ, and all must do the same."""
        rings[0] = rings[0] or self.asked_to_stop
        heard = torch.tensor(rings, device=self.accelerator.device)
        if self.accelerator.num_processes > 1:
            heard = broadcast(heard.int()).bool()
        return [bool(each) for each in heard.tolist()]

    @property
    def helpers(self) -> int:
        """How many processes make examples beside this one, which on a CPU has the cores itself."""
        return max(1, own_cores() - 1) if self.accelerator.device.type == "cuda" else 0

    def batches(self, examples: Dataset[Example]) -> Generator[Example]:
        """Yield this process's share of every batch from the first picture not yet seen on.

        To be closed: helpers that nobody has sent home outlive an error, and are waited for.
        """
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        share = self.recipe.batch // world
        if share * world != self.recipe.batch:
            raise AuthorError(f"a batch of {self.recipe.batch} is not for {world} processes")
        sampler = Batches(self.pictures + rank * share, share, self.recipe.batch)
        loader = DataLoader(
            examples, batch_sampler=sampler, num_workers=self.helpers,
            pin_memory=self.accelerator.device.type == "cuda", worker_init_fn=leave_stopping,
        )  # fmt: skip
        for example in loader:
            moved = [each.to(self.accelerator.device, non_blocking=True) for each in example]
            yield Example(*moved)

    def update(
        self, network: nn.Module, loss: HybridLoss, example: Example, limits: Limits
    ) -> None:
        """Take one step of AdamW with a clipped gradient, and the average along."""
        share = limits.share(self.pictures) * min(1, (self.updates + 1) / self.recipe.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * share * group["share"]
        with self.accelerator.autocast():
            simple, variance = loss(network, example)
        self.optimizer.zero_grad()
        self.accelerator.backward(simple + variance)
        learning = self.average.parameters.values()
        torch.nn.utils.clip_grad_norm_(learning, LONGEST_GRADIENT, foreach=True)
        self.optimizer.step()
        self.pictures += self.recipe.batch
        self.average.update(self.updates)
        self.sums.append(torch.stack([simple.detach(), variance.detach()]))

    def log(self, seconds: float) -> None:
        """Add a line to the log: the mean losses since the last one, and the speed."""
        simple, variance = torch.stack(self.sums).mean(dim=0).tolist()
        speed = len(self.sums) * self.recipe.batch / seconds
        self.sums.clear()
        if not self.accelerator.is_main_process:
            return
        line = f"{self.pictures},{self.seconds:.0f},{simple:.5f},{variance:.5f},{speed:.2f}"
        path = self.folder / LOG
        with path.open("a") as file:
            file.write(f"{'' if file.tell() else COLUMNS}{line}\n")
        print(line, flush=True)

    def sample(self, sampler: Sampler) -> None:
        """Draw the fixed prompts with the average of the weights, each process its share."""
        self.average.swap()
        self.painter.eval()
        picture = sampler.draw(self.painter, self.accelerator)
        self.painter.train()
        self.average.swap()
        if self.accelerator.is_main_process:
            files.write(self.folder / f"samples-{self.pictures:08d}.png", picture)

    def checkpoint(self) -> None:
        """Keep the weights, their average, AdamW's moments and how far it is, in one file."""
        if self.accelerator.is_main_process:
            content = io.BytesIO()
            torch.save(
                {
                    "painter": self.painter.state_dict(), "average": self.average.values,
                    "optimizer": self.optimizer.state_dict(), "pictures": self.pictures,
                    "seconds": self.seconds,
                },
                content,
            )  # fmt: skip
            files.write(self.folder / STATE, content.getvalue())
        self.accelerator.wait_for_everyone()

    def restore(self) -> None:
        """Go on from the checkpoint in the folder, if there is one, be it of weights alone.

        Raises: AuthorError naming it when it is of other networks.
        """
        path = self.folder / STATE
        if not path.exists():
            return
        state = read_state(path, self.accelerator.device)
        try:
            self.painter.load_state_dict(state["painter"])
            for name, value in state["average"].items():
                self.average.values[name].copy_(value)
        except (RuntimeError, KeyError):
            expected = "those of this recipe; delete it to begin anew"
            raise AuthorError(f"{path}: found other networks, expected {expected}") from None
        if "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
            for parameter, moments in self.optimizer.state.items():
                for name, value in moments.items():
                    if value.dim():
                        # A fused optimizer walks raw memory, laid out otherwise on a GPU.
                        moments[name] = torch.empty_like(parameter).copy_(value)
        self.pictures, self.seconds = state["pictures"], state["seconds"]


def leave_stopping(worker: int) -> None:
    """Let a helper of the loader outlive a request to stop: the training ends it after its update.

    A launcher sends SIGTERM to all of its processes.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def read_state(path: Path, device: torch.device) -> dict:  # type: ignore
    """Read a checkpoint; only tensors and numbers are accepted from it."""
    # A process of several calls its device cpu:0, which torch.load does not know.
    place = "cpu" if device.type == "cpu" else device
    return torch.load(path, map_location=place, weights_only=True)  # type: ignore


@dataclass(frozen=True)
class Batches:
    """The numbers of the examples of each batch: `size` from `start`, then `apart` further on."""

    start: int
    size: int
    apart: int

    def __iter__(self) -> Iterator[list[int]]:
        start = self.start
        while True:
            yield list(range(start, start + self.size))
            start += self.apart
