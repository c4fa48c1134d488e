"""Two processes make what one makes: the same losses, weights, samples and files."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, Small
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from safetensors.torch import load, load_file
from torch import Tensor

from generators import crew
from generators.datasets import DATASETS
from generators.dividing import part_of, spread
from generators.errors import AuthorError
from generators.processes import everywhere

LAUNCH = [
    sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
    "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
    "--num_cpu_threads_per_process", "1",
]  # fmt: skip

NETWORK = """
[networks.told]
trainer = "digits.ddpm"
classes = true
steps = 5
hidden = 4
epochs = 2
batch = 32
images = 70
"""

SECTION = """+++
title = "Told"
part = "b"
number = "4"
generator = "part_b.ddpm_class"
networks = ["told"]
[parameters]
network = "told"
epochs = [1, 2]
steps = 5
rows = 1
scales = [1.0]
frames = 2
+++
"""
SHOWN = "loss", "samples-1", "samples-2", "way", "descent", "guidance"

LEARN = """
import sys

import torch
from accelerate import PartialState
from safetensors.torch import save_file
from torch.nn.functional import mse_loss

from generators.digits.conditioned import ClassUNet
from generators.datasets import DATASETS
from generators.dividing import dividing, spread, tie
from generators.processes import count, rank

if count() > 1:
    PartialState(cpu=True)
