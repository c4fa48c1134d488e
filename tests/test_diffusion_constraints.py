"""Inpainting, holding a part, resampling: as arguments to the one loop."""

import math
from itertools import pairwise

import pytest
import torch
from oracles import Small, images, schedule, told
from torch import Tensor

from generators.diffusion import views
from generators.diffusion.batching import Told
from generators.diffusion.constraints import hold, keep, resampled
from generators.diffusion.estimators import anagram, guided
from generators.diffusion.filters import gaussian
from generators.diffusion.sampling import Estimator, Noise, Step, denoise, generators_of, unit_noise
from generators.diffusion.schedule import CLEAN, strided

TIMES = strided(1000, 30)


def square(size: int = 64) -> Tensor:
    """The exercise's mask: 1, to be replaced, in rows 2–19 and columns 24–41."""
    mask = torch.zeros(1, 1, size, size)
    mask[..., 2:20, 24:42] = 1
    return mask


def inpainted(estimate: Estimator, times: list[int], mask: Tensor, image: Tensor) -> list[Step]:
    constrain = keep(image, mask, schedule(), generators_of(9, 2, "kept"))
    return list(
        denoise(
            images(2, 64), estimate, schedule(), times,
            generators=generators_of(9, 2), constrain=constrain,
        )
    )  # fmt: skip


@pytest.fixture
def prompt() -> Told:
    return Told(Small(), (told(1),))


def test_what_is_kept_is_the_image_at_the_level_just_made(prompt: Told) -> None:
    image, outside = images(1, 64, seed=8), (square() == 0).expand(2, 3, -1, -1)
    mirrored = generators_of(9, 2, "kept")
    noises = []
    for step in inpainted(prompt, TIMES, square(), image):
        level = schedule().at(step.t)
        left_over = step.x_t - math.sqrt(level) * image
        noises.append((left_over / math.sqrt(1 - level))[outside])
        assert noises[-1].std().item() == pytest.approx(1, rel=0.02), f"noise of {step.t}"
        fresh = unit_noise(mirrored, image)
        exact = math.sqrt(level) * image + math.sqrt(1 - level) * fresh
        assert torch.equal(step.x_t[outside], exact[outside])
    assert step.t == 0
    for earlier, later in pairwise(noises):
        assert abs((earlier * later).mean().item()) < 0.05, "drawn afresh at every step"


def test_one_in_the_mask_is_made_anew(prompt: Told) -> None:
    image = images(1, 64, seed=8)
    free = inpainted(prompt, TIMES, torch.ones(1, 1, 64, 64), image)[-1].x_t
    plain = list(denoise(images(2, 64), prompt, schedule(), TIMES, generators=generators_of(9, 2)))
    assert torch.equal(free, plain[-1].x_t), "with m = 1 everywhere nothing is kept"
    end = inpainted(prompt, TIMES, square(), image)[-1].x_t
    inside = square().bool().expand(2, 3, -1, -1)
    expected = image.expand(2, -1, -1, -1)
    assert (end - expected)[~inside].abs().max() < 0.05
    assert (end - expected)[inside].abs().mean() > 0.3
    kept = inpainted(prompt, TIMES, torch.zeros(1, 1, 64, 64), image)[-1].x_t
    assert torch.allclose(kept, expected, atol=0.05)


def test_no_tensor_given_to_a_constraint_is_changed(prompt: Told) -> None:
    image, mask = images(1, 64, seed=8), square().bool()
    first, second = image.clone(), mask.clone()
    boolean = inpainted(prompt, TIMES[::4], mask, image)[-1].x_t
    assert torch.equal(image, first)
    assert torch.equal(mask, second)
    x_t = images(1, 64)
    keep(image, mask, schedule(), generators_of(9, 1))(x_t, 300)
    assert torch.equal(x_t, images(1, 64))
    assert torch.equal(boolean, inpainted(prompt, TIMES[::4], square(), image)[-1].x_t)


def test_an_inpainted_guided_anagram_of_three_views_needs_no_new_code() -> None:
    network = Small()
    first, second, third, free = (Told(network, (told(seed),)) for seed in range(4))
    estimate = anagram([
        (views.identity(), guided(first, free, 7)), (views.rotation(1), guided(second, free, 7)),
        (views.negative(), guided(third, free, 7)),
    ])  # fmt: skip
    image, outside = images(1, 64, seed=8), (square() == 0).expand(2, 3, -1, -1)
    mirrored = generators_of(9, 2, "kept")
    for step in inpainted(estimate, TIMES, square(), image):
        expected = schedule().add_noise(image, step.t, unit_noise(mirrored, image))
        assert torch.equal(step.x_t[outside], expected[outside])
        assert step.x_t.isfinite().all()
    assert network.batches == [3 * 2 * 2] * 33, "one forward a step"


