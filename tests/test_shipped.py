"""Networks that come with the checkout: served where they fit, refused where they are damaged."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import torch
from conftest import Small, forget
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import build
from generators.digits import shipping, stand_in
from generators.digits.conditioned import ClassUNet, class_unet
from generators.errors import AuthorError
from generators.figure import LOSSES, epoch_file
from generators.project import open_project
from generators.shipped import is_shipped, record_in, restore, ship
from generators.store import NetworkRecord, read_sealed, write_sealed

SHIPPED = Path("generators/tiny/weights/small.safetensors")


def run(small: Small, *arguments: str) -> int:
    forget()
    return build.main([*arguments, "--threads", "1"], small.root)


@pytest.fixture
def clone(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A checkout with a shipped network, as it is after cloning; training it is a failure."""
    assert run(small, "trained") == 0
    project = open_project(small.root, None, False)
    network = small.section("trained").networks[0]
    assert "small.safetensors, " in shipping.ship(project, network)
    shutil.rmtree(small.root / ".cache")
    shutil.rmtree(small.root / "site")
    monkeypatch.setattr(
        "generators.making_networks.Training.fit",
        lambda *_: (_ for _ in ()).throw(RuntimeError("trains")),
    )
    return small


def network_folder(small: Small) -> Path:
    return next((small.root / ".cache" / "networks").iterdir())


def test_a_clone_makes_a_section_without_training(clone: Small) -> None:
    key = clone.keys("trained")
    assert run(clone, "trained") == 0
    record = json.loads((clone.root / "site/trained/record.json").read_text())
    assert record["experiment"]["key"] == key[0], "where weights come from is no part of a key"
    assert record["networks"]["small"]["provenance"]["seconds"] >= 0
    assert len(load_file(network_folder(clone) / LOSSES)) == 3
    project = open_project(clone.root, None, False)
    told = shipping.ship(project, clone.section("trained").networks[0])
    assert "small.safetensors" in told, "exact weights may be shipped on"


def test_a_training_that_was_just_done_goes_before_what_is_shipped(clone: Small) -> None:
    assert run(clone, "trained") == 0
    shipped = network_folder(clone)
    record = cast(NetworkRecord, read_sealed(shipped).record)
    record["provenance"]["device"] = "a machine of one's own"
    # As a kill leaves it between the end of a forced training and its place among the networks.
    done = clone.root / ".cache" / "training" / shipped.name
    shutil.move(shipped, done)
    write_sealed(done, record)
    clone.edit("generators/tiny/trained.py", '["weight"])', '["weight"] * 2)')
    assert run(clone, "trained") == 0
    found = cast(NetworkRecord, read_sealed(network_folder(clone)).record)
    assert found["provenance"]["device"] == "a machine of one's own"


