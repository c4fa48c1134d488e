"""Samplers with few evaluations, many samples, and the section that scores them, in small."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_digits import folder, run_in
from test_samplers import MEAN, SPREAD, noise_of_gaussian, streams
from test_samples import exaggerate
from torch import Tensor, nn

from generators.digits import classifier, ddpm, flow
from generators.digits.comparison import FLOORS, drawn
from generators.digits.conditioned import class_unet
from generators.digits.data import Digits, load
from generators.digits.ddpm import ancestral, ddim, linear
from generators.digits.flow import euler, heun, midpoint
from generators.digits.jury import jury, nearest_images
from generators.digits.many import Ancestral, Ddim, Integrated, Sampler, samples, seeds_of
from generators.digits.memorisation import closest_of_each, memory_figures, memory_of
from generators.digits.quality import precision, recall
from generators.digits.respacing import falling, respaced
from generators.digits.scores import guidance_plot
from generators.errors import AuthorError
from generators.figure import Context, Number, Output, Panels, Plot, Trained
from generators.part_b import quality
from generators.processes import is_everywhere
from generators.results import pack, unpack

__all__ = ["folder"]


def test_a_respaced_schedule_is_the_same_at_its_own_times() -> None:
    schedule, times = linear(300), falling(300, 7)
    assert times[0] == 300
    assert times[-1] == 0
    few = respaced(schedule, times)
    assert few.steps == 7
    assert torch.equal(few.alpha_bar, schedule.alpha_bar[times[::-1]])
    assert torch.allclose((1 - few.beta).cumprod(dim=0), few.alpha_bar)
    with pytest.raises(AuthorError, match="9 evaluations of a diffusion that has 8 times") as told:
        falling(8, 9)
    assert is_everywhere(told.value)


def test_with_an_evaluation_for_every_time_nothing_is_respaced() -> None:
    schedule, predict = linear(30), noise_of_gaussian(linear(30))
    *_, whole = ancestral(predict, schedule, streams(2))
    *_, spaced = Ancestral(schedule)(predict, 30, streams(2))
    assert torch.allclose(whole.x, spaced.x, atol=1e-5)


def test_few_steps_still_lead_to_the_gaussian() -> None:
    """The oracle: the exact ε̂ of N(μ, s²), told the times of the whole schedule."""
    schedule = linear(1000)
    for sampler in (Ancestral(schedule), Ddim(schedule)):
        *_, last = sampler(noise_of_gaussian(schedule), 50, streams(40))
        assert last.x.mean().item() == pytest.approx(MEAN, abs=0.03), sampler
        assert last.x.std().item() == pytest.approx(SPREAD, rel=0.15), sampler
    times = falling(1000, 50)
    *_, plain = ddim(noise_of_gaussian(schedule), schedule, times, streams(40))
    assert torch.equal(plain.x, last.x)


@pytest.mark.parametrize(
    ("sampler", "evaluations"),
    [(Ancestral(linear(20)), 5), (Ddim(linear(20)), 5), (Integrated(euler, 1), 5), (Integrated(heun, 2), 6)],
    ids=["ancestral", "ddim", "euler", "heun"],
)  # fmt: skip
def test_evaluations_are_counted_and_guidance_doubles_the_batch(
    sampler: Sampler, evaluations: int
) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))
            self.sizes: list[int] = []

        def forward(self, x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
            self.sizes.append(len(x))
            return 0.1 * x + self.weight

    network = Counting()
    found = samples(network, sampler, evaluations, 1.0, torch.arange(3), [1, 2, 3])
    assert network.sizes == [3] * evaluations
    assert found.shape == (3, 28, 28)
    assert found.dtype == torch.uint8
    alone = samples(network, sampler, evaluations, 1.0, torch.arange(1), [2])
    assert torch.equal(alone[0], found[1]), "a sample does not depend on its neighbours"
    network.sizes.clear()
    samples(network, sampler, evaluations, 2.0, torch.arange(3), [1, 2, 3])
    assert network.sizes == [6] * evaluations


def test_the_data_themselves_score_best() -> None:
    torch.manual_seed(0)
    judge = classifier.Classifier(4).eval()
    data = (torch.rand(300, 28, 28, generator=torch.Generator().manual_seed(1)) * 255).byte()
    labels = classifier.judge(judge, data).answers
    members = jury(judge, judge, data)
    same, noise = members.score(data, labels, 0), members.score(data // 3, labels, 0)
    assert same.accuracy == same.precision == same.recall == 1
    assert same.frechet == pytest.approx(0, abs=1e-6)
    assert noise.frechet > 1000 * max(same.frechet, 1e-9)
    assert noise.kernel > same.kernel
    few = members.score(data[:9].repeat(20, 1, 1), labels[:9].repeat(20), 0)
    assert few.recall < 0.2 < few.precision == 1, "all are digits, and hardly any digit is there"


def test_shares_are_counted_with_as_many_training_digits_as_there_are_samples() -> None:
    torch.manual_seed(0)
    judge = classifier.Classifier(4).eval()
    data = (torch.rand(300, 28, 28, generator=torch.Generator().manual_seed(1)) * 255).byte()
    images, labels = data[:40] // 2 + 60, torch.zeros(40)
    found = jury(judge, judge, data).score(images, labels, 7)
    chosen = torch.randperm(300, generator=torch.Generator().manual_seed(7))[:40]
    few, several = (classifier.judge(judge, each).features for each in (data[chosen], images))
    assert found.precision == precision(several, few)
    assert found.recall == recall(several, few)
    every = classifier.judge(judge, data).features
    assert (found.precision, found.recall) != (precision(several, every), recall(several, every))


def test_the_curves_of_guidance_are_what_they_are_called() -> None:
    scores = np.array([[0.1, 9, 9, 0.2, 0.3], [0.4, 9, 9, 0.5, 0.6]], np.float32)
    curves = {each.label: [*each.y] for each in guidance_plot([1, 2], scores).series}
    expected = {"right": [0.1, 0.4], "precision": [0.2, 0.5], "recall": [0.3, 0.6]}
    assert {name: pytest.approx(y) for name, y in expected.items()} == curves


def test_the_nearest_image_of_a_copy_is_the_original() -> None:
    data = torch.arange(5, dtype=torch.uint8)[:, None, None].expand(-1, 28, 28) * 51
    found = nearest_images(data[[3, 1]], data, 2)
    assert found.indices[:, 0].tolist() == [3, 1]
    assert found.distances[0].tolist() == pytest.approx([0, 0.2], abs=1e-3)


def test_the_nearest_of_each_digit_is_found() -> None:
    distances = torch.tensor([0.3, 0.1, 0.2, 0.5, 0.4])
    labels = torch.tensor([7, 2, 7, 2, 0])
    assert closest_of_each(distances, labels).tolist() == [4, 1, 2]


def network_of(trainer: object, path: Path, data: Path, **recipe: object) -> Trained:
    run = run_in(path, data)
    made = trainer.Recipe(hidden=4, epochs=2, batch=20, classes=True, **recipe)  # type: ignore
    trainer.train(run, made)  # type: ignore
    run.finish()
    return Trained(path, 2, path.name, vars(made))


def judge_in(path: Path, data: Path) -> Trained:
    run = run_in(path, data)
    classifier.train(run, classifier.Recipe(width=2, epochs=1, batch=20))
    run.finish()
    return Trained(path, 1)


def asked_in(
    context: Context, folder: Path, count: int
) -> tuple[Digits, Callable[[str, Sampler, int, float], Tensor]]:
    """Return the test digits that a section asks for, and how it should sample these."""
    test = drawn(load(folder, "t10k"), count, context.stream("test"))
    seeds = seeds_of(context.stream("samples"), len(test.labels))

    def direct(name: str, sampler: Sampler, evaluations: int, scale: float) -> Tensor:
        network = class_unet(context.networks[name].weights(2))
        return samples(network, sampler, evaluations, scale, test.labels, seeds)

    return test, direct


def test_the_section_fills_its_tables(folder: Path, tmp_path: Path) -> None:
    judge = judge_in(tmp_path / "judge", folder)
    context = Context(
        "quality", 180, torch.device("cpu"), Path(), lambda name: folder,
        {
            "ddpm-class": network_of(ddpm, tmp_path / "ddpm", folder, steps=12),
            "flow-class": network_of(flow, tmp_path / "flow", folder),
            "judge-features": judge,
            "judge-answers": judge,
        },
        lambda what, done, total: None,
    )  # fmt: skip
    chosen = quality.Parameters(
        steps=12, count=20, references=40, evaluations=(2, 4), scales=(1.0, 2.0),
        guided_evaluations=4, diffusion_epochs=(1, 2), flow_epochs=(1,),
    )  # fmt: skip
    for name in ("ddpm-class", "flow-class"):
        exaggerate(context.networks[name].weights(2))
    results = quality.experiment(context, chosen)
    assert results.steps.shape == (5, 2, 5)
    test, direct = asked_in(context, folder, 20)
    ancestral_4 = direct("ddpm-class", Ancestral(linear(12)), 4, 1.0)
    np.testing.assert_array_equal(results.by_steps[0, 1], ancestral_4[:10])
    np.testing.assert_array_equal(
        results.by_steps[2, 0], direct("flow-class", Integrated(euler, 1), 2, 1.0)[:10]
    )
    guided_4 = direct("flow-class", Integrated(midpoint, 2), 4, 2.0)
    np.testing.assert_array_equal(results.by_scale[1], guided_4[:10])
    data = load(folder, "train").first(40).images
    near, distances = memory_of((guided_4, ancestral_4, test.images), test.labels, data)
    np.testing.assert_array_equal(results.near, near)
    np.testing.assert_array_equal(results.distances, distances)
    assert results.sweep.shape == (2, 5)
    assert results.earlier.shape == (3, 5)
    # The last epoch among the earlier ones is the network that the other tables ask.
    assert results.earlier[1].tolist() == results.steps[0, -1].tolist()
    assert results.earlier[0].tolist() != results.earlier[1].tolist()
    assert results.floors.shape == (FLOORS, 5)
    assert results.floors[:, 1].std() > 0
    assert np.isfinite(np.concatenate([results.steps.ravel(), results.sweep.ravel()])).all()
    assert results.near.shape[1:] == (4, 28, 28)
    path = tmp_path / "results.safetensors"
    path.write_bytes(pack(results))
    outputs = list(quality.figures(unpack(path, quality.Results), chosen))
    numbers = {each.name: each.text for each in outputs if isinstance(each, Number)}
    assert numbers["floor-times"] == "1.0"
    at = results.floors[:, 1]
    told = [numbers[f"floor-{name}"] for name in ("least", "distance", "most")]
    assert told == [f"{each:.2f}" for each in (at.min(), at.mean(), at.max())]
    assert {"heun-4-recall", "ddim-2-distance", "scale-2-accuracy"} <= set(numbers)
    assert {"diffusion-epoch-2-recall", "flow-epoch-1-times"} <= set(numbers)
    sheets = {each.name: each for each in outputs if isinstance(each, Panels)}
    wanted = [str(digit) for digit in results.asked]
    assert {tuple(sheets[name].columns) for name in ("few", "many", "guided")} == {tuple(wanted)}
    shown = [each.name for each in outputs if not isinstance(each, Number)]
    assert shown == ["steps", "few", "many", "guidance", "epochs", "guided", "nearest"]
    plots = {each.name: each for each in outputs if isinstance(each, Plot)}
    diffusion, matching, rule = plots["epochs"].series
    updates = [int(numbers[f"{name}-updates"]) for name in ("diffusion", "flow")]
    assert updates == [4, 4], "two epochs of 40 images in batches of 20"
    assert [*diffusion.x] == [2, 4]
    assert [*matching.x] == [2, 4]
    assert [*diffusion.y] == [results.earlier[0, 1], results.steps[0, -1, 1]]
    assert [*matching.y] == [results.earlier[2, 1], results.steps[3, -1, 1]]
    assert rule.rule
    assert [*rule.y] == pytest.approx([at.mean()])
    assert results.distances.shape == (3, 20)
    assert numbers["diffusion-epochs"] == "2"
    odd = quality.Parameters(steps=12, evaluations=(3,), scales=(1.0, 2.0))
    with pytest.raises(AuthorError, match="3 evaluations, 2 of which make a step") as told:
        quality.experiment(context, odd)
    assert is_everywhere(told.value)
    with pytest.raises(AuthorError, match=r"scale = 3, expected one of scales") as told:
        quality.experiment(context, quality.Parameters(scale=3.0, scales=(1.0,)))
    assert is_everywhere(told.value)


def test_what_is_remembered_is_found_and_whose_it_is_is_said() -> None:
    generator = torch.Generator().manual_seed(0)
    data = torch.randint(256, (50, 28, 28), generator=generator).byte()
    labels = torch.arange(10).repeat(2)
    fresh = torch.randint(256, (20, 28, 28), generator=generator).byte()
    copies, near = fresh.clone(), data[:20].clone()
    copies[:10] = data[:10]
    near[:, 0, 0] ^= 255
    pictures, distances = memory_of((copies, near, fresh), labels, data)
    np.testing.assert_array_equal(pictures[:, 0], copies[:10])
    np.testing.assert_array_equal(pictures[:, 1], data[:10])
    assert distances[0, :10].max() < 1e-3 < 0.3 < distances[0, 10:].min()
    assert 1e-3 < distances[1].max() <= 1 / 28
    assert distances[2].min() > 0.3
    numbers = numbers_of(memory_figures(pictures, distances, 2.0))
    assert (numbers["closer-flow"], numbers["closer-diffusion"]) == ("50.0 %", "100.0 %")
    assert numbers["nearest-test"] == f"{np.median(distances[2]):.3f}"
    assert float(numbers["nearest-diffusion"]) < float(numbers["nearest-flow"])


def numbers_of(outputs: Iterable[Output]) -> dict[str, str]:
    return {each.name: each.text for each in outputs if isinstance(each, Number)}
