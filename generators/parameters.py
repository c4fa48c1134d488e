"""What an author may set: the declared range of a parameter."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Both ends belong to it: `Annotated[float, Range(0, 1)]` takes 0 and 1."""

    low: float
    high: float
