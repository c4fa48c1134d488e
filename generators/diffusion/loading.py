"""One adapter for every cascade in the layout of diffusers' DeepFloyd IF pipelines."""

import json
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from generators.diffusion import hub
from generators.diffusion.cascade import Cascade, Number
from generators.diffusion.reading import affordable, precision, read_network, settle, verify
from generators.diffusion.schedule import schedule_of
from generators.diffusion.scheduler_config import read_config
from generators.diffusion.stage import Stage
from generators.diffusion.text import (
    encode,
    looked_up,
    read_dictionary,
    read_tokenizer,
    remembered,
    unknown_words,
)
from generators.errors import AuthorError
from generators.models import UNRESOLVED, Model, commit_of
from generators.processes import rank

CHANNELS: dict[int, int] = {1: 3, 2: 6}
LARGE, PIXELS = 100_000_000, 8 * 64 * 64
"""The weights of a network that few images keep busy, and how many pixels those have."""
SCHEDULES = {1: ("scheduler",), 2: ("scheduler", "image_noising_scheduler")}


def open_cascade(
    model: Model, device: torch.device, memory: Path, dtype: torch.dtype | None = None
) -> Cascade:
    """Return the cascade that a model names; nothing of it is read before it is used.

    Embeddings are kept in the folder `memory`. It computes in `dtype`, by default in what suits
    the device.
    """
    dtype = dtype or precision(device)

    def load(number: Number) -> Stage:
        patterns = ["unet/*.json", *(f"{part}/*.json" for part in SCHEDULES[number])]
        check_stage(folder_of(model, number, partial(hub.fetch, patterns=patterns)), number)
        folder = folder_of(model, number, partial(hub.fetch_weights, part="unet"))
        verify(folder, ("unet", *SCHEDULES[number]))
        return load_stage(folder, number, device, dtype)

    def made(prompts: Sequence[str]) -> Tensor:
        words = ["tokenizer/*", "text_encoder/*.json"]
        folder = folder_of(model, 1, partial(hub.fetch, patterns=words))
        verify(folder, ("tokenizer",))
        tokenizer_of(folder)  # What is wrong with it is said before gigabytes come.
        folder = folder_of(model, 1, partial(hub.fetch_weights, part="text_encoder"))
        verify(folder, ("text_encoder",))
        return embed(prompts, folder, device, dtype)

    def kept(prompts: Sequence[str]) -> Tensor:
        return remembered(prompts, memory, f"{encoder_of(model)} {dtype}", made)

    @cache
    def dictionary() -> dict[str, Tensor]:
        folder = folder_of(model, 1, partial(hub.fetch, patterns=["unet/*.json"]))
        width = read_table(folder / "unet" / "config.json")["encoder_hid_dim"]
        return read_dictionary(Path(model.embeddings), width)

    def found(prompts: Sequence[str]) -> Tensor:
        return looked_up(prompts, dictionary(), Path(model.embeddings))

    return Cascade(model.name, load, found if model.embeddings else kept)


def folder_of(model: Model, number: Number, fetch: Callable[[str], Path]) -> Path:
    """Return the folder of a stage, which `fetch` gets for a Hub id.

    Raises: AuthorError naming the model when the stage is not there.
    """
    place = model.stages[number - 1]
    if not Path(place).is_absolute():
        return fetch(place)
    if not Path(place).is_dir():
        raise AuthorError(f"model {model.name}: found no folder {place}")
    return Path(place)


def read_table(path: Path) -> dict[str, Any]:
    """Return what a configuration of diffusers or transformers says.

    Raises: AuthorError naming the file when it is damaged.
    """
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise AuthorError(f"{path}: damaged ({error})") from None
    if not isinstance(found, dict):
        raise AuthorError(f"{path}: damaged, expected {{name: value}}")
    return found


def encoder_of(model: Model) -> str:
    """Return what the text encoder of a model is known by."""
    known = model.identity.get("model") or model.identity["model stage 1"]
    if not known.endswith(UNRESOLVED):
        return known
    hub.resolve(model)
    return f"{model.stages[0]} {commit_of(model.stages[0])}"


def check_stage(folder: Path, number: Number) -> None:
    """Refuse a folder that is not stage 1 or 2, whichever is asked for.

    Raises: AuthorError naming the folder, and the stage that it is instead.
    """
    require(folder, "unet/config.json", "scheduler/scheduler_config.json")
    found = read_table(folder / "unet" / "config.json").get("in_channels")
    if found != CHANNELS[number]:
        other = [each for each, channels in CHANNELS.items() if channels == found]
        this = f"stage {other[0]}; give --model STAGE1,STAGE2" if other else "no stage of a cascade"
        expected = f"{CHANNELS[number]} for stage {number}: this is {this}"
        raise AuthorError(f"{folder}: the UNet takes {found} channels, expected {expected}")
    require(folder, *(f"{part}/scheduler_config.json" for part in SCHEDULES[number]))


def require(folder: Path, *files: str) -> None:
    for file in files:
        if not (folder / file).is_file():
            raise AuthorError(f"{folder}: found no {file}, expected a cascade in diffusers' layout")


def load_stage(
    folder: Path, number: Number, device: torch.device, dtype: torch.dtype = torch.float32
) -> Stage:
    """Read stage 1 or 2 from its folder, ready to be asked.

    Raises: AuthorError naming the folder when it is no such stage or lacks a part.
    """
    check_stage(folder, number)
    schedule, noising = (
        schedule_of(read_config(folder / part / "scheduler_config.json"))
        for part in (SCHEDULES[number][0], SCHEDULES[number][-1])
    )
    unet = read_network(
        UNet2DConditionModel, folder / "unet", affordable(folder / "unet", dtype, device)
    )
    size = read_table(folder / "unet" / "config.json")["sample_size"]
    most = most_images(unet, size, device)
    noise = noising if number == 2 else None
    return Stage(settle(unet, device), schedule, size, device, noise, most)


def most_images(unet: nn.Module, size: int, device: torch.device) -> int:
    """Return how many images a forward may have at first.

    A graphics card says when its memory is too short, and fewer are taken; main memory does not,
    and many images at once are no faster in a network that is large.
    """
    is_large = sum(each.numel() for each in unet.parameters()) > LARGE
    return max(1, PIXELS // size**2) if is_large and device.type != "cuda" else sys.maxsize


def tokenizer_of(folder: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a stage 1 folder, which lies there before the encoder's weights."""
    require(folder, "text_encoder/config.json")
    config = read_table(folder / "text_encoder" / "config.json")
    return read_tokenizer(folder / "tokenizer", config["d_model"], config["vocab_size"])


def embed(prompts: Sequence[str], folder: Path, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the embeddings (N, 77, C) of prompts by the encoder in a stage 1 folder.

    It is read for this call and dropped after it: it may be larger than both stages.
    """
    tokenizer = tokenizer_of(folder)
    if (unknown := unknown_words(prompts, tokenizer)) and rank() == 0:
        print(f"build.py: {folder} has no word for {', '.join(map(repr, unknown))}")
    place = folder / "text_encoder"
    dtype = affordable(place, dtype, device)
    encoder = settle(read_network(T5EncoderModel, place, dtype), device)
    rows = [
        encode(prompts[at : at + 8], tokenizer, encoder, device) for at in range(0, len(prompts), 8)
    ]
    return torch.cat(rows)
