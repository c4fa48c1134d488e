"""Sections on another device than the processor: tensors that should be together are.

The device is made here (see `pretending`); a process of its own, for torch keeps it for good.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cascades import small_cascade
from conftest import ROOT, needs_font
from PIL import Image
from test_digits import idx
from test_part_a import part_a_in

FIRST = ["blur", "setup", "guidance", "inpainting", "anagrams", "logo", "model"]
SECOND = ["denoiser", "pure-noise", "ddpm-class", "flow-class", "quality", "better"]
SMALLER = {
    "steps = 300": "steps = 6", "steps = 50": "steps = 6", "frames = 41": "frames = 3",
    "count = 40": "count = 20", "references = 2000": "references = 100",
    "evaluations = [4, 8, 16, 32]": "evaluations = [2, 4]", "unseen = 2": "unseen = 1",
    "scales = [0.0, 1.0, 2.0, 5.0, 10.0]": "scales = [0.0, 2.0]", "every = 16": "every = 64",
    "scales = [1.0, 1.25, 1.5, 2.0, 3.0, 5.0]": "scales = [1.0, 2.0]",
}  # fmt: skip
BUILD = """
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

import torch

from generators import machine

machine.bfloat16_pays = lambda device: False
import build
from generators import datasets

datasets.check = lambda folder, sums: None
root, device, *sections = sys.argv[1:]
shutil.rmtree(f"{root}/.cache/embeddings", ignore_errors=True)
if device == "second":
    from pretending import ELSEWHERE, second_device
    machine.choose_device = lambda name: ELSEWHERE
    place = second_device()
else:
    machine.choose_device = lambda name: torch.device("cpu")
    place = nullcontext()
arguments = ["--draft", "--threads", "1", "--out", f"{root}/{device}", *sections]
with place:
    build.main([*arguments, "--force"], Path(root))
"""
COMPILE = """
import torch

from generators.machine import prepare


def broken(graph, inputs):
    raise RuntimeError("no C compiler")


prepare(1)
print(torch.compile(torch.nn.Linear(2, 3), backend=broken)(torch.ones(1, 2)).shape)
"""
CHECK = """
import math

import torch
from test_growth import NOISES, TOKENIZER, Examples, Painter, graft, painter

from pretending import second_device

found = []
for is_second in (False, True):
    with second_device() as device:
        smaller = painter(1).to(device if is_second else "cpu")
        larger = Painter(smaller.encoder, smaller.unet, 0)
        found.append(graft(larger, smaller, Examples(3, 1, TOKENIZER, 0.1, NOISES), 2))
assert math.isclose(*found, rel_tol=1e-6), found  # where memory begins moves the last digit
with second_device() as device:
    x = torch.ones(2)
    for wrong in (lambda: x.to(device) + x, lambda: x.to(device).numpy()):
        try:
            wrong()
        except RuntimeError:
            continue
        raise AssertionError("what a GPU would refuse")
"""


def run(script: str, *arguments: str, **environment: str) -> str:
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    given = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=given, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A write-up of both parts with a small cascade, small networks and 200 squares for digits."""
    root = tmp_path_factory.mktemp("write-up")
    part_a_in(root, small_cascade(root / "model", 16))
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(200, 28, 28, dtype=torch.uint8)
    for image in images:
        row, column = torch.randint(4, 18, (2,), generator=generator).tolist()
        image[row : row + 6, column : column + 6] = 200
    (root / "digits").mkdir()
    for split in ("train", "t10k"):
        for what, array in (("images-idx3", images), ("labels-idx1", torch.arange(200) % 10)):
            file = root / "digits" / f"{split}-{what}-ubyte.gz"
            file.write_bytes(idx(array.to(torch.uint8)))
    texts = [*(root / "content").glob("a*.md"), *(ROOT / "content").glob("b*.md")]
    found = {path.name: path.read_text(encoding="utf-8") for path in texts}
    for old, new in SMALLER.items():
        assert any(old in text for text in found.values()), old
        found = {name: text.replace(old, new) for name, text in found.items()}
    for name, text in found.items():
        (root / "content" / name).write_text(text, encoding="utf-8")
    networks = (ROOT / "content" / "site.toml").read_text(encoding="utf-8").partition("[parts.b]")
    recipes = re.sub(r"hidden = 8, images = \d+", "hidden = 4, images = 100", networks[2])
    recipes = re.sub(r"width = 8, images = \d+", "width = 8, images = 100", recipes)
    recipes = re.sub(r"(width = 16, )?images = 6000", "width = 2, images = 100", recipes)
    recipes = recipes.replace("steps = 300", "steps = 6")
    with (root / "content" / "site.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[parts.b]{recipes}")
    return root


@pytest.fixture(scope="module")
def built(small: Path) -> Path:
    for device in ("cpu", "second"):
        said = run(BUILD, str(small), device, *FIRST, *SECOND, MNIST_DIR=str(small / "digits"))
        assert "Traceback" not in said, said
    return small


@pytest.mark.parametrize("section", [*FIRST, *SECOND])
def test_a_section_makes_on_a_device_what_it_makes_on_the_processor(
    built: Path, section: str
) -> None:
    figures = sorted((built / "cpu" / section).glob("*.png"))
    curves = sorted((built / "cpu" / section).glob("*.csv"))
    assert figures or curves
    for figure in figures:
        here, there = (
            np.asarray(Image.open(path).convert("RGB")).astype(int)
            for path in (figure, built / "second" / section / figure.name)
        )
        assert np.abs(here - there).max() <= 1, figure.name
    for curve in curves:
        assert curve.read_text() == (built / "second" / section / curve.name).read_text()


def test_a_network_that_cannot_be_compiled_runs_as_it_is() -> None:
    assert "torch.Size([1, 3])" in run(COMPILE)
    assert "torch.Size([1, 3])" in run("import torch._dynamo\n" + COMPILE)


@needs_font
def test_a_cascade_grows_on_a_device_and_what_mixes_two_is_refused() -> None:
    run(CHECK)
