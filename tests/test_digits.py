"""The network, the data and the training of Part B's first sections."""

import gzip
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from safetensors.torch import save_file
from torch import Tensor, nn

from generators import datasets, machine
from generators.digits import training as digit_training
from generators.digits.data import Digits, load, of_each_class, scaled
from generators.digits.denoising import Recipe, denoiser, estimate, noised, train
from generators.digits.linear import wiener
from generators.digits.training import Plan, fit, read_losses
from generators.digits.unet import UNet
from generators.errors import AuthorError
from generators.figure import Number, Plot, Trained
from generators.machine import choose_device
from generators.networks import Run
from generators.part_b import out_of_distribution
from generators.part_b.pure_noise import spread_of

MNIST = Path(os.environ.get("MNIST_DIR") or ROOT.parent / "shared" / "mnist")
needs_mnist = pytest.mark.skipif(
    not (MNIST / "t10k-images-idx3-ubyte.gz").is_file(), reason="needs MNIST (MNIST_DIR)"
)


def idx(array: Tensor) -> bytes:
    header = struct.pack(f">{array.ndim + 1}i", 0x0800 + array.ndim, *array.shape)
    return gzip.compress(header + bytes(array.flatten().tolist()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty blurred squares in MNIST's format, four of each class."""
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(40, 28, 28, dtype=torch.uint8)
    for image in images:
        row, column = torch.randint(4, 18, (2,), generator=generator).tolist()
        image[row : row + 6, column : column + 6] = 200
    for split in ("train", "t10k"):
        (tmp_path / f"{split}-images-idx3-ubyte.gz").write_bytes(idx(images))
        labels = torch.arange(40, dtype=torch.uint8) % 10
        (tmp_path / f"{split}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    return tmp_path


def run_in(
    folder: Path, data: Path, progress: Callable[[str, int, int], None] | None = None
) -> Run:
    silent = progress or (lambda what, done, total: None)
    return Run(folder, 180, torch.device("cpu"), lambda name: data, silent)


@pytest.mark.parametrize(("hidden", "parameters"), [(128, 7_891_073), (64, 1_975_361)])
def test_the_unet_has_the_parameters_of_the_exercise(hidden: int, parameters: int) -> None:
    network = UNet(hidden)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_the_unet_joins_its_shapes_where_the_exercise_says() -> None:
    shapes: dict[str, torch.Size] = {}
    network = UNet(8).eval()
    for name in ("first.1", "down1", "down2", "flatten", "unflatten", "up1", "up2", "last"):
        layer = network.get_submodule(name)
        layer.register_forward_hook(
            lambda _, __, output, name=name: shapes.update({name: output.shape[1:]})
        )
    seen: list[torch.Size] = []

    def look(x: Tensor) -> Tensor:
        seen.append(x.shape[1:])
        return x

    assert network(torch.zeros(2, 1, 28, 28), bottom=look, middle=look).shape == (2, 1, 28, 28)
    assert seen == [(16, 7, 7), (8, 14, 14)]
    assert shapes == {
        "first.1": (8, 28, 28), "down1": (8, 14, 14), "down2": (16, 7, 7), "flatten": (16, 1, 1),
        "unflatten": (16, 7, 7), "up1": (8, 14, 14), "up2": (8, 28, 28), "last": (8, 28, 28),
    }  # fmt: skip


def test_in_bfloat16_the_unet_answers_as_in_float32() -> None:
    torch.manual_seed(0)
    network = UNet(8).eval()
    x = torch.rand(4, 1, 28, 28)
    with torch.inference_mode():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(x)
    assert rounded.dtype == torch.float32
    assert (exact - rounded).norm() / exact.norm() < 0.02


def test_reading_gives_what_was_written(folder: Path) -> None:
    digits = load(folder, "train")
    assert digits.images.shape == (40, 28, 28)
    assert digits.labels.tolist() == [n % 10 for n in range(40)]
    x = scaled(digits.images)
    assert x.shape == (40, 1, 28, 28)
    assert x.min() == 0
    assert x.max() == 200 / 255


def test_a_digit_of_each_class_is_of_its_class(folder: Path) -> None:
    digits = load(folder, "t10k")
    marked = Digits(digits.labels[:, None, None].expand(-1, 28, 28), digits.labels)
    assert of_each_class(marked, (3, 1, 4, 1), 7)[:, 0, 0].tolist() == [3, 1, 4, 1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:30]), "images-idx3-ubyte.gz is damaged"),
        (lambda path: path.unlink(), "images-idx3-ubyte.gz: no such file"),
        (lambda path: shutil.copy(path.with_name("train-labels-idx1-ubyte.gz"), path),
         "images-idx3-ubyte.gz is train-labels-idx1-ubyte.gz"),
    ],
    ids=["truncated", "missing", "swapped"],
)  # fmt: skip
def test_a_wrong_data_file_is_refused_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], object], message: str
) -> None:
    sums = {path.name: datasets.md5(path) for path in folder.iterdir()}
    monkeypatch.setitem(datasets.DATASETS, "mnist", datasets.Dataset("MNIST_DIR", sums, ()))
    assert datasets.find("mnist", str(folder)) == folder
    assert datasets.find("mnist", folder.name, folder.parent) == folder
    damage(folder / "train-images-idx3-ubyte.gz")
    with pytest.raises(AuthorError, match=message):
        datasets.find("mnist", str(folder))


