"""The deep network that is told the time, and the section that judges it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_comparison import judge_in
from test_digits import folder, run_in
from test_without_scheduler import context
from torch import nn

from generators.digits import classifier, deep, flow
from generators.digits.comparison import FLOORS
from generators.digits.deep import VARIANCE, DeepUNet, deep_unet, linear
from generators.errors import AuthorError
from generators.figure import Number, Panels, Trained, epoch_file
from generators.part_b import better as section
from generators.results import pack, unpack

__all__ = ["folder"]


def trained(trainer: object, path: Path, data: Path, **recipe: object) -> Trained:
    run = run_in(path, data)
    made = trainer.Recipe(epochs=2, batch=20, **recipe)  # type: ignore
    trainer.train(run, made)  # type: ignore
    run.finish()
    return Trained(path, 2, path.name, vars(made))


def test_the_linear_guess_is_the_best_there_is() -> None:
    """What it leaves has no covariance with x_t, and the deviation that it says."""
    t = torch.tensor([0.0, 0.3, 0.5, 0.9, 1.0])
    generator = torch.Generator().manual_seed(0)
    x_0, x_1 = torch.randn(2, 200_000, 5, generator=generator)
    x_1 = VARIANCE**0.5 * x_1
    x_t, velocity = (1 - t) * x_0 + t * x_1, x_1 - x_0
    guess, error, variance = linear(t)
    left = velocity - guess * x_t
    assert (left * x_t).mean(dim=0).abs().max() < 5e-3
    assert torch.allclose(left.std(dim=0), error, rtol=0.01)
    assert torch.allclose(x_t.var(dim=0), variance, rtol=0.02)


def test_untrained_the_deep_network_answers_with_the_linear_guess() -> None:
    torch.manual_seed(0)
    x, t = torch.randn(3, 1, 28, 28), torch.tensor([0.1, 0.5, 0.9])
    bias = (informed := DeepUNet(8, True)).out.bias.detach()
    guess, error, _ = linear(t.reshape(-1, 1, 1, 1))
    with torch.inference_mode():
        assert torch.allclose(informed(x, t), guess * x + error * bias, atol=1e-5)
        assert DeepUNet(8, False)(x, t).std() < 1e-6


def test_the_time_is_heard_and_pictures_are_not_mixed() -> None:
    torch.manual_seed(0)
    network = DeepUNet(12, True).eval()
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.1)
    x, t = torch.randn(2, 1, 28, 28), torch.tensor([0.2, 0.7])
    with torch.inference_mode():
        both = network(x, t)
        assert torch.allclose(both[1:], network(x[1:], t[1:]), atol=1e-4)
        later = network(x, t + 0.1) - linear(t + 0.1)[0][:, None, None, None] * x
        earlier = both - linear(t)[0][:, None, None, None] * x
    assert (later - earlier).abs().max() > 1e-2


def test_multiplications_are_those_of_its_layers() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.Flatten(), nn.Linear(8 * 14 * 14, 5))

    class Timed(nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(layers(x))

    expected = 14 * 14 * 8 * 9 + 8 * 14 * 14 * 5
    assert section.multiplications(Timed()) == expected


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / epoch_file(1))
    with pytest.raises(ValueError, match=r"holds another network: it has no first\.weight"):
        deep_unet(Trained(tmp_path, 1, "it", {"informed": True}), 1)


def test_the_section_judges_every_network(folder: Path, tmp_path: Path) -> None:
    networks = {
        "flow-time": trained(flow, tmp_path / "plain", folder, hidden=4),
        "flow-deep": trained(deep, tmp_path / "deep", folder, width=8),
        "cool": trained(deep, tmp_path / "cool", folder, width=8, decay=0.01),
        "bare": trained(deep, tmp_path / "bare", folder, width=8, informed=False),
        "judge-features": judge_in(tmp_path / "judge", folder),
    }
    parameters = section.Parameters(
        ("flow-time", "bare"), ("plain", "bare"), "flow-time", "flow-deep", "cool", (1, 2), (2,), (1, 2),
        count=20, references=40, evaluations=4,
    )  # fmt: skip
    results = section.experiment(context(networks, folder), parameters)
    assert results.scores.shape == (7, 4)
    assert results.samples.shape == (7, 10, 28, 28)
    assert np.isfinite(results.scores).all()
    # The last epoch of the plain one stands among the small ones and among the large ones.
    np.testing.assert_array_equal(results.samples[0], results.samples[3])
    np.testing.assert_array_equal(results.scores[0], results.scores[3])
    assert (results.samples[1] != results.samples[4]).any()
    # Rates differ from the second epoch on.
    assert (results.samples[4] != results.samples[6]).any()
    path = tmp_path / "results.safetensors"
    path.write_bytes(pack(results))
    outputs = list(section.figures(unpack(path, section.Results), parameters))
    numbers = {each.name: each.text for each in outputs if isinstance(each, Number)}
    assert numbers["floor-times"] == "1.0"
    assert numbers["floor-distance"] == f"{results.floors[:, 0].mean():.2f}"
    assert results.floors.shape == (FLOORS, 4)
    assert results.floors[:, 0].std() > 0
    assert numbers["deep-2-recall"] == f"{results.scores[4, 3]:.2f}"
    assert numbers["plain-1-distance"] == f"{results.scores[2, 0]:.2f}"
    assert numbers["cooled-1-precision"] == f"{results.scores[5, 2]:.2f}"
    assert numbers["cost"] == f"{results.computations[3] / results.computations[6]:.1f}"
    small, full = (each for each in outputs if isinstance(each, Panels))
    assert (len(small.rows), len(full.rows)) == (2, 5)
    assert full.labels == [
        f"{network}, epoch {epoch}"
        for network, epoch in (
            ("the exercise's", 1), ("the exercise's", 2), ("deep", 2),
            ("deep and cooled", 1), ("deep and cooled", 2),
        )
    ]  # fmt: skip
    wrong = replace(parameters, labels=("plain",))
    with pytest.raises(AuthorError, match="2 small, 1 labels"):
        list(section.figures(results, wrong))


def test_the_training_digits_themselves_score_best(folder: Path, tmp_path: Path) -> None:
    run = run_in(tmp_path / "judge", folder)
    classifier.train(run, classifier.Recipe(width=2, epochs=1, batch=20))
    judge = classifier.classifier(run.folder / epoch_file(1))
    generator = torch.Generator().manual_seed(1)
    data = (torch.rand(300, 28, 28, generator=generator) * 255).byte()
    features = classifier.judge(judge, data).features
    examination = section.Examination(judge, features, torch.arange(300))
    same, dark = (section.Score(*row) for row in examination.scores([data, data // 3]))
    assert same.precision == same.recall == 1
    # A judge trained for two updates has features of little spread: all distances are small.
    assert dark.frechet > 1000 * max(abs(same.frechet), 1e-12)
    assert dark.kernel > same.kernel
    few = section.Score(*examination.scores([data[:9].repeat(20, 1, 1)])[0])
    assert few.recall < 0.2 < few.precision == 1, "all are digits, and hardly any digit is there"
