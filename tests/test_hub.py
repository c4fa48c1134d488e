"""Stages from the Hub, which is a fake here: what is asked of it, and what its refusals mean."""

import json
import shutil
from pathlib import Path

import httpx2
import pytest
import torch
from cascades import FIRST, SECOND, WIDTH, Hub, small_cascade
from huggingface_hub import errors

from generators.diffusion.hub import fetch, reason
from generators.diffusion.loading import open_cascade
from generators.errors import AuthorError
from generators.models import commit_of, find_model, known_by

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = small_cascade(tmp_path_factory.mktemp("source"), 8)
    weights = folder / "stage_1" / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_suffix(".fp16.safetensors"))
    weights.write_bytes(b"never asked for")
    (folder / "stage_1" / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"nor this")
    return folder


@pytest.fixture
def hub(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(source, tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(made.cache))
    monkeypatch.setattr("huggingface_hub.snapshot_download", made.snapshot_download)
    return made


def test_only_the_files_in_use_come_and_only_when_they_are_used(hub: Hub, tmp_path: Path) -> None:
    cascade = open_cascade(find_model(FIRST, tmp_path), CPU, tmp_path, torch.float32)
    assert hub.came == []
    assert cascade.stage(1).size == 8
    assert sorted(hub.came) == [
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
    ]
    cascade.embed(["a dog"])
    assert "text_encoder/model.safetensors" in hub.came
    assert "tokenizer/tokenizer.json" in hub.came
    assert not any(file.endswith(".bin") for file in hub.came)
    assert cascade.stage(2).size == 16, "found by the name of the first"
    hub.came.clear()
    shutil.rmtree(
        hub.cache / "models--DeepFloyd--IF-I-M-v1.0" / "snapshots" / "c0ffee" / "text_encoder"
    )
    again = open_cascade(find_model(FIRST, tmp_path), CPU, tmp_path, torch.float32)
    assert torch.equal(again.embed(["a dog"]), cascade.embed(["A dog "]))
    assert hub.came == [], "known words need no encoder"


def test_a_model_is_known_by_its_commit_once_it_is_here(hub: Hub, tmp_path: Path) -> None:
    before = find_model(FIRST, tmp_path)
    assert before.identity["model stage 1"] == f"{FIRST} unresolved"
    assert before.is_unresolved
    fetch(FIRST, ["scheduler/*.json"])
    fetch(SECOND, ["scheduler/*.json"])
    assert known_by(FIRST, tmp_path) == f"{FIRST} c0ffee"
    assert not find_model(FIRST, tmp_path).is_unresolved


def refused(status: int, kind: type[errors.HfHubHTTPError] = errors.HfHubHTTPError) -> Exception:
    request = httpx2.Request("GET", "https://huggingface.co")
    return kind(
        "Cannot access it.\nPlease log in.", response=httpx2.Response(status, request=request)
    )


def hidden(cause: Exception) -> Exception:
    error = errors.LocalEntryNotFoundError("An error happened while trying to locate the file")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        refused(401, errors.GatedRepoError),
        refused(403, errors.GatedRepoError),
        refused(401),
        hidden(refused(403)),
        hidden(refused(401, errors.GatedRepoError)),
    ],
)
def test_a_refusal_says_the_three_steps_however_hidden(hub: Hub, error: Exception) -> None:
    hub.error = error
    with pytest.raises(AuthorError) as raised:
        fetch(FIRST, ["unet/*"])
    said = str(raised.value)
    for step in ("account", f"licence on https://huggingface.co/{FIRST}", "`hf auth login`"):
        assert step in said
    assert said.startswith(f"model {FIRST}: ")
    assert "\n" not in said


def test_what_the_hub_says_of_a_refusal_is_passed_on() -> None:
    error = refused(403)
    error.server_message = "Please enable access to public gated repositories.\nSee the settings."
    said = reason(hidden(error), FIRST)
    assert "(it says: Please enable access to public gated repositories.)" in said
    assert "(4) let a fine-grained token read public gated repositories" in said


def test_a_broken_connection_is_one_line(hub: Hub) -> None:
    hub.error = httpx2.ReadError("reset")
    with pytest.raises(AuthorError, match="the connection broke"):
        fetch(FIRST, ["unet/*"])


def test_words_are_tried_before_the_encoder_comes(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generators.diffusion.text.T5_WIDTH", WIDTH)
    cascade = open_cascade(find_model(FIRST, tmp_path), CPU, tmp_path, torch.float32)
    with pytest.raises(AuthorError, match="expected 32100 to"):
        cascade.embed(["a dog"])
    assert not any(file.endswith(".safetensors") for file in hub.came)


@pytest.mark.parametrize("name", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
def test_the_cache_is_where_the_hub_has_it(
    name: str, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(FIRST, ["scheduler/*.json"])
    monkeypatch.setenv("HF_HOME", str(hub.cache / "nothing"))
    for each in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(each, raising=False)
    assert commit_of(FIRST) == "unresolved"
    monkeypatch.setenv("PLACE", str(hub.cache.parent))
    monkeypatch.setenv(name, f"$PLACE/{hub.cache.name}")
    assert commit_of(FIRST) == "c0ffee"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refused(404, errors.RepositoryNotFoundError), "found no such model on the Hub"),
        (hidden(errors.OfflineModeIsEnabled("off")), "HF_HUB_OFFLINE is set"),
        (hidden(httpx2.ConnectError("no route")), "the Hub cannot be reached; connect once"),
        (refused(500), "HfHubHTTPError: Cannot access it."),
        (OSError(28, "No space left on device"), "No space left on device"),
        (httpx2.ReadError("reset"), "connection broke (ReadError: reset); build again, it goes on"),
    ],
)
def test_other_troubles_are_told_apart(error: Exception, expected: str) -> None:
    assert expected in reason(error, FIRST)
    assert "\n" not in reason(error, FIRST)


def test_the_stages_in_the_wrong_order_are_named_right(hub: Hub, tmp_path: Path) -> None:
    swapped = find_model(f"{SECOND},{FIRST}", tmp_path)
    with pytest.raises(
        AuthorError, match="takes 6 channels, expected 3 for stage 1: this is stage 2"
    ):
        open_cascade(swapped, CPU, tmp_path).stage(1)
    assert not any(file.endswith(".safetensors") for file in hub.came), "refused before it came"
    with pytest.raises(AuthorError, match=f"this is a stage 2, expected its stage 1, '{FIRST}'"):
        find_model(SECOND, tmp_path)


def test_a_manifest_is_what_a_folder_is_known_by(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "model")
    plain = find_model("model", tmp_path).identity
    (tmp_path / "model" / "digests.json").write_text(json.dumps({"a": "b"}))
    sealed = find_model("model", tmp_path).identity
    assert plain != sealed
    (tmp_path / "model" / "stage_1" / "unet" / "config.json").write_text("{}")
    assert find_model("model", tmp_path).identity == sealed, "checked when it is loaded"
