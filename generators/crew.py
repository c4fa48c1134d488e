"""The processes of `accelerate launch build.py`: the first one builds, the others help it.

The first calls them to a job and does it along with them; `dividing` says how. They write into a
folder of their own that is gone with them: data sets and networks are sent to them, so that
nothing but the checkout needs to be on every machine.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias, cast

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import distributed

from generators.datasets import DATASETS
from generators.dividing import dividing
from generators.errors import AuthorError
from generators.processes import count, everywhere, is_everywhere, rank

TRAINING, EXPERIMENT = "training", "experiment"
PATIENCE = timedelta(days=1)
"""How long helpers wait for a job: the first process may wait for another build, or draw."""
Files: TypeAlias = dict[str, bytes]
Job: TypeAlias = tuple[str, tuple[object, ...]]
"""What the helpers are called to: the name of it, and what it needs."""
_lost: list[BaseException] = []
"""What tore the first process out of a job, which leaves the helpers in the midst of it."""


def join(device: torch.device) -> torch.device:
    """Meet the other processes, if there are any; return this one's device of the kind wanted."""
    if count() == 1:
        return device
    state = PartialState(cpu=device.type == "cpu", timeout=PATIENCE)
    return device if device.type == "cpu" else torch.device(state.device)


def from_first(found: object = None) -> object:
    """Return, in every process, what the first one has found."""
    objects = [found]
    broadcast_object_list(objects)
    return objects[0]


@contextmanager
def called(name: str, needs: Callable[[], tuple[object, ...]]) -> Iterator[None]:
    """Have everybody do a job as long as this lasts; alone, or a helper, simply do it."""
    if count() == 1 or rank():
        yield
        return
    if _lost:
        raise AuthorError("the other processes are lost since a section failed; build again")
    from_first((name, needs()))
    try:
        with dividing():
            yield
    except BaseException as error:
        if not is_everywhere(error):
            _lost.append(error)
        raise


def dismiss() -> None:
    """Tell the helpers that nothing more is to be done, if they still listen."""
    if not _lost:
        from_first(None)
        distributed.destroy_process_group()


def jobs() -> Iterator[Job]:
    """Yield what this helper is called to, until it is dismissed."""
    while (job := cast(Job | None, from_first())) is not None:
        with dividing():
            yield job
    distributed.destroy_process_group()


def contents(folder: Path) -> Files:
    """Return the files in a folder of ours, to be sent."""
    return {each.name: each.read_bytes() for each in folder.glob("*") if each.is_file()}


def lay_down(files: Files, folder: Path) -> Path:
    """Write files that were sent."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def sent(find: Callable[[str], Path], cache: Path) -> Callable[[str], Path]:
    """Return `find` for all processes: the first finds a folder, the others get it into `cache`.

    Raises, in all of them: AuthorError when it finds none.
    """
    if count() == 1:
        return find

    def received(name: str) -> Path:
        found = from_first()
        if isinstance(found, str):
            raise everywhere(AuthorError(found))
        return lay_down(cast(Files, found), cache / "data" / name)

    def found(name: str) -> Path:
        try:
            folder = find(name)
        except AuthorError as error:
            from_first(str(error))
            everywhere(error)
            raise
        # The folder is the author's and may hold anything besides.
        from_first({file: (folder / file).read_bytes() for file in DATASETS[name].files})
        return folder

    return received if rank() else found
