"""The build from end to end, on a small write-up made on the spot."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import pytest
from conftest import Small, forget
from safetensors.numpy import load_file

import build
from generators.errors import AuthorError
from generators.keys import network_key
from generators.making import Maker
from generators.project import open_project, status
from generators.reporting import SILENCE, ignore, progress_shown

FAILING = ("generators/tiny/mixed.py", '    """Make a gradient."""', "    raise RuntimeError('no')")


def run(small: Small, *arguments: str) -> int:
    forget()
    return build.main([*arguments, "--threads", "1"], small.root)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def states(printed: str) -> dict[str, str]:
    """Read the sections and their states from the table that ends a build."""
    rows = [line.split() for line in printed.splitlines() if not line.startswith(" ")]
    return {row[0]: row[1] for row in rows if len(row) > 2 and row[1] in STATES}


STATES = ("made", "fresh", "failed", "stale")


@pytest.fixture
def built(small: Small, capsys: pytest.CaptureFixture[str]) -> Small:
    assert run(small) == 0
    printed = capsys.readouterr().out
    assert states(printed) == {"mixed": "made", "plain": "made", "trained": "made"}
    return small


def test_a_second_build_changes_nothing(built: Small, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(built.root / "site")
    assert run(built) == 0
    assert set(states(capsys.readouterr().out).values()) == {"fresh"}
    assert contents(built.root / "site") == before
    assert run(built, "--check") == 0


def test_a_page_shows_figures_numbers_links_and_mathematics(built: Small) -> None:
    page = (built.root / "site" / "part-b.html").read_text(encoding="utf-8")
    for part in ("mixed/sheet.png", "mixed/curve.csv", "plain/moving.gif", "0.250", "#plain"):
        assert part in page
    assert "figure:" not in page
    assert "number:" not in page


def test_a_check_of_some_sections_is_of_these_alone(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    built.edit("content/b1-mixed.md", "scale = 0.5", "scale = 0.25")
    assert run(built, "--check", "plain") == 0
    assert run(built, "--check", "plain", "mixed") == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("mixed: ")


def test_networks_and_epochs_that_are_not_there_are_named(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    built.edit("generators/tiny/trained.py", "    pass", "    epochs: tuple[int, ...] = (1, 9)")
    assert run(built, "--check") == 2
    message = "content/b3-trained.md: epochs = [1, 9], but its networks are trained for 3"
    assert message in capsys.readouterr().err
    one = '    one: str = "small"\n    one_epochs: tuple[int, ...] = (1, 9)'
    built.edit("generators/tiny/trained.py", "    epochs: tuple[int, ...] = (1, 9)", one)
    assert run(built, "trained", "--force") == 2
    assert "one_epochs = [1, 9], but small is trained for 3" in capsys.readouterr().err
    built.edit("generators/tiny/trained.py", "(1, 9)", "(1,)")
    built.edit("generators/tiny/trained.py", 'networks["small"]', 'networks["smal"]')
    assert run(built, "trained") == 1
    assert "network 'smal' is not among the section's, did you mean" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("declared", "named", "message"),
    [
        ('"tiny.training", epochs=3', "smal", "one = 'smal', which is not among its networks, did"),
        (
            '"tiny.other"',
            "small",
            "'small', a network of tiny.training, expected one of tiny.other",
        ),
        (
            '"tiny.other"), TrainedBy("tiny.more"',
            "small",
            "'small', a network of tiny.training, expected one of tiny.other or tiny.more",
        ),
        ('"tiny.training", epochs=4', "small", "which has epochs = 3 in its recipe, expected 4"),
        ('"tiny.training", who=True', "small", "which has who = None in its recipe, expected True"),
        ("tiny", "small", "Parameters.one: tiny, expected a literal"),
        ("epochs=3", "small", "TrainedBy(epochs=3), expected one trainer"),
    ],
)
def test_a_network_of_another_kind_is_refused_before_anything_runs(
    built: Small, capsys: pytest.CaptureFixture[str], declared: str, named: str, message: str
) -> None:
    recipes = "'tiny.other'", "'tiny.training', epochs=4", "'tiny.training', epochs=3, pause=0.0"
    kinds = ", ".join(f"TrainedBy({each})" for each in recipes)
    fits = f"    one: Annotated[str, {kinds}] = 'small'"
    path = "generators/tiny/trained.py"
    built.edit(path, "from dataclasses", "from typing import Annotated\nfrom dataclasses")
    built.edit(path, "import Panels", "import Panels\nfrom generators.parameters import TrainedBy")
    built.edit(path, "    pass", fits)
    assert run(built, "--check") == 0
    other = f"    one: tuple[str, ...] = ('small', '{named}')"
    annotated = f"    one: Annotated[tuple[str, ...], TrainedBy({declared})] = ('small', '{named}')"
    built.edit(path, fits, other)
    assert run(built, "--check") == 0
    built.edit(path, other, annotated)
    assert run(built, "--check") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_caption_is_redrawn_and_not_rerun(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((built.root / "site/mixed/record.json").read_text())
    built.edit("generators/tiny/mixed.py", "A gradient.", "A ramp of grey.")
    built.edit("generators/tiny/mixed.py", "def experiment", "def experiment")
    assert run(built, "--check") == 1
    assert "figures: code generators.tiny.mixed:figures changed" in capsys.readouterr().out
    assert run(built) == 0
    after = json.loads((built.root / "site/mixed/record.json").read_text())
    assert after["provenance"] == record["provenance"]
    assert after["experiment"] == record["experiment"]
    assert "A ramp of grey." in (built.root / "site/part-b.html").read_text(encoding="utf-8")


def test_a_fresh_clone_redraws_from_published_results(
    built: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(built.root / ".cache")
    assert run(built, "--check") == 0
    built.edit("generators/tiny/mixed.py", "A gradient.", "A ramp of grey.")
    built.edit("generators/tiny/near.py", "return 1", "raise RuntimeError")
    monkeypatch.setattr("generators.making.Maker.run", lambda *_: pytest.fail("ran again"))
    assert run(built) == 0


def test_results_too_large_to_publish_stay_in_the_cache(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generators.making.KEPT", 100)
    assert run(small, "mixed") == 0
    assert not (small.root / "site/mixed/results.safetensors").exists()
    small.edit("generators/tiny/mixed.py", "A gradient.", "A ramp of grey.")
    monkeypatch.setattr("generators.making.Maker.run", lambda *_: pytest.fail("ran again"))
    assert run(small, "mixed") == 0


def test_undoing_a_change_finds_the_old_results(
    built: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(built.root / "site")
    built.edit("content/b1-mixed.md", "scale = 0.5", "scale = 0.25")
    assert run(built) == 0
    built.edit("content/b1-mixed.md", "scale = 0.25", "scale = 0.5")
    monkeypatch.setattr("generators.making.Maker.run", lambda *_: pytest.fail("ran again"))
    assert run(built) == 0
    assert contents(built.root / "site") == before


def test_a_failing_section_keeps_its_figures_and_stops_nobody(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(built.root / "site/mixed")
    built.edit(*FAILING)
    built.edit("generators/tiny/plain.py", "frames: int = 4", "frames: int = 4  #")
    built.edit("generators/tiny/plain.py", "random.random(", "0.5 * random.random(")
    assert run(built) == 1
    printed = capsys.readouterr()
    assert states(printed.out) == {"mixed": "failed", "plain": "made", "trained": "fresh"}
    assert "RuntimeError: no" in printed.err
    assert contents(built.root / "site/mixed") == before
    page = (built.root / "site/part-b.html").read_text(encoding="utf-8")
    assert "Made before the last change to this section" in page
    assert "mixed/sheet.png" in page


def test_a_section_that_never_succeeded_is_announced_on_its_page(small: Small) -> None:
    small.edit(*FAILING)
    assert run(small) == 1
    page = (small.root / "site/part-b.html").read_text(encoding="utf-8")
    assert "Not made yet" in page
    assert run(small, "--render-only") == 1


@pytest.mark.parametrize("name", ["sheet.png", "curve.svg", "record.json", "results.safetensors"])
def test_a_damaged_file_is_named_and_made_again(
    built: Small, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = contents(built.root / "site")
    path = built.root / "site/mixed" / name
    path.write_bytes(path.read_bytes()[:50])
    assert run(built, "--check") == 1
    assert f"mixed/{name}" in capsys.readouterr().out
    assert run(built) == 0
    assert f"mixed/{name}" in capsys.readouterr().err
    assert contents(built.root / "site") == before


def test_a_damaged_page_is_rendered_again(built: Small) -> None:
    before = contents(built.root / "site")
    (built.root / "site/index.html").write_text("half a pa", encoding="utf-8")
    assert run(built, "--check") == 1
    assert run(built) == 0
    assert contents(built.root / "site") == before


def test_forced_builds_make_the_same_figures_and_the_same_pages_from_them(built: Small) -> None:
    before = contents(built.root / "site")
    assert run(built, "--force") == 0
    figures = (".png", ".gif", ".svg", ".csv", ".safetensors")
    after = contents(built.root / "site")
    assert {n: c for n, c in after.items() if n.endswith(figures)} == {
        n: c for n, c in before.items() if n.endswith(figures)
    }
    for name in ("index.html", "part-b.html", "record.json"):
        (built.root / "site" / name).unlink()
    assert run(built, "--render-only") == 0
    assert contents(built.root / "site") == after


def test_sections_share_a_network_and_only_force_trains_it_again(
    built: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    fit = __import__("generators.making_networks").making_networks.Training.fit

    def counted(self: object, network: object, *rest: object) -> None:
        trained.append(network.name)
        fit(self, network, *rest)

    monkeypatch.setattr("generators.making_networks.Training.fit", counted)
    built.edit("generators/tiny/trained.py", '["weight"])', '["weight"] * 2)')
    assert run(built) == 0
    assert trained == []
    assert run(built, "trained", "--force") == 0
    assert trained == ["small"]


def test_training_killed_and_resumed_ends_in_the_same_weights(small: Small) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "build.py", "trained", "--threads", "1"]
    small.edit("content/site.toml", "epochs = 3", "epochs = 6\npause = 0.3")
    process = subprocess.Popen(command, cwd=small.root, env=environment)
    training = small.root / ".cache/training"
    deadline = time.monotonic() + 60
    while len(list(training.glob("*/epoch-*.safetensors"))) < 2:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (small.root / "site/trained/record.json").exists()
    (next(training.iterdir()) / ".writing-1-state.safetensors").write_bytes(b"half of it")
    assert run(small, "trained") == 0
    resumed = next((small.root / ".cache/networks").iterdir())
    interrupted = contents(resumed)
    assert run(small, "trained", "--force") == 0
    uninterrupted = contents(next((small.root / ".cache/networks").iterdir()))
    del interrupted["record.json"], uninterrupted["record.json"]
    assert interrupted == uninterrupted
    assert len(load_file(resumed / "losses.safetensors")) == 6


def test_what_is_edited_while_others_are_made_waits_for_the_next_build(small: Small) -> None:
    project = open_project(small.root, None, False)
    maker = Maker(project, "cpu", 1)
    mixed, trained = (status(project, small.section(name)) for name in ("mixed", "trained"))
    small.edit("generators/tiny/package/furthest.py", "LAST = 1.0", "LAST = 2.0")
    with pytest.raises(AuthorError, match="mixed: edited since this build began"):
        maker.make(mixed, ignore)
    network = trained.section.networks[0]
    key = network_key(project.code, network).digest
    small.edit("generators/tiny/training.py", "0.1", "0.2")
    with pytest.raises(AuthorError, match="small: edited since this build began"):
        maker.training.fit(network, project.cache / "training" / key, key, ignore)
    assert not (small.root / "site").exists()


@pytest.mark.parametrize("content", [b"another", None])
def test_a_picture_swapped_while_it_is_read_is_noticed(
    small: Small, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    place = "context.content / parameters.picture"
    swap = f"({place}).write_bytes({content!r})" if content else f"({place}).unlink()"
    small.edit(
        "generators/tiny/mixed.py", "    return Results(", f"    {swap}\n    return Results("
    )
    assert run(small, "mixed") == 1
    printed = capsys.readouterr()
    expected = "edited while the section was made" if content else "No such file or directory"
    assert f"content/input.bin: {expected}" in printed.out + printed.err
    assert not (small.root / "site/mixed").exists()
    assert "Traceback" not in printed.err


def test_a_hidden_file_is_an_editors_and_no_section(built: Small) -> None:
    (built.root / "content/.#b1-mixed.md").symlink_to("me@host.1234")
    (built.root / "content/.b9-swap.md").write_text("not a section")
    assert run(built, "--check") == 0


def test_a_full_disk_is_one_line_and_the_table_is_printed(
    built: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(built.root / "site")

    def full(path: Path, _: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    for module in ("store", "publishing"):
        monkeypatch.setattr(f"generators.{module}.write", full)
    built.edit("content/b1-mixed.md", "scale = 0.5", "scale = 0.6")
    assert run(built) == 1
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert "No space left on device" in printed.out
    assert "plain" in printed.out
    assert re.search(r"build\.py: \S+: No space left on device\n$", printed.err)
    assert contents(built.root / "site") == before


def test_what_lies_in_the_way_is_one_line(built: Small, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(built.root / "site/mixed")
    (built.root / "site/mixed").write_text("in the way")
    assert run(built) == 1
    printed = capsys.readouterr()
    assert "site/mixed: File exists" in printed.out
    assert "Traceback" not in printed.err


def test_a_draft_is_kept_from_a_site_behind_a_link(
    built: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (built.root / "site").rename(built.root / "elsewhere")
    (built.root / "site").symlink_to("elsewhere")
    monkeypatch.chdir(built.root)
    for out in ("site", "elsewhere"):
        assert run(built, "--draft", "--out", out) == 2
        assert "a draft is never written to site/" in capsys.readouterr().err


def test_a_module_that_is_not_utf_8_is_named(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    path = built.root / "generators/tiny/mixed.py"
    path.write_bytes(path.read_bytes() + "# Größe\n".encode("latin-1"))
    lines = path.read_bytes().count(b"\n")
    assert run(built, "--check") == 2
    error = capsys.readouterr().err
    assert error.endswith(f"mixed.py:{lines}: not UTF-8\n")
    assert error.count("\n") == 1


def test_words_edited_during_a_build_are_published(small: Small) -> None:
    edit = (
        "    path = context.content / 'b1-mixed.md'\n"
        "    path.write_text(path.read_text().replace('Words before', 'Later words before'))\n"
        "    size = len("
    )
    small.edit("generators/tiny/mixed.py", "    size = len(", edit)
    assert run(small) == 0
    assert "Later words before" in (small.root / "site/part-b.html").read_text(encoding="utf-8")
    assert run(small, "--check") == 0


def test_an_edit_that_is_half_done_when_a_build_ends_is_named(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = (
        "    path = context.content / 'b2-plain.md'\n"
        "    path.write_text(path.read_text().replace('title =', 'titel ='))\n"
        "    size = len("
    )
    small.edit("generators/tiny/mixed.py", "    size = len(", edit)
    assert run(small) == 1
    printed = capsys.readouterr()
    assert states(printed.out)["mixed"] == "made"
    assert "unknown key 'titel'" in printed.err
    small.edit("content/b2-plain.md", "titel =", "title =")
    assert run(small) == 0


def test_a_damaged_network_is_trained_again(built: Small) -> None:
    folder = next((built.root / ".cache/networks").iterdir())
    whole = contents(folder)
    (folder / "epoch-0003.safetensors").write_bytes(b"half")
    built.edit("generators/tiny/trained.py", '["weight"])', '["weight"] * 2)')
    assert run(built) == 0
    assert contents(folder)["epoch-0003.safetensors"] == whole["epoch-0003.safetensors"]


def test_nothing_heavy_is_imported_when_all_is_fresh(built: Small) -> None:
    heavy = ("torch", "numpy", "jinja2", "PIL", "markdown", "matplotlib", "diffusers", "filelock")
    code = (
        "import sys, build\n"
        "codes = build.main([]), build.main(['--check']), build.main(['--explain', 'mixed'])\n"
        f"print(codes, sorted(set({heavy}) & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=built.root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "(0, 0, 0) []"


def test_a_check_of_something_stale_imports_no_torch(built: Small) -> None:
    built.edit("content/b1-mixed.md", "scale = 0.5", "scale = 0.25")
    code = "import sys, build; print(build.main(['--check']), 'torch' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=built.root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "1 False"
    assert "parameter scale changed: 0.5 → 0.25" in ran.stdout


def test_a_second_build_waits_for_the_first(small: Small) -> None:
    small.edit("content/site.toml", "epochs = 3", "epochs = 3\npause = 0.5")
    command = [sys.executable, "build.py", "--threads", "1"]
    with subprocess.Popen(command, cwd=small.root, stdout=subprocess.DEVNULL) as first:
        while not list((small.root / ".cache").glob("locks/*.lock")):
            time.sleep(0.02)
        second = subprocess.run(
            command, cwd=small.root, capture_output=True, text=True, check=False
        )
    assert first.returncode == 0
    assert second.returncode == 0
    assert "another build is writing" in second.stderr
    assert set(states(second.stdout).values()) == {"fresh"}


def test_a_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[-1])
    with progress_shown("small") as progress:
        for now in (1.0, SILENCE + 1.0, SILENCE + 2.0):
            clock.append(now)
            progress("epoch 1 of 2", 3, 12)
    assert capsys.readouterr().err == "build.py: small: epoch 1 of 2, 25 %\n"


def test_two_things_that_are_not_building_are_refused(small: Small) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(small, "--check", "--dry-run")
    with pytest.raises(SystemExit, match="2"):
        run(small, "--model", "")
    with pytest.raises(SystemExit, match="2"):
        run(small, "--explain", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mixd"], "unknown section 'mixd', did you mean 'mixed'?"),
        (["plain", "--check", "mixd"], "unknown section 'mixd', did you mean 'mixed'?"),
        (["MIXED"], "unknown section 'MIXED', did you mean 'mixed'?"),
        (["--explain", "plane"], "unknown section 'plane', did you mean 'plain'?"),
        (["--device", "tpu", "--force"], "--device tpu: this machine has"),
        (["--draft", "--out", "site"], "a draft is never written to site/"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(small.root)
    assert run(small, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("b1-mixed.md", "scale =", "scael =", "unknown parameter 'scael', did you mean 'scale'?"),
        ("b1-mixed.md", "scale = 0.5", "scale = 1.5", "scale = 1.5, expected 0 to 1"),
        ("b1-mixed.md", "scale = 0.5", 'scale = "1"', "scale = '1', expected a number"),
        ("b1-mixed.md", "scale = 0.5", "scale = true", "scale = True, expected a number"),
        ("site.toml", "[parts.b]", "address = 'https://x.org/?a'\n[parts.b]", "expected one that begins with https://"),
        ("site.toml", "[parts.b]", "[parts.b]\nmodel = '~nobody/x'", "parts.b: model '~nobody/x': no folder"),
        ("b1-mixed.md", "scale = 0.5", "scale = nan", "scale = nan, expected a finite number"),
        ("b1-mixed.md", "scale = 0.5", 'picture = "../build.py"', "expected a file below content/"),
        ("b1-mixed.md", "scale = 0.5", 'picture = "/etc/passwd"', "expected a file below content/"),
        ("b1-mixed.md", "scale = 0.5", 'picture = "b1-mixed"', "no file content/b1-mixed (there are: input.bin)"),
        ("b1-mixed.md", "scale = 0.5", 'picture = "inputs.bin"', "did you mean 'input.bin'?"),
        ("b1-mixed.md", "scale = 0.5", "scale = ", "Invalid value (at line 7, column 9)"),
        ("b1-mixed.md", 'number = "1"', 'number = "x y"', "number = 'x y', expected one such as '1.2'"),
        ("b1-mixed.md", 'number = "1"', "number = 1", "number = 1, expected text in quotes"),
        ("b1-mixed.md", "Words before", "Words \0 before", "a NUL byte in line 9"),
        ("site.toml", "[parts.b]", "address = 'foo bar'\n[parts.b]", "'foo bar', expected one that begins with https://"),
        ("site.toml", "[parts.b]", "[parts.b]\nmodel = 'mini-iff'", "parts.b: model 'mini-iff': no folder"),
        ("site.toml", "[parts.b]", "[parts.b]\nmodel = 'Mini-IF'", "did you mean 'mini-if'?"),
        ("site.toml", "[parts.b]", "[parts.b]\nmodel = 'mini-if'\njudge = 'foo'", "parts.b: judge: 'foo' is neither"),
        ("b1-mixed.md", 'part = "b"', 'part = "c"', "part = 'c' (there are: b)"),
        ("b1-mixed.md", "title =", "titel =", "unknown key 'titel', did you mean 'title'?"),
        ("b1-mixed.md", "tiny.mixed", "tiny.mixde", "no such module in generators/, did you mean 'tiny.mixed'?"),
        ("b1-mixed.md", "+++\nWords", "Words", "expected front matter between two lines +++"),
        ("b3-trained.md", '["small"]', '["smal"]', "unknown network 'smal', did you mean 'small'?"),
        ("site.toml", "epochs", "epoch", "unknown parameter 'epoch', did you mean 'epochs'?"),
        ("site.toml", "seed = 180", 'seed = "180"', "seed = '180', expected a whole number"),
        ("site.toml", "title = \"A small", "titel = \"A small", "did you mean 'title'?"),
        ("b1-mixed.md", 'number = "1"', 'number = "2"', "B2 is also the number of b1-mixed.md"),
        ("b3-trained.md", '["small"]', "[1]", "unknown network '1'"),
        ("site.toml", "[parts.b]", "[data]\nmnits = ''\n[parts.b]", "unknown key 'mnits', did you mean 'mnist'?"),
        ("site.toml", "[networks.small]", "[networks]\nx = 5\n[networks.small]", "networks.x = 5, expected a table"),
        ("site.toml", 'text =', 'txet = ""\ntext =', "unknown key 'txet', did you mean 'text'?"),
        ("site.toml", "[parts.b]", "[models.mini-fi]\n[parts.b]", "no model 'mini-fi', did you mean 'mini-if'?"),
        ("site.toml", "epochs = 3", "epochs = 3\ndata = false", "data = False"),
        ("site.toml", "epochs = 3", "epochs = 3\ndraft = { epoch = 1 }", "unknown parameter 'epoch'"),
    ],
)  # fmt: skip
def test_an_authors_mistake_is_one_line_that_names_the_file(
    built: Small, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, message: str
) -> None:
    built.edit(f"content/{file}", old, new)
    assert run(built) == 2
    error = capsys.readouterr().err
    assert message in error
    assert file in error or "b2-plain.md" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Range(0, 1)] = 1.0", "Range(low=0, high=0.25)] = 0.2", "scale = 0.5, expected 0 to 0.25"),
        ("Range(0, 1)", "Range(1, 0)", "Parameters.scale: Range(1, 0), expected two numbers"),
        ("Range(0, 1)", "SHARE", "Parameters.scale: SHARE, expected Range(low, high)"),
        ("Range(0, 1)", "Rang(0, 1)", "Parameters.scale: Rang(0, 1), expected Range(low, high)"),
        ("Range(0, 1)", "Range(0)", "Parameters.scale: Range(0), expected two numbers"),
        ("columns: int = 2", "columns: int = len('ab')", "Parameters.columns: len('ab'), expected"),
        ("columns: int = 2", "columns: int | None = 2", "Parameters.columns: a type of int | None"),
        (
            "columns: int = 2",
            "columns: Annotated[int] = 2",
            "Parameters.columns: Annotated without",
        ),
        (
            "@dataclass(frozen=True)\nclass Parameters",
            "class Parameters",
            "Parameters is no dataclass",
        ),
        ("    mean: float\n", "    mean: float\n\n\nx = '\0'\n", "null bytes"),
    ],
)
def test_a_wrong_declaration_is_one_line(
    built: Small, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    built.edit("generators/tiny/mixed.py", old, new)
    assert run(built) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "mixed" in error
    assert error.count("\n") == 1


def test_an_empty_list_is_refused_where_the_default_is_not_empty(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    built.edit("content/b1-mixed.md", "scale = 0.5", "columns = []")
    module = "generators/tiny/mixed.py"
    built.edit(module, "columns: int = 2", "columns: tuple[int, ...] = (2,)")
    assert run(built, "--check") == 2
    message = "content/b1-mixed.md: columns is empty, expected a list of one or more"
    assert message in capsys.readouterr().err
    built.edit(module, "columns: tuple[int, ...] = (2,)", "columns: tuple[int, ...] = ()")
    assert run(built, "--check") == 1
    built.edit(module, "columns: tuple[int, ...] = ()", "columns: tuple[float, ...] = ()")
    built.edit("content/b1-mixed.md", "columns = []", f"columns = [1{400 * '0'}]")
    capsys.readouterr()
    assert run(built, "--check") == 2
    assert "b1-mixed.md: columns: expected a number below 1.8e308" in capsys.readouterr().err


def test_a_section_names_the_picture_that_stands_for_it(built: Small) -> None:
    index = built.root / "site" / "index.html"
    before = index.read_text(encoding="utf-8")
    assert 'src="mixed/sheet.png"' in before
    assert "mixed/curve.svg" not in before
    built.edit("content/b1-mixed.md", "title =", 'picture = "curve"\ntitle =')
    assert run(built) == 0
    after = index.read_text(encoding="utf-8")
    assert 'src="mixed/curve.svg"' in after
    assert "mixed/sheet.png" not in after


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("![](figure:curve)", "", "figure 'curve' is made but not shown"),
        ("number:mean", "number:maen", "unknown number 'maen', did you mean 'mean'?"),
        ("section:plain", "section:plane", "unknown section 'plane', did you mean 'plain'?"),
        (
            "figure:curve",
            "figure:curves",
            "figure 'curves' is shown but not made, did you mean 'curve'?",
        ),
        ("title =", 'picture = "curv"\ntitle =', "'curv', no such figure, did you mean 'curve'?"),
        ("Words before", "TODO before", "'TODO' in line 1 of the text"),
        ("Words before", "$$ x + y\n\nWords before", "'$$' is left in the text: it has no end"),
        ("Words before", "Words[^2] before", "'[^2]' is left in the text"),
        ("Words before", "```\nWords before", "'```' is left in the text"),
        ("Words before", "<div class='x'>\n\nWords before", "<div> is not closed"),
        ("Words before", "Words</b> before", "</b> closes nothing"),
        ("Words before", "Words <b/> before", "<b> is not closed"),
        ("Words before", "<style>\n.x { color: red }\n\nWords before", "<style> is not closed"),
        ("Words before", "[Words]() before", "a link to nothing"),
        ("Words before", "So $$x = y$$ holds. Words before", "'$$' within a paragraph, expected"),
        ("Words before", "Type <section> before", "<section> is not closed"),
        ("![](figure:curve)", "<!-- ![](figure:curve) -->", "figure 'curve' is made but not shown"),
        ("![](figure:curve)", "<div>\n\n![](figure:curve)\n\n</div>", "'![' is left in the text"),
        ("Words before", "![a](input.bin) before", "does not exist; a section's pictures are what"),
        ("Words before", "[Words](nowhere.html) before", "b1-mixed.md: link to nowhere.html"),
        ("Words before", "[Words](#nowhere) before", "no such anchor"),
        ("![](figure:curve)", "and ![](figure:curve)", "figure 'curve' must stand in a"),
        ("Words before", "![](mixed/sheet.png) ![](figure:sheet)", "figure 'sheet' is shown twice"),
    ],
)
def test_the_lint_fails_the_build_until_it_is_mended(
    built: Small, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    built.edit("content/b1-mixed.md", old, new)
    for _ in range(2):
        assert run(built) == 1
        printed = capsys.readouterr().err
        assert printed.startswith("build.py: content/b1-mixed.md: ")
        assert message in printed
        is_more = message.endswith("twice") or new.startswith(("<div", "<style"))
        assert printed.count("\n") == 1 or is_more, "one finding, one line"
    built.edit("content/b1-mixed.md", new, old) if new else None
    if new:
        assert run(built) == 0


LEGAL = """
<details markdown="1"><summary>More</summary>

