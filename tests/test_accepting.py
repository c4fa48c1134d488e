"""What an author accepts when code changed and no result did: nothing runs, and the record tells."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import Small, forget
from safetensors.torch import load_file

import build
from generators.digits import shipping
from generators.files import write
from generators.project import open_project
from generators.shipped import record_in
from generators.store import read_sealed, write_sealed

SHIPPED = Path("generators/tiny/weights/small.safetensors")


def run(small: Small, *arguments: str) -> int:
    forget()
    return build.main([*arguments, "--threads", "1"], small.root)


def record(small: Small, section: str) -> dict[str, dict[str, object]]:
    found = read_sealed(small.root / "site" / section)
    assert not found.damage
    return dict(json.loads(json.dumps(found.record)))


@pytest.fixture
def rewritten(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A finished write-up, then other code of a helper and of the trainer; running is a failure."""
    assert run(small) == 0
    project = open_project(small.root, None, False)
    shipping.ship(project, small.section("trained").networks[0])
    small.edit("generators/tiny/package/furthest.py", "(0.0, LAST, ", "(LAST * 0.0, LAST, ")
    small.edit("generators/tiny/training.py", "(x) - x)", "(x) - 1.0 * x)")
    assert run(small, "--check") == 1
    monkeypatch.setattr("generators.making.Maker.run", lambda *_: pytest.fail("ran again"))
    monkeypatch.setattr(
        "generators.making_networks.Training.fit", lambda *_: pytest.fail("trained again")
    )
    return small


