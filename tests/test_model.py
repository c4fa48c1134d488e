"""Which cascade a part's sections use: its name, its place in the keys, one load per build."""

import json
from pathlib import Path

import pytest
from cascades import FIRST, SECOND, Hub, small_cascade
from conftest import Small

import build
from generators.errors import AuthorError
from generators.mini_if.judge import Judge, save_judge
from generators.models import JUDGE, find_model
from generators.project import open_project

QUICK = ["--device", "cpu", "--threads", "1"]

SECTION = """+++
title = "Told"
part = "a"
number = "1"
generator = "tiny.told"
+++
![](figure:sample)
"""

MODULE = """
from dataclasses import dataclass

import numpy as np

from generators.figure import Panels


@dataclass(frozen=True)
class Parameters:
    prompt: str = "a dog"


@dataclass(frozen=True)
class Results:
    images: np.ndarray


def experiment(context, parameters):
    from generators.diffusion.pictures import to_bytes
    from generators.diffusion.sampling import denoise, generators_of, last
    from generators.diffusion.schedule import strided

    cascade = context.cascade()
    generators = generators_of(context.stream("sample"), 2)
    schedule = cascade.stage(1).schedule
    steps = denoise(
        cascade.noise(generators), cascade.guided([parameters.prompt], 7.0), schedule,
        strided(1000, 400), generators=generators,
    )
    return Results(to_bytes(last(steps).x_t))


def figures(results, parameters):
    yield Panels("sample", "A sample.", "Noise.", [list(results.images)])
"""


@pytest.fixture
def told(small: Small) -> Small:
    small.edit(
        "content/site.toml", "[networks", '[parts.a]\ntitle = "A"\nmodel = "model"\n[networks'
    )
    (small.root / "content" / "a1-told.md").write_text(SECTION)
    (small.tiny / "told.py").write_text(MODULE)
    small_cascade(small.root / "model", 16)
    return small


def test_a_section_runs_on_the_cascade_of_its_part(told: Small) -> None:
    assert build.main(["told", *QUICK], told.root) == 0
    assert (told.root / "site" / "told" / "sample.png").is_file()
    record = json.loads((told.root / "site" / "told" / "record.json").read_text())
    assert record["provenance"]["model"] == "model"
    assert build.main(["told", "--dry-run"], told.root) == 0


def test_a_judge_scores_where_there_is_one_and_is_part_of_the_key(
    told: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    told.edit("content/site.toml", 'model = "model"', 'model = "model"\njudge = "mini-if"')
    asked = MODULE.replace("class Results:", "class Results:\n    judged: bool")
    asked = asked.replace("return Results(", "return Results(context.judge() is not None, ")
    (told.tiny / "told.py").write_text(asked)
    kept = told.root / "site" / "told" / "results.safetensors"
    assert build.main(["told", *QUICK], told.root) == 0
    assert b'\\"judged\\": false' in kept.read_bytes()
    save_judge(Judge(["a", "dog"]), told.root / JUDGE)
    assert build.main(["told", "--dry-run"], told.root) == 0
    assert "figures; judge changed: missing" in capsys.readouterr().out
    assert build.main(["told", *QUICK], told.root) == 0
    assert b'\\"judged\\": true' in kept.read_bytes()


def test_a_model_of_the_hub_is_known_by_its_commit_from_the_first_build(
    told: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(told.root / "model", tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(hub.cache))
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub.snapshot_download)
    assert build.main(["told", "--model", FIRST, *QUICK], told.root) == 0
    record = json.loads((told.root / "site" / "told" / "record.json").read_text())
    assert record["experiment"]["parts"]["model stage 1"] == f"{FIRST} c0ffee"
    assert record["experiment"]["parts"]["model stage 2"] == f"{SECOND} c0ffee"
    assert record["provenance"]["model"] == f"{FIRST} (weights for non-commercial research only)"
    assert "non-commercial research" in (told.root / "site" / "part-a.html").read_text()
    capsys.readouterr()
    build.main(["--check", "--model", FIRST], told.root)
    assert "told:" not in capsys.readouterr().out, "the key of the build is that of the check"
    build.main(["--check"], told.root)
    assert "told: model is new" in capsys.readouterr().out, "the folder is another"


def test_another_cascade_is_another_key(told: Small, capsys: pytest.CaptureFixture[str]) -> None:
    before = told.keys("told"), told.keys("plain")
    config = told.root / "model" / "stage_2" / "unet" / "config.json"
    config.write_text(config.read_text() + " ")
    assert told.keys("told") != before[0]
    assert told.keys("plain") == before[1], "its part has none"


def test_a_model_that_is_not_there_is_one_line_for_the_section_that_needs_it(
    told: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main(["told", "plain", "--model", "mini-if", *QUICK], told.root) == 1
    output = capsys.readouterr().out
    assert "model mini-if: found no folder" in output
    assert (told.root / "site" / "plain" / "moving.gif").is_file()


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("DeepFloyd/IF-I-XL-v1.0", ("DeepFloyd/IF-I-XL-v1.0", "DeepFloyd/IF-II-L-v1.0")),
        ("DeepFloyd/IF-I-M-v1.0", ("DeepFloyd/IF-I-M-v1.0", "DeepFloyd/IF-II-M-v1.0")),
        ("a/one, b/two", ("a/one", "b/two")),
    ],
)
def test_names_mean_stages(name: str, stages: tuple[str, str], tmp_path: Path) -> None:
    assert find_model(name, tmp_path).stages == stages


