"""Guidance, anagrams, hybrids and how they nest; the filters that hybrids are made with."""

import math
from collections.abc import Callable

import pytest
import torch
from oracles import Small, images, of_an_image, schedule, told
from torch import Tensor

from generators.diffusion.batching import Told
from generators.diffusion.estimators import anagram, factorised, guided, hybrid
from generators.diffusion.filters import Filter, along_rows, complement, gaussian, grey, motion
from generators.diffusion.sampling import Estimator, Noise, denoise, generators_of, last
from generators.diffusion.schedule import strided
from generators.diffusion.views import View, flip, identity, negative, rotation


@pytest.fixture
def network() -> Small:
    return Small()


def sample(estimate: Estimator) -> Tensor:
    steps = denoise(
        images(2), estimate, schedule(), strided(1000, 90), generators=generators_of(0, 2)
    )
    return last(steps).x_t


def close(a: Noise, b: Noise) -> bool:
    assert a.spread is not None
    assert b.spread is not None
    return torch.allclose(a.mean, b.mean, atol=1e-5) and torch.allclose(
        a.spread, b.spread, atol=1e-5
    )


def test_guidance_of_one_is_conditional_and_of_zero_unconditional(network: Small) -> None:
    condition, nothing = Told(network, (told(1),)), Told(network, (told(2),))
    x_t = images(2)
    conditional, free = condition(x_t, 500), nothing(x_t, 500)
    assert torch.allclose(guided(condition, nothing, 1)(x_t, 500).mean, conditional.mean, atol=1e-6)
    assert torch.allclose(guided(condition, nothing, 0)(x_t, 500).mean, free.mean, atol=1e-6)
    assert torch.allclose(
        guided(condition, nothing, 7)(x_t, 500).mean,
        free.mean + 7 * (conditional.mean - free.mean), atol=1e-5,
    )  # fmt: skip
    for scale in (0, 1, 7):
        spread = guided(condition, nothing, scale)(x_t, 500).spread
        assert torch.allclose(spread, conditional.spread, atol=1e-6), "of the conditional branch"
    assert (conditional.spread - free.spread).abs().mean() > 0.1


def test_an_anagram_is_guided_in_each_view_by_itself(network: Small) -> None:
    """ε = ½ [cfg(x_t, p_1) + flip(cfg(flip x_t, p_2))], written out."""
    first, second, free = (Told(network, (told(seed),)) for seed in (1, 2, 3))
    x_t = images(2)

    def cfg(x_t: Tensor, condition: Estimator) -> Tensor:
        unconditional = free(x_t, 500).mean
        return unconditional + 7 * (condition(x_t, 500).mean - unconditional)

    combined = anagram([(identity(), guided(first, free, 7)), (flip(), guided(second, free, 7))])
    turned = x_t.flip(-2)
    expected = (cfg(x_t, first) + cfg(turned, second).flip(-2)) / 2
    noise = combined(x_t, 500)
    assert torch.allclose(noise.mean, expected, atol=1e-5)
    spread = (first(x_t, 500).spread + second(turned, 500).spread.flip(-2)) / 2
    assert torch.allclose(noise.spread, spread, atol=1e-5)


def test_a_guided_anagram_is_one_forward_per_step(network: Small) -> None:
    first, second, free = (Told(network, (told(seed),)) for seed in (1, 2, 3))
    combined = anagram([(identity(), guided(first, free, 7)), (flip(), guided(second, free, 7))])
    sample(combined)
    assert network.batches == [2 * 2 * 2] * 11, "two views, two branches, two images"


def test_the_whole_of_it_nests_into_one_forward(network: Small) -> None:
    """A hybrid of an anagram and a guided estimate, against calling each by hand."""
    first, second, free = (Told(network, (told(seed),)) for seed in (1, 2, 3))
    low = gaussian(9, 2)
    views = [(rotation(1), guided(first, free, 3)), (negative(), second)]
    combined = hybrid(anagram(views), guided(second, free, 5), low)
    x_t = images(2)
    noise = combined(x_t, 300)
    assert network.batches == [5 * 2]
    turned, negated = guided(first, free, 3)(x_t.rot90(-1, (2, 3)), 300), second(-x_t, 300)
    far = Noise(
        (turned.mean.rot90(1, (2, 3)) - negated.mean) / 2,
        (turned.spread.rot90(1, (2, 3)) + negated.spread) / 2,
    )
    near = guided(second, free, 5)(x_t, 300)
    mean = low(far.mean) + near.mean - low(near.mean)
    assert close(noise, Noise(mean, (far.spread + near.spread) / 2))


