"""How often a cascade draws what it is asked for, by a judge, over all that it was taught."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from generators.diffusion.scores import Judge
from generators.mini_if.backgrounds import COLOURS
from generators.mini_if.backgrounds import VIEWS as GROUNDS
from generators.mini_if.concepts import CORE, OBJECTS, TAUGHT, phrases
from generators.mini_if.scenes import is_held_out
from generators.mini_if.styles import STYLES


def left_out() -> list[tuple[str, str, str]]:
    """Return the combinations of style, concept and ground that training left out, well mixed."""
    found = [
        (style, concept, ground)
        for style in STYLES
        for concept in TAUGHT
        for ground in (*COLOURS, *GROUNDS)
        if concept in OBJECTS and is_held_out(style, concept, ground)
    ]
    order = np.random.default_rng(0).permutation(len(found))
    return [found[index] for index in order]


def prompt_of(style: str, concept: str, ground: str) -> str:
    words = GROUNDS[ground][1][0] if ground in GROUNDS else f"on a {ground} background"
    return f"{STYLES[style][1][0]} {phrases(concept)[0]} {words}"


def places(judge: Judge, images: Tensor, names: Sequence[str]) -> tuple[int, ...]:
    """Return at which place, from 0, a judge puts the right concept for each image."""
    similarity = judge.similarities(images, [phrases(name)[0] for name in CORE])
    right = torch.tensor([CORE.index(name) for name in names], device=similarity.device)
    own = similarity.gather(1, right[:, None])
    return tuple((similarity > own).sum(dim=1).tolist())


def share(named: Sequence[int], worst: int) -> str:
    """Return how many of the samples the judge put at a place up to `worst`, in percent."""
    return f"{100 * np.mean([place <= worst for place in named]):.0f} %"


def missed(named: Sequence[int]) -> list[str]:
    """Return the concepts none of whose samples was named right."""
    ways = np.array(named).reshape(-1, len(TAUGHT))
    return [name for name, best in zip(TAUGHT, ways.min(axis=0), strict=True) if best > 0]
