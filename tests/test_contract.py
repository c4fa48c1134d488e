"""What a section module returns is checked, and what is wrong with it is said in one line."""

import numpy as np
import pytest
from conftest import Small, forget

import build
from generators.drawing import draw, outputs_of
from generators.errors import AuthorError
from generators.figure import Comparison, Distance, Figure, Number, Pad, Panels, Turning

IMAGE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
VIEW = IMAGE[::-1]


def refused(figure: Figure) -> str:
    with pytest.raises(AuthorError, match=r"^figure 'odd': ") as error:
        draw(figure, {})
    return str(error.value)


def test_a_figure_and_a_number_may_share_a_name_but_no_two_of_a_kind() -> None:
    panels, number = Panels("mean", "c", "a", [[IMAGE]]), Number("mean", "x")
    assert list(outputs_of([panels, number])) == [panels, number]
    with pytest.raises(AuthorError, match="two numbers called 'mean'"):
        list(outputs_of([number, number]))
    with pytest.raises(AuthorError, match="two figures called 'mean'"):
        list(outputs_of([panels, panels]))


def test_what_is_no_figure_is_refused_by_its_type() -> None:
    with pytest.raises(AuthorError, match="returned NoneType"):
        list(outputs_of(None))
    with pytest.raises(AuthorError, match="returned Panels"):
        list(outputs_of(Panels("sheet", "c", "a", [[IMAGE]])))
    with pytest.raises(AuthorError, match="of type tuple"):
        list(outputs_of([("sheet", IMAGE)]))


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (Panels("odd", "c", "a", [[IMAGE, IMAGE[:4]]]), "4×8×3 and 8×8×3"),
        (Panels("odd", "c", "a", [[IMAGE, IMAGE[..., 0]]]), "8×8 and 8×8×3"),
        (Turning("odd", "c", "a", [IMAGE], ["one"]), "one image"),
        (Turning("odd", "c", "a", [IMAGE, VIEW], ["one"]), "2 images, 1 labels"),
        (Turning("odd", "c", "a", [IMAGE[:4], IMAGE[4:]], ["one", "two"]), "expected square"),
        (Turning("odd", "c", "a", [IMAGE, VIEW], ["one", "two"], [IMAGE]), "the last frame"),
        (Turning("odd", "c", "a", [IMAGE, VIEW], ["one", "two"], [VIEW]), "the first frame"),
        (Turning("odd", "c", "a", [IMAGE, VIEW, VIEW], ["1", "2", "3"], [VIEW]), "3 images"),
        (Comparison("odd", "c", "a", IMAGE, IMAGE[:4]), "4×8×3 and 8×8×3"),
        (Distance("odd", "c", "a", IMAGE.astype(np.int64)), "int64"),
        (Pad("odd", "c", "a", 5000), "5000 pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_figures_that_do_not_fit_together_are_refused_in_one_line(
    figure: Figure, words: str
) -> None:
    message = refused(figure)
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("view", "motion"),
    [
        (IMAGE[::-1], "over"),
        (IMAGE[:, ::-1], "aside"),
        (IMAGE[::-1, ::-1], "round"),
        (IMAGE.transpose(1, 0, 2)[:, ::-1], "right"),
        (IMAGE.transpose(1, 0, 2)[::-1], "left"),
        (255 - IMAGE, "fade"),
        (np.roll(IMAGE, 1, axis=0), "fade"),
    ],
    ids=["over", "aside", "round", "right", "left", "negative", "shifted"],
)
def test_how_an_image_turns_is_read_off_its_pixels(view: np.ndarray, motion: str) -> None:
    drawn = draw(Turning("turning", "c", "a", [IMAGE, view], ["one", "two"]), {})
    assert drawn.shown["motions"] == ["none", motion]
    assert list(drawn.files) == ["turning.png"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"mean", f"{results.mean:.3f}"', '"mean", "1")\n    yield Number("mean", "2"', "two numbers called 'mean'"),
        ('"curve", "A curve."', '"A curve", "A curve."', "a figure called 'A curve'"),
        ("return Results(values, float(values.mean()))", "return values", "experiment() returned ndarray"),
        ("return Results(values, float(values.mean()))", "return Results(values, {1j})", "Results.mean is a set"),
    ],
    ids=["twin numbers", "name", "no results", "no array"],
)  # fmt: skip
def test_a_broken_contract_fails_the_section_without_a_traceback(
    small: Small, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
) -> None:
    small.edit("generators/tiny/mixed.py", old, new)
    forget()
    assert build.main(["mixed", "--threads", "1"], small.root) == 1
    printed = capsys.readouterr()
    assert words in printed.out
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("title", ["", "  "])
def test_an_empty_title_is_refused(
    small: Small, capsys: pytest.CaptureFixture[str], title: str
) -> None:
    small.edit("content/b1-mixed.md", 'title = "Mixed"', f'title = "{title}"')
    assert build.main(["--list"], small.root) == 2
    assert capsys.readouterr().err == "build.py: content/b1-mixed.md: title is empty\n"
