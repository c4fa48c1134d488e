"""The sampling sections end to end, on networks trained for a moment."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_digits import folder, run_in
from torch import nn

from generators.digits import ddpm, flow
from generators.digits.conditioned import ClassUNet, TimeUNet
from generators.digits.samples import followed, pixels
from generators.digits.sampling import Step, guided
from generators.errors import AuthorError
from generators.figure import Animation, Context, Number, Panels, Plot, Trained, Trajectory
from generators.part_b import ddpm as ddpm_section
from generators.part_b import ddpm_class, flow_class
from generators.part_b import flow as flow_section
from generators.results import pack, unpack

__all__ = ["folder"]
CASES = [
    (ddpm, ddpm_section, False),
    (ddpm, ddpm_class, True),
    (flow, flow_section, False),
    (flow, flow_class, True),
]


def context(trained: Trained, name: str, seed: int = 180) -> Context:
    return Context(
        "here", seed, torch.device("cpu"), Path(), lambda name: Path(), {name: trained},
        lambda what, done, total: None,
    )  # fmt: skip


@pytest.fixture
def training(folder: Path, tmp_path: Path) -> Callable[[ModuleType, bool], Trained]:
    def train(trainer: ModuleType, classes: bool) -> Trained:
        run = run_in(tmp_path / "run", folder)
        times = {"steps": 8} if trainer is ddpm else {}
        recipe = trainer.Recipe(classes=classes, hidden=4, epochs=2, batch=20, **times)
        trainer.train(run, recipe)
        run.finish()
        return Trained(tmp_path / "run", 2, "it", vars(recipe))

    return train


def exaggerate(path: Path) -> None:
    """Make what a network is told of the digit, and its answer, as loud as a long training would."""
    tensors = load_file(path)
    for name in tensors:
        if name.startswith("class_"):
            tensors[name] *= 20
        if name == "unet.out.weight":
            tensors[name] *= 5
    save_file(tensors, path)


def first_asked(monkeypatch: pytest.MonkeyPatch, kind: type[nn.Module]) -> list[torch.Tensor]:
    """Return a list that takes the first twenty images that each network of a kind is shown."""
    seen: dict[int, torch.Tensor] = {}
    found: list[torch.Tensor] = []
    forward = kind.forward

    def watched(self: nn.Module, x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if id(self) not in seen:
            seen[id(self)] = x
            found.append(x[:20].clone())
        answer: torch.Tensor = forward(self, x, *rest)
        return answer

    monkeypatch.setattr(kind, "forward", watched)
    return found


@pytest.mark.parametrize(("trainer", "section", "classes"), CASES, ids=["ddpm", "ddpm class", "flow", "flow class"])  # fmt: skip
def test_a_section_samples_and_draws(
    training: Callable[[ModuleType, bool], Trained],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trainer: ModuleType,
    section: ModuleType,
    classes: bool,
) -> None:
    chosen = {"network": "it", "epochs": (1, 2), "steps": 8, "rows": 2, "frames": 5}
    parameters = section.Parameters(**chosen, **({"scales": (0.0, 1.0)} if classes else {}))
    here = context(training(trainer, classes), "it")
    begun = first_asked(monkeypatch, ClassUNet if classes else TimeUNet)
    results = section.experiment(here, parameters)
    assert results.samples.shape == (2, 20, 28, 28)
    assert results.samples.dtype == np.uint8
    assert results.states.shape == (5, 20, 28, 28)
    assert results.estimates.shape == (5, 20, 28, 28)
    np.testing.assert_array_equal(results.states[-1], results.samples[-1])
    np.testing.assert_array_equal(results.states[0], pixels(begun[-1]))
    assert (results.times[0], results.times[-1]) == ((8, 0) if trainer is ddpm else (0, 1))
    path = tmp_path / "results.safetensors"
    path.write_bytes(pack(results))
    figures = list(section.figures(unpack(path, type(results)), parameters))
    kinds = [type(each) for each in figures if not isinstance(each, Number)]
    assert kinds == [Plot, Panels, Panels, Trajectory, Animation] + [Panels] * classes
    (moving,) = (each for each in figures if isinstance(each, Animation))
    for frame, state, estimate in zip(
        moving.frames, results.states, results.estimates, strict=True
    ):
        left, right = np.asarray(frame)[:, : 5 * 28], np.asarray(frame)[:, -5 * 28 :]
        for index in range(20):
            row, column = divmod(index, 5)
            place = slice(28 * row, 28 * row + 28), slice(28 * column, 28 * column + 28)
            np.testing.assert_array_equal(left[place], state[index])
            np.testing.assert_array_equal(right[place], estimate[index])
    again = section.experiment(here, parameters)
    np.testing.assert_array_equal(again.samples, results.samples)
    other = section.experiment(context(here.networks["it"], "it", seed=181), parameters)
    assert (other.samples != results.samples).any()


@pytest.mark.parametrize(("trainer", "section"), [(ddpm, ddpm_class), (flow, flow_class)], ids=["ddpm", "flow"])  # fmt: skip
def test_the_sweep_repeats_the_first_row_at_its_own_scale(
    training: Callable[[ModuleType, bool], Trained], trainer: ModuleType, section: ModuleType
) -> None:
    parameters = section.Parameters(
        network="it", epochs=(1, 2), steps=8, rows=2, frames=2, scale=6.0, scales=(0.0, 1.0, 6.0)
    )
    trained = training(trainer, True)
    for epoch in (1, 2):
        exaggerate(trained.weights(epoch))
    results = section.experiment(context(trained, "it"), parameters)
    # Rows of one batch may be summed in another order: at most a rounding of 8 bits apart.
    found, first = results.sweep.astype(int), results.samples[1][:10].astype(int)
    ignored, plain, same = (np.abs(row - first).max() for row in found)
    assert same <= 1
    assert min(ignored, plain) > 20
    earlier = section.Parameters(
        network="it", epochs=(1,), steps=8, rows=2, frames=2, scale=1.0, scales=(6.0,)
    )
    once = section.experiment(context(trained, "it"), earlier)
    difference = once.sweep[0].astype(int) - results.samples[0][:10].astype(int)
    assert np.abs(difference).max() <= 1


def test_the_animation_of_one_row_shows_nothing_of_the_sweep(
    training: Callable[[ModuleType, bool], Trained],
) -> None:
    chosen = {"network": "it", "epochs": (2,), "steps": 8, "rows": 1, "frames": 3}
    parameters = flow_class.Parameters(**chosen, scales=(0.0, 1.0))
    results = flow_class.experiment(context(training(flow, True), "it"), parameters)
    (moving,) = (
        each for each in flow_class.figures(results, parameters) if isinstance(each, Animation)
    )
    assert {np.asarray(frame).shape[0] for frame in moving.frames} == {2 * 28}


def test_a_network_of_another_kind_is_refused(
    training: Callable[[ModuleType, bool], Trained],
) -> None:
    trained = training(ddpm, False)
    with pytest.raises(ValueError, match=r"epoch-0002.safetensors holds another network"):
        ddpm_class.experiment(context(trained, "it"), ddpm_class.Parameters("it", (2,), 8))


def test_the_way_ends_where_sampling_does(training: Callable[[ModuleType, bool], Trained]) -> None:
    chosen = {"network": "it", "epochs": (2,), "steps": 40, "rows": 1, "frames": 30}
    results = flow_section.experiment(
        context(training(flow, False), "it"), flow_section.Parameters(**chosen)
    )
    outputs = flow_section.figures(results, flow_section.Parameters(**chosen))
    (way,) = (each for each in outputs if isinstance(each, Trajectory))
    assert len(way.steps) == 11
    assert way.steps[-1] == "t = 1"


def test_a_network_that_was_told_other_times_is_refused(
    training: Callable[[ModuleType, bool], Trained],
) -> None:
    diffusion = context(training(ddpm, True), "it")
    with pytest.raises(AuthorError, match="network 'it' has steps = 8 in its recipe, expected 300"):
        ddpm_class.experiment(diffusion, ddpm_class.Parameters("it", (2,)))
    matching = context(training(flow, True), "it")
    with pytest.raises(AuthorError, match="network 'it' has no steps in its recipe, expected 300"):
        ddpm_class.experiment(matching, ddpm_class.Parameters("it", (2,)))


def test_beside_every_state_stands_what_was_seen_in_it() -> None:
    noise, half, done, seen, last = (
        torch.full((1, 1, 28, 28), v) for v in (0.1, 0.3, 0.5, 0.7, 0.5)
    )
    way = followed([Step(0.5, half, seen), Step(1, done, last)], noise, 0)
    assert way.times == [0, 0.5, 1]
    assert [state[0, 0, 0] for state in way.states] == [26, 76, 128]
    assert [estimate[0, 0, 0] for estimate in way.estimates] == [178, 128, 128]


def test_every_picture_is_guided_by_its_own_scale() -> None:
    def network(x: torch.Tensor, t: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return classes.sum(dim=1).reshape(-1, 1, 1, 1) * torch.ones_like(x)

    scales = torch.tensor([0.0, 1.0, 5.0]).reshape(-1, 1, 1, 1)
    predict = guided(network, torch.eye(10)[:3], scales)
    assert predict(torch.zeros(3, 1, 28, 28), torch.zeros(3))[:, 0, 0, 0].tolist() == [0, 1, 5]
