"""Figures on disk are what the section returned."""

import csv
import io
import json
import re

import numpy as np
import pytest
from html5lib import HTMLParser
from PIL import Image as Picture

from generators.drawing import draw
from generators.figure import Animation, Figure, Panels, Plot, Series, Trajectory

RANDOM = np.random.default_rng(0)
GREYS = RANDOM.integers(0, 256, (3, 4, 28, 28), np.uint8)
COLOURS = RANDOM.integers(0, 256, (5, 16, 16, 3), np.uint8)
PROVENANCE: dict[str, object] = {"section": "here", "seed": 180}


def opened(content: bytes) -> Picture.Image:
    return Picture.open(io.BytesIO(content))


def test_a_sheet_holds_every_image_unchanged_in_its_cell() -> None:
    drawn = draw(Panels("sheet", "c", "a", GREYS, columns=list("abcd")), PROVENANCE)
    sheet = np.asarray(opened(drawn.files["sheet.png"]))
    assert (drawn.shown["width"], drawn.shown["height"]) == sheet.shape[1::-1] == (120, 90)
    cells = sheet.reshape(3, 30, 4, 30, 2).transpose(0, 2, 1, 3, 4)
    np.testing.assert_array_equal(cells[:, :, 1:-1, 1:-1, 0], GREYS)
    assert (cells[:, :, 1:-1, 1:-1, 1] == 255).all()
    assert cells[..., 1].sum() == 255 * GREYS.size, "margins are transparent"


def test_floats_are_clipped_and_rounded_to_8_bits() -> None:
    image = np.array([[-1.0, 0.5], [0.2 / 255, 2.0]])
    drawn = draw(Panels("sheet", "c", "a", [[image]]), PROVENANCE)
    assert np.asarray(opened(drawn.files["sheet.png"]))[1:-1, 1:-1, 0].tolist() == [
        [0, 128],
        [0, 255],
    ]


def test_a_png_says_what_it_was_made_from() -> None:
    drawn = draw(Panels("sheet", "c", "a", GREYS), PROVENANCE)
    assert json.loads(opened(drawn.files["sheet.png"]).text["Provenance"]) == PROVENANCE


def test_a_trajectory_holds_one_column_per_step() -> None:
    drawn = draw(Trajectory("steps", "c", "a", GREYS, ["0", "1", "2"]), PROVENANCE)
    sheet = np.asarray(opened(drawn.files["steps.png"]))
    assert sheet.shape == (4 * 30, 3 * 30, 2)
    np.testing.assert_array_equal(sheet[1:29, 31:59, 0], GREYS[1, 0])


def local_palettes(content: bytes) -> int:
    """Count the frames of a GIF that bring a palette of their own (GIF89a, section 20)."""
    place = 13 + (3 * (2 << (content[10] & 7)) if content[10] & 0x80 else 0)
    found = 0
    while content[place] != 0x3B:
        if content[place] == 0x2C:
            flags = content[place + 9]
            found += flags >> 7
            place += 11 + (3 * (2 << (flags & 7)) if flags & 0x80 else 0)
        else:
            place += 2
        while content[place]:
            place += content[place] + 1
        place += 1
    return found


@pytest.mark.parametrize(
    ("frames", "colours"), [(GREYS[0], 256), (COLOURS, 256)], ids=["grey", "colour"]
)
def test_an_animation_has_one_palette_and_ends_in_its_still(
    frames: np.ndarray, colours: int
) -> None:
    drawn = draw(Animation("moving", "c", "a", frames, 80), PROVENANCE)
    content = drawn.files["moving.gif"]
    with opened(content) as moving:
        assert moving.size == frames.shape[2:0:-1]
        assert moving.info["loop"] == 0
        shown, durations = [], []
        for index in range(moving.n_frames):
            moving.seek(index)
            shown.append(np.asarray(moving.convert("RGB")).astype(int))
            durations.append(moving.info["duration"])
    assert durations == [80] * (len(frames) - 1) + [1000]
    distinct = np.unique(np.concatenate(shown).reshape(-1, 3), axis=0)
    assert len(distinct) <= colours
    for seen, frame in zip(shown, frames, strict=True):
        wanted = np.repeat(frame[..., None], 3, axis=2) if frame.ndim == 2 else frame
        error = np.abs(seen - wanted)
        assert error.max() == 0 if frame.ndim == 2 else error.mean() < 30
    assert local_palettes(content) == 0
    still = np.asarray(opened(drawn.files["moving.png"]))
    np.testing.assert_array_equal(still, frames[-1])


