"""How fast networks on digits train: this project's loop against the plain one, and the machine.

    python tests/benchmarks/training_speed.py --threads 1

For each network of content/site.toml that is named (unless told otherwise, all but those that cost
what another does):

- ours: its trainer itself, after `generators.machine.prepare`: digits kept as uint8 on the device,
  channels last, bfloat16 where that pays, fused Adam, losses fetched once an epoch, freed memory
  kept, and on a GPU torch.compile;
- plain: the same network, loss and batches in the loop of textbooks: a DataLoader over a
  TensorDataset of float images, float32 in torch's own memory format (on GPUs with the convolutions
  that torch rounds there by default), Adam as it comes, `loss.item()` at each step.

Each runs in a process of its own, since `prepare` changes how all of a process gets its memory, and
they take turns: ours, plain, ours, plain, … Printed are medians over the rounds, in images a
second. Operations (a multiply-add is two) are counted by torch in one forward and backward pass.
"Share" is what ours does a second, over what a product of large matrices reaches in the type that
ours computes in: 100 % would leave nothing to gain but by computing less. The last two
columns are one epoch of 60,000 images, in seconds: ours, and at the rate of the matrices.

Images are MNIST's where MNIST_DIR names their folder, else random: speed does not depend on them.
"""

import argparse
import gzip
import importlib
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from generators import machine  # noqa: E402
from generators.content import Network  # noqa: E402
from generators.digits.data import Digits, scaled  # noqa: E402
from generators.digits.training import Loss, Plan  # noqa: E402
from generators.figure import Progress  # noqa: E402
from generators.networks import Run  # noqa: E402
from generators.project import open_project  # noqa: E402

KINDS = (
    "denoiser", "ddpm-time", "ddpm-class", "flow-time", "flow-class", "flow-decayed", "flow-deep",
    "deep-small", "judge-features", "judge-answers",
)  # fmt: skip
WARM_UP, LEAST = 2, 3
"""Steps before the clock starts, and at least how many after."""
SIZES, PRODUCTS = {"cuda": 8192}, {"cuda": 100}
SIZE, FEW = 2048, 10
"""Of matrices, and how many products are timed, where the device has none of its own."""
EPOCH = 60000


class Setting(NamedTuple):
    """What a process is told."""

    contender: str
    network: str
    device: str
    threads: int
    images: int


class Clock:
    """Counts steps, and takes the time from the end of the warm-up to the last of them."""

    def __init__(self, device: torch.device, steps: int) -> None:
        self.device, self.steps, self.started, self.seconds = device, steps, 0.0, 0.0

    def tick(self, step: int) -> None:
        if step in (WARM_UP, self.steps):
            if self.device.type in ("cuda", "mps"):
                getattr(torch, self.device.type).synchronize()
            now = time.perf_counter()
            self.started, self.seconds = now, now - self.started

    @property
    def steps_per_second(self) -> float:
        return (self.steps - WARM_UP) / self.seconds


def ours(setting: Setting) -> float:
    """Train as the build does; return images per second."""
    machine.prepare(setting.threads)
    return timed(setting)


def plain(setting: Setting) -> float:
    """Train the same network for the same loss as textbooks do; return images per second."""
    torch.set_num_threads(setting.threads)
    with in_place_of_fit(setting.network, fit_plainly):
        return timed(setting)


def operations(setting: Setting) -> float:
    """Count the operations that an update of the network takes, per image."""
    found = list[float]()

    def count(network: nn.Module, loss: Loss, digits: Digits, plan: Plan, run: Run) -> None:
        x, labels = scaled(digits.images[: plan.batch]), digits.labels[: plan.batch]
        with FlopCounterMode(display=False) as counter:
            loss(network.train(), x, labels, torch.Generator()).backward()
        found.append(counter.get_total_flops() / plan.batch)

    with in_place_of_fit(setting.network, count):
        train(setting._replace(device="cpu"), lambda what, done, total: None)
    return found[0]


def matrix(setting: Setting) -> float:
    """Return the operations per second of a product of matrices."""
    device = torch.device(setting.device)
    torch.set_num_threads(setting.threads)
    kind = torch.bfloat16 if machine.bfloat16_pays(device) else torch.float32
    size = SIZES.get(device.type, SIZE)
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    clock = Clock(device, PRODUCTS.get(device.type, FEW) + WARM_UP)
    for step in range(1, clock.steps + 1):
        torch.mm(a, b)
        clock.tick(step)
    return clock.steps_per_second * 2 * size**3


CONTENDERS: dict[str, Callable[[Setting], float]] = {
    "ours": ours,
    "plain": plain,
    "operations": operations,
    "matrix": matrix,
}


def timed(setting: Setting) -> float:
    """Train, and return images per second."""
    clock = Clock(torch.device(setting.device), steps_of(setting))
    train(setting, lambda what, done, total: clock.tick(done))
    return clock.steps_per_second * batch_of(setting.network)


def train(setting: Setting, progress: Progress) -> None:
    """Call a network's trainer for one epoch of full batches."""
    network = networks()[setting.network]
    trainer, count = trainer_of(network), steps_of(setting) * batch_of(network.name)
    recipe = trainer.Recipe(**network.recipe | {"images": count, "epochs": 1})
    with tempfile.TemporaryDirectory() as folder:
        digits, device = mnist(Path(folder), count), torch.device(setting.device)
        trainer.train(Run(Path(folder), 180, device, lambda name: digits, progress), recipe)


