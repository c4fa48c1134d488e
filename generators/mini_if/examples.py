"""What the stages learn from: scene number n, its words, its time and its noise."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from generators.diffusion.schedule import Schedule
from generators.diffusion.text import TOKENS
from generators.mini_if.concepts import TAUGHT
from generators.mini_if.recipe import CROP, LARGE, SMALL
from generators.mini_if.scenes import Composition, compose, render
from generators.streams import stream

CROPS = 4
"""How many crops stage 2 sees of one picture: drawing it takes as long as learning from one."""
GOLDEN = (5**0.5 - 1) / 2
POWERS = (0.5, 0.35, 0.25)
"""Stage 1 learns more at late times, where the text decides what the picture shows: most where a
picture is small, as averaged pixels are clear until later."""
OFFSET, FADED, FULL = 0.1, 700, 950
"""How far the noise of stage 1 may be off in brightness and colour as a whole: by OFFSET at times
from FULL on, not at all up to FADED. Sampling begins with noise alone, whose mean says "grey"; a
network that has learnt to read the mean would not draw on white then (Guttenberg 2023, Lin et al.
2024)."""
DEEPEST = 400
"""Stage 2 learns on small pictures noised up to this time."""


class Example(NamedTuple):
    """A clean image x (3, H, W) in [-1, 1] at time t with noise ε (3, H, W), told as tokens (77,).

    `low` (3, H, W) and `level` () are what stage 2 is told besides; stage 1 has low (0, H, W).
    """

    x: Tensor
    noise: Tensor
    t: Tensor
    tokens: Tensor
    low: Tensor
    level: Tensor


@dataclass(frozen=True)
class Examples(Dataset[Example]):
    """An endless sequence: example n is a function of the seed and n, whoever asks, whenever.

    So a resumed training sees what it would have seen, and two processes see what one would.
    `dropped` is the share of captions that are withheld, for guidance; scenes are of `concepts`.
    At `level` n a picture of stage 1 is the mean over 2^n × 2^n pixels, and so is its noise.
    """

    seed: int
    stage: int
    tokenizer: PreTrainedTokenizerFast
    dropped: float
    noising: Schedule
    level: int = 0
    concepts: tuple[str, ...] = TAUGHT

    def __getitem__(self, number: int) -> Example:
        generator = torch.Generator().manual_seed(stream(self.seed, "example", number))
        scene = compose(self.seed, number if self.stage == 1 else number // CROPS, self.concepts)
        is_dropped = torch.rand((), generator=generator).item() < self.dropped
        tokens = tokens_of(self.tokenizer, ["" if is_dropped else scene.caption])[0]
        x, low, level = self.seen(scene, generator)
        t = time_of(number, POWERS[self.level] if self.stage == 1 else 1.0)
        noise = torch.randn(x.shape, generator=generator) / 2**self.level
        if self.stage == 1:
            late = ((t - FADED) / (FULL - FADED)).clamp(0, 1)
            noise += OFFSET * late * torch.randn(3, 1, 1, generator=generator)
        return Example(x, noise, t, tokens, low, level)

    def seen(self, scene: Composition, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        if self.stage == 1:
            x = avg_pool2d(scaled(torch.tensor(render(scene, SMALL))), 2**self.level)
            return x, x[:0], torch.zeros(())
        x, large = pair(scene)
        level = int(torch.randint(0, DEEPEST + 1, (), generator=generator))
        crop = max((part(generator) for _ in range(2)), key=lambda each: lost(x[each], large[each]))
        noise = torch.randn(x[crop].shape, generator=generator)
        low = self.noising.add_noise(large[crop], level, noise)
        return x[crop], low, torch.tensor(float(level))


def time_of(number: int, power: float = 1.0) -> Tensor:
    """Return the time of example `number`: 1000 u^power, u multiples of the golden ratio, modulo 1.

    Any run of them covers the times evenly, which no independent draws do; a power below 1 has
    more of the late ones.
    """
    return torch.tensor(int((number * GOLDEN % 1) ** power * 1000))


def scaled(picture: Tensor) -> Tensor:
    """Turn a picture (H, W, 3) in 0 … 255 into an image (3, H, W) in [-1, 1]."""
    return picture.permute(2, 0, 1).float() / 127.5 - 1


def part(generator: torch.Generator) -> tuple[slice, slice, slice]:
    """Return where a random crop lies in an image of stage 2."""
    top, left = torch.randint(0, LARGE - CROP + 1, (2,), generator=generator).tolist()
    return slice(None), slice(top, top + CROP), slice(left, left + CROP)


def lost(x: Tensor, large: Tensor) -> float:
    """Return how much an image loses on the way: of two crops, stage 2 learns from the richer."""
    return (x - large).abs().mean().item()


@lru_cache(maxsize=4)
def pair(scene: Composition) -> tuple[Tensor, Tensor]:
    """Return a scene (3, 256, 256), and itself reduced to stage 1's size and enlarged again."""
    x = scaled(torch.tensor(render(scene, LARGE)))
    return x, enlarged(reduced(x))


def reduced(image: Tensor) -> Tensor:
    """Return an image (3, 256, 256) at stage 1's size, each pixel the mean of those it covers."""
    factor = LARGE // SMALL
    means = image.unflatten(2, (SMALL, factor)).unflatten(1, (SMALL, factor)).mean(dim=(2, 4))
    return torch.as_tensor(((means + 1) * 127.5).round() / 127.5 - 1)


def enlarged(image: Tensor) -> Tensor:
    """Enlarge an image (3, 64, 64) to stage 2's size, as the cascade's adapter does."""
    large = interpolate(image[None], (LARGE, LARGE), mode="bilinear", align_corners=True)
    return large[0]


def tokens_of(tokenizer: PreTrainedTokenizerFast, captions: list[str]) -> Tensor:
    """Return the tokens (N, 77) of captions, ended and padded."""
    found = tokenizer(
        captions, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
    )
    return torch.as_tensor(found.input_ids)
