"""The site in a browser: from file:// and under a base path, with and without scripts."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import NARROW, WIDE, Opener, figure
from playwright.sync_api import Page, expect

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module", params=["exhibition", "published"])
def site(request: pytest.FixtureRequest) -> Path:
    if request.param == "published":
        return ROOT / "site"
    return Path(request.getfixturevalue("exhibition"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def served(site: Path, tmp_path: Path) -> Iterator[str]:
    """Serve a site under a base path, as GitHub Pages does; return its address."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "base").symlink_to(site)
    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/some/base"
        server.shutdown()
        thread.join()


def names(site: Path) -> list[str]:
    return sorted(path.name for path in site.glob("*.html"))


def load_everything(page: Page) -> list[str]:
    """Load the images that wait to be scrolled to; return the shown ones that stay empty."""
    empty: list[str] = page.evaluate(
        """async () => {
            const images = [...document.images].filter((image) => image.checkVisibility());
            for (const image of images) image.loading = 'eager';
            await Promise.all(images.map((image) => image.decode().catch(() => {})));
            return images.filter((image) => !image.naturalWidth).map((image) => image.src);
        }"""
    )
    return empty


def test_pages_from_disk_load_whole_and_without_complaint(
    site: Path, open_page: Opener, complaints: list[str]
) -> None:
    for name in names(site):
        assert load_everything(open_page((site / name).as_uri())) == []
    assert complaints == []


def test_pages_under_a_base_path_ask_nobody_else(
    site: Path, served: str, open_page: Opener, complaints: list[str]
) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in names(site):
        page.goto(f"{served}/{name}")
        assert load_everything(page) == []
    assert [url for url in asked if not url.startswith((f"{served}/", "data:"))] == []
    assert complaints == []


def test_no_page_is_wider_than_a_narrow_screen(site: Path, open_page: Opener) -> None:
    for name in names(site):
        page = open_page((site / name).as_uri(), NARROW)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0], name


def test_labels_of_rows_are_no_higher_than_the_rows(site: Path, open_page: Opener) -> None:
    for name in names(site):
        page = open_page(f"file://{site}/{name}", NARROW)
        heights = page.evaluate(
            """() => [...document.querySelectorAll('.sheet')]
                .filter((sheet) => sheet.offsetParent && sheet.querySelector('.rows'))
                .map((sheet) => ['.rows', '.pixels'].map((each) =>
                    sheet.querySelector(each).scrollHeight))"""
        )
        assert all(labels <= picture + 2 for labels, picture in heights), f"{name}: {heights}"


def test_without_scripts_every_picture_is_there(site: Path, open_page: Opener) -> None:
    for name in names(site):
        page = open_page((site / name).as_uri(), java_script_enabled=False)
        for each in page.locator("figure").all():
            kind = each.get_attribute("class") or ""
            pictures = each.locator(".plate").locator("img, [role=img]").locator("visible=true")
            expect(pictures).to_have_count({"distance": 2, "pad": 0}.get(kind, 1))
            expect(each.locator(".unscripted")).to_have_count(int(kind == "pad"))
        expect(page.locator("button:visible:not(dialog button)")).to_have_count(0)


def test_the_scrubber_follows_the_arrow_keys(part: str, open_page: Opener) -> None:
    shown = figure(open_page(part), "trajectory")
    slider, canvas = shown.locator("input"), shown.locator("canvas")
    expect(slider).to_have_attribute("aria-valuetext", "t = 690")
    before = canvas.screenshot()
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "t = 390")
    expect(shown.locator(".step")).to_have_text("t = 390")
    assert canvas.screenshot() != before
    slider.press("ArrowLeft")
    assert canvas.screenshot() == before


def test_the_scrubber_plays_to_its_end(part: str, open_page: Opener) -> None:
    shown = figure(open_page(part), "trajectory")
    shown.get_by_role("button", name="Play").press("Enter")
    expect(shown.locator("input")).to_have_attribute("aria-valuetext", "t = 90")
    expect(shown.get_by_role("button", name="Play")).to_be_visible()


def test_the_scrubber_gives_way_to_the_whole_sheet(part: str, open_page: Opener) -> None:
    shown = figure(open_page(part), "trajectory")
    expect(shown.locator("img")).to_be_hidden()
    shown.get_by_role("button", name="All steps").press("Enter")
    expect(shown.locator("img")).to_be_visible()
    expect(shown.locator("canvas")).to_be_hidden()
    expect(shown.locator("input")).to_be_hidden()


