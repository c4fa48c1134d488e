"""Trained networks that come with the checkout: a safetensors file each, in half precision.

Matrices and kernels are rounded to float16; what has one axis (biases, BatchNorm's statistics) and
networks that are small anyway stay exact. The metadata holds the network's record and a digest.
What is too large for one file goes on in NAME.2.safetensors and so on.
"""

import json
import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from generators.content import Network, Section
from generators.errors import AuthorError
from generators.figure import LOSSES, epoch_file
from generators.files import digest, write
from generators.parameters import whole_numbers
from generators.store import NetworkRecord, write_sealed

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 1 << 20
"""Weights of an epoch below this many bytes are shipped as they are."""
HEADER = 1 << 24
"""Bytes of a file's header that are read at most; one epoch takes some 15,000."""
OURS = re.compile(rf"epoch-\d{{4,}}\.safetensors|{re.escape(LOSSES)}")
LARGEST = 16_000_000
"""Bytes of tensors that one file holds at most, if no epoch alone has more."""


def epochs_read(section: Section, network: Network) -> tuple[int, ...]:
    """Return after which epochs a section looks at a network, as far as it lets itself be asked.

    By convention a parameter `epochs` says so of all its networks, and `flow_epochs` of the one
    that a parameter `flow` names; without them it is the last epoch alone.
    """
    given = section.parameters
    names = [f"{name}_epochs" for name, value in given.items() if value == network.name]
    return tuple(epoch for name in ("epochs", *names) for epoch in whole_numbers(given.get(name)))


def lacks(record: NetworkRecord, epochs: Iterable[int]) -> bool:
    """Whether the weights after one of `epochs`, as far as it was trained, are not in its files."""
    wanted = [epoch_file(epoch) for epoch in epochs if epoch <= record["epochs"]]
    return any(name not in record["files"] for name in wanted)


def shipped_file(root: Path, network: Network) -> Path:
    """Return where a network is shipped, if it is: beside the package of its trainer."""
    package = Path(*network.trainer.split(".")[:-1])
    return root / package / "weights" / network.data / f"{network.name}.safetensors"


def is_shipped(path: Path, key: str, epochs: Iterable[int] = ()) -> bool:
    """Whether a file says that it holds the network of `key` after each of `epochs`.

    Only its header is read, and torch is not imported.
    """
    record = record_in(path)
    return record is not None and record["key"] == key and not lacks(record, epochs)


def record_in(path: Path) -> NetworkRecord | None:
    """Return the record in a file's metadata, or None where there is no such file.

    Raises: AuthorError naming the file when it is cut short or of another make.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, HEADER)))
        return cast(NetworkRecord, json.loads(header["__metadata__"]["record"]))
    except (ValueError, KeyError, TypeError, struct.error):
        raise refused(path, "is no file of weights that this program wrote") from None


def restore(path: Path, folder: Path) -> NetworkRecord:
    """Unpack a shipped network into a folder such as training leaves, and return its record.

    Raises: AuthorError naming the file when it is missing, cut short or not as it was written.
    """
    from safetensors.torch import save

    from generators.weights import read_tensors

    record = record_in(path)
    if record is None:
        raise AuthorError(f"{path}: no such file, expected the weights of a network")
    told = require_whole(path)
    for name in record["files"]:
        if not OURS.fullmatch(name):
            raise refused(path, f"names {name!r}, a file that no training leaves")
    try:
        parts = part_files(path, int(told.get("parts", "1")))
        tensors = {name: value for each in parts for name, value in read_tensors(each).items()}
    except ValueError as error:
        raise refused(path, f"is damaged ({error})") from None
    if digest(save(tensors)) != told.get("digest"):
        raise refused(path, "is not as it was written")
    for name in record["files"]:
        found = {
            tensor.removeprefix(f"{name}/"): value
            for tensor, value in tensors.items()
            if tensor.startswith(f"{name}/")
        }
        content = save(found)
        record["files"][name] = digest(content)
        write(folder / name, content)
    write_sealed(folder, record)
    return record


def ship(path: Path, folder: Path, record: NetworkRecord, epochs: Iterable[int]) -> int:
    """Write a trained network's weights after `epochs`, and its losses; return the bytes written.

    Raises: ValueError naming a file of the network that is damaged.
    """
    from safetensors.torch import save

    from generators.weights import read_tensors

    names = [epoch_file(epoch) for epoch in sorted(set(epochs))]
    parts = [{f"{LOSSES}/{k}": value for k, value in read_tensors(folder / LOSSES).items()}]
    is_small = (folder / names[0]).stat().st_size < SMALL
    for name in names:
        weights = {}
        for tensor, value in read_tensors(folder / name).items():
            is_rounded = value.is_floating_point() and value.dim() > 1 and not is_small
            weights[f"{name}/{tensor}"] = value.half() if is_rounded else value
        if len(parts[-1]) and size(parts[-1]) + size(weights) > LARGEST:
            parts.append({})
        parts[-1] |= weights
    told = {**record, "files": dict.fromkeys([*names, LOSSES], "")}
    if not is_small:
        told["rounded"] = "float16"
    told.pop("seal", None)
    tensors = {name: value for part in parts for name, value in part.items()}
    metadata = {"record": json.dumps(told, sort_keys=True), "digest": digest(save(tensors))}
    if len(parts) > 1:
        metadata["parts"] = str(len(parts))
    contents = [save(parts[0], metadata), *map(save, parts[1:])]
    files = part_files(path, len(parts))
    for file, content in zip(files[::-1], contents[::-1], strict=True):
        if not is_written(file, content):
            write(file, content)
    for other in set(path.parent.glob(f"{path.stem}.*{path.suffix}")) - set(files):
        if other.stem.removeprefix(f"{path.stem}.").isdecimal():
            other.unlink()
    return sum(map(len, contents))


def is_written(file: Path, content: bytes) -> bool:
    """Whether a file holds this already; safetensors orders metadata at random."""
    found = file.read_bytes() if file.is_file() else b""
    end = 8 + int.from_bytes(content[:8], "little")
    if found[:8] != content[:8] or found[end:] != content[end:]:
        return False
    try:
        return bool(json.loads(found[8:end]) == json.loads(content[8:end]))
    except ValueError:
        return False


def relabel(path: Path, record: NetworkRecord) -> None:
    """Write another record into the first file of a network, beside the same tensors.

    Raises: AuthorError naming the file when it is damaged.
    """
    from safetensors.torch import save

    from generators.weights import read_tensors

    told = require_whole(path) | {"record": json.dumps(record, sort_keys=True)}
    write(path, save(read_tensors(path), told))


def require_whole(path: Path) -> dict[str, str]:
    """Return the metadata of a network's first file.

    Raises: AuthorError naming the file when it is cut short or of another make.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata())
    except (ValueError, TypeError, SafetensorError) as error:
        raise refused(path, f"is damaged ({error})") from None


def size(tensors: "dict[str, Tensor]") -> int:
    return sum(each.numel() * each.element_size() for each in tensors.values())


def part_files(path: Path, count: int) -> list[Path]:
    """Return the files of a network whose first is `path`."""
    others = (path.with_suffix(f".{number}{path.suffix}") for number in range(2, count + 1))
    return [path, *others]


def refused(path: Path, problem: str) -> AuthorError:
    return AuthorError(f"{path} {problem}; take it from the repository again, or delete it")
