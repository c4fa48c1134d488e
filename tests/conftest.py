"""A small write-up made on the spot: three sections, a network, and helpers several imports away."""

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from browsing import browser, complaints, exhibition, open_page, part

import generators
from generators.content import Section
from generators.keys import experiment_key, figures_key
from generators.mini_if.glyphs import FONTS
from generators.project import open_project

if "PYTEST_XDIST_WORKER" in os.environ:  # several threads a core would wait for one another
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
ROOT = Path(__file__).parent.parent
needs_font = pytest.mark.skipif(
    not any(path.is_file() for path in FONTS), reason="Noto Color Emoji is not installed"
)

__all__ = ["browser", "complaints", "exhibition", "open_page", "part"]  # fixtures for all

SITE = """
title = "A small write-up"
description = "Made for tests."
seed = 180
[parts.b]
title = "Part B"
text = "Words."
[networks.small]
trainer = "tiny.training"
epochs = 3
"""

MIXED = """+++
title = "Mixed"
part = "b"
number = "1"
generator = "tiny.mixed"
[parameters]
scale = 0.5
+++
Words before $x^2$.

![](figure:sheet)

![](figure:curve)

The mean is [](number:mean), see [the other](section:plain).
"""

PLAIN = """+++
title = "Plain"
part = "b"
number = "2"
generator = "tiny.plain"
+++
![](figure:moving)

![](figure:steps)
"""

TRAINED = """+++
title = "Trained"
part = "b"
number = "3"
generator = "tiny.trained"
networks = ["small"]
+++
![](figure:weights)
"""

MODULES = {
    "__init__.py": "",
    "mixed.py": '''
"""A section with parameters, an input and a chain of helpers."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from generators.figure import Number, Panels, Plot, Series
from generators.parameters import File, Range
from generators.tiny import near
from generators.tiny.colours import *


@dataclass(frozen=True)
class Parameters:
    scale: Annotated[float, Range(0, 1)] = 1.0
    picture: File = "input.bin"
    columns: int = 2
    unused: int = 0


@dataclass(frozen=True)
class Results:
    values: np.ndarray
    mean: float


def experiment(context, parameters):
    """Make a gradient."""
    size = len((context.content / parameters.picture).read_bytes())
    values = near.gradient(size) * parameters.scale * WHITE
    return Results(values, float(values.mean()))


def figures(results, parameters):
    yield Panels(
        "sheet", "A gradient.", "A grey gradient.", [[results.values] * parameters.columns] * 2
    )
    yield Plot("curve", "A curve.", "A line.", [Series("y", (1.0, 2.0), (0.1, 0.2))], "x", "y")
    yield Number("mean", f"{results.mean:.3f}")
''',
    "near.py": """
from generators.tiny import further as beyond


def gradient(size: int):
    return beyond.Ramp(size).values()


def other():
    return 1
""",
    "further.py": '''
from generators.tiny.package import reexported


class Ramp:
    """Values from 0 to 1."""

    def __init__(self, size, factor=1.0):
        self.size = size
        self.factor = factor

    def values(self):
        return reexported(self.size) * self.factor
''',
    "package/__init__.py": "from .furthest import ramp as reexported\n",
    "package/furthest.py": """
import numpy as np

LAST = 1.0


def ramp(size):
    # A comment.
    return np.linspace(0.0, LAST, size * size).reshape(size, size)
""",
    "colours.py": "WHITE = 1.0\n",
    "plain.py": """
from dataclasses import dataclass

import numpy as np

from generators.figure import Animation, Trajectory


@dataclass(frozen=True)
class Parameters:
    frames: int = 4


@dataclass(frozen=True)
class Results:
    frames: np.ndarray


def experiment(context, parameters):
    random = np.random.default_rng(context.stream("frames"))
    return Results(random.random((parameters.frames, 6, 6, 3)))


def figures(results, parameters):
    yield Animation("moving", "Noise.", "Coloured noise.", list(results.frames))
    yield Trajectory(
        "steps", "Noise.", "Noise.", [[f] for f in results.frames], [f"t = {k}" for k in range(4)]
    )
""",
    "trained.py": """
from dataclasses import dataclass

import numpy as np
from safetensors.numpy import load_file

from generators.figure import Panels


@dataclass(frozen=True)
class Parameters:
    pass


@dataclass(frozen=True)
class Results:
    weights: np.ndarray


def experiment(context, parameters):
    network = context.networks["small"]
    return Results(load_file(network.weights(network.epochs))["weight"])


def figures(results, parameters):
    yield Panels("weights", "Weights.", "Weights.", [[results.weights]])
""",
    "training.py": """
from dataclasses import dataclass

import torch

from generators.streams import stream


@dataclass(frozen=True)
class Recipe:
    epochs: int = 2
    pause: float = 0.0


def train(run, recipe):
    import time

    network = torch.nn.Linear(4, 4, bias=False)
    torch.nn.init.constant_(network.weight, 0.5)
    optimizer = torch.optim.Adam(network.parameters(), 0.1)
    losses = run.restore(network, optimizer)
    for epoch in range(len(losses), recipe.epochs):
        generator = torch.Generator().manual_seed(stream(run.seed, epoch))
        x = torch.randn(8, 4, generator=generator)
        loss = (network(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach().reshape(1))
        run.checkpoint(network, optimizer, losses)
        time.sleep(recipe.pause)
""",
}


class Small:
    """The small write-up: where it is, and how to change it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tiny = root / "generators" / "tiny"

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text that must be there in a file, named from the root."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, (file, old)
        path.write_text(text.replace(old, new), encoding="utf-8")
        forget()

    def section(self, name: str) -> Section:
        sections = open_project(self.root, None, False).site.sections
        return next(section for section in sections if section.name == name)

    def keys(self, name: str) -> tuple[str, str]:
        """Return a section's experiment and figures keys as they are now."""
        project = open_project(self.root, None, False)
        section = next(each for each in project.site.sections if each.name == name)
        experiment = experiment_key(project.code, section)
        figures = figures_key(project.code, section, experiment)
        project.code.save()
        return experiment.digest, figures.digest


def forget() -> None:
    """Let edited modules be imported anew."""
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.startswith("generators.tiny")]:
        del sys.modules[name]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    root = tmp_path / "write-up"
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "part_?", "digits", "weights")
    shutil.copytree(ROOT / "generators", root / "generators", ignore=ignored)
    shutil.copytree(ROOT / "templates", root / "templates", ignore=ignored)
    shutil.copy(ROOT / "build.py", root)
    for name, text in MODULES.items():
        path = root / "generators" / "tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    content = root / "content"
    content.mkdir()
    texts = {
        "site.toml": SITE,
        "b1-mixed.md": MIXED,
        "b2-plain.md": PLAIN,
        "b3-trained.md": TRAINED,
    }
    for name, text in texts.items():
        (content / name).write_text(text, encoding="utf-8")
    (content / "input.bin").write_bytes(b"12345678")
    generators.__path__.append(str(root / "generators"))
    forget()
    yield Small(root)
    generators.__path__.remove(str(root / "generators"))
    forget()


@pytest.fixture
def alone() -> Iterator[None]:
    """Leave neither accelerate's state nor torch's random state behind."""
    state = torch.random.get_rng_state()
    yield
    torch.random.set_rng_state(state)
    AcceleratorState._reset_state()
    PartialState._reset_state()