def test_two_networks_are_asked_once_each(network: Small) -> None:
    other = Small(seed=1)
    here, there = Told(network, (told(1),)), Told(other, (told(1),))
    combined = anagram([(identity(), guided(here, there, 2)), (flip(), guided(there, here, 2))])
    noise = combined(images(3), 100)
    assert network.batches == other.batches == [6]
    x_t = images(3)
    upright = guided(here, there, 2)(x_t, 100).mean
    turned = guided(there, here, 2)(x_t.flip(-2), 100).mean.flip(-2)
    assert torch.allclose(noise.mean, (upright + turned) / 2, atol=1e-5)


def test_an_estimator_without_a_network_nests_as_well(network: Small) -> None:
    exact = of_an_image(images(1, seed=4), schedule())
    x_t = images(2)
    noise = guided(exact, lambda x, t: Noise(Told(network, (told(1),))(x, t).mean), 0.5)(x_t, 400)
    half = (exact(x_t, 400).mean + Told(network, (told(1),))(x_t, 400).mean) / 2
    assert torch.allclose(noise.mean, half, atol=1e-6)
    assert noise.spread is None


def test_every_image_has_its_own_condition(network: Small) -> None:
    conditions = torch.cat([told(1), told(2), told(3)])
    x_t = images(3)
    many = guided(Told(network, (conditions,)), Told(network, (told(4),)), 2)(x_t, 100)
    for number in range(3):
        own = Told(network, (conditions[number : number + 1],))
        alone = guided(own, Told(network, (told(4),)), 2)(x_t[number : number + 1], 100)
        assert torch.allclose(alone.mean[0], many.mean[number], atol=1e-5)
    with pytest.raises(ValueError, match="a condition has 3 rows, expected 1 or 4"):
        Told(network, (conditions,))(images(4), 100)


def test_an_anagram_of_a_prompt_with_itself_is_its_sample(network: Small) -> None:
    prompt = Told(network, (told(1),))
    expected = sample(prompt)
    assert torch.allclose(sample(anagram([(identity(), prompt)] * 2)), expected, atol=1e-4)
    assert not torch.allclose(sample(anagram([(flip(), prompt)])), expected, atol=1e-2)


def test_a_hybrid_of_a_prompt_with_itself_is_its_sample(network: Small) -> None:
    prompt = Told(network, (told(1),))
    assert torch.allclose(sample(hybrid(prompt, prompt, gaussian(9, 2))), sample(prompt), atol=1e-4)


def test_a_hybrid_is_the_first_from_far_and_the_second_from_near(network: Small) -> None:
    far, near = Told(network, (told(1),)), Told(network, (told(2),))
    x_t = images(1, 64)
    noise = hybrid(far, near, gaussian(33, 2))(x_t, 500).mean
    blur = gaussian(33, 4)
    of_far = (blur(noise) - blur(far(x_t, 500).mean)).abs().mean()
    of_near = (blur(noise) - blur(near(x_t, 500).mean)).abs().mean()
    assert of_far < of_near / 10
    detail = noise - gaussian(9, 0.7)(noise)
    wanted = near(x_t, 500).mean
    assert (detail - (wanted - gaussian(9, 0.7)(wanted))).abs().mean() < 0.01


@pytest.mark.parametrize("view", [flip(), rotation(1), rotation(3)], ids=["flip", "90°", "270°"])
def test_a_variance_is_brought_back_with_its_pixels(view: View) -> None:
    """A variance that the viewer puts into his first row is where that row is in the image."""
    marked = torch.zeros(1, 3, 8, 8)
    marked[:, :, 0] = 1
    noise = anagram([(view, lambda x, t: Noise(marked, marked))])(images(1, 8), 500)
    assert torch.equal(view.apply(noise.spread), marked)
    assert torch.equal(view.apply(noise.mean), marked)


def test_a_negative_has_the_variance_of_the_positive() -> None:
    mean, spread = images(1), torch.rand(1, 3, 16, 16)
    noise = anagram([(negative(), lambda x, t: Noise(mean, spread))])(images(1), 500)
    assert torch.equal(noise.mean, -mean)
    assert torch.equal(noise.spread, spread)
    seen = []
    anagram([(negative(), lambda x, t: seen.append(x) or Noise(x))])(mean, 500)
    assert torch.equal(seen[0], -mean), "but looks at the negative"


