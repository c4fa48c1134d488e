"""One write-up on disk: what is fresh in it, and why the rest is not."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

from generators.code import Code
from generators.content import Network, Section, Site, read
from generators.files import digest
from generators.keys import Key, differences, experiment_key, figures_key
from generators.stand_in import NAME
from generators.store import Record, read_sealed

WORDS = (
    ("templates", "*.*"),
    ("templates/figures", "*.html"),
    ("content", "*.md"),
    ("content", "site.toml"),
    ("generators/pages", "*.py"),
)
"""What pages are made from beside records, as folders and patterns of file names."""


class Project(NamedTuple):
    """Where everything is: `root` is the checkout, `out` the published site.

    `words` are the files that pages are made from and their digests, taken before they were read.
    """

    root: Path
    out: Path
    cache: Path
    site: Site
    code: Code
    draft: bool
    words: list[list[str]]

    @property
    def content(self) -> Path:
        return self.root / "content"

    def owner(self, network: Network) -> str:
        """Return the first section that names a network: the one that shows its training."""
        return next(each.name for each in self.site.sections if network in each.networks)


class Status(NamedTuple):
    """A section's keys as they are now, its last record, and why it is stale (or nothing).

    `damage` names a file that is not as it was written; `experiment` and `figures` are the
    differences between the keys then and now.
    """

    section: Section
    experiment: Key
    figures: Key
    record: Record | None
    damage: str
    reasons: list[str]

    @property
    def is_fresh(self) -> bool:
        return (
            self.record is not None
            and not self.damage
            and not self.needs_experiment
            and self.record["figures"]["key"] == self.figures.digest
        )

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing whole to be shown."""
        return self.record is None or bool(self.damage)

    @property
    def needs_experiment(self) -> bool:
        """Whether the results behind the record are not those of the key."""
        return self.record is None or self.record["experiment"]["key"] != self.experiment.digest


def open_project(root: Path, out: Path | None, draft: bool, model: str | None = None) -> Project:
    """Read a checkout's content; a draft has a site and a cache of its own.

    `model` takes the place of the model of every part that has one.
    """
    cache = root / ".cache"
    if draft:
        cache = cache / "draft"
    code = Code(root, cache / "definitions.json")
    words = [
        [f"{folder}/{path.name}", digest(path.read_bytes())]
        for folder, pattern in WORDS
        for path in sorted((root / folder).glob(pattern))
        if not path.name.startswith(".")
    ]
    site = read(root, code, draft, model)
    default = cache / "site" if draft else root / "site"
    return Project(root, out or default, cache, site, code, draft, words)


@contextmanager
def locked(project: Project) -> Iterator[bool]:
    """Hold the lock of the output folder, and tell whether another build had it before."""
    from filelock import FileLock, Timeout

    locks = project.cache / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{digest(str(project.out.resolve()).encode())[:16]}.lock")
    try:
        lock.acquire(timeout=0)
        waited = False
    except Timeout:
        print(f"build.py: another build is writing {project.out}; waiting", file=sys.stderr)
        lock.acquire()
        waited = True
    try:
        yield waited
    finally:
        lock.release()


def status(project: Project, section: Section) -> Status:
    """Compare a section's record with its keys, hashing the files that it lists."""
    experiment = experiment_key(project.code, section)
    figures = figures_key(project.code, section, experiment)
    found = read_sealed(project.out / section.name)
    record = cast(Record | None, found.record)
    reasons: list[str] = []
    if record is None and not found.damage:
        reasons = ["never made"]
    elif record is not None:
        then = record["experiment"]["parts"]
        reasons = differences(then, experiment.parts)
        if is_on_stand_in(record) and section.data != NAME:
            reasons = [f"made on {NAME} digits", *(each for each in reasons if NAME not in each)]
        if record["figures"]["key"] != figures.digest:
            reasons += [
                f"figures: {line}"
                for line in differences(record["figures"]["parts"], figures.parts)
                if not line.startswith("experiment ")
            ]
    return Status(section, experiment, figures, record, found.damage, reasons)


def is_on_stand_in(record: Record) -> bool:
    """Whether a section was made on digits that stand in for MNIST's."""
    return f"data {NAME}" in record["experiment"]["parts"]


def on_stand_in(project: Project, status: Status) -> Status:
    """Return a section's status with keys that never pass for those of results on MNIST."""
    section = status.section._replace(data=NAME)
    experiment = experiment_key(project.code, section)
    figures = figures_key(project.code, section, experiment)
    return status._replace(section=section, experiment=experiment, figures=figures)
