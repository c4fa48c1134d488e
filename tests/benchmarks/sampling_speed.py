"""Seconds for what sections make, beside the same from diffusers one at a time, in one run.

python tests/benchmarks/sampling_speed.py [--network medium] [--device cuda] [--threads 1]

"embedded" is the first stage of mini-if (10 million parameters), "small" one of IF's make (5
million), "medium" IF-I-M (372 million), "large" IF-I-L (935 million), "extra-large" IF-I-XL (4,305
million); all random. A section's work is five guided samples, an anagram of two views, and six
starts of image-to-image. diffusers makes the same images from the same noise with the same
network: image by image, view by view, start by start.
"bare" is the network alone on the batches that ours had, "over" what ours takes beyond it, and
"difference" how far apart the two results are: rounding, which guidance of random weights enlarges
(batches of other sizes of ours differ as much).
"""

import argparse
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import torch
from diffusers import DDPMScheduler, IFImg2ImgPipeline, IFPipeline, UNet2DConditionModel
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from generators.diffusion.batching import Told
from generators.diffusion.estimators import anagram, guided
from generators.diffusion.reading import precision, settle
from generators.diffusion.sampling import Estimator, denoise, generators_of, last, unit_noise
from generators.diffusion.schedule import counted, schedule_of
from generators.diffusion.scheduler_config import SchedulerConfig
from generators.diffusion.stage import Stage
from generators.diffusion.views import flip, identity
from generators.machine import choose_device, cores, describe, prepare
from generators.mini_if.recipe import LARGEST, RECIPES, make_unet

Settings: TypeAlias = dict[str, Any]
SCHEDULER: Settings = {
    "beta_schedule": "squaredcos_cap_v2", "variance_type": "learned_range", "thresholding": True,
    "dynamic_thresholding_ratio": 0.95, "sample_max_value": 1.5,
}  # fmt: skip
NETWORKS = {
    "small": ((32, 64, 96, 128), 1, 64, 16, 4),
    "medium": ((192, 384, 576, 768), 3, 4096, 64, 64),
    "large": ((320, 640, 960, 1280), 3, 4096, 64, 64),
    "extra-large": ((704, 1408, 2112, 2816), 3, 4096, 64, 64),
}
EMBEDDED = "embedded"
WORK = ("samples", "anagram", "starts")
STARTS = (1, 3, 5, 7, 10, 20)
SCALE = 7.0


def network(name: str, size: int) -> UNet2DConditionModel:
    """Return a UNet of IF's first stage with random weights: widths, layers, text, heads."""
    torch.manual_seed(0)
    if name == EMBEDDED:
        return make_unet(RECIPES["core"][0], 1).eval().requires_grad_(False)
    widths, layers, text, head, heads = NETWORKS[name]
    return UNet2DConditionModel(
        sample_size=size, in_channels=3, out_channels=6, layers_per_block=layers,
        block_out_channels=widths, cross_attention_dim=widths[-1], encoder_hid_dim=text,
        down_block_types=("ResnetDownsampleBlock2D", *["SimpleCrossAttnDownBlock2D"] * 3),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=(*["SimpleCrossAttnUpBlock2D"] * 3, "ResnetUpsampleBlock2D"),
        attention_head_dim=head, addition_embed_type="text", addition_embed_type_num_heads=heads,
        cross_attention_norm="group_norm", resnet_time_scale_shift="scale_shift", act_fn="gelu",
        resnet_skip_time_act=True, resnet_out_scale_factor=1.414, mid_block_scale_factor=1.414,
    ).eval().requires_grad_(False)  # fmt: skip


class Ours:
    """The three pieces of work by this project, and the batches in which each asks the network."""

    def __init__(self, stage: Stage, text: Tensor, updates: int) -> None:
        self.stage, self.text = stage, text
        self.times = counted(1000, updates)

    def estimator(self, row: int = 1) -> Estimator:
        return guided(
            Told(self.stage, (self.text[row : row + 1],)), Told(self.stage, (self.text[:1],)), SCALE
        )

    def samples(self) -> Tensor:
        return self.made(self.estimator(), 5)

    def anagram(self) -> Tensor:
        views = [(identity(), self.estimator(1)), (flip(), self.estimator(2))]
        return self.made(anagram(views), 1)

    def starts(self) -> Tensor:
        schedule, starts = self.stage.schedule, STARTS
        image, generators = picture(self.stage), generators_of(1, len(starts))
        noise = unit_noise(generators, image)
        rows = [
            schedule.add_noise(image[0], self.times[start], z)
            for start, z in zip(starts, noise, strict=True)
        ]
        steps = denoise(
            torch.stack(rows), self.estimator(), schedule, self.times, generators=generators,
            starts=starts,
        )  # fmt: skip
        return last(steps).x_t

    def made(self, estimate: Estimator, count: int) -> Tensor:
        generators = generators_of(1, count)
        x_t = unit_noise(generators, picture(self.stage))
        schedule = self.stage.schedule
        return last(denoise(x_t, estimate, schedule, self.times, generators=generators)).x_t

    def batches(self, work: str) -> list[int]:
        """Return how many evaluations each update of a piece of work makes."""
        count = len(list(pairwise(self.times)))
        if work == "starts":
            begun = [sum(start <= index for start in STARTS) for index in range(count)]
            return [2 * each for each in begun if each]
        return [10 if work == "samples" else 4] * count

    def bare(self, work: str) -> None:
        for size in self.batches(work):
            x = picture(self.stage).expand(size, -1, -1, -1).to(self.text)
            self.stage.unet(x, 500, self.text[:1].expand(size, -1, -1), return_dict=False)


