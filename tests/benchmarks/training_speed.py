"""How fast a network on digits trains: this project's loop against the plain one.

    python tests/benchmarks/training_speed.py --threads 1

Compared, on the same UNet, batch and number of threads:

- ours: `generators.digits.denoising.train` itself, after `generators.machine.prepare`: digits kept
  as uint8 on the device, channels last, bfloat16 where the hardware has it, fused Adam, losses
  fetched once an epoch, freed memory kept, and on a GPU torch.compile;
- plain: a DataLoader over a TensorDataset of float images, float32 in torch's own memory format,
  Adam as it comes, `loss.item()` at each step;
- matrix: the product of two matrices of 2048×2048, in the type that ours computes in.

Each runs in a process of its own, since `prepare` changes how all of a process gets its memory, and
they take turns: ours, plain, matrix, ours, plain, matrix, … Printed are medians over the rounds.

To read it: a training step costs three forward passes (one forward, two backward), a multiply-add
counts as two operations and is counted from the shapes of the layers. "Share" is that, over what
the product of matrices reached: 100 % would leave nothing to gain but by computing less. Images are
MNIST's where MNIST_DIR names their folder, else random: speed does not depend on them.
"""

import argparse
import gzip
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import mse_loss  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from generators import machine  # noqa: E402
from generators.digits import data, denoising  # noqa: E402
from generators.digits.unet import UNet  # noqa: E402
from generators.machine import bfloat16_pays  # noqa: E402
from generators.networks import Run  # noqa: E402

WARM_UP = 2
SIZE, PRODUCTS = 2048, {"cpu": 10, "cuda": 1000}
AIMS = {"cpu": 1.5, "cuda": 5.0}


class Setting(TypedDict):
    """What a contender is told, as JSON."""

    contender: str
    device: str
    threads: int
    hidden: int
    batch: int
    images: int


class Clock:
    """Counts steps, and takes the time from the end of the warm-up to the last of them."""

    def __init__(self, device: torch.device, steps: int) -> None:
        if steps <= WARM_UP:
            raise SystemExit(f"--images: {steps} steps, of which {WARM_UP} are warm-up")
        self.device, self.steps, self.started, self.seconds = device, steps, 0.0, 0.0

    def tick(self, step: int) -> None:
        if step in (WARM_UP, self.steps):
            finish(self.device)
            now = time.perf_counter()
            self.started, self.seconds = now, now - self.started

    def rate(self, batch: int) -> float:
        """Return images per second, given that every batch is full."""
        return (self.steps - WARM_UP) * batch / self.seconds


