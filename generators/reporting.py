"""What the terminal shows while something is made, and the table at the end."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from generators.figure import Progress


SILENCE = 60
"""How many seconds a log stays without a line."""


class Outcome(NamedTuple):
    """What became of one section."""

    section: str
    state: str
    reason: str
    seconds: float
    bytes: int


def ignore(what: str, done: int, total: int) -> None:
    """Report no progress."""


def told(section: str) -> "Progress":
    """Return what says now and then, in a line for a log, how far a section is."""
    last = time.monotonic()

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SILENCE:
            last = time.monotonic()
            line = f"build.py: {section}: {what}, {100 * done // max(1, total)} %"
            print(line, file=sys.stderr, flush=True)

    return report


@contextmanager
def progress_shown(section: str) -> Iterator["Progress"]:
    """Show a bar with the time left while a section is made, or lines off a terminal."""
    if not sys.stderr.isatty():
        yield told(section)
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(section, total=None)
        stage = ""

        def report(what: str, done: int, total: int) -> None:
            nonlocal stage
            # An estimate of the time left is of use only within one stage.
            if what.partition(",")[0] != stage:
                stage = what.partition(",")[0]
                bar.reset(task)
            bar.update(task, description=f"{section}: {what}", completed=done, total=total)

        yield report


def table(outcomes: Sequence[Outcome], started: float) -> str:
    """Return the table that ends a build: section, state and why, seconds, bytes."""
    rows = [("section", "state", "seconds", "bytes", "why")]
    for each in outcomes:
        seconds = f"{each.seconds:.1f}" if each.seconds else ""
        rows.append((each.section, each.state, seconds, f"{each.bytes:,}", each.reason))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}  {e}".rstrip()
        for a, b, c, d, e in rows
    ]
    return "\n".join([*lines, f"{len(outcomes)} sections in {time.monotonic() - started:.2f} s"])
