"""Networks that sections name: found where they were trained or shipped, trained where not."""

import importlib
import json
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from filelock import FileLock

from generators.code import Code
from generators.content import Network
from generators.crew import TRAINING, Files, called, contents, lay_down, sent
from generators.datasets import find
from generators.errors import AuthorError, MissingDataError
from generators.figure import Progress, Trained
from generators.files import digest, sweep
from generators.keys import Key, network_key
from generators.networks import Run
from generators.project import Project
from generators.provenance import commit, provenance
from generators.reporting import ignore
from generators.shipped import is_shipped, lacks, restore, shipped_file
from generators.stand_in import NAME, stand_in
from generators.store import RECORD, NetworkRecord, read_sealed, write_sealed

if TYPE_CHECKING:
    import torch


def is_whole(folder: Path, key: str) -> bool:
    """Whether a folder holds the finished network of a key."""
    found = read_sealed(folder)
    return found.is_whole and cast(NetworkRecord, found.record)["key"] == key


def refuse_edited(project: Project, name: str, key: str, key_now: Callable[[Code], Key]) -> None:
    """Refuse to run what was edited since its key was taken; called once its code is imported.

    Raises: AuthorError, since the results would pass for those of the old code, once it is back.
    """
    if key_now(Code(project.root, project.cache / "definitions.json")).digest != key:
        raise AuthorError(f"{name}: edited since this build began; build again")


class Training:
    """The networks and the data of one project, on one device."""

    def __init__(self, project: Project, device: "torch.device"):
        self.project = project
        self.device = device

    def train(
        self, network: Network, force: bool, epochs: Iterable[int], progress: Progress
    ) -> NetworkRecord:
        """Return the record of a trained network, training it first where there is none.

        One that is shipped serves where it has the weights after all of `epochs`. Unfinished
        training is taken up where it was left, whether forced or not.
        """
        key = network_key(self.project.code, network)
        folder = self.folder(key.digest)
        locks = self.project.cache / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"network-{key.digest}.lock"):
            found = read_sealed(folder)
            if found.is_whole and not force:
                record = cast(NetworkRecord, found.record)
                if not lacks(record, epochs):
                    return record
            shipped = shipped_file(self.project.root, network)
            unfinished = self.project.cache / "training" / key.digest
            is_done = is_whole(unfinished, key.digest)
            if not force and not is_done and is_shipped(shipped, key.digest, epochs):
                return restore(shipped, folder)
            if not is_done:
                try:
                    self.fit(network, unfinished, key.digest, progress)
                except MissingDataError as error:
                    if network.data or not self.stand_in():
                        raise
                    print(f"build.py: {error}; {network.name} is trained on stand-in digits")
                    return self.train(network._replace(data=NAME), force, epochs, progress)
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            unfinished.rename(folder)
        return cast(NetworkRecord, read_sealed(folder).record)

    def fit(self, network: Network, folder: Path, key: str, told: Progress) -> None:
        trainer = importlib.import_module(network.trainer)
        refuse_edited(self.project, network.label, key, lambda code: network_key(code, network))
        begun_at = commit(self.project.root)

        def progress(what: str, done: int, total: int) -> None:
            told(f"{network.label}, {what}", done, total)

        dataset = sent(partial(self.dataset, instead=network.data), self.project.cache)
        sweep(folder)
        run = Run(folder, network.seed, self.device, dataset, progress)
        with called(TRAINING, lambda: (network, key, contents(folder))):
            trainer.train(run, trainer.Recipe(**network.recipe))
        run.finish()
        skipped = (RECORD, run.state.name)
        names = sorted(path.name for path in folder.iterdir() if path.name not in skipped)
        record: NetworkRecord = {
            "key": key,
            "recipe": {name: json.dumps(value) for name, value in network.recipe.items()}
            | ({"data": network.data} if network.data else {}),
            "epochs": len(run.seconds),
            "provenance": provenance(self.device, begun_at, sum(run.seconds)),
            "files": {name: digest((folder / name).read_bytes()) for name in names},
        }
        write_sealed(folder, record)
        run.state.unlink()

    def help_to_train(self, network: Network, key: str, files: Files) -> None:
        """Train along with the first process, from the checkpoint in the files that it sent."""
        self.fit(network, lay_down(files, self.project.cache / "training" / key), key, ignore)

    def sent_along(self, records: dict[str, NetworkRecord]) -> dict[str, tuple[int, Files]]:
        """Return trained networks as the first process sends them: their epochs and their files."""
        return {
            name: (record["epochs"], contents(self.folder(record["key"])))
            for name, record in records.items()
        }

    def folder(self, key: str) -> Path:
        return self.project.cache / "networks" / key

    def trained(self, network: Network, record: NetworkRecord) -> Trained:
        folder = self.folder(record["key"])
        return Trained(folder, record["epochs"], network.name, network.recipe)

    def dataset(self, name: str, instead: str = "") -> Path:
        """Return the folder of a data set, or of the one that the author wants `instead`."""
        name = instead or name
        folder = self.stand_in() if name == NAME else None
        chosen = self.project.site.datasets.get(name, "")
        return folder or find(name, chosen, self.project.root)

    def stand_in(self) -> Path | None:
        return stand_in(self.project.root, self.project.root / ".cache")