def steps_of(setting: Setting) -> int:
    return max(setting.images // batch_of(setting.network), WARM_UP + LEAST)


def batch_of(name: str) -> int:
    return int(str(networks()[name].recipe["batch"]))


def trainer_of(network: Network) -> ModuleType:
    return importlib.import_module(network.trainer)


def fit_plainly(network: nn.Module, loss: Loss, digits: Digits, plan: Plan, run: Run) -> None:
    """The loop of textbooks, in the place of `generators.digits.training.fit`."""
    dataset = TensorDataset(scaled(digits.images.cpu()), digits.labels.cpu())
    loader = DataLoader(dataset, batch_size=plan.batch, shuffle=True)
    network = network.to(run.device).train()
    optimizer = torch.optim.Adam(network.parameters(), plan.rate)
    generator = torch.Generator(run.device)
    losses = []
    for step, (x, labels) in enumerate(loader, 1):
        value = loss(network, x.to(run.device), labels.to(run.device), generator)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
        run.progress("", step, len(loader))


@contextmanager
def in_place_of_fit(name: str, fit: Callable[..., None]) -> Iterator[None]:
    """Have a network's trainer call `fit` with the network and the loss that it has made."""
    with patch.object(trainer_of(networks()[name]), "fit", fit):
        yield


@cache
def networks() -> dict[str, Network]:
    sections = open_project(ROOT, None, draft=False).site.sections
    return {each.name: each for section in sections for each in section.networks}


def mnist(folder: Path, count: int) -> Path:
    """Return the folder in MNIST_DIR, or `folder` with random images in MNIST's format."""
    if given := os.environ.get("MNIST_DIR"):
        return Path(given)
    for name, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
        header = struct.pack(f">{len(shape) + 1}i", 0x0800 + len(shape), *shape)
        values = torch.randint(10 if len(shape) == 1 else 256, shape, dtype=torch.uint8)
        content = gzip.compress(header + values.numpy().tobytes(), compresslevel=1)
        (folder / f"train-{name}-ubyte.gz").write_bytes(content)
    return folder


def main() -> int:
    chosen = options()
    if chosen.run_one:
        setting = Setting(*json.loads(chosen.run_one))
        print(CONTENDERS[setting.contender](setting))
        return 0
    device = machine.choose_device(chosen.device)
    torch.set_num_threads(chosen.threads)

    def measured(contender: str, network: str = "") -> float:
        images = chosen.images or (EPOCH if device.type == "cuda" else 1280)
        return run_one(Setting(contender, network, str(device), chosen.threads, images))

    product = statistics.median(measured("matrix") for _ in range(chosen.rounds))
    kind = "bfloat16" if machine.bfloat16_pays(device) else "float32"
    print(f"{machine.describe(device)}, torch {torch.__version__}, medians of {chosen.rounds}")
    print(f"product of matrices in {kind}: {product / 1e9:,.0f} GFLOP/s")
    print(HEADING, flush=True)
    for name in chosen.networks:
        turns = [(measured("ours", name), measured("plain", name)) for _ in range(chosen.rounds)]
        print(row(name, measured("operations", name), turns, product), flush=True)
    return 0


def options() -> argparse.Namespace:
    description, _, rest = (__doc__ or "").partition("\n\n")
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        description=description, epilog=rest, formatter_class=formatter
    )
    known = sorted(networks())
    add = parser.add_argument
    add("networks", nargs="*", default=KINDS, metavar="NAME", help=f"of {', '.join(known)}")
    add("--images", type=int, metavar="N", help="at least five batches (default: 1280; GPU: 60000)")
    add("--threads", type=int, default=machine.cores(), metavar="N", help="default: all cores")
    add("--device", metavar="NAME", help="default: the best there is")
    add("--rounds", type=int, default=3, metavar="N", help="turns of each (default: 3)")
    add("--run-one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.images and chosen.images > EPOCH:
        parser.error(f"--images {chosen.images}, expected at most {EPOCH}")
    if unknown := set(chosen.networks) - set(known):
        parser.error(f"unknown network {min(unknown)!r}, expected one of {', '.join(known)}")
    return chosen


def run_one(setting: Setting) -> float:
    """Run one contender in a process of its own; return its images or operations."""
    command = [sys.executable, __file__, "--run-one", json.dumps(setting)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{setting.contender}, {setting.network} failed, see above")
    return float(done.stdout)


HEADING = (
    f"{'':<16}{'MFLOP':>7}{'ours/s':>9}{'slowest':>9}{'fastest':>9}{'plain/s':>9}"
    f"{'ours/plain':>12}{'share':>7}{'epoch':>8}{'floor':>8}"
)


def row(name: str, work: float, turns: list[tuple[float, float]], product: float) -> str:
    """Return one network's line: `work` operations an image, `product` of them a second at best."""
    ours, plain = zip(*turns, strict=True)
    rate = statistics.median(ours)
    speeds = "".join(f"{value:>9,.0f}" for value in (rate, min(ours), max(ours)))
    ratio = statistics.median(one / other for one, other in turns)
    return (
        f"{name:<16}{work / 1e6:>7,.0f}{speeds}{statistics.median(plain):>9,.0f}{ratio:>12.2f}"
        f"{rate * work / product:>7.0%}{seconds(EPOCH / rate)}{seconds(EPOCH * work / product)}"
    )


def seconds(value: float) -> str:
    return f"{value:>8,.0f}" if value >= 100 else f"{value:>8.3g}"


if __name__ == "__main__":
    sys.exit(main())
