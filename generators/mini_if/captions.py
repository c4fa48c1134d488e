"""The text encoder learns to read before anything is painted, and is then left as it is.

A UNet that cannot paint yet has no use for words, and what it sends back to the encoder is noise.
DeepFloyd takes an encoder that has read the web. Here it reads captions alone: from what the UNet
will be told, a linear layer must answer what the scene behind a caption consists of. Noise on the
way makes it say so loudly.
"""

from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast

from generators.mini_if.backgrounds import COLOURS
from generators.mini_if.backgrounds import VIEWS as GROUNDS
from generators.mini_if.concepts import CORE
from generators.mini_if.examples import tokens_of
from generators.mini_if.scenes import BESIDE, THREE, Composition, compose
from generators.mini_if.styles import STYLES

BATCH, RATE = 32, 1e-3
ARRANGEMENTS = list(dict.fromkeys([*(places for _, places in BESIDE), THREE]))


def questions(concepts: Sequence[str]) -> tuple[Sequence[object], ...]:
    """Return the answers there are to each: the first thing, the second, style, ground, places."""
    return (
        concepts, ("nothing", *concepts), tuple(STYLES), ("own", *COLOURS, *GROUNDS),
        ("alone", *ARRANGEMENTS),
    )  # fmt: skip


def answers(scene: Composition, asked: Sequence[Sequence[object]]) -> list[int]:
    """Return the number of the right answer to each question for a scene."""
    second = scene.concepts[1] if len(scene.concepts) > 1 else "nothing"
    where = scene.places if len(scene.concepts) > 1 else "alone"
    right = (scene.concepts[0], second, scene.style, scene.background, where)
    return [each.index(answer) for each, answer in zip(asked, right, strict=True)]


def learn_captions(
    encoder: nn.Module, unet: UNet2DConditionModel, tokenizer: PreTrainedTokenizerFast,
    batches: int, seed: int, concepts: Sequence[str] = CORE,
) -> float:  # fmt: skip
    """Teach an encoder, and the layer that makes one vector of a text, to tell captions apart.

    Returns the share of captions whose first thing is told right despite the noise, over the last
    quarter of the batches.
    """
    told, asked = unet.add_embedding, questions(concepts)
    head = nn.Linear(unet.config.time_embedding_dim, sum(map(len, asked)))
    learning = [*encoder.parameters(), *told.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(learning, RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, batches)
    right: list[float] = []
    for number in range(batches):
        scenes = [compose(seed, number * BATCH + each, concepts) for each in range(BATCH)]
        tokens = tokens_of(tokenizer, [scene.caption for scene in scenes])
        vector = told(encoder(tokens, (tokens != 0).long())[0])
        found = head(vector + torch.randn_like(vector)).split([len(each) for each in asked], 1)
        wanted = torch.tensor([answers(scene, asked) for scene in scenes])
        loss = torch.stack([cross_entropy(*pair) for pair in zip(found, wanted.T, strict=True)])
        optimizer.zero_grad()
        loss.sum().backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        right.append(torch.eq(found[0].argmax(dim=1), wanted[:, 0]).float().mean().item())
    encoder.requires_grad_(False)
    late = right[-max(1, batches // 4) :]
    return sum(late) / len(late)
