"""The finished pages as files: of a small exhibition with every kind of figure, and of site/."""

import json
import re
import shutil
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image as Picture

from generators.pages.facts import run_facts
from generators.pages.mathematics import Formula
from generators.store import seal_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import html5lib

ROOT = Path(__file__).parent.parent
XHTML = "{http://www.w3.org/1999/xhtml}"
WIDE_FORMULA = Formula("a = " + " + ".join("bcdefgh"), display=True)

SITE = """
title = "An exhibition & more"
description = "Every kind of <figure>."
author = "A. N. Author"
address = "https://example.org/some/base"
seed = 180
[parts.a]
title = "First part"
text = "What the first part is about."
[parts.b]
title = "Second part"
text = "What the second part is about."
"""

SECTION = """+++
title = "Section {name}"
part = "{part}"
number = "{number}"
generator = "exhibits.exhibit"
[parameters]
shade = 0.5
+++
Words, and [a section](section:kinds).

$${formula}$$

{figures}
"""

KINDS = (
    *("panels", "long", "large", "trajectory", "animation", "wide", "plot"),
    *("turning", "thrice", "shuffled", "comparison", "distance", "smaller", "pad"),
)

EXHIBIT = '''
"""Every kind of figure."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from generators.figure import (
    Animation,
    Comparison,
    Distance,
    Pad,
    Panels,
    Plot,
    Series,
    Trajectory,
    Turning,
)
from generators.parameters import Range


@dataclass(frozen=True)
class Parameters:
    shade: Annotated[float, Range(0, 1)] = 0.5


@dataclass(frozen=True)
class Results:
    small: np.ndarray
    large: np.ndarray


def experiment(context, parameters):
    random = np.random.default_rng(context.stream("small"))
    colours = random.random((16, 16, 3)) * parameters.shade
    return Results(random.random((34, 28, 28)), np.kron(colours, np.ones((16, 16, 1))))


def figures(results, parameters):
    small = list(results.small)
    steps = [f"t = {step}" for step in (690, 390, 90)]
    levels = [f"σ = {level}" for level in range(7)]
    yield Panels("panels", "A *grid*.", "A grid.", [small[:7]] * 2, levels, ["noisy", "denoised"])
    yield Panels("long", "A row.", "A long row.", [small])
    yield Panels("large", "Six.", "Six large images.", [[results.large] * 6])
    yield Trajectory("trajectory", "Steps.", "Steps.", [small[k : k + 2] for k in range(3)], steps)
    yield Animation("animation", "Moves.", "It moves.", small[:3])
    lines = [Series("a & b", (1.0, 2.0), (0.1, 0.2)), Series("floor", (1.0, 2.0), (0.15, 0.15), rule=True)]
    yield Plot("plot", "A plot.", "A rising line.", lines, "x", "y")
    yield from touched((results.large * 255).round().astype(np.uint8))


def touched(large):
    small = large[::4, ::4]
    yield Animation("wide", "Two.", "Two that move.", [np.hstack([small, s]) for s in (small, 255 - small)])
    yield Turning("turning", "Over.", "A and B.", [small, small[::-1]], ["an old man", "people around a campfire"])
    views = [large, np.rot90(large, -1), large[::-1, ::-1], 255 - large]
    yield Turning("thrice", "Thrice.", "A, B, C and D.", views, ["none", "right", "round", "negative"])
    shuffled = np.roll(small, 16, axis=0)
    frames = [small, *(np.roll(small, k, axis=0) for k in range(1, 16)), shuffled]
    yield Turning("shuffled", "Shuffled.", "A and B.", [small, shuffled], ["before", "after"], frames)
    yield Comparison("comparison", "Compared.", "A and its negative.", large, 255 - large, ("an image", "its negative"))
    yield Distance("distance", "A hybrid.", "A near, B far.", large, ("a skull", "waterfalls"))
    yield Distance("smaller", "A hybrid.", "A near, B far.", small, ("a skull", "waterfalls"))
    yield Pad("pad", "Draw.", "A sheet to draw on.")
'''


