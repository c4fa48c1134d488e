"""The theory page: every closed form against quadrature, finite differences or an older proof."""

import math
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from generators.diffusion.schedule import CLEAN
from generators.errors import AuthorError
from generators.figure import Context, Number, Output, Panels, Plot
from generators.streams import stream
from generators.theory import (
    guidance_from_bayes,
    latent_variables,
    nats,
    pictures,
    raster,
    score,
    straight_flows,
    variational_diffusion,
)
from generators.theory.latent_variables import Gaussian, divergence, elbo, log_evidence, posterior
from generators.theory.mixture import Mixture, mixture
from generators.theory.tilting import LINE, distance, moments, of_class, tilted
from generators.theory.variational_diffusion import cosine

DATA = mixture((0.5, 0.3, 0.2), (-1.2, 0.2, 1.4), (0.25, 0.2, 0.25))
X = torch.linspace(-12, 12, 24001, dtype=torch.float64)


def normal(x: Tensor, mean: float, deviation: float) -> Tensor:
    return torch.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))


def integral(values: Tensor, x: Tensor = X) -> float:
    return torch.trapezoid(values, x).item()


def context() -> Context:
    def progress(what: str, done: int, total: int) -> None: ...

    made = SimpleNamespace(stream=lambda name: stream(180, "test", name), progress=progress)
    return cast(Context, made)


def numbers(outputs: Iterator[Output]) -> dict[str, str]:
    return {each.name: each.text for each in outputs if isinstance(each, Number)}


# T1


@pytest.mark.parametrize(
    ("q", "p"),
    [
        ((0.3, 0.5), (-0.2, 1.1)),
        ((0.0, 1.0), (0.0, 1.0)),
        ((1.0, 0.7), (0.0, 1.0)),
        ((-1.0, 0.4), (0.5, 0.4)),
    ],
)
def test_the_divergence_of_gaussians_is_its_integral(
    q: tuple[float, float], p: tuple[float, float]
) -> None:
    ratio = (normal(X, *q) + 1e-300).log() - (normal(X, *p) + 1e-300).log()
    expected = integral(normal(X, *q) * ratio)
    assert divergence(Gaussian(*q), Gaussian(*p)) == pytest.approx(expected, abs=1e-9)


