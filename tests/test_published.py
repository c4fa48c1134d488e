"""B3.3: a descent from where training ended, and the section that judges what it buys."""

from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from test_comparison import asked_in, judge_in, network_of
from test_digits import folder
from test_samples import exaggerate
from test_without_scheduler import context
from torch import Tensor

from generators.digits import ddpm, flow
from generators.digits.comparison import FLOORS
from generators.digits.ddpm import linear
from generators.digits.flow import euler
from generators.digits.leaking import Gaussian, Leaking, end_of
from generators.digits.many import Ancestral, Integrated, Sampler
from generators.digits.sampling import Streams
from generators.digits.scores import least_share
from generators.figure import Number, Panels
from generators.part_b import published as section
from generators.results import pack, unpack

__all__ = ["folder"]
SHORT = linear(300)
MEAN, SPREAD = 2.0, 2.0


def exact(x: Tensor, t: Tensor) -> Tensor:
    """E[ε | x_t] for data N(MEAN, SPREAD²), pixel by pixel."""
    left = SHORT.alpha_bar[(t * SHORT.steps).round().long()].reshape(-1, 1, 1, 1)
    variance = left * SPREAD**2 + 1 - left
    return ((1 - left).sqrt() * (x - left.sqrt() * MEAN) / variance).to(x.dtype)


def streams(count: int) -> Streams:
    return Streams(range(count), torch.device("cpu"))


def end(sampler: Sampler, count: int) -> Tensor:
    *_, last = sampler(exact, SHORT.steps, streams(count))
    return last.x


def test_the_gaussian_has_the_moments_of_the_noised_images() -> None:
    generator = torch.Generator().manual_seed(0)
    pattern = torch.rand(28, 28, generator=generator)
    strength = torch.rand(2000, 1, 1, generator=generator)
    images = (pattern * strength * 255).round().byte()
    start = end_of(SHORT, images)
    x_0 = (images.float() / 255)[:, None]
    t = torch.full((2000,), SHORT.steps)
    x_t = SHORT.noising(torch.device("cpu"))(
        x_0, t, torch.randn(x_0.shape, generator=generator)
    ).flatten(1)
    assert torch.allclose(start.mean, x_t.mean(dim=0), atol=0.1)
    covariance = start.root @ start.root.T
    away = covariance - (1 - SHORT.alpha_bar[-1]).float() * torch.eye(784)
    direction = torch.nn.functional.normalize(pattern.flatten(), dim=0)
    expected = SHORT.alpha_bar[-1] * (x_0.flatten(1) @ direction).var()
    assert (direction @ away @ direction).item() == pytest.approx(expected.item(), rel=1e-3)
    assert torch.linalg.matrix_rank(away, atol=1e-3) == 1


def test_begun_where_training_ended_a_gaussian_is_met_and_from_noise_it_is_missed() -> None:
    """With the exact noise the only fault is the start, which lacks √ᾱ_T of the mean."""
    left = SHORT.alpha_bar[-1].item()
    root = (left * SPREAD**2 + 1 - left) ** 0.5 * torch.eye(784)
    start = Gaussian(torch.full((784,), left**0.5 * MEAN), root)
    met, missed = end(Leaking(SHORT, start), 40), end(Ancestral(SHORT), 40)
    assert met.mean().item() == pytest.approx(MEAN, abs=0.06)
    assert met.std().item() == pytest.approx(SPREAD, rel=0.02)
    kept = left**0.5 * SPREAD**2 / (left * SPREAD**2 + 1 - left)
    assert missed.mean().item() == pytest.approx(MEAN - kept * left**0.5 * MEAN, abs=0.06)


@pytest.mark.parametrize("evaluations", [5, 300])
def test_from_standard_noise_it_is_the_ancestral_sampler(evaluations: int) -> None:
    standard = Gaussian(torch.zeros(784), torch.eye(784))
    met, expected = (
        [step.x for step in sampler(exact, evaluations, streams(3))]
        for sampler in (Leaking(SHORT, standard), Ancestral(SHORT))
    )
    assert len(met) == len(expected) == evaluations
    assert all(map(torch.equal, met, expected))


