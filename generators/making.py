"""Make one section: train the networks it names, run its experiment, draw its figures."""

import datetime
import importlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from filelock import FileLock

from generators import machine
from generators.content import Network, Section
from generators.datasets import find
from generators.drawing import draw, outputs_of
from generators.errors import MissingDataError
from generators.figure import (
    Context,
    Number,
    Output,
    Progress,
    Trained,
    no_cascade,
    no_judge,
)
from generators.files import digest, write
from generators.keys import network_key
from generators.models import Model
from generators.networks import Run
from generators.project import Project, Status, on_stand_in
from generators.results import pack, unpack
from generators.shipped import epochs_read, is_shipped, lacks, restore, shipped_file
from generators.stand_in import CAPTION, NAME, Given, stand_in
from generators.store import (
    RECORD,
    NetworkRecord,
    Provenance,
    Record,
    ResultsRecord,
    Shown,
    damage_of,
    publish,
    read_sealed,
    write_sealed,
)

if TYPE_CHECKING:
    from generators.diffusion.cascade import Cascade
    from generators.diffusion.scores import Judge

KEPT = 1_000_000
RESULTS = "results.safetensors"
LIBRARIES = ("torch", "numpy", "pillow", "imageio", "matplotlib")
OF_CASCADES = ("diffusers", "transformers")


class SectionModule(Protocol):
    """What a section module must have; what its two types hold is its own affair."""

    Parameters: type[object]
    Results: type[object]

    def experiment(self, context: Context, parameters: object) -> object: ...
    def figures(self, results: object, parameters: object) -> Iterable[Output]: ...


