"""Write what was trained as the embedded cascade: python -m generators.mini_if.export --recipe core

Both folders are in the layout that diffusers' IFPipeline and IFSuperResolutionPipeline load: the
averages of the weights, in half precision, in files small enough to commit.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, IFPipeline, IFSuperResolutionPipeline
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from generators.errors import AuthorError
from generators.files import digest, write
from generators.machine import describe
from generators.mini_if.judge import WEIGHTS as WEIGHTS_OF_JUDGE
from generators.mini_if.judge import load_judge
from generators.mini_if.judge_training import accuracy
from generators.mini_if.painter import Painter
from generators.mini_if.recipe import (
    LARGEST,
    RECIPES,
    SCHEDULER,
    SMALL,
    make_encoder,
    make_unet,
)
from generators.mini_if.report import REPORT, Report, read_report, thinned, write_report
from generators.mini_if.start import BEFORE
from generators.mini_if.train import CACHE, folder_of, tokenizer_in
from generators.mini_if.training import LOG, STATE, read_state
from generators.models import MANIFEST

WEIGHTS = Path(__file__).parent / "weights"
FILE_SIZE = "15MB"
NOTHING = Report(
    np.zeros((0, 3), np.float32), np.zeros((0, 8, SMALL, SMALL, 3), np.uint8), (), 0, {}, (0, 0), ""
)
SHEETS = 6
"""How many sheets of samples along the training are kept."""
ABSENT = {"safety_checker": None, "feature_extractor": None, "watermarker": None}


def main(arguments: list[str]) -> int:
    """Export, and return the exit status: 0, or 1 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="core")
    parser.add_argument("--stage", type=int, choices=[1, 2], help="only this one, else both")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the trainings")
    parser.add_argument("--to", type=Path, default=WEIGHTS, help="folder of the cascade")
    options = parser.parse_args(arguments)
    try:
        for stage in [options.stage] if options.stage else [1, 2]:
            export(options.recipe, stage, options.cache, options.to)
        write_report(compiled(options.recipe, options.cache), options.to / REPORT.name)
        write(options.to / MANIFEST, manifest(options.to))
    except AuthorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def export(recipe: str, stage: int, cache: Path, folder: Path) -> None:
    """Write a stage, as its training in `cache` stands, to folder/stage_N, and the manifest anew.

    Raises: AuthorError naming the checkpoint when there is none.
    """
    painter = trained(recipe, stage, cache)
    if stage == 2:
        compare_encoders(painter.encoder, trained(recipe, 1, cache).encoder)
    pipeline = IFPipeline if stage == 1 else IFSuperResolutionPipeline
    parts = first(painter, cache / f"stage_1-{recipe}") if stage == 1 else second()
    made = pipeline(
        unet=painter.unet.half(), scheduler=scheduler(stage), requires_safety_checker=False,
        **ABSENT, **parts,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
        made.save_pretrained(temporary, max_shard_size=FILE_SIZE)
        if stage == 1:
            halve_encoder(painter.encoder, Path(temporary) / "text_encoder")
        for file in Path(temporary).rglob("*.json"):
            strip_origin(file)
        target = folder / f"stage_{stage}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(temporary, target)
    write(folder / MANIFEST, manifest(folder))


def trained(recipe: str, stage: int, cache: Path) -> Painter:
    """Return the networks of a training with the average of their weights, as it stands."""
    path = cache / f"stage_{stage}-{recipe}" / STATE
    if not path.exists():
        raise AuthorError(f"{path}: found no checkpoint, expected one: train stage_{stage} first")
    state = read_state(path, torch.device("cpu"))
    vocabulary = len(state["painter"]["encoder.shared.weight"])
    painter = Painter(make_encoder(vocabulary), make_unet(RECIPES[recipe][stage - 1], stage))
    painter.load_state_dict(state["painter"])
    # By parameter, as T5's table of words has two names in a state and one in the average.
    for name, parameter in painter.named_parameters():
        parameter.data.copy_(state["average"].get(name, parameter))
    return painter.eval()


def compare_encoders(told: nn.Module, encoder: nn.Module) -> None:
    """Say so when stage 2 learnt with another text encoder than stage 1 has now."""
    theirs = encoder.state_dict()
    far = max((theirs[name] - value).abs().max() for name, value in told.state_dict().items())
    if far > 0:
        hint = "train stage_2 a little more, it takes stage 1's encoder when it starts"
        print(
            f"stage 2's text encoder is off stage 1's by up to {far:.2g}: {hint}", file=sys.stderr
        )


def first(painter: Painter, folder: Path) -> dict[str, object]:
    return {"tokenizer": tokenizer_in(folder), "text_encoder": painter.encoder}


def second() -> dict[str, object]:
    noising = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    return {"tokenizer": None, "text_encoder": None, "image_noising_scheduler": noising}


def scheduler(stage: int) -> DDPMScheduler:
    """Return the scheduler that a stage is sampled with, by diffusers' pipelines or ours."""
    return DDPMScheduler(sample_max_value=LARGEST[stage - 1], **SCHEDULER)


def halve_encoder(encoder: nn.Module, folder: Path) -> None:
    """Write the encoder's weights in half precision, though its config says float32.

    transformers reads in the precision that the config names, and diffusers hands the result to a
    UNet read in float32.
    """
    halves = {name: value.half().contiguous() for name, value in encoder.state_dict().items()}
    halves.pop("encoder.embed_tokens.weight", None)
    save_file(halves, folder / "model.safetensors", {"format": "pt"})


def strip_origin(file: Path) -> None:
    """Take the path that a config was loaded from out of it: it names the machine."""
    content = json.loads(file.read_text())
    if isinstance(content, dict) and content.pop("_name_or_path", None) is not None:
        file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def compiled(recipe: str, cache: Path) -> Report:
    """Return the report on the trainings in `cache`, which this machine is taken to have run.

    It goes on from that of the cascade they began with, if they did.
    """
    first, second = (cache / f"stage_{stage}-{recipe}" for stage in (1, 2))
    earlier = read_report(first / BEFORE) if (first / BEFORE).exists() else NOTHING
    losses = earlier.losses.tolist()
    sheets = list(zip(earlier.pictures, earlier.samples, strict=True))
    seen, seconds = dict(earlier.seen), 0.0
    for level in (*[each for each, _ in RECIPES[recipe][0].young], 0):
        folder, size = folder_of(first, level), SMALL // 2**level
        if not (folder / STATE).exists():
            continue
        before = sum(count for side, count in seen.items() if int(side) < size)
        for row in (folder / LOG).read_text().splitlines()[1:]:
            pictures, _, loss, *_ = map(float, row.split(","))
            losses.append([before + pictures, loss, size])
        for sheet in sorted(folder.glob("samples-*.png")):
            sheets.append((before + int(sheet.stem.partition("-")[2]), tiles(sheet, size)))
        state = read_state(folder / STATE, torch.device("cpu"))
        seen[str(size)], seconds = state["pictures"], seconds + state["seconds"]
    kept = [sheets[index] for index in thinned([count for count, _ in sheets], SHEETS)]
    path = second / STATE
    of_second = read_state(path, torch.device("cpu"))["seconds"] if path.exists() else None
    return Report(
        np.array(losses, np.float32).reshape(-1, 3),
        np.stack([sheet for _, sheet in kept]),
        tuple(count for count, _ in kept),
        accuracy(load_judge(), 2000) if WEIGHTS_OF_JUDGE.is_file() else 0.0,
        seen,
        (seconds, earlier.seconds[1] if of_second is None else float(of_second)),
        describe(torch.device("cpu" if not torch.cuda.is_available() else "cuda")),
    )


def tiles(sheet: Path, size: int) -> NDArray[np.uint8]:
    """Return the first two rows of a sheet of samples, `size` pixels each, as (8, 64, 64, 3)."""
    pixels = np.asarray(Image.open(sheet).convert("RGB"))[: 2 * size]
    rows = pixels.reshape(2, size, -1, size, 3).swapaxes(1, 2).reshape(-1, size, size, 3)
    return rows.repeat(SMALL // size, axis=1).repeat(SMALL // size, axis=2)


def manifest(folder: Path) -> bytes:
    """Return {relative path: SHA-256} of all files of a cascade, as JSON."""
    found = (file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    files = sorted(found)
    digests = {file.relative_to(folder).as_posix(): digest(file.read_bytes()) for file in files}
    return (json.dumps(digests, indent=2) + "\n").encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
