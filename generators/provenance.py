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
    """Return the short name of the checked-out commit, or "".

    "+" behind it says that files differ, other than those of site/, which builds write themselves.
    """
    git = ["git", "-C", str(root)]
    differ = [*git, "diff", "--quiet", "HEAD", "--", ".", ":(exclude)site"]
    try:
        found = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, check=True
        )
        marked = subprocess.run(differ, capture_output=True).returncode
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.decode().strip() + ("+" if marked else "")
