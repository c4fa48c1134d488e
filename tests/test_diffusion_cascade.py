"""The adapter for IF cascades, on tiny ones made here, against diffusers' own pipelines."""

import json
from pathlib import Path

import pytest
import torch
from cascades import small_cascade, unet
from diffusers import (
    DDPMScheduler,
    IFPipeline,
    IFSuperResolutionPipeline,
    UNet2DConditionModel,
)
from oracles import images, schedule
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from generators.diffusion.batching import Told
from generators.diffusion.estimators import guided
from generators.diffusion.loading import embed, load_stage, open_cascade
from generators.diffusion.sampling import denoise, generators_of, last, unit_noise
from generators.diffusion.schedule import counted
from generators.diffusion.stage import Stage, enlarged, noise_of
from generators.errors import AuthorError
from generators.models import find_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def cascade(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cascade(tmp_path_factory.mktemp("cascade"), 8, request.param)


@pytest.fixture
def text() -> tuple[Tensor, Tensor]:
    return images(2)[:, :, :, 0].repeat(1, 3, 1), images(1, seed=1)[:, :, :, 0].repeat(1, 3, 1)


def parts(folder: Path) -> dict[str, object]:
    """What a pipeline of diffusers is made of, without text encoder and safety checker."""
    return {
        "unet": UNet2DConditionModel.from_pretrained(folder / "unet"),
        "scheduler": DDPMScheduler.from_pretrained(folder / "scheduler"),
        "tokenizer": None, "text_encoder": None, "safety_checker": None,
        "feature_extractor": None, "watermarker": None, "requires_safety_checker": False,
    }  # fmt: skip


def test_stage_one_samples_as_diffusers_does(cascade: Path, text: tuple[Tensor, Tensor]) -> None:
    prompts, nothing = text
    pipeline = IFPipeline(**parts(cascade / "stage_1"))
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt_embeds=prompts, negative_prompt_embeds=nothing.expand_as(prompts),
        num_inference_steps=6, guidance_scale=7, generator=generators_of(1, 2), output_type="pt",
    ).images  # fmt: skip
    stage, generators = load_stage(cascade / "stage_1", 1, CPU), generators_of(1, 2)
    estimate = guided(Told(stage, (prompts,)), Told(stage, (nothing,)), 7)
    steps = denoise(
        unit_noise(generators, images(2, stage.size)), estimate, stage.schedule, counted(1000, 6),
        generators=generators,
    )  # fmt: skip
    # Guidance by 7 multiplies what float32 rounds, otherwise on every processor.
    assert torch.allclose(last(steps).x_t, theirs, atol=5e-4)


def test_stage_two_enlarges_as_diffusers_does(cascade: Path, text: tuple[Tensor, Tensor]) -> None:
    prompts, nothing = text
    small = images(2, 8, seed=6).clamp(-1, 1)
    noising = DDPMScheduler.from_pretrained(cascade / "stage_2" / "image_noising_scheduler")
    pipeline = IFSuperResolutionPipeline(
        **parts(cascade / "stage_2"), image_noising_scheduler=noising
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt_embeds=prompts, negative_prompt_embeds=nothing.expand_as(prompts), image=small,
        num_inference_steps=5, guidance_scale=4, noise_level=250, generator=generators_of(1, 2),
        output_type="pt",
    ).images  # fmt: skip
    stage, generators = load_stage(cascade / "stage_2", 2, CPU), generators_of(1, 2)
    x_t = unit_noise(generators, images(2, stage.size))
    given = enlarged(small, stage, 250, generators)
    estimate = guided(Told(stage, (prompts, *given)), Told(stage, (nothing, *given)), 4)
    steps = denoise(x_t, estimate, stage.schedule, counted(1000, 5), generators=generators)
    assert torch.allclose(last(steps).x_t, theirs, atol=1e-4)