def test_what_would_run_does_not_speak_of_training(
    clone: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(clone, "trained", "--dry-run") == 0
    assert "train small" not in capsys.readouterr().out
    assert run(clone, "trained", "--dry-run", "--force") == 0
    assert "train small" in capsys.readouterr().out
    clone.edit("content/site.toml", "epochs = 3", "epochs = 2")
    assert run(clone, "trained", "--dry-run") == 0
    assert "train small" in capsys.readouterr().out


def test_weights_of_another_recipe_are_not_served(clone: Small) -> None:
    clone.edit("content/site.toml", "epochs = 3", "epochs = 2")
    assert run(clone, "trained") == 1, "it went on to train"


@pytest.mark.parametrize(("named", "is_served"), [("small", False), ("another", True)])
def test_epochs_are_asked_of_the_network_that_they_are_named_for(
    clone: Small, named: str, is_served: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = f"    one: str = '{named}'\n    one_epochs: tuple[int, ...] = (1,)"
    clone.edit("generators/tiny/trained.py", "    pass", parameters)
    assert run(clone, "trained", "--dry-run") == 0
    assert ("train small" in capsys.readouterr().out) != is_served
    assert run(clone, "trained") == (0 if is_served else 1), "shipped after epoch 3 alone"
    assert ("RuntimeError: trains" in capsys.readouterr().out) != is_served
    clone.edit("generators/tiny/trained.py", named, "small")
    clone.edit("generators/tiny/trained.py", '["weight"])', '["weight"] * 2)')
    assert run(clone, "trained", "--dry-run") == 0
    assert "train small" in capsys.readouterr().out, "what is kept lacks epoch 1 as well"


def test_what_is_shipped_already_is_not_written_again(tmp_path: Path) -> None:
    """Each writing would be a change: safetensors orders metadata at random."""
    path = written(tmp_path, torch.nn.Linear(30, 30))
    content = path.read_bytes()
    for damage in (content[:-1] + b"\x7f", b"[" + content[1:], content[:60], b""):
        path.write_bytes(damage)
        ship_again(tmp_path)
        assert len(path.read_bytes()) == len(content)
        assert path.read_bytes()[-100:] == content[-100:]
    os.utime(path, (1, 1))
    for _ in range(5):
        ship_again(tmp_path)
    assert path.stat().st_mtime == 1


def test_a_damaged_file_stops_the_section_by_name(
    clone: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    path = clone.root / SHIPPED
    path.write_bytes(path.read_bytes()[:-40])
    assert run(clone, "trained") == 1
    assert "small.safetensors is damaged" in capsys.readouterr().out


def ship_again(folder: Path, epochs: int = 1) -> None:
    """Ship the network that lies in `folder` once more."""
    record = cast(NetworkRecord, {"key": "k", "recipe": {}, "epochs": epochs, "files": {}})
    ship(folder / "shipped.safetensors", folder / "trained", record, range(1, epochs + 1))


def written(folder: Path, *networks: torch.nn.Module) -> Path:
    """Ship a network as if it had been trained, a network for each epoch."""
    (folder / "trained").mkdir(exist_ok=True)
    epochs = range(1, len(networks) + 1)
    for epoch, network in zip(epochs, networks, strict=True):
        save_file(network.state_dict(), folder / "trained" / epoch_file(epoch))
    save_file({"0": torch.tensor([1 / 3])}, folder / "trained" / LOSSES)
    ship_again(folder, len(networks))
    return folder / "shipped.safetensors"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "is no file of weights"),
        (lambda path: path.write_bytes(b"PK\3\4 a pickle perhaps"), "is no file of weights"),
        (lambda path: save_file({"weight": torch.zeros(4, 4)}, path), "is no file of weights"),
        (lambda path: path.write_bytes(b""), "is no file of weights"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x7f"), "is not as it was"),
    ],
    ids=[
        "cut in its tensors",
        "cut in its header",
        "another format",
        "foreign",
        "empty",
        "changed",
    ],
)
def test_a_damaged_or_foreign_file_is_refused_by_name(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    path = written(tmp_path, torch.nn.Linear(20, 20))
    assert is_shipped(path, "k")
    damage(path)
    with pytest.raises(AuthorError, match=rf"shipped.safetensors {message}.*from the repository"):
        restore(path, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "record.json"])
def test_a_file_that_names_others_is_refused_unwritten(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, torch.nn.Linear(20, 20))
    with safe_open(path, "pt") as file:
        told = file.metadata()
        tensors = {each: file.get_tensor(each) for each in file.keys()}  # noqa: SIM118
    record = json.loads(told["record"])
    record["files"] |= {name: ""}
    save_file(tensors, path, told | {"record": json.dumps(record)})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(AuthorError, match="a file that no training leaves"):
        restore(path, tmp_path / "restored")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_epoch_that_was_not_shipped_cannot_be_shipped_on(clone: Small) -> None:
    assert run(clone, "trained") == 0
    clone.edit("generators/tiny/trained.py", "    pass", "    epochs: tuple[int, ...] = (1, 3)")
    before = (clone.root / SHIPPED).read_bytes()
    project = open_project(clone.root, None, False)
    told = shipping.ship(project, project.site.sections[-1].networks[0])
    assert told == "small: epoch 1 was not shipped before; nothing written"
    assert (clone.root / SHIPPED).read_bytes() == before


def test_what_an_author_got_wrong_is_one_line_of_shipping_too(
    clone: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shipping.main(clone.root) == 0
    assert capsys.readouterr().out == "small: not trained on this machine; nothing written\n"
    monkeypatch.setattr("generators.digits.stand_in.prepare", lambda threads: None)
    assert stand_in.main(clone.root, []) == 1
    clone.edit("content/site.toml", "epochs = 3", "epoch = 3")
    assert shipping.main(clone.root) == stand_in.main(clone.root, []) == 1
    no_network, *unknown = capsys.readouterr().err.splitlines()
    assert no_network.startswith("no section names the network 'flow-class'")
    assert len(unknown) == 2
    assert all("unknown parameter 'epoch', did you mean 'epochs'?" in each for each in unknown)


def test_an_epoch_that_was_left_out_is_not_faked(clone: Small) -> None:
    path = clone.root / SHIPPED
    record = record_in(path)
    assert record is not None
    assert list(record["files"]) == ["epoch-0003.safetensors", LOSSES], "no section asks for more"
    assert is_shipped(path, record["key"])
    assert is_shipped(path, record["key"], (3,))
    assert not is_shipped(path, record["key"], (1, 3))
    assert not is_shipped(path.with_name("other.safetensors"), record["key"])


def test_kernels_are_rounded_and_statistics_are_not(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ClassUNet(24).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(1e6 + 1)  # float16 ends at 65504
    path = written(tmp_path, network)
    assert path.stat().st_size < 0.6 * (tmp_path / "trained" / epoch_file(1)).stat().st_size
    there = restore(path, tmp_path / "restored")
    assert there["rounded"] == "float16"
    assert not read_sealed(tmp_path / "restored").damage
    assert load_file(tmp_path / "restored" / LOSSES)["0"].item() == torch.tensor(1 / 3).item()
    served = class_unet(tmp_path / "restored" / epoch_file(1))
    assert {value.dtype for value in served.parameters()} == {torch.float32}
    assert torch.equal(served.unet.first[0][1].running_var, network.unet.first[0][1].running_var)
    x, t, classes = torch.randn(2, 1, 28, 28), torch.rand(2), torch.eye(10)[:2]
    with torch.inference_mode():
        exact, rounded = network(x, t, classes), served(x, t, classes)
    assert 0 < (rounded - exact).norm() / exact.norm() < 1e-2


def test_what_is_too_large_for_one_file_is_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = [torch.nn.Linear(20, 20) for _ in range(3)]
    monkeypatch.setattr("generators.shipped.LARGEST", 2 * 4 * 20 * 21 + 4)
    path = written(tmp_path, *networks)
    second = tmp_path / "shipped.2.safetensors"
    assert {each.name for each in tmp_path.glob("*.safetensors")} == {path.name, second.name}
    assert is_shipped(path, "k", (1, 2, 3))
    restore(path, tmp_path / "restored")
    for epoch, network in enumerate(networks, 1):
        found = load_file(tmp_path / "restored" / epoch_file(epoch))
        assert torch.equal(found["weight"], network.weight)
    second.rename(tmp_path / "gone")
    with pytest.raises(AuthorError, match=r"shipped.safetensors is damaged.*2.safetensors"):
        restore(path, tmp_path / "again")
    (tmp_path / "gone").rename(second)
    another = tmp_path / "shipped.too.safetensors"
    another.touch()
    written(tmp_path, *networks[:2])
    assert not second.exists()
    assert another.exists(), "it is of a network called shipped.too"
    restore(path, tmp_path / "again")


def test_a_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    assert record_in(tmp_path / "none.safetensors") is None
