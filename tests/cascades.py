"""A small cascade in the layout of DeepFloyd IF, made from configs on the spot; a Hub that has it."""

import shutil
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

WIDTH = 16
FIRST, SECOND = "DeepFloyd/IF-I-M-v1.0", "DeepFloyd/IF-II-M-v1.0"
SCHEDULER = {
    "beta_schedule": "squaredcos_cap_v2", "variance_type": "learned_range", "thresholding": True,
    "dynamic_thresholding_ratio": 0.95, "sample_max_value": 1.5,
}  # fmt: skip


def small_cascade(folder: Path, size: int = 32, prediction: str = "epsilon") -> Path:
    """Write stage_1/ (size × size) and stage_2/ (2 size × 2 size) to `folder` and return it."""
    state = torch.random.get_rng_state()
    for stage in (1, 2):
        place = folder / f"stage_{stage}"
        unet(stage, size * stage).save_pretrained(place / "unet")
        scheduler = DDPMScheduler(1000, prediction_type=prediction, **SCHEDULER)
        scheduler.save_pretrained(place / "scheduler")
    noising = DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2")
    noising.save_pretrained(folder / "stage_2" / "image_noising_scheduler")
    tokenizer().save_pretrained(folder / "stage_1" / "tokenizer")
    text_encoder().save_pretrained(folder / "stage_1" / "text_encoder")
    torch.random.set_rng_state(state)
    return folder


@cache
def unet(stage: int, size: int) -> UNet2DConditionModel:
    """DeepFloyd's network in small, with random weights."""
    torch.manual_seed(stage)
    second = {"class_embed_type": "timestep", "time_embedding_act_fn": "gelu"} if stage == 2 else {}
    return UNet2DConditionModel(
        sample_size=size, layers_per_block=1, block_out_channels=(32, 64),
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        in_channels=3 * stage, out_channels=6, cross_attention_dim=32, encoder_hid_dim=WIDTH,
        attention_head_dim=8, addition_embed_type="text", addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm", resnet_time_scale_shift="scale_shift", act_fn="gelu",
        **second,
    ).eval()  # fmt: skip


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of single characters, so that any two prompts differ."""
    tokens = ["<pad>", "</s>", "<unk>", *map(chr, range(32, 127))]
    made = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, "<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def text_encoder() -> T5EncoderModel:
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=len(tokenizer()), d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=2
    )
    return T5EncoderModel(config)


class Hub:
    """Two models of a small cascade, copied to the local cache file by file as they are asked."""

    def __init__(self, source: Path, cache: Path) -> None:
        self.stages = {FIRST: source / "stage_1", SECOND: source / "stage_2"}
        self.cache = cache
        self.came: list[str] = []
        self.error: Exception | None = None

    def snapshot_download(self, name: str, revision: str | None, allow_patterns: list[str]) -> str:
        if self.error:
            raise self.error
        assert revision in (None, "c0ffee"), "the commit in the cache stays in use"
        place = self.cache / f"models--{name.replace('/', '--')}"
        (place / "refs").mkdir(parents=True, exist_ok=True)
        (place / "refs" / "main").write_text("c0ffee")
        for path in sorted(self.stages[name].rglob("*")):
            file = path.relative_to(self.stages[name]).as_posix()
            copy = place / "snapshots" / "c0ffee" / file
            wanted = any(fnmatch(file, pattern) for pattern in allow_patterns)
            if path.is_file() and wanted and not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
                self.came.append(file)
        return str(place / "snapshots" / "c0ffee")
