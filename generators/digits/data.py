"""MNIST's four files as tensors: uint8 on the device, scaled to [0, 1] batch by batch."""

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

Split = Literal["train", "t10k"]


@dataclass(frozen=True)
class Digits:
    """Images (N, 28, 28) uint8 in 0…255 and labels (N,) uint8 in 0…9."""

    images: Tensor
    labels: Tensor

    def first(self, count: int) -> "Digits":
        return Digits(self.images[:count], self.labels[:count])

    def to(self, device: torch.device) -> "Digits":
        return Digits(self.images.to(device), self.labels.to(device))


def load(folder: Path, split: Split) -> Digits:
    """Read one split of MNIST from its two gzip files in `folder`.

    Raises: ValueError naming the file of another kind, or the folder where there is not a label for
    each image. Files that are damaged are found earlier, by their checksums (`datasets.find`).
    """
    images = read_idx(folder / f"{split}-images-idx3-ubyte.gz", dimensions=3)
    labels = read_idx(folder / f"{split}-labels-idx1-ubyte.gz", dimensions=1)
    if len(images) != len(labels):
        raise ValueError(f"{folder}: {len(images)} images but {len(labels)} labels in {split}")
    return Digits(images, labels)


def read_idx(path: Path, dimensions: int) -> Tensor:
    """Return the uint8 array in a gzip-compressed IDX file with that many dimensions."""
    content = gzip.decompress(path.read_bytes())
    magic, *shape = struct.unpack_from(f">{dimensions + 1}i", content)
    start = 4 * (dimensions + 1)
    if magic != 0x0800 + dimensions:
        raise ValueError(f"{path}: header {magic:#x}, expected {0x0800 + dimensions:#x}")
    values = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start)
    return values.reshape(shape)


def scaled(images: Tensor) -> Tensor:
    """Turn uint8 images (N, 28, 28) into the network's float32 (N, 1, 28, 28) in [0, 1]."""
    return images.unsqueeze(1).float() / 255


def of_each_class(digits: Digits, classes: tuple[int, ...], seed: int) -> Tensor:
    """Return one image (uint8) of each class asked for, drawn at random: (len(classes), 28, 28)."""
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in classes:
        there = (digits.labels == label).nonzero().flatten()
        chosen.append(there[torch.randint(len(there), (), generator=generator)])
    return digits.images[torch.stack(chosen)]
