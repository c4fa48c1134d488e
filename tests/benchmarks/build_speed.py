"""How long a build takes in which nothing, or one text, has changed; and how long other tools take.

    python tests/benchmarks/build_speed.py --peers /tmp/peers/bin/python

Compared, each as a whole process: Python that does nothing; build.py with nothing to do, with
`--check` and after an edit to one text, on ten sections; build.py with nothing to do on 1,000; and
on as many sections `doit` (one task each, from two files to one) and `sphinx-gallery` (one example
each, without figures, `sphinx-build` a second time).

The projects are made on the spot in a temporary folder: this checkout's code and templates, one
module, one text and one figure of 8×8 pixels per section. After one warm-up the contenders take
turns, A B C A B C …, and the table shows the median of each. A time counts only if the output
proves that the contender found everything fresh (or rendered the edit). Variables called PYTHON…
are not handed on: PYTHONDONTWRITEBYTECODE would have every process compile the project again.

To read it: "× Python" is the share that any Python program must pay, "× ours" is how much longer
a peer takes for the same. The peers compare the times and sizes of files (doit) or digests of the
examples alone (sphinx-gallery); build.py hashes every file, and the code behind it. The two are
needed for nothing else and are declared nowhere else:

    python -m venv /tmp/peers && /tmp/peers/bin/pip install doit sphinx sphinx-gallery
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
PER_PART = 50
MODULE = '''"""Section {index}: one small panel of noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from generators.figure import Context, Output, Panels
from generators.parameters import Range


@dataclass(frozen=True)
class Parameters:
    size: Annotated[int, Range(1, 64)] = 8


@dataclass(frozen=True)
class Results:
    """Noise (size, size) in [0, 1]."""

    noise: NDArray[np.float32]


