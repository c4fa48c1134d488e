"""How often a cascade draws what it is asked for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from generators.diffusion.sampling import Noise
from generators.errors import AuthorError
from generators.mini_if.concepts import CORE, TAUGHT, phrases
from generators.mini_if.examination import left_out, missed, places, prompt_of, share
from generators.mini_if.report import Report, read_report, thinned, write_report
from generators.mini_if.scenes import is_held_out
from generators.mini_if.search import KINDS, drafts

PROMPTS = [phrases(name)[0] for name in CORE]


class Reader:
    """A judge that reads the number of the concept off a picture's first pixel."""

    def similarities(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        numbers = images[:, 0, 0, 0]
        return -(numbers[:, None] - torch.arange(len(prompts))).abs()


def pictures_of(numbers: Sequence[float]) -> Tensor:
    return torch.tensor(numbers)[:, None, None, None].expand(-1, 3, 4, 4)


def test_a_picture_of_the_right_thing_is_named_first() -> None:
    everything = places(Reader(), pictures_of([float(n) for n in range(len(CORE))]), CORE)
    assert everything == (0,) * len(CORE)
    assert places(Reader(), pictures_of([1.4, 4.4]), [CORE[0], CORE[5]]) == (2, 1)


def test_shares_and_misses_are_counted_over_all_samples() -> None:
    named = [0] * len(TAUGHT) + [1, *[0] * (len(TAUGHT) - 1)]
    assert share([0, 0, 1, 9], 0) == "50 %"
    assert share([0, 0, 1, 9], 4) == "75 %"
    assert missed(named) == []
    assert missed([3, *named[1 : len(TAUGHT)], *named[len(TAUGHT) :]]) == [TAUGHT[0]]


def test_what_is_examined_as_unseen_was_left_out_of_training() -> None:
    combinations = left_out()
    assert all(is_held_out(*each) for each in combinations)
    assert len({style for style, _, _ in combinations[:40]}) > 2
    prompts = [prompt_of(*each) for each in combinations]
    assert len(set(prompts)) == len(prompts)
    for (_, concept, _), prompt in zip(combinations, prompts, strict=True):
        assert phrases(concept)[0] in prompt


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    losses = np.array([[16, 0.5, 32], [32, 0.25, 64]], np.float32)
    samples = np.arange(2 * 3 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 4, 3)
    report = Report(losses, samples, (16, 32), 0.98, {"64": 40}, (60.0, 30.0), "a laptop")
    path = tmp_path / "training.safetensors"
    write_report(report, path)
    found = read_report(path)
    assert np.array_equal(found.losses, losses)
    assert np.array_equal(found.samples, samples)
    assert found[2:] == report[2:]
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(AuthorError, match="not the report of a training"):
        read_report(path)


def test_sheets_are_kept_from_the_first_to_the_last() -> None:
    pictures = list(range(1000, 41_000, 1000))
    kept = thinned(pictures, 5)
    assert (kept[0], kept[-1], len(kept)) == (0, 39, 5)
    assert thinned(pictures[:3], 5) == [0, 1, 2]


@pytest.mark.parametrize("sides", [2, 3])
def test_a_search_asks_for_different_things_in_one_manner(sides: int) -> None:
    found = drafts(50, 1, sides)
    assert found == drafts(50, 1, sides)
    for prompts in found:
        assert len(set(prompts)) == sides
        for prompt in prompts:
            assert any(prompt.endswith(phrases(name)[0]) for name in TAUGHT)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_one_text_alone_is_that_text(kind: str) -> None:
    looks, combine = KINDS[kind]
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = combine([lambda x_t, t: Noise(x_t / 2, None)] * len(looks))(x, 0)
    torch.testing.assert_close(found.mean, x / 2)