def test_without_data_or_network_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nowhere = datasets.DATASETS["mnist"]._replace(mirrors=("http://localhost:9/",))
    monkeypatch.setitem(datasets.DATASETS, "mnist", nowhere)
    with pytest.raises(AuthorError, match=r"could not be downloaded .* name it in MNIST_DIR"):
        datasets.find("mnist")


@needs_mnist
def test_mnist_is_what_its_sums_say() -> None:
    assert datasets.find("mnist", str(MNIST)) == MNIST
    train_split, test_split = load(MNIST, "train"), load(MNIST, "t10k")
    assert (len(train_split.images), len(test_split.images)) == (60_000, 10_000)
    x = scaled(train_split.images)
    assert x.mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert x.std().item() == pytest.approx(0.3081, abs=1e-4)
    assert spread_of(scaled(test_split.images)) == pytest.approx(0.06741, abs=1e-5)
    assert spread_of(x) == pytest.approx(0.06725, abs=1e-5)


def test_no_constant_answer_costs_less_than_the_mean() -> None:
    x = torch.tensor([0.0, 0.3, 0.9]).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    assert spread_of(x) == pytest.approx((0.4**2 + 0.1**2 + 0.5**2) / 3)


def test_noise_has_the_strength_asked_for() -> None:
    x = torch.full((200, 1, 28, 28), 0.25)
    z = noised(x, 0.5, 2.0, seed=1)
    assert z.mean().item() == pytest.approx(0.125, abs=0.02)
    assert z.std().item() == pytest.approx(2.0, rel=0.01)
    assert torch.equal(noised(x, 1.0, 0.0, seed=1), x)
    fifth, whole = noised(x, 1.0, 0.2, 5) - x, noised(x, 1.0, 1.0, 5) - x
    assert torch.allclose(fifth, 0.2 * whole, atol=1e-6), "one ε for every σ"


def test_the_linear_denoiser_is_the_best_there_is_for_a_gaussian() -> None:
    generator = torch.Generator().manual_seed(0)
    scales = torch.linspace(0.1, 2.0, 9)
    x = torch.randn(200_000, 1, 3, 3, generator=generator) * scales.reshape(1, 1, 3, 3) + 0.3
    sigma = 0.7
    z = x + sigma * torch.randn(x.shape, generator=generator)
    error = (wiener(x)(z, sigma) - x).square().mean().item()
    posterior = (scales**2 * sigma**2 / (scales**2 + sigma**2)).mean().item()
    assert error == pytest.approx(posterior, rel=0.01)
    assert torch.allclose(wiener(x)(x, 0.0), x, atol=1e-5)


def test_only_the_network_has_a_ratio_where_there_is_no_noise() -> None:
    nothing = np.zeros((3, 28, 28), np.float32)
    results = out_of_distribution.Results(
        nothing, nothing, (0.01, 0.1, 0.1), (0.0, 0.01, 0.2), (0.0, 0.25, 1.0)
    )
    parameters = out_of_distribution.Parameters(sigmas=(0.0, 0.5, 1.0))
    outputs = list(out_of_distribution.figures(results, parameters))
    (plot,) = (each for each in outputs if isinstance(each, Plot))
    assert [[*each.x] for each in plot.series] == [[0, 0.5, 1], [0.5, 1], [0.5, 1]]
    assert [*plot.series[0].y] == pytest.approx([20, 10, 10])
    assert [*plot.series[1].y] == pytest.approx([20, 6.9897], rel=1e-4)
    numbers = {each.name: each.text for each in outputs if isinstance(each, Number)}
    assert numbers["verdict"].endswith(r"the linear denoiser is ahead only at a $\sigma$ of 0.5.")
    assert numbers["noisy-image-psnr-1"] == "0.0 dB"
    assert numbers["network-psnr-0"] == "20.0 dB"