def test_the_bound_touches_the_evidence_at_the_posterior_and_nowhere_else() -> None:
    w, s, x = 1.3, 0.6, 0.9
    joint = (
        normal(X, 0, 1) * torch.exp(-(((x - w * X) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))
    )
    evidence = integral(joint)
    assert log_evidence(w, s, x) == pytest.approx(math.log(evidence), abs=1e-9)
    truth = posterior(w, s, x)
    mean = integral(joint * X) / evidence
    assert truth.mean == pytest.approx(mean, abs=1e-9)
    assert truth.deviation**2 == pytest.approx(
        integral(joint * (X - mean) ** 2) / evidence, abs=1e-9
    )
    assert elbo(w, s, x, truth) == pytest.approx(log_evidence(w, s, x), abs=1e-12)
    for q in (
        Gaussian(truth.mean + 0.3, truth.deviation),
        Gaussian(truth.mean, 2 * truth.deviation),
    ):
        lost = log_evidence(w, s, x) - elbo(w, s, x, q)
        assert lost == pytest.approx(divergence(q, truth), abs=1e-12)
        assert lost > 0.01


def test_both_estimates_of_a_gradient_are_right_and_one_is_better() -> None:
    parameters = latent_variables.Parameters(draws=200000)
    results = latent_variables.experiment(context(), parameters)
    for mean, variance in (results.through_noise, results.through_density):
        assert abs(mean - results.gradient) < 4 * math.sqrt(variance / parameters.draws)
    assert results.through_noise[1] < results.through_density[1]
    # f' is linear in z here, so the variance of the first is (slope · d)²: known without a draw.
    w, s = parameters.weight, parameters.spread
    slope = (w**2 / s**2 + 1) * posterior(w, s, parameters.x).deviation
    assert results.through_noise[1] == pytest.approx(slope**2, rel=0.02)


# T2


def test_noise_in_one_stride_is_noise_in_many_steps() -> None:
    noises = cosine()
    signal, variance = 1.0, 0.0
    for t_next, t in pairwise(range(660, 691)):
        step = noises.stride(t, t_next)
        signal, variance = signal * math.sqrt(step.alpha), variance * step.alpha + step.beta
    whole = noises.stride(690, 660)
    assert signal == pytest.approx(math.sqrt(whole.alpha), rel=1e-12)
    assert variance == pytest.approx(whole.beta, rel=1e-12)


def test_the_step_back_is_the_product_of_two_gaussians() -> None:
    parameters = variational_diffusion.Parameters()
    results = variational_diffusion.experiment(context(), parameters)
    assert (len(results.times), results.times[0], results.times[-1]) == (33, 990, 30)
    noises, x_0, x_t = cosine(), 0.7, -0.4
    for index in (0, 10, 20, 32):
        t = results.times[index]
        now, after = noises.at(t), noises.at(t - 30)
        before = normal(X, math.sqrt(after) * x_0, math.sqrt(1 - after))
        likelihood = torch.exp(-((x_t - math.sqrt(now / after) * X) ** 2) / 2 / (1 - now / after))
        product = before * likelihood
        mean = integral(product * X) / integral(product)
        variance = integral(product * (X - mean) ** 2) / integral(product)
        assert results.of_x_0[index] * x_0 + results.of_x_t[index] * x_t == pytest.approx(
            mean, abs=1e-6
        )
        assert results.deviation[index] == pytest.approx(math.sqrt(variance), rel=1e-6)


def test_the_prior_term_is_a_divergence_averaged_over_the_data() -> None:
    for alpha_bar in (0.5, 0.048):
        terms = [
            divergence(Gaussian(math.sqrt(alpha_bar) * x, math.sqrt(1 - alpha_bar)), Gaussian(0, 1))
            for x in X[::40].tolist()
        ]
        expected = integral(DATA.density(X[::40]) * torch.tensor(terms), X[::40])
        assert nats.prior_term(alpha_bar, DATA.moment(2)) == pytest.approx(expected, rel=1e-6)
    assert nats.prior_term(1e-12, 1.0) == pytest.approx(5e-13, rel=1e-6)


# T3


@pytest.mark.parametrize(("t", "t_next"), [(690, 660), (5, 4), (999, 998)])
def test_the_three_guises_weigh_one_and_the_same_error(t: int, t_next: int) -> None:
    noises = cosine()
    step, level = noises.stride(t, t_next), noises.at(t)
    ratio, after = level / (1 - level), noises.at(t_next) / (1 - noises.at(t_next))
    gain = (after - ratio) / 2
    assert gain == pytest.approx(step.of_x_0**2 / (2 * step.beta_tilde), rel=1e-9)
    # Ho et al. 2020, eq. 12 with σ² = β̃.
    theirs = step.beta**2 / (2 * step.beta_tilde * step.alpha * (1 - level))
    assert gain / ratio == pytest.approx(theirs, rel=1e-9)
    x_0, noise, wrong = 0.3, -1.1, 0.2
    x_t = math.sqrt(level) * x_0 + math.sqrt(1 - level) * noise
    guess = (x_t - math.sqrt(level) * wrong) / math.sqrt(1 - level)
    velocity = [
        math.sqrt(level) * e - math.sqrt(1 - level) * x for x, e in ((x_0, noise), (wrong, guess))
    ]
    error = (x_0 - wrong) ** 2
    assert (noise - guess) ** 2 / ratio == pytest.approx(error, rel=1e-6)
    assert (velocity[0] - velocity[1]) ** 2 / (1 + ratio) == pytest.approx(error, rel=1e-6)


def test_the_variance_of_a_step_lies_between_its_two_ends() -> None:
    noises = cosine()
    for t, t_next in ((690, 660), (60, 30)):
        step = noises.stride(t, t_next)
        point = mixture([1.0], [0.4], [1e-6])
        unit = mixture([1.0], [0.0], [1.0])
        for data, expected in ((point, step.beta_tilde), (unit, step.beta)):
            miss = nats.clean_variance(data, noises.at(t))
            assert step.beta_tilde + step.of_x_0**2 * miss == pytest.approx(expected, rel=1e-5)


def test_a_step_costs_least_at_the_total_variance_and_is_a_divergence() -> None:
    step, miss = cosine().stride(300, 270), 0.02
    best = step.beta_tilde + step.of_x_0**2 * miss
    least = nats.step_term(step, miss, best)
    assert all(
        nats.step_term(step, miss, best * factor) > least for factor in (0.9, 0.99, 1.01, 1.1)
    )
    shift = step.of_x_0 * math.sqrt(miss)
    expected = divergence(
        Gaussian(shift, math.sqrt(step.beta_tilde)), Gaussian(0, math.sqrt(step.beta))
    )
    assert nats.step_term(step, miss, step.beta) == pytest.approx(expected, rel=1e-12)


def test_the_bound_stays_above_the_entropy_and_comes_nearer_with_every_step() -> None:
    noises, entropy = cosine(), nats.entropy(DATA)
    assert entropy == pytest.approx(-integral(DATA.density(X) * DATA.log_density(X)), abs=1e-9)
    for variance in ("β̃", "β", "best"):
        gaps = [nats.nats(DATA, noises, count, variance) - entropy for count in (4, 16, 64)]
        assert gaps[0] > gaps[1] > gaps[2] > 0
    best, wide = (nats.nats(DATA, noises, 16, variance) for variance in ("best", "β"))
    assert best < wide


def test_a_gaussian_loses_nothing_with_the_best_variance() -> None:
    """Every reverse step of a Gaussian is Gaussian, so the bound is its entropy, at any number."""
    data = mixture([1.0], [0.3], [0.5])
    for count in (2, 7, 50):
        lost = nats.nats(data, cosine(), count, "best") - nats.entropy(data)
        assert lost == pytest.approx(0, abs=1e-6)
    assert nats.spread_out(cosine(), 2) == [999, 0, CLEAN]


# T4


@pytest.mark.parametrize("t", [0, 100, 500, 900, 999])
def test_tweedie_is_bayes_rule_and_the_score_is_a_derivative(t: int) -> None:
    noises = cosine()
    a, b = math.sqrt(noises.at(t)), math.sqrt(1 - noises.at(t))
    seen = DATA.noised(a, b)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    h = 1e-5
    slope = (seen.log_density(x + h) - seen.log_density(x - h)) / (2 * h)
    assert torch.allclose(seen.score(x), slope, rtol=1e-6, atol=1e-6)
    tweedie = (x + b**2 * seen.score(x)) / a
    if 0 < t < 950:
        joint = DATA.density(X) * torch.stack([normal(each - a * X, 0, b) for each in x])
        by_quadrature = torch.trapezoid(joint * X, X) / torch.trapezoid(joint, X)
        assert torch.allclose(tweedie, by_quadrature, atol=1e-8)
        assert torch.allclose(DATA.clean(x, a, b), by_quadrature, atol=1e-8)
    noise = score.exact(DATA, noises)(x, t).mean
    assert torch.allclose(noise, (x - a * DATA.clean(x, a, b)) / b, atol=1e-6)


def test_the_density_of_noisy_data_is_a_convolution() -> None:
    seen = DATA.noised(0.6, 0.8)
    for x in (-1.0, 0.2, 2.0):
        expected = integral(DATA.density(X) * normal(x - 0.6 * X, 0, 0.8))
        assert seen.density(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(
            expected, abs=1e-10
        )
    assert integral(DATA.density(X) * X) == pytest.approx(DATA.moment(1), abs=1e-9)
    assert integral(DATA.density(X) * X**2) == pytest.approx(DATA.moment(2), abs=1e-9)


def test_the_probability_flow_obeys_the_continuity_equation() -> None:
    """∂p/∂t = -∂(u p)/∂x with u = -β/2 (x + score), where dᾱ/dt = -β ᾱ; here β = 2."""

    def at(t: float) -> Mixture:
        return DATA.noised(math.exp(-t), math.sqrt(1 - math.exp(-2 * t)))

    def flux(x: Tensor) -> Tensor:
        return -(x + at(0.4).score(x)) * at(0.4).density(x)

    x, h = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64), 1e-4
    change = (at(0.4 + h).density(x) - at(0.4 - h).density(x)) / (2 * h)
    divergence_ = (flux(x + h) - flux(x - h)) / (2 * h)
    assert torch.allclose(change, -divergence_, atol=1e-6)


def test_the_mean_of_the_ancestral_step_is_the_score_form() -> None:
    """μ = (x + β score) / √α for neighbouring times (Ho et al. 2020, eq. 11 by Tweedie)."""
    noises, x = cosine(), torch.linspace(-2, 2, 9, dtype=torch.float64)
    for t in (20, 400, 950):
        step, seen = noises.stride(t, t - 1), score.seen(DATA, noises, t)
        clean = DATA.clean(x, math.sqrt(noises.at(t)), math.sqrt(1 - noises.at(t)))
        expected = (x + step.beta * seen.score(x)) / math.sqrt(step.alpha)
        assert torch.allclose(step.of_x_0 * clean + step.of_x_t * x, expected, atol=1e-9)


def test_the_exact_score_brings_the_data_back() -> None:
    parameters = score.Parameters(steps=500, points=4000, frames=3, paths=2)
    results = score.experiment(context(), parameters)
    assert results.distance < 1.63 / math.sqrt(parameters.points)  # 1 in 100 by chance
    assert results.walks.shape == (2, 501)
    assert results.forward.sum(axis=1).min() > 0.97 * parameters.points
    made = list(score.figures(results, parameters))
    assert {"points", "distance", "chance"} <= set(numbers(iter(made)))
    panels = next(each for each in made if isinstance(each, Panels))
    assert all(image.dtype == np.uint8 for row in panels.rows for image in row)


# T5


def test_guidance_by_zero_and_one_is_what_it_should_be() -> None:
    data = mixture((0.5, 0.5), (0.6, -0.6), (0.6, 0.6))
    line = torch.from_numpy(LINE)
    assert np.allclose(tilted(data, 0.0), data.density(line).numpy(), atol=1e-9)
    assert np.allclose(tilted(data, 1.0), of_class(data).density(line).numpy(), atol=1e-9)
    mean, deviation = moments(tilted(data, 1.0))
    assert (mean, deviation) == (pytest.approx(0.6, abs=1e-9), pytest.approx(0.6, abs=1e-9))
    # p(c | x) of two equal Gaussians is a sigmoid: tilt by hand.
    raw = data.density(line) * torch.sigmoid(2 * 0.6 * line / 0.6**2) ** 3
    assert np.allclose(tilted(data, 3.0), (raw / integral(raw, line)).numpy(), atol=1e-9)


def test_guided_samples_are_not_those_of_the_tilted_density() -> None:
    parameters = guidance_from_bayes.Parameters(
        scales=(0.0, 1.0, 7.0), shown=(0.0, 7.0), steps=200, points=8000
    )
    results = guidance_from_bayes.experiment(context(), parameters)
    data = mixture(parameters.weights, parameters.means, parameters.deviations)
    for index, scale in enumerate((0.0, 1.0)):
        mean, deviation = moments(tilted(data, scale))
        assert results.means[index] == pytest.approx(mean, abs=0.05)
        assert results.deviations[index] == pytest.approx(deviation, abs=0.03)
    assert results.means[2] > moments(tilted(data, 7.0))[0] + 0.2
    found = numbers(guidance_from_bayes.figures(results, parameters))
    assert float(found["distance-7"]) > 0.2 > 0.06 > float(found["distance-1"])


def test_the_distance_of_a_histogram_is_a_total_variation() -> None:
    data = mixture([1.0], [0.5], [0.5])
    density = tilted(data, 0.0)
    edges = torch.linspace(-3, 4, 141, dtype=torch.float64)
    exact = 10**7 * data.below(edges).diff()
    assert distance(exact.round().int().numpy(), 10**7, density) < 1e-4
    elsewhere = np.zeros(140, np.int32)
    elsewhere[0] = 100
    assert distance(elsewhere, 100, density) == pytest.approx(1, abs=1e-6)


# T6


def test_the_marginal_velocity_is_the_mean_of_the_lines_through_a_point() -> None:
    velocity, t = straight_flows.velocity(DATA), 0.6
    for x in (-1.0, 0.1, 0.8):
        x_0 = (x - t * X) / (1 - t)
        weight = DATA.density(X) * normal(x_0, 0, 1)
        expected = integral(weight * (X - x_0)) / integral(weight)
        at = torch.tensor([x], dtype=torch.float64)
        assert velocity(at, t).item() == pytest.approx(expected, abs=1e-8)
        rescaled = (x + (1 - t) * DATA.noised(t, 1 - t).score(at).item()) / t
        assert rescaled == pytest.approx(expected, abs=1e-8)


def test_the_velocity_obeys_the_continuity_equation_at_both_ends_and_between() -> None:
    velocity = straight_flows.velocity(DATA)
    x, h = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64), 1e-5
    for t in (0.05, 0.5, 0.9):
        change = (
            DATA.noised(t + h, 1 - t - h).density(x) - DATA.noised(t - h, 1 - t + h).density(x)
        ) / (2 * h)
        flux = [velocity(y, t) * DATA.noised(t, 1 - t).density(y) for y in (x + h, x - h)]
        assert torch.allclose(change, -(flux[0] - flux[1]) / (2 * h), atol=1e-5)
    late = velocity(x, 1 - 1e-6)
    assert torch.allclose(velocity(x, 1.0), late, atol=1e-3)


