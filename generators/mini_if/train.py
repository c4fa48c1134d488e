"""Train a stage of the embedded cascade: python -m generators.mini_if.train stage_1 --recipe core

Called again, it goes on from its checkpoint in .cache/mini_if/. On a machine without a GPU, two
processes of one thread each are faster than one of two:

    torchrun --nproc-per-node 2 -m generators.mini_if.train stage_1 --recipe core --apart 8

With --start it goes on from a cascade as exported, the one that is shipped for instance.
Stage 2 is told its words by stage 1's encoder, as that is whenever its training is started: train
stage 2 last, or a little more when stage 1 is done.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, KwargsHandler
from transformers import PreTrainedTokenizerFast

from generators.diffusion.schedule import schedule_of
from generators.diffusion.scheduler_config import SchedulerConfig
from generators.errors import AuthorError
from generators.machine import bfloat16_pays, choose_device, own_cores, prepare
from generators.mini_if.captions import learn_captions
from generators.mini_if.concepts import CORE, taught
from generators.mini_if.examples import Examples
from generators.mini_if.growth import graft
from generators.mini_if.loss import HybridLoss
from generators.mini_if.painter import Painter
from generators.mini_if.recipe import RECIPES, SCHEDULER, Recipe, make_encoder, make_unet
from generators.mini_if.samples import sampler_of
from generators.mini_if.scenes import compose
from generators.mini_if.start import begin
from generators.mini_if.tokens import make_tokenizer
from generators.mini_if.training import STATE, Limits, Training, read_state

CACHE = Path(__file__).parent.parent.parent / ".cache" / "mini_if"
CAPTIONS = 20_000
CAPTION_BATCHES, GRAFT_BATCHES = 1500, 150
"""How many captions are read, in batches, before painting, and pictures seen by each new level."""
SEED, LEVEL = 180, 1000


def main(arguments: list[str]) -> int:
    """Train, and return the exit status: 0, or 1 after one line that says what is wrong."""
    options = parser().parse_args(arguments)
    limits = Limits(
        options.pictures, options.minutes, options.decay_from, options.save, options.sample
    )
    try:
        train(options.stage, options.recipe, limits, options.cache, options.apart, options.start)
    except AuthorError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    made.add_argument("stage", choices=["stage_1", "stage_2"])
    made.add_argument(
        "--recipe", choices=sorted(RECIPES), default="core",
        help="core: what is shipped, for a CPU (default); full: all of the font; tiny: for tests",
    )  # fmt: skip
    made.add_argument(
        "--pictures",
        type=float,
        default=math.inf,
        help="stop after so many in all (default: never)",
    )
    made.add_argument(
        "--minutes", type=float, default=math.inf, help="stop this call after so many"
    )
    made.add_argument(
        "--decay-from", type=float, default=math.inf,
        help="let the rate fall to nothing from so many pictures on, until --pictures",
    )  # fmt: skip
    made.add_argument("--save", type=float, default=5, help="minutes between checkpoints (5)")
    made.add_argument(
        "--sample", type=float, default=6, help="minutes between grids of samples (6)"
    )
    made.add_argument(
        "--apart", type=int, default=1,
        help="updates between means of the weights of several processes; 1: they share gradients",
    )  # fmt: skip
    made.add_argument("--start", type=Path, help="an exported cascade to go on from")
    made.add_argument("--cache", type=Path, default=CACHE, help="folder of the trainings")
    return made


def train(
    stage_name: str, recipe_name: str, limits: Limits, cache: Path,
    apart: int = 1, start: Path | None = None,
) -> Training:  # fmt: skip
    """Train a stage in its folder of `cache` until a limit, and return it as it is then.

    `start` is the cascade to begin with, `apart` is told in `Training`.
    """
    stage = int(stage_name[-1])
    recipe = RECIPES[recipe_name][stage - 1]
    accelerator = make_accelerator(stage)
    prepare(own_cores())
    folder = cache / f"{stage_name}-{recipe_name}"
    with accelerator.main_process_first():
        if start and accelerator.is_main_process:
            begin(start, stage_name, recipe_name, cache)
        folder.mkdir(parents=True, exist_ok=True)
        concepts = taught(recipe.teaches)
        # A little more is read than painted: words that the judge knows are no noise to the model.
        read = tuple(dict.fromkeys((*CORE, *concepts)))
        tokenizer = tokenizer_in(cache / f"stage_1-{recipe_name}", read)
    schedule = schedule_of(SchedulerConfig(**SCHEDULER))  # type: ignore
    examples = Examples(SEED + stage, stage, tokenizer, recipe.dropped, schedule, concepts=concepts)
    state = torch.random.get_rng_state()
    torch.manual_seed(SEED)
    encoder, unet = make_encoder(len(tokenizer)), make_unet(recipe, stage)
    encoder.requires_grad_(False)
    grown = None
    ends = time.monotonic() + 60 * limits.minutes
    for level, until in phases(recipe, stage, folder, limits):
        painter = Painter(encoder, unet, level)
        place = folder_of(folder, level)
        seen = replace(examples, level=level, seed=examples.seed + LEVEL * level)
        if stage == 1 and not (place / STATE).exists():
            prepare_level(painter, grown, seen, read)
        place.mkdir(exist_ok=True)
        training = Training(painter, recipe, place, accelerator, apart)
        if stage == 2:
            take_encoder(painter, cache / f"stage_1-{recipe_name}" / STATE)
        sampler = sampler_of(stage, tokenizer, schedule)
        left = replace(until, minutes=(ends - time.monotonic()) / 60)
        training.run(seen, HybridLoss(schedule), left, sampler)
        if training.pictures < until.pictures:
            break
        training.average.swap()
        grown = painter
    torch.random.set_rng_state(state)
    return training


def make_accelerator(stage: int) -> Accelerator:
    """Return the accelerator of a GPU if there is one, in bfloat16 where that is fast."""
    device = choose_device("cuda" if torch.cuda.is_available() else "cpu")
    precision = "bf16" if bfloat16_pays(device) else "no"
    handlers = sharing(stage)
    return Accelerator(
        cpu=device.type == "cpu", mixed_precision=precision, kwargs_handlers=handlers
    )


def sharing(stage: int) -> list[KwargsHandler]:
    """Return how processes share gradients.

    Stage 2 attends to no words: what would tell them to it has no gradient to share.
    """
    return [DistributedDataParallelKwargs(find_unused_parameters=stage == 2)]


def phases(recipe: Recipe, stage: int, folder: Path, limits: Limits) -> list[tuple[int, Limits]]:
    """Return the levels that are still to be learnt, and when each is done.

    Only at the whole size does the rate fall.
    """
    young = recipe.young if stage == 1 else ()
    whole = [
        *((level, replace(limits, pictures=each, decay_from=math.inf)) for level, each in young),
        (0, limits),
    ]
    begun = [number for number, (level, _) in enumerate(whole)
             if (folder_of(folder, level) / STATE).exists()]  # fmt: skip
    return whole[max(begun, default=0) :]


def folder_of(folder: Path, level: int) -> Path:
    return folder / f"level_{level}" if level else folder


def prepare_level(
    painter: Painter, grown: Painter | None, examples: Examples, read: Sequence[str]
) -> None:
    """Let a stage 1 that has seen nothing yet learn to read, or take over what is grown."""
    if grown is None:
        print("learning to read captions", flush=True)
        args = (painter.encoder, painter.unet, examples.tokenizer, CAPTION_BATCHES, SEED, read)
        print(f"{learn_captions(*args):.1%} of captions told right", flush=True)
    else:
        missed = graft(painter, grown, examples, GRAFT_BATCHES)
        print(f"level {painter.level} misses {missed:.1%} of what it takes over", flush=True)


def tokenizer_in(folder: Path, read: Sequence[str] = CORE) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a training, made from captions of all that is read the first time."""
    if not (folder / "tokenizer").exists():
        captions = (compose(SEED, number, read).caption for number in range(CAPTIONS))
        make_tokenizer(captions).save_pretrained(folder / "tokenizer")
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(
        folder / "tokenizer"
    )
    return tokenizer


def take_encoder(painter: Painter, path: Path) -> None:
    """Give stage 2 the text encoder of stage 1's training.

    Raises: AuthorError when there is none yet.
    """
    if not path.exists():
        raise AuthorError(f"{path}: found no checkpoint, expected one: train stage_1 first")
    state = read_state(path, torch.device("cpu"))["painter"]
    for name, parameter in painter.encoder.named_parameters():
        parameter.data.copy_(state[f"encoder.{name}"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
