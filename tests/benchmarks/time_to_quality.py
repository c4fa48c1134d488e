"""How soon digits are good: the distance of samples to the data against the time of training.

    MNIST_DIR=… python tests/benchmarks/time_to_quality.py

A network of flow matching that is told the digit is trained from nothing, by its trainer as the
build does it. Seconds are the processor's, of all threads, without the sampling after it. Beside
them stands what the network scores before the judges of section B3.1: as many samples as there are
test digits, asked for with their labels, by the midpoint method with 20 evaluations each, both
branches of the guidance counted. The first row is the floor: real test digits.

As it comes, the recipe is the best known for 150 seconds of one core. Give it a machine of its own:
whoever else is at work slows memory down, and that is in the seconds.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from generators import machine  # noqa: E402
from generators.digits import flow  # noqa: E402
from generators.digits.classifier import Classifier, classifier  # noqa: E402
from generators.digits.conditioned import class_unet  # noqa: E402
from generators.digits.data import load  # noqa: E402
from generators.digits.jury import Score, jury  # noqa: E402
from generators.digits.many import Integrated, samples, seeds_of  # noqa: E402
from generators.figure import epoch_file  # noqa: E402
from generators.networks import Run  # noqa: E402
from generators.project import open_project  # noqa: E402
from generators.shipped import restore, shipped_file  # noqa: E402

SEED, EVALUATIONS = 180, 10
RECIPE = flow.Recipe(classes=True, hidden=12, batch=32, epochs=4, images=35000, decay=0.03)
SET = ("hidden", "batch", "epochs", "images")
"""What can be set on the command line."""


def main() -> int:
    chosen = options()
    machine.prepare(chosen.threads)
    folder, device = Path(os.environ["MNIST_DIR"]), torch.device("cpu")
    recipe = replace(RECIPE, **{name: getattr(chosen, name) for name in SET})
    test = load(folder, "t10k")
    judges = jury(shipped("judge-features"), shipped("judge-answers"), load(folder, "train").images)
    print(f"{machine.describe(device)}, torch {torch.__version__}, {recipe}")
    print(f"{'':<8}{'seconds':>8}{'γ':>6}{'distance':>10}{'× floor':>9}{'right':>8}{'recall':>8}")
    floor = judges.score(test.images, test.labels, SEED)
    print(f"{'real':<22}{said(floor, floor)}", flush=True)
    with tempfile.TemporaryDirectory() as parts:
        began = time.process_time()
        run = Run(Path(parts), SEED, device, lambda _: folder, lambda what, done, total: None)
        flow.train(run, recipe)
        spent = time.process_time() - began
        run.finish()
        network = class_unet(Path(parts) / epoch_file(recipe.epochs))
    sampler, seeds = Integrated(flow.midpoint, 2), seeds_of(SEED, len(test.labels))
    for scale in chosen.scales:
        images = samples(network, sampler, EVALUATIONS, scale, test.labels, seeds)
        score = judges.score(images, test.labels, SEED)
        print(f"{'samples':<8}{spent:>8,.0f}{scale:>6g}{said(score, floor)}", flush=True)
    return 0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    add = parser.add_argument
    for name in SET:
        given = getattr(RECIPE, name)
        add(f"--{name}", type=int, default=given, metavar="N", help=f"default: {given}")
    add(
        "--scales",
        nargs="+",
        type=float,
        default=[1.5, 1.75],
        metavar="γ",
        help="of guidance (default: 1.5 1.75)",
    )
    add("--threads", type=int, default=1, metavar="N", help="default: 1")
    chosen = parser.parse_args()
    if not Path(os.environ.get("MNIST_DIR", ""), "t10k-images-idx3-ubyte.gz").is_file():
        parser.error("MNIST_DIR is no folder with MNIST's four files")
    return chosen


def shipped(name: str) -> Classifier:
    """Return a judge that is shipped."""
    sections = open_project(ROOT, None, draft=False).site.sections
    network = next(each for section in sections for each in section.networks if each.name == name)
    with tempfile.TemporaryDirectory() as folder:
        record = restore(shipped_file(ROOT, network), Path(folder))
        return classifier(Path(folder) / epoch_file(record["epochs"]))


def said(score: Score, floor: Score) -> str:
    times = score.frechet / floor.frechet
    return f"{score.frechet:>10.3f}{times:>9.1f}{score.accuracy:>8.1%}{score.recall:>8.2f}"


if __name__ == "__main__":
    sys.exit(main())
