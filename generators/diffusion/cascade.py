"""One adapter for every cascade in the layout of diffusers' DeepFloyd IF pipelines, in folders.

    stage 1: unet (3 channels in), scheduler, text_encoder, tokenizer
    stage 2: unet (6 channels in, noise level as class), scheduler, image_noising_scheduler

Sizes are read from the configs. A stage is a `Network`: stage 1 is told (text,), stage 2
(text, *enlarged), where text is (B or 1, 77, C).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import AutoTokenizer, T5EncoderModel

from generators.diffusion.sampling import Generators, Noise, unit_noise
from generators.diffusion.schedule import Schedule, schedule_of
from generators.diffusion.scheduler_config import read_config
from generators.errors import AuthorError

TOKENS = 77
CHANNELS = {1: 3, 2: 6}


@dataclass(frozen=True)
class Stage:
    """A UNet, the schedule it was trained with, and the height and width of its images."""

    unet: nn.Module
    schedule: Schedule
    size: int

    def __call__(self, x_t: Tensor, t: int, text: Tensor, *enlarged: Tensor) -> Noise:
        """Return the noise in x_t (N, 3, H, W); see `enlarged` for what stage 2 is told."""
        low, level = enlarged or (x_t[:, :0], None)
        given = torch.cat([x_t, low.to(x_t)], dim=1).to(next(self.unet.parameters()).dtype)
        (output,) = self.unet(given, t, text.to(given), level, return_dict=False)
        return noise_of(output.to(x_t), x_t, t, self.schedule)


def noise_of(output: Tensor, x_t: Tensor, t: int, schedule: Schedule) -> Noise:
    """Split a network's output (B, 3 or 6, H, W) into ε and spread.

    A v-prediction becomes ε = √ᾱ_t v + √(1-ᾱ_t) x_t, since v = √ᾱ_t ε - √(1-ᾱ_t) x_0
    (Salimans & Ho 2022). The spread of a network whose variance is fixed is passed over.
    """
    mean, spread = output[:, : x_t.shape[1]], output[:, x_t.shape[1] :]
    if schedule.config.prediction_type == "v_prediction":
        level = schedule.at(t)
        mean = math.sqrt(level) * mean + math.sqrt(1 - level) * x_t
    return Noise(mean, spread if schedule.spread is None else None)


def load_stage(folder: Path, number: int, device: torch.device) -> Stage:
    """Read stage 1 or 2 from its folder, ready to be asked, in float32.

    Raises: AuthorError naming the folder when it is no such stage or lacks a part.
    """
    for part in ("unet/config.json", "scheduler/scheduler_config.json"):
        if not (folder / part).is_file():
            raise AuthorError(f"{folder}: found no {part}, expected a cascade in diffusers' layout")
    config = json.loads((folder / "unet" / "config.json").read_text())
    found = config.get("in_channels")
    if found != CHANNELS[number]:
        other = "the other stage" if found in CHANNELS.values() else "no stage of a cascade"
        expected = f"{CHANNELS[number]} for stage {number}: this is {other}"
        raise AuthorError(f"{folder}: the UNet takes {found} channels, expected {expected}")
    schedule = schedule_of(read_config(folder / "scheduler" / "scheduler_config.json"))
    unet: nn.Module = UNet2DConditionModel.from_pretrained(folder / "unet")  # type: ignore
    return Stage(unet.eval().to(device), schedule, config["sample_size"])


def enlarged(
    image: Tensor, stage: Stage, noising: Schedule, level: int, generators: Generators
) -> tuple[Tensor, Tensor]:
    """Return what stage 2 is told of small images (B, 3, h, w): them, enlarged and noised, and how.

    Bilinear with aligned corners, then x_level of `noising` (Ho et al. 2022, Cascaded Diffusion
    Models); (B, 3, H, W) and the level (1,).
    """
    size = (stage.size, stage.size)
    large = interpolate(image, size, mode="bilinear", align_corners=True)
    noisy = noising.add_noise(large, level, unit_noise(generators, large))
    return noisy, torch.tensor([level], device=image.device)


def encode(prompts: Sequence[str], folder: Path, device: torch.device) -> Tensor:
    """Return the embeddings (N, 77, C) of prompts by the text encoder in a stage 1 folder.

    Lower case, stripped, nothing else cleaned; padded positions are part of the embedding. The
    encoder is read for this call and dropped after it: it may be larger than both stages.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    encoder: nn.Module = T5EncoderModel.from_pretrained(folder / "text_encoder")
    words = [prompt.lower().strip() for prompt in prompts]
    tokens = tokenizer(
        words, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
    ).to(device)
    with torch.inference_mode():
        hidden = encoder.eval().to(device)(tokens.input_ids, tokens.attention_mask)[0]
    return torch.as_tensor(hidden).clone()