class Theirs:
    """The same by diffusers: pipelines where it has one, its scheduler and UNet for anagrams."""

    def __init__(self, stage: Stage, text: Tensor, updates: int, settings: Settings) -> None:
        self.stage, self.text, self.updates, self.settings = stage, text, updates, settings
        self.made, self.changed = (
            kind(
                unet=stage.unet, scheduler=DDPMScheduler(1000, **settings), tokenizer=None,
                text_encoder=None, safety_checker=None, feature_extractor=None, watermarker=None,
                requires_safety_checker=False,
            )
            for kind in (IFPipeline, IFImg2ImgPipeline)
        )  # fmt: skip
        for pipeline in (self.made, self.changed):
            pipeline.set_progress_bar_config(disable=True)
        self.options = {
            "prompt_embeds": text[1:2], "negative_prompt_embeds": text[:1],
            "num_inference_steps": updates, "guidance_scale": SCALE, "output_type": "pt",
        }  # fmt: skip

    def samples(self) -> Tensor:
        return torch.cat(
            [self.made(**self.options, generator=each).images for each in generators_of(1, 5)]
        )

    def starts(self) -> Tensor:
        image, generators = picture(self.stage), generators_of(1, len(STARTS))
        left = [(self.updates - start + 0.5) / self.updates for start in STARTS]
        return torch.cat([
            self.changed(image=image, strength=strength, generator=each, **self.options).images
            for strength, each in zip(left, generators, strict=True)
        ])  # fmt: skip

    def anagram(self) -> Tensor:
        scheduler = DDPMScheduler(1000, **self.settings)
        scheduler.set_timesteps(self.updates)
        (generator,) = generators_of(1, 1)
        x_t = unit_noise([generator], picture(self.stage))
        for t in scheduler.timesteps:
            outputs = []
            for row, turn in ((1, lambda x: x), (2, lambda x: x.flip(-2))):
                both = torch.cat([turn(x_t)] * 2).to(self.text)
                told = self.text[[0, row]]
                free, output = self.stage.unet(both, t, told, return_dict=False)[0].chunk(2)
                mean = free[:, :3] + SCALE * (output[:, :3] - free[:, :3])
                outputs.append(turn(torch.cat([mean, output[:, 3:]], dim=1).to(x_t)))
            output = torch.stack(outputs).mean(dim=0)
            x_t = scheduler.step(output, t, x_t, generator=generator).prev_sample
        return x_t


def picture(stage: Stage) -> Tensor:
    return torch.linspace(-1, 1, stage.size).to(stage.device).expand(1, 3, stage.size, stage.size)


def timed(
    work: Callable[[], Tensor | None], clock: Callable[[], float], device: torch.device
) -> tuple[float, Tensor | None]:
    """Return how long a piece of work took, and what it made."""
    started = clock()
    made = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started, made


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=[EMBEDDED, *NETWORKS], default=EMBEDDED)
    parser.add_argument("--device", default=None)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--updates", type=int, default=33)
    parser.add_argument("--size", type=int, default=64, help="height and width in pixels")
    parser.add_argument("--work", choices=WORK, nargs="+", default=WORK, help="starts: 21 updates")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts")
    chosen = parser.parse_args()
    device = choose_device(chosen.device)
    prepare(chosen.threads)
    unet = network(chosen.network, chosen.size).to(precision(device))
    text = torch.randn(3, 77, unet.config.encoder_hid_dim).to(device, unet.dtype)
    settings: Settings = dict(SCHEDULER)
    if chosen.network == EMBEDDED:
        settings["sample_max_value"] = LARGEST[0]
    schedule = schedule_of(SchedulerConfig(**settings))
    stages = [
        Stage(each, schedule, chosen.size, device)
        for each in (settle(deepcopy(unet), device), unet.to(device))
    ]
    ours = Ours(stages[0], text, chosen.updates)
    theirs = Theirs(stages[1], text, chosen.updates, settings)
    size = sum(each.numel() for each in unet.parameters()) / 1e6
    what = f"{size:.0f} M parameters, {chosen.size} pixels, {chosen.updates} updates"
    print(f"{what}, {unet.dtype}, {describe(device)}", flush=True)
    print(
        f"{'':10}{'evaluations':>12}{'ours':>9}{'per s':>9}{'diffusers':>11}{'ratio':>7}{'bare':>9}{'over':>7}{'difference':>12}"
    )
    # With one thread, what other programs take of the machine is not counted.
    clock = time.process_time if device.type == "cpu" and chosen.threads == 1 else time.monotonic
    for work in chosen.work:
        runs = [getattr(ours, work), getattr(theirs, work), partial(ours.bare, work)]
        rounds = [[timed(run, clock, device) for run in runs] for _ in range(chosen.rounds)]
        mine, others, bare = (min(each for each, _ in times) for times in zip(*rounds, strict=True))
        found, expected = rounds[0][0][1], rounds[0][1][1]
        count = sum(ours.batches(work))
        print(
            f"{work:10}{count:12}{mine:8.2f}s{count / mine:9.1f}{others:10.2f}s"
            f"{others / mine:7.2f}{bare:8.2f}s{mine / bare - 1:7.0%}"
            f"{(found - expected).abs().max():12.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
