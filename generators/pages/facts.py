"""What a record says of its making, in the words of the page."""

from generators.store import NetworkRecord, Provenance, Record

SAID = {"steps": "steps", "evaluations": "evaluations", "scale": "guidance"}
"""Which of a section's numbers its readers are told at once, and as what."""


def run_facts(record: Record) -> list[tuple[str, str]]:
    """Return the line under a section's title: what ran, where, for how long."""
    parts = record["experiment"]["parts"]
    facts = [("data", each.removeprefix("data ")) for each in parts if each.startswith("data ")]
    facts.append(("seed", str(record["seed"])))
    numbers = record["numbers"]
    facts += [(term, numbers[name]) for name, term in SAID.items() if name in numbers]
    for name, network in record["networks"].items():
        facts.append((f"network {name}", trained(network)))
    provenance = record["provenance"]
    if "model" in provenance:
        facts.append(("model", provenance["model"]))
    facts.append(("experiment", f"{duration(provenance['seconds'])} on {provenance['device']}"))
    return facts


def trained(network: NetworkRecord) -> str:
    where = network["provenance"]
    epochs = f"{network['epochs']} epoch{'s' if network['epochs'] > 1 else ''}"
    rounded = f", then rounded to {network['rounded']}" if "rounded" in network else ""
    return f"{epochs} in {duration(where['seconds'])} on {where['device']}{rounded}"


def duration(seconds: float) -> str:
    """Say a time as a person would: "0.4 s", "41 min", "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def card_facts(record: Record) -> list[tuple[str, str]]:
    """Return the card behind a figure: all that went into it."""
    provenance = record["provenance"]
    facts = [("seed", str(record["seed"]))]
    facts += [(name.replace("_", " "), value) for name, value in record["parameters"].items()]
    for name, network in record["networks"].items():
        recipe = ", ".join(f"{key} {value}" for key, value in network["recipe"].items())
        facts += [(f"network {name}", f"{recipe}; {trained(network)}"), ("its key", network["key"])]
        facts += taken_over(network["provenance"])
    if "model" in provenance:
        facts.append(("model", provenance["model"]))
    libraries = ", ".join(f"{name} {value}" for name, value in provenance["versions"].items())
    facts += [
        ("made", f"{provenance['made']}, in {duration(provenance['seconds'])}"),
        ("hardware", provenance["device"]),
        ("libraries", libraries),
        ("commit", provenance["commit"] or "none"),
        ("key", record["experiment"]["key"]),
    ]
    return facts + taken_over(provenance)


def taken_over(provenance: Provenance) -> list[tuple[str, str]]:
    """Return when and where something was kept although code had changed since."""
    notes = provenance.get("accepted", [])
    return [
        ("taken over", f"{each}: the code changed; its author says that no result did")
        for each in notes
    ]
