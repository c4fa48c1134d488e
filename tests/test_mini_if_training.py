"""The training of the embedded cascade, on networks and pictures made here, and what it exports."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from conftest import ROOT
from diffusers import IFPipeline, IFSuperResolutionPipeline
from diffusers.utils import logging
from oracles import images, schedule
from PIL import Image
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.utils.data import Dataset
from transformers import AutoTokenizer

from generators.diffusion import reading
from generators.diffusion.loading import open_cascade
from generators.errors import AuthorError
from generators.mini_if import examples
from generators.mini_if import export as mini_if_export
from generators.mini_if.average import Average
from generators.mini_if.examples import Example, Examples, tokens_of
from generators.mini_if.export import compiled, export
from generators.mini_if.loss import HybridLoss
from generators.mini_if.painter import Painter
from generators.mini_if.recipe import RECIPES, SCHEDULER, Recipe, make_encoder, make_unet
from generators.mini_if.report import Report, write_report
from generators.mini_if.samples import Sampler
from generators.mini_if.start import begin
from generators.mini_if.tokens import make_tokenizer
from generators.mini_if.train import sharing
from generators.mini_if.training import STATE, Limits, Training
from generators.models import find_model

RECIPE = RECIPES["tiny"][0]
NOISES = schedule("learned_range")
CAPTIONS = ["a photo of a dog", "a photo of a cat"] * 2
pytestmark = pytest.mark.usefixtures("alone")


@dataclass(frozen=True)
class Toy(Dataset[Example]):
    """Pictures of 8 × 8 pixels, each a function of its number."""

    stage: int = 1

    def __getitem__(self, number: int) -> Example:
        x, noise = images(2, 8, seed=number).clamp(-1, 1)
        tokens = torch.arange(77) * (number + 1) % 7
        time = torch.tensor(number * 131 % 1000)
        return Example(x, noise, time, tokens, x[: 3 * (self.stage - 1)], torch.zeros(()))


def painter(stage: int = 1) -> Painter:
    torch.manual_seed(0)
    return Painter(make_encoder(120), make_unet(RECIPES["tiny"][stage - 1], stage))


def sampler(stage: int = 1) -> Sampler:
    """What draws three pictures, no whole number for each of two processes."""
    tokens = torch.arange(3 * 77).reshape(3, 77) % 7
    low = images(3, 8, seed=5) if stage == 2 else None
    return Sampler(tokens, tokens[:1], NOISES, 3.0, 2, 8, low)


@dataclass(frozen=True)
class Half(Dataset[Example]):
    """What one of two processes sees of the toy's batches."""

    rank: int

    def __getitem__(self, number: int) -> Example:
        batch, place = divmod(number, RECIPE.batch // 2)
        return Toy()[batch * RECIPE.batch + self.rank * RECIPE.batch // 2 + place]


def train(
    folder: Path, pictures: int, apart: int = 1, recipe: Recipe = RECIPE,
    toy: Dataset[Example] | None = None, stage: int = 1,
) -> Training:  # fmt: skip
    """Train in `folder` until so many pictures were seen, from its checkpoint if it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = Accelerator(cpu=True, kwargs_handlers=sharing(stage))
    training = Training(painter(stage), recipe, folder, accelerator, apart)
    training.run(toy or Toy(stage), HybridLoss(NOISES), Limits(pictures), sampler(stage))
    return training


def close(one: np.ndarray, two: np.ndarray) -> bool:
    return bool(np.abs(one - two).max() <= 2)


def test_a_training_that_was_killed_ends_in_the_weights_it_would_have_had(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", 24)
    train(tmp_path / "killed", 12)
    resumed = train(tmp_path / "killed", 24)
    for (name, value), other in zip(
        whole.painter.state_dict().items(), resumed.painter.state_dict().values(), strict=True
    ):
        assert torch.equal(value, other), name
    for name, value in whole.average.values.items():
        assert torch.equal(value, resumed.average.values[name]), name
    assert resumed.pictures == 24
    assert (tmp_path / "killed" / "samples-00000024.png").is_file()


def work(rank: int, folder: str, port: int, apart: int = 1, stage: int = 1) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    torch.set_num_threads(1)
    train(Path(folder), 12, apart, stage=stage)
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("stage", [1, 2])
def test_two_processes_learn_what_one_does(tmp_path: Path, stage: int) -> None:
    single = train(tmp_path / "one", 12, stage=stage)
    port = 20_000 + os.getpid() % 20_000
    torch.multiprocessing.spawn(work, (str(tmp_path / "two"), port, 1, stage), nprocs=2)
    together = torch.load(tmp_path / "two" / STATE, weights_only=True)
    assert together["pictures"] == 12
    start, one, two = (
        torch.cat([value.flatten() for value in state.values()])
        for state in (painter(stage).state_dict(), single.painter.state_dict(), together["painter"])
    )
    # AdamW divides a gradient by its own size: where it is nothing but rounding, so is the step.
    assert (one - two).norm() < 0.01 * (one - start).norm()
    drawn = [tmp_path / name / "samples-00000012.png" for name in ("one", "two")]
    assert close(*(np.asarray(Image.open(path)).astype(int) for path in drawn)), "all, in order"


def test_two_processes_apart_end_in_the_mean_of_what_each_has_learnt(tmp_path: Path) -> None:
    recipe = replace(RECIPE, batch=RECIPE.batch // 2)
    halves = [
        train(tmp_path / f"{rank}", 6, recipe=recipe, toy=Half(rank)).painter.state_dict()
        for rank in range(2)
    ]
    port = 20_000 + os.getpid() % 20_000
    torch.multiprocessing.spawn(work, (str(tmp_path / "apart"), port, 3), nprocs=2)
    together = torch.load(tmp_path / "apart" / STATE, weights_only=True)["painter"]
    start, one, two, both = (
        torch.cat([value.flatten() for value in state.values()])
        for state in (painter().state_dict(), *halves, together)
    )
    mean = (one + two) / 2
    # Rounding as above: each of them alone is much further from the mean.
    assert (both - mean).norm() < 0.01 * (mean - start).norm()
    assert (one - mean).norm() > 0.1 * (mean - start).norm()


def test_a_training_asked_to_stop_keeps_what_it_has(tmp_path: Path) -> None:
    training = Training(painter(), RECIPE, tmp_path, Accelerator(cpu=True))
    training.stop(15, None)
    training.run(Toy(), HybridLoss(NOISES), Limits(), sampler())
    state = torch.load(tmp_path / STATE, weights_only=True)
    assert state["pictures"] == RECIPE.batch


FAIL = """
import sys
from pathlib import Path

from test_mini_if_training import Training, train


def update(*given):
    raise RuntimeError("out of memory")


Training.helpers, Training.update = 1, update
train(Path(sys.argv[1]), 12)
"""


def test_an_error_ends_the_helpers_too(tmp_path: Path) -> None:
    path = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
    command = [sys.executable, "-c", FAIL, str(tmp_path)]
    done = subprocess.run(
        command, env=os.environ | path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "out of memory" in done.stderr


def test_a_checkpoint_of_other_networks_is_refused(tmp_path: Path) -> None:
    train(tmp_path, 4)
    other = Painter(make_encoder(9), make_unet(RECIPE, 1))
    with pytest.raises(AuthorError, match=r"found other networks, expected those of this recipe"):
        Training(other, RECIPE, tmp_path, Accelerator(cpu=True))


def test_the_rate_is_constant_and_then_falls_to_nothing() -> None:
    limits = Limits(pictures=200, decay_from=100)
    shares = [limits.share(pictures) for pictures in (0, 99, 100, 125, 200, 300)]
    assert shares == [1, 1, 1, 0.5, 0, 0]
    assert Limits().share(10**9) == 1


def test_the_average_weighs_the_past_and_lends_itself() -> None:
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1)
    average = Average(network, 0.5)
    network.weight.data.fill_(4)
    average.update(0)
    assert average.values["weight"].item() == pytest.approx(1 / 10 * 1 + 9 / 10 * 4)
    network.weight.data.fill_(0)
    average.update(1000)
    assert average.values["weight"].item() == pytest.approx(3.7 / 2), "at most the longest"
    average.swap()
    assert (network.weight.item(), average.values["weight"].item()) == (pytest.approx(1.85), 0)
    average.swap()
    assert network.weight.item() == 0


class Fixed(nn.Module):
    """Answers with v of a wrong x_0 and a given spread, whatever it is asked."""

    def __init__(self, v: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.v, self.spread = nn.Parameter(v), nn.Parameter(spread)

    def forward(self, x_t: Tensor, example: Example) -> Tensor:
        return torch.cat([self.v, self.spread], dim=1)


@pytest.fixture
def example() -> Example:
    x, noise = images(3, 8, seed=1).clamp(-1, 1), images(3, 8, seed=2)
    t = torch.tensor([3, 400, 990])
    return Example(x, noise, t, torch.zeros(3, 77).long(), x[:, :0], torch.zeros(3))


def velocity(x: Tensor, example: Example) -> Tensor:
    level = NOISES.alpha_bar[example.t].float()[:, None, None, None]
    x_t = level.sqrt() * example.x + (1 - level).sqrt() * example.noise
    return (level.sqrt() * x_t - x) / (1 - level).sqrt()


def test_the_variance_term_is_the_divergence_from_the_posterior(example: Example) -> None:
    wrong, spread = (0.9 * example.x).clamp(-1, 1), images(3, 8, seed=5).clamp(-1, 1)
    _, found = HybridLoss(NOISES)(Fixed(velocity(wrong, example), spread), example)
    terms = []
    for n, t in enumerate(example.t.tolist()):
        stride = NOISES.stride(t, t - 1)
        truth = Normal(stride.of_x_0 * example.x[n], stride.beta_tilde**0.5)
        sigma = NOISES.variance(t, t - 1, spread[n]).sqrt()
        terms.append(kl_divergence(truth, Normal(stride.of_x_0 * wrong[n], sigma)).mean())
    assert found.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-3)


def test_the_perfect_answer_costs_nothing(example: Example) -> None:
    spread = -torch.ones_like(example.x)
    simple, variance = HybridLoss(NOISES)(Fixed(velocity(example.x, example), spread), example)
    assert simple.item() == pytest.approx(0, abs=1e-5)
    assert variance.item() == pytest.approx(0, abs=1e-5)


def test_the_variance_term_teaches_the_spread_alone(example: Example) -> None:
    fixed = Fixed(velocity(0.5 * example.x, example), images(3, 8, seed=5))
    _, variance = HybridLoss(NOISES)(fixed, example)
    variance.backward()
    assert fixed.v.grad is None or not fixed.v.grad.any()
    assert fixed.spread.grad is not None
    assert fixed.spread.grad.any()


@pytest.mark.parametrize("stage", [1, 2])
def test_an_example_is_a_function_of_its_number(
    stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(scene: object, size: int) -> np.ndarray:
        ramp = np.linspace(0, 255, size * size * 3).reshape(size, size, 3)
        return (ramp + hash(scene) % 100).astype(np.uint8)

    monkeypatch.setattr(examples, "render", render)
    examples.pair.cache_clear()
    made = Examples(1, stage, make_tokenizer(CAPTIONS), 0.5, NOISES)
    first, second, again = made[3], made[4], made[3]
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not torch.equal(first.noise, second.noise)
    assert first.x.shape == first.noise.shape == (3, 64, 64)
    assert first.low.shape == ((0, 64, 64) if stage == 1 else (3, 64, 64))
    empty = tokens_of(made.tokenizer, [""])[0]
    dropped = sum(torch.equal(made[number].tokens, empty) for number in range(40))
    assert 8 <= dropped <= 32
    examples.pair.cache_clear()


def test_late_noise_is_off_in_colour_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "render", lambda scene, size: np.zeros((size, size, 3), np.uint8))
    made = Examples(1, 1, make_tokenizer(CAPTIONS), 0.5, NOISES)
    seen = [made[number] for number in range(300)]
    late, early = (
        torch.stack([each.noise for each in seen if kept(each.t)])
        for kept in (lambda t: t >= examples.FULL, lambda t: t <= examples.FADED)
    )
    assert late.mean(dim=(2, 3)).std().item() == pytest.approx(examples.OFFSET, rel=0.3)
    assert early.mean(dim=(2, 3)).std().item() == pytest.approx(1 / 64, rel=0.3)
    for noise in (late, early):
        assert noise.std(dim=(2, 3)).mean().item() == pytest.approx(1, rel=0.02)


def test_times_cover_every_batch_evenly() -> None:
    times = torch.stack([examples.time_of(number) for number in range(5000, 5016)])
    gaps = times.sort().values.diff()
    assert gaps.max() < 2.7 * 1000 / 16


def test_unknown_words_are_spelt_and_none_is_refused() -> None:
    tokenizer = make_tokenizer(CAPTIONS)
    words = tokenizer.convert_ids_to_tokens(tokenizer("A Photo of a DÖGGO!").input_ids)
    assert words == ["a", "photo", "of", "a", "dog", "##g", "##o", "!", "</s>"]
    assert tokens_of(tokenizer, [""])[0].tolist() == [1] + [0] * 76


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A cascade exported from trainings of no update but one."""
    logging.disable_progress_bar()
    tokenizer = make_tokenizer(CAPTIONS)
    tokenizer.save_pretrained(tmp_path / "stage_1-tiny" / "tokenizer")
    encoder = make_encoder(len(tokenizer))
    for stage in (1, 2):
        folder = tmp_path / f"stage_{stage}-tiny"
        made = Painter(encoder, make_unet(RECIPES["tiny"][stage - 1], stage))
        training = Training(made, RECIPE, folder, Accelerator(cpu=True))
        for value in training.average.values.values():
            value.mul_(1.25)
        training.checkpoint()
        encoder = encoder.requires_grad_(False)
    encoder.shared.weight.data.mul_(1.25)
    for stage in (1, 2):
        export("tiny", stage, tmp_path, tmp_path / "weights")
    return tmp_path / "weights"


def test_the_pipelines_of_diffusers_load_and_run_both_stages(exported: Path) -> None:
    first = IFPipeline.from_pretrained(exported / "stage_1")
    second = IFSuperResolutionPipeline.from_pretrained(exported / "stage_2")
    for pipeline in (first, second):
        pipeline.set_progress_bar_config(disable=True)
    prompts, nothing = first.encode_prompt("a photo of a dog")
    told = {"prompt_embeds": prompts, "negative_prompt_embeds": nothing, "output_type": "pt"}
    generator = torch.Generator().manual_seed(1)
    small = first(num_inference_steps=2, generator=generator, **told).images
    assert small.shape == (1, 3, 64, 64)
    large = second(image=small, num_inference_steps=1, generator=generator, **told).images
    assert large.shape == (1, 3, 256, 256)
    assert large.isfinite().all()


def test_our_adapter_loads_the_same_cascade(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "bfloat16_pays", lambda device: False)
    cascade = open_cascade(
        find_model(str(exported), tmp_path), torch.device("cpu"), tmp_path / "memory"
    )
    pipeline = IFPipeline.from_pretrained(exported / "stage_1")
    theirs, _ = pipeline.encode_prompt("a photo of a dog")
    (ours,) = cascade.told(["a photo of a dog"]).conditions
    assert torch.allclose(ours, theirs, atol=1e-6)
    assert (cascade.stage(1).size, cascade.stage(2).size) == (64, 256)
    config = cascade.stage(2).schedule.config
    assert {name: getattr(config, name) for name in SCHEDULER} == SCHEDULER
    assert config.sample_max_value == 1


def test_what_is_exported_is_the_average_and_is_listed(exported: Path, tmp_path: Path) -> None:
    state = torch.load(tmp_path / "stage_1-tiny" / STATE, weights_only=True)
    pipeline = IFPipeline.from_pretrained(exported / "stage_1")
    for name, value in pipeline.unet.named_parameters():
        assert torch.equal(value, state["average"][f"unet.{name}"].half().float()), name
    words = pipeline.text_encoder.shared.weight
    assert torch.equal(words, state["average"]["encoder.shared.weight"].half().float())
    manifest = json.loads((exported / "digests.json").read_text())
    files = {file.relative_to(exported).as_posix() for file in exported.rglob("*.*")}
    assert set(manifest) == {name for name in files if name != "digests.json"}
    assert not any(str(tmp_path) in file.read_text() for file in exported.rglob("*.json"))
    tokenizer = AutoTokenizer.from_pretrained(exported / "stage_1" / "tokenizer")
    assert tokenizer("a dog").input_ids == make_tokenizer(CAPTIONS)("a dog").input_ids


REPORT = Report(
    np.array([[16, 0.5, 32], [56, 0.25, 64]], np.float32),
    np.zeros((1, 8, 64, 64, 3), np.uint8), (56,), 0.98, {"32": 16, "64": 40}, (60.0, 30.0), "",
)  # fmt: skip


def test_a_training_goes_on_from_what_was_exported(exported: Path, tmp_path: Path) -> None:
    write_report(REPORT, exported / "training.safetensors")
    cache = tmp_path / "again"
    begin(exported, "stage_1", "tiny", cache)
    made = Painter(make_encoder(len(make_tokenizer(CAPTIONS))), make_unet(RECIPE, 1))
    training = Training(made, RECIPE, cache / "stage_1-tiny", Accelerator(cpu=True))
    assert (training.pictures, training.seconds) == (40, 60)
    for name, value in IFPipeline.from_pretrained(exported / "stage_1").unet.named_parameters():
        assert torch.equal(training.average.values[f"unet.{name}"], value), name
        assert torch.equal(training.average.parameters[f"unet.{name}"], value), name
    begin(exported, "stage_2", "tiny", cache)
    with pytest.raises(AuthorError, match=r"found a training, expected none"):
        begin(exported, "stage_1", "tiny", cache)
    with pytest.raises(AuthorError, match=r"nowhere.*not the report of a training"):
        begin(tmp_path / "nowhere", "stage_1", "tiny", tmp_path / "other")


def test_the_report_of_a_training_goes_on_too(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(REPORT, exported / "training.safetensors")
    begin(exported, "stage_1", "tiny", tmp_path / "again")
    folder = tmp_path / "again" / "stage_1-tiny"
    (folder / "log.csv").write_text(
        "pictures,seconds,simple,variance,per_second\n44,70,0.125,0,1\n"
    )
    Image.new("RGB", (4 * 64, 3 * 64), "red").save(folder / "samples-00000044.png")
    monkeypatch.setattr(mini_if_export, "accuracy", lambda judge, count: 0.5)
    found = compiled("tiny", tmp_path / "again")
    assert found.losses.tolist() == [[16, 0.5, 32], [56, 0.25, 64], [60, 0.125, 64]]
    assert found.pictures == (56, 60)
    assert found.samples[1].reshape(-1, 3).max(axis=0).tolist() == [255, 0, 0]
    assert (found.seen, found.seconds) == ({"32": 16, "64": 40}, (60, 30))


def test_there_is_nothing_to_export_before_training(tmp_path: Path) -> None:
    with pytest.raises(
        AuthorError, match=r"found no checkpoint, expected one: train stage_1 first"
    ):
        export("tiny", 1, tmp_path, tmp_path / "weights")
