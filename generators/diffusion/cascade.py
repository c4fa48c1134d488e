"""A cascade for its users: prompts in, estimators, noise and enlarged images out."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from generators.diffusion.batching import Told
from generators.diffusion.estimators import guided
from generators.diffusion.sampling import Estimator, Generators, denoise, last, unit_noise
from generators.diffusion.schedule import counted
from generators.diffusion.stage import Stage as Stage
from generators.diffusion.stage import enlarged

Number: TypeAlias = Literal[1, 2]


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
        text = self.embed(prompts)  # First: the encoder and stage 1 may not both have room.
        stage = self.stage(1)
        return Told(stage, (text.to(stage.device),))

    def guided(self, prompts: Sequence[str], scale: float) -> Estimator:
        """Return stage 1 guided away from the empty prompt; a scale of 1 asks nothing of it."""
        if scale == 1:
            return self.told(prompts)
        self.read([*prompts, ""])
        return guided(self.told(prompts), self.told([""]), scale)

    def read(self, prompts: Sequence[str]) -> None:
        """Embed prompts ahead, all at once: a large encoder is loaded anew for each call."""
        self.embed(list(dict.fromkeys(prompts)))

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
        self.read([*prompts, ""])
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
