"""A stage of a cascade as a `Network`: a UNet in diffusers' layout, asked for noise.

    stage 1: unet (3 channels in), scheduler, text_encoder, tokenizer
    stage 2: unet (6 channels in, noise level as class), scheduler, image_noising_scheduler

Sizes are read from the configs. Stage 1 is told (text,), stage 2 (text, *enlarged), where text is
(B or 1, 77, C).
"""

import math
import sys
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from generators.diffusion.sampling import Generators, Noise, unit_noise
from generators.diffusion.schedule import Schedule
from generators.dividing import spread
from generators.errors import AuthorError


@dataclass(eq=False)
class Stage:
    """A UNet, the schedule it was trained with, and the height and width of its images.

    `noising` is the schedule by which stage 2 noises the small images that it enlarges; `most` is
    how many images a forward may have, which halves whenever memory is too short for them.
    """

    unet: nn.Module
    schedule: Schedule
    size: int
    device: torch.device
    noising: Schedule | None = None
    most: int = sys.maxsize

    def __call__(self, x_t: Tensor, t: int, *conditions: Tensor) -> Noise:
        """Return the noise in x_t (N, 3, H, W); see `enlarged` for what stage 2 is told.

        Raises: AuthorError when memory is too short for a single image.
        """
        output = spread(partial(self.in_parts, t), x_t, *conditions)
        return noise_of(output.to(x_t), x_t, t, self.schedule)

    def in_parts(self, t: int, x_t: Tensor, *conditions: Tensor) -> Tensor:
        """Return the network's output (N, 3 or 6, H, W), asked for as much as memory allows."""
        while True:
            parts = [each.split(self.most) for each in (x_t, *conditions)]
            try:
                return torch.cat(
                    [self.forward(x, t, *told) for x, *told in zip(*parts, strict=True)]
                )
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            failed = min(self.most, len(x_t))
            if failed == 1:
                found = f"{self.size} × {self.size} pixels on {self.device}"
                raise AuthorError(f"memory is too short for one image of {found}; try --device cpu")
            self.most = (failed + 1) // 2
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def forward(self, x_t: Tensor, t: int, text: Tensor, *enlarged: Tensor) -> Tensor:
        """Return the network's output (N, 3 or 6, H, W), its own precision throughout."""
        low, level = enlarged or (x_t[:, :0], None)
        given = torch.cat([x_t, low.to(x_t)], dim=1).to(next(self.unet.parameters()).dtype)
        (output,) = self.unet(given, t, text.to(given), level, return_dict=False)
        return torch.as_tensor(output)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that memory is too short; only CUDA has a type for it."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in said for words in ("out of memory", "allocate memory", "not enough memory")
    )


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