def test_the_noise_of_either_prediction_leads_back_to_the_image(cascade: Path) -> None:
    noises = load_stage(cascade / "stage_1", 1, CPU).schedule
    x_0, noise, spread = images(2), images(2, seed=1), images(2, seed=2)
    x_t = noises.add_noise(x_0, 400, noise)
    kind = noises.config.prediction_type
    predicted = noise
    if kind == "v_prediction":
        level = noises.at(400)
        predicted = level**0.5 * noise - (1 - level) ** 0.5 * x_0
    found = noise_of(torch.cat([predicted, spread], dim=1), x_t, 400, noises)
    assert torch.allclose(found.mean, noise, atol=1e-6)
    assert torch.equal(found.spread, spread), "the last three channels, as they come"


def test_a_stage_says_its_size_and_is_not_in_training(cascade: Path) -> None:
    for number in (1, 2):
        stage = load_stage(cascade / f"stage_{number}", number, CPU)
        assert stage.size == 8 * number
        assert not stage.unet.training


def test_the_wrong_stage_is_refused_by_name(cascade: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="takes 6 channels, expected 3 for stage 1: this is stage 2"
    ):
        load_stage(cascade / "stage_2", 1, CPU)
    with pytest.raises(
        ValueError, match="takes 3 channels, expected 6 for stage 2: this is stage 1"
    ):
        load_stage(cascade / "stage_1", 2, CPU)
    with pytest.raises(AuthorError, match=r"found no unet/config.json, expected a cascade"):
        load_stage(tmp_path, 1, CPU)
    for part in ("unet/config.json", "scheduler/scheduler_config.json"):
        (tmp_path / part).parent.mkdir()
        (tmp_path / part).write_text(json.dumps({"in_channels": 4}))
    with pytest.raises(AuthorError, match=r"takes 4 channels, .* this is no stage of a cascade"):
        load_stage(tmp_path, 1, CPU)
    for damage in ("{", "[]"):
        (tmp_path / "unet/config.json").write_text(damage)
        with pytest.raises(AuthorError, match=r"unet/config.json: damaged"):
            load_stage(tmp_path, 1, CPU)


def test_the_spread_of_a_fixed_variance_is_passed_over(text: tuple[Tensor, Tensor]) -> None:
    stage = Stage(unet(1, 8), schedule("fixed_small"), 8, CPU)
    with torch.no_grad():
        assert stage(images(1, 8), 500, text[1]).spread is None


def test_prompts_are_encoded_as_diffusers_does(cascade: Path) -> None:
    folder = cascade / "stage_1"
    ours = embed(["A photo of a DOG ", ""], folder, CPU, torch.float32)
    assert ours.shape == (2, 77, 16)
    pipeline = IFPipeline(**(dict.fromkeys(("unet", "scheduler", "safety_checker")) | {
        "feature_extractor": None, "watermarker": None, "requires_safety_checker": False,
        "tokenizer": PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer"),
        "text_encoder": T5EncoderModel.from_pretrained(folder / "text_encoder").eval(),
    }))  # fmt: skip
    with torch.no_grad():
        prompt, nothing = pipeline.encode_prompt(" a photo of a dog")
    assert torch.allclose(ours, torch.cat([prompt, nothing]), atol=1e-6)
    assert not torch.allclose(
        ours[0], embed(["a photo of a cat"], folder, CPU, torch.float32)[0], atol=1e-2
    )


def test_a_cascade_samples_and_enlarges_by_the_words(cascade: Path, tmp_path: Path) -> None:
    model = find_model(str(cascade), Path("/"))
    opened = open_cascade(model, CPU, tmp_path, torch.float32)
    prompts = ["a dog", "a ship"]
    x_t, generators = opened.noise(generators_of(1, 2)), generators_of(2, 2)
    estimate, noises = opened.guided(prompts, 7), opened.stage(1).schedule
    small = last(denoise(x_t, estimate, noises, counted(1000, 3), generators=generators)).x_t
    large = opened.upsampled(small, prompts, generators_of(3, 2), steps=2)
    assert small.shape == (2, 3, 8, 8)
    assert large.shape == (2, 3, 16, 16)
    alone = opened.upsampled(small[1:], prompts[1:], generators_of(3, 2)[1:], steps=2)
    assert torch.allclose(alone, large[1:], atol=1e-5), "an image is its own"
