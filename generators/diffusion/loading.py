"""One adapter for every cascade in the layout of diffusers' DeepFloyd IF pipelines."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from generators.diffusion.cascade import Cascade, Number, Stage
from generators.diffusion.schedule import schedule_of
from generators.diffusion.scheduler_config import read_config
from generators.diffusion.text import encode
from generators.errors import AuthorError
from generators.models import Model

CHANNELS: dict[int, int] = {1: 3, 2: 6}
PARTS = {
    1: ("unet/config.json", "scheduler/scheduler_config.json"),
    2: (
        "unet/config.json",
        "scheduler/scheduler_config.json",
        "image_noising_scheduler/scheduler_config.json",
    ),
}


def open_cascade(model: Model, device: torch.device) -> Cascade:
    """Return the cascade that a model names; nothing of it is read before it is used."""

    def load(number: Number) -> Stage:
        return load_stage(folder_of(model, number), number, device)

    def embed(prompts: Sequence[str]) -> Tensor:
        return encode(prompts, folder_of(model, 1), device).cpu()

    return Cascade(model.name, load, embed)


def folder_of(model: Model, number: Number) -> Path:
    """Return the folder of a stage.

    Raises: AuthorError naming the model when the stage is not there.
    """
    folder = Path(model.stages[number - 1])
    if not folder.is_dir():
        raise AuthorError(f"model {model.name}: found no folder {folder}")
    return folder


def load_stage(folder: Path, number: Number, device: torch.device) -> Stage:
    """Read stage 1 or 2 from its folder, ready to be asked, in float32.

    Raises: AuthorError naming the folder when it is no such stage or lacks a part.
    """
    for part in PARTS[number][:2]:
        if not (folder / part).is_file():
            raise AuthorError(f"{folder}: found no {part}, expected a cascade in diffusers' layout")
    config = json.loads((folder / "unet" / "config.json").read_text())
    found = config.get("in_channels")
    if found != CHANNELS[number]:
        other = "the other stage" if found in CHANNELS.values() else "no stage of a cascade"
        expected = f"{CHANNELS[number]} for stage {number}: this is {other}"
        raise AuthorError(f"{folder}: the UNet takes {found} channels, expected {expected}")
    schedules = [schedule_of(read_config(folder / part)) for part in PARTS[number][1:]]
    unet: nn.Module = UNet2DConditionModel.from_pretrained(folder / "unet")  # type: ignore
    return Stage(
        unet.eval().to(device), schedules[0], config["sample_size"], device, *schedules[1:]
    )
