"""A3: the model behind the pictures: how it was trained, and how often it draws what is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generators.diffusion.pictures import to_bytes
from generators.diffusion.sampling import generators_of
from generators.figure import Context, Number, Output, Panels
from generators.mini_if.concepts import CORE, TAUGHT, phrases
from generators.mini_if.examination import left_out, missed, places, prompt_of, share
from generators.mini_if.judge import load_judge
from generators.mini_if.report import read_report
from generators.mini_if.styles import STYLES
from generators.parameters import Range
from generators.part_a.descents import sample, times_of
from generators.part_a.showing import ROW, Pixels, asked, filled, guidance
from generators.part_a.training import training_numbers, training_shown

MANNERS = tuple(STYLES)[1:]
"""All but the photograph."""


@dataclass(frozen=True)
class Parameters:
    samples: Annotated[int, Range(1, 64)] = 2
    every: Annotated[int, Range(1, 100)] = 2
    unseen: Annotated[int, Range(1, 400)] = 60
    scale: Annotated[float, Range(0, 100)] = 7.0
    against: Annotated[float, Range(0, 100)] = 3.0
    stride: Annotated[int, Range(1, 499)] = 40
    batch: Annotated[int, Range(1, 256)] = 31


@dataclass(frozen=True)
class Results:
    """What a cascade drew, what the judge named it, and the log of the embedded one's training.

    `pictures` (C, h, w, 3) is the first sample of each concept; `named` (samples · C,) counts its
    place in the judge's order of all concepts from 0. `styled_named` (M, S) are the places of every
    n-th concept in the other `MANNERS`, `styled` (M, 8, h, w, 3) the first of those; `unseen_named`
    the places of combinations that training left out, `unseen` (N, h, w, 3) the first of them;
    `compared` and `compared_named` are these once more at the guidance `Parameters.against`, and
    `compared_concepts` (C,) the places of the first sample of each concept at it.
    `along` (K, N, h, w, 3) are samples after `along_pictures` pictures of training.
    """

    pictures: Pixels
    named: tuple[int, ...]
    styled: Pixels
    styled_named: NDArray[np.int64]
    unseen: Pixels
    unseen_prompts: tuple[str, ...]
    unseen_named: tuple[int, ...]
    compared: Pixels
    compared_named: tuple[int, ...]
    compared_concepts: tuple[int, ...]
    losses: NDArray[np.float32]
    along: Pixels
    along_pictures: tuple[int, ...]
    seconds: tuple[float, ...]
    device: str
    judge_accuracy: float
    seen: dict[str, int]
    drawn_by: str
    updates: int
    seed: int


def experiment(context: Context, parameters: Parameters) -> Results:
    """Draw every concept several times, and combinations never trained with; ask the judge.

    The words are those of mini-if, and where nothing else judges, its judge does.
    Raises: AuthorError where that is damaged or missing.
    """
    judge = context.judge() or load_judge().to(context.device)
    combinations = left_out()[: parameters.unseen]
    unseen_prompts = [prompt_of(*each) for each in combinations]
    names = list(TAUGHT) * parameters.samples
    prompts = [f"a photo of {phrases(name)[0]}" for name in names]
    some = TAUGHT[:: parameters.every]
    in_style = [f"{STYLES[each][1][0]} {phrases(name)[0]}" for each in MANNERS for name in some]
    context.cascade().read([*prompts, *in_style, *unseen_prompts, ""])
    images, updates = drawn(context, parameters, prompts, "concepts")
    styled, _ = drawn(context, parameters, in_style, "styles")
    shape = (len(MANNERS), len(some))
    unseen, _ = drawn(context, parameters, unseen_prompts, "unseen")
    others = replace(parameters, scale=parameters.against)
    compared, _ = drawn(context, others, unseen_prompts, "unseen")
    once, _ = drawn(context, others, prompts[: len(TAUGHT)], "concepts")
    asked_for = [concept for _, concept, _ in combinations]
    report = read_report()
    return Results(
        to_bytes(images[: len(TAUGHT)]),
        places(judge, images, names),
        to_bytes(styled).reshape(*shape, *styled.shape[2:], 3)[:, :ROW],
        np.array(places(judge, styled, some * len(MANNERS))).reshape(shape),
        to_bytes(unseen[: 2 * ROW]),
        tuple(unseen_prompts),
        places(judge, unseen, asked_for),
        to_bytes(compared[:ROW]),
        places(judge, compared, asked_for),
        places(judge, once, TAUGHT),
        report.losses,
        report.samples,
        report.pictures,
        report.seconds,
        report.device,
        report.judge_accuracy,
        report.seen,
        context.cascade().name,
        updates,
        context.seed,
    )


def drawn(
    context: Context, parameters: Parameters, prompts: Sequence[str], what: str
) -> tuple[Tensor, int]:
    """Return a sample (N, 3, h, w) of each prompt and the number of updates, in small batches."""
    cascade = context.cascade()
    times = times_of(cascade.stage(1).schedule, parameters.stride)
    generators = generators_of(context.stream(what), len(prompts))
    images = []
    for first in range(0, len(prompts), parameters.batch):
        part = slice(first, first + parameters.batch)
        estimate = cascade.guided(prompts[part], parameters.scale)
        images.append(sample(context, estimate, generators[part], times, what))
    return torch.cat(images), len(times) - 1


def figures(results: Results, parameters: Parameters) -> Iterator[Output]:
    made = f"{guidance(parameters.scale)}, {results.updates} updates, seed {results.seed}"
    prompts = results.unseen_prompts[: len(results.unseen)]
    rows = [list(TAUGHT)[first : first + ROW] for first in range(0, len(TAUGHT), ROW)]
    yield Panels(
        "concepts",
        f"“A photo of” each of the {len(TAUGHT)} things that the embedded model was taught, first "
        f"samples, none chosen, drawn by {results.drawn_by}; {made}. Row by row: "
        f"{'; '.join(map(', '.join, rows))}.",
        f"Small pictures of all concepts, in rows of {ROW}, as the caption names them.",
        filled(results.pictures),
        labels=[" … ".join(dict.fromkeys((row[0], row[-1]))) for row in rows],
    )
    yield Panels(
        "styles",
        f"Some of them in other manners, first samples again; {made}.",
        f"Rows of small pictures: {'; '.join(MANNERS)}.",
        results.styled,
        TAUGHT[:: parameters.every][:ROW],
        MANNERS,
    )
    yield Panels(
        "unseen",
        "Combinations of style, thing and ground that the embedded model's training left out. "
        + asked(prompts, parameters.scale, results.updates, results.seed),
        "Small pictures: " + "; ".join(prompts),
        filled(results.unseen),
    )
    few = len(results.compared)
    yield Panels(
        "compared",
        f"The first of them, and the same from the same noise under other guidance; "
        f"{results.updates} updates, seed {results.seed}.",
        "Two rows of small pictures, the same under two strengths of guidance: "
        + "; ".join(prompts[:few]),
        [results.unseen[:few], results.compared],
        labels=[f"γ = {scale:g}" for scale in (parameters.scale, parameters.against)],
    )
    yield from training_shown(results.losses, results.along, results.along_pictures)
    yield from training_numbers(results.seen, results.seconds, results.device)
    yield from numbers(results, parameters)


def numbers(results: Results, parameters: Parameters) -> Iterator[Number]:
    """Yield what the text quotes."""
    yield Number("cascade", results.drawn_by)
    yield Number("concepts", str(len(TAUGHT)))
    yield Number("names", str(len(CORE)))
    yield Number("accuracy", share(results.named, 0))
    yield Number("among-five", share(results.named, 4))
    yield Number("samples", str(len(results.named)))
    yield Number("scale", f"{parameters.scale:g}")
    yield Number("compared", f"{parameters.against:g}")
    yield Number("compared-accuracy", share(results.compared_named, 0))
    yield Number("compared-concepts", share(results.compared_concepts, 0))
    photographs = results.named[: len(TAUGHT) : parameters.every]
    yield Number("in-manners", str(results.styled_named.shape[1]))
    for style, named in zip(STYLES, (photographs, *results.styled_named.tolist()), strict=True):
        yield Number(f"{style.replace(' ', '-')}-accuracy", share(named, 0))
        yield Number(f"{style.replace(' ', '-')}-among-five", share(named, 4))
    yield Number("unseen-accuracy", share(results.unseen_named, 0))
    yield Number("unseen-samples", str(len(results.unseen_named)))
    yield Number("judge-accuracy", f"{100 * results.judge_accuracy:.1f} %")
    yield Number("missed", ", ".join(missed(results.named)) or "none")
