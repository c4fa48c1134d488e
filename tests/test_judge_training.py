"""What the judge learns from: texts that are true of a scene, and pictures as samplers leave them."""

from pathlib import Path
from random import Random

import torch
from conftest import needs_font

from generators.mini_if.concepts import CORE, OBJECTS
from generators.mini_if.judge import Judge, load_judge
from generators.mini_if.judge_training import (
    Claim,
    claim,
    disturbed,
    ground_words,
    loss_of,
    train,
    vocabulary,
)
from generators.mini_if.scenes import Composition, compose

PLACES = ((0.5, 0.9),)


def scene(concepts: tuple[str, ...], style: str = "photo", ground: str = "red") -> Composition:
    return Composition("", concepts, style, ground, PLACES * len(concepts), 1)


def test_a_claim_is_true_of_its_own_scene_and_written_in_the_vocabulary() -> None:
    random, known = Random(0), set(vocabulary())
    for number in range(500):
        made = compose(3, number, CORE)
        told = claim(made, random)
        assert told.is_true_of(made)
        assert set(told.text.split()) <= known


def test_a_claim_is_false_of_other_things_manners_and_grounds() -> None:
    told = Claim("a photo of a dog on a red background", frozenset({"dog"}), "photo", "red")
    assert told.is_true_of(scene(("dog",)))
    assert told.is_true_of(scene(("cat", "dog")))
    assert not told.is_true_of(scene(("cat",)))
    assert not told.is_true_of(scene(("dog",), style="lithograph"))
    assert not told.is_true_of(scene(("dog",), ground="blue"))
    assert Claim("a dog", frozenset({"dog"}), None, None).is_true_of(scene(("dog",), "lithograph"))


def test_every_ground_has_words() -> None:
    assert ground_words("red") == ("on a red background",)
    assert "by the sea" in ground_words("sea")


def test_disturbing_keeps_the_range_and_repeats() -> None:
    pictures = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    once, again = (disturbed(pictures, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(once, again)
    assert once.abs().max() <= 1
    assert not torch.equal(once, pictures)


def test_the_loss_is_least_when_true_pairs_lie_together() -> None:
    scenes = [scene((name,)) for name in list(OBJECTS)[:4]]

    class Seer(Judge):
        """One that sees each of four pictures where the text of `order` lies, and its name."""

        def __init__(self, order: list[int]) -> None:
            super().__init__(vocabulary())
            self.order = order

        def see(self, pictures: torch.Tensor) -> torch.Tensor:
            return torch.eye(256)[self.order]

        def read(self, texts: list[str]) -> torch.Tensor:  # type: ignore[override]
            names = list(OBJECTS)[:4]
            places = [names.index(name) if name in names else 4 for name in CORE]
            return torch.eye(256)[[*range(4), *places]]

    right, wrong = (
        loss_of(Seer(order), torch.zeros(4, 3, 64, 64), scenes, Random(0)).item()
        for order in ([0, 1, 2, 3], [1, 2, 3, 0])
    )
    assert right < 0.1 < wrong


@needs_font
def test_training_writes_a_judge_that_can_be_asked(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        train(130, tmp_path / "judge.safetensors")
    judge = load_judge(tmp_path / "judge.safetensors")
    found = judge.similarities(torch.zeros(2, 3, 64, 64), ["a dog", "a cat"])
    assert found.shape == (2, 2)
    assert found.isfinite().all()
    with torch.random.fork_rng():
        train(256, tmp_path / "on.safetensors", seed=5, start=tmp_path / "judge.safetensors")
    on = load_judge(tmp_path / "on.safetensors")
    assert torch.allclose(on.words.weight, judge.words.weight, atol=0.01)
    assert any((on.get_parameter(name) != each).any() for name, each in judge.named_parameters())