class Maker:
    """Makes the sections of one project on one device."""

    def __init__(self, project: Project, device: str | None, threads: int):
        self.project = project
        self.device = machine.choose_device(device)
        self.cascades: dict[str, Cascade] = {}
        machine.prepare(threads)

    def make(self, status: Status, progress: Progress, force: bool = False) -> Record:
        """Make what is stale of a section and publish it; with `force`, make all of it."""
        self.progress = progress
        module = cast(SectionModule, importlib.import_module(status.section.generator))
        parameters = module.Parameters(**status.section.parameters)
        folder = None if force else self.kept_results(status)
        if folder is None:
            folder, status = self.run(module, parameters, status, force)
        results = cast(ResultsRecord, read_sealed(folder, verify=False).record)
        found = unpack(folder / RESULTS, module.Results)
        shown, numbers, contents = self.draw(module.figures(found, parameters), status)
        content = (folder / RESULTS).read_bytes()
        if len(content) <= KEPT:
            contents[RESULTS] = content
        record: Record = {
            "section": status.section.name,
            "seed": status.section.seed,
            "draft": self.project.draft,
            "parameters": {k: json.dumps(v) for k, v in status.section.parameters.items()},
            "experiment": {"key": status.experiment.digest, "parts": status.experiment.parts},
            "figures": {"key": status.figures.digest, "parts": status.figures.parts},
            "provenance": results["provenance"],
            "networks": results["networks"],
            "shown": shown,
            "numbers": numbers,
            "files": {},
        }
        publish(self.project.out / status.section.name, record, contents)
        return record

    def results_folder(self, status: Status) -> Path:
        return self.project.cache / "results" / status.experiment.digest

    def kept_results(self, status: Status) -> Path | None:
        """Return a folder with the results of the section's key, from the cache or the site."""
        folder = self.results_folder(status)
        found = read_sealed(folder)
        if found.record is not None and not found.damage:
            return folder
        for site in (self.project.out, self.project.root / "site"):
            published = site / status.section.name
            record = cast(Record | None, read_sealed(published, verify=False).record)
            if record is None or record["experiment"]["key"] != status.experiment.digest:
                continue
            expected = record["files"].get(RESULTS)
            if expected and not damage_of(published / RESULTS, expected):
                content = (published / RESULTS).read_bytes()
                key, provenance = record["experiment"]["key"], record["provenance"]
                self.keep(folder, content, key, provenance, record["networks"])
                return folder
        return None

    def keep(
        self,
        folder: Path,
        content: bytes,
        key: str,
        provenance: Provenance,
        networks: dict[str, NetworkRecord],
    ) -> None:
        record: ResultsRecord = {
            "key": key,
            "provenance": provenance,
            "networks": networks,
            "files": {RESULTS: digest(content)},
        }
        write(folder / RESULTS, content)
        write_sealed(folder, record)

    def run(
        self, module: SectionModule, parameters: object, status: Status, force: bool
    ) -> tuple[Path, Status]:
        """Run a section's experiment; return the folder of its results.

        Where stand-in digits were used, the status returned has the keys that say so.
        """
        section = status.section
        given = Given(partial(self.dataset, instead=section.data), self.stand_in)
        owned = {
            each.name for each in section.networks if owner(self.project, each) == section.name
        }
        asked = epochs_read(section)
        records = {
            each.name: self.train(each, force and each.name in owned, asked)
            for each in section.networks
        }
        context = Context(
            section.name,
            section.seed,
            self.device,
            self.project.content,
            given.dataset,
            {name: self.trained(record) for name, record in records.items()},
            self.progress,
            partial(self.cascade, section.model) if section.model else no_cascade,
            partial(self.judge, section.model) if section.model else no_judge,
        )
        started = time.monotonic()
        results = module.experiment(context, parameters)
        provenance = self.provenance(time.monotonic() - started)
        if section.model:
            provenance["model"] = section.model.credit
            provenance["versions"] |= {library: version(library) for library in OF_CASCADES}
        if given.stands_in or any(NAME in each["recipe"].values() for each in records.values()):
            status = on_stand_in(self.project, status)
        folder = self.results_folder(status)
        self.keep(folder, pack(results), status.experiment.digest, provenance, records)
        return folder, status

    def draw(
        self, outputs: Iterable[Output], status: Status
    ) -> tuple[list[Shown], dict[str, str], dict[str, bytes]]:
        """Draw what `figures` yields; each PNG carries what it was made from."""
        section = status.section
        told: dict[str, object] = {
            "section": section.name,
            "key": status.experiment.digest,
            "seed": section.seed,
            "model": section.model.credit if section.model else "none",
            "parameters": section.parameters,
            "networks": {each.name: each.recipe for each in section.networks},
            "draft": self.project.draft,
            "versions": versions(),
            "command": f"python build.py {section.name} --force",
        }
        shown: list[Shown] = []
        numbers: dict[str, str] = {}
        contents: dict[str, bytes] = {}
        for output in outputs_of(outputs):
            if isinstance(output, Number):
                numbers[output.name] = output.text
                continue
            if section.data == NAME:
                output = replace(output, caption=f"{output.caption} {CAPTION}")
            drawn = draw(output, told | {"figure": output.name})
            contents |= drawn.files
            shown.append(drawn.shown)
        return shown, numbers, contents

    def train(self, network: Network, force: bool, epochs: Iterable[int] = ()) -> NetworkRecord:
        """Return the record of a trained network, training it first where there is none.

        One that is shipped serves where it has the weights after all of `epochs`. Unfinished
        training is taken up where it was left, whether forced or not.
        """
        key = network_key(self.project.code, network)
        folder = self.network_folder(key.digest)
        locks = self.project.cache / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"network-{key.digest}.lock"):
            found = read_sealed(folder)
            if found.record is not None and not found.damage and not force:
                record = cast(NetworkRecord, found.record)
                if not lacks(record, epochs):
                    return record
            shipped = shipped_file(self.project.root, network)
            if not force and is_shipped(shipped, key.digest, epochs):
                return restore(shipped, folder)
            unfinished = self.project.cache / "training" / key.digest
            if read_sealed(unfinished).record is None:
                try:
                    self.fit(network, unfinished, key.digest)
                except MissingDataError:
                    if network.data or not self.stand_in():
                        raise
                    return self.train(network._replace(data=NAME), force, epochs)
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            unfinished.rename(folder)
        return cast(NetworkRecord, read_sealed(folder).record)

    def fit(self, network: Network, folder: Path, key: str) -> None:
        trainer = importlib.import_module(network.trainer)

        def progress(what: str, done: int, total: int) -> None:
            self.progress(f"{network.name}, {what}", done, total)

        dataset = partial(self.dataset, instead=network.data)
        run = Run(folder, network.seed, self.device, dataset, progress)
        trainer.train(run, trainer.Recipe(**network.recipe))
        run.finish()
        skipped = (RECORD, run.state.name)
        names = sorted(path.name for path in folder.iterdir() if path.name not in skipped)
        record: NetworkRecord = {
            "key": key,
            "recipe": {name: json.dumps(value) for name, value in network.recipe.items()}
            | ({"data": network.data} if network.data else {}),
            "epochs": len(run.seconds),
            "provenance": self.provenance(sum(run.seconds)),
            "files": {name: digest((folder / name).read_bytes()) for name in names},
        }
        write_sealed(folder, record)
        run.state.unlink()

    def network_folder(self, key: str) -> Path:
        return self.project.cache / "networks" / key

    def trained(self, record: NetworkRecord) -> Trained:
        return Trained(self.network_folder(record["key"]), record["epochs"])

    def cascade(self, model: Model) -> "Cascade":
        """Return a cascade; it is loaded once per build."""
        from generators.diffusion.loading import open_cascade

        place = ",".join((*model.stages, model.embeddings))
        if place not in self.cascades:
            self.cascades[place] = open_cascade(
                model, self.device, self.project.root / ".cache" / "embeddings"
            )
        return self.cascades[place]

    def judge(self, model: Model) -> "Judge | None":
        """Return what scores the pictures of a cascade, or None where the embedded one is not."""
        from generators.diffusion.clip import Clip
        from generators.mini_if.judge import load_judge

        place = Path(model.judge)
        if place.suffix != ".safetensors":
            return Clip(model.judge, self.device)
        return load_judge(place).to(self.device) if place.is_file() else None

    def dataset(self, name: str, instead: str = "") -> Path:
        """Return the folder of a data set, or of the one that the author wants `instead`."""
        name = instead or name
        folder = self.stand_in() if name == NAME else None
        return folder or find(name, self.project.site.datasets.get(name, ""))

    def stand_in(self) -> Path | None:
        return stand_in(self.project.root, self.project.root / ".cache")

    def provenance(self, seconds: float) -> Provenance:
        return {
            "made": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "seconds": round(seconds, 1),
            "device": machine.describe(self.device),
            "versions": versions(),
            "commit": commit(self.project.root),
        }


def owner(project: Project, network: Network) -> str:
    """Return the first section that names a network: the one that shows its training."""
    sections: list[Section] = project.site.sections
    return next(each.name for each in sections if network in each.networks)


def versions() -> dict[str, str]:
    return {library: version(library) for library in LIBRARIES}


def commit(root: Path) -> str:
    """Return the short name of the checked-out commit, "+" behind it when files differ, or ""."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