def test_a_grey_animation_is_exact_also_where_frames_hardly_differ() -> None:
    frames = np.zeros((4, 8, 8), np.uint8)
    frames[1:, 3, 3] = 7
    frames[3, 4, 4] = 255
    with opened(draw(Animation("moving", "c", "a", frames), PROVENANCE).files["moving.gif"]) as gif:
        gif.seek(gif.n_frames - 1)
        np.testing.assert_array_equal(np.asarray(gif.convert("L")), frames[3])


def line(name: str = "loss") -> Plot:
    series = [Series("a, b", (1, 2), (0.5, 0.25)), Series("floor", (0,), (0.1,), rule=True)]
    return Plot(name, "c", "a", series, "epoch", "loss", logarithmic=True)


def test_a_plot_keeps_its_numbers_beside_it() -> None:
    rows = list(csv.reader(io.StringIO(draw(line(), PROVENANCE).files["loss.csv"].decode())))
    assert rows == [["series", "epoch", "loss"], ["a, b", "1", "0.5"], ["a, b", "2", "0.25"], ["floor", "0", "0.1"]]  # fmt: skip


def test_a_plot_takes_its_colours_from_the_page_and_keeps_its_names_to_itself() -> None:
    svg = draw(line(), PROVENANCE).files["loss.svg"].decode()
    assert "var(--ink" in svg
    assert "var(--series-1" in svg
    assert "<style" not in svg
    assert "metadata" not in svg
    identifiers = re.findall(r'\bid="([^"]+)"', svg)
    assert identifiers
    assert all(identifier.startswith("here-loss-") for identifier in identifiers)
    for reference in re.findall(r"(?:href=\"|url\()#([^\")]+)", svg):
        assert reference in identifiers
    HTMLParser(strict=True).parse(f"<!doctype html><title>t</title>{svg}")


@pytest.mark.parametrize(
    ("x", "labels"),
    [((4, 8, 16, 32), {"4", "8", "16", "32"}), ((4, 4.1, 32), {"5", "10", "15", "20", "25", "30"})],
)
def test_a_plot_of_few_places_says_which(x: tuple[float, ...], labels: set[str]) -> None:
    lines = [Series("y", x, [0.5] * len(x)), Series("rule", (0.0,), (0.55,), rule=True)]
    svg = draw(Plot("steps", "C.", "A.", lines, "x", "y"), {}).files["steps.svg"].decode()
    assert set(re.findall(r">([0-9]+)</text>", svg)) == labels


def test_equal_figures_are_equal_bytes() -> None:
    for figure in (line(), Panels("s", "c", "a", GREYS), Animation("m", "c", "a", COLOURS)):
        assert draw(figure, PROVENANCE).files == draw(figure, PROVENANCE).files


@pytest.mark.parametrize(
    "figure",
    [
        Panels("sheet", "c", "a", [GREYS[0], GREYS[1][:2]]),
        Panels("sheet", "c", "a", GREYS, columns=["only one"]),
        Panels("sheet", "c", "a", GREYS, labels=["only one"]),
        Trajectory("sheet", "c", "a", GREYS, ["only one"]),
    ],
    ids=["ragged rows", "columns", "labels", "steps"],
)
def test_labels_that_do_not_fit_are_refused_by_name(figure: Panels | Trajectory) -> None:
    with pytest.raises(ValueError, match="figure 'sheet': "):
        draw(figure, PROVENANCE)


@pytest.mark.parametrize(
    "figure",
    [
        Panels("odd", "c", "a", [[np.full((4, 4), np.nan)]]),
        Animation("odd", "c", "a", []),
        Plot("odd", "c", "a", [], "x", "y"),
        Plot("odd", "c", "a", [Series("s", (1.0,), (float("nan"),))], "x", "y"),
    ],
    ids=["a panel", "no frames", "no series", "a curve"],
)
def test_what_cannot_be_shown_is_refused_by_name(figure: Figure) -> None:
    with pytest.raises(ValueError, match="figure 'odd': "):
        draw(figure, PROVENANCE)


def test_a_figures_name_is_a_file_name() -> None:
    with pytest.raises(ValueError, match=r"a figure called '\.\./up'"):
        draw(Panels("../up", "c", "a", GREYS), PROVENANCE)
