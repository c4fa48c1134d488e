"""The digits' samplers against closed forms and against diffusers."""

from collections.abc import Callable

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from generators.digits.conditioned import ClassUNet, TimeUNet, one_hot
from generators.digits.ddpm import Schedule, ancestral, ddim, linear
from generators.digits.flow import Increment, euler, heun, integrate, midpoint, velocity_of
from generators.digits.sampling import Prediction, Streams, guided, unguided

CPU = torch.device("cpu")
MEAN, SPREAD = 0.3, 0.5


def streams(count: int, first: int = 0) -> Streams:
    return Streams(range(first, first + count), CPU)


def noise_of_gaussian(schedule: Schedule) -> Prediction:
    """The exact E[ε | x_t] for data N(MEAN, SPREAD²), pixel by pixel."""

    def predict(x: Tensor, t: Tensor) -> Tensor:
        alpha_bar = schedule.alpha_bar[(t * schedule.steps).round().long()].reshape(-1, 1, 1, 1)
        variance = alpha_bar * SPREAD**2 + 1 - alpha_bar
        return ((1 - alpha_bar).sqrt() * (x - alpha_bar.sqrt() * MEAN) / variance).to(x.dtype)

    return predict


@pytest.mark.parametrize(("hidden", "time", "classes"), [(128, 7_974_145, 8_060_673), (64, 1_996_417, 2_019_201)])  # fmt: skip
def test_the_conditioned_unets_have_the_parameters_of_the_exercise(
    hidden: int, time: int, classes: int
) -> None:
    def count(network: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    assert count(TimeUNet(hidden, torch.add)) == time
    assert count(ClassUNet(hidden)) == classes


def test_the_class_is_a_gate_and_the_time_a_summand() -> None:
    torch.manual_seed(0)
    network = ClassUNet(4).eval()
    x, t = torch.randn(2, 1, 28, 28), torch.tensor([0.2, 0.7])
    classes = one_hot(torch.tensor([3, 5]), torch.tensor([True, False]))
    assert classes[0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert classes[1].sum() == 0
    seen: dict[str, Tensor] = {}

    def look(
        x: Tensor, bottom: Callable[[Tensor], Tensor], middle: Callable[[Tensor], Tensor]
    ) -> Tensor:
        zeros, ones = torch.zeros(2, 8, 7, 7), torch.ones(2, 8, 7, 7)
        seen["bottom summand"], seen["bottom factor"] = bottom(zeros), bottom(ones) - bottom(zeros)
        small = torch.ones(2, 4, 14, 14)
        seen["middle summand"], seen["middle factor"] = (
            middle(0 * small),
            middle(small) - middle(0 * small),
        )
        return x

    network.unet.forward = look  # type: ignore[method-assign]
    network(x, t, classes)
    for place, time, gate in (
        ("bottom", network.time_bottom, network.class_bottom),
        ("middle", network.time_middle, network.class_middle),
    ):
        assert torch.allclose(
            seen[f"{place} summand"], time(t[:, None]).expand_as(seen[f"{place} summand"])
        )
        assert torch.allclose(
            seen[f"{place} factor"], gate(classes).expand_as(seen[f"{place} factor"]), atol=1e-6
        )


@pytest.mark.parametrize("join", [torch.add, torch.mul], ids=["added", "multiplied"])
def test_time_is_joined_as_each_edition_says(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    network = TimeUNet(4, join).eval()
    seen: list[Tensor] = []
    u = torch.randn(2, 8, 7, 7)

    def look(x: Tensor, bottom: Callable[[Tensor], Tensor], middle: object) -> Tensor:
        seen.append(bottom(u))
        return x

    network.unet.forward = look  # type: ignore[method-assign]
    t = torch.tensor([0.2, 0.7])
    network(torch.randn(2, 1, 28, 28), t)
    assert torch.equal(seen[0], join(u, network.time_bottom(t[:, None])))


def test_the_schedule_is_the_one_of_the_exercise() -> None:
    schedule = linear(300)
    assert (schedule.alpha_bar[0], schedule.beta[1], schedule.beta[300]) == (1, 1e-4, 0.02)
    assert schedule.alpha_bar[300].item() == pytest.approx(0.0481, abs=5e-5)
    reference = DDPMScheduler(300, 1e-4, 0.02, "linear")
    assert torch.allclose(schedule.alpha_bar[1:], reference.alphas_cumprod.double(), rtol=1e-5)
    x, noise = torch.rand(3, 1, 28, 28), torch.randn(3, 1, 28, 28)
    ours = schedule.noising(CPU)(x, torch.tensor([20, 150, 300]), noise)
    theirs = reference.add_noise(x, noise, torch.tensor([19, 149, 299]))
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.equal(schedule.noising(CPU)(x, torch.tensor([0, 0, 0]), noise), x)


def test_ancestral_sampling_is_that_of_diffusers() -> None:
    schedule, predict = linear(300), noise_of_gaussian(linear(300))
    reference = DDPMScheduler(
        300, 1e-4, 0.02, "linear", variance_type="fixed_large", clip_sample=False
    )
    # In float32, as it comes, 1 - ᾱ is off by a thousandth near the end.
    reference.alphas_cumprod = (1 - reference.betas.double()).cumprod(dim=0)
    reference.set_timesteps(300)
    ours = list(ancestral(predict, schedule, streams(2)))
    draws = streams(2)
    x = draws.normal()
    for step, index in zip(ours, range(299, -1, -1), strict=True):
        time = torch.full((2,), (index + 1) / 300)
        noise = draws.normal() if index else torch.zeros_like(x)
        mean = reference.step(
            predict(x, time), index, x, generator=torch.Generator().manual_seed(0)
        )
        # diffusers draws its own noise: take it out, put ours in its place.
        own = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) if index else 0
        scale = schedule.beta[index + 1].item() ** 0.5
        x = mean.prev_sample - scale * own + scale * noise
        assert torch.allclose(step.x, x, atol=1e-5)
        assert torch.allclose(step.data, mean.pred_original_sample, atol=1e-5)
        assert step.t == index


def test_ddim_is_that_of_diffusers() -> None:
    schedule, predict = linear(300), noise_of_gaussian(linear(300))
    reference = DDIMScheduler(
        300,
        1e-4,
        0.02,
        "linear",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="leading",
    )
    reference.set_timesteps(10)
    times = [int(t) + 1 for t in reference.timesteps] + [0]
    # Theirs goes from index 0 to ᾱ = 1, ours from t = 1 to t = 0: the last two steps of ours are one.
    ours = list(ddim(predict, schedule, times, streams(3)))
    x = streams(3).normal()
    for step, index in zip(ours, reference.timesteps, strict=True):
        time = torch.full((3,), (int(index) + 1) / 300)
        x = reference.step(predict(x, time), int(index), x).prev_sample
        assert torch.allclose(step.x, x, atol=1e-5)


def test_euler_is_that_of_diffusers() -> None:
    x = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))

    def velocity(x: Tensor, t: float) -> Tensor:
        return torch.sin(3 * x) + t

    reference = FlowMatchEulerDiscreteScheduler(shift=1.0)
    reference.set_timesteps(sigmas=[1 - k / 20 for k in range(20)])
    theirs = x
    for step, time in zip(integrate(velocity, x, 20, euler), reference.timesteps, strict=True):
        # Theirs integrates from σ = 1 (noise) to 0, so that its velocity is minus ours.
        t = 1 - time.item() / 1000
        theirs = reference.step(-velocity(theirs, t), time, theirs).prev_sample
        assert torch.allclose(step.x, theirs, atol=1e-5)