def finish(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ours(setting: Setting) -> float:
    """Train one epoch as the build does; return images per second."""
    device = torch.device(setting["device"])
    machine.prepare(setting["threads"])
    clock = Clock(device, setting["images"] // setting["batch"])
    recipe = denoising.Recipe(
        hidden=setting["hidden"], batch=setting["batch"], images=setting["images"], epochs=1
    )
    with tempfile.TemporaryDirectory() as folder:
        digits = mnist(Path(folder), setting["images"])

        def progress(what: str, done: int, total: int) -> None:
            clock.tick(done)

        denoising.train(Run(Path(folder), 180, device, lambda name: digits, progress), recipe)
    return clock.rate(setting["batch"])


def plain(setting: Setting) -> float:
    """Train one epoch as textbooks do; return images per second."""
    device = torch.device(setting["device"])
    torch.set_num_threads(setting["threads"])
    clock = Clock(device, setting["images"] // setting["batch"])
    with tempfile.TemporaryDirectory() as folder:
        digits = data.load(mnist(Path(folder), setting["images"]), "train")
    images = TensorDataset(data.scaled(digits.images[: setting["images"]]))
    loader = DataLoader(images, batch_size=setting["batch"], shuffle=True)
    network = UNet(setting["hidden"]).to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    losses = []
    for step, (x,) in enumerate(loader, 1):
        x = x.to(device)
        loss = mse_loss(network(x + 0.5 * torch.randn_like(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        clock.tick(step)
    return clock.rate(setting["batch"])


def matrix(setting: Setting) -> float:
    """Return the operations per second of a product of matrices."""
    device = torch.device(setting["device"])
    torch.set_num_threads(setting["threads"])
    kind = torch.bfloat16 if bfloat16_pays(device) else torch.float32
    a, b = (torch.randn(SIZE, SIZE, device=device, dtype=kind) for _ in range(2))
    steps = PRODUCTS.get(device.type, 100) + WARM_UP
    clock = Clock(device, steps)
    for step in range(1, steps + 1):
        torch.mm(a, b)
        clock.tick(step)
    return clock.rate(2 * SIZE**3)


CONTENDERS: dict[str, Callable[[Setting], float]] = {
    "ours": ours,
    "plain": plain,
    "matrix": matrix,
}


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


def multiply_adds(hidden: int) -> int:
    """Count the multiply-adds of one image's forward pass, from the shapes that layers see."""
    network, counts = UNet(hidden).eval(), list[int]()

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        # Every weight meets each place once: of the output, or where it spreads out, of the input.
        assert isinstance(layer.weight, Tensor)
        places = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        counts.append(layer.weight.numel() * places[0, 0].numel())

    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 1, 28, 28))
    return sum(counts)


def main() -> int:
    chosen = options()
    if chosen.run_one:
        setting: Setting = json.loads(chosen.run_one)
        print(CONTENDERS[setting["contender"]](setting))
        return 0
    device = machine.choose_device(chosen.device)
    torch.set_num_threads(chosen.threads)
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(chosen.rounds):
        for name, values in rates.items():
            values.append(measured(name, device, chosen))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(report(medians, rates, device, chosen))
    return 0


def options() -> argparse.Namespace:
    description, _, rest = (__doc__ or "").partition("\n\n")
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        description=description, epilog=rest, formatter_class=formatter
    )
    add = parser.add_argument
    add("--hidden", type=int, default=32, metavar="D", help="channels (default: 32)")
    add("--batch", type=int, default=256, metavar="N", help="default: 256")
    add("--images", type=int, default=2560, metavar="N", help="default: 2560; on a GPU take 60000")
    add("--threads", type=int, default=machine.cores(), metavar="N", help="default: all cores")
    add("--device", metavar="NAME", help="default: the best there is")
    add("--rounds", type=int, default=3, metavar="N", help="turns of each (default: 3)")
    add("--run-one", help=argparse.SUPPRESS)
    return parser.parse_args()


def measured(name: str, device: torch.device, chosen: argparse.Namespace) -> float:
    """Run one contender in a process of its own; return its images or operations per second."""
    setting: Setting = {
        "contender": name,
        "device": str(device),
        "threads": chosen.threads,
        "hidden": chosen.hidden,
        "batch": chosen.batch,
        # Full batches only.
        "images": chosen.images // chosen.batch * chosen.batch,
    }
    command = [sys.executable, __file__, "--run-one", json.dumps(setting)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed, see above")
    return float(done.stdout)


def report(
    medians: dict[str, float],
    rates: dict[str, list[float]],
    device: torch.device,
    chosen: argparse.Namespace,
) -> str:
    step, product = 3 * 2 * multiply_adds(chosen.hidden), medians["matrix"]
    ratio, aim = medians["ours"] / medians["plain"], AIMS.get(device.type, 1.0)
    kind = "bfloat16" if bfloat16_pays(device) else "float32"
    lines = [
        f"D = {chosen.hidden}, batch {chosen.batch}, {machine.describe(device)}, "
        f"torch {torch.__version__}, median of {chosen.rounds}",
        f"{'':<8}{'images/s':>10}{'slowest':>10}{'fastest':>10}{'GFLOP/s':>10}{'share':>8}",
    ]
    for name in ("ours", "plain"):
        speeds = "".join(
            f"{v:>10,.0f}" for v in (medians[name], min(rates[name]), max(rates[name]))
        )
        reached = medians[name] * step
        lines.append(f"{name:<8}{speeds}{reached / 1e9:>10,.0f}{reached / product:>8.0%}")
    lines.append(f"{'matrix':<8}{'':>30}{product / 1e9:>10,.0f}  {kind}, {SIZE}×{SIZE}")
    lines.append(f"ours / plain {ratio:.2f} (aim: {aim:g} or more)")
    seconds = f"{60000 / medians['ours']:,.1f} s for ours, {60000 * step / product:,.1f} s at the"
    lines.append(f"60,000 images of {step / 1e6:,.0f} MFLOP: {seconds} matrix rate")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
