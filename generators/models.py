"""Which cascade a name means, where it lies, and what it is known by (imports no torch).

NAME is `mini-if`, a folder with stage_1/ and stage_2/, a Hub id of a stage 1, or STAGE1,STAGE2 of
either; a further item ending in .pt or .pth is a file of embeddings made elsewhere.
"""

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from generators.errors import AuthorError, nearest
from generators.files import digest, write

EMBEDDED = ("mini-if", Path("generators", "mini_if", "weights"))
STAGES = ("stage_1", "stage_2")
JUDGE = EMBEDDED[1] / "judge.safetensors"
MANIFEST = "digests.json"
MISSING, UNRESOLVED = "missing", "unresolved"
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
THEIRS = re.compile(r"DeepFloyd|\bIF-I{1,2}-(M|L|XL)\b")
SECOND = {"M": "M", "L": "L", "XL": "L"}
"""DeepFloyd's stage 2 for each of its stages 1."""


class Model(NamedTuple):
    """A cascade: the folder or Hub id of each stage, a file of embeddings or "", key parts.

    `judge` scores its pictures: a safetensors file, the folder or Hub id of a CLIP, "" for none.
    """

    name: str
    stages: tuple[str, str]
    embeddings: str
    judge: str
    identity: dict[str, str]

    @property
    def credit(self) -> str:
        """The name, and what a page must say of weights made by others."""
        is_theirs = any(THEIRS.search(place) for place in self.stages)
        return self.name + " (weights for non-commercial research only)" * is_theirs

    @property
    def is_unresolved(self) -> bool:
        """Whether a stage on the Hub is not known by its commit yet."""
        return any(value.endswith(UNRESOLVED) for value in self.identity.values())


def find_model(name: str, root: Path, judge: str = "") -> Model:
    """Return the cascade that `name` means in the checkout `root`; folders are relative to it.

    `judge` is a folder or Hub id of a CLIP, or `mini-if` for the embedded judge, which is also the
    one of the embedded cascade; of pictures by any other it was taught nothing.
    Raises: AuthorError, one line, for a name that can mean nothing. What is not there yet is no
    error: only a section that must run needs it.
    """
    items = [item.strip() for item in name.split(",")]
    dictionaries = [item for item in items if item.endswith((".pt", ".pth"))]
    places = [item for item in items if item not in dictionaries]
    if not 1 <= len(places) <= 2 or len(dictionaries) > 1 or not all(items):
        raise AuthorError(f"model {name!r}: expected {EMBEDDED[0]}, a folder, a Hub id, or two")
    whole = EMBEDDED[1] if places[0] == EMBEDDED[0] else Path(os.path.expanduser(places[0]))
    if len(places) == 1 and ((root / whole).is_dir() or whole == EMBEDDED[1]):
        first, second = (str(root / whole / stage) for stage in STAGES)
        if (root / whole).is_dir() and not Path(first).is_dir():
            raise AuthorError(f"model {name!r}: a folder without {STAGES[0]}/, expected a cascade")
        identity = {"model": known_by(str(root / whole), root)}
    else:
        first, second = (
            placed(place, root, f"model {name!r}") for place in (*places, *second_of(places))
        )
        identity = {"model stage 1": known_by(first, root), "model stage 2": known_by(second, root)}
    embeddings = ""
    if dictionaries:
        embeddings = str(root / Path(os.path.expanduser(dictionaries[0])))
        identity["model embeddings"] = known_by(embeddings, root)
    # A page shows the name, and where somebody keeps a folder is no part of it.
    shown = ", ".join(Path(item).name if Path(item).is_absolute() else item for item in items)
    judge = judge or (EMBEDDED[0] if places[0] == EMBEDDED[0] else "")
    scored_by = (
        str(root / JUDGE) if judge == EMBEDDED[0] else judge and placed(judge, root, "judge")
    )
    examiner = known_by(scored_by or str(root / JUDGE), root)
    identity["judge"] = examiner if scored_by else f"for the examination alone, {examiner}"
    return Model(shown, (first, second), embeddings, scored_by, identity)


def second_of(places: list[str]) -> list[str]:
    """Return the stage 2 that belongs to a stage 1 given alone, nothing where both are given."""
    if len(places) == 2:
        return []
    found = re.fullmatch(r"(.*/)IF-I-(M|L|XL)(-.*)?", places[0])
    if second := re.fullmatch(r"(.*/IF-I)I(-.*)", places[0]):
        first = f"{second[1]}{second[2]}"
        raise AuthorError(
            f"model {places[0]!r}: this is a stage 2, expected its stage 1, {first!r}"
        )
    if not found:
        near = nearest(places[0].lower(), EMBEDDED[:1])
        expected = f"{EMBEDDED[0]}, a folder, a Hub id such as DeepFloyd/IF-I-L-v1.0"
        hint = near if near.endswith("?") else f", expected {expected}, or STAGE1,STAGE2"
        raise AuthorError(
            f"model {places[0]!r}: no folder of the checkout, no stage 1 of DeepFloyd's{hint}"
        )
    return [f"{found[1]}IF-II-{SECOND[found[2]]}{found[3] or ''}"]


def placed(place: str, root: Path, whose: str) -> str:
    folder = root / Path(os.path.expanduser(place))
    if folder.is_dir():
        return str(folder)
    if not HUB_ID.fullmatch(place):
        raise AuthorError(f"{whose}: {place!r} is neither a folder nor a Hub id")
    return place


def known_by(place: str, root: Path) -> str:
    """Return what identifies a place: a manifest, its files' bytes, or a commit on the Hub."""
    path = Path(place)
    if not path.is_absolute():
        return f"{place} {commit_of(place)}"
    if (path / MANIFEST).is_file():
        return digest((path / MANIFEST).read_bytes())[:16]
    if path.exists():
        return digest_of_files(path, root / ".cache" / "models.json")
    return MISSING


def digest_of_files(place: Path, memory: Path) -> str:
    """Return the digest of a file or of all files below a folder.

    Each is hashed once and remembered by its size and time: a model may have twenty gigabytes.
    """
    try:
        known = dict(json.loads(memory.read_bytes()))
    except (OSError, ValueError):
        known = {}
    before, parts = len(known), []
    files = [place] if place.is_file() else sorted(filter(Path.is_file, place.rglob("*")))
    for path in files:
        state = path.stat()
        name = f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
        if name not in known:
            known[name] = digest_of_file(path)
        parts.append([path.relative_to(place).as_posix(), known[name]])
    if len(known) > before:
        with suppress(OSError):
            write(memory, json.dumps(known).encode())
    return digest(json.dumps(parts).encode())[:16]


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file of any size."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def commit_of(name: str) -> str:
    """Return the commit of a model's snapshot in the local Hub cache."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    home = os.environ.get("HF_HOME") or f"{home}/huggingface"
    old = os.environ.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    cache = Path(os.path.expandvars(os.environ.get("HF_HUB_CACHE") or old)).expanduser()
    try:
        return (cache / f"models--{name.replace('/', '--')}" / "refs" / "main").read_text().strip()
    except OSError:
        return UNRESOLVED
