"""What the helpers of the first process do: stand by, and take part in what it calls them to."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from generators import machine
from generators.content import Network
from generators.crew import TRAINING, Files, dismiss, jobs, join, lay_down, sent
from generators.errors import AuthorError
from generators.figure import Trained
from generators.making import Maker, SectionModule
from generators.processes import is_everywhere, rank
from generators.project import Project
from generators.reporting import ignore

Parcels = dict[str, tuple[int, Files]]


def in_company(
    build: Callable[[], int],
    open_it: Callable[[], Project],
    device: str | None,
    threads: int | None,
) -> int:
    """Build in the first of several processes and help it in the others; return the exit status."""
    try:
        join(machine.choose_device(device))
    except ValueError as error:
        if not rank():
            print(f"build.py: {error}", file=sys.stderr)
        return 2
    if rank():
        help_out(open_it, device, threads or machine.own_cores())
        return 0
    status = build()
    dismiss()
    return status


def help_out(open_it: Callable[[], Project], device: str | None, threads: int) -> None:
    """Take part until dismissed; everything is written to a folder that is gone in the end.

    What goes wrong everywhere is told by the first process. What goes wrong here alone ends the
    launch, for the others wait.
    """
    with TemporaryDirectory() as scratch:
        helper = None
        for name, needs in jobs():
            try:
                helper = helper or Helper(open_it(), Path(scratch), device, threads)
                helper.help_with(name, needs)
            except AuthorError as error:
                if not is_everywhere(error):
                    raise SystemExit(f"build.py: process {rank()}: {error}") from None


class Helper(Maker):
    """Runs what it is called to for the share that it has in it, in a folder of its own."""

    def __init__(self, project: Project, cache: Path, device: str | None, threads: int) -> None:
        super().__init__(project._replace(out=cache / "site", cache=cache), device, threads)
        self.progress = ignore
        self.embeddings = cache / "embeddings"

    def help_with(self, name: str, needs: tuple[object, ...]) -> None:
        if name == TRAINING:
            self.training.help_to_train(*cast(tuple[Network, str, Files], needs))
        else:
            self.help_to_experiment(*cast(tuple[str, Parcels], needs))

    def help_to_experiment(self, name: str, sent_along: Parcels) -> None:
        """Run a section's experiment along with the first process, with the networks it sent."""
        section = next(each for each in self.project.site.sections if each.name == name)
        networks = {
            each.name: Trained(
                lay_down(sent_along[each.name][1], self.project.cache / name / each.name),
                sent_along[each.name][0],
                each.name,
                each.recipe,
            )
            for each in section.networks
        }
        module = cast(SectionModule, importlib.import_module(section.generator))
        context = self.context(section, networks, sent(self.training.dataset, self.project.cache))
        module.experiment(context, module.Parameters(**section.parameters))
