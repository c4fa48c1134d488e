"""The pictures that the embedded cascade learns from, and what they are called."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_font

from generators.errors import AuthorError
from generators.mini_if import backgrounds, emoji, glyphs
from generators.mini_if.concepts import (
    CORE,
    OBJECTS,
    VIEWS,
    concept,
    everything,
    phrases,
    taught,
)
from generators.mini_if.scenes import Composition, compose, is_held_out, render
from generators.mini_if.styles import STYLES

PROMPTS = (
    "an oil painting of a snowy mountain village",
    "a man wearing a hat",
    "a rocket ship",
    "a photo of the amalfi coast",
    "a photo of a man",
    "a photo of a hipster barista",
    "a photo of a dog",
    "an oil painting of people around a campfire",
    "an oil painting of an old man",
    "a lithograph of waterfalls",
    "a lithograph of a skull",
    "a pencil",
    "a high quality photo",
    "a photo of a cat",
    "a photo of a car",
    "an oil painting of an old lady",
    "a football",
    "a rainbow flag",
    "a soft bed",
    "a photo of an eye",
    "a photo of a cpu",
)


def scene(concepts: tuple[str, ...], background: str, style: str = "photo") -> Composition:
    places = ((0.27, 0.8), (0.73, 0.8)) if len(concepts) > 1 else ((0.5, 0.9),)
    return Composition("", concepts, style, background, places, seed=4)


def test_every_prompt_of_the_write_up_is_a_caption_of_the_language() -> None:
    openings = {words for _, all_words in STYLES.values() for words in all_words}
    captions = {
        f"{each} {words}".strip() for each in openings for c in CORE for words in phrases(c)
    }
    assert set(PROMPTS) - captions == {"a high quality photo"}
    assert any(compose(1, number).caption == "a high quality photo" for number in range(200))


def test_a_scene_is_a_function_of_its_seed_and_number() -> None:
    assert [compose(1, number) for number in range(50)] == [compose(1, n) for n in range(50)]
    assert compose(1, 3) != compose(2, 3)
    assert compose(1, 3) != compose(1, 4)


def test_combinations_that_are_held_out_are_never_trained_with() -> None:
    combinations = {
        (style, concept, background)
        for style in STYLES
        for concept in OBJECTS
        for background in (*backgrounds.COLOURS, *backgrounds.VIEWS)
    }
    held = {each for each in combinations if is_held_out(*each)}
    seen = {
        (made.style, concept, made.background)
        for made in (compose(1, number) for number in range(20_000))
        for concept in made.concepts
    }
    assert len(held) > 100
    assert not seen & held
    assert {concept for _, concept, _ in held} <= {concept for _, concept, _ in seen}


def test_a_caption_names_what_is_in_the_picture() -> None:
    for number in range(2000):
        made = compose(5, number)
        if made.caption == "a high quality photo":
            assert made.style == "photo"
            continue
        for name in made.concepts:
            assert any(words in made.caption for words in phrases(name))
        assert made.background == "own" or made.concepts[0] not in VIEWS
        if " background" in made.caption:
            assert f"on a {made.background} background" in made.caption


@needs_font
def test_equal_scenes_give_equal_pictures() -> None:
    for style in STYLES:
        made = scene(("dog",), "meadow", style)
        assert np.array_equal(render(made, 64), render(made, 64))


@needs_font
@pytest.mark.parametrize("name", ["white", "red", "green", "blue", "black"])
def test_a_photograph_has_the_ground_that_it_names(name: str) -> None:
    picture = render(scene(("car",), name), 64)
    corners = picture[[2, 2], [2, -3]].mean(axis=0)
    assert np.abs(corners - backgrounds.COLOURS[name]).max() < 40


@needs_font
def test_the_first_of_two_things_is_on_the_side_that_is_said() -> None:
    picture = render(scene(("apple", "frog"), "white"), 64).astype(float)
    redness, greenness = picture[..., 0] - picture[..., 1], picture[..., 1] - picture[..., 0]
    columns = np.arange(64)
    red, green = (np.clip(each, 20, None) - 20 for each in (redness, greenness))
    centres = [(each.sum(axis=0) * columns).sum() / each.sum() for each in (red, green)]
    assert centres[0] < 30 < centres[1]


@needs_font
@pytest.mark.parametrize("style", ["lithograph", "pencil sketch"])
def test_a_print_has_no_colours_of_its_subject(style: str) -> None:
    picture = render(scene(("strawberry",), "blue", style), 64).astype(float) / 255
    ink, paper = np.array((34, 30, 32)) / 255, np.array((240, 230, 206)) / 255
    if style == "pencil sketch":
        ink, paper = np.array((56, 56, 62)) / 255, np.array((252, 252, 250)) / 255
    share = (picture - paper) @ (ink - paper) / ((ink - paper) @ (ink - paper))
    assert np.abs(picture - paper - share[..., None] * (ink - paper)).max() < 0.02


@needs_font
def test_every_concept_can_be_drawn_in_every_style() -> None:
    pictures = [render(scene((name,), "own" if name in VIEWS else "sky"), 32) for name in CORE]
    assert len({picture.tobytes() for picture in pictures}) == len(CORE)
    for style in STYLES:
        assert render(scene(("chip",), "sunset", style), 64).std() > 10


LISTED = """
# subgroup: animal-mammal
1F436          ; fully-qualified     # \U0001f436 E0.6 dog face
270F FE0F      ; fully-qualified     # ✏️ E0.6 pencil
270F           ; unqualified         # ✏ E0.6 pencil
1F44B 1F3FB    ; fully-qualified     # x E1.0 waving hand: light skin tone
1F1E6 1F1E8    ; fully-qualified     # x E2.0 flag: Ascension Island
1F999          ; fully-qualified     # x E11.0 llama
"""
WORDS = """<ldml><annotations>
<annotation cp="\U0001f999">alpaca | animal | ll | guanaco</annotation>
<annotation cp="\U0001f999" type="tts">llama</annotation>
<annotation cp="✏">animal | pencil</annotation>
</annotations></ldml>"""


@pytest.fixture
def two_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, content in (("NAMES", LISTED), ("KEYWORDS", WORDS)):
        path = tmp_path / name
        path.write_text(content)
        monkeypatch.setattr(emoji, name, path)
    caches = (emoji.emoji, everything, concept)
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


@pytest.mark.usefixtures("two_lists")
def test_everything_is_what_the_judge_knows_and_every_other_emoji() -> None:
    assert list(emoji.emoji()) == ["dog face", "pencil", "llama"]
    assert everything() == taught("everything") == (*CORE, "llama")
    assert phrases("llama") == ("a llama", "an alpaca", "a guanaco")
    assert concept("llama").text == "\U0001f999"


def test_without_the_lists_everything_says_which_is_missing(
    two_lists: None, tmp_path: Path
) -> None:
    (tmp_path / "KEYWORDS").unlink()
    with pytest.raises(AuthorError, match="KEYWORDS: not found, expected Debian's package"):
        everything()


@needs_font
def test_what_the_font_does_not_have_is_refused() -> None:
    with pytest.raises(AuthorError, match=r"has no '.u0378', expected a newer font"):
        glyphs.glyph("\u0378")


@needs_font
@pytest.mark.parametrize("ground", ["white", "black"])
def test_a_lithograph_shows_a_thing_on_a_ground_like_itself(ground: str) -> None:
    """A white skull on cream, and dark things on black: the outline tells them apart."""
    name = {"white": "skull", "black": "penguin"}[ground]
    shown = render(scene((name,), ground, "lithograph"), 64).mean(axis=2)
    inside = shown[20:50, 18:46]
    assert inside.max() - inside.min() > 120
    assert (np.abs(np.diff(inside, axis=1)) > 60).sum() > 15


def test_companies_are_one_two_or_three() -> None:
    made = [compose(5, number) for number in range(3000)]
    sizes = [len(each.concepts) for each in made]
    assert set(sizes) == {1, 2, 3}
    for each in made:
        assert len(set(each.concepts)) == len(each.concepts)
        assert each.background == "own" or len(each.places) == len(each.concepts)
