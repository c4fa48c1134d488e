"""Formulas as SVG with MathML beside it, made by MathJax when the site is built."""

import html
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from generators.files import digest

FORMAT = "2"
INLINE = re.compile(r'<span class="arithmatex">\\\(([^<]*)\\\)</span>')
PUNCTUATED = re.compile(rf"(?P<before>\(?){INLINE.pattern}(?P<after>[.,;:?!)]*)")
DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
GLYPH = re.compile(r'<path d="([^"]+)"></path>')


class Formula(NamedTuple):
    """TeX without its delimiters, and whether it stands on a line of its own."""

    tex: str
    display: bool

    @property
    def key(self) -> str:
        return digest(f"{FORMAT}\n{int(self.display)}\n{self.tex}".encode())[:20]


class Mathematics:
    """Renders formulas through Node, unless `known` has them (by key) from an earlier build."""

    def __init__(self, templates: Path, known: dict[str, str]) -> None:
        self.templates = templates
        self.known = known
        self.used: dict[str, str] = {}
        self.refused: dict[str, str] = {}

    @property
    def can_render(self) -> bool:
        return can_render(self.templates)

    def insert(self, pages: dict[str, str]) -> dict[str, str]:
        """Return pages (by name) with their formulas rendered.

        Without Node, formulas that are not known stay TeX, for the page's own script to show; so do
        those that MathJax refuses, which stand in `refused` with the reason.
        """
        new = {
            f.key: f for page in pages.values() for f in formulas(page) if f.key not in self.known
        }
        if new and self.can_render:
            self.known |= self.rendered(new)
        return {name: sharing_glyphs(self.replaced(page)) for name, page in pages.items()}

    def rendered(self, new: dict[str, Formula]) -> dict[str, str]:
        """Return the HTML of formulas by key, from one run of Node."""
        request = json.dumps([[formula.tex, formula.display] for formula in new.values()])
        command = ["node", str(self.templates / "mathematics.mjs")]
        ran = subprocess.run(command, input=request, capture_output=True, text=True, check=False)
        if ran.returncode:
            for formula in new.values():
                self.refuse(formula, ran.stderr[-200:])
            return {}
        result: dict[str, str] = {}
        for (key, formula), answer in zip(new.items(), json.loads(ran.stdout), strict=True):
            if "error" in answer:
                self.refuse(formula, answer["error"])
            else:
                result[key] = answer["html"]
        return result

    def refuse(self, formula: Formula, reason: str) -> None:
        self.refused[formula.tex] = " ".join(reason.split()) or "MathJax stopped"

    def replaced(self, page: str) -> str:
        def inline(match: re.Match[str]) -> str:
            before, after = match["before"], match["after"]
            written = match[0].removeprefix(before).removesuffix(after)
            shown = self.shown(Formula(html.unescape(match[2]), False), written)
            whole = f"{before}{shown}{after}"
            # Browsers would break a line between a formula and its full stop.
            is_bound = whole != shown and "<mjx-break" not in shown
            return f'<span class="together">{whole}</span>' if is_bound else whole

        def display(match: re.Match[str]) -> str:
            return self.shown(Formula(html.unescape(match[1]).strip(), True), match[0])

        return DISPLAY.sub(display, PUNCTUATED.sub(inline, page))

    def shown(self, formula: Formula, source: str) -> str:
        if formula.key not in self.known:
            return source
        self.used[formula.key] = self.known[formula.key]
        return self.known[formula.key]


def sharing_glyphs(page: str) -> str:
    """Draw each glyph of a page's formulas once, at its end, for all formulas to refer to.

    A page of long derivations would otherwise be mostly letters, drawn over and over.
    """
    if "</body>" not in page:
        return page
    counts = Counter(GLYPH.findall(page))
    shared = {path: f"glyph-{digest(path.encode())[:8]}" for path, n in counts.items() if n > 1}
    if not shared:
        return page

    def reference(match: re.Match[str]) -> str:
        return f'<use href="#{shared[match[1]]}"></use>' if match[1] in shared else match[0]

    glyphs = "".join(f'<path id="{name}" d="{path}"></path>' for path, name in shared.items())
    hidden = 'width="0" height="0" style="position: absolute" aria-hidden="true"'
    sheet = f"<svg {hidden}><defs>{glyphs}</defs></svg>\n"
    return GLYPH.sub(reference, page).replace("</body>", f"{sheet}</body>")


def can_render(templates: Path) -> bool:
    """Whether this machine has Node and the MathJax that templates/package.json asks for."""
    has_mathjax = (templates / "node_modules" / "mathjax" / "package.json").is_file()
    return has_mathjax and shutil.which("node") is not None


def formulas(page: str) -> list[Formula]:
    """Return the formulas that a page still has as TeX."""
    inline = [Formula(html.unescape(tex), False) for tex in INLINE.findall(page)]
    return inline + [Formula(html.unescape(tex).strip(), True) for tex in DISPLAY.findall(page)]
