"""Noise levels, steps and variances, against diffusers and against Bayes' rule."""

import json
import math
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler
from oracles import images, schedule

from generators.diffusion.schedule import CLEAN, counted, high_quantile, schedule_of, strided
from generators.diffusion.scheduler_config import SchedulerConfig, read_config
from generators.errors import AuthorError


@pytest.mark.parametrize("beta_schedule", ["linear", "squaredcos_cap_v2"])
def test_noise_levels_are_those_of_diffusers(beta_schedule: str) -> None:
    theirs = DDPMScheduler(1000, beta_schedule=beta_schedule)
    ours = schedule_of(SchedulerConfig(beta_schedule=beta_schedule))
    assert ours.alpha_bar.dtype == torch.float64
    assert torch.allclose(ours.alpha_bar, theirs.alphas_cumprod.double(), rtol=1e-4, atol=1e-7)
    x, noise = images(2), images(2, seed=1)
    for t in (0, 250, 999):
        expected = theirs.add_noise(x, noise, torch.tensor([t, t]))
        assert torch.allclose(ours.add_noise(x, t, noise), expected, atol=1e-5)


def test_the_signal_left_at_each_time_is_that_of_deepfloyd() -> None:
    ours = schedule()
    for t, signal in {250: 0.920, 500: 0.702, 750: 0.378, 960: 0.061, 990: 0.014}.items():
        assert math.sqrt(ours.at(t)) == pytest.approx(signal, abs=6e-4)
    assert ours.at(999) > 0
    assert ours.at(CLEAN) == 1
    for t in (-2, 1000):
        with pytest.raises(ValueError, match=f"time is {t}, expected -1 … 999"):
            ours.at(t)


def test_the_stride_of_the_exercise_has_thirty_three_updates() -> None:
    times = strided(1000, 30)
    assert (times[:3], times[-2:], len(times)) == ([990, 960, 930], [30, 0], 34)
    assert [times[start] for start in (1, 3, 5, 7, 10, 20)] == [960, 900, 840, 780, 690, 390]
    for stride in (0, 1000):
        with pytest.raises(ValueError, match=f"stride is {stride}, expected 1 … 999"):
            strided(1000, stride)


@pytest.mark.parametrize("count", [1, 20, 64, 200, 1000])
def test_counted_times_are_those_of_diffusers(count: int) -> None:
    theirs = DDPMScheduler(1000)
    theirs.set_timesteps(count)
    assert counted(1000, count) == [*theirs.timesteps.tolist(), CLEAN]
    with pytest.raises(ValueError, match="step count is 0, expected 1 … 1000"):
        counted(1000, 0)


@pytest.mark.parametrize(("t", "t_next"), [(990, 960), (690, 660), (30, 0), (7, 6), (999, 1)])
def test_a_step_is_what_bayes_rule_makes_of_the_forward_process(t: int, t_next: int) -> None:
    """q(x_t' | x_t, x_0) ∝ N(x_t'; √ᾱ' x_0, 1-ᾱ') · N(x_t; √α x_t', 1-α)."""
    ours = schedule()
    level, alpha = ours.at(t_next), ours.at(t) / ours.at(t_next)
    precision = 1 / (1 - level) + alpha / (1 - alpha)
    stride = ours.stride(t, t_next)
    assert stride.alpha == pytest.approx(alpha)
    assert stride.beta == pytest.approx(1 - alpha)
    assert stride.beta_tilde == pytest.approx(1 / precision, rel=1e-6)
    assert stride.of_x_0 == pytest.approx(math.sqrt(level) / (1 - level) / precision, rel=1e-6)
    assert stride.of_x_t == pytest.approx(math.sqrt(alpha) / (1 - alpha) / precision, rel=1e-6)


def test_noise_added_twice_is_noise_added_once() -> None:
    ours, x, zero = schedule(), images(1), torch.zeros(1, 3, 16, 16)
    one = torch.ones_like(zero)
    there = ours.add_noise(ours.add_noise(x, 300, zero), 700, zero, start=300)
    assert torch.allclose(there, ours.add_noise(x, 700, zero), atol=1e-6)
    early = ours.add_noise(ours.add_noise(zero, 300, one), 700, zero, start=300)
    late = ours.add_noise(zero, 700, one, start=300)
    assert torch.allclose(early**2 + late**2, ours.add_noise(zero, 700, one) ** 2, atol=1e-6)


