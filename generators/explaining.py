"""Words for the terminal: why a section is made, what that takes, how one stands."""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from generators.content import Network
from generators.keys import network_key
from generators.project import Project, Status
from generators.reporting import Outcome
from generators.shipped import epochs_read, is_shipped, lacks, shipped_file
from generators.store import NetworkRecord, Record, read_sealed


def why(stale: Status, force: bool = False) -> str:
    """Say in one line why a section is made."""
    if stale.is_fresh:
        return "--force" if force else "fresh"
    reasons = [stale.damage] if stale.damage else stale.reasons or ["its key is of another version"]
    more = (
        f" and {len(reasons) - 1} more (--explain {stale.section.name})" if len(reasons) > 1 else ""
    )
    return reasons[0] + more


def explained(stale: Status) -> list[str]:
    if stale.is_fresh:
        return [f"{stale.section.name} is fresh"]
    half = "experiment" if stale.needs_experiment else "figures"
    reasons = [stale.damage] if stale.damage else stale.reasons
    return [f"{stale.section.name} is stale, its {half}:", *(f"  {reason}" for reason in reasons)]


def expectations(project: Project, stale: list[Status], force: bool) -> list[str]:
    """Say what would run, and how long each part of it took last."""
    lines: list[str] = []
    trained: set[str] = set()
    for each in stale:
        steps = []
        if force or each.needs_experiment:
            for network in each.section.networks:
                key = network_key(project.code, network).digest
                again = force and project.owner(network) == each.section.name
                epochs = epochs_read(each.section, network)
                at_hand = not again and is_at_hand(project, network, key, epochs)
                if not at_hand and key not in trained:
                    trained.add(key)
                    steps.append(f"train {network.label}{last_time(each.record, network.name)}")
            steps.append(f"experiment{last_time(each.record)}")
        lines.append(f"{each.section.name}: {', '.join([*steps, 'figures'])}; {why(each, force)}")
    return lines or ["no section; pages only if words or templates changed"]


def is_at_hand(project: Project, network: Network, key: str, epochs: Iterable[int]) -> bool:
    """Whether the weights of `key` after each of `epochs` are kept here or shipped."""
    kept = read_sealed(project.cache / "networks" / key)
    if kept.is_whole and not lacks(cast(NetworkRecord, kept.record), epochs):
        return True
    return is_shipped(shipped_file(project.root, network), key, epochs)


def last_time(record: Record | None, network: str = "") -> str:
    """Return how long an experiment, or the training of its network, took when last made."""
    if record is None or (network and network not in record["networks"]):
        return ""
    made = record["networks"][network]["provenance"] if network else record["provenance"]
    return f" ({made['seconds']:.1f} s on {made['device']})"


def standing(current: Status, folder: Path) -> Outcome:
    """Return the row of a section that nobody made now."""
    state = "fresh" if current.is_fresh else "stale"
    reason = "" if current.is_fresh else why(current)
    return Outcome(current.section.name, state, reason, 0.0, size(folder))


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0