def test_a_quantile_moves_with_the_velocity() -> None:
    share, h = torch.tensor([0.03, 0.4, 0.77], dtype=torch.float64), 1e-5
    for t in (0.3, 0.8):
        ends = [DATA.noised(s, 1 - s).quantile(share) for s in (t - h, t, t + h)]
        moved = (ends[2] - ends[0]) / (2 * h)
        assert torch.allclose(straight_flows.velocity(DATA)(ends[1], t), moved, atol=1e-6)


def test_flow_and_diffusion_follow_one_equation() -> None:
    """dy/dσ = E[noise | y] for y = x / signal, whatever path of signal and noise leads there."""
    x, h = torch.tensor([-0.9, 0.3, 1.1], dtype=torch.float64), 1e-5
    for signal, noise in ((0.4, 0.6), (0.6, 0.8)):
        sigma = noise / signal
        share = DATA.noised(1, sigma).below(x / signal)
        moved = (
            DATA.noised(1, sigma + h).quantile(share) - DATA.noised(1, sigma - h).quantile(share)
        ) / (2 * h)
        expected = -noise * DATA.noised(signal, noise).score(x)
        assert torch.allclose(moved, expected, atol=1e-6)


def test_the_solvers_have_the_orders_that_are_claimed() -> None:
    parameters = straight_flows.Parameters(points=101, steps=(32, 64, 128, 256), paths=3)
    results = straight_flows.experiment(context(), parameters)
    powers = np.log2(parameters.steps)
    euler, midpoint, heun = (straight_flows.order(each, powers) for each in results.errors)
    assert euler == pytest.approx(1, abs=0.1)
    assert (midpoint, heun) == (pytest.approx(2, abs=0.1), pytest.approx(2, abs=0.1))
    assert results.errors[1:, -1].max() < 1e-4
    made = list(straight_flows.figures(results, parameters))
    assert float(numbers(iter(made))["bend"]) > 0.1
    assert any(isinstance(each, Plot) for each in made)


