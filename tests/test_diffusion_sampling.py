"""The one loop, against diffusers' sampler and against estimates that are exact."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDPMScheduler
from oracles import Small, images, of_a_gaussian, of_an_image, schedule, told
from torch import Tensor

from generators.diffusion.batching import Told
from generators.diffusion.sampling import Noise, denoise, generators_of, last, unit_noise
from generators.diffusion.schedule import CLEAN, counted, strided

LEARNED = {
    "beta_schedule": "squaredcos_cap_v2", "variance_type": "learned_range", "thresholding": True,
    "dynamic_thresholding_ratio": 0.95, "sample_max_value": 1.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("stride", "in_double"), [(30, False), (1, True), (7, True), (30, True), (250, True)]
)
def test_every_step_is_that_of_diffusers(stride: int, in_double: bool) -> None:
    times = strided(1000, stride)[-40:]
    theirs = DDPMScheduler(1000, **LEARNED)
    theirs.set_timesteps(timesteps=times)
    ours = schedule(**{name: LEARNED[name] for name in list(LEARNED)[2:]})
    if in_double:  # in float32, as it comes, 1 - ᾱ has lost three digits near t = 0
        theirs.alphas_cumprod = ours.alpha_bar
    x_t, network = images(2), Told(Small(), (told(1),))
    steps = denoise(x_t, network, ours, [*times, CLEAN], generators=generators_of(3, 2))
    mirrored = generators_of(3, 2)
    for t, step in zip(times, steps, strict=True):
        noise = network(x_t, t)
        packed = torch.cat([noise.mean, noise.spread], dim=1)
        expected = theirs.step(packed, t, x_t, generator=mirrored)
        assert torch.allclose(step.x_t, expected.prev_sample, atol=1e-5, rtol=1e-5)
        assert torch.allclose(step.x_0, expected.pred_original_sample, atol=1e-5, rtol=1e-5)
        x_t = step.x_t


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_a_fixed_variance_is_that_of_diffusers(variance: str) -> None:
    theirs = DDPMScheduler(1000, variance_type=variance, clip_sample=True)
    theirs.set_timesteps(20)
    ours = schedule(variance, clip_sample=True)
    theirs.alphas_cumprod = ours.alpha_bar
    x_t, times = images(1), counted(1000, 20)
    network = Small()
    steps = denoise(
        x_t, lambda x, t: Noise(network(x, t, told(1)).mean), ours, times,
        generators=generators_of(3, 1),
    )  # fmt: skip
    mirrored = generators_of(3, 1)
    for t, step in zip(times, steps, strict=False):
        mean = network(x_t, t, told(1)).mean
        expected = theirs.step(mean, t, x_t, generator=mirrored).prev_sample
        assert torch.allclose(step.x_t, expected, atol=1e-5, rtol=1e-5)
        x_t = step.x_t


@pytest.mark.parametrize("stride", [3, 30, 333])
def test_a_single_image_is_reached_at_any_stride(stride: int) -> None:
    ours, image = schedule("fixed_small"), images(1, seed=5).clamp(-1, 1)
    times, generators = strided(1000, stride), generators_of(0, 2)
    noise = unit_noise(generators, images(2))
    end = last(
        denoise(noise, of_an_image(image, ours), ours, [*times, CLEAN], generators=generators)
    )
    assert torch.allclose(end.x_t, image.expand(2, -1, -1, -1), atol=1e-5)
    assert end.t == CLEAN


def test_the_last_step_adds_no_noise() -> None:
    ours, image = schedule("fixed_large"), images(1, seed=5)
    times = strided(1000, 30)
    steps = list(
        denoise(images(1), of_an_image(image, ours), ours, times, generators=generators_of(0, 1))
    )
    assert [step.t for step in steps] == times[1:]
    stride = ours.stride(30, 0)
    exact = stride.of_x_0 * steps[-1].x_0 + stride.of_x_t * steps[-2].x_t
    assert torch.allclose(steps[-1].x_t, exact, atol=1e-6)
    stride = ours.stride(60, 30)
    added = steps[-2].x_t - stride.of_x_0 * steps[-2].x_0 - stride.of_x_t * steps[-3].x_t
    assert added.std().item() == pytest.approx(math.sqrt(stride.beta), rel=0.1)


@pytest.mark.parametrize("climbs", [[], [500, 800]], ids=["straight down", "with a climb"])
@pytest.mark.parametrize("stride", [10, 100])
def test_the_moments_of_a_gaussian_are_kept(stride: int, climbs: list[int]) -> None:
    ours, times = schedule(), [*strided(1000, stride), CLEAN]
    following = dict(pairwise(times))
    for bottom in climbs[:1]:
        place = times.index(bottom)
        times = [
            *times[: place + 1],
            *[t for t in times if bottom <= t <= climbs[1]],
            *times[place + 1 :],
        ]
    generators = generators_of(1, 24)
    seen = []
    mean, deviation = 0.3, 0.5

    def estimate(x_t: Tensor, t: int) -> Noise:
        seen.append(t)
        level = ours.at(t)
        assert x_t.mean().item() == pytest.approx(math.sqrt(level) * mean, abs=0.015)
        total = math.sqrt(level * deviation**2 + 1 - level)
        assert x_t.std().item() == pytest.approx(total, rel=0.02), t
        return of_a_gaussian(mean, deviation, ours, following.__getitem__)(x_t, t)

    level = ours.at(times[0])
    deviation_there = math.sqrt(level * deviation**2 + 1 - level)
    start = math.sqrt(level) * mean + deviation_there * unit_noise(generators, images(1, 32))
    end = last(denoise(start, estimate, ours, times, generators=generators))
    assert end.x_t.mean().item() == pytest.approx(mean, abs=0.01)
    assert end.x_t.std().item() == pytest.approx(deviation, rel=0.015)
    descents = [t for t, t_next in pairwise(times) if t_next < t]
    assert seen == descents, "a climb is no update"


def test_the_loop_takes_precisely_the_t_that_belongs() -> None:
    asked: list[int] = []
    held: list[int] = []

    def estimate(x_t: Tensor, t: int) -> Noise:
        asked.append(t)
        return Noise(x_t, torch.zeros_like(x_t))

    def constrain(x_t: Tensor, t: int) -> Tensor:
        held.append(t)
        return x_t

    times = [900, 600, 300, 700, 300, 0]
    steps = list(
        denoise(
            images(1),
            estimate,
            schedule(),
            times,
            generators=generators_of(0, 1),
            constrain=constrain,
        )
    )
    assert asked == [900, 600, 700, 300]
    assert held == [600, 300, 300, 0]
    assert [step.t for step in steps] == held


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    network, ours, times = Told(Small(), (told(1),)), schedule(), strided(1000, 100)

    def sample(count: int) -> Tensor:
        generators = generators_of(7, count)
        noise = unit_noise(generators, images(1))
        return last(denoise(noise, network, ours, times, generators=generators)).x_t

    four = sample(4)
    assert torch.allclose(sample(1), four[:1], atol=1e-5)
    assert torch.allclose(sample(3), four[:3], atol=1e-5)
    assert (four[0] - four[1]).abs().mean() > 0.1
    generators = generators_of(7, 4)[1:3]
    noise = unit_noise(generators, images(1))
    alone = last(denoise(noise, network, ours, times, generators=generators)).x_t
    assert torch.allclose(alone, four[1:3], atol=1e-5)


def test_thresholding_does_not_see_the_neighbours() -> None:
    ours = schedule(thresholding=True, dynamic_thresholding_ratio=0.95, sample_max_value=1.5)

    def estimate(x_t: Tensor, t: int) -> Noise:
        return Noise(torch.zeros_like(x_t), torch.zeros_like(x_t))

    x_t = images(2) * torch.tensor([1.0, 50.0]).reshape(2, 1, 1, 1)
    two = last(denoise(x_t, estimate, ours, [500, 250, 0], generators=generators_of(0, 2))).x_t
    one = last(denoise(x_t[:1], estimate, ours, [500, 250, 0], generators=generators_of(0, 1))).x_t
    assert torch.equal(one, two[:1])


def test_nothing_of_the_callers_is_changed() -> None:
    small, x_t = Small(), images(2)
    small.weight.requires_grad_()
    network = Told(small, (told(1),))
    before, state = x_t.clone(), torch.random.get_rng_state()
    steps = list(
        denoise(x_t, network, schedule(), strided(1000, 90), generators=generators_of(0, 2))
    )
    kept = [step.x_t.clone() for step in steps]
    assert torch.equal(x_t, before)
    assert torch.equal(torch.random.get_rng_state(), state), "global randomness is left alone"
    assert not any(torch.equal(a, b) for a, b in pairwise(kept)), "every step has its own tensor"
    assert not steps[-1].x_t.requires_grad


def test_images_join_one_descent_each_at_its_own_time() -> None:
    ours, times, starts = schedule(), strided(1000, 30), [1, 3, 3, 10, 20]
    conditions = torch.cat([told(seed) for seed in range(5)])
    network = Small()
    generators = generators_of(2, 5)
    given = torch.stack([
        ours.add_noise(image, times[start], noise)
        for image, start, noise in zip(images(5), starts, unit_noise(generators, images(5)), strict=True)
    ])  # fmt: skip
    steps = denoise(
        given, Told(network, (conditions,)), ours, times, generators=generators, starts=starts
    )
    sizes = [len(step.x_t) for step in steps if step.t > CLEAN]
    assert sizes == network.batches == [1] * 2 + [3] * 7 + [4] * 10 + [5] * 13
    together = last(
        denoise(
            given, Told(network, (conditions,)), ours, times, starts=starts,
            generators=restarted(2, 5),
        )
    )  # fmt: skip
    for number, start in enumerate(starts):
        alone = last(
            denoise(
                given[number : number + 1], Told(network, (conditions[number : number + 1],)), ours,
                times[start:], generators=restarted(2, 5)[number : number + 1],
            )
        )  # fmt: skip
        assert torch.allclose(alone.x_t[0], together.x_t[number], atol=1e-5)


def restarted(seed: int, count: int) -> list[torch.Generator]:
    """The generators of images whose first noise has been drawn."""
    generators = generators_of(seed, count)
    unit_noise(generators, images(count))
    return generators


def test_noise_is_the_same_in_every_precision() -> None:
    single = unit_noise(generators_of(4, 2), images(2))
    double = unit_noise(generators_of(4, 2), images(2).double())
    half = unit_noise(generators_of(4, 2), images(2).half())
    assert double.dtype == torch.float64
    assert torch.equal(double, single.double())
    assert torch.equal(half, single.half())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generators": generators_of(0, 1)}, "1 generators for 2 images, expected one each"),
        ({"starts": [0]}, "1 starts for 2 images, expected one each"),
        ({"starts": [1, 0]}, r"starts are \[1, 0\], expected them ascending from 0 to at most 1"),
        ({"starts": [0, 2]}, r"starts are \[0, 2\], expected them ascending from 0 to at most 1"),
        ({"timesteps": [9, 9, 0]}, r"timesteps are \[9, 9, 0\], expected two or more, none twice"),
        ({"timesteps": [9]}, r"timesteps are \[9\], expected two or more, none twice in a row"),
        ({"timesteps": [1000, 0]}, "time is 1000, expected -1 … 999"),
    ],
)
def test_what_cannot_be_walked_is_refused(changes: dict[str, object], message: str) -> None:
    given = {"timesteps": [900, 500, 0], "generators": generators_of(0, 2)} | changes
    with pytest.raises(ValueError, match=message):
        last(denoise(images(2), lambda x, t: Noise(x, x), schedule(), **given))