def test_only_the_embedded_cascade_is_judged_by_its_judge_unasked(tmp_path: Path) -> None:
    own = str(tmp_path / JUDGE)
    assert find_model("mini-if", tmp_path).judge == own
    assert find_model("DeepFloyd/IF-I-M-v1.0", tmp_path).judge == ""
    assert find_model("DeepFloyd/IF-I-M-v1.0", tmp_path, "mini-if").judge == own
    assert find_model("mini-if", tmp_path, "a/clip").judge == "a/clip"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "expected mini-if, a folder, a Hub id"),
        ("a/one, b/two, c/three", "expected mini-if, a folder"),
        ("nowhere", "'nowhere': no folder of the checkout, no stage 1 of DeepFloyd's"),
        ("a/one, ../x", "'../x' is neither a folder nor a Hub id"),
    ],
)
def test_names_that_mean_nothing_are_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(AuthorError, match=message):
        find_model(name, tmp_path)


def test_a_folder_that_holds_no_cascade_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "holiday" / "photos").mkdir(parents=True)
    with pytest.raises(AuthorError, match="'holiday': a folder without stage_1/"):
        find_model("holiday", tmp_path)


def test_a_folder_is_shown_without_where_it_lies(tmp_path: Path) -> None:
    assert find_model(f"{tmp_path},a/one", tmp_path).credit == f"{tmp_path.name}, a/one"


@pytest.mark.parametrize("folder", ["IF-I-XL-v1.0", "copies/IF-I-M-v1.0", "DeepFloyd"])
def test_weights_of_others_are_credited_wherever_they_lie(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder / "stage_1").mkdir(parents=True)
    terms = "(weights for non-commercial research only)"
    assert find_model(folder, tmp_path).credit == f"{folder} {terms}"


@pytest.fixture
def suited(told: Small) -> Small:
    """Its section has a scale of 7, and one of 2 on the cascade called `model`."""
    told.edit("generators/tiny/told.py", "prompt: str", "scale: float = 7.0\n    prompt: str")
    told.edit("content/site.toml", "[networks", "[models.model]\nscale = 2\n[networks")
    return told


def scale_of(project: Small, model: str | None = None, draft: bool = False) -> object:
    sections = open_project(project.root, None, draft, model).site.sections
    return next(each for each in sections if each.name == "told").parameters["scale"]


def test_a_model_may_suit_other_parameters(suited: Small) -> None:
    assert scale_of(suited) == 2.0
    small_cascade(suited.root / "other", 16)
    assert scale_of(suited, "other") == 7.0
    assert scale_of(suited, "model") == 2.0
    assert scale_of(suited, "model,words.pt") == 2.0


def test_what_a_section_says_itself_stands_above_its_model(suited: Small) -> None:
    head = 'generator = "tiny.told"\n'
    suited.edit("content/a1-told.md", head, f"{head}[parameters]\nscale = 3\n[draft]\nscale = 4\n")
    assert scale_of(suited) == 3.0
    assert scale_of(suited, draft=True) == 4.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("skale = 2", "content/site.toml: unknown key 'skale', did you mean 'scale'?"),
        ("scale = 'big'", "content/site.toml, models: scale = 'big', expected a number"),
    ],
)
def test_what_no_section_takes_is_refused_for_a_model(
    suited: Small, given: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suited.edit("content/site.toml", "scale = 2", given)
    assert build.main(["--list"], suited.root) == 2
    assert said in capsys.readouterr().err


def test_what_suits_a_section_that_is_gone_is_kept(suited: Small) -> None:
    suited.edit("content/site.toml", "scale = 2", "scale = 2\nframes = 3")
    (suited.root / "content/b2-plain.md").unlink()
    assert build.main(["--list"], suited.root) == 0
