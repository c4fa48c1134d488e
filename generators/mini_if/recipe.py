"""The sizes in which the cascade can be trained: one for two CPU cores, one for a GPU."""

from collections.abc import Sequence
from dataclasses import dataclass

from diffusers import UNet2DConditionModel
from transformers import T5Config, T5EncoderModel

TEXT = 128
"""How wide an embedded token is."""
SMALL, LARGE, CROP = 64, 256, 64
"""Pixels a side: of stage 1's pictures, of stage 2's, and of the crops that stage 2 learns on."""


@dataclass(frozen=True)
class Recipe:
    """How large a stage's UNet is and how it learns: AdamW at `rate`, `batch` pictures a step.

    `attends` counts the lowest resolutions that attend to the text, besides the middle block;
    `told` is how wide time and text are told to every block; `longest_average` the largest decay
    of the average; `dropped` the share of captions withheld, for guidance. Stage 1 first learns
    `young` pictures of each smaller size, as (level, pictures): level n has 2^n fewer pixels a
    side. Words (`WORDS`) learn at `words_share` of the rate: at the full rate the first thing
    learnt is to make all texts alike, as they are noise to a UNet that knows nothing yet.
    `teaches` says what is painted (concepts.taught).
    """

    channels: tuple[int, ...]
    batch: int
    rate: float = 1e-3
    attends: int = 0
    layers: int = 1
    warm_up: int = 100
    longest_average: float = 0.998
    dropped: float = 0.1
    words_share: float = 0.1
    told: int | None = None
    young: tuple[tuple[int, int], ...] = ()
    teaches: str = "taught"


WORDS = ("unet.encoder_hid_proj.", "unet.add_embedding.")
"""How the names of the parameters begin that turn tokens into what the UNet is told."""

RECIPES = {
    "core": (
        Recipe((16, 32, 64, 128, 256), 32, told=256, young=((2, 40_000), (1, 30_000))),
        Recipe((24, 32, 64, 96), 8),
    ),
    "full": (
        Recipe(
            (32, 64, 128, 256),
            256,
            2e-3,
            attends=2,
            told=256,
            longest_average=0.9995,
            teaches="everything",
        ),
        Recipe((24, 32, 64, 96), 128, 2e-3, longest_average=0.9995, teaches="everything"),
    ),
    "tiny": (
        Recipe((16, 32), 4, attends=1, warm_up=2, told=64, young=((1, 8),)),
        Recipe((8, 16), 4, warm_up=2),
    ),
}
"""Of stages 1 and 2. `tiny` is for tests: it runs in seconds and draws nothing."""


def make_encoder(vocabulary: int) -> T5EncoderModel:
    """Return a small T5 encoder with fresh weights; padding is token 0, the end is token 1.

    Padding embeds as nothing, so that the padded positions, most of what the UNet is told, hold
    what they attend to: the words. Otherwise they all say "padding", louder than any word.
    """
    encoder = T5EncoderModel(
        T5Config(
            vocab_size=vocabulary, d_model=TEXT, d_kv=32, num_heads=4, d_ff=2 * TEXT, num_layers=2,
            dropout_rate=0.0, feed_forward_proj="gated-gelu", pad_token_id=0, eos_token_id=1,
        )
    )  # fmt: skip
    encoder.shared.weight.data[0] = 0
    encoder.encoder.embed_tokens.padding_idx = 0
    return encoder


def make_unet(recipe: Recipe, stage: int) -> UNet2DConditionModel:
    """Return the UNet of a stage with fresh weights, in the manner of DeepFloyd IF's.

    Stage 1 attends to the text at its lowest resolutions. Stage 2 is told it as one vector only
    and attends nowhere: it is a convolution, so crops teach it what whole pictures ask of it.
    """
    plain = len(recipe.channels) - recipe.attends
    second = {"class_embed_type": "timestep"} if stage == 2 else {}
    middle = "UNetMidBlock2DSimpleCrossAttn" if stage == 1 else "UNetMidBlock2D"
    return UNet2DConditionModel(
        sample_size=SMALL if stage == 1 else LARGE, in_channels=3 * stage, out_channels=6,
        block_out_channels=recipe.channels, layers_per_block=recipe.layers, norm_num_groups=8,
        down_block_types=blocks("Down", plain, recipe.attends), mid_block_type=middle,
        up_block_types=blocks("Up", plain, recipe.attends)[::-1], attention_head_dim=32,
        cross_attention_dim=TEXT, cross_attention_norm="group_norm", encoder_hid_dim=TEXT,
        encoder_hid_dim_type="text_proj", addition_embed_type="text",
        addition_embed_type_num_heads=4, resnet_time_scale_shift="scale_shift",
        time_embedding_dim=recipe.told or 4 * recipe.channels[0], **second,
    )  # fmt: skip


def blocks(way: str, plain: int, attends: int) -> tuple[str, ...]:
    return (f"{way}Block2D",) * plain + (f"SimpleCrossAttn{way}Block2D",) * attends


SCHEDULER: dict[str, str | float | bool] = {
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "variance_type": "learned_range",
    "thresholding": True,
    "dynamic_thresholding_ratio": 0.95,
}
"""What the DDPMSchedulers of both stages say."""
LARGEST: Sequence[float] = (1.0, 1.0)
"""How far dynamic thresholding lets x̂_0 reach in stages 1 and 2; 1 is plain clipping.

Much of these pictures is white. Divided by 1.5 it is grey, and guidance goes on from there.
"""
