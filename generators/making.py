"""Make one section: train the networks it names, run its experiment, draw its figures."""

import importlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from generators import machine
from generators.content import Section
from generators.crew import EXPERIMENT, called, join, sent
from generators.drawing import draw, outputs_of
from generators.errors import AuthorError, MissingDataError
from generators.figure import (
    Context,
    Networks,
    Number,
    Output,
    Progress,
    Trained,
    no_cascade,
    no_judge,
)
from generators.files import digest, write
from generators.keys import INPUT, experiment_key
from generators.making_networks import Training, refuse_edited
from generators.models import Model
from generators.project import Project, Status, on_stand_in
from generators.provenance import commit, provenance, versions
from generators.results import RESULTS, pack, unpack
from generators.shipped import epochs_read
from generators.stand_in import ARCHIVE, CAPTION, NAME, Given
from generators.store import (
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

KEPT = 2_000_000
"""Bytes of results that a site keeps at most, so that a clone can draw their figures anew."""
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
        self.device = join(machine.choose_device(device))
        self.training = Training(project, self.device)
        self.cascades: dict[str, Cascade] = {}
        self.judges: dict[str, Judge] = {}
        self.embeddings = project.root / ".cache" / "embeddings"
        machine.prepare(threads)

    def make(self, status: Status, progress: Progress, force: bool = False) -> Record:
        """Make what is stale of a section and publish it; with `force`, make all of it."""
        self.progress = progress
        module = cast(SectionModule, importlib.import_module(status.section.generator))
        parameters = module.Parameters(**status.section.parameters)
        folder, status = (None, status) if force else self.kept(status)
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

    def kept(self, status: Status) -> tuple[Path | None, Status]:
        """Return what `kept_results` does; where MNIST cannot be had, results on the stand-in."""
        folder = self.kept_results(status)
        if folder or status.section.data or not (self.project.root / ARCHIVE).is_file():
            return folder, status
        stood = on_stand_in(self.project, status)
        instead = self.kept_results(stood)
        if instead is None:
            return None, status
        try:
            self.training.dataset("mnist")
        except MissingDataError:
            return instead, stood
        return None, status

    def kept_results(self, status: Status) -> Path | None:
        """Return a folder with the results of the section's key, from the cache or the site."""
        folder = self.results_folder(status)
        if read_sealed(folder).is_whole:
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
                self.put(folder, content, key, provenance, record["networks"])
                return folder
        return None

    def put(
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
        key = status.experiment.digest
        refuse_edited(self.project, section.name, key, lambda code: experiment_key(code, section))
        begun_at = commit(self.project.root)
        given = Given(partial(self.training.dataset, instead=section.data), self.training.stand_in)
        records = {
            each.name: self.training.train(
                each,
                force and self.project.owner(each) == section.name,
                epochs_read(section, each),
                self.progress,
            )
            for each in section.networks
        }
        networks = {
            each.name: self.training.trained(each, records[each.name]) for each in section.networks
        }
        context = self.context(section, networks, sent(given.dataset, self.project.cache))
        started = time.monotonic()
        with called(EXPERIMENT, lambda: (section.name, self.training.sent_along(records))):
            results = module.experiment(context, parameters)
        self.refuse_swapped(status)
        made = provenance(self.device, begun_at, time.monotonic() - started)
        if section.model:
            made["model"] = section.model.credit
            made["versions"] |= {library: version(library) for library in OF_CASCADES}
        if given.stands_in or any(NAME in each["recipe"].values() for each in records.values()):
            status = on_stand_in(self.project, status)
        folder = self.results_folder(status)
        self.put(folder, pack(results), status.experiment.digest, made, records)
        return folder, status

    def refuse_swapped(self, status: Status) -> None:
        """Raise an AuthorError when a file was edited since its key was taken.

        The results may be made from what it was, from what it is, or from both.
        """
        try:
            now = experiment_key(self.project.code, status.section).parts
        except OSError as error:
            raise AuthorError(f"{error.filename}: {error.strerror}") from None
        for part, value in status.experiment.parts.items():
            if part.startswith(INPUT) and now.get(part) != value:
                file = part.removeprefix(INPUT)
                raise AuthorError(f"{file}: edited while the section was made; build again")

    def context(
        self, section: Section, networks: dict[str, Trained], dataset: Callable[[str], Path]
    ) -> Context:
        return Context(
            section.name,
            section.seed,
            self.device,
            self.project.content,
            dataset,
            Networks(networks),
            self.progress,
            partial(self.cascade, section.model) if section.model else no_cascade,
            partial(self.judge, section.model) if section.model else no_judge,
        )

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
        } | ({"data": section.data} if section.data else {})
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

    def cascade(self, model: Model) -> "Cascade":
        """Return a cascade; it is loaded once per build."""
        from generators.diffusion.loading import open_cascade

        place = ",".join((*model.stages, model.embeddings))
        if place not in self.cascades:
            self.cascades[place] = open_cascade(model, self.device, self.embeddings)
        return self.cascades[place]

    def judge(self, model: Model) -> "Judge | None":
        """Return what scores the pictures of a cascade, or None; it is loaded once per build."""
        from generators.diffusion.clip import Clip
        from generators.mini_if.judge import load_judge

        place = Path(model.judge)
        is_ours = place.suffix == ".safetensors"
        if not model.judge or (is_ours and not place.is_file()):
            return None
        if model.judge not in self.judges:
            found = load_judge(place).to(self.device) if is_ours else Clip(model.judge, self.device)
            self.judges[model.judge] = found
        return self.judges[model.judge]