def test_ancestral_sampling_of_a_gaussian_has_the_moments_of_its_recursion() -> None:
    """With the exact ε̂ every step is linear in x_t, so its mean and variance are known."""
    schedule = linear(300)
    predict = noise_of_gaussian(schedule)
    mean, variance = 0.0, 1.0
    for step in ancestral(predict, schedule, streams(60)):
        t = int(step.t) + 1
        probe = torch.tensor([0.0, 1.0], dtype=torch.float64)
        now = schedule.alpha_bar[t]
        x_0 = (now.sqrt() * SPREAD**2 * probe + (1 - now) * MEAN) / (now * SPREAD**2 + 1 - now)
        then, beta = schedule.alpha_bar[t - 1], schedule.beta[t]
        ends = (
            then.sqrt() * beta / (1 - now) * x_0
            + (1 - beta).sqrt() * (1 - then) / (1 - now) * probe
        )
        shift, slope = ends[0].item(), (ends[1] - ends[0]).item()
        mean, variance = shift + slope * mean, slope**2 * variance + (beta.item() if t > 1 else 0)
        assert step.x.mean().item() == pytest.approx(mean, abs=0.02)
        assert step.x.var().item() == pytest.approx(variance, rel=0.03)
    # x_T still held a signal that N(0, I) does not: the result is near the data, not on it.
    assert (mean, variance**0.5) == pytest.approx((MEAN, SPREAD), abs=0.08)


