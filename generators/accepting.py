"""Code changed, and its author says that no result does: what was made is taken over as it is."""

import datetime
import shutil
from collections.abc import Iterable
from typing import cast

from generators.content import Network
from generators.errors import AuthorError
from generators.keys import differences, is_code, network_key
from generators.project import Project, Status
from generators.results import RESULTS
from generators.shipped import record_in, relabel, shipped_file
from generators.store import NetworkRecord, Provenance, ResultsRecord, read_sealed, write_sealed


def accept(project: Project, stale: Iterable[Status]) -> list[str]:
    """Give stale sections, and the networks behind them, the keys of now; nothing is run.

    Their records say so from then on. Figures whose own code changed stay stale: they are cheap.
    Returns: a line per section. Raises: AuthorError, with nothing done, naming the first section
    of which more changed than code or of which not enough is left.
    """
    from generators.provenance import commit

    chosen = list(stale)
    for each in chosen:
        refuse(project, each)
    note = f"{datetime.datetime.now(datetime.UTC).date()} at commit {commit(project.root) or '?'}"
    for each in chosen:
        take_over(project, each, note)
    return [f"{each.section.name}: accepted as it is" for each in chosen]


def refuse(project: Project, stale: Status) -> None:
    """Raise an AuthorError for a section that cannot be taken over."""
    name, record = stale.section.name, stale.record
    if record is None or stale.damage:
        raise AuthorError(f"--accept {name}: {stale.damage or 'never made'}; build it")
    then = other_than_code(record["experiment"]["parts"] | own(record["figures"]["parts"]))
    now = other_than_code(stale.experiment.parts | own(stale.figures.parts))
    if then != now:
        more = differences(then, now)[0]
        raise AuthorError(f"--accept {name}: not only code changed: {more}; build it")
    if not same_figures(stale) and RESULTS not in record["files"]:
        kept = read_sealed(project.cache / "results" / record["experiment"]["key"])
        if kept.record is None or kept.damage:
            raise AuthorError(f"--accept {name}: its figures changed, its results are not here")


def other_than_code(parts: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in parts.items() if not is_code(name)}


def own(parts: dict[str, str]) -> dict[str, str]:
    """Return what went into a section's figures beside its experiment."""
    return {name: value for name, value in parts.items() if name != "experiment"}


def same_figures(stale: Status) -> bool:
    """Whether figures drawn now would be those of the record, their results being the same."""
    record = stale.record
    return record is not None and own(record["figures"]["parts"]) == own(stale.figures.parts)


def take_over(project: Project, stale: Status, note: str) -> None:
    """Write a section's record anew, last; before it the networks and the results it stands on."""
    record = stale.record
    assert record is not None
    networks = {
        each.name: take_over_network(project, each, record["networks"][each.name], note)
        for each in stale.section.networks
    }
    provenance = noted(record["provenance"], note)
    results = project.cache / "results"
    found = read_sealed(results / record["experiment"]["key"])
    if found.record is not None and not found.damage:
        kept = cast(ResultsRecord, found.record)
        folder = results / stale.experiment.digest
        shutil.copytree(results / kept["key"], folder, dirs_exist_ok=True)
        now = {"key": stale.experiment.digest, "provenance": provenance, "networks": networks}
        write_sealed(folder, {**kept, **now})
    halves = {"experiment": {"key": stale.experiment.digest, "parts": stale.experiment.parts}}
    if same_figures(stale):
        halves["figures"] = {"key": stale.figures.digest, "parts": stale.figures.parts}
    folder = project.out / stale.section.name
    write_sealed(folder, {**record, **halves, "provenance": provenance, "networks": networks})


def take_over_network(
    project: Project, network: Network, record: NetworkRecord, note: str
) -> NetworkRecord:
    """Give a trained network its key of now, on this machine and in the file shipped with it."""
    old, new = record["key"], network_key(project.code, network).digest
    if old == new:
        return record
    folder = project.cache / "networks" / new
    found = read_sealed(folder.with_name(old))
    if found.record is not None and not found.damage and not folder.exists():
        # Killed here, it is found as a training that was finished and not yet put in its place.
        beside = project.cache / "training" / new
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(folder.with_name(old), beside)
        write_sealed(beside, renewed(cast(NetworkRecord, found.record), new, note))
        beside.rename(folder)
    path = shipped_file(project.root, network)
    shipped = record_in(path)
    if shipped is not None and shipped["key"] == old:
        relabel(path, renewed(shipped, new, note))
    return renewed(record, new, note)


def renewed(record: NetworkRecord, key: str, note: str) -> NetworkRecord:
    return {**record, "key": key, "provenance": noted(record["provenance"], note)}


def noted(provenance: Provenance, note: str) -> Provenance:
    return {**provenance, "accepted": [*provenance.get("accepted", []), note]}