def test_everything_is_fresh_and_nothing_ran(
    rewritten: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = (rewritten.root / "site/mixed/sheet.png").read_bytes()
    assert run(rewritten, "--accept") == 0
    printed = capsys.readouterr().out
    assert "mixed: accepted as it is" in printed
    assert "plain: accepted" not in printed, "it was fresh"
    assert run(rewritten, "--check") == 0
    assert (rewritten.root / "site/mixed/sheet.png").read_bytes() == sheet
    for name in ("mixed", "trained"):
        assert record(rewritten, name)["experiment"]["key"] == rewritten.keys(name)[0]
        (note,) = record(rewritten, name)["provenance"]["accepted"]  # type: ignore
        assert note in (rewritten.root / "site/part-b.html").read_text(encoding="utf-8")
    assert "accepted" not in record(rewritten, "plain")["provenance"]


def test_a_network_serves_on_from_the_cache_and_from_the_checkout(rewritten: Small) -> None:
    before = load_file(rewritten.root / SHIPPED)
    old = record(rewritten, "trained")["networks"]["small"]["key"]  # type: ignore
    assert run(rewritten, "--accept", "trained") == 0
    new = record(rewritten, "trained")["networks"]["small"]["key"]  # type: ignore
    networks = rewritten.root / ".cache" / "networks"
    assert new != old
    assert {each.name for each in networks.iterdir()} == {old, new}, "undoing finds the old one"
    shipped = record_in(rewritten.root / SHIPPED)
    assert shipped is not None
    assert shipped["key"] == new
    after = load_file(rewritten.root / SHIPPED)
    assert {name: value.tolist() for name, value in before.items()} == {
        name: value.tolist() for name, value in after.items()
    }


@pytest.mark.parametrize("where", ["cache", "checkout"])
def test_an_accepted_network_is_not_trained_for_a_new_experiment(
    rewritten: Small, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(rewritten, "--accept", "trained") == 0
    if where == "checkout":
        shutil.rmtree(rewritten.root / ".cache")
    else:
        (rewritten.root / SHIPPED).unlink()
    monkeypatch.undo()
    monkeypatch.setattr(
        "generators.making_networks.Training.fit", lambda *_: pytest.fail("trained again")
    )
    rewritten.edit("generators/tiny/trained.py", '["weight"])', '["weight"] * 2)')
    assert run(rewritten, "trained") == 0
    (note,) = record(rewritten, "trained")["networks"]["small"]["provenance"]["accepted"]  # type: ignore
    assert " at commit " in note
    assert note in (rewritten.root / "site/part-b.html").read_text(encoding="utf-8")


def test_figures_are_drawn_anew_where_their_code_changed(rewritten: Small) -> None:
    rewritten.edit("generators/tiny/mixed.py", "A gradient.", "A ramp of grey.")
    assert run(rewritten, "--accept", "mixed") == 0
    assert "A ramp of grey." in (rewritten.root / "site/part-b.html").read_text(encoding="utf-8")
    assert "accepted" in record(rewritten, "mixed")["provenance"]


def test_results_too_large_to_publish_are_taken_over_too(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generators.making.KEPT", 100)
    assert run(small, "mixed") == 0
    small.edit("generators/tiny/package/furthest.py", "(0.0, LAST, ", "(LAST * 0.0, LAST, ")
    monkeypatch.setattr("generators.making.Maker.run", lambda *_: pytest.fail("ran again"))
    assert run(small, "--accept", "mixed") == 0
    small.edit("generators/tiny/mixed.py", "A gradient.", "A ramp of grey.")
    assert run(small, "mixed") == 0
    assert "accepted" in record(small, "mixed")["provenance"]


def refused(small: Small, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line of a build that changes nothing."""
    before = {path: path.read_bytes() for path in (small.root / "site").rglob("*.json")}
    capsys.readouterr()
    assert run(small, "--accept", *arguments) == 2
    assert {path: path.read_bytes() for path in (small.root / "site").rglob("*.json")} == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_more_than_code_is_refused_for_all(
    rewritten: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten.edit("content/site.toml", "epochs = 3", "epochs = 4")
    assert refused(rewritten, capsys) == (
        "build.py: --accept trained: not only code changed: "
        "network small: recipe epochs changed: 3 → 4; build it"
    )


def test_what_was_never_made_is_refused(
    rewritten: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(rewritten.root / "site/plain")
    assert "--accept plain: never made" in refused(rewritten, capsys)


def test_figures_without_their_results_are_refused(
    small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("generators.making.KEPT", 100)
    assert run(small, "mixed") == 0
    shutil.rmtree(small.root / ".cache")
    small.edit("generators/tiny/mixed.py", "A gradient.", "A ramp of grey.")
    assert "its results are not here" in refused(small, capsys, "mixed")


def test_figures_alone_are_drawn_and_nothing_is_accepted(
    small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(small) == 0
    small.edit("generators/tiny/mixed.py", "A gradient.", "A ramp of grey.")
    monkeypatch.setattr("generators.making.Maker.run", lambda *_: pytest.fail("ran again"))
    assert run(small, "--accept") == 0
    assert "accepted" not in capsys.readouterr().out
    assert "accepted" not in record(small, "mixed")["provenance"]
    assert run(small, "--check") == 0


@pytest.mark.parametrize("calls", range(1, 9))
def test_killed_anywhere_or_on_a_full_disk_nothing_old_passes_for_new(
    rewritten: Small, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many writes there is no next one; whoever accepts again finds all as it was."""
    left = calls

    def counted(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    for module in ("accepting", "store", "shipped"):
        monkeypatch.setattr(f"generators.{module}.write", counted)
    finished = run(rewritten, "--accept") == 0
    left = 1000
    networks = rewritten.root / ".cache" / "networks"
    for folder in (*networks.iterdir(), *(rewritten.root / ".cache" / "results").iterdir()):
        found = read_sealed(folder)
        if found.record is not None and not found.damage:
            assert dict(found.record)["key"] == folder.name  # type: ignore
    for name in ("mixed", "trained"):
        is_new = record(rewritten, name)["experiment"]["key"] == rewritten.keys(name)[0]
        assert is_new == ("accepted" in record(rewritten, name)["provenance"])
    assert finished or run(rewritten, "--accept") == 0
    assert run(rewritten, "--check") == 0


@pytest.mark.parametrize("keep", [-8, 100, 4])
def test_a_damaged_shipped_network_is_named_before_anything_is_done(
    rewritten: Small, keep: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rewritten.root / SHIPPED
    path.write_bytes(path.read_bytes()[:keep])
    assert "small.safetensors is " in refused(rewritten, capsys)


def test_results_of_another_make_are_refused(
    rewritten: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten.edit("generators/tiny/mixed.py", "mean: float", "mean: float\n    more: int = 0")
    assert "--accept mixed: its Results changed" in refused(rewritten, capsys)


def test_imported_results_of_another_make_are_refused(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    old = "@dataclass(frozen=True)\nclass Results:\n    values: np.ndarray\n    mean: float\n"
    small.edit("generators/tiny/mixed.py", old, "from generators.tiny.shapes import Results\n")
    shapes = small.root / "generators/tiny/shapes.py"
    shapes.write_text(f"from dataclasses import dataclass\nimport numpy as np\n{old}")
    assert run(small) == 0
    small.edit("generators/tiny/shapes.py", "mean: float", "mean: float\n    more: int = 0")
    assert "--accept mixed: its Results changed" in refused(small, capsys)


def test_each_run_keeps_its_own_provenance(rewritten: Small) -> None:
    (old,) = (each for each in kept(rewritten) if each.name == rewritten_key(rewritten, "mixed"))
    found = dict(json.loads((old / "record.json").read_text()))
    found.pop("seal")
    found["provenance"]["device"] = "another machine"
    write_sealed(old, found)
    assert run(rewritten, "--accept", "mixed") == 0
    now = read_sealed(old.with_name(rewritten.keys("mixed")[0])).record
    assert dict(now)["provenance"]["device"] == "another machine"  # type: ignore
    assert record(rewritten, "mixed")["provenance"]["device"] != "another machine"


def kept(small: Small) -> list[Path]:
    return list((small.root / ".cache" / "results").iterdir())


def rewritten_key(small: Small, section: str) -> str:
    return str(record(small, section)["experiment"]["key"])


def test_results_that_the_new_code_made_are_left_alone(rewritten: Small) -> None:
    (old,) = (each for each in kept(rewritten) if each.name == rewritten_key(rewritten, "mixed"))
    made = old.with_name(rewritten.keys("mixed")[0])
    shutil.copytree(old, made)
    found = dict(json.loads((old / "record.json").read_text()))
    found.pop("seal")
    write_sealed(made, {**found, "key": made.name})
    assert run(rewritten, "--accept", "mixed") == 0
    assert "accepted" not in dict(read_sealed(made).record)["provenance"]  # type: ignore


def test_a_network_that_is_lost_is_told(
    rewritten: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(rewritten.root / ".cache")
    (rewritten.root / SHIPPED).unlink()
    assert run(rewritten, "--accept", "trained") == 0
    assert "trained: accepted as it is; not here to be kept: small" in capsys.readouterr().out


@pytest.mark.parametrize("other", ["--check", "--list", "--dry-run", "--force", "--render-only"])
def test_it_does_nothing_else(
    rewritten: Small, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(rewritten, "--accept", other)
    assert stopped.value.code == 2
    assert "--accept" in capsys.readouterr().err
