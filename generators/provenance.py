"""When, where and with what something was made."""

import datetime
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from generators import machine
from generators.store import Provenance

if TYPE_CHECKING:
    import torch

LIBRARIES = ("torch", "numpy", "pillow", "imageio", "matplotlib")


def provenance(device: "torch.device", commit: str, seconds: float) -> Provenance:
    """Return the record of what was just made on a device by the code of a commit."""
    return {
        "made": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "device": machine.describe(device),
        "versions": versions(),
        "commit": commit,
    }


def versions() -> dict[str, str]:
    return {library: version(library) for library in LIBRARIES}


def commit(root: Path) -> str:
    """Return the short name of the checked-out commit, "+" behind it when files differ, or ""."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