@pytest.mark.parametrize(("increment", "order"), [(euler, 1), (midpoint, 2), (heun, 2)])
def test_an_integrator_converges_with_its_order(increment: Increment, order: int) -> None:
    """The oracle: dx/dt = x², which goes from x to x / (1 - x)."""
    x = torch.linspace(-2, 0.5, 9, dtype=torch.float64)

    def error(steps: int) -> float:
        *_, last = integrate(lambda x, t: x**2, x, steps, increment)
        assert last.t == 1
        return (last.x - x / (1 - x)).abs().max().item()

    measured = torch.log2(torch.tensor(error(100) / error(200))).item()
    assert measured == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("increment", [euler, midpoint, heun])
def test_flow_carries_noise_to_a_gaussian(increment: Increment) -> None:
    """The oracle: data N(μ, s²) on straight paths from N(0, 1), whose flow map is μ + s x."""

    def velocity(x: Tensor, t: float) -> Tensor:
        slope = (t * SPREAD**2 - (1 - t)) / ((1 - t) ** 2 + (t * SPREAD) ** 2)
        return MEAN + slope * (x - t * MEAN)

    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    before, t = x, 0.0
    for step in integrate(velocity, x, 400, increment):
        spread = ((1 - step.t) ** 2 + (step.t * SPREAD) ** 2) ** 0.5
        assert torch.allclose(step.x, step.t * MEAN + spread * x, atol=5e-3)
        known = t * SPREAD**2 / ((1 - t) ** 2 + (t * SPREAD) ** 2)
        assert torch.allclose(step.data, MEAN + known * (before - t * MEAN)), "E[x_1 | x_t]"
        before, t = step.x, step.t
    assert torch.allclose(step.x, MEAN + SPREAD * x, atol=5e-3)


def test_ddim_carries_noise_to_a_gaussian() -> None:
    """The oracle: without noise every state is as many spreads off the mean as the first one."""
    schedule = linear(300)
    times = list(range(300, -1, -1))
    first = streams(3).normal()

    def standard(x: Tensor, t: int) -> Tensor:
        alpha_bar = schedule.alpha_bar[t]
        return (x - alpha_bar.sqrt() * MEAN) / (alpha_bar * SPREAD**2 + 1 - alpha_bar).sqrt()

    expected = standard(first, 300)
    for step in ddim(noise_of_gaussian(schedule), schedule, times, streams(3)):
        found = standard(step.x, int(step.t))
        assert torch.allclose(found, expected, rtol=0.02, atol=0.005)


def share_below(x: Tensor, centre: float, spread: float) -> Tensor:
    """The distribution function of N(±centre, spread²), either sign with equal odds."""
    normal = torch.distributions.Normal(0.0, 1.0)
    return (normal.cdf((x - centre) / spread) + normal.cdf((x + centre) / spread)) / 2


@pytest.mark.parametrize(
    ("increment", "tolerance"), [(euler, 1e-2), (midpoint, 2e-4), (heun, 2e-4)]
)
def test_flow_splits_noise_between_two_points(increment: Increment, tolerance: float) -> None:
    """The oracle: data that is -1 or 1 with equal odds, with its exact velocity.

    On a line paths do not cross: at every t as much of the noise is below a state as at the start.
    """

    def velocity(x: Tensor, t: float) -> Tensor:
        left = max(1 - t, 1e-6)  # Heun asks at t = 1, too.
        return (torch.tanh(t * x / left**2) - x) / left

    x = torch.linspace(-3, 3, 10, dtype=torch.float64)
    expected = torch.distributions.Normal(0.0, 1.0).cdf(x)
    *steps, last = integrate(velocity, x, 200, increment)
    for step in steps[:-10]:
        assert torch.allclose(share_below(step.x, step.t, 1 - step.t), expected, atol=tolerance)
    assert torch.allclose(steps[-1].x, x.sign(), atol=0.02)
    if increment is not heun:
        assert torch.allclose(last.x, x.sign(), atol=0.02)