def make_exhibition(root: Path) -> Path:
    """Build a write-up with every figure, one fresh, one stale and one missing section."""
    if (root / "done").exists():
        return root / "site"
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "part_?", "digits", "weights")
    for folder in ("generators", "templates"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    shutil.copy(ROOT / "build.py", root)
    exhibits = root / "generators" / "exhibits"
    exhibits.mkdir()
    (exhibits / "__init__.py").touch()
    (exhibits / "exhibit.py").write_text(EXHIBIT, encoding="utf-8")
    (root / "content").mkdir()
    (root / "content" / "site.toml").write_text(SITE, encoding="utf-8")
    write_section(root, "a1-kinds")
    write_section(root, "b1-changed")
    (root / "site").mkdir()
    formulas = {WIDE_FORMULA.key: rendered(WIDE_FORMULA)}
    kept = {"formulas": formulas, "seal": seal_of(formulas)}
    (root / "site" / "mathematics.json").write_text(json.dumps(kept), encoding="utf-8")
    build(root)
    changed = root / "content" / "b1-changed.md"
    changed.write_text(changed.read_text().replace("shade = 0.5", "shade = 0.6"), encoding="utf-8")
    write_section(root, "b2-absent")
    build(root, "--render-only", expected=1)
    (root / "done").touch()
    return root / "site"


def write_section(root: Path, stem: str) -> None:
    place, name = stem.split("-")
    figures = "\n\n".join(f"![](figure:{kind})" for kind in KINDS)
    text = SECTION.format(
        name=name, part=place[0], number=place[1:], formula=WIDE_FORMULA.tex, figures=figures
    )
    (root / "content" / f"{stem}.md").write_text(text, encoding="utf-8")


def rendered(formula: Formula) -> str:
    """Stand in for MathJax, which this machine need not have."""
    return (
        '<mjx-container class="MathJax" jax="SVG" display="true" style="position: relative;">'
        '<svg style="vertical-align: -0.5ex;" xmlns="http://www.w3.org/2000/svg" width="90ex" '
        'height="2ex" role="img" focusable="false" viewBox="0 0 90 2" aria-hidden="true">'
        '<path d="M0 0H90V2H0z"></path></svg><mjx-assistive-mml unselectable="on" display="block">'
        f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mi>{formula.tex}</mi>'
        "</math></mjx-assistive-mml></mjx-container>"
    )


def build(root: Path, *options: str, expected: int = 0) -> None:
    command = [sys.executable, "build.py", *options]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ran.returncode == expected, ran.stdout + ran.stderr


@pytest.fixture(scope="module", params=["exhibition", "published"])
def site(request: pytest.FixtureRequest) -> Path:
    if request.param == "published":
        return ROOT / "site"
    return Path(request.getfixturevalue("exhibition"))


def pages(site: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(site.glob("*.html"))}


def parsed(page: str) -> ElementTree.Element:
    """Parse a page, refusing what is not valid HTML."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree: ElementTree.Element = html5lib.HTMLParser(strict=True).parse(page)
    return tree


def elements(page: str, *names: str) -> list[ElementTree.Element]:
    return [each for each in parsed(page).iter() if each.tag in {XHTML + name for name in names}]


def figures(site: Path) -> list[ElementTree.Element]:
    return [figure for page in pages(site).values() for figure in elements(page, "figure")]


def test_every_page_is_valid_html_without_an_id_twice(site: Path) -> None:
    for name, page in pages(site).items():
        found = [each.get("id") for each in parsed(page).iter() if each.get("id")]
        assert len(found) == len(set(found)), name


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    for name, page in pages(site).items():
        for each in elements(page, "img", "script", "source", "link", "iframe", "video"):
            if each.get("rel") == "canonical":
                continue
            for attribute in ("src", "href", "srcset"):
                address = each.get(attribute, "")
                assert address.startswith("data:") or ":" not in address, (name, address)
                assert not address.startswith("/"), (name, address)
    assert not re.search(r"url\(|@import", (site / "style.css").read_text(encoding="utf-8"))


def test_every_address_within_the_site_is_relative_and_leads_somewhere(site: Path) -> None:
    for name, page in pages(site).items():
        for each in elements(page, "a", "img", "link", "script"):
            address = each.get("href") or each.get("src") or ""
            if ":" in address:
                continue
            file, _, anchor = address.partition("#")
            assert not file.startswith("/"), (name, address)
            target = site / (file or name)
            assert target.is_file(), (name, address)
            if anchor:
                assert f'id="{anchor}"' in target.read_text(encoding="utf-8"), (name, address)


def test_every_figure_has_a_caption(site: Path) -> None:
    for figure in figures(site):
        caption = figure.find(f"{XHTML}figcaption")
        assert caption is not None, figure.get("id")
        assert "".join(caption.itertext()).strip(), figure.get("id")


def test_every_picture_in_a_figure_has_an_alternative_and_a_size(site: Path) -> None:
    for figure in figures(site):
        images = list(figure.iter(f"{XHTML}img"))
        for image in images:
            assert (image.get("alt") or "").strip(), figure.get("id")
            assert int(image.get("width", "0")) > 0, figure.get("id")
            assert int(image.get("height", "0")) > 0, figure.get("id")
        drawings = [each for each in figure.iter() if each.get("role") in ("img", "application")]
        assert images or any(each.get("aria-label") for each in drawings), figure.get("id")


def test_every_kind_of_figure_is_shown(exhibition: Path) -> None:
    kinds = [figure.get("class") for figure in figures(exhibition)]
    touched = {"turning", "comparison", "distance", "pad"}
    assert set(kinds) == {"panels", "trajectory", "animation", "plot"} | touched


def test_labels_that_begin_alike_are_said_once(exhibition: Path) -> None:
    figure = next(each for each in figures(exhibition) if each.get("id") == "kinds-panels")
    spans = ["".join(span.itertext()) for span in figure.iter(f"{XHTML}span")]
    assert spans == ["σ =", *"0123456", "noisy", "denoised"]


def test_a_stale_and_a_missing_section_wear_a_ribbon(exhibition: Path) -> None:
    first, second = pages(exhibition)["part-a.html"], pages(exhibition)["part-b.html"]
    assert "ribbon" not in first
    assert second.count('class="ribbon"') == 2
    assert "Made before the last change" in second
    assert "has not been made yet" in second


def test_a_site_elsewhere_has_the_formulas_of_this_one(exhibition: Path, tmp_path: Path) -> None:
    build(exhibition.parent, "--render-only", "--out", str(tmp_path / "there"), expected=1)
    page = (tmp_path / "there" / "part-a.html").read_text(encoding="utf-8")
    assert "<mjx-container" in page
    assert "arithmatex" not in page


def test_parts_lead_to_each_other(exhibition: Path) -> None:
    links = {
        name: {each.get("rel"): each.get("href") for each in elements(page, "a") if each.get("rel")}
        for name, page in pages(exhibition).items()
    }
    assert links["part-a.html"] == {"next": "part-b.html"}
    assert links["part-b.html"] == {"prev": "part-a.html"}


def test_the_page_for_lost_readers_needs_no_file_beside_it(exhibition: Path) -> None:
    page = pages(exhibition)["404.html"]
    assert [each for each in elements(page, "link", "script", "img") if each.get("src")] == []
    assert [each for each in elements(page, "link") if each.get("rel") != "icon"] == []
    assert {each.get("href") for each in elements(page, "a")} == {
        "#main",
        "https://example.org/some/base/index.html",
    }


def test_what_machines_read_is_well_formed_and_absolute(exhibition: Path) -> None:
    for name in ("index.html", "part-a.html"):
        page = pages(exhibition)[name]
        told = {
            each.get("property") or each.get("name"): each.get("content")
            for each in elements(page, "meta")
        }
        scripts = elements(page, "script")
        data = next(each for each in scripts if each.get("type") == "application/ld+json")
        article = json.loads(data.text or "")
        title = {"index.html": "An exhibition & more", "part-a.html": "First part"}[name]
        assert article["headline"] == told["og:title"] == told["citation_title"] == title
        assert article["author"]["name"] == told["citation_author"] == "A. N. Author"
        assert article["image"] == told["og:image"]
        file = (told["og:image"] or "").removeprefix("https://example.org/some/base/")
        with Picture.open(exhibition / file) as card:
            assert card.size == (1200, 630)
        assert (told["og:image:width"], told["og:image:height"]) == ("1200", "630")


def test_the_entry_to_cite_has_what_is_known(exhibition: Path) -> None:
    entry = next(
        "".join(each.itertext()) for each in elements(pages(exhibition)["index.html"], "pre")
    )
    assert entry.startswith("@misc{")
    assert entry.rstrip().endswith("}")
    assert "title = {An exhibition \\& more}" in entry
    assert "author = {A. N. Author}" in entry
    assert "url = {https://example.org/some/base}" in entry


def test_the_map_of_the_site_lists_every_part(exhibition: Path) -> None:
    text = (exhibition / "sitemap.xml").read_text(encoding="utf-8")
    found = [each.text for each in ElementTree.fromstring(text).iter() if each.tag.endswith("loc")]
    base = "https://example.org/some/base/"
    assert found == [base, f"{base}part-a.html", f"{base}part-b.html"]


def test_the_line_under_a_title_says_the_steps_and_the_guidance_of_the_record() -> None:
    record = json.loads((ROOT / "site/flow-class/record.json").read_text())
    facts = dict(run_facts(record))
    assert facts["seed"] == str(record["seed"])
    assert facts["steps"] == record["parameters"]["steps"]
    assert float(facts["guidance"]) == float(record["parameters"]["scale"])
    record["numbers"] = {"evaluations": "20"}
    facts = dict(run_facts(record))
    assert facts["evaluations"] == "20"
    assert not {"steps", "guidance"} & facts.keys()
