"""What networks are trained on: states, times, classes and targets, told apart by exact answers."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_digits import folder, run_in
from test_samples import context, training
from torch import Tensor, nn

from generators.digits import classifier, ddpm, deep, denoising, flow, samples
from generators.digits.conditioned import ClassUNet, TimeUNet, class_unet, time_unet
from generators.digits.deep import DeepUNet, deep_unet
from generators.digits.samples import no_class, streams_for
from generators.digits.sampling import unguided
from generators.digits.training import Loss, Plan
from generators.figure import Trained, epoch_file
from generators.part_b import ddpm as ddpm_section

__all__ = ["folder", "training"]
COUNT = 4000
NEAR = 0.9
"""Later than this a velocity asks for a division by next to nothing."""


class Caught(NamedTuple):
    """What a trainer hands to the loop that trains."""

    network: nn.Module
    loss: Loss
    plan: Plan


class Recorder(nn.Module):
    """Stands in for a network: keeps what it is given, and answers as it is told."""

    def __init__(self, answer: Callable[..., Tensor]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *given: Tensor) -> Tensor:
        self.given = given
        return self.answer(*given)


@pytest.fixture
def caught(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Caught]:
    def catch(trainer: ModuleType, **recipe: object) -> Caught:
        found: list[Caught] = []
        monkeypatch.setattr(
            trainer,
            "fit",
            lambda network, loss, _, plan, __: found.append(Caught(network, loss, plan)),
        )
        trainer.train(run_in(tmp_path, folder), trainer.Recipe(**recipe))
        return found[0]

    return catch


def digits() -> tuple[Tensor, Tensor, torch.Generator]:
    """Return images that no two are alike of, their classes, and a stream."""
    generator = torch.Generator().manual_seed(3)
    return torch.rand(COUNT, 1, 28, 28, generator=generator), torch.arange(COUNT) % 10, generator


def is_standard(noise: Tensor) -> bool:
    return abs(noise.mean().item()) < 5e-3 and abs(noise.std().item() - 1) < 5e-3


@pytest.mark.parametrize("trainer", [flow, deep], ids=["flow", "deep"])
def test_velocities_are_asked_on_straight_lines_from_noise_to_digits(
    caught: Callable[..., Caught], trainer: ModuleType
) -> None:
    x, labels, generator = digits()

    def velocity(x_t: Tensor, t: Tensor, *_: Tensor) -> Tensor:
        return (x - x_t) / (1 - t.double()).reshape(-1, 1, 1, 1)

    recorder = Recorder(velocity)
    loss = caught(trainer).loss(recorder, x, labels, generator).item()
    assert loss < 1e-5
    x_t, t, *_ = recorder.given
    assert t.shape == (COUNT,)
    early = t < NEAR
    along = t[early].reshape(-1, 1, 1, 1)
    assert is_standard((x_t[early] - along * x[early]) / (1 - along))


def test_flow_meets_all_times_alike_and_the_deep_one_those_about_the_middle(
    caught: Callable[..., Caught],
) -> None:
    for trainer, recipe, share in (
        (flow, {}, 0.5), (deep, {"middling": False}, 0.5), (deep, {}, 0.73)
    ):  # fmt: skip
        recorder = Recorder(lambda x_t, *_: x_t)
        caught(trainer, **recipe).loss(recorder, *digits())
        t = recorder.given[1]
        assert ((t > 0) & (t < 1)).all()
        assert t.mean().item() == pytest.approx(0.5, abs=0.02)
        middle = ((t > 0.25) & (t < 0.75)).double().mean().item()
        assert middle == pytest.approx(share, abs=0.03)


def test_diffusion_is_asked_for_the_noise_at_each_of_its_times(
    caught: Callable[..., Caught],
) -> None:
    x, labels, generator = digits()
    steps = 12
    alpha_bar = ddpm.linear(steps).alpha_bar

    def noise(x_t: Tensor, told: Tensor, *_: Tensor) -> Tensor:
        left = alpha_bar[(told * steps).round().long()].reshape(-1, 1, 1, 1).to(x_t.dtype)
        return (x_t - left.sqrt() * x) / (1 - left).sqrt()

    recorder = Recorder(noise)
    assert caught(ddpm, steps=steps).loss(recorder, x, labels, generator).item() < 1e-6
    x_t, told, _ = recorder.given
    times, counts = (told * steps).round().long().unique(return_counts=True)
    assert times.tolist() == list(range(1, steps + 1))
    assert counts.min() > COUNT / steps * 0.7
    assert is_standard(noise(x_t, told))


@pytest.mark.parametrize("trainer", [ddpm, flow], ids=["ddpm", "flow"])
def test_the_class_is_told_but_to_one_in_ten(
    caught: Callable[..., Caught], trainer: ModuleType
) -> None:
    x, labels, generator = digits()
    recorder = Recorder(lambda x_t, *_: x_t)
    caught(trainer, classes=True).loss(recorder, x, labels, generator)
    one_hot = recorder.given[2]
    is_told = one_hot.sum(dim=1) > 0
    assert (~is_told).double().mean().item() == pytest.approx(0.1, abs=0.02)
    assert torch.equal(one_hot[is_told].argmax(dim=1), labels[is_told])
    assert (one_hot.sum(dim=1) <= 1).all()


@pytest.mark.parametrize(("signal", "noise"), [(1.0, 0.5), (0.0, 1.0)])
def test_a_denoiser_is_asked_for_the_digit(
    caught: Callable[..., Caught], signal: float, noise: float
) -> None:
    x, labels, generator = digits()
    recorder = Recorder(lambda z: x)
    assert caught(denoising, signal=signal, noise=noise).loss(recorder, x, labels, generator) == 0
    (z,) = recorder.given
    assert is_standard((z - signal * x) / noise)


@pytest.mark.parametrize(
    "trainer", [ddpm, flow, deep, classifier], ids=["ddpm", "flow", "deep", "classifier"]
)
def test_the_rate_falls_by_its_decay_over_the_whole_training(
    caught: Callable[..., Caught], trainer: ModuleType
) -> None:
    plan = caught(trainer, epochs=7, decay=0.2, rate=3e-3).plan
    assert plan.decay**plan.epochs == pytest.approx(0.2)
    assert plan.rate == 3e-3


def test_judges_learn_from_digits_that_were_moved(caught: Callable[..., Caught]) -> None:
    _, labels, generator = digits()
    dots = torch.zeros(COUNT, 1, 28, 28)
    dots[:, :, 14, 9] = 1
    recorder = Recorder(lambda x: torch.zeros(len(x), 10))
    caught(classifier, shift=2).loss(recorder, dots, labels, generator)
    found = {divmod(at, 28) for at in recorder.given[0].flatten(1).argmax(dim=1).tolist()}
    assert found == {(row, column) for row in range(12, 17) for column in range(7, 12)}


def test_which_network_is_trained(caught: Callable[..., Caught]) -> None:
    for trainer, join in ((ddpm, torch.add), (flow, torch.mul)):
        network = caught(trainer, hidden=4).network
        assert isinstance(network, TimeUNet)
        assert network.join is join
        assert isinstance(caught(trainer, hidden=4, classes=True).network, ClassUNet)


def test_networks_are_read_ready_to_be_used(tmp_path: Path) -> None:
    path = tmp_path / epoch_file(1)
    save_file(TimeUNet(4, torch.mul).state_dict(), path)
    assert not time_unet(path, torch.mul).training
    save_file(ClassUNet(4).state_dict(), path)
    assert not class_unet(path).training
    save_file(DeepUNet(8, True).state_dict(), path)
    assert not deep_unet(Trained(tmp_path, 1, "deep", {"informed": True}), 1).training


def test_networks_are_told_the_time_exactly_where_the_rest_is_in_bfloat16(tmp_path: Path) -> None:
    path = tmp_path / epoch_file(1)
    t = torch.tensor([0.981, 0.982])
    assert len(set(t.bfloat16().tolist())) == 1
    x, classes = torch.rand(2, 1, 28, 28), torch.eye(2, 10)
    for written in (TimeUNet(4, torch.mul), ClassUNet(4)):
        save_file(written.state_dict(), path)
        time = isinstance(written, TimeUNet)
        network = time_unet(path, torch.mul) if time else class_unet(path)
        names = [each for each, _ in network.named_children() if each != "unet"]
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            rough = network(x, t, classes)
            told = {each: network.get_submodule(each)(asked(each, t, classes)) for each in names}
        with torch.no_grad():
            exact = network(x, t, classes)
            for each in names:
                asked_for = getattr(written, each)(asked(each, t, classes))
                assert torch.equal(told[each], asked_for), each
                assert not torch.equal(told[each][0], told[each][1]), each
        assert (rough - exact).abs().max() < 0.05 * exact.abs().max()


def asked(block: str, t: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    return t[:, None] if block.startswith("time") else classes


def test_diffusion_told_the_time_is_sampled_with_the_network_that_was_trained(
    training: Callable[[ModuleType, bool], Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "bfloat16_pays", lambda device: False)
    here = context(training(ddpm, False), "it")
    path = here.networks["it"].weights(2)
    tensors = load_file(path)
    for name in ("time_bottom.2.bias", "time_middle.2.bias"):
        tensors[name] += 2  # So that to add it is not to multiply by it.
    tensors["unet.out.weight"] *= 100
    save_file(tensors, path)
    parameters = ddpm_section.Parameters("it", (2,), 8, 1, 2)
    results = ddpm_section.experiment(here, parameters)
    network = time_unet(here.networks["it"].weights(2), torch.add)
    predict = unguided(network, no_class(10, here.device))
    with torch.inference_mode():
        *_, last = ddpm.ancestral(predict, ddpm.linear(8), streams_for(here, "samples", range(10)))
    expected = (last.x[:, 0].clamp(0, 1) * 255).round()
    assert (torch.tensor(results.samples[0]) - expected).abs().max() <= 1