def test_its_start_is_exact_where_networks_compute_in_bfloat16() -> None:
    seen = list[Tensor]()

    def zero(x: Tensor, t: Tensor) -> Tensor:
        seen.append(x)
        return torch.zeros_like(x)

    standard = Gaussian(torch.zeros(784), torch.eye(784))
    with torch.autocast("cpu", torch.bfloat16):
        next(iter(Leaking(SHORT, standard)(zero, SHORT.steps, streams(2))))
    assert torch.equal(seen[0], streams(2).normal())


def test_a_picture_does_not_depend_on_its_batch() -> None:
    images = (torch.rand(50, 28, 28, generator=torch.Generator().manual_seed(1)) * 255).byte()
    sampler = Leaking(SHORT, end_of(SHORT, images))
    assert torch.allclose(end(sampler, 3)[1], end(sampler, 2)[1], atol=1e-5)


def test_the_section_judges_every_row(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = judge_in(tmp_path / "judge", folder)
    networks = {
        "ddpm-class": network_of(ddpm, tmp_path / "ddpm", folder, steps=6),
        "flow-class": network_of(flow, tmp_path / "flow", folder),
        "judge-features": judge,
        "judge-answers": judge,
    }
    for name in ("ddpm-class", "flow-class"):
        exaggerate(networks[name].weights(2))
    parameters = section.Parameters(steps=6, scale=3.0, count=50, references=40)
    here = context(networks, folder)
    results = section.experiment(here, parameters)
    asked, direct = asked_in(here, folder, 50)
    for row, (name, sampler, scale) in {
        0: ("ddpm-class", Ancestral(linear(6)), 1.0),
        1: ("ddpm-class", Ancestral(linear(6)), 3.0),
        4: ("flow-class", Integrated(euler, 1), 1.0),
        5: ("flow-class", Integrated(euler, 1), 3.0),
    }.items():
        expected = direct(name, sampler, 6, scale)[: section.SHOWN]
        np.testing.assert_array_equal(results.samples[row], expected, section.ROWS[row])
    assert results.scores.shape == (6, 5)
    assert results.brightness.shape == (7,)
    assert results.samples.shape == (6, 10, 28, 28)
    assert len({row.tobytes() for row in results.samples}) == 6
    monkeypatch.setattr(section, "end_of", lambda *_: Gaussian(torch.zeros(784), torch.eye(784)))
    from_noise = section.experiment(context(networks, folder), parameters).samples
    np.testing.assert_array_equal(from_noise[2:4], results.samples[:2])
    np.testing.assert_array_equal(from_noise[4:], results.samples[4:])
    assert np.isfinite(results.scores).all()
    path = tmp_path / "results.safetensors"
    path.write_bytes(pack(results))
    outputs = list(section.figures(unpack(path, section.Results), parameters))
    numbers = {each.name: each.text for each in outputs if isinstance(each, Number)}
    assert numbers["begun-recall"] == f"{results.scores[3, 4]:.2f}"
    assert numbers["count"] == "40", "there are 40 test digits"
    right = round(40 * results.scores[5, 0])
    assert float(numbers["flow-least"][:-2]) == pytest.approx(100 * least_share(right, 40), abs=0.1)
    assert numbers["flow-brightness"] == f"{results.brightness[6]:.3f}"
    (panels,) = (each for each in outputs if isinstance(each, Panels))
    assert len(panels.labels) == len(results.samples)
    assert panels.columns == [str(digit) for digit in asked.labels[: section.SHOWN].tolist()]
    assert results.floors.shape == (FLOORS, 5)
    assert numbers["floor-recall"] == f"{results.floors[:, 4].mean():.2f}"


def test_the_least_share_is_the_one_that_as_many_right_still_allow() -> None:
    assert least_share(200, 200) == pytest.approx(0.05 ** (1 / 200))
    assert least_share(0, 50) == pytest.approx(0, abs=1e-9)
    share = least_share(17, 20)
    odds = sum(comb(20, k) * share**k * (1 - share) ** (20 - k) for k in (17, 18, 19, 20))
    assert odds == pytest.approx(0.05)
    assert least_share(9930, 10000) == pytest.approx(
        0.993 - 1.645 * (0.993 * 0.007 / 1e4) ** 0.5, abs=2e-4
    )
