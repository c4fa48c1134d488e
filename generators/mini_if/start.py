"""A training that begins with the weights of a cascade as it was exported."""

import io
import shutil
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from transformers import T5EncoderModel

from generators import files
from generators.errors import AuthorError
from generators.mini_if.painter import Painter
from generators.mini_if.recipe import SMALL
from generators.mini_if.report import REPORT, read_report
from generators.mini_if.training import STATE

BEFORE = "before.safetensors"
"""The report of the training that made the weights, kept in the folder of the one that goes on."""


def begin(exported: Path, stage_name: str, recipe: str, cache: Path) -> None:
    """Lay a stage of an exported cascade down in `cache` as a checkpoint, with what it has seen.

    Moments of AdamW are no part of a cascade: they begin anew.

    Raises: AuthorError where there is no such cascade, or a training already.
    """
    folder = cache / f"{stage_name}-{recipe}"
    if any(folder.rglob(STATE)):
        raise AuthorError(f"{folder}: found a training, expected none: delete it, or omit --start")
    report = read_report(exported / REPORT.name)
    try:
        encoder = T5EncoderModel.from_pretrained(exported / "stage_1" / "text_encoder")
        unet = UNet2DConditionModel.from_pretrained(exported / stage_name / "unet")
        tokenizer = cache / f"stage_1-{recipe}" / "tokenizer"
        shutil.copytree(exported / "stage_1" / "tokenizer", tokenizer, dirs_exist_ok=True)
    except OSError as error:
        raise AuthorError(f"{exported}: not an exported cascade ({error})") from None
    painter = Painter(encoder, unet).to(torch.float32)
    encoder.requires_grad_(False)
    stage = int(stage_name[-1])
    content = io.BytesIO()
    state = {
        "painter": painter.state_dict(),
        "average": {name: each for name, each in painter.named_parameters() if each.requires_grad},
        "pictures": report.seen[str(SMALL)] if stage == 1 else 0,
        "seconds": report.seconds[stage - 1],
    }
    torch.save(state, content)
    files.write(folder / BEFORE, (exported / REPORT.name).read_bytes())
    files.write(folder / STATE, content.getvalue())
