"""Pictures of how far a training is: the same prompts and the same noise every time."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from accelerate import Accelerator
from accelerate.utils import gather
from PIL import Image
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from generators.diffusion.batching import Told
from generators.diffusion.estimators import guided
from generators.diffusion.pictures import to_bytes
from generators.diffusion.sampling import Generators, denoise, generators_of, last, unit_noise
from generators.diffusion.schedule import Schedule, counted
from generators.diffusion.stage import Stage
from generators.mini_if.concepts import TAUGHT
from generators.mini_if.examples import Example, enlarged, reduced, scaled, tokens_of
from generators.mini_if.painter import Painter
from generators.mini_if.recipe import LARGE, SMALL
from generators.mini_if.scenes import compose, render

PROMPTS = (
    "a photo of a dog", "a rocket ship", "an oil painting of a snowy mountain village",
    "an oil painting of an old man", "a lithograph of a skull", "a pencil",
    "an oil painting of people around a campfire", "a photo of the amalfi coast",
    "a cat on a blue background", "a photo of a hipster barista",
    "a watercolour of a fox in the snow", "a tree to the left of a house",
)  # fmt: skip
COLUMNS, STEPS = 4, 20
LEVEL = 250
"""How noisy the small pictures are that stage 2 is shown, unless said otherwise."""


@dataclass(frozen=True)
class Sampler:
    """What is drawn, and how: texts as tokens (N, 77), the scale γ of guidance, the updates.

    Stage 2 has `low` (N, 3, H, W), enlarged and noised; for stage 1 it is empty.
    """

    tokens: Tensor
    free: Tensor
    schedule: Schedule
    scale: float
    steps: int
    size: int
    low: Tensor | None = None

    @torch.inference_mode()
    def draw(self, painter: Painter, accelerator: Accelerator) -> bytes:
        """Return the grid as PNG; every process draws as many, some of them twice if need be."""
        world, rank, count = accelerator.num_processes, accelerator.process_index, len(self.tokens)
        share = -(-count // world)
        numbers = [number % count for number in range(rank * share, (rank + 1) * share)]
        with accelerator.autocast():
            mine = self.images(painter, numbers, accelerator.device)
        images = torch.as_tensor(gather(mine.contiguous())) if world > 1 else mine
        return grid(images[:count])

    def images(self, painter: Painter, numbers: Sequence[int], device: torch.device) -> Tensor:
        """Return the images (N, 3, size, size) of some of the texts, in [-1, 1]."""
        chosen = list(numbers)
        generators = [generators_of(1, number + 1)[number] for number in chosen]
        if painter.level:
            asked = (self.tokens[chosen].to(device), self.free.to(device))
            return small_images(painter, asked, self.schedule, self.scale, generators)
        text, free = (
            painter.encoder(tokens.to(device), (tokens != 0).long().to(device))[0]
            for tokens in (self.tokens[chosen], self.free)
        )
        shown: tuple[Tensor, ...] = ()
        if self.low is not None:
            shown = (self.low[chosen].to(device), torch.tensor([LEVEL], device=device))
        stage = Stage(painter.unet, self.schedule, self.size, device, noising=self.schedule)
        estimate = guided(Told(stage, (text, *shown)), Told(stage, (free, *shown)), self.scale)
        start = unit_noise(generators, torch.zeros(1, 3, self.size, self.size, device=device))
        times = counted(len(self.schedule.alpha_bar), self.steps)
        return last(denoise(start, estimate, self.schedule, times, generators=generators)).x_t


def sampler_of(stage: int, tokenizer: PreTrainedTokenizerFast, schedule: Schedule) -> Sampler:
    """Return the sampler of a stage; stage 2 is shown fresh scenes, not what stage 1 draws."""
    free = tokens_of(tokenizer, [""])
    if stage == 1:
        return Sampler(tokens_of(tokenizer, list(PROMPTS)), free, schedule, 5.0, STEPS, SMALL)
    scenes = [compose(-1, number, TAUGHT) for number in range(COLUMNS)]
    small = [reduced(scaled(torch.tensor(render(scene, LARGE)))) for scene in scenes]
    large = torch.stack([enlarged(image) for image in small])
    low = schedule.add_noise(large, LEVEL, unit_noise(generators_of(2, len(large)), large))
    tokens = tokens_of(tokenizer, [scene.caption for scene in scenes])
    return Sampler(tokens, free, schedule, 1.0, 12, LARGE, low)


def grid(images: Tensor) -> bytes:
    """Return images (N, 3, H, W) in [-1, 1] as one PNG, four in a row."""
    rows = to_bytes(images)
    size = rows.shape[1]
    sheet = Image.new("RGB", (COLUMNS * size, -(-len(rows) // COLUMNS) * size))
    for number, picture in enumerate(rows):
        row, column = divmod(number, COLUMNS)
        sheet.paste(Image.fromarray(picture), (column * size, row * size))
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()


def small_images(
    painter: Painter, asked: tuple[Tensor, Tensor], schedule: Schedule, scale: float,
    generators: Generators,
) -> Tensor:  # fmt: skip
    """Return images (N, 3, H, W) of tokens (N, 77), guided away from those of no text (1, 77).

    By DDIM (Song et al. 2021, eq. 12, η = 0). The loop of `generators.diffusion` has noise of size
    1; that of averaged pixels is smaller.
    """
    side = 2**painter.level
    size = painter.unet.config.sample_size // side
    tokens, free = asked
    x: Tensor = unit_noise(generators, torch.zeros(1, 3, size, size, device=tokens.device)) / side
    every = torch.cat([tokens, free.expand(len(tokens), -1)])
    nothing = torch.zeros(len(every), device=tokens.device)
    times = counted(len(schedule.alpha_bar), STEPS)
    for t, later in pairwise(times):
        now, then = schedule.at(t), schedule.at(later)
        pair = torch.cat([x, x])
        example = Example(
            pair, pair, torch.full((len(pair),), t, device=x.device), every, pair[:, :0], nothing
        )
        right, without = painter(pair, example)[:, :3].chunk(2)
        v = without + scale * (right - without)
        x_0 = (now**0.5 * x - (1 - now) ** 0.5 * v).clamp(-1, 1)
        noise = (x - now**0.5 * x_0) / (1 - now) ** 0.5
        x = then**0.5 * x_0 + (1 - then) ** 0.5 * noise
    return x