def noise_of_two_points(schedule: Schedule) -> Prediction:
    """The exact E[ε | x_t] for data that is -1 or 1 with equal odds."""

    def predict(x: Tensor, t: Tensor) -> Tensor:
        alpha_bar = schedule.alpha_bar[(t * schedule.steps).round().long()].reshape(-1, 1, 1, 1)
        x_0 = torch.tanh(alpha_bar.sqrt() * x / (1 - alpha_bar))
        return ((x - alpha_bar.sqrt() * x_0) / (1 - alpha_bar).sqrt()).to(x.dtype)

    return predict


def test_ddim_splits_noise_between_two_points() -> None:
    schedule = linear(300)
    first = streams(2).normal()

    def below(x: Tensor, t: int) -> Tensor:
        alpha_bar = schedule.alpha_bar[t].item()
        return share_below(x, alpha_bar**0.5, (1 - alpha_bar) ** 0.5)

    expected = below(first, 300)
    *steps, last = ddim(
        noise_of_two_points(schedule), schedule, list(range(300, -1, -1)), streams(2)
    )
    for step in steps[:-10]:
        assert torch.allclose(below(step.x, int(step.t)), expected, atol=0.02)
    assert torch.allclose(last.x, first.sign(), atol=1e-3)


def test_ancestral_sampling_splits_noise_between_two_points() -> None:
    """The oracle: the moments of x_t = √ᾱ x_0 ± √(1-ᾱ) ε, of which the fourth tells two points."""
    schedule = linear(300)
    for step in ancestral(noise_of_two_points(schedule), schedule, streams(40)):
        signal = schedule.alpha_bar[int(step.t)].item()
        fourth = signal**2 + 6 * signal * (1 - signal) + 3 * (1 - signal) ** 2
        x = step.x.double()
        assert x.mean().item() == pytest.approx(0, abs=0.03)
        assert x.square().mean().item() == pytest.approx(1, rel=0.03)
        # The noise that it begins with holds no signal; that is forgotten by then.
        if step.t < 150:
            assert (x**4).mean().item() == pytest.approx(fourth, rel=0.05)
    assert torch.allclose(step.x.abs(), torch.ones_like(step.x), atol=1e-3)


def linear_network(x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
    weight = classes @ torch.arange(1.0, 11.0)
    return (t + weight).reshape(-1, 1, 1, 1) * x


def test_guidance_goes_from_free_over_told_and_beyond_in_one_forward() -> None:
    calls: list[int] = []

    def network(x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        calls.append(len(x))
        return linear_network(x, t, classes)

    x, t = torch.randn(3, 1, 28, 28), torch.rand(3)
    classes = one_hot(torch.tensor([1, 4, 9]), torch.ones(3, dtype=torch.bool))
    told, free = linear_network(x, t, classes), linear_network(x, t, 0 * classes)
    assert torch.allclose(guided(network, classes, 1.0)(x, t), told, atol=1e-5)
    assert torch.allclose(guided(network, classes, 0.0)(x, t), free)
    assert torch.allclose(guided(network, classes, 5.0)(x, t), free + 5 * (told - free), atol=1e-4)
    assert calls == [6, 6, 6]
    assert torch.equal(unguided(network, classes)(x, t), told)


def test_a_picture_does_not_depend_on_its_neighbours() -> None:
    schedule, predict = linear(20), noise_of_gaussian(linear(20))
    *_, alone = ancestral(predict, schedule, streams(1, first=2))
    *_, together = ancestral(predict, schedule, streams(5))
    assert torch.allclose(together.x[2], alone.x[0], atol=1e-6)


def test_a_network_is_told_one_time_for_the_whole_batch() -> None:
    seen: list[Tensor] = []

    def predict(x: Tensor, t: Tensor) -> Tensor:
        seen.append(t)
        return x

    velocity_of(predict)(torch.zeros(4, 1, 28, 28), 0.25)
    assert seen[0].tolist() == [0.25] * 4
