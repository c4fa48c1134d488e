"""Where MNIST cannot be had: stand-in digits that say so, other data by name, or a skipped section."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from conftest import Small, forget

import build
from generators import datasets
from generators.content import Network
from generators.digits.data import load
from generators.digits.stand_in import archive
from generators.errors import AuthorError
from generators.keys import experiment_key, network_key
from generators.project import open_project
from generators.shipped import shipped_file
from generators.stand_in import ARCHIVE, CAPTION, NAME, stand_in

MODULE = """
from dataclasses import dataclass
import gzip
import numpy as np
from generators.figure import Panels


@dataclass(frozen=True)
class Parameters:
    pass


@dataclass(frozen=True)
class Results:
    pixels: np.ndarray


def experiment(context, parameters):
    content = gzip.decompress((context.dataset("mnist") / "train-images-idx3-ubyte.gz").read_bytes())
    return Results(np.frombuffer(content, np.uint8, 784, 16).reshape(28, 28))


def figures(results, parameters):
    yield Panels("digit", "A digit.", "A digit.", [[results.pixels]])
"""
TEXT = """+++
title = "Digit"
part = "b"
number = "4"
generator = "tiny.digit"
+++
![](figure:digit)
"""


def digits() -> bytes:
    images = torch.arange(20, dtype=torch.uint8)[:, None, None].expand(-1, 28, 28) + 100
    return archive(images.contiguous(), (torch.arange(20) % 10).byte(), {"network": "none"})


def run(small: Small, *arguments: str) -> int:
    forget()
    return build.main([*arguments, "--threads", "1"], small.root)


@pytest.fixture
def offline(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """The small write-up with a section that wants MNIST, where there is none."""
    (small.tiny / "digit.py").write_text(MODULE, encoding="utf-8")
    (small.root / "content/b4-digit.md").write_text(TEXT, encoding="utf-8")
    for name, dataset in datasets.DATASETS.items():
        monkeypatch.delenv(dataset.variable, raising=False)
        nowhere = dataset._replace(mirrors=("http://localhost:9/",))
        monkeypatch.setitem(datasets.DATASETS, name, nowhere)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return small


def record_of(small: Small) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(
        (small.root / "site/digit/record.json").read_text(encoding="utf-8")
    )
    return found


def test_without_data_or_stand_in_a_section_is_skipped_with_a_line(
    offline: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(offline, "digit") == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("digit"))
    assert row.split()[1] == "skipped"
    assert "could not be downloaded" in row
    assert not (offline.root / "site/digit/record.json").exists()


def test_results_on_the_stand_in_say_so_and_never_pass_for_mnist(
    offline: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = offline.root / ARCHIVE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(digits())
    plain = offline.keys("digit")
    code, section = open_project(offline.root, None, False).code, offline.section("digit")
    assert run(offline, "digit") == 0
    assert "stand-in digits are used, and figures say so" in capsys.readouterr().out
    record = record_of(offline)
    assert record["shown"][0]["caption"] == f"A digit. {CAPTION}"  # type: ignore[index]
    assert "digits that stand in for MNIST" in (offline.root / "site/part-b.html").read_text()
    assert record["experiment"]["key"] != plain[0]
    assert record["experiment"]["key"] == experiment_key(code, section._replace(data=NAME)).digest
    path.write_bytes(path.read_bytes() + b"another archive")
    assert record["experiment"]["key"] != experiment_key(code, section._replace(data=NAME)).digest
    path.write_bytes(digits())
    assert offline.keys("digit") == plain, "what is wanted is still MNIST"
    assert run(offline, "--check") == 1
    assert "digit: made on stand-in digits" in capsys.readouterr().out
    # MNIST turns up: the section is made again, without the mark.
    folder = stand_in(offline.root, offline.root / ".cache")
    assert folder is not None
    sums = {file.name: datasets.md5(file) for file in folder.iterdir()}
    monkeypatch.setitem(datasets.DATASETS, "mnist", datasets.Dataset("MNIST_DIR", sums, ()))
    monkeypatch.setenv("MNIST_DIR", os.fspath(folder))
    assert run(offline, "digit") == 0
    record = record_of(offline)
    assert record["experiment"]["key"] == plain[0]
    assert record["shown"][0]["caption"] == "A digit."  # type: ignore[index]


def test_results_on_the_stand_in_are_kept_for_the_next_build(
    offline: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = offline.root / ARCHIVE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(digits())
    assert run(offline, "digit") == 0
    record = record_of(offline)
    monkeypatch.setattr("generators.making.Maker.run", lambda *_: pytest.fail("ran again"))
    offline.edit("generators/tiny/digit.py", '"A digit.", "A', '"One digit.", "A')
    assert run(offline, "digit") == 0
    assert record_of(offline)["experiment"] == record["experiment"]
    assert record_of(offline)["shown"][0]["caption"] == f"One digit. {CAPTION}"  # type: ignore[index]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (PermissionError("Cannot write to the cache"), "Cannot write to the cache"),
    ],
)
def test_a_disk_that_takes_nothing_is_not_missing_data(
    offline: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    error: OSError, told: str,
) -> None:  # fmt: skip
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("pooch.Pooch.fetch", fail)
    assert run(offline, "digit") == 1
    assert told in capsys.readouterr().out


def test_the_archive_holds_digits_in_mnists_format(tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).parent.mkdir(parents=True)
    (tmp_path / ARCHIVE).write_bytes(digits())
    assert digits() == digits(), "no clock has a say in it"
    folder = stand_in(tmp_path, tmp_path / "cache")
    assert folder is not None
    train, test = load(folder, "train"), load(folder, "t10k")
    assert (len(train.images), len(test.images)) == (16, 4)
    assert train.images[3, 0, 0] == 103
    assert test.labels.tolist() == [6, 7, 8, 9]
    (tmp_path / ARCHIVE).write_bytes(digits()[:-200])
    with pytest.raises(AuthorError, match=r"stand-in.zip is damaged"):
        stand_in(tmp_path, tmp_path / "cache")
    assert stand_in(tmp_path / "elsewhere", tmp_path) is None


def test_other_data_are_one_word_in_a_recipe_and_part_of_the_key(small: Small) -> None:
    plain, section = small.section("trained").networks[0], small.keys("trained")
    small.edit("content/site.toml", "epochs = 3", 'epochs = 3\ndata = "fashion-mnist"')
    remedy = "network 'small' is of fashion-mnist; set data = 'fashion-mnist' here too"
    with pytest.raises(AuthorError, match=remedy):
        small.section("trained")
    head = 'generator = "tiny.trained"\n'
    small.edit("content/b3-trained.md", head, f'{head}data = "fashion-mnist"\n')
    code = open_project(small.root, None, False).code
    dressed = small.section("trained").networks[0]
    assert dressed == Network(*plain[:4], data="fashion-mnist")
    assert network_key(code, dressed).digest != network_key(code, plain).digest
    assert small.keys("trained") != section
    small.edit("content/site.toml", 'data = "fashion-mnist"', "")
    assert small.section("trained").networks[0] == dressed, "the section's word is enough"
    assert shipped_file(small.root, dressed) != shipped_file(small.root, plain)
    small.edit("content/b3-trained.md", "fashion-mnist", "mnist")
    assert small.section("trained").networks[0] == plain, "MNIST is what all mean"
    small.edit("content/b3-trained.md", '"mnist"', '"fashion-mnst"')
    with pytest.raises(AuthorError, match=r"data = 'fashion-mnst', did you mean 'fashion-mnist'"):
        small.section("trained")


def test_clothes_that_cannot_be_had_are_skipped_and_no_digits_stand_in_for_them(
    offline: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    path = offline.root / ARCHIVE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(digits())
    head = 'part = "b"\ndata = "fashion-mnist"\nnetworks = ["small"]'
    offline.edit("content/b4-digit.md", 'part = "b"', head)
    assert offline.section("digit").networks[0].label == "small on fashion-mnist"
    assert run(offline, "digit") == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("digit"))
    assert row.split()[1] == "skipped"
    assert "fashion-mnist is not on this machine and could not be downloaded" in row
    assert not (offline.root / "site/digit/record.json").exists()


def test_a_section_names_other_data_too(offline: Small) -> None:
    plain = offline.keys("digit")
    offline.edit("content/b4-digit.md", 'part = "b"', 'part = "b"\ndata = "fashion-mnist"')
    assert offline.keys("digit")[0] != plain[0]
    assert offline.section("digit").data == "fashion-mnist"
