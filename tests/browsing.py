"""A browser for tests, and the small exhibition that it looks at."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from test_pages import make_exhibition

CHROMIUM = shutil.which("chromium")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = (1280, 900), (320, 640)
PATIENCE = 30_000
"""Milliseconds that a page may take on a machine that is busy with other things."""
Opener = Callable[..., Page]

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*SWITCHES])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def exhibition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_exhibition(tmp_path_factory.getbasetemp() / "exhibition")


@pytest.fixture
def complaints() -> list[str]:
    """What the console, the network and scripts complained about in a test, kept by `open_page`."""
    return []


@pytest.fixture
def open_page(browser: Browser, complaints: list[str]) -> Iterator[Opener]:
    contexts = []

    def open_page(address: str, size: tuple[int, int] = WIDE, **options: object) -> Page:
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def part(exhibition: Path) -> str:
    """The address of the exhibition's page with every kind of figure."""
    return (exhibition / "part-a.html").as_uri()


def figure(page: Page, kind: str) -> Locator:
    return page.locator(f"figure.{kind}").first
