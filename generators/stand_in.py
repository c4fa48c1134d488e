"""Digits that stand in for MNIST where it cannot be had: sampled, and said to be so wherever shown.

`generators.digits.stand_in` makes the archive.
"""

import zipfile
from pathlib import Path

from generators.errors import AuthorError
from generators.files import digest, write

NAME = "stand-in"
ARCHIVE = Path("generators", "digits", "stand-in.zip")
ORIGIN = "origin.json"
FILES = tuple(
    f"{split}-{kind}-ubyte.gz"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
CAPTION = "Made on stand-in digits, sampled from a network of this project: MNIST was not there."


def stand_in(root: Path, cache: Path) -> Path | None:
    """Return a folder with the stand-in digits in MNIST's format, or None if none are shipped.

    Raises: AuthorError naming the archive when it is damaged.
    """
    archive = root / ARCHIVE
    if not archive.is_file():
        return None
    folder = cache / NAME / digest(archive.read_bytes())[:16]
    try:
        with zipfile.ZipFile(archive) as source:
            for name in FILES:
                if not (folder / name).is_file():
                    write(folder / name, source.read(name))
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise AuthorError(
            f"{archive} is damaged ({error}); take it from the repository again, or delete it"
        ) from None
    return folder