def experiment(context: Context, parameters: Parameters) -> Results:
    random = np.random.default_rng(context.stream("noise"))
    return Results(random.random((parameters.size, parameters.size), np.float32))


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    yield Panels("noise", "Noise number {index}.", "Grey noise.", [[results.noise]])
'''
TEXT = """+++
title = "Section {index}"
part = "p{part}"
number = "{number}"
generator = "bench.panel{index}"

[parameters]
size = 8
+++
The words of section {index}: *one* panel of noise, and a [link](https://example.org) beside it.

![](figure:noise)
"""
TASKS = """def task_section():
    for index in range({count}):
        module, text, page = f"module{{index}}.py", f"text{{index}}.md", f"{{index}}.html"
        task = dict(name=index, file_dep=[module, text], targets=[page])
        yield task | dict(actions=[f"cp {{text}} {{page}}"])
"""
CONFIGURATION = """extensions = ["sphinx_gallery.gen_gallery"]
sphinx_gallery_conf = dict(
    examples_dirs="examples", gallery_dirs="gallery", image_scrapers=(), reset_modules=()
)
"""


class Contender(NamedTuple):
    """A row: a command, what its output must prove, and the row of ours it is set against."""

    name: str
    command: list[str]
    folder: Path
    proof: Callable[[str], bool] = lambda output: True
    aim: str = ""
    ours: str = ""
    before: Callable[[int], object] = lambda turn: None


def main() -> int:
    chosen = options()
    with tempfile.TemporaryDirectory() as folder:
        contenders = our_rows(Path(folder), chosen.sections, chosen.many)
        for count in (chosen.sections, chosen.many):
            contenders += doit_row(Path(folder), count, chosen.peers)
        contenders += gallery_row(Path(folder), chosen.sections, chosen.peers)
        times: dict[str, list[float]] = {each.name: [] for each in contenders}
        for turn in range(chosen.rounds + 1):
            for each in contenders:
                milliseconds = measured(each, turn)
                if turn:
                    times[each.name].append(milliseconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(table(contenders, medians, f"median of {chosen.rounds}"))
    return 0


def options() -> argparse.Namespace:
    description, _, rest = (__doc__ or "").partition("\n\n")
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        description=description, epilog=rest, formatter_class=formatter
    )
    add = parser.add_argument
    add("--peers", default=sys.executable, metavar="PYTHON", help="python that has them installed")
    add("--rounds", type=int, default=7, metavar="N", help="turns of each contender (default: 7)")
    add("--sections", type=int, default=10, metavar="N", help="small project (default: 10)")
    add("--many", type=int, default=1000, metavar="N", help="large project (default: 1000)")
    return parser.parse_args()


def our_rows(folder: Path, few: int, many: int) -> list[Contender]:
    small, large = project(folder / "small", few), project(folder / "large", many)
    build = [sys.executable, "build.py"]

    text = small / "content" / "a0-noise0.md"

    def edit(turn: int) -> None:
        text.write_text(f"{TEXT.format(index=0, part=0, number=0)}\nTurn {turn} of the words.\n")

    def is_rendered(_: str) -> bool:
        return text.read_text().splitlines()[-1] in (small / "site" / "part-p0.html").read_text()

    return [
        Contender("bare Python", [sys.executable, "-c", "pass"], folder),
        Contender(no_op(few), build, small, is_fresh(few), "< 100"),
        Contender(f"--check, {few} sections", [*build, "--check"], small, silent, "< 100"),
        Contender(no_op(many), build, large, is_fresh(many), "< 1,000"),
        # The last of ours, so that the rows above find in the next turn what this one has rendered.
        Contender(f"prose edit, {few} sections", build, small, is_rendered, "< 500", before=edit),
    ]


def no_op(count: int) -> str:
    return f"no-op, {count:,} sections"


def is_fresh(count: int) -> Callable[[str], bool]:
    return lambda output: output.count(" fresh ") == count


def silent(output: str) -> bool:
    return not output


def project(root: Path, count: int) -> Path:
    """Make a write-up with `count` sections and build it once."""
    for name in ("generators", "templates"):
        ignored = shutil.ignore_patterns("node_modules", "__pycache__")
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    shutil.copy(ROOT / "build.py", root)
    (root / "content").mkdir()
    (root / "generators" / "bench").mkdir()
    site = 'title = "Noise"\nseed = 1\n'
    for part in range(-(-count // PER_PART)):
        site += f'[parts.p{part}]\ntitle = "Part {part}"\n'
    (root / "content" / "site.toml").write_text(site)
    for index in range(count):
        part, number = divmod(index, PER_PART)
        text = TEXT.format(index=index, part=part, number=number)
        (root / "content" / f"a{index}-noise{index}.md").write_text(text)
        module = MODULE.format(index=index)
        (root / "generators" / "bench" / f"panel{index}.py").write_text(module)
    print(f"making {count:,} sections …", file=sys.stderr)
    ran([sys.executable, "build.py"], root)
    return root


def doit_row(folder: Path, count: int, python: str) -> list[Contender]:
    """Return doit's row, or none when it is not installed."""
    if not has(python, "doit"):
        return []
    root = folder / f"doit-{count}"
    root.mkdir(exist_ok=True)
    (root / "dodo.py").write_text(TASKS.format(count=count))
    for index in range(count):
        (root / f"module{index}.py").write_text(MODULE.format(index=index))
        (root / f"text{index}.md").write_text(TEXT.format(index=index, part=0, number=index))

    def is_up_to_date(output: str) -> bool:
        return sum(line.startswith("-- section:") for line in output.splitlines()) == count

    command = [python, "-m", "doit"]
    ran(command, root)
    return [Contender(f"doit, {count:,} tasks", command, root, is_up_to_date, ours=no_op(count))]


def gallery_row(folder: Path, count: int, python: str) -> list[Contender]:
    """Return sphinx-gallery's row, or none when it is not installed."""
    if not has(python, "sphinx_gallery"):
        return []
    examples = folder / "gallery" / "examples"
    examples.mkdir(parents=True)
    (folder / "gallery" / "conf.py").write_text(CONFIGURATION)
    (folder / "gallery" / "index.rst").write_text(
        "Noise\n=====\n\n.. toctree::\n\n   gallery/index\n"
    )
    (examples / "README.rst").write_text("Gallery\n=======\n")
    for index in range(count):
        title = f"Section {index}"
        script = f'"""\n{title}\n{"=" * len(title)}\n\nThe words.\n"""\n\nprint({index})\n'
        (examples / f"plot_{index}.py").write_text(script)
    command = [python, "-m", "sphinx", ".", "built"]
    for _ in range(2):
        ran(command, folder / "gallery")
    name = f"sphinx-gallery, {count} examples"
    return [Contender(name, command, folder / "gallery", is_skipped, ours=no_op(count))]


def is_skipped(output: str) -> bool:
    return "0 added, 0 changed, 0 removed" in output


def has(python: str, module: str) -> bool:
    command = [python, "-c", f"import {module}"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        print(f"left out: {python} has no {module}; pip install doit sphinx sphinx-gallery")
        return False
    return True


def measured(contender: Contender, turn: int) -> float:
    """Run a contender once; return the milliseconds it took.

    Raises: SystemExit when it failed, or did not do what it was meant to.
    """
    contender.before(turn)
    started = time.perf_counter()
    output = ran(contender.command, contender.folder)
    milliseconds = 1000 * (time.perf_counter() - started)
    if not contender.proof(output):
        raise SystemExit(f"{contender.name}: not what it should have done:\n{output[-2000:]}")
    return milliseconds


def ran(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} in {folder}:\n{done.stdout}{done.stderr}")
    return done.stdout


def table(contenders: list[Contender], medians: dict[str, float], title: str) -> str:
    bare = medians[contenders[0].name]
    lines = [f"{title:<28}{'ms':>8}{'aim, ms':>10}{'× Python':>10}{'× ours':>8}"]
    for each in contenders:
        value = medians[each.name]
        ratio = f"{value / medians[each.ours]:.1f}" if each.ours else ""
        line = f"{each.name:<28}{value:>8,.0f}{each.aim:>10}{value / bare:>10.1f}{ratio:>8}"
        lines.append(line.rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