# The means of drawing


def test_a_mixture_is_drawn_as_its_density_says() -> None:
    drawn = DATA.draw(20000, 7)
    assert score.kolmogorov(drawn, DATA) < 1.63 / math.sqrt(20000)
    assert torch.equal(drawn, DATA.draw(20000, 7))
    share = torch.tensor([0.001, 0.5, 0.999], dtype=torch.float64)
    assert torch.allclose(DATA.below(DATA.quantile(share)), share, atol=1e-10)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (((1.0,), (0.0, 1.0), (1.0,)), r"\(1, 2, 1\) numbers, expected as many of each"),
        (((), (), ()), "expected as many of each"),
        (((1.0,), (0.0,), (0.0,)), "expected numbers above 0"),
        (((-1.0, 2.0), (0.0, 1.0), (1.0, 1.0)), "expected numbers above 0"),
    ],
)
def test_a_mixture_that_is_none_is_refused(
    numbers: tuple[tuple[float, ...], ...], message: str
) -> None:
    with pytest.raises(AuthorError, match=message):
        mixture(*numbers)


def test_a_path_is_drawn_where_it_is_and_nowhere_else() -> None:
    image = raster.heat_map(np.ones((50, 20)))
    assert image.shape == (20, 50, 3)
    assert (image == image[0, 0]).all()
    rising = raster.heat_map(np.linspace(0, 1, 20)[None] ** 2)
    assert (rising[0, 0] == raster.RAMP[-1]).all(), "high values are above, high densities bright"
    assert (rising[-1, 0] == raster.RAMP[0]).all()
    drawn = raster.traced(image, np.full((1, 50), 5.0), (0, 0, 0), 2)
    changed = (drawn != image).any(axis=(1, 2))
    assert set(np.flatnonzero(changed)) == {14, 15}  # 5 pixels above the lower edge of 20
    bars = raster.histogram(np.linspace(0, 1, 40), np.full(40, -1.0), 30)
    lit = (bars == raster.BAR).all(axis=2).sum(axis=0)
    assert lit[0] == 0
    assert lit[-1] == 30
    assert (np.diff(lit) >= 0).all()


