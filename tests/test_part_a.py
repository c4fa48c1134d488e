"""The sections of Part A from end to end, on a small cascade made here."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from cascades import small_cascade
from PIL import Image
from torch import Tensor

import build
from generators.diffusion import loading
from generators.diffusion.cascade import Cascade
from generators.diffusion.filters import bands, gaussian
from generators.diffusion.loading import open_cascade
from generators.diffusion.pictures import from_bytes, read_mask, read_picture, to_bytes
from generators.diffusion.sampling import denoise, generators_of, last
from generators.diffusion.schedule import counted, strided
from generators.errors import AuthorError
from generators.figure import (
    Animation,
    Comparison,
    Context,
    Distance,
    Number,
    Output,
    Panels,
    Trajectory,
    Turning,
)
from generators.models import JUDGE, find_model
from generators.part_a import (
    anagrams,
    blur,
    drawings,
    factorised,
    forward,
    guidance,
    hybrids,
    image_to_image,
    inpainting,
    iterative,
    model,
    one_step,
    sampling,
    setup,
    views,
)
from generators.part_a.descents import times_of
from generators.part_a.showing import Pixels
from generators.part_a.training import curves
from generators.results import pack, unpack

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
SIZE = 16
TEXTS = sorted((ROOT / "content").glob("a*.md"))
SECTIONS = [path.stem.split("-", 1)[1] for path in TEXTS]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cascade(tmp_path_factory.mktemp("part-a") / "model", SIZE)


@pytest.fixture(scope="module")
def cascade(folder: Path) -> Cascade:
    model = find_model(str(folder), Path("/"))
    return open_cascade(model, CPU, folder.parent / "embeddings", torch.float32)


@pytest.fixture
def context(cascade: Cascade) -> Context:
    return Context(
        "here", 180, CPU, ROOT / "content", lambda name: Path(), {}, lambda *told: None,
        lambda: cascade,
    )  # fmt: skip


def drawn(section: ModuleType, results: Any, parameters: Any, folder: Path) -> dict[str, Output]:
    """What a section shows, from its results as they come back from the cache."""
    path = folder / "results.safetensors"
    path.write_bytes(pack(results))
    outputs = section.figures(unpack(path, section.Results), parameters)
    return {output.name: output for output in outputs}


def close(a: np.ndarray, b: np.ndarray, levels: int = 1) -> bool:
    """Whether bytes agree: another batch size sums in another order."""
    return np.abs(a.astype(int) - b.astype(int)).max() <= levels


# All of it, as an author would run it.


def part_a_in(root: Path, folder: Path) -> None:
    """Write a project with the sections of Part A, which ask the cascade in `folder`."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "weights")
    for name in ("generators", "templates"):
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    shutil.copytree(ROOT / "content" / "images", root / "content" / "images")
    (root / JUDGE).parent.mkdir()
    shutil.copy(ROOT / JUDGE, root / JUDGE)
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        if re.search("part_a.(hybrids|factorised)", text):  # 33 pixels reach beyond so few
            text = text.replace("kernel = 33\n", "").replace("[draft]\n", "[draft]\nkernel = 9\n")
        (root / "content" / path.name).write_text(text, encoding="utf-8")
    site = (ROOT / "content" / "site.toml").read_text(encoding="utf-8")
    part = re.search(r"(?s)\[parts\.a\].*?(?=\n\[)", site)[0]
    chosen = part.replace(
        'model = "mini-if"', f'model = {json.dumps(str(folder))}\njudge = "mini-if"'
    )
    assert chosen != part
    head = 'title = "Part A alone"\ndescription = "Made for tests."\nseed = 180\n'
    (root / "content" / "site.toml").write_text(head + chosen, encoding="utf-8")


