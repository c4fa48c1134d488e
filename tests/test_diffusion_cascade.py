"""The adapter for IF cascades, on tiny ones made here, against diffusers' own pipelines."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import (
    DDPMScheduler,
    IFPipeline,
    IFSuperResolutionPipeline,
    UNet2DConditionModel,
)
from oracles import images, schedule
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from generators.diffusion.batching import Told
from generators.diffusion.cascade import Stage, encode, enlarged, load_stage, noise_of
from generators.diffusion.estimators import guided
from generators.diffusion.sampling import denoise, generators_of, last, unit_noise
from generators.diffusion.schedule import counted, schedule_of
from generators.diffusion.scheduler_config import read_config
from generators.errors import AuthorError

CPU = torch.device("cpu")
SCHEDULER = {
    "beta_schedule": "squaredcos_cap_v2", "variance_type": "learned_range", "thresholding": True,
    "dynamic_thresholding_ratio": 0.95, "sample_max_value": 1.5,
}  # fmt: skip


def unet(stage: int) -> UNet2DConditionModel:
    """DeepFloyd's network in small: 8 × 8 pixels for stage 1, 16 × 16 for stage 2."""
    torch.manual_seed(stage)
    second = {"class_embed_type": "timestep", "time_embedding_act_fn": "gelu"} if stage == 2 else {}
    return UNet2DConditionModel(
        sample_size=8 * stage, layers_per_block=1, block_out_channels=(32, 64),
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        in_channels=3 * stage, out_channels=6, cross_attention_dim=32, encoder_hid_dim=16,
        attention_head_dim=8, addition_embed_type="text", addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm", resnet_time_scale_shift="scale_shift", act_fn="gelu",
        **second,
    ).eval()  # fmt: skip


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def cascade(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cascade")
    state = torch.random.get_rng_state()
    for stage in (1, 2):
        unet(stage).save_pretrained(folder / str(stage) / "unet")
        scheduler = DDPMScheduler(1000, prediction_type=request.param, **SCHEDULER)
        scheduler.save_pretrained(folder / str(stage) / "scheduler")
    noising = DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2")
    noising.save_pretrained(folder / "2" / "image_noising_scheduler")
    torch.random.set_rng_state(state)
    return folder


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
    pipeline = IFPipeline(**parts(cascade / "1"))
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt_embeds=prompts, negative_prompt_embeds=nothing.expand_as(prompts),
        num_inference_steps=6, guidance_scale=7, generator=generators_of(1, 2), output_type="pt",
    ).images  # fmt: skip
    stage, generators = load_stage(cascade / "1", 1, CPU), generators_of(1, 2)
    estimate = guided(Told(stage, (prompts,)), Told(stage, (nothing,)), 7)
    steps = denoise(
        unit_noise(generators, images(2, stage.size)), estimate, stage.schedule, counted(1000, 6),
        generators=generators,
    )  # fmt: skip
    assert torch.allclose(last(steps).x_t, theirs, atol=1e-4)


def test_stage_two_enlarges_as_diffusers_does(cascade: Path, text: tuple[Tensor, Tensor]) -> None:
    prompts, nothing = text
    small = images(2, 8, seed=6).clamp(-1, 1)
    noising = DDPMScheduler.from_pretrained(cascade / "2" / "image_noising_scheduler")
    pipeline = IFSuperResolutionPipeline(**parts(cascade / "2"), image_noising_scheduler=noising)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt_embeds=prompts, negative_prompt_embeds=nothing.expand_as(prompts), image=small,
        num_inference_steps=5, guidance_scale=4, noise_level=250, generator=generators_of(1, 2),
        output_type="pt",
    ).images  # fmt: skip
    stage, generators = load_stage(cascade / "2", 2, CPU), generators_of(1, 2)
    noising = schedule_of(read_config(cascade / "2/image_noising_scheduler/scheduler_config.json"))
    x_t = unit_noise(generators, images(2, stage.size))
    given = enlarged(small, stage, noising, 250, generators)
    estimate = guided(Told(stage, (prompts, *given)), Told(stage, (nothing, *given)), 4)
    steps = denoise(x_t, estimate, stage.schedule, counted(1000, 5), generators=generators)
    assert torch.allclose(last(steps).x_t, theirs, atol=1e-4)


def test_the_noise_of_either_prediction_leads_back_to_the_image(cascade: Path) -> None:
    noises = load_stage(cascade / "1", 1, CPU).schedule
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
        stage = load_stage(cascade / str(number), number, CPU)
        assert stage.size == 8 * number
        assert not stage.unet.training


def test_the_wrong_stage_is_refused_by_name(cascade: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="takes 6 channels, expected 3 for stage 1: this is the oth"
    ):
        load_stage(cascade / "2", 1, CPU)
    with pytest.raises(
        ValueError, match="takes 3 channels, expected 6 for stage 2: this is the oth"
    ):
        load_stage(cascade / "1", 2, CPU)
    with pytest.raises(AuthorError, match=r"found no unet/config.json, expected a cascade"):
        load_stage(tmp_path, 1, CPU)
    for part in ("unet/config.json", "scheduler/scheduler_config.json"):
        (tmp_path / part).parent.mkdir()
        (tmp_path / part).write_text(json.dumps({"in_channels": 4}))
    with pytest.raises(AuthorError, match=r"takes 4 channels, .* this is no stage of a cascade"):
        load_stage(tmp_path, 1, CPU)


def test_the_spread_of_a_fixed_variance_is_passed_over(text: tuple[Tensor, Tensor]) -> None:
    stage = Stage(unet(1), schedule("fixed_small"), 8)
    with torch.no_grad():
        assert stage(images(1, 8), 500, text[1]).spread is None


def test_prompts_are_encoded_as_diffusers_does(tmp_path: Path) -> None:
    words = ["<pad>", "</s>", "<unk>", "a", "photo", "of", "dog"]
    tokenizer = Tokenizer(models.WordLevel(dict(zip(words, range(7), strict=True)), "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tmp_path / "tokenizer")
    encoder = T5EncoderModel(
        T5Config(vocab_size=7, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    )
    encoder.save_pretrained(tmp_path / "text_encoder")
    ours = encode(["A photo of a DOG ", ""], tmp_path, CPU)
    assert ours.shape == (2, 77, 16)
    pipeline = IFPipeline(**(parts_without_unet() | {
        "tokenizer": PreTrainedTokenizerFast.from_pretrained(tmp_path / "tokenizer"),
        "text_encoder": T5EncoderModel.from_pretrained(tmp_path / "text_encoder").eval(),
    }))  # fmt: skip
    with torch.no_grad():
        prompt, nothing = pipeline.encode_prompt(" a photo of a dog")
    assert torch.allclose(ours, torch.cat([prompt, nothing]), atol=1e-6)


def parts_without_unet() -> dict[str, object]:
    return {
        "unet": None, "scheduler": None, "safety_checker": None, "feature_extractor": None,
        "watermarker": None, "requires_safety_checker": False,
    }  # fmt: skip
