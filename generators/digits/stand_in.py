"""`python -m generators.digits.stand_in`: sample the digits that stand in where MNIST is missing.

They come from the flow-class network that is shipped, by the midpoint method under guidance: one
zip archive with four files in MNIST's own format, the last fifth of the digits as the test set.
"""

import argparse
import gzip
import io
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from generators.digits.conditioned import CLASSES, class_unet
from generators.digits.flow import midpoint
from generators.digits.many import BATCH, Integrated, samples
from generators.errors import AuthorError
from generators.figure import epoch_file
from generators.files import write
from generators.machine import prepare
from generators.project import open_project
from generators.shipped import restore, shipped_file
from generators.stand_in import ARCHIVE, ORIGIN
from generators.streams import stream

NETWORK = "flow-class"
EVALUATIONS, SCALE, SEED = 10, 1.5, 180


def sampled(weights: Path, count: int, parts: Path) -> tuple[Tensor, Tensor]:
    """Return `count` digits (N, 28, 28) uint8 and their labels (N,) uint8, 0 … 9 in turn.

    What is sampled is kept in the folder `parts`, where a run that was stopped goes on.
    """
    network = class_unet(weights)
    labels = torch.arange(count) % CLASSES
    found: list[Tensor] = []
    for part in torch.arange(count).split(BATCH):
        path = parts / f"{part[0]:05d}-{part[-1]:05d}"
        if not path.is_file():
            seeds = [stream(SEED, "stand-in", index) for index in part.tolist()]
            sampler = Integrated(midpoint, 2)
            images = samples(network, sampler, EVALUATIONS, SCALE, labels[part], seeds)
            write(path, images.numpy().tobytes())
            print(f"{part[-1] + 1} of {count}", file=sys.stderr, flush=True)
        content = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        found.append(content.reshape(-1, 28, 28))
    return torch.cat(found), labels.byte()


def archive(images: Tensor, labels: Tensor, origin: dict[str, object]) -> bytes:
    """Return a zip archive of four gzip-compressed IDX files and of where they come from."""
    split = len(images) * 4 // 5
    parts = {"train": slice(None, split), "t10k": slice(split, None)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr(zipfile.ZipInfo(ORIGIN), json.dumps(origin, indent=1, sort_keys=True))
        for name, part in parts.items():
            for kind, tensor in (("images-idx3", images), ("labels-idx1", labels)):
                content = gzip.compress(idx(tensor[part]), 9, mtime=0)
                target.writestr(zipfile.ZipInfo(f"{name}-{kind}-ubyte.gz"), content)
    return file.getvalue()


def idx(tensor: Tensor) -> bytes:
    """Return a uint8 tensor in the IDX format, not compressed."""
    header = [0x0800 + tensor.dim(), *tensor.shape]
    return b"".join(each.to_bytes(4, "big") for each in header) + tensor.numpy().tobytes()


def main(root: Path, arguments: list[str]) -> int:
    """Make the archive, and return the exit status: 0, or 1 after one line on what is wrong."""
    parser = argparse.ArgumentParser(description="Sample the digits that stand in for MNIST.")
    parser.add_argument("--count", type=int, default=10000)
    count = parser.parse_args(arguments).count
    prepare(1)
    try:
        make(root, count)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def make(root: Path, count: int) -> None:
    """Write the archive of `count` digits.

    Raises: AuthorError where no section names the network, or it is not shipped.
    """
    project = open_project(root, None, draft=False)
    networks = {each.name: each for s in project.site.sections for each in s.networks}
    if NETWORK not in networks:
        raise AuthorError(f"no section names the network {NETWORK!r}, which draws the digits")
    with tempfile.TemporaryDirectory() as folder:
        record = restore(shipped_file(root, networks[NETWORK]), Path(folder))
        parts = project.cache / "stand-in" / f"{record['key']}-{EVALUATIONS}-{SCALE:g}-{SEED}"
        images, labels = sampled(Path(folder) / epoch_file(record["epochs"]), count, parts)
    origin = {
        "network": NETWORK,
        "key": record["key"],
        "sampler": "midpoint",
        "evaluations": EVALUATIONS,
        "scale": SCALE,
        "seed": SEED,
    }
    write(root / ARCHIVE, archive(images, labels, origin))


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parents[2], sys.argv[1:]))
