"""Folders that are whole or known not to be: files first, then a sealed record that lists them."""

import json
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict

from generators.files import digest, sweep, write

RECORD = "record.json"


class Provenance(TypedDict):
    """Where, when and with what something was made; `model` names the cascade of its part.

    `accepted` says when and at which commits an author took it over from code that had changed.
    """

    made: str
    seconds: float
    device: str
    versions: dict[str, str]
    commit: str
    model: NotRequired[str]
    accepted: NotRequired[list[str]]


class Half(TypedDict):
    """The key of one half of a section, and what went into it."""

    key: str
    parts: dict[str, str]


class Shown(TypedDict):
    """What a page must know of a figure; which of the optional ones depends on its kind."""

    name: str
    kind: str
    caption: str
    alt: str
    width: int
    height: int
    files: dict[str, str]
    columns: NotRequired[list[str]]
    labels: NotRequired[list[str]]
    across: NotRequired[int]
    down: NotRequired[int]
    frames: NotRequired[int]
    milliseconds: NotRequired[int]
    motions: NotRequired[list[str]]


class NetworkRecord(TypedDict):
    """A trained network: its recipe, its training; `rounded` is the precision it was shipped in."""

    key: str
    recipe: dict[str, str]
    epochs: int
    provenance: Provenance
    files: dict[str, str]
    rounded: NotRequired[str]


class Record(TypedDict):
    """A section as published."""

    section: str
    seed: int
    draft: bool
    parameters: dict[str, str]
    experiment: Half
    figures: Half
    provenance: Provenance
    networks: dict[str, NetworkRecord]
    shown: list[Shown]
    numbers: dict[str, str]
    files: dict[str, str]


class ResultsRecord(TypedDict):
    """The results of an experiment, kept for the next time its figures are drawn."""

    key: str
    provenance: Provenance
    networks: dict[str, NetworkRecord]
    files: dict[str, str]


class Sealed(NamedTuple):
    """A record, or None, and what is wrong with it or with the files that it lists."""

    record: object | None
    damage: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether there is a record, and all is as it was written."""
        return self.record is not None and not self.damage


def read_sealed(folder: Path, verify: bool = True) -> Sealed:
    """Read a folder's record; with `verify`, hash every file that it lists."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        seal = record.pop("seal")
    except FileNotFoundError:
        return Sealed(None)
    except (ValueError, KeyError, AttributeError, TypeError, OSError):
        return Sealed(None, f"{folder.name}/{RECORD} is damaged")
    if seal != seal_of(record):
        return Sealed(None, f"{folder.name}/{RECORD} is not as it was written")
    if verify:
        for name, expected in record["files"].items():
            if damage := damage_of(folder / name, expected):
                return Sealed(record, f"{folder.name}/{name} {damage}")
    return Sealed(record)


def damage_of(path: Path, expected: str) -> str:
    """Say how a file differs from what its record expects, or return ""."""
    try:
        return "" if digest(path.read_bytes()) == expected else "is not as it was written"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def listed(folder: Path) -> list[str]:
    """Return the names of the files that a folder's record lists, none without a whole record."""
    record = read_sealed(folder, verify=False).record
    files = record.get("files") if isinstance(record, dict) else None
    return list(files) if isinstance(files, dict) else []


def seal_of(record: object) -> str:
    """Return the digest that a record carries of itself."""
    return digest(json.dumps(record, sort_keys=True, separators=(",", ":")).encode())


def write_sealed(folder: Path, record: object) -> None:
    """Write the record of a folder whose files are in place."""
    assert isinstance(record, dict)
    sealed = {**record, "seal": seal_of(record)}
    text = json.dumps(sealed, indent=1, sort_keys=True, ensure_ascii=False)
    write(folder / RECORD, text.encode() + b"\n")


def publish(folder: Path, record: Record, contents: dict[str, bytes]) -> None:
    """Write a section's files, then its record, then remove what only the old record lists.

    Killed anywhere between, the folder holds files that do not match the old record: it is found
    damaged, never taken for whole.
    """
    before = listed(folder)
    sweep(folder)
    for name, content in contents.items():
        if damage_of(folder / name, digest(content)):
            write(folder / name, content)
    record = {**record, "files": {name: digest(content) for name, content in contents.items()}}
    write_sealed(folder, record)
    for name in before:
        if name not in contents:
            (folder / name).unlink(missing_ok=True)