def test_spreads_of_some_parts_only_are_refused(network: Small) -> None:
    without: Estimator = lambda x, t: Noise(x)  # noqa: E731
    with pytest.raises(ValueError, match="1 of 2 estimates have a spread, expected all"):
        anagram([(identity(), without), (flip(), Told(network, (told(1),)))])(images(1), 500)


FACTORS: dict[str, Callable[[], list[Filter]]] = {
    "colour": lambda: [grey, complement(grey)],
    "motion": lambda: [motion(9), complement(motion(9))],
    "triple": lambda: [
        gaussian(33, 4), lambda x: gaussian(33, 2)(x) - gaussian(33, 4)(x), complement(gaussian(33, 2)),
    ],
    "what is left": lambda: [grey, motion(9), complement(grey, motion(9))],
}  # fmt: skip


@pytest.mark.parametrize("kind", FACTORS)
def test_factors_sum_to_the_whole(kind: str, network: Small) -> None:
    filters, x_t = FACTORS[kind](), images(2, 64)
    assert torch.allclose(sum(each(x_t) for each in filters), x_t, atol=1e-5)
    prompts = [Told(network, (told(seed),)) for seed in range(len(filters))]
    noise = factorised(list(zip(filters, prompts, strict=True)))(x_t, 500)
    assert network.batches == [2 * len(filters)]
    parts = [prompt(x_t, 500) for prompt in prompts]
    mean = sum(each(part.mean) for each, part in zip(filters, parts, strict=True))
    spread = torch.stack([part.spread for part in parts]).mean(dim=0)
    assert close(noise, Noise(mean, spread))


def test_a_blur_keeps_what_is_even_and_is_linear() -> None:
    blur = gaussian(33, 2)
    level = torch.full((1, 3, 64, 64), 0.7)
    assert torch.allclose(blur(level), level, atol=1e-6)
    a, b = images(1, 64), images(1, 64, seed=1)
    assert torch.allclose(blur(2 * a - b), 2 * blur(a) - blur(b), atol=1e-5)
    assert torch.allclose(blur(a.flip(-1)), blur(a).flip(-1), atol=1e-6)
    assert torch.allclose(blur(a.mT), blur(a).mT, atol=1e-6), "the same in rows and columns"


def test_a_blur_is_a_convolution_with_the_bell() -> None:
    kernel, sigma = 7, 1.3
    x = images(1, 12)[0, 0].double()
    offsets = range(-3, 4)
    bell = [[math.exp(-(i * i + j * j) / (2 * sigma**2)) for j in offsets] for i in offsets]
    total = sum(map(sum, bell))

    def mirrored(index: int) -> int:
        return 11 - abs(11 - abs(index))

    blurred = gaussian(kernel, sigma)(x[None, None])[0, 0]
    for row, column in [(0, 0), (0, 11), (11, 3), (5, 6), (1, 2)]:
        direct = sum(
            bell[i + 3][j + 3] / total * x[mirrored(row + i), mirrored(column + j)]
            for i in offsets for j in offsets
        )  # fmt: skip
        assert blurred[row, column].item() == pytest.approx(float(direct), abs=1e-9)


def test_a_point_is_blurred_to_the_width_asked_for() -> None:
    point = torch.zeros(1, 3, 65, 65)
    point[..., 32, 32] = 1
    blurred = gaussian(33, 2)(point)[0, 0]
    distance = (torch.arange(65) - 32.0) ** 2
    assert (blurred.sum(0) * distance).sum().item() == pytest.approx(4, rel=1e-3)
    assert (blurred.sum(1) * distance).sum().item() == pytest.approx(4, rel=1e-3)


def test_motion_blurs_along_rows_only() -> None:
    point = torch.zeros(1, 1, 16, 16)
    point[..., 8, 8] = 1
    blurred = motion(5)(point)[0, 0]
    assert torch.allclose(blurred[8, 6:11], torch.full((5,), 0.2))
    assert blurred.sum().item() == pytest.approx(1)
    assert torch.equal(along_rows(point, torch.ones(1)), point)


@pytest.mark.parametrize(("kernel", "sigma"), [(32, 2), (33, 0)])
def test_a_filter_without_a_middle_or_width_is_refused(kernel: int, sigma: float) -> None:
    with pytest.raises(ValueError, match="expected an odd kernel and σ > 0"):
        gaussian(kernel, sigma)
    with pytest.raises(ValueError, match="motion over 4 pixels, expected an odd number"):
        motion(4)
