"""How many processes were started together, by `accelerate launch` for instance (no torch here)."""

import os
from typing import TypeVar

AnyError = TypeVar("AnyError", bound=BaseException)


def count() -> int:
    """Return how many there are, on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def here() -> int:
    """Return how many of them run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this one, from 0."""
    return int(os.environ.get("RANK", "0"))


def everywhere(error: AnyError) -> AnyError:
    """Mark an error that all processes raise at the same moment, so that they stay in step."""
    vars(error)["everywhere"] = True
    return error


def is_everywhere(error: BaseException) -> bool:
    """Whether an error was marked so; any other leaves the rest of the processes waiting."""
    return "everywhere" in vars(error)
