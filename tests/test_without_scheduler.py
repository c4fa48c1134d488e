"""B2.5: networks that differ in their learning rate, beside one another."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from test_digits import folder, run_in
from torch import Tensor, nn

from generators.digits import flow
from generators.errors import AuthorError
from generators.figure import Context, Number, Panels, Plot, Trained
from generators.part_b import without_scheduler as section
from generators.results import pack, unpack
from generators.tables import split

__all__ = ["folder"]


class Constant(nn.Module):
    """A velocity that is the same everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.value.expand(x.shape)


class Knowing(Constant):
    """The velocity towards one known image, (x_1 - x_t) / (1 - t)."""

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        velocity: Tensor = (self.value - x) / (1 - t).reshape(-1, 1, 1, 1)
        return velocity


def test_a_constant_velocity_is_wrong_by_what_it_is_off() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(600, 1, 28, 28, generator=generator)
    t = torch.rand(600, generator=generator)
    found = section.velocity_error(Constant(2.0), noise + 0.5, noise, t)
    assert found == pytest.approx(1.5**2, rel=1e-6)


def test_the_exact_velocity_towards_one_image_is_never_wrong() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(300, 1, 28, 28, generator=generator)
    t = 0.9 * torch.rand(300, generator=generator)
    x = torch.full((300, 1, 28, 28), 0.25)
    assert section.velocity_error(Knowing(0.25), x, noise, t) < 1e-8
    assert section.velocity_error(Knowing(0.3), x, noise, t) > 1e-3


def test_a_curve_keeps_the_mean_and_the_length_of_its_losses() -> None:
    losses = np.arange(21, dtype=np.float32)
    x, y = section.averaged(losses, per_epoch=7)
    assert len(x) == 3 * section.PER_EPOCH
    assert x[0] > 0
    assert x[-1] < 3
    # A straight line stays one: update k, counted from 0, ends at (k + 1) / 7 epochs.
    np.testing.assert_allclose(y, 7 * np.array(x) - 0.5, rtol=1e-6)


@pytest.fixture
def training(folder: Path, tmp_path: Path) -> Callable[[str, float, int], Trained]:
    def train(name: str, rate: float, epochs: int) -> Trained:
        run = run_in(tmp_path / name, folder)
        flow.train(run, flow.Recipe(hidden=4, epochs=epochs, batch=20, rate=rate, decay=1.0))
        run.finish()
        return Trained(tmp_path / name, epochs)

    return train


def context(networks: dict[str, Trained], data: Path) -> Context:
    return Context(
        "here", 180, torch.device("cpu"), Path(), lambda name: data, networks,
        lambda what, done, total: None,
    )  # fmt: skip


def test_arms_of_different_lengths_stand_side_by_side(
    training: Callable[[str, float, int], Trained], folder: Path, tmp_path: Path
) -> None:
    networks = {
        "still": training("still", 0.0, 2),
        "twin": training("twin", 0.0, 2),
        "fast": training("fast", 0.1, 3),
    }
    parameters = section.Parameters(tuple(networks), ("0", "0 again", "0.1"), 4, 3, 50)
    results = section.experiment(context(networks, folder), parameters)
    assert results.epochs == (2, 2, 3)
    assert results.updates_per_epoch == 2
    assert results.samples.shape == (3, 3, 28, 28)
    still, twin, fast = section.losses_of(results)
    assert (len(still), len(fast)) == (4, 6)
    np.testing.assert_array_equal(still, twin)
    assert still[0] == fast[0]
    np.testing.assert_array_equal(results.samples[0], results.samples[1])
    assert (results.samples[0] != results.samples[2]).any()
    assert results.test_losses[0] == results.test_losses[1] != results.test_losses[2]
    path = tmp_path / "results.safetensors"
    path.write_bytes(pack(results))
    outputs = list(section.figures(unpack(path, section.Results), parameters))
    numbers = {each.name: each.text for each in outputs if isinstance(each, Number)}
    assert numbers["epochs-fast"] == "3"
    assert numbers["test-images"] == "40", "as many as there are, though 50 were asked for"
    assert numbers["loss-still"] == f"{still[2:].mean():.4f}"
    assert numbers["shared-epochs"] == "2"
    assert numbers["shared-loss-still"] == numbers["loss-still"]
    assert numbers["shared-loss-fast"] == f"{fast[2:4].mean():.4f}" != numbers["loss-fast"]
    figures = [each for each in outputs if not isinstance(each, Number)]
    assert [type(each) for each in figures] == [Plot, Panels]


def test_arms_without_a_label_are_refused() -> None:
    nothing = np.zeros((2, 1, 28, 28), np.uint8)
    results = section.Results(nothing, np.zeros(4, np.float32), (1, 1), 2, (0.0, 0.0), 40, 4)
    with pytest.raises(AuthorError, match="2 arms, 1 labels"):
        list(section.figures(results, section.Parameters(("a", "b"), ("one",))))


@pytest.mark.parametrize("file", ["b25-without-scheduler.md", "b251-small-budget.md"])
def test_the_labels_say_how_the_published_arms_were_trained(file: str) -> None:
    networks = tomllib.loads((ROOT / "content" / "site.toml").read_text())["networks"]
    head = split(ROOT / "content" / file)[0]
    table = tomllib.loads(head)
    arms, labels = table["parameters"]["arms"], table["parameters"]["labels"]
    assert table["networks"] == arms
    recipes = [networks[arm] for arm in arms]
    for recipe, label in zip(recipes, labels, strict=True):
        assert recipe["rate"] == float(label.split(",")[0])
        assert ("decaying" in label) == (recipe.get("decay") != 1.0)
        assert ("longer" in label) == (recipe["epochs"] == 15)
        assert (f"{recipe['epochs']} epochs" in label) == (recipe["epochs"] not in (10, 15))
    assert len({(each["hidden"], each["batch"], each.get("images")) for each in recipes}) == 1
