"""The moving average of weights, and the section that judges what it buys."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from test_digits import folder, run_in
from test_without_scheduler import context
from torch import Tensor, nn

from generators import files
from generators.digits import averaged, classifier, flow
from generators.digits.averaged import Averaging, average_file
from generators.digits.training import read_losses
from generators.figure import LOSSES, Number, Panels, Trained, epoch_file
from generators.networks import Run
from generators.part_b import averaged as section
from generators.results import pack, unpack
from generators.weights import read_tensors

__all__ = ["folder"]
RECIPE = averaged.Recipe(share=0.4, hidden=4, epochs=3, batch=20, rate=1e-2)


def observer(path: Path, share: float) -> Averaging:
    return Averaging(
        path, 0, torch.device("cpu"), lambda name: path, lambda what, done, total: None, share=share
    )


@pytest.mark.parametrize(
    ("share", "power"), [(0.5, 1), (1.0, 0)], ids=["later count more", "all count alike"]
)
def test_the_average_weighs_update_k_by_a_power_of_k(
    tmp_path: Path, share: float, power: int
) -> None:
    """The closed form: steps of 2/n weigh update k by k - 1, steps of 1/n weigh all alike."""
    network = nn.Linear(1, 1, bias=False)
    run = observer(tmp_path, share)
    run.restore(network, torch.optim.Adam(network.parameters()))
    values = torch.rand(9, generator=torch.Generator().manual_seed(0))

    def steps() -> Iterator[Tensor]:
        for value in values:
            network.weight.data.fill_(value)
            yield value

    assert list(run.counted(steps(), 0, 1, 9)) == list(values)
    weights = torch.arange(9) ** power
    expected = (weights * values).sum() / weights.sum()
    assert run.average.weight.item() == pytest.approx(expected.item(), rel=1e-5)
    assert network.weight.item() == values[-1]


def test_a_short_share_is_the_last_weights_themselves(tmp_path: Path) -> None:
    network = nn.BatchNorm1d(2)
    run = observer(tmp_path, share=1e-3)
    run.restore(network, torch.optim.Adam(network.parameters()))
    for _ in range(3):
        network(torch.randn(5, 2, generator=torch.Generator().manual_seed(1)))
        run.follow()
    for name, value in network.state_dict().items():
        assert torch.equal(run.average.state_dict()[name], value), name


def trained(path: Path, data: Path, recipe: averaged.Recipe = RECIPE) -> Run:
    run = run_in(path, data)
    averaged.train(run, recipe)
    return run


def test_the_training_itself_is_that_of_flow(folder: Path, tmp_path: Path) -> None:
    run = trained(tmp_path / "averaged", folder)
    plain = run_in(tmp_path / "plain", folder)
    flow.train(plain, flow.Recipe(hidden=4, epochs=3, batch=20, rate=1e-2))
    for each in (run, plain):
        each.finish()
    mine, theirs = (torch.cat(read_losses(each.folder / LOSSES)) for each in (run, plain))
    assert torch.equal(mine, theirs)
    last, averages = (
        read_tensors(each.folder / epoch_file(3))["unet.out.weight"] for each in (plain, run)
    )
    assert not torch.equal(last, averages)
    assert torch.allclose(last, averages, atol=0.1)
    expected = {epoch_file(epoch) for epoch in (1, 2, 3)} | {LOSSES, run.state.name}
    assert {path.name for path in run.folder.iterdir()} == expected


@pytest.mark.parametrize("moment", ["before the state", "before the weights", "at the end"])
def test_killed_at_any_moment_it_ends_in_the_same_average(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    whole = trained(tmp_path / "whole", folder)
    written = files.write
    stop = {
        "before the state": ("state.safetensors", 2),
        "before the weights": (epoch_file(2), 2),
        "at the end": (epoch_file(3), 2),
    }[moment]
    seen: list[str] = []

    def write(path: Path, content: bytes) -> None:
        seen.append(path.name)
        if (path.name, seen.count(path.name)) == stop:
            raise KeyboardInterrupt
        written(path, content)

    monkeypatch.setattr(files, "write", write)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", folder)
    monkeypatch.undo()
    again = trained(tmp_path / "killed", folder)
    once_more = trained(tmp_path / "killed", folder)
    for run in (again, once_more):
        for epoch in (1, 2, 3):
            expected = (whole.folder / epoch_file(epoch)).read_bytes()
            assert (run.folder / epoch_file(epoch)).read_bytes() == expected, epoch
    assert not (again.folder / average_file(3)).exists()


def test_the_section_judges_both_networks(folder: Path, tmp_path: Path) -> None:
    plain = run_in(tmp_path / "plain", folder)
    flow.train(plain, flow.Recipe(hidden=4, epochs=2, batch=20))
    judge = run_in(tmp_path / "judge", folder)
    classifier.train(judge, classifier.Recipe(width=2, epochs=1, batch=20))
    run = trained(tmp_path / "averaged", folder)
    for each in (plain, judge, run):
        each.finish()
    networks = {
        "flow-time": Trained(plain.folder, 2),
        "flow-averaged": Trained(run.folder, 3),
        "same": Trained(plain.folder, 2),
        "judge-features": Trained(judge.folder, 1),
    }
    parameters = section.Parameters(count=20, references=40, evaluations=4, epochs=(1, 2))
    results = section.experiment(context(networks, folder), parameters)
    assert results.scores.shape == (2, 2, 4)
    assert results.samples.shape == (2, 2, 10, 28, 28)
    assert np.isfinite(results.scores).all()
    path = tmp_path / "results.safetensors"
    path.write_bytes(pack(results))
    outputs = list(section.figures(unpack(path, section.Results), parameters))
    numbers = {each.name: each.text for each in outputs if isinstance(each, Number)}
    assert numbers["floor-times"] == "1.0"
    assert numbers["averaged-2-recall"] == f"{results.scores[1, 1, 3]:.2f}"
    assert [type(each) for each in outputs if not isinstance(each, Number)] == [Panels]
    twin = section.Parameters(
        averaged="same", count=20, references=40, evaluations=4, epochs=(1, 2)
    )
    results = section.experiment(context(networks, folder), twin)
    np.testing.assert_array_equal(results.scores[:, 0], results.scores[:, 1])
    np.testing.assert_array_equal(results.samples[:, 0], results.samples[:, 1])


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