That is **bold**, and $y$ a formula.

$$
z = 1
$$

![](figure:curve)

</details>

1. First

    ```python title="a.py"
    x = "$$"  # TODO
    ```

`![](figure:name)` and <kbd>$$</kbd>, [call](tel:+491234), [home](./index.html?a=1), [this](.).

<table><colgroup><col><tbody><tr><td>x</table>

<section>Raw.</section> <img srcset="mixed/sheet.png 1x, mixed/sheet.png 2x" alt="A sheet.">

> $$x = 1$$
"""


def test_what_is_legal_is_published(built: Small, capsys: pytest.CaptureFixture[str]) -> None:
    built.edit("content/b1-mixed.md", "![](figure:curve)", LEGAL)
    assert run(built) == 0, capsys.readouterr().err
    page = (built.root / "site/part-b.html").read_text(encoding="utf-8")
    assert "<strong>bold</strong>" in page
    assert 'id="mixed-curve"' in page
    assert "**" not in page
    assert '<span class="filename">a.py</span><pre>' in page
    built.edit("content/b1-mixed.md", "Raw.", '<a href="nowhere.html">Raw</a>')
    assert run(built) == 1
    assert "content/b1-mixed.md: link to nowhere.html" in capsys.readouterr().err


def test_code_may_hold_what_looks_unclosed(built: Small) -> None:
    built.edit(
        "content/b1-mixed.md", "Words before", "`$$`, `[^2]` and <kbd>x</kbd><br>Words before"
    )
    assert run(built) == 0


def test_a_section_named_like_a_place_of_the_page_is_told_so(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    (built.root / "content/b2-plain.md").rename(built.root / "content/b2-mixed-sheet.md")
    assert run(built, "--render-only") == 1
    error = capsys.readouterr().err
    found = (
        "content/b2-mixed-sheet.md: the id 'mixed-sheet' occurs twice; give its file another name"
    )
    assert found in error


def test_links_that_lead_nowhere_are_found(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    built.edit("content/site.toml", '"Words."', '"[See](section:plain), [or](sectoin:plain)."')
    built.edit("generators/tiny/mixed.py", '"A curve."', '"A curve like [those](section:plain)."')
    built.edit("content/b1-mixed.md", "The mean is", "The [*mean*](number:mean) is")
    assert run(built) == 1
    printed = capsys.readouterr().err
    assert "part-b.html: link to sectoin:plain, which is neither an address nor a file" in printed
    assert "content/b1-mixed.md: link to number:mean, which" in printed
    assert 'href="part-b.html#plain">See' in (built.root / "site/part-b.html").read_text()
    built.edit("content/site.toml", "sectoin:", "section:")
    built.edit("content/b1-mixed.md", "[*mean*](number:mean)", "mean")
    assert run(built) == 0


def test_a_page_that_goes_takes_no_link_with_it(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    built.edit("content/site.toml", "[parts.b]", "[parts.c]")
    for name in ("b1-mixed", "b2-plain", "b3-trained"):
        built.edit(f"content/{name}.md", 'part = "b"', 'part = "c"')
    built.edit("content/b1-mixed.md", "Words before", "[Words](part-b.html) before")
    assert run(built) == 1
    found = "content/b1-mixed.md: link to part-b.html, which does not exist"
    assert found in capsys.readouterr().err
    assert not (built.root / "site/part-b.html").exists()
    built.edit("content/b1-mixed.md", "[Words](part-b.html) before", "Words before")
    assert run(built) == 0


def test_a_figure_without_alternative_text_fails_the_build(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    built.edit("generators/tiny/mixed.py", '"A grey gradient."', '""')
    assert run(built) == 1
    assert "figure 'sheet' has no alt" in capsys.readouterr().err


def edit_while_served(server: "subprocess.Popen[str]", built: Small) -> None:
    assert server.stdout
    address = server.stdout.readline().split()[0]
    with urllib.request.urlopen(f"{address}changes", timeout=20) as changes:
        with urllib.request.urlopen(f"{address}part-b.html", timeout=20) as page:
            assert b"EventSource" in page.read()
        built.edit("content/b1-mixed.md", "Words before", "Altogether new words before")
        assert changes.readline() == b"data: changed\n"
    with urllib.request.urlopen(f"{address}part-b.html", timeout=20) as page:
        assert b"Altogether new words" in page.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}nowhere.html", timeout=20)


def test_serving_renders_again_and_tells_the_browser(built: Small) -> None:
    command = [sys.executable, "build.py", "--serve", "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=built.root,
        stdout=subprocess.PIPE,
        text=True,
        # Shells start what runs in the background with interrupts ignored, and children inherit it.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as server:
        try:
            edit_while_served(server, built)
            server.send_signal(signal.SIGINT)
            server.wait(20)
        finally:
            server.kill()
    assert b"EventSource" not in (built.root / "site/part-b.html").read_bytes()
    assert server.returncode == 130


def test_a_draft_is_kept_apart_and_marked(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.edit("content/b1-mixed.md", "[parameters]", "[draft]\nscale = 0.1\n[parameters]")
    assert run(small, "mixed", "--draft") == 0
    assert not (small.root / "site").exists()
    page = (small.root / ".cache/draft/site/part-b.html").read_text(encoding="utf-8")
    assert "0.050" in page
    assert "raft" in page


def test_another_folder_is_filled_from_what_was_made_before(
    built: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("generators.making.Maker.run", lambda *_: pytest.fail("ran again"))
    assert run(built, "--out", str(tmp_path / "elsewhere")) == 0
    assert contents(tmp_path / "elsewhere") == contents(built.root / "site")


def test_a_number_and_its_per_cent_stay_on_one_line(built: Small) -> None:
    built.edit("generators/tiny/mixed.py", 'f"{results.mean:.3f}"', '"82 %"')
    assert run(built) == 0
    page = (built.root / "site/part-b.html").read_text(encoding="utf-8")
    assert "82\N{NO-BREAK SPACE}%" in page


def test_what_would_run_is_foretold(built: Small, capsys: pytest.CaptureFixture[str]) -> None:
    built.edit("generators/tiny/mixed.py", "A gradient.", "A ramp of grey.")
    built.edit("generators/tiny/trained.py", '["weight"])', '["weight"] * 2)')
    assert run(built, "--dry-run") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("mixed: figures; figures: code generators.tiny.mixed:figures changed")
    assert re.match(r"trained: experiment \(\d+\.\d s on", second)
    built.edit("content/site.toml", "epochs = 3", "epochs = 4")
    assert run(built, "trained", "--dry-run") == 0
    assert re.match(r"trained: train small \(\d+\.\d s on", capsys.readouterr().out)


def test_a_folder_of_somebody_else_is_left_alone(
    built: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    foreign = tmp_path / "thesis"
    (foreign / "mixed").mkdir(parents=True)
    (foreign / "mixed" / "chapter.txt").write_text("precious")
    assert run(built, "--out", str(foreign)) == 2
    assert "not empty, and no site of this program" in capsys.readouterr().err
    assert contents(foreign) == {"mixed/chapter.txt": b"precious"}
    assert run(built, "--out", str(built.root / "build.py")) == 2
    (built.root / "site" / "mixed" / "notes.txt").write_text("mine")
    assert run(built, "mixed", "--force") == 0
    assert (built.root / "site" / "mixed" / "notes.txt").exists()


def test_formulas_that_are_not_as_written_are_not_shown(built: Small) -> None:
    path = built.root / "site" / "mathematics.json"
    path.write_bytes(path.read_bytes().replace(b"{}", b'{"x": "y"}'))
    path.write_bytes(b'{"formulas": {"a": "WRONG"}, "seal": "0"}')
    assert run(built) == 0
    assert b"WRONG" not in path.read_bytes()


def test_a_wrong_template_is_named(built: Small, capsys: pytest.CaptureFixture[str]) -> None:
    built.edit("templates/index.html", "{% block body %}", "{% block body %}{% if %}")
    assert run(built) == 2
    assert "templates/index.html:" in capsys.readouterr().err


def test_a_section_that_is_gone_is_pointed_out(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    (built.root / "content" / "b2-plain.md").unlink()
    built.edit("content/b1-mixed.md", "[the other](section:plain)", "the other")
    assert run(built) == 0
    assert "plain/ belongs to no section any more" in capsys.readouterr().out


def test_a_disk_that_is_full_is_one_line(
    built: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    built.edit("content/b1-mixed.md", "Words before", "Other words before")
    monkeypatch.setattr("generators.publishing.write", full)
    assert run(built) == 1
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert error.count("\n") == 1


def test_listing_explaining_and_expecting_change_nothing(
    built: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    built.edit("generators/tiny/near.py", ".values()", ".values() * 2")
    before = contents(built.root / "site")
    assert run(built, "--list") == 0
    assert "B1       mixed" in capsys.readouterr().out
    assert run(built, "--explain", "mixed") == 0
    assert "code generators.tiny.near:gradient changed" in capsys.readouterr().out
    assert run(built, "--dry-run") == 0
    planned = capsys.readouterr().out
    assert "mixed: experiment (0.0 s on" in planned
    assert "trained" not in planned
    assert contents(built.root / "site") == before
