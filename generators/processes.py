"""How many processes were started together, by `accelerate launch` for instance (no torch here)."""

import os


def count() -> int:
    """Return how many there are, on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def here() -> int:
    """Return how many of them run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this one, from 0."""
    return int(os.environ.get("RANK", "0"))
