"""Train the judge: python -m generators.mini_if.judge_training --pictures 80000"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from generators import machine
from generators.mini_if import backgrounds
from generators.mini_if.concepts import CORE, VIEWS, phrases
from generators.mini_if.judge import SIDE, WEIGHTS, Judge, load_judge, save_judge
from generators.mini_if.scenes import Composition, compose, render
from generators.mini_if.styles import STYLES

SEED = 1902
BATCH = 128


class Claim(NamedTuple):
    """A text about a picture: what it shows, and its style and ground where the text names them."""

    text: str
    concepts: frozenset[str]
    style: str | None
    background: str | None

    def is_true_of(self, scene: Composition) -> bool:
        """Whether a scene is as the text says."""
        return (
            self.concepts <= set(scene.concepts)
            and self.style in (None, scene.style)
            and self.background in (None, scene.background)
        )


def claim(scene: Composition, random: Random) -> Claim:
    """Return a true text about a scene that says more or less of it."""
    named = random.sample(scene.concepts, random.randint(1, len(scene.concepts)))
    things = " and ".join(random.choice(phrases(name)) for name in named)
    openings = [words for words in STYLES[scene.style][1] if words]
    tells_style, tells_ground = random.random() < 0.5, random.random() < 0.4
    tells_ground = tells_ground and named[0] not in VIEWS
    opening = random.choice(openings) if tells_style else ""
    words = random.choice(ground_words(scene.background)) if tells_ground else ""
    text = " ".join(f"{opening} {things} {words}".split())
    style = scene.style if tells_style else None
    return Claim(text, frozenset(named), style, scene.background if tells_ground else None)


def ground_words(background: str) -> Sequence[str]:
    if background in backgrounds.VIEWS:
        return backgrounds.VIEWS[background][1]
    return (f"on a {background} background",)


def vocabulary() -> list[str]:
    """Return every word of the language, in the order of the alphabet."""
    texts = [words for name in CORE for words in phrases(name)]
    texts += [words for _, openings in STYLES.values() for words in openings]
    texts += [words for name in backgrounds.COLOURS for words in ground_words(name)]
    texts += [words for name in backgrounds.VIEWS for words in ground_words(name)]
    return sorted({word for text in [*texts, "and", "next"] for word in text.split()})


def batches(count: int, seed: int = SEED) -> Iterator[tuple[Tensor, list[Composition]]]:
    """Yield pictures (B, 3, 64, 64) in [-1, 1], a fresh batch each time, and their scenes."""
    for first in range(0, count, BATCH):
        scenes = [compose(seed, number) for number in range(first, min(first + BATCH, count))]
        pictures = np.stack([render(scene, SIDE) for scene in scenes])
        yield torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1, scenes


def disturbed(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures as a sampler may leave them: shifted, blurred, noisy, too bright or dark."""
    count = len(pictures)
    shifts = torch.randint(-4, 5, (2,), generator=generator).tolist()
    pictures = pictures.roll(shifts, (2, 3))
    soft = interpolate(avg_pool2d(pictures, 2), scale_factor=2, mode="bilinear")
    blurs = torch.rand(count, 1, 1, 1, generator=generator)
    blurs = blurs * (torch.rand(count, 1, 1, 1, generator=generator) < 0.5)
    strengths = torch.rand(count, 1, 1, 1, generator=generator) ** 2 * 0.5
    noise = strengths * torch.randn(pictures.shape, generator=generator)
    gains = 1 + 0.2 * torch.randn(count, 1, 1, 1, generator=generator)
    shift = 0.1 * torch.randn(count, 3, 1, 1, generator=generator)
    return (pictures.lerp(soft, blurs) * gains + shift + noise).clamp(-1, 1)


def loss_of(
    judge: Judge, pictures: Tensor, scenes: Sequence[Composition], random: Random
) -> Tensor:
    """Return the contrastive loss in which every true pair is a positive one.

    Beside a claim for each picture of the batch, every name is offered alone: a batch has few of
    the things that a picture might be mistaken for. A name that is true of none of them teaches
    what they are not, but has no picture of its own to find.
    """
    named = [Claim(random.choice(phrases(name)), frozenset([name]), None, None) for name in CORE]
    claims = [*(claim(scene, random) for scene in scenes), *named]
    true = torch.tensor([[each.is_true_of(scene) for each in claims] for scene in scenes])
    cosines = judge.see(pictures) @ judge.read([each.text for each in claims]).T
    logits = cosines * judge.log_scale.clamp(max=4.6).exp()
    shown = true.any(dim=0)
    return (missed(logits, true, 1) + missed(logits[:, shown], true[:, shown], 0)) / 2


def missed(logits: Tensor, true: Tensor, axis: int) -> Tensor:
    """Return the mean of -log of the share that true pairs have along an axis, as a scalar."""
    hidden = logits.masked_fill(~true, -torch.inf)
    return (logits.logsumexp(axis) - hidden.logsumexp(axis)).mean()


def train(pictures: int, path: Path, seed: int = SEED, start: Path | None = None) -> None:
    """Train on so many fresh pictures, from the weights in `start` if given, and write them."""
    generator, random = torch.Generator().manual_seed(seed), Random(seed)
    torch.manual_seed(seed)
    judge = load_judge(start).train() if start else Judge(vocabulary())
    judge = judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.02)
    updates = -(-pictures // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, updates, pct_start=0.1)
    started, total = time.monotonic(), 0.0
    for number, (batch, scenes) in enumerate(batches(pictures, seed), start=1):
        loss = loss_of(judge, disturbed(batch, generator), scenes, random)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
        if number % 50 == 0 or number == updates:
            minutes = (time.monotonic() - started) / 60
            print(
                f"{number * BATCH} pictures, {minutes:.1f} min, loss {total / 50:.3f}", flush=True
            )
            total = 0.0
            save_judge(judge, path)


def accuracy(judge: Judge, count: int, seed: int = 7) -> float:
    """Return how often the concept of a fresh rendering of one object or view is named right."""
    scenes = [compose(seed, number) for number in range(2 * count)]
    scenes = [scene for scene in scenes if len(scene.concepts) == 1][:count]
    pictures = torch.from_numpy(np.stack([render(scene, SIDE) for scene in scenes]))
    prompts = [phrases(name)[0] for name in CORE]
    found = judge.similarities(pictures.permute(0, 3, 1, 2) / 127.5 - 1, prompts).argmax(1)
    right = [CORE[index] == scene.concepts[0] for index, scene in zip(found, scenes, strict=True)]
    return float(np.mean(right))


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the judge of the embedded cascade.")
    parser.add_argument("--pictures", type=int, default=120_000)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=SEED, help="of the pictures; not the cascade's")
    parser.add_argument("--start", type=Path, help="weights to go on from, of the same words")
    chosen = parser.parse_args()
    machine.prepare(1)
    train(chosen.pictures, chosen.out, chosen.seed, chosen.start)
    print(f"top-1 on fresh renderings: {accuracy(load_judge(chosen.out), 2000):.4f}")


if __name__ == "__main__":
    main()
