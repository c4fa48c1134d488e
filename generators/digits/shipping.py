"""`python -m generators.digits.shipping`: pack the trained networks on this machine for shipping.

For each network of content/site.toml that is trained, the epochs that sections ask for are written
to generators/digits/weights, where a fresh clone finds them.
"""

import sys
from pathlib import Path
from typing import cast

from generators import shipped
from generators.content import Network
from generators.figure import epoch_file
from generators.keys import network_key
from generators.project import Project, open_project
from generators.shipped import epochs_read, shipped_file
from generators.store import NetworkRecord, read_sealed


def ship(project: Project, network: Network) -> str:
    """Write the file of one network, and say in one line what was done."""
    folder = project.cache / "networks" / network_key(project.code, network).digest
    found = read_sealed(folder)
    if not found.is_whole:
        return f"{network.label}: not trained on this machine; nothing written"
    record = cast(NetworkRecord, found.record)
    if "rounded" in record:
        return f"{network.label}: came with the checkout; nothing written"
    sections = [each for each in project.site.sections if network in each.networks]
    epochs = {epoch for each in sections for epoch in epochs_read(each, network)}
    wanted = sorted((epochs & set(range(1, record["epochs"] + 1))) | {record["epochs"]})
    for epoch in wanted:
        if epoch_file(epoch) not in record["files"]:
            return f"{network.label}: epoch {epoch} was not shipped before; nothing written"
    path = shipped_file(project.root, network)
    size = shipped.ship(path, folder, record, wanted)
    return f"{network.label}: {path.relative_to(project.root)}, {size:,} bytes"


def main(root: Path) -> int:
    """Ship, and return the exit status: 0, or 1 after one line that says what is wrong."""
    try:
        project = open_project(root, None, draft=False)
        sections = project.site.sections
        networks = {(each.name, each.data): each for s in sections for each in s.networks}
        for network in networks.values():
            print(ship(project, network))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parents[2]))
