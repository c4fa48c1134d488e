"""Formulas become SVG once, and are known from then on."""

import re
from pathlib import Path

import pytest
from conftest import ROOT
from html5lib import HTMLParser

from generators.pages.mathematics import Formula, Mathematics, can_render, formulas
from generators.pages.prose import Prose

TEMPLATES = ROOT / "templates"
needs_node = pytest.mark.skipif(
    not can_render(TEMPLATES), reason="needs Node and npm ci --prefix templates"
)
TEXT = (
    r"Inline $a_b < \mathbb{E}[x]$ and"
    + "\n\n$$\\begin{aligned}a &= b\\\\ c &= d\\end{aligned}$$\n"
)


def page(text: str = TEXT) -> dict[str, str]:
    return {"page": Prose().html(text)}


def test_formulas_are_found_as_they_were_written() -> None:
    inline, display = formulas(page()["page"])
    assert inline == (r"a_b < \mathbb{E}[x]", False)
    assert display == (r"\begin{aligned}a &= b\\ c &= d\end{aligned}", True)


@needs_node
def test_formulas_become_pictures_with_words_beside_them() -> None:
    mathematics = Mathematics(TEMPLATES, {})
    html = mathematics.insert(page())["page"]
    assert not formulas(html)
    assert html.count("<mjx-container") == html.count("<math ") == 2
    assert "data-latex" not in html
    assert len(mathematics.used) == 2
    HTMLParser(strict=True).parse(f"<!doctype html><title>t</title>{html}")


@needs_node
@pytest.mark.parametrize("tex", [r"\frac{1", r"\undefinedcommand x", r"\left( x"])
def test_a_wrong_formula_is_named(tex: str) -> None:
    mathematics = Mathematics(TEMPLATES, {})
    html = mathematics.insert(page(f"${tex}$ and $x$"))["page"]
    assert list(mathematics.refused) == [tex]
    assert [formula.tex for formula in formulas(html)] == [tex], "the other one is rendered"


@needs_node
def test_only_a_long_formula_in_a_line_may_be_broken() -> None:
    short, long = r"\bar\alpha_T = 1 - t", " + ".join("abcdefghijkl")
    text = f"So ${short}$ and ${long}$, and ${short}$.\n\n$${long}$$\n"
    html = Mathematics(TEMPLATES, {}).insert(page(text))["page"]
    first, second, third, display = html.split("<mjx-container")[1:]
    assert [each.count("<mjx-break") for each in (first, third, display)] == [0, 0, 0]
    assert second.count("<mjx-break") >= 11


def test_a_formula_that_may_be_broken_is_not_bound() -> None:
    broken = "<i>a</i><mjx-break></mjx-break><i>b</i>"
    known = {Formula("ab", False).key: broken}
    html = Mathematics(TEMPLATES, known).insert(page("So ($ab$)."))["page"]
    assert html.strip() == f"<p>So ({broken}).</p>"


def test_no_line_is_broken_between_a_formula_and_its_punctuation() -> None:
    known = {Formula(tex, False).key: f"<i>{tex}</i>" for tex in "abcd"}
    html = Mathematics(TEMPLATES, known).insert(page("So ($a$ and $b$), $c$. Then $d$ again"))
    bound = '<span class="together">'
    assert html["page"].strip() == (
        f"<p>So {bound}(<i>a</i></span> and {bound}<i>b</i>),</span> {bound}<i>c</i>.</span>"
        " Then <i>d</i> again</p>"
    )


def test_a_glyph_is_drawn_once_on_a_page(tmp_path: Path) -> None:
    drawn = (
        '<mjx-container><svg><path d="M1 2Z"></path><path d="M3 4Z"></path></svg></mjx-container>'
    )
    plot = '<svg><path d="M1 2Z" style="fill: none"></path></svg>'
    known = {Formula("x", False).key: drawn}
    written = '<span class="arithmatex">\\(x\\)</span>'

    def inserted(body: str) -> str:
        whole = {"page": f"<body>{body}{plot}</body>"}
        return Mathematics(tmp_path, dict(known)).insert(whole)["page"]

    assert inserted(written) == f"<body>{drawn}{plot}</body>"
    shared = inserted(written * 2)
    glyphs = re.findall(r'<path id="([^"]+)" d="([^"]+)"', shared)
    assert [path for _, path in glyphs] == ["M1 2Z", "M3 4Z"]
    for name, path in glyphs:
        reference = f'<use href="#{name}"></use>'
        assert shared.count(reference) == 2
        shared = shared.replace(reference, f'<path d="{path}"></path>')
    assert shared.startswith(f"<body>{drawn}{drawn}{plot}<svg"), "it says the same as before"


def test_known_formulas_need_no_node(tmp_path: Path) -> None:
    known = {formula.key: f"<i>{formula.display}</i>" for formula in formulas(page()["page"])}
    html = Mathematics(tmp_path, known).insert(page())["page"]
    assert "<i>True</i>" in html
    assert "<i>False</i>" in html


def test_without_node_a_new_formula_stays_for_the_script(tmp_path: Path) -> None:
    html = Mathematics(tmp_path, {}).insert(page())["page"]
    assert len(formulas(html)) == 2


@pytest.mark.parametrize(
    "prompt",
    [
        "a photo of a cat",
        "snake_case_name *starry*, **bold** and `code`",
        "a campfire worth $$$ or $5$ <3 & more",
        r"a \(dragon\) \[z\] with a \ backslash",
        "[^_^] smiling, [a](b) ![c](figure:d) {e} #f",
        "<lora:dog:1> <b>bold</b> &amp; wait... a man -- old",
        "1. a list",
    ],
)
def test_what_a_caption_quotes_is_shown_as_it_is(prompt: str) -> None:
    page = Prose().caption(f"Asked for: “{prompt}”, “{prompt}”; $x$ and *slanted*.")
    shown = "".join(HTMLParser(strict=True).parseFragment(page).itertext())
    assert f"“{prompt}”, “{prompt}”" in shown
    assert page.endswith("</span> and <em>slanted</em>.")