def test_training_descends_and_is_resumed_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    recipe = Recipe(hidden=4, epochs=3, batch=16, rate=1e-2)
    whole = run_in(tmp_path / "whole", folder)
    train(whole, recipe)
    whole.finish()
    losses = read_losses(tmp_path / "whole" / "losses.safetensors")
    assert [len(each) for each in losses] == [3, 3, 3], "40 images in batches of 16, 16 and 8"
    assert losses[-1].mean() < losses[0].mean()

    class KilledError(Exception):
        pass

    def kill(what: str, done: int, total: int) -> None:
        if done == 5:
            raise KilledError

    with pytest.raises(KilledError):
        train(run_in(tmp_path / "halved", folder, kill), recipe)
    halved = run_in(tmp_path / "halved", folder)
    train(halved, recipe)
    halved.finish()
    for path in (tmp_path / "whole").iterdir():
        if path == whole.state:
            continue  # It also holds the seconds that each epoch took.
        assert path.read_bytes() == (tmp_path / "halved" / path.name).read_bytes(), path.name


def test_training_is_what_a_plain_loop_would_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle: torch's own Adam on the same batches, without any of our machinery."""
    monkeypatch.setattr(digit_training, "bfloat16_pays", lambda device: False)
    digits = load(folder, "train")

    def loss(network: nn.Module, x: Tensor, _: Tensor, __: torch.Generator) -> Tensor:
        return (network(x) - x).square().mean()

    def start() -> UNet:
        torch.manual_seed(1)
        return UNet(4)

    run = run_in(tmp_path, folder)
    fit(start(), loss, digits, Plan(epochs=3, batch=40, rate=1e-2, decay=0.5), run)
    run.finish()
    ours = [each.item() for each in read_losses(tmp_path / "losses.safetensors")]
    plain = start().train()
    optimizer = torch.optim.Adam(plain.parameters(), 1e-2)
    losses = []
    for rate in (1e-2, 5e-3, 2.5e-3):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        x = scaled(digits.images)
        value = (plain(x) - x).square().mean()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert ours == pytest.approx(losses, rel=1e-3)
    assert losses[2] < 0.9 * losses[0]


def test_an_estimate_does_not_depend_on_its_batch(folder: Path, tmp_path: Path) -> None:
    train(run_in(tmp_path / "run", folder), Recipe(hidden=4, epochs=1, batch=20))
    network = denoiser(Trained(tmp_path / "run", 1).weights(1))
    assert not network.training
    z = noised(scaled(load(folder, "t10k").images), 1.0, 0.5, 3)
    assert torch.allclose(estimate(network, z, batch=7), estimate(network, z), atol=1e-6)


def test_a_foreign_weights_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "epoch-0001.safetensors"
    path.write_bytes(b"not weights at all")
    with pytest.raises(ValueError, match=r"epoch-0001.safetensors is no whole safetensors file"):
        denoiser(path)
    weights = UNet(4).state_dict()
    save_file({**weights, "last.0.0.bias": torch.zeros(5)}, path)
    with pytest.raises(
        ValueError, match=r"another network: last.0.0.bias is \(5,\), expected \(4,\)"
    ):
        denoiser(path)
    save_file(weights, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"epoch-0001.safetensors is no whole safetensors file"):
        denoiser(path)
    with pytest.raises(AuthorError, match="epoch 2 of network 'here', trained for 1"):
        Trained(tmp_path, 1).weights(2)


def test_convolutions_in_float32_are_not_rounded_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    machine.prepare(torch.get_num_threads())
    assert not torch.backends.cudnn.allow_tf32


def test_an_unknown_device_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"--device tpu: this machine has .*cpu"):
        choose_device("tpu")
    assert choose_device("cpu").type == "cpu"