def test_each_image_has_its_own_mask_and_joins_at_its_own_time(prompt: Told) -> None:
    known, masks = images(3, 64, seed=8), torch.cat([square(), 1 - square(), square().mT])
    given, ours = images(3, 64), schedule()

    def run(chosen: slice, starts: list[int], times: list[int]) -> Tensor:
        constrain = keep(known[chosen], masks[chosen], ours, generators_of(1, 3, "kept")[chosen])
        return list(
            denoise(
                given[chosen], prompt, ours, times, generators=generators_of(1, 3)[chosen],
                constrain=constrain, starts=starts,
            )
        )[-1].x_t  # fmt: skip

    whole = run(slice(3), [0, 10, 20], TIMES)
    for number, start in enumerate((0, 10, 20)):
        alone = run(slice(number, number + 1), [0], TIMES[start:])
        assert torch.allclose(alone[0], whole[number], atol=1e-4)


def test_the_low_frequencies_of_a_picture_are_held(prompt: Told) -> None:
    picture, low, ours = images(1, 64, seed=8), gaussian(33, 2), schedule()
    constrain = hold(picture, low, ours, generators_of(5, 2, "held"))
    steps = list(
        denoise(
            images(2, 64), prompt, ours, [*TIMES, CLEAN],
            generators=generators_of(5, 2), constrain=constrain,
        )
    )  # fmt: skip
    free = list(
        denoise(images(2, 64), prompt, ours, [*TIMES, CLEAN], generators=generators_of(5, 2))
    )
    wide = gaussian(33, 6)
    near = (wide(steps[-1].x_t) - wide(picture)).abs().mean()
    assert near < (wide(free[-1].x_t) - wide(picture)).abs().mean() / 5
    assert (steps[-1].x_t - picture).abs().mean() > 0.3, "details are made anew"


def test_resampling_walks_every_stretch_again() -> None:
    assert resampled([90, 60, 30, 0], 1, 1) == [90, 60, 30, 0]
    assert resampled([90, 60, 30, 0], 1, 2) == [90, 60, 90, 60, 30, 60, 30, 0, 30, 0]
    assert resampled([90, 60, 30, 0], 2, 3) == [90, 60, 30, 90, 60, 30, 90, 60, 30, 0]
    times = resampled(TIMES, 10, 10)
    assert times[-1] == 0
    downwards = sum(t_next < t for t, t_next in pairwise(times))
    assert (downwards, len(times) - 1 - downwards) == (3 * 10 * 10 + 3, 27)
    with pytest.raises(ValueError, match="0 times 2 updates, expected both to be positive"):
        resampled(TIMES, 2, 0)


def test_kept_pixels_are_kept_when_resampling(prompt: Told) -> None:
    image, outside = images(1, 64, seed=8), (square() == 0).expand(2, 3, -1, -1)
    mirrored = generators_of(9, 2, "kept")
    times = resampled(strided(1000, 90), 3, 3)
    steps = inpainted(prompt, times, square(), image)
    assert len(steps) == 3 * 3 * 3 + 2
    for step in steps:
        expected = schedule().add_noise(image, step.t, unit_noise(mirrored, image))
        assert torch.equal(step.x_t[outside], expected[outside])


def test_resampling_makes_the_new_part_fit_the_old() -> None:
    """Pixels that are ±1 in equal pairs: the kept one decides what the other must be."""
    ours, times = schedule("fixed_small"), strided(1000, 50)
    known = images(1, 64, seed=8).sign()[..., ::2].repeat_interleave(2, -1)
    mask = torch.tensor([1.0, 0.0]).repeat(32).expand(1, 1, 64, 64)

    def estimate(x_t: Tensor, t: int) -> Noise:
        level = ours.at(t)
        pairs = x_t.unflatten(-1, (-1, 2)).sum(-1).repeat_interleave(2, -1)
        x_0 = torch.tanh(math.sqrt(level) * pairs / (1 - level))
        return Noise((x_t - math.sqrt(level) * x_0) / math.sqrt(1 - level))

    def wrong(times: list[int]) -> float:
        constrain = keep(known, mask, ours, generators_of(0, 1, "kept"))
        steps = denoise(
            images(1, 64),
            estimate,
            ours,
            times,
            generators=generators_of(0, 1),
            constrain=constrain,
        )
        return (list(steps)[-1].x_t.sign() != known).double().mean().item()

    assert wrong(resampled(times, 5, 4)) < wrong(times) / 2
