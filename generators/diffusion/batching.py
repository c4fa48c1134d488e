"""Estimators that nest: however deep, they end in one forward of the network.

A combination does not call its parts. It says what each part looks at and how the answers are
joined; calling it collects what all the leaves look at, asks each network once, and joins.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from generators.diffusion.sampling import Estimator, Noise

Look: TypeAlias = Callable[[Tensor], Tensor]


class Network(Protocol):
    """A network that estimates noise under conditions, each (N, …) with one row per image."""

    def __call__(self, x_t: Tensor, t: int, *conditions: Tensor) -> Noise:
        """Return the noise in x_t (N, 3, H, W), all at the time t."""


@dataclass(frozen=True)
class Told:
    """A network and what it is told: for each image its row of the conditions, or the only row.

    Images that join later come last in the batch, so the images under way have the first rows.
    """

    network: Network
    conditions: tuple[Tensor, ...]

    def __call__(self, x_t: Tensor, t: int) -> Noise:
        return together([(self, x_t)], t)[0]

    def rows(self, count: int) -> list[Tensor]:
        """Return the conditions of the first `count` images.

        Raises: ValueError when a condition has more than one row, but too few.
        """
        for each in self.conditions:
            if 1 < len(each) < count:
                raise ValueError(f"a condition has {len(each)} rows, expected 1 or {count}")
        return [
            each.expand(count, *each.shape[1:]) if len(each) == 1 else each[:count]
            for each in self.conditions
        ]


@dataclass(frozen=True)
class Part:
    """An estimator inside a combination, and what it looks at in place of x_t."""

    estimator: Estimator
    look: Look


@dataclass(frozen=True)
class Combination:
    """Several estimates joined into one."""

    parts: tuple[Part, ...]
    join: Callable[[Sequence[Noise]], Noise]

    def __call__(self, x_t: Tensor, t: int) -> Noise:
        return assemble(self, iter(together(list(leaves(self, x_t)), t)))


def leaves(estimator: Estimator, x_t: Tensor) -> Iterator[tuple[Estimator, Tensor]]:
    """Yield the estimators that are no combinations, each with what it looks at."""
    if isinstance(estimator, Combination):
        for part in estimator.parts:
            yield from leaves(part.estimator, part.look(x_t))
    else:
        yield estimator, x_t


def assemble(estimator: Estimator, answers: Iterator[Noise]) -> Noise:
    """Join the answers of the leaves, taken in the order in which `leaves` yields them."""
    if isinstance(estimator, Combination):
        return estimator.join([assemble(part.estimator, answers) for part in estimator.parts])
    return next(answers)


def together(asked: Sequence[tuple[Estimator, Tensor]], t: int) -> list[Noise]:
    """Answer in order, with one forward for all that is asked of one network."""
    groups: dict[int, list[int]] = {}
    for index, (estimator, _) in enumerate(asked):
        source = estimator.network if isinstance(estimator, Told) else estimator
        groups.setdefault(id(source), []).append(index)
    answers: dict[int, Noise] = {}
    for indices in groups.values():
        answers |= zip(indices, answered([asked[index] for index in indices], t), strict=True)
    return [answers[index] for index in range(len(asked))]


def answered(asked: Sequence[tuple[Estimator, Tensor]], t: int) -> list[Noise]:
    """Answer what is asked of one source: a network in one forward, any other one by one."""
    told = [(each, x) for each, x in asked if isinstance(each, Told)]
    if not told:
        return [estimator(x, t) for estimator, x in asked]
    seen = [x for _, x in told]
    rows = zip(*(each.rows(len(x)) for each, x in told), strict=True)
    noise = told[0][0].network(torch.cat(seen), t, *map(torch.cat, rows))
    return split(noise, [len(x) for x in seen])


def split(noise: Noise, sizes: list[int]) -> list[Noise]:
    means = noise.mean.split(sizes)
    if noise.spread is None:
        return [Noise(mean) for mean in means]
    return [Noise(*each) for each in zip(means, noise.spread.split(sizes), strict=True)]
