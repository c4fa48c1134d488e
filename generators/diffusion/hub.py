"""Stages from the Hugging Face Hub, only the files in use; and what to do when they do not come."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from generators.errors import AuthorError
from generators.models import UNRESOLVED, Model, commit_of
from generators.processes import rank

REFUSED = (401, 403)


def fetch(name: str, patterns: Sequence[str], *, are_large: bool = False) -> Path:
    """Return the folder of a Hub id in the local cache, with the files that match patterns in it.

    The commit that is in the cache stays in use; what is there already is not asked for again.
    The way of files that are large is shown.
    Raises: AuthorError saying what the author has to do.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    known = commit_of(name)
    commit = None if known == UNRESOLVED else known
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        if are_large and rank() == 0:
            enable_progress_bars()
        else:
            disable_progress_bars()
    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=list(patterns)))
    except failures() as error:
        raise AuthorError(f"model {name}: {reason(error, name)}") from None


def fetch_weights(name: str, part: str) -> Path:
    """Return the folder of a Hub id with the weights of one part: half precision where there is."""
    folder = fetch(name, [f"{part}/*.json", f"{part}/*fp16*.safetensors"], are_large=True)
    if not any((folder / part).glob("*.safetensors")):
        folder = fetch(name, [f"{part}/*.json", f"{part}/*.safetensors"], are_large=True)
    return folder


def resolve(model: Model) -> None:
    """Let the commits of a model's stages be known, as far as the Hub can be asked.

    What is wrong with the others is said when a section needs them.
    """
    for place in filter(None, (*model.stages, model.judge)):
        if not Path(place).is_absolute() and commit_of(place) == UNRESOLVED:
            with suppress(AuthorError):
                fetch(place, ["scheduler/*.json", "config.json"])


def reason(error: Exception, name: str) -> str:
    """Say what is behind an error of the Hub, which hides a refusal behind "not cached locally"."""
    from huggingface_hub import errors

    chain = list(causes(error))
    statuses = [
        each.response.status_code for each in chain if isinstance(each, errors.HfHubHTTPError)
    ]
    is_gated = any(isinstance(each, errors.GatedRepoError) for each in chain)
    if not is_gated and any(isinstance(each, errors.RepositoryNotFoundError) for each in chain):
        return (
            "found no such model on the Hub, nor a folder of that name; if private: `hf auth login`"
        )
    if is_gated or any(status in REFUSED for status in statuses):
        told = [getattr(each, "server_message", None) for each in chain]
        said = next((f" (it says: {one_line(each)})" for each in told if each), "")
        return (
            f"access is refused{said}; (1) make an account on https://huggingface.co, (2) accept "
            f"the licence on https://huggingface.co/{name}, (3) run `hf auth login`, (4) let a "
            f"fine-grained token read public gated repositories"
        )
    if any(isinstance(each, errors.OfflineModeIsEnabled) for each in chain):
        return "not in the local cache, and HF_HUB_OFFLINE is set; unset it once, or name a folder"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return (
            "not in the local cache, and the Hub cannot be reached; connect once, its licence "
            "accepted and logged in where it wants that (README), or name a folder"
        )
    said = f"{type(error).__name__}: {one_line(str(error))}"
    if isinstance(error, (OSError, ValueError)):
        return said
    return f"the connection broke ({said}); build again, it goes on where it stopped"


def one_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def failures() -> tuple[type[Exception], ...]:
    """Return what is raised when something does not come, be it by the libraries beneath."""
    from huggingface_hub import errors

    of_connections: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    of_storage: type[Exception] = getattr(errors, "XetDownloadError", OSError)
    return (OSError, ValueError, of_connections, of_storage)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
