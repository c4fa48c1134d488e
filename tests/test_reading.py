"""Weights: whole, of this network, as the manifest has them; and where they are put."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from cascades import small_cascade
from diffusers import UNet2DConditionModel
from oracles import images, schedule
from torch import Tensor, nn

from generators import machine
from generators.diffusion import loading, reading
from generators.diffusion.loading import load_stage, open_cascade
from generators.diffusion.reading import affordable, precision, read_network, settle
from generators.diffusion.stage import Stage
from generators.errors import AuthorError
from generators.models import digest_of_file, find_model

CPU = torch.device("cpu")
WEIGHTS = "stage_1/unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cascade(tmp_path_factory.mktemp("source"), 8)


@pytest.fixture
def sealed(source: Path, tmp_path: Path) -> Path:
    """A cascade with a manifest."""
    folder = tmp_path / "model"
    shutil.copytree(source, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {path.relative_to(folder).as_posix(): digest_of_file(path) for path in files}
    (folder / "digests.json").write_text(json.dumps(manifest))
    return folder


def refusal(folder: Path) -> str:
    """What is said when all of a cascade is loaded."""
    opened = open_cascade(find_model(str(folder), folder), CPU, folder / "cache", torch.float32)

    def load() -> None:
        opened.embed(["a dog"])
        opened.stage(1)
        opened.stage(2)

    with pytest.raises(AuthorError) as error:
        load()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_cascade_as_its_manifest_has_it_loads(sealed: Path) -> None:
    opened = open_cascade(find_model(str(sealed), sealed), CPU, sealed / "cache", torch.float32)
    assert opened.embed(["a dog"]).shape[:2] == (1, 77)
    assert [opened.stage(1).size, opened.stage(2).size] == [8, 16]


@pytest.mark.parametrize(
    "file", [WEIGHTS, "stage_2/scheduler/scheduler_config.json", "stage_1/tokenizer/tokenizer.json"]
)
def test_a_changed_file_is_refused_by_name(file: str, sealed: Path) -> None:
    content = (sealed / file).read_bytes()
    (sealed / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"{sealed / file}: damaged or foreign" in refusal(sealed)


def test_a_file_too_many_or_too_few_is_refused_by_name(sealed: Path) -> None:
    foreign = sealed / "stage_1" / "unet" / "another.safetensors"
    foreign.write_bytes(b"")
    assert f"{foreign}: damaged or foreign" in refusal(sealed)
    foreign.unlink()
    (sealed / WEIGHTS).unlink()
    assert f"{sealed / WEIGHTS}: missing, but listed" in refusal(sealed)


def test_weights_cut_short_are_refused_by_name(source: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source, tmp_path / "model"))
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])
    assert f"{folder / WEIGHTS} is no whole safetensors file" in refusal(folder)
    (folder / WEIGHTS).rename(folder / "stage_1/unet/diffusion_pytorch_model.bin")
    assert "unet: found no .safetensors file, expected one (no .bin is read)" in refusal(folder)


def test_weights_of_another_network_are_refused(source: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source, tmp_path / "model"))
    config = folder / "stage_1" / "unet" / "config.json"
    config.write_text(config.read_text().replace('"layers_per_block": 1', '"layers_per_block": 2'))
    assert "unet: weights of another network? Cannot load" in refusal(folder)


def test_a_part_that_is_missing_is_named(source: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source, tmp_path / "model"))
    (folder / "stage_2/image_noising_scheduler/scheduler_config.json").unlink()
    with pytest.raises(AuthorError, match="stage_2: found no image_noising_scheduler/scheduler_"):
        load_stage(folder / "stage_2", 2, CPU)
    (folder / "stage_1/text_encoder/config.json").unlink()
    assert "stage_1: found no text_encoder/config.json" in refusal(folder)


def test_half_weights_are_taken_where_half_is_wanted(source: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source / "stage_1" / "unet", tmp_path / "unet"))
    whole = UNet2DConditionModel.from_pretrained(folder)
    first = next(whole.parameters()).clone()
    with torch.no_grad():
        next(whole.parameters()).zero_()
    whole.half().save_pretrained(folder, variant="fp16")

    def read(dtype: torch.dtype) -> Tensor:
        return next(read_network(UNet2DConditionModel, folder, dtype).parameters())

    assert torch.equal(read(torch.float32), first)
    assert torch.equal(read(torch.float16), torch.zeros_like(first).half())
    next(folder.glob("*model.safetensors")).unlink()
    assert torch.equal(read(torch.float32), torch.zeros_like(first)), "all there is"


def test_each_device_has_its_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "bfloat16_pays", lambda device: True)
    found = [precision(torch.device(name)) for name in ("cuda", "cpu", "mps")]
    assert found == [torch.float16, torch.bfloat16, torch.float32]
    monkeypatch.setattr(reading, "bfloat16_pays", lambda device: False)
    assert precision(CPU) == torch.float32


@pytest.mark.parametrize(
    ("amx", "avx512", "processor", "expected"),
    [
        (True, True, "Intel(R) Xeon(R) Processor", True),
        (False, True, "Intel(R) Xeon(R) Processor", False),
        (False, True, "AMD EPYC", True),
        (False, False, "AMD EPYC", False),
        (False, False, "arm64", False),
    ],
)
def test_a_cpu_takes_bfloat16_where_it_is_faster(
    amx: bool, avx512: bool, processor: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(machine, "processor", lambda: processor)
    assert machine.bfloat16_pays(CPU) is expected


@pytest.mark.parametrize("is_native", [True, False])
def test_a_gpu_takes_bfloat16_where_it_is_not_emulated(
    is_native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: is_native)
    assert machine.bfloat16_pays(torch.device("cuda")) is is_native


def test_a_stage_in_half_precision_answers_in_single(source: Path) -> None:
    full = load_stage(source / "stage_1", 1, CPU)
    half = load_stage(source / "stage_1", 1, CPU, torch.bfloat16)
    assert next(half.unet.parameters()).dtype == torch.bfloat16
    x_t, told = images(2, 8), images(2, 8)[:, :, :, 0].repeat(1, 26, 2)[:, :77]
    with torch.no_grad():
        expected, found = full(x_t, 500, told), half(x_t, 500, told)
    assert found.mean.dtype == torch.float32
    assert torch.allclose(found.mean, expected.mean, atol=0.1)


def test_layers_visit_a_device_that_has_no_room_for_all(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = load_stage(source / "stage_1", 1, CPU)
    monkeypatch.setattr(reading, "free_memory", lambda device: 0.0)
    visiting = load_stage(source / "stage_1", 1, CPU)
    x_t, told = images(2, 8), torch.ones(2, 77, 16)
    with torch.no_grad():
        expected, found = (each(x_t, 500, told).mean for each in (here, visiting))
    assert torch.allclose(found, expected, atol=1e-5)
    assert next(visiting.unet.parameters()).device.type == "meta", "only the layer at work is there"
    assert next(settle(nn.Linear(2, 2), CPU).parameters()).device.type == "meta"


@pytest.mark.parametrize(("share", "expected"), [(4, torch.float32), (1, torch.bfloat16)])
def test_weights_are_read_narrower_where_memory_is_short(
    source: Path, share: float, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = source / "stage_1" / "unet"
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    monkeypatch.setattr(reading, "main_memory", lambda: share * size)
    assert affordable(folder, torch.float32, CPU) == expected
    assert next(load_stage(folder.parent, 1, CPU).unet.parameters()).dtype == expected
    assert affordable(folder, torch.float32, torch.device("cuda")) == torch.float32


def test_weights_that_do_not_fit_are_refused(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "main_memory", lambda: 1024)
    with pytest.raises(AuthorError, match=r"too little; take a smaller model, or embeddings made"):
        affordable(source / "stage_1" / "text_encoder", torch.float32, CPU)
    with pytest.raises(AuthorError, match=r"unet: .* too little; take a smaller model$"):
        load_stage(source / "stage_1", 1, CPU)


def test_a_large_network_is_asked_for_few_images_at_once(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_stage(source / "stage_2", 2, CPU).most == sys.maxsize
    monkeypatch.setattr(loading, "LARGE", 0)
    assert load_stage(source / "stage_1", 1, CPU).most == 8 * 64
    assert load_stage(source / "stage_2", 2, CPU).most == 2 * 64


class Short(nn.Module):
    """A network on a device with memory for `room` images."""

    def __init__(self, inner: nn.Module, room: int, error: Exception) -> None:
        super().__init__()
        self.inner, self.room, self.error = inner, room, error
        self.batches: list[int] = []

    def forward(self, x: Tensor, *given: Tensor, **options: object) -> tuple[Tensor]:
        self.batches.append(len(x))
        if len(x) > self.room:
            raise self.error
        return self.inner(x, *given, **options)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_batch_too_large_is_halved_and_no_image_changes(error: Exception, source: Path) -> None:
    whole = load_stage(source / "stage_2", 2, CPU)
    short = Stage(Short(whole.unet, 2, error), whole.schedule, 16, CPU, whole.noising)
    x_t, text = images(7), torch.linspace(-1, 1, 7 * 77 * 16).reshape(7, 77, 16)
    told = (text, images(7, seed=1), torch.full((7,), 250))
    with torch.no_grad():
        expected, found = whole(x_t, 500, *told), short(x_t, 500, *told)
        short(x_t, 400, *told)
    assert torch.allclose(found.mean, expected.mean, atol=1e-5)
    assert torch.allclose(found.spread, expected.spread, atol=1e-5)
    halves = [2, 2, 2, 1]
    assert short.unet.batches == [7, 4, *halves, *halves], "what has failed is not tried again"


def test_one_image_too_large_and_other_errors_are_said(source: Path) -> None:
    unet = load_stage(source / "stage_1", 1, CPU).unet
    short = Stage(Short(unet, 0, torch.OutOfMemoryError("no")), schedule(), 8, CPU)
    with pytest.raises(
        AuthorError, match="memory is too short for one image of 8 × 8 pixels on cpu"
    ):
        short(images(3, 8), 500, torch.ones(3, 77, 16))
    broken = Stage(Short(unet, 0, RuntimeError("shapes differ")), schedule(), 8, CPU)
    with pytest.raises(RuntimeError, match="shapes differ"):
        broken(images(3, 8), 500, torch.ones(3, 77, 16))
