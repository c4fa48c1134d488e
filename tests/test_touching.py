"""What a reader can touch: anagrams that turn over, comparisons, distances, a pad to draw on."""

import io
from pathlib import Path

import numpy as np
import pytest
from browsing import NARROW, WIDE, Opener, figure
from numpy.typing import NDArray
from PIL import Image as Picture
from playwright.sync_api import Locator, Page, expect

SETTLED = "Promise.all(document.getAnimations().map((animation) => animation.finished))"
DRAWN = """async (figure) => {
    figure.scrollIntoView({ block: 'center' });
    const image = figure.querySelector('img');
    while (!image.complete || !image.naturalWidth) await new Promise(requestAnimationFrame);
    await image.decode();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


def ready(page: Page, name: str) -> Locator:
    """Return a figure by its name, once its picture is drawn."""
    shown = page.locator(f"#kinds-{name}")
    shown.evaluate(DRAWN)
    return shown


def seen(page: Page, part: Locator) -> NDArray[np.uint8]:
    """Return what stands on the screen (H, W, 3) when everything has come to rest."""
    page.evaluate(SETTLED)
    return now(page, part)


def now(page: Page, part: Locator) -> NDArray[np.uint8]:
    """Return what stands on the screen at this moment, from the pixel that the part begins at."""
    box = part.bounding_box()
    assert box is not None
    clip = {name: round(length) for name, length in box.items()}
    return np.asarray(Picture.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))


def stored(exhibition: Path, name: str, across: int) -> list[NDArray[np.uint8]]:
    """Return the images of a row, as they were stored, without their margins."""
    sheet = np.asarray(Picture.open(exhibition / "kinds" / f"{name}.png").convert("RGB"))
    return [cell[1:-1, 1:-1] for cell in np.split(sheet, across, axis=1)]


def enlarged(image: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    times = width // len(image)
    assert times * len(image) == width
    return image.repeat(times, axis=0).repeat(times, axis=1)


@pytest.mark.parametrize(
    ("name", "across"), [("turning", 2), ("thrice", 4), ("shuffled", 2)], ids=str
)
@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_what_has_turned_is_the_view_to_the_bit(
    exhibition: Path, part: str, open_page: Opener, name: str, across: int, motion: str
) -> None:
    page = open_page(part, reduced_motion=motion)
    shown = ready(page, name)
    images = stored(exhibition, name, across)
    buttons = shown.locator(".choices button")
    for view in [*range(across), 0]:
        buttons.nth(view).press("Enter")
        expect(buttons.nth(view)).to_have_attribute("aria-pressed", "true")
        expect(shown.locator(".choices [aria-pressed=true]")).to_have_count(1)
        page.wait_for_timeout(1600 if name == "shuffled" and motion != "reduce" else 50)
        screen = seen(page, shown.locator(".turned"))
        np.testing.assert_array_equal(screen, enlarged(images[view], len(screen)))


def test_half_way_an_image_that_turns_is_neither_of_the_two(
    exhibition: Path, part: str, open_page: Opener
) -> None:
    page = open_page(part)
    turned = ready(page, "turning").locator(".turned")
    turned.click()
    page.evaluate(
        """() => { for (const each of document.getAnimations()) {
            each.pause();
            each.currentTime = 450;
        } }"""
    )
    screen = now(page, turned)
    for image in stored(exhibition, "turning", 2):
        assert (screen != enlarged(image, len(screen))).any()


def test_what_is_shuffled_passes_its_frames_there_and_back(part: str, open_page: Opener) -> None:
    page = open_page(part)
    turned = ready(page, "shuffled").locator(".turned")
    page.evaluate(
        """() => {
            window.places = [];
            const draw = CanvasRenderingContext2D.prototype.drawImage;
            CanvasRenderingContext2D.prototype.drawImage = function (...given) {
                places.push(given[0].isConnected ? 'image' : given[1]);
                return draw.apply(this, given);
            };
        }"""
    )
    for backwards in (False, True):
        turned.click()
        page.wait_for_function("places.at(-1) === 'image' && places.some(Number)")
        places = [place for place in page.evaluate("places.splice(0)") if place != "image"]
        assert places == sorted(places, reverse=backwards)


def test_a_comparison_uncovers_by_arrow_keys_and_by_pointer(
    exhibition: Path, part: str, open_page: Opener
) -> None:
    page = open_page(part)
    shown = ready(page, "comparison")
    slider, compared = shown.get_by_role("slider"), shown.locator(".compared")
    before, after = stored(exhibition, "comparison", 2)

    def split() -> tuple[float, float]:
        """Return which share of the columns, left and right, is of the one and of the other."""
        screen = seen(page, compared)
        return tuple((screen == image).all(axis=(0, 2)).mean() for image in (before, after))

    expect(slider).to_have_attribute("aria-valuetext", "50 % an image, 50 % its negative")
    assert split() == pytest.approx((0.5, 0.5), abs=0.02)
    slider.press("End")
    assert split() == pytest.approx((0, 1), abs=0.02)
    expect(slider).to_have_attribute("aria-valuetext", "0 % an image, 100 % its negative")
    slider.press("Home")
    assert split() == pytest.approx((1, 0), abs=0.02)
    compared.hover(position={"x": 64, "y": 100})
    page.mouse.down()
    assert split() == pytest.approx((0.75, 0.25), abs=0.02)
    compared.hover(position={"x": 192, "y": 100})
    page.mouse.up()
    assert split() == pytest.approx((0.25, 0.75), abs=0.02)


def test_a_hybrid_moves_away_smoothly_and_comes_back(
    exhibition: Path, part: str, open_page: Opener
) -> None:
    page = open_page(part)
    shown = ready(page, "distance")
    slider, moved = shown.get_by_role("slider"), shown.locator(".moved")
    picture = Picture.open(exhibition / "kinds" / "distance.png").convert("RGB")
    near = seen(page, moved)
    np.testing.assert_array_equal(near, np.asarray(picture))
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "10.0 times as far")
    box = moved.locator("img").bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(25.6, abs=0.1)
    far = seen(page, moved)[117:139, 117:139].mean(axis=(0, 1))
    np.testing.assert_allclose(far, np.asarray(picture).mean(axis=(0, 1)), atol=8)
    slider.press("Home")
    np.testing.assert_array_equal(seen(page, moved), near)


@pytest.mark.parametrize("name", ["turning", "comparison", "distance"])
def test_what_is_touched_gives_way_to_the_sheet_and_the_sheet_to_the_lightbox(
    part: str, open_page: Opener, name: str
) -> None:
    page = open_page(part)
    shown = ready(page, name)
    expect(shown.locator(".enlarge")).to_be_hidden()
    shown.get_by_role("button", name="Side by side").press("Enter")
    expect(shown.locator(".touch")).to_be_hidden()
    expect(shown.locator(".slider, .choices").first).to_be_hidden()
    shown.locator(".enlarge").press("Enter")
    expect(page.get_by_role("dialog").locator("img").first).to_be_visible()
    page.keyboard.press("Escape")
    shown.get_by_role("button", name="Side by side").press("Enter")
    expect(shown.locator(".touch")).to_be_visible()


def test_paper_shows_each_state_of_what_can_be_touched(part: str, open_page: Opener) -> None:
    page = open_page(part)
    for name in ("turning", "shuffled", "comparison", "distance"):
        ready(page, name)
    page.emulate_media(media="print")
    for name in ("turning", "shuffled", "comparison", "distance"):
        expect(page.locator(f"#kinds-{name} .enlarge img")).to_be_visible()
        expect(page.locator(f"#kinds-{name} .touch")).to_be_hidden()
    expect(page.locator("#kinds-distance .away img")).to_be_visible()


def inked(canvas: Locator) -> int:
    """Count the pixels of a pad that are not white."""
    count: int = canvas.evaluate(
        """(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
            .data.reduce((sum, value, place) => sum + (place % 4 === 0 && value < 255), 0)"""
    )
    return count


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_what_is_drawn_is_undone_cleared_and_downloaded(
    part: str, open_page: Opener, tmp_path: Path, size: tuple[int, int]
) -> None:
    page = open_page(part, size, accept_downloads=True)
    shown = figure(page, "pad")
    canvas, undo = shown.locator("canvas"), shown.get_by_role("button", name="Undo")
    expect(undo).to_be_disabled()
    counts = [inked(canvas)]
    for colour, y in (("black", 60), ("blue", 120)):
        shown.get_by_role("radio", name=colour, exact=True).check()
        canvas.hover(position={"x": 40, "y": y})
        page.mouse.down()
        canvas.hover(position={"x": 200, "y": y + 30})
        page.mouse.up()
        counts.append(inked(canvas))
    assert counts[0] == 0 < counts[1] < counts[2]
    with page.expect_download() as download:
        shown.get_by_role("button", name="Download").press("Enter")
    assert download.value.suggested_filename == "drawing.png"
    download.value.save_as(tmp_path / "drawing.png")
    drawing = Picture.open(tmp_path / "drawing.png")
    assert drawing.size == (256, 256)
    assert (np.asarray(drawing)[..., 0] < 255).sum() == counts[2]
    colours = {colour for _, colour in drawing.convert("RGB").getcolors(maxcolors=1 << 16) or []}
    assert {(0x1C, 0x1C, 0x1C), (0x2F, 0x5F, 0xB3), (255, 255, 255)} <= colours
    shown.get_by_role("button", name="Clear").press("Enter")
    assert inked(canvas) == 0
    for count in reversed(counts[:3]):
        undo.press("Enter")
        assert inked(canvas) == count
    expect(undo).to_be_disabled()


def test_the_pad_is_drawn_on_by_keyboard(part: str, open_page: Opener) -> None:
    shown = figure(open_page(part), "pad")
    canvas = shown.locator("canvas")
    canvas.press("ArrowLeft")
    assert inked(canvas) == 0
    expect(shown.locator(".pen")).to_be_visible()
    canvas.press("Space")
    dot = inked(canvas)
    canvas.press("Shift+ArrowDown")
    assert 0 < dot < inked(canvas)
    canvas.press("Space")
    line = inked(canvas)
    canvas.press("Shift+ArrowRight")
    assert inked(canvas) == line


def test_touching_leaves_no_complaint(part: str, open_page: Opener, complaints: list[str]) -> None:
    page = open_page(part)
    for button in page.locator("figure .controls button:not(.save):enabled").all():
        button.dispatch_event("click")
    assert complaints == []
