"""Search for texts that make good illusions: python -m generators.mini_if.search anagrams

Concepts in one manner, two or three, drawn at random, each with a few noises, in order of the worst
side's fit by the judge. What is printed can be copied into the front matter of a section.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from generators import machine
from generators.diffusion.cascade import Cascade
from generators.diffusion.estimators import Combine, anagram, factorised, hybrid, unchanged
from generators.diffusion.filters import Filter, bands, complement, gaussian, grey, motion
from generators.diffusion.loading import open_cascade
from generators.diffusion.sampling import Estimator, denoise, generators_of, last
from generators.diffusion.schedule import strided
from generators.diffusion.scores import Judge, Look, alignment, concealment, seen
from generators.diffusion.views import flip, identity
from generators.mini_if.concepts import TAUGHT, phrases
from generators.mini_if.judge import load_judge
from generators.mini_if.styles import STYLES
from generators.models import EMBEDDED, find_model

ROOT = Path(__file__).parent.parent.parent
LOW = gaussian(33, 2.0)
MOVED = motion(9)
NEARER, FARTHER = 1.0, 3.0
UPRIGHT, FLIPPED = identity(), flip()


def factors(*filters: Filter) -> Combine:
    return lambda parts: factorised(list(zip(filters, parts, strict=True)))


KINDS: dict[str, tuple[tuple[Look, ...], Combine]] = {
    "anagrams": (
        (UPRIGHT.apply, FLIPPED.apply),
        lambda parts: anagram([(UPRIGHT, parts[0]), (FLIPPED, parts[1])]),
    ),
    "hybrids": (
        (LOW, unchanged),
        lambda parts: hybrid(far=parts[0], near=parts[1], low_pass=LOW),
    ),
    "colour": ((unchanged, grey), factors(complement(grey), grey)),
    "motion": ((unchanged, MOVED), factors(complement(MOVED), MOVED)),
    "triple": (
        (unchanged, gaussian(33, NEARER), gaussian(33, FARTHER)),
        factors(*bands(33, (FARTHER, NEARER))[::-1]),
    ),
}
"""How a picture is looked at, and how estimates are combined, in the order of the prompts."""


class Found(NamedTuple):
    """Prompts, and the alignment and concealment of the best picture of them all."""

    prompts: tuple[str, ...]
    alignment: float
    concealment: float


def drafts(count: int, seed: int, sides: int = 2) -> list[tuple[str, ...]]:
    """Return prompts for so many different things in one manner."""
    random = Random(seed)
    found = []
    for _ in range(count):
        opening = random.choice(random.choice(list(STYLES.values()))[1])
        names = random.sample(TAUGHT, sides)
        found.append(tuple(f"{opening} {phrases(name)[0]}".strip() for name in names))
    return found


def search(
    cascade: Cascade, judge: Judge, kind: str, wanted: Sequence[tuple[str, ...]], noises: int,
    scale: float,
) -> Iterator[Found]:  # fmt: skip
    """Yield the best of `noises` pictures of each draft, guided by `scale`."""
    looks, combine = KINDS[kind]
    for prompts in wanted:
        parts = [cascade.guided([prompt], scale) for prompt in prompts]
        images = drawn(cascade, combine, parts, noises)
        similarity = seen(judge, images, looks, prompts)
        best = int(alignment(similarity).argmax())
        scores = [score(similarity)[best].item() for score in (alignment, concealment)]
        yield Found(prompts, *scores)


def drawn(cascade: Cascade, combine: Combine, parts: Sequence[Estimator], count: int) -> Tensor:
    """Return pictures (count, 3, h, w) of a combined estimate, from noises 0 … count - 1."""
    schedule = cascade.stage(1).schedule
    generators = generators_of(0, count)
    times = strided(len(schedule.alpha_bar), 40)
    steps = denoise(
        cascade.noise(generators), combine(parts), schedule, times, generators=generators
    )
    return last(steps).x_t


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--count", type=int, default=40, help="drafts")
    parser.add_argument("--noises", type=int, default=3, help="pictures of each draft")
    parser.add_argument("--scale", type=float, default=2.5, help="of guidance")
    parser.add_argument("--seed", type=int, default=180)
    chosen = parser.parse_args()
    machine.prepare(machine.cores())
    model = find_model(EMBEDDED[0], ROOT)
    cascade = open_cascade(model, torch.device("cpu"), ROOT / ".cache")
    wanted = drafts(chosen.count, chosen.seed, len(KINDS[chosen.kind][0]))
    found = search(cascade, load_judge(), chosen.kind, wanted, chosen.noises, chosen.scale)
    for each in sorted(found, key=lambda one: -one.alignment):
        print(f"{each.alignment:.3f} {each.concealment:.3f}  {' | '.join(each.prompts)}")


if __name__ == "__main__":
    main()
