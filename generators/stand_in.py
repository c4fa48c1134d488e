"""Digits that stand in for MNIST where it cannot be had: sampled, and said to be so wherever shown.

`generators.digits.stand_in` makes the archive.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path

from generators.errors import AuthorError, MissingDataError
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


class Given:
    """The data that a section is given, and whether stand-in digits were among them.

    `find` returns the folder of a data set by its name, `stand_in` that of the digits, if any.
    """

    def __init__(self, find: Callable[[str], Path], stand_in: Callable[[], Path | None]) -> None:
        self.find = find
        self.stand_in = stand_in
        self.stands_in = False

    def dataset(self, name: str) -> Path:
        """Return the folder of a data set; where MNIST cannot be had, that of the stand-in."""
        try:
            return self.find(name)
        except MissingDataError as error:
            folder = self.stand_in() if error.data == "mnist" else None
            if folder is None:
                raise
            print(f"build.py: {error}; stand-in digits are used, and figures say so")
            self.stands_in = True
            return folder