def test_an_animation_can_be_paused(part: str, open_page: Opener) -> None:
    shown = figure(open_page(part), "animation")
    shown.get_by_role("button", name="Pause").press("Enter")
    expect(shown.locator(".still")).to_be_visible()
    expect(shown.locator(".moving")).to_be_hidden()
    shown.get_by_role("button", name="Play").press("Enter")
    expect(shown.locator(".moving")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("options", [{"reduced_motion": "reduce"}, {}], ids=["reduced", "print"])
def test_nothing_moves_in_print_or_where_motion_is_unwanted(
    part: str, open_page: Opener, options: dict[str, object], scripts: bool
) -> None:
    page = open_page(part, java_script_enabled=scripts, **options)
    if not options:
        page.emulate_media(media="print")
    expect(figure(page, "animation").locator(".still")).to_be_visible()
    expect(figure(page, "animation").locator(".moving")).to_be_hidden()


def test_paper_shows_whole_sheets_and_no_controls(part: str, open_page: Opener) -> None:
    page = open_page(part)
    page.emulate_media(media="print")
    expect(figure(page, "trajectory").locator("img")).to_be_visible()
    expect(page.locator("button, input, nav, details").locator("visible=true")).to_have_count(0)


def test_a_figure_is_enlarged_and_closed_by_keyboard(part: str, open_page: Opener) -> None:
    page = open_page(part)
    link, dialog = figure(page, "panels").locator(".enlarge"), page.get_by_role("dialog")
    link.press("Enter")
    expect(dialog.locator("img")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()


def test_an_enlarged_figure_is_larger_on_any_screen(part: str, open_page: Opener) -> None:
    for size in (WIDE, NARROW):
        page = open_page(part, size)
        before = figure(page, "panels").locator("img").bounding_box()
        figure(page, "panels").locator(".enlarge").press("Enter")
        after = page.get_by_role("dialog").locator("img").bounding_box()
        assert before is not None
        assert after is not None
        assert after["width"] > before["width"]


def test_small_images_grow_by_whole_pixels(part: str, open_page: Opener) -> None:
    image = figure(open_page(part), "panels").locator("img")
    box = image.bounding_box()
    assert box is not None
    native = int(image.get_attribute("width") or 0)
    assert box["width"] > native
    assert box["width"] % native == 0


def test_labels_stand_over_their_columns_and_beside_their_rows(
    part: str, open_page: Opener
) -> None:
    for size in (WIDE, NARROW):
        panels = figure(open_page(part, size), "panels")
        picture = panels.locator("img").bounding_box()
        assert picture is not None
        for group, start, length in ((".columns", "x", "width"), (".rows", "y", "height")):
            labels = panels.locator(f"{group} span").all()
            for index, label in enumerate(labels):
                box = label.bounding_box()
                assert box is not None
                step = picture[length] / len(labels)
                centre = picture[start] + (index + 0.5) * step
                assert abs(box[start] + box[length] / 2 - centre) < 1


def test_the_dark_scheme_is_chosen_and_remembered(part: str, open_page: Opener) -> None:
    page = open_page(part, color_scheme="light")
    button = page.get_by_role("button", name="Dark mode")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    button.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    assert page.evaluate(paper) == dark
    button.press("Enter")
    assert page.evaluate(paper) == light


def test_the_system_decides_on_darkness_first(part: str, open_page: Opener) -> None:
    papers = {
        scheme: open_page(part, color_scheme=scheme).evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    }
    assert papers["light"] != papers["dark"]


def test_the_contents_know_where_the_reader_is(exhibition: Path, open_page: Opener) -> None:
    page = open_page((exhibition / "part-b.html").as_uri() + "#absent")
    link = page.locator(".contents.wide [aria-current]")
    expect(link).to_have_attribute("href", "#absent")
    page.evaluate("document.querySelector('#changed').scrollIntoView()")
    expect(link).to_have_attribute("href", "#changed")


def test_the_contents_fold_on_a_narrow_screen(part: str, open_page: Opener) -> None:
    page = open_page(part, NARROW)
    folded = page.locator(".contents.narrow")
    expect(page.locator(".contents.wide")).to_be_hidden()
    expect(folded.get_by_role("link")).to_be_hidden()
    folded.locator("summary").press("Enter")
    folded.get_by_role("link").press("Enter")
    expect(folded.get_by_role("link")).to_be_hidden()
    assert page.url.endswith("#kinds")


def test_the_command_behind_a_figure_is_copied(part: str, open_page: Opener) -> None:
    page = open_page(part, permissions=["clipboard-read", "clipboard-write"])
    card = figure(page, "panels").locator(".card")
    card.locator("summary").press("Enter")
    card.get_by_role("button", name="Copy").press("Enter")
    expect(card.get_by_role("button")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "python build.py kinds --force"


def test_the_first_stop_of_the_keyboard_skips_to_the_text(part: str, open_page: Opener) -> None:
    page = open_page(part)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the text")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