torch.manual_seed(0)
network = ClassUNet(4)
optimizer = torch.optim.SGD(network.parameters(), 0.1)
losses = []
with dividing():
    if count() > 1:
        tie(network, optimizer)
    for rows in (8, 8, 7, 1):
        x, t, classes = torch.rand(rows, 1, 28, 28), torch.rand(rows), torch.rand(rows, 10)
        loss = mse_loss(network(x, t, classes), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    network.eval()
    with torch.no_grad():
        answer = spread(network, x, t, classes) if count() > 1 else network(x, t, classes)
    far = torch.nn.Sequential(torch.nn.BatchNorm2d(2))
    if count() > 1:
        tie(far, torch.optim.SGD(far.parameters(), 0.1))
    normal = far(30 + torch.rand(5, 2, 6, 6)).detach()
found = {"losses": torch.stack(losses), "answer": answer, "normal": normal}
found |= {**network.state_dict(), "variance": far[0].running_var}
save_file(found, f"{sys.argv[1]}-{rank()}")
if count() > 1:
    torch.distributed.destroy_process_group()
"""


def start(command: list[str], folder: Path) -> subprocess.Popen[str]:
    given = {name: value for name, value in os.environ.items() if name != "MNIST_DIR"}
    cache = {"XDG_CACHE_HOME": str(folder / "nothing")}
    environment = given | cache | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True
    )


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    process = start(command, folder)
    output, errors = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def test_a_network_learns_in_two_processes_as_in_one(tmp_path: Path) -> None:
    script = tmp_path / "learn.py"
    script.write_text(LEARN)
    for command, name in (([sys.executable], "one"), (LAUNCH, "two")):
        done = run([*command, str(script), str(tmp_path / name)], ROOT)
        assert done.returncode == 0, done.stderr
    one, first, second = (load_file(tmp_path / name) for name in ("one-0", "two-0", "two-1"))
    for name, value in one.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5)


def files_of(root: Path) -> dict[str, bytes]:
    """Return the files of the site, and the networks and trainings in the cache."""
    folders = [root / "site", root / ".cache" / "networks", root / ".cache" / "training"]
    found = [each for folder in folders for each in folder.rglob("*") if each.is_file()]
    return {each.relative_to(root).as_posix(): each.read_bytes() for each in found}


@pytest.fixture
def digits(small: Small) -> Small:
    ignored = shutil.ignore_patterns("__pycache__", "weights")
    for name in ("digits", "part_b"):
        folder = ROOT / "generators" / name
        shutil.copytree(folder, small.root / "generators" / name, ignore=ignored)
    # In bfloat16 two processes differ by more than a training this short moves a weight.
    small.edit(
        "generators/machine.py", "torch.cpu._is_amx_tile_supported():\n            return True",
        "True:\n            return False",
    )  # fmt: skip
    for mirror in DATASETS["mnist"].mirrors:
        small.edit("generators/datasets.py", mirror, "http://localhost:9/")
    with (small.root / "content" / "site.toml").open("a") as file:
        file.write(NETWORK)
    shown = "\n\n".join(f"![](figure:{name})" for name in SHOWN)
    (small.root / "content" / "b4-told.md").write_text(SECTION + shown)
    return small


def test_accelerate_launch_makes_what_one_process_makes(digits: Small) -> None:
    build = ["build.py", "told", "--force"]
    alone = run([sys.executable, *build, "--threads", "1"], digits.root)
    assert alone.returncode == 0, alone.stderr
    one = files_of(digits.root)
    together = run([*LAUNCH, *build], digits.root)
    assert together.returncode == 0, together.stderr
    assert_alike(files_of(digits.root), one)


def test_two_machines_make_what_one_makes_and_the_first_alone_writes(
    digits: Small, tmp_path: Path
) -> None:
    build = ["build.py", "told"]
    alone, other = tmp_path / "alone", tmp_path / "other"
    shutil.copytree(digits.root, alone)
    shutil.copytree(digits.root, other)
    done = run([sys.executable, *build, "--threads", "1"], alone)
    assert done.returncode == 0, done.stderr
    before = files_of(other)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    several = [*LAUNCH, "--num_machines", "2", "--main_process_ip", "127.0.0.1"]
    started = [
        start([*several, "--main_process_port", port, "--machine_rank", rank, *build], root)
        for rank, root in (("0", digits.root), ("1", other))
    ]
    try:
        ended = [each.communicate(timeout=300) for each in started]
    finally:
        for each in started:
            each.kill()
    assert [each.returncode for each in started] == [0, 0], ended
    assert_alike(files_of(digits.root), files_of(alone))
    assert files_of(other) == before


def assert_alike(two: dict[str, bytes], one: dict[str, bytes]) -> None:
    """Check that two processes made the same: losses, weights, pictures, records."""
    assert set(one) == set(two)
    assert json.loads(two["site/told/record.json"])["provenance"]["device"].startswith("2 × ")
    for name, content in one.items():
        if name.endswith(".safetensors") and "networks" in name:
            torch.testing.assert_close(felt(two[name]), felt(content), rtol=1e-3, atol=1e-3)
        elif name.endswith((".png", ".gif")):
            assert np.abs(frames(two[name]) - frames(content)).max() <= 2, name
        elif name.endswith("/record.json") and name != "site/record.json":
            assert told(two[name]) == told(content)


def felt(content: bytes) -> dict[str, Tensor]:
    """The tensors of a file but for the biases that a BatchNorm takes out again, and its means.

    Their gradient is rounding alone, and Adam makes whole steps of it.
    """
    tensors = load(content)
    for name in [*tensors]:
        if name.endswith(".1.running_mean"):
            del tensors[name]
            del tensors[name.replace(".1.running_mean", ".0.bias")]
    return tensors


def frames(content: bytes) -> NDArray[np.int16]:
    """The pixels of a picture, of all its frames."""
    with Image.open(io.BytesIO(content)) as picture:
        return np.stack(
            [np.asarray(each.convert("RGB"), np.int16) for each in ImageSequence.Iterator(picture)]
        )


def told(content: bytes) -> dict[str, object]:
    """A record but for the machine that made it, and the digests of files that hold its name."""
    record = json.loads(content)
    for changing in ("provenance", "seal", "files"):
        record.pop(changing, None)
    for network in record.get("networks", {}).values():
        network.pop("provenance"), network.pop("files")
    return record


def test_an_authors_error_ends_all_of_them(digits: Small) -> None:
    digits.edit("content/site.toml", "[parts.b]", '[data]\nmnist = "nowhere"\n[parts.b]')
    done = run([*LAUNCH, "build.py", "told"], digits.root)
    assert done.returncode == 1
    assert "nowhere/train-images-idx3-ubyte.gz: no such file" in done.stdout + done.stderr


@pytest.mark.parametrize("of_all", [False, True])
def test_an_error_of_one_process_alone_loses_the_others(
    monkeypatch: pytest.MonkeyPatch, of_all: bool
) -> None:
    monkeypatch.setattr(crew, "count", lambda: 2)
    monkeypatch.setattr(crew, "from_first", lambda found=None: found)
    monkeypatch.setattr(crew, "_lost", [])
    error = AuthorError("memory is too short")
    if of_all:
        everywhere(error)
    with pytest.raises(AuthorError, match="memory"), crew.called("job", tuple):
        raise error
    if of_all:
        with crew.called("the next", tuple):
            return
    with pytest.raises(AuthorError, match="other processes are lost"), crew.called("next", tuple):
        pass


def test_only_the_files_of_a_data_set_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "count", lambda: 2)
    sent: list[object] = []
    monkeypatch.setattr(crew, "from_first", sent.append)
    for name in (*DATASETS["mnist"].files, "film.mkv"):
        (tmp_path / name).write_bytes(b"content")
    assert crew.sent(lambda _: tmp_path, tmp_path)("mnist") == tmp_path
    assert sent == [dict.fromkeys(DATASETS["mnist"].files, b"content")]


def test_alone_nothing_is_divided() -> None:
    seen = []
    spread(lambda x: seen.append(len(x)) or x, torch.zeros(4, 1))
    assert seen == [4]


@pytest.mark.parametrize("rows", [2, 7, 8])
def test_every_row_belongs_to_one_process(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    found = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        found += list(range(rows))[part_of(rows)]
    assert found == list(range(rows))
