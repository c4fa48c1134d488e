"""Files that are whole or absent: temporary file, flush to disk, rename."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path


def digest(content: bytes) -> str:
    """Return the SHA-256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step; killed at any moment, the old or the new file is there.

    Raises: OSError, leaving neither a partial nor a temporary file, when the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".writing-{os.getpid()}-{path.name}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            # That the disk is full is raised without a name.
            error.filename = error.filename or str(path)
        raise


def sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder, if it exists; none may be at work there."""
    for file in folder.glob(".writing-*"):
        file.unlink()