@pytest.fixture(scope="module")
def published(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drafts of all sections, built in a project of their own."""
    root = tmp_path_factory.mktemp("write-up")
    part_a_in(root, folder)
    assert build.main(["--draft", "--threads", "1"], root) == 0, "not even the lint objects"
    return root / ".cache" / "draft" / "site"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_made_and_shown(published: Path, section: str) -> None:
    record = json.loads((published / section / "record.json").read_text())
    assert record["shown"]
    for figure in record["shown"]:
        assert figure["caption"].count("$") % 2 == 0
    assert "seed 180" in record["shown"][0]["caption"], "how all of it was made"
    page = (published / "part-a.html").read_text(encoding="utf-8")
    assert f'id="{section}"' in page


def test_every_row_of_the_list_of_experiments_has_its_section() -> None:
    heads = [path.read_text(encoding="utf-8") for path in TEXTS]
    numbers = {re.search(r'(?m)^number = "(.*)"$', head)[1] for head in heads}
    rows = "0 1.1 1.2 1.3 1.4 1.5 1.6 1.7 1.7.1 1.7.2 1.7.3 1.8 1.9 2"
    assert numbers >= set(rows.split())


# Section by section, against what is known.


def test_the_forward_process_is_its_formula(context: Context, tmp_path: Path) -> None:
    parameters = forward.Parameters(times=(250, 500, 750))
    results = forward.experiment(context, parameters)
    x_0 = read_picture(context.content / parameters.image, SIZE)
    noise = torch.randn(3, SIZE, SIZE, generator=generators_of(context.stream("noise"), 1)[0])
    levels = torch.tensor([0.920, 0.702, 0.378])  # √ᾱ of IF at these times
    for index, (signal, found) in enumerate(zip(levels, results.alpha_bars, strict=True)):
        assert found**0.5 == pytest.approx(signal.item(), abs=1e-3)
        x_t = found**0.5 * x_0 + (1 - found) ** 0.5 * noise
        assert np.array_equal(results.noisy[index], to_bytes(x_t)[0])
    shown = drawn(forward, results, parameters, tmp_path)
    assert shown["noisy"].columns == ["test picture", "t = 250", "t = 500", "t = 750"]
    assert shown["signal-250"].text == "0.92"
    assert shown["noise-750"].text == "0.93"


def test_the_chosen_blur_is_the_best_of_the_grid(context: Context, tmp_path: Path) -> None:
    parameters = blur.Parameters(kernels=(3, 5, 7), sigmas=(0.5, 1.0, 2.0))
    results = blur.experiment(context, parameters)
    x_0 = read_picture(context.content / parameters.image, SIZE)
    shown = drawn(blur, results, parameters, tmp_path)
    for index, t in enumerate(parameters.times):
        by_hand = np.array([
            [(from_bytes(image[None]) - x_0).square().mean() for image in row]
            for row in results.blurred[index]
        ])  # fmt: skip
        # What is stored is clipped to [-1, 1], which x_t exceeds: the order is the same here.
        k, s = np.unravel_index(results.errors[index].argmin(), (3, 3))
        assert np.allclose(by_hand, results.errors[index], atol=0.1)
        assert shown[f"best-{t}"].text == f"{results.errors[index].min():.3f}"
        assert np.array_equal(shown["best"].rows[1][index], results.blurred[index, k, s])
        words = rf"{parameters.kernels[k]}×{parameters.kernels[k]} pixels with $\sigma = {parameters.sigmas[s]:g}$ at $t = {t}$"
        assert words in shown["best"].caption
    assert len(shown["grid"].rows) == len(shown["grid"].labels) == 9
    assert results.errors[2].argmin() >= results.errors[0].argmin(), "more noise, more blur"


def test_a_single_step_knows_the_picture_if_the_network_does(
    context: Context, tmp_path: Path
) -> None:
    """With a network that answers the very ε, x̂_0 is the picture at every time."""
    noise = torch.randn(1, 3, SIZE, SIZE, generator=generators_of(context.stream("noise"), 1)[0])
    schedule = context.cascade().stage(1).schedule
    stage = SimpleNamespace(schedule=schedule, size=SIZE)
    knowing = SimpleNamespace(
        stage=lambda number: stage, told=lambda prompts: lambda x, t: SimpleNamespace(mean=noise)
    )
    parameters = one_step.Parameters()
    results = one_step.experiment(replace(context, cascade=lambda: knowing), parameters)
    assert max(results.errors) < 1e-8
    assert all(np.array_equal(each, results.original[0]) for each in results.estimates)
    shown = drawn(one_step, results, parameters, tmp_path)
    assert shown["estimates"].labels == ["x₀", "xₜ", "x̂₀"]


def test_the_iteration_goes_down_the_list_of_the_exercise(context: Context, tmp_path: Path) -> None:
    parameters = iterative.Parameters()
    results = iterative.experiment(context, parameters)
    assert results.times == tuple(range(690, -1, -30))
    shown = drawn(iterative, results, parameters, tmp_path)
    assert shown["steps"].columns == [f"t = {t}" for t in (690, 540, 390, 240, 90)]
    for column, index in enumerate((0, 5, 10, 15, 20)):
        assert np.array_equal(shown["steps"].rows[0][column], results.states[index])
    # The way is that of the one loop, from the x_t at t = 690 on.
    schedule = context.cascade().stage(1).schedule
    x_0 = read_picture(context.content / parameters.image, SIZE)
    x_t = schedule.add_noise(
        x_0, 690, torch.randn(3, SIZE, SIZE, generator=generators_of(context.stream("noise"), 1)[0])
    )
    steps = list(
        denoise(
            x_t, context.cascade().told([parameters.prompt]), schedule, strided(1000, 30)[10:],
            generators=generators_of(context.stream("steps"), 1),
        )
    )  # fmt: skip
    assert len(results.states) == len(steps) + 1 == len(results.estimates) + 1 == 24
    assert np.array_equal(results.states[0], to_bytes(x_t)[0])
    assert np.array_equal(results.states[-1], to_bytes(steps[-1].x_t)[0])
    assert np.array_equal(results.estimates[7], to_bytes(steps[7].x_0)[0])
    original, iterated, once, blurred = results.compared
    assert np.array_equal(original, to_bytes(x_0)[0])
    assert np.array_equal(iterated, results.states[-1])
    assert np.array_equal(once, results.estimates[0]), "a single step is the first estimate"
    assert np.array_equal(blurred, to_bytes(gaussian(5, 2.0)(x_t))[0])
    assert shown["comparison"].columns == ["original", "iterative", "one-step", "blur"]
    movie = shown["descent"]
    assert isinstance(movie, Animation)
    assert np.array_equal(movie.frames[-1][:, :SIZE], results.states[-1])
    assert np.array_equal(movie.frames[3][:, SIZE:], results.estimates[3])
    way = shown["way"]
    assert isinstance(way, Trajectory)
    assert len(way.frames) == len(way.steps) == 23


def test_samples_are_those_of_the_prompt_alone(context: Context, tmp_path: Path) -> None:
    parameters = sampling.Parameters(samples=3, stride=200)
    results = sampling.experiment(context, parameters)
    generators = generators_of(context.stream("samples"), 3)
    steps = denoise(
        context.cascade().noise(generators), context.cascade().told([parameters.prompt]),
        context.cascade().stage(1).schedule, strided(1000, 200), generators=generators,
    )  # fmt: skip
    assert np.array_equal(results.samples, to_bytes(last(steps).x_t))
    assert results.updates == 4
    shown = drawn(sampling, results, parameters, tmp_path)
    assert "without guidance, 4 updates, seed 180" in shown["samples"].caption
    fewer = sampling.experiment(context, replace(parameters, samples=2))
    assert close(fewer.samples, results.samples[:2])


def test_rows_of_one_noise_differ_by_their_scale_alone(context: Context, tmp_path: Path) -> None:
    parameters = guidance.Parameters(
        samples=2, scale=7.0, scales=(0.0, 1.0, 7.0), stride=200, upsampling_steps=2,
        subjects=("a high quality photo", "a dog"),
    )  # fmt: skip
    results = guidance.experiment(context, parameters)
    first, unheard, told, again = results.samples
    assert np.array_equal(first, again), "the same scale is the same picture"
    for row, prompt in ((unheard, ""), (told, parameters.prompt)):
        generators = generators_of(context.stream("samples"), 2)
        steps = denoise(
            context.cascade().noise(generators), context.cascade().told([prompt]),
            context.cascade().stage(1).schedule, strided(1000, 200), generators=generators,
        )  # fmt: skip
        if prompt:  # at γ = 0 the variance still is the conditional one
            assert close(row, to_bytes(last(steps).x_t))
        else:
            assert not close(row, to_bytes(last(steps).x_t))
    assert (unheard != told).any()
    shown = drawn(guidance, results, parameters, tmp_path)
    assert shown["sweep"].labels == ["γ = 0", "γ = 1", "γ = 7"]
    assert np.array_equal(shown["sweep"].rows[2], results.samples[3])
    assert results.large.shape == (2, 2 * SIZE, 2 * SIZE, 3)
    assert close(results.subjects[:, 0], results.samples[1:, 0]), "one noise, one prompt"
    assert not close(results.subjects[1, 1], results.samples[2, 1]), "another prompt"
    assert np.array_equal(shown["subjects"].rows[1], results.subjects[1])
    with pytest.raises(AuthorError, match="subjects is empty"):
        guidance.experiment(context, replace(parameters, subjects=()))


def test_the_starts_of_the_exercise_are_at_its_times(context: Context) -> None:
    times = times_of(context.cascade().stage(1).schedule, image_to_image.Parameters.stride)
    assert times == list(range(990, -1, -30))
    starts = [times[start] for start in image_to_image.Parameters.starts]
    assert starts == [960, 900, 840, 780, 690, 390]


def test_edits_from_all_starts_are_those_from_each(context: Context, tmp_path: Path) -> None:
    parameters = image_to_image.Parameters(
        images=("images/bell-tower.png", "images/own-1.png"), starts=(0, 3, 7),
        prompts=("a rocket ship", "a dog"), scale=3.0, stride=90,
    )  # fmt: skip
    results = image_to_image.experiment(context, parameters)
    assert results.times == (990, 720, 360)
    cascade = context.cascade()
    schedule = cascade.stage(1).schedule
    for number, (file, prompt) in enumerate(
        zip(parameters.images, parameters.prompts, strict=True)
    ):
        image = read_picture(context.content / file, SIZE)
        for place, start in enumerate(parameters.starts):
            generators = generators_of(context.stream("edits"), 2)[number : number + 1]
            noise = torch.randn(image.shape[1:], generator=generators[0])
            times = strided(1000, 90)[start:]
            x_t = schedule.add_noise(image, times[0], noise)
            steps = denoise(
                x_t, cascade.guided([prompt], 3.0), schedule, times, generators=generators
            )
            assert close(results.edits[number, place], to_bytes(last(steps).x_t)[0])
    shown = drawn(image_to_image, results, parameters, tmp_path)
    assert shown["edits"].columns == ["0: t 990", "3: t 720", "7: t 360", "original"]
    assert shown["edits"].labels == parameters.prompts


def test_drawings_show_the_noised_input_above_its_result(context: Context, tmp_path: Path) -> None:
    parameters = drawings.Parameters(
        images=("images/drawing-1.png", "images/found.png"), stride=200, starts=(1, 3), upsampling_steps=2,
        upsampling_scale=1.0,
    )  # fmt: skip
    results = drawings.experiment(context, parameters)
    schedule = context.cascade().stage(1).schedule
    image = read_picture(context.content / "images/found.png", SIZE)
    noise = torch.randn(image.shape[1:], generator=generators_of(context.stream("edits"), 2)[1])
    for place, t in enumerate((600, 200)):
        assert np.array_equal(
            results.noised[1, place], to_bytes(schedule.add_noise(image, t, noise))[0]
        )
    shown = drawn(drawings, results, parameters, tmp_path)
    panels = shown["edits-2"]
    assert isinstance(panels, Panels)
    assert np.array_equal(panels.rows[0][:2], results.noised[1])
    assert np.array_equal(panels.rows[1][:2], results.edits[1])
    assert np.array_equal(panels.rows[1][2], to_bytes(image)[0])
    assert panels.caption.startswith("found.png: ")
    # Enlarging all results at once is enlarging each.
    small = from_bytes(results.edits.reshape(-1, SIZE, SIZE, 3))
    large = context.cascade().upsampled(
        small[:1], [parameters.prompt], generators_of(context.stream("upsampled"), 1), steps=2, scale=1.0
    )  # fmt: skip
    assert close(to_bytes(large)[0], results.large[0, 0], 4)


def test_pixels_outside_the_mask_are_kept(context: Context, tmp_path: Path) -> None:
    parameters = inpainting.Parameters(
        prompts=("a rocket ship", "a dog"), images=("images/bell-tower.png", "images/own-1.png"),
        masks=("images/mask-bell-tower.png", "images/mask-own-1.png"), stride=200,
        resampling_length=2, resampling_times=2, upsampling_steps=2,
    )  # fmt: skip
    results = inpainting.experiment(context, parameters)
    assert results.updates == (4, 8)
    for index, file in enumerate(parameters.masks):
        mask = read_mask(context.content / file, SIZE)[0, 0].bool().numpy()
        assert np.array_equal(results.masks[index, ..., 0] == 255, mask), "white is made anew"
        original = results.originals[index].astype(int)
        for made in (*results.plain[:, index], *results.resampled[:, index]):
            change = np.abs(made.astype(int) - original)
            assert change[~mask].max() < 127.5 * 0.06
            assert change[mask].mean() > 20
    assert (results.plain[0] != results.plain[1]).any(), "the prompts are heard"
    shown = drawn(inpainting, results, parameters, tmp_path)
    panels = shown["inpainting-2"]
    assert panels.labels == [parameters.neutral, "a dog"]
    replaced = panels.rows[0][2]
    assert np.array_equal(replaced[mask], results.originals[1][mask])
    assert not replaced[~mask].any()
    assert np.array_equal(panels.rows[1][3], results.plain[1, 1])
    assert np.array_equal(panels.rows[1][4], results.resampled[1, 1])
    comparison = shown["upsampled-2"]
    assert isinstance(comparison, Comparison)
    assert np.array_equal(comparison.after, results.large[1][1])


def test_the_mask_of_the_exercise_is_rows_2_to_19_and_columns_24_to_41() -> None:
    mask = read_mask(ROOT / "content/images/mask-bell-tower.png", 64)
    expected = torch.zeros(1, 1, 64, 64)
    expected[..., 2:20, 24:42] = 1
    assert torch.equal(mask, expected)


def test_the_last_frame_of_a_turning_anagram_is_the_view(context: Context, tmp_path: Path) -> None:
    parameters = anagrams.Parameters(
        ("a skull", "a dog"), ("a man", "a coast"), stride=200, upsampling_steps=2, frames=5
    )
    results = anagrams.experiment(context, parameters)
    shown = drawn(anagrams, results, parameters, tmp_path)
    movie = shown["turning"]
    assert isinstance(movie, Animation)
    assert np.array_equal(movie.frames[0], np.concatenate(list(results.small), axis=1))
    assert np.array_equal(movie.frames[-1], movie.frames[0][::-1])
    turned = shown["anagram-2"]
    assert isinstance(turned, Turning)
    assert np.array_equal(turned.images[0], results.large[1])
    assert np.array_equal(turned.images[1], results.large[1][::-1])
    assert turned.labels == ["a dog", "a coast"]
    assert "By the judge" not in turned.caption, "there was none"


@pytest.mark.parametrize("kind", ["anagram", "hybrid"])
def test_what_is_one_prompt_twice_is_its_sample(context: Context, kind: str) -> None:
    """An anagram that is not turned, and a hybrid of a prompt with itself."""
    if kind == "anagram":
        own = anagrams.Parameters(
            ("a skull",), ("a skull",), "upright", stride=200, upsampling_steps=1
        )
        results, stream = anagrams.experiment(context, own), "anagrams"
    else:
        other = hybrids.Parameters(("a skull",), ("a skull",), 9, stride=200, upsampling_steps=1)
        results, stream = hybrids.experiment(context, other), "hybrids"
    cascade = context.cascade()
    generators = generators_of(context.stream(stream), 1, 0)
    steps = denoise(
        cascade.noise(generators), cascade.guided(["a skull"], 7.0), cascade.stage(1).schedule,
        strided(1000, 200), generators=generators,
    )  # fmt: skip
    assert close(results.small, to_bytes(last(steps).x_t))


def test_every_view_is_shown_as_it_is(context: Context, tmp_path: Path) -> None:
    names = ("rotation-90", "negative", "jigsaw", "pixels")
    parameters = views.Parameters(names, ("a",) * 4, ("b",) * 4, stride=200, frames=4)
    results = views.experiment(context, parameters)
    shown = drawn(views, results, parameters, tmp_path)
    (upright, turned), (plain, negative), (_, puzzle), (_, shuffled) = shown["views"].rows
    assert np.array_equal(turned, np.rot90(upright, -1)), "clockwise"
    assert np.array_equal(negative, 255 - plain)
    for image, seen in ((results.images[2], puzzle), (results.images[3], shuffled)):
        assert not np.array_equal(image, seen)
        assert np.array_equal(np.sort(image.reshape(-1, 3), 0), np.sort(seen.reshape(-1, 3), 0))
    frames = shown["moving"].frames
    rows = shown["views"].rows
    assert np.array_equal(frames[0], np.concatenate([row[0] for row in rows], axis=1))
    assert np.array_equal(frames[-1], np.concatenate([row[1] for row in rows], axis=1))
    several = shown["several"]
    assert np.array_equal(several.images[1], np.rot90(several.images[0], -1))
    assert np.array_equal(several.images[2], np.rot90(several.images[0], 2))
    assert several.labels[1] == "rotation-90: a photo of a dog"


def test_a_hybrid_from_afar_is_what_its_filter_leaves(context: Context, tmp_path: Path) -> None:
    parameters = hybrids.Parameters(("a skull",), ("a dog",), 9, stride=200, upsampling_steps=1)
    results = hybrids.experiment(context, parameters)
    shown = drawn(hybrids, results, parameters, tmp_path)
    near, far = shown["hybrids"].rows
    assert np.array_equal(near[0], results.small[0])
    assert np.array_equal(far[0], to_bytes(gaussian(9, 2.0)(from_bytes(results.small)))[0])
    distance = shown["hybrid-1"]
    assert isinstance(distance, Distance)
    assert distance.labels == ("a dog", "a skull"), "near, then far"
    assert "“a dog” from near, “a skull” from afar" in distance.caption


def test_hybrids_of_other_kinds_take_pictures_apart_and_together(
    context: Context, tmp_path: Path
) -> None:
    parameters = factorised.Parameters(kernel=9, length=5, stride=200)
    x = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    parts = [each(x) for each in bands(9, (3.0, 1.0))]
    assert torch.allclose(sum(parts), x, atol=1e-5)
    assert torch.equal(parts[0], gaussian(9, 3.0)(x))
    results = factorised.experiment(context, parameters)
    shown = drawn(factorised, results, parameters, tmp_path)
    coloured, grey = shown["colour"].rows[0]
    assert np.array_equal(coloured, results.kinds[0])
    assert np.ptp(grey, axis=-1).max() == 0
    assert np.abs(grey[..., 0] - coloured.mean(axis=-1)).max() <= 1
    wide = gaussian(9, 4.0)
    picture, held, free = (
        wide(from_bytes(each)) for each in (results.picture, results.held, results.kinds[2:])
    )
    assert (held - picture).abs().mean() < (free - picture).abs().mean() / 2, (
        "held where it is wide"
    )
    assert (results.held.astype(int) - results.picture).std() > 20, "made anew in detail"


class Brightness:
    """A judge that sees nothing but how light a picture is: dark is a skull, light a coast."""

    def similarities(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        light = images.clamp(-1, 1).mean(dim=(1, 2, 3))
        return torch.stack([-light if "skull" in each else light for each in prompts], dim=1)


def test_hybrids_of_other_kinds_are_chosen_too(context: Context, tmp_path: Path) -> None:
    parameters = factorised.Parameters(kernel=9, length=5, stride=400, candidates=3)
    assert factorised.experiment(context, parameters).tried == 1, "nobody judges"
    results = factorised.experiment(replace(context, judge=Brightness), parameters)
    assert results.tried == 3
    shown = drawn(factorised, results, parameters, tmp_path)
    for name in ("colour", "motion", "triple"):
        assert "chosen among 3 by alignment" in shown[name].caption


def test_the_judge_chooses_among_candidates_and_says_so(context: Context, tmp_path: Path) -> None:
    parameters = anagrams.Parameters(
        ("a skull", "a coast"), ("a skull", "a coast"), stride=200, candidates=3, upsampling_steps=1
    )
    judged = replace(context, judge=Brightness)
    results = anagrams.experiment(judged, parameters)
    assert results.tried == 3
    light = from_bytes(results.small).mean(dim=(1, 2, 3))
    assert results.alignments == pytest.approx([-light[0].item(), light[1].item()], abs=0.01)
    for number, sign in ((0, -1), (1, 1)):
        alone = anagrams.experiment(context, replace(parameters, candidates=1))
        best = sign * from_bytes(alone.small).mean(dim=(1, 2, 3))[number].item()
        assert results.alignments[number] >= best - 0.01, "the first candidate is among them"
    assert anagrams.experiment(context, parameters).tried == 1, "nobody to choose"
    shown = drawn(anagrams, results, parameters, tmp_path)
    words = f"By the judge: alignment {results.alignments[1]:.2f}, concealment {results.concealments[1]:.2f}, chosen among 3"
    assert words in shown["anagram-2"].caption


def test_words_are_read_once_for_a_section(
    folder: Path, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    made = loading.embed

    def embed(prompts: Sequence[str], *rest: Any) -> Tensor:
        calls.append(len(prompts))
        return made(prompts, *rest)

    monkeypatch.setattr(loading, "embed", embed)
    opened = loading.open_cascade(find_model(str(folder), Path("/")), CPU, tmp_path, torch.float32)
    parameters = guidance.Parameters(
        "a dog", 1, 7.0, (0.0, 7.0), ("a cat", "a fox"), stride=400, upsampling_steps=1
    )
    guidance.experiment(replace(context, cascade=lambda: opened), parameters)
    assert calls == [4], "all that is asked for, and the empty text"


def test_where_nothing_else_judges_the_examination_has_the_judge_of_mini_if(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load() -> None:
        raise AuthorError("read")

    monkeypatch.setattr("generators.part_a.model.load_judge", load)
    with pytest.raises(AuthorError, match="read"):
        model.experiment(context, model.Parameters())


def test_a_loss_curve_leaves_out_what_training_gave_up() -> None:
    """It went on from a checkpoint at two millions after it had reached three."""
    pictures = np.array([1, 2, 3, 2.5, 3.5, 1], np.float32) * 1e6
    losses = np.stack([pictures, np.arange(6), [16, 16, 16, 16, 16, 32]], axis=1)
    small, large = curves(losses.astype(np.float32))
    assert (small.x, small.y) == ([1, 2, 2.5, 3.5], [0, 1, 3, 4])
    assert (large.label, large.x) == ("32 × 32 pixels", [1])


def test_the_first_candidate_is_the_one_that_is_made_alone(context: Context) -> None:
    parameters = hybrids.Parameters(("a skull",), ("a dog",), 9, stride=200, upsampling_steps=1)

    class First:
        def similarities(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            return -torch.arange(len(images))[:, None].expand(-1, len(prompts)).float()

    judged = replace(context, judge=First)
    chosen = hybrids.experiment(judged, replace(parameters, candidates=4))
    assert close(chosen.small, hybrids.experiment(context, parameters).small)


def test_the_step_counts_are_those_of_their_columns(context: Context, tmp_path: Path) -> None:
    parameters = setup.Parameters(first=(2, 2, 3), second=(1, 2, 2), compared=(2, 4))
    results = setup.experiment(context, parameters)
    cascade = context.cascade()

    def small(noise: int) -> Pixels:
        generators = generators_of(context.stream("samples"), 3, noise)
        steps = denoise(
            cascade.noise(generators), cascade.guided(parameters.prompts, 7.0),
            cascade.stage(1).schedule, counted(1000, 4), generators=generators,
        )  # fmt: skip
        return to_bytes(last(steps).x_t)

    class Last:
        def similarities(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
            return torch.arange(len(images))[:, None].expand(-1, len(prompts)).float()

    assert np.array_equal(results.small[1], small(0))
    judged = setup.experiment(replace(context, judge=Last), replace(parameters, candidates=3))
    assert np.array_equal(judged.small[1], small(2))
    assert "that of 3 noises" in drawn(setup, judged, parameters, tmp_path)["grid"].caption
    shown = drawn(setup, results, parameters, tmp_path)
    assert shown["grid"].columns == ["2 + 1", "2 + 2", "3 + 2"]
    assert np.array_equal(shown["grid"].rows[1][2], results.large[2, 1])
    assert np.array_equal(shown["steps"].rows[2][1], results.small[1, 2])
    before, after = (from_bytes(each) for each in results.large[:2])
    assert results.changes[0, 0] == pytest.approx(
        ((after - before) / 2).abs().mean().item(), abs=5e-3
    )
    assert (results.changes[:, 1] <= results.changes[:, 0]).all(), (
        "a mean changes less than its pixels"
    )
    assert shown["what-1"].text == "2 instead of 1 updates in stage 2"
    assert shown["what-2"].text == "3 instead of 2 updates in stage 1"
    assert (
        f"2, 1: {results.seconds_small[2]:.1f} s and {results.seconds_large[0]:.1f} s"
        in shown["grid"].caption
    )
    same = setup.Parameters(first=(2, 2), second=(2, 2), compared=(2,))
    assert not setup.experiment(context, same).changes.any(), "equal settings, equal pictures"
    assert isinstance(shown["change-1"], Number)


# What an author can get wrong is one line.

WRONG = [
    (image_to_image, {"starts": (3, 1)}, r"here: starts are \[3, 1\], expected ascending numbers from 0 to 32"),
    (image_to_image, {"starts": (1, 33)}, r"starts are \[1, 33\], expected ascending numbers from 0 to 32"),
    (image_to_image, {"prompts": ("a", "b")}, "here: found 2 prompts, expected 3 as in images"),
    (iterative, {"start": 40}, r"starts are \[40\], expected ascending numbers from 0 to 32"),
    (iterative, {"kernel": 4}, "here: a kernel of 4 pixels, expected an odd number below 32"),
    (blur, {"kernels": (3, 33)}, "here: a kernel of 33 pixels, expected an odd number below 32"),
    (setup, {"first": (2,)}, "here: found 3 second, expected 1 as in first"),
    (inpainting, {"prompts": ("a",)}, "here: found 1 prompts, expected 3 as in images"),
    (anagrams, {"first": ("a",), "second": ()}, "here: found 0 second, expected 1 as in first"),
    (anagrams, {"first": (), "second": ()}, "here: first is empty, expected one or more"),
    (factorised, {"kernel": 9, "sigma_near": 4.0}, "sigma_far is 3, expected more than sigma_near = 4"),
    (anagrams, {"first": ("a",), "second": ("b",), "view": "flipp"}, "unknown view 'flipp', did you mean 'flip'?"),
    (views, {"views": ("flip",), "first": ("a",), "second": ()}, "here: found 0 second, expected 1 as in views"),
    (hybrids, {"far": ("a",), "near": ("b",)}, "here: a kernel of 33 pixels, expected an odd number below 32"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "changes", "message"), WRONG)
def test_mistakes_in_front_matter_are_one_line(
    context: Context, section: ModuleType, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(AuthorError, match=message) as error:
        section.experiment(context, section.Parameters(**changes))
    assert "\n" not in str(error.value)


def test_pictures_of_any_shape_are_taken(context: Context, tmp_path: Path) -> None:
    Image.new("L", (40, 25), 128).save(tmp_path / "grey.jpg")
    parameters = forward.Parameters(image="grey.jpg", times=(250,))
    results = forward.experiment(replace(context, content=tmp_path), parameters)
    assert (results.original == 128).all()
    assert results.original.shape == (1, SIZE, SIZE, 3)