def test_the_learned_range_runs_from_beta_tilde_to_beta() -> None:
    ours, stride = schedule(), schedule().stride(690, 660)
    low, middle, high = ours.variance(690, 660, torch.tensor([-1.0, 0.0, 1.0])).tolist()
    assert low == pytest.approx(stride.beta_tilde)
    assert high == pytest.approx(stride.beta)
    assert middle == pytest.approx(math.sqrt(stride.beta_tilde * stride.beta))
    assert schedule("fixed_small").variance(690, 660, None).item() == pytest.approx(low)
    assert schedule("fixed_large").variance(690, 660, None).item() == pytest.approx(high)


def test_a_spread_is_neither_missed_nor_ignored() -> None:
    with pytest.raises(ValueError, match="learned_range: the estimate has none spread"):
        schedule().variance(690, 660, None)
    with pytest.raises(ValueError, match="fixed_small: the estimate has one spread"):
        schedule("fixed_small").variance(690, 660, torch.zeros(1))


@pytest.mark.parametrize(("ratio", "largest"), [(0.95, 1.5), (0.95, 1.0), (0.5, 3.0)])
def test_thresholding_is_that_of_diffusers_and_by_image(ratio: float, largest: float) -> None:
    settings = {
        "thresholding": True,
        "dynamic_thresholding_ratio": ratio,
        "sample_max_value": largest,
    }
    ours = schedule(**settings)
    x_0 = images(3) * torch.tensor([0.3, 1.0, 4.0]).reshape(3, 1, 1, 1)
    expected = DDPMScheduler(1000, **settings)._threshold_sample(x_0)
    assert torch.equal(ours.threshold(x_0), expected)
    assert torch.equal(ours.threshold(x_0[1:2]), expected[1:2])
    clipped = schedule(clip_sample=True, clip_sample_range=0.5).threshold(x_0)
    assert torch.equal(clipped, x_0.clamp(-0.5, 0.5))
    assert torch.equal(schedule().threshold(x_0), x_0)


@pytest.mark.parametrize("share", [0.0, 0.31, 0.5, 0.95, 0.995, 1.0])
@pytest.mark.parametrize("size", [1, 2, 7, 192])
def test_a_quantile_is_that_of_torch(share: float, size: int) -> None:
    values = images(3).abs().flatten(1)[:, :size]
    assert torch.allclose(high_quantile(values, share), values.quantile(share, dim=1), atol=1e-6)


def test_a_config_is_read_as_diffusers_writes_it(tmp_path: Path) -> None:
    theirs = DDPMScheduler(
        100, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction",
        variance_type="learned_range", thresholding=True, sample_max_value=1.5,
    )  # fmt: skip
    theirs.save_pretrained(tmp_path)
    config = read_config(tmp_path / "scheduler_config.json")
    for name in (
        "prediction_type",
        "variance_type",
        "thresholding",
        "sample_max_value",
        "clip_sample",
    ):
        assert getattr(config, name) == getattr(theirs.config, name)
    assert torch.allclose(schedule_of(config).alpha_bar.float(), theirs.alphas_cumprod, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"beta_schedule": "sigmoid"}, "beta_schedule is 'sigmoid', expected linear or squaredcos"),
        ({"prediction_type": "sample"}, "prediction_type is 'sample', expected epsilon or v_pred"),
        ({"variance_type": "learned"}, "variance_type is 'learned', expected fixed_small or"),
        ({"trained_betas": [0.1]}, r"trained_betas is \[0.1\], expected None"),
        ({"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr is True, expected False"),
        ([], "scheduler_config.json: found a list, expected an object"),
    ],
)  # fmt: skip
def test_a_config_that_asks_for_more_is_refused(
    tmp_path: Path, content: object, message: str
) -> None:
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps(content))
    with pytest.raises(AuthorError, match=message):
        read_config(path)
    path.write_text("{")
    with pytest.raises(AuthorError, match=r"scheduler_config.json: Expecting property name"):
        read_config(path)
