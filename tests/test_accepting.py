"""What an author accepts when code changed and no result did: nothing runs, and the record tells."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import Small, forget
from safetensors.torch import load_file

import build
from generators.digits import shipping
from generators.project import open_project
from generators.shipped import record_in
from generators.store import read_sealed

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