def test_a_scale_marks_each_whole_number_where_it_is() -> None:
    image = np.zeros((100, 60, 3), np.uint8)
    up = raster.scaled_up(image, -1.5, 3.5)
    assert (up[:, -60:] == image).all(), "nothing is drawn on the picture"
    edge = (up[:, -61] == raster.INK).all(axis=1)
    for value in (-1, 0, 1, 2, 3):
        assert edge[[round(20 * (3.5 - value)) + side for side in (-2, -1, 0, 1)]].any()
    assert 5 <= edge.sum() <= 5 * 3
    along = raster.scaled_along(image.transpose(1, 0, 2), -1, 4)
    assert (along[:60] == 0).all()
    marked = np.flatnonzero((along[60] == raster.INK).all(axis=1))
    assert {round((x - 0.5) / 20) for x in marked} == {1, 2, 3, 4}, "numbers at its ends are cut"


def test_carried_paths_keep_their_order_and_their_start() -> None:
    densities = [DATA.noised(t, 1 - t) for t in np.linspace(0, 1, 20).tolist()]
    start = np.array([-1.5, -0.2, 0.1, 1.9])
    paths = pictures.carried(densities, 0, start)
    assert np.allclose(paths[:, 0], start)
    assert (np.diff(paths, axis=0) > 0).all()
    assert pictures.evenly(101, 3).tolist() == [0, 50, 100]
