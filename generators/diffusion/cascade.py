"""A cascade for its users: prompts in, estimators, noise and enlarged images out.

    stage 1: unet (3 channels in), scheduler, text_encoder, tokenizer
    stage 2: unet (6 channels in, noise level as class), scheduler, image_noising_scheduler

Sizes are read from the configs. A stage is a `Network`: stage 1 is told (text,), stage 2
(text, *enlarged), where text is (B or 1, 77, C).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from generators.diffusion.batching import Told
from generators.diffusion.estimators import guided
from generators.diffusion.sampling import (
    Estimator,
    Generators,
    Noise,
    denoise,
    last,
    unit_noise,
)
from generators.diffusion.schedule import Schedule, counted

Number: TypeAlias = Literal[1, 2]


@dataclass(frozen=True)
class Stage:
    """A UNet, the schedule it was trained with, and the height and width of its images.

    `noising` is the schedule by which stage 2 noises the small images that it enlarges.
    """

    unet: nn.Module
    schedule: Schedule
    size: int
    device: torch.device
    noising: Schedule | None = None

    def __call__(self, x_t: Tensor, t: int, *conditions: Tensor) -> Noise:
        """Return the noise in x_t (N, 3, H, W); see `enlarged` for what stage 2 is told."""
        text, *enlarged = conditions
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


def enlarged(
    image: Tensor, stage: Stage, level: int, generators: Generators
) -> tuple[Tensor, Tensor]:
    """Return what stage 2 is told of small images (B, 3, h, w): them, enlarged and noised, and how.

    Bilinear with aligned corners, then x_level of the stage's `noising` (Ho et al. 2022, Cascaded
    Diffusion Models); (B, 3, H, W) and the level (1,).
    """
    assert stage.noising is not None, "only stage 2 enlarges"
    size = (stage.size, stage.size)
    large = interpolate(image, size, mode="bilinear", align_corners=True)
    noisy = stage.noising.add_noise(large, level, unit_noise(generators, large))
    return noisy, torch.tensor([level], device=image.device)


class Cascade:
    """Both stages and the words they understand; each part is loaded on first use.

    `name` is for captions. `embed` turns prompts into embeddings (N, 77, C) on the CPU.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[Number], Stage],
        embed: Callable[[Sequence[str]], Tensor],
    ) -> None:
        self.name = name
        self.load = load
        self.embed = embed
        self.stages: dict[Number, Stage] = {}

    def stage(self, number: Number) -> Stage:
        """Return stage 1, which makes images, or stage 2, which enlarges them."""
        if number not in self.stages:
            self.stages[number] = self.load(number)
        return self.stages[number]

    def told(self, prompts: Sequence[str]) -> Told:
        """Return stage 1 told one prompt for each image, or one for all of them."""
        stage = self.stage(1)
        return Told(stage, (self.embed(prompts).to(stage.device),))

    def guided(self, prompts: Sequence[str], scale: float) -> Estimator:
        """Return stage 1 guided away from the empty prompt; a scale of 1 asks nothing of it."""
        if scale == 1:
            return self.told(prompts)
        return guided(self.told(prompts), self.told([""]), scale)

    def noise(self, generators: Generators) -> Tensor:
        """Return unit noise (B, 3, size, size) for stage 1, one image from each generator."""
        stage = self.stage(1)
        return unit_noise(generators, torch.empty(0, 3, stage.size, stage.size).to(stage.device))

    def upsampled(
        self,
        images: Tensor,
        prompts: Sequence[str],
        generators: Generators,
        *,
        steps: int = 30,
        scale: float = 4.0,
        noise_level: int = 250,
    ) -> Tensor:
        """Return images (B, 3, h, w) in [-1, 1], enlarged by stage 2 to (B, 3, H, W).

        What is random is drawn in the order in which diffusers draws it: x_T, then the noise of
        the small image, then that of the steps.
        """
        stage = self.stage(2)
        images = images.to(stage.device, torch.float32)
        x_t = unit_noise(generators, torch.empty(0, 3, stage.size, stage.size).to(images))
        given = enlarged(images, stage, noise_level, generators)
        text, nothing = self.embed(prompts).to(images), self.embed([""]).to(images)
        estimate: Estimator = Told(stage, (text, *given))
        if scale != 1:
            estimate = guided(estimate, Told(stage, (nothing, *given)), scale)
        times = counted(stage.schedule.config.num_train_timesteps, steps)
        return last(denoise(x_t, estimate, stage.schedule, times, generators=generators)).x_t
