"""Code changed, and its author says that no result does: what was made is taken over as it is."""

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from filelock import FileLock

from generators.content import Network
from generators.errors import AuthorError
from generators.files import write
from generators.keys import code_parts, differences, is_code, network_key
from generators.project import Project, Status
from generators.results import RESULTS
from generators.shipped import record_in, relabel, require_whole, shipped_file
from generators.store import (
    NetworkRecord,
    Provenance,
    Record,
    ResultsRecord,
    read_sealed,
    write_sealed,
)


def accept(project: Project, stale: Iterable[Status]) -> list[str]:
    """Give stale sections, and the networks behind them, the keys of now; nothing is run.

    Their records say so from then on. Sections of which only the figures are stale are left as
    they are, and so are the figures of others whose own code changed: drawing them is cheap.
    Returns: a line per section. Raises: AuthorError, with nothing done, naming the first section
    of which more changed than code or of which not enough is left.
    """
    from generators.provenance import commit

    chosen = list(stale)
    for each in chosen:
        refuse(project, each)
    note = f"{datetime.datetime.now(datetime.UTC).date()} at commit {commit(project.root) or '?'}"
    return [take_over(project, each, note) for each in chosen if each.needs_experiment]


def refuse(project: Project, stale: Status) -> None:
    """Raise an AuthorError for a section that cannot be taken over."""
    name, record = stale.section.name, stale.record
    if record is None or stale.damage:
        raise AuthorError(f"--accept {name}: {stale.damage or 'never made'}; build it")
    then, now = record["experiment"]["parts"], stale.experiment.parts
    more = differences(
        other_than_code(then | own(record["figures"]["parts"])),
        other_than_code(now | own(stale.figures.parts)),
    )
    if more and stale.needs_experiment:
        raise AuthorError(f"--accept {name}: not only code changed: {more[0]}; build it")
    if any(then.get(part) != digest for part, digest in of_results(project, stale).items()):
        raise AuthorError(f"--accept {name}: its Results changed, old ones do not fit; build it")
    kept = project.cache / "results" / record["experiment"]["key"]
    can_draw = RESULTS in record["files"] or read_sealed(kept).is_whole
    if not can_draw and not same_figures(stale, record):
        raise AuthorError(f"--accept {name}: its figures changed, its results are not here")
    for network in stale.section.networks:
        path = shipped_file(project.root, network)
        if record_in(path) is not None:
            require_whole(path)


def of_results(project: Project, stale: Status) -> dict[str, str]:
    """Return the code of a section's Results, which its generator may have from elsewhere."""
    nodes = project.code.target(stale.section.generator, "Results")
    return {
        part: digest
        for module, name in nodes
        for part, digest in code_parts(project.code, module, name).items()
    }


def other_than_code(parts: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in parts.items() if not is_code(name)}


def own(parts: dict[str, str]) -> dict[str, str]:
    """Return what went into a section's figures beside its experiment."""
    return {name: value for name, value in parts.items() if name != "experiment"}


def same_figures(stale: Status, record: Record) -> bool:
    """Whether figures drawn now would be those of the record, their results being the same."""
    return own(record["figures"]["parts"]) == own(stale.figures.parts)


def take_over(project: Project, stale: Status, note: str) -> str:
    """Write a section's record anew, last; before it the networks and the results it stands on."""
    record = stale.record
    assert record is not None
    lost = [
        each.name
        for each in stale.section.networks
        if not take_over_network(project, each, record["networks"][each.name]["key"], note)
    ]
    keys = {each.name: network_key(project.code, each).digest for each in stale.section.networks}
    results = project.cache / "results"
    found = read_sealed(results / record["experiment"]["key"])
    if found.is_whole:
        kept = cast(ResultsRecord, found.record)
        as_now: ResultsRecord = {
            **kept,
            "key": stale.experiment.digest,
            "provenance": noted(kept["provenance"], note),
            "networks": renewed_all(kept["networks"], keys, note),
        }
        copy(results / kept["key"], results / stale.experiment.digest, as_now)
    taken: Record = {
        **record,
        "experiment": {"key": stale.experiment.digest, "parts": stale.experiment.parts},
        "provenance": noted(record["provenance"], note),
        "networks": renewed_all(record["networks"], keys, note),
    }
    if same_figures(stale, record):
        taken["figures"] = {"key": stale.figures.digest, "parts": stale.figures.parts}
    write_sealed(project.out / stale.section.name, taken)
    told = f"{stale.section.name}: accepted as it is"
    return f"{told}; not here to be kept: {', '.join(lost)}" if lost else told


def take_over_network(project: Project, network: Network, old: str, note: str) -> bool:
    """Give a trained network its key of now, on this machine and in the file shipped with it.

    Returns whether there is one. What is in the cache stays there under its old key as well.
    """
    new = network_key(project.code, network).digest
    networks, locks = project.cache / "networks", project.cache / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"network-{new}.lock"):
        found = read_sealed(networks / old)
        if found.is_whole and old != new:
            record = cast(NetworkRecord, found.record)
            copy(networks / old, networks / new, renewed(record, new, note))
        path = shipped_file(project.root, network)
        shipped = record_in(path)
        if shipped is not None and shipped["key"] == old and old != new:
            relabel(path, renewed(shipped, new, note))
    return found.is_whole or (shipped is not None and shipped["key"] in (old, new))


def copy(source: Path, target: Path, record: NetworkRecord | ResultsRecord) -> None:
    """Copy the files that a record lists, the record last; leave alone what is whole already."""
    if read_sealed(target).is_whole:
        return
    for name in record["files"]:
        write(target / name, (source / name).read_bytes())
    write_sealed(target, record)


def renewed_all(
    networks: Mapping[str, NetworkRecord], keys: Mapping[str, str], note: str
) -> dict[str, NetworkRecord]:
    return {
        name: renewed(each, keys.get(name, each["key"]), note) for name, each in networks.items()
    }


def renewed(record: NetworkRecord, key: str, note: str) -> NetworkRecord:
    if record["key"] == key:
        return record
    return {**record, "key": key, "provenance": noted(record["provenance"], note)}


def noted(provenance: Provenance, note: str) -> Provenance:
    return {**provenance, "accepted": [*provenance.get("accepted", []), note]}
