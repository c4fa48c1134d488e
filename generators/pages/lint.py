"""What must not be published: each finding is one line."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from posixpath import normpath
from typing import NamedTuple
from urllib.parse import unquote

from generators.content import Section
from generators.errors import nearest
from generators.pages.pictures import FOR_A_CARD
from generators.store import Record

PAGE_BYTES, FIGURE_BYTES = 2_000_000, 2_000_000
SCHEMES = ("http", "https", "mailto", "tel", "data")
DISPLAY = re.compile(r"(>\s*)?\$\$[^$]+\$\$")
PLACEHOLDER = re.compile(r"\b(TODO|FIXME|XXX|TBD|SEED_HERE|YOUR_\w+|[Ll]orem ipsum)\b")
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
LEFT = re.compile(r"\$\$|\\[(\[]|\[\^[^\]\s]+\]|```|~~~|!\[")
"""What Markdown leaves in a text when mathematics, a note or code has a beginning and no end."""
CODE = re.compile(r"<!--.*?-->|^ *(```+|~~~+).*?^ *\1|(`+).+?\2", re.DOTALL | re.MULTILINE)
VERBATIM = (
    "code", "figcaption", "footer", "h1", "h2", "header", "kbd", "nav", "noscript", "pre", "samp",
    "script", "style", "textarea", "title",
)  # fmt: skip
"""Elements whose text is not the author's Markdown."""
FOREIGN = ("svg", "math")
VOID = (
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
)  # fmt: skip
OPTIONAL = (
    "caption", "colgroup", "dd", "dt", "li", "optgroup", "option", "p", "rp", "rt", "tbody", "td",
    "tfoot", "th", "thead", "tr",
)  # fmt: skip
"""Elements that HTML does not want to be closed."""
MENTION = re.compile(r"!\[[^\]]*\]\(figure:([^)]*)\)")


def section_findings(section: Section, record: Record | None, folder: Path) -> Iterator[str]:
    """Check a section's text against its figures."""
    where = f"content/{section.path.name}"
    prose = CODE.sub(lambda found: "\n" * found[0].count("\n"), section.text)
    mentioned = MENTION.findall(prose)
    shown = [figure["name"] for figure in record["shown"]] if record else []
    if record:
        unshown = [name for name in shown if name not in mentioned]
        for name in mentioned:
            if name not in shown:
                hint = nearest(name, unshown or shown)
                unshown = [each for each in unshown if f"{each!r}?" not in hint]
                yield f"{where}: figure {name!r} is shown but not made{hint}"
        yield from (f"{where}: figure {name!r} is made but not shown" for name in unshown)
        pictures = [each["name"] for each in record["shown"] if each["kind"] in FOR_A_CARD]
        if section.picture and section.picture not in pictures:
            hint = nearest(section.picture, pictures)
            yield f"{where}: picture = {section.picture!r}, no such figure{hint}"
        for figure in record["shown"]:
            for part in ("caption", "alt"):
                text = figure["caption"] if part == "caption" else figure["alt"]
                if not text.strip():
                    yield f"{where}: figure {figure['name']!r} has no {part}"
                if found := PLACEHOLDER.search(text):
                    yield f"{where}: {found[0]!r} in the {part} of {figure['name']!r}"
            for file in figure["files"].values():
                size = (folder / file).stat().st_size
                if size > FIGURE_BYTES:
                    yield f"{folder.name}/{file}: {size:,} bytes, at most {FIGURE_BYTES:,}"
    for name in sorted({name for name in mentioned if mentioned.count(name) > 1}):
        yield f"{where}: figure {name!r} is shown twice"
    for number, line in enumerate(prose.splitlines(), 1):
        if found := PLACEHOLDER.search(line):
            yield f"{where}: {found[0]!r} in line {number} of the text"
    for paragraph in re.split(r"\n\s*\n", prose):
        marks = paragraph.count("$$")
        if marks and marks % 2 == 0 and not DISPLAY.fullmatch(paragraph.strip()):
            yield f"{where}: '$$' within a paragraph, expected $$…$$ as one of its own"


def page_findings(
    pages: Mapping[str, str], sections: Sequence[Section], out: Path, gone: Collection[str] = ()
) -> Iterator[str]:
    """Check finished pages: broken links and anchors, images without alternatives, sizes.

    A link is looked for in the text of its section, as it may also come from a caption. Files that
    are `gone` are still in the folder `out`, but not for long.
    """
    texts = {each.name: each for each in sections}
    outlines = {name: Outline(page) for name, page in pages.items() if name.endswith(".html")}
    for name, outline in outlines.items():
        size = len(pages[name].encode())
        if size > PAGE_BYTES:
            yield f"{name}: {size:,} bytes, at most {PAGE_BYTES:,}"

        def origin(section: str, page: str = name) -> str:
            return f"content/{texts[section].path.name}" if section in texts else page

        for twin in sorted(each for each, count in Counter(outline.names).items() if count > 1):
            remedy = "; give its file another name" if twin in texts else ""
            yield f"{origin(twin)}: the id {twin!r} occurs twice{remedy}"
        for image in outline.silent:
            yield f"{name}: {image} has no alternative text"
        for section_name, rest in outline.left:
            yield f"{origin(section_name)}: {rest}"
        for link in outline.links:
            section = texts.get(link.section)
            where = (
                f"content/{section.path.name}" if section and link.address in section.text else name
            )
            scheme, _, rest = link.address.partition(":")
            target, _, anchor = unquote(link.address).partition("#")
            target = normpath(target.partition("?")[0] or name)
            target = "index.html" if target == "." else target
            if link.is_image and scheme == "figure":
                yield f"{where}: figure {rest!r} must stand in a paragraph of its own"
            elif ADDRESS.match(link.address):
                if scheme not in SCHEMES:
                    yield f"{where}: link to {link.address}, which is neither an address nor a file"
            elif target in outlines:
                if anchor and anchor not in outlines[target].names:
                    yield f"{where}: link to {link.address}, where there is no such anchor"
            elif target not in pages and (target in gone or not (out / target).is_file()):
                is_ours = section is not None and (section.path.parent / target).is_file()
                hint = "; a section's pictures are what its figures yield" * is_ours
                yield f"{where}: link to {link.address}, which does not exist{hint}"


class Link(NamedTuple):
    """What a page leads to or shows; `section` is the id of the section it stands in, or ""."""

    address: str
    section: str
    is_image: bool


class Outline(HTMLParser):
    """The links, ids, images without alternative and open ends of one page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.names: list[str] = []
        self.silent: list[str] = []
        self.left: list[tuple[str, str]] = []
        self.open: list[tuple[str, bool]] = []
        self.sections = [""]
        self.feed(page)
        self.close()
        if self.open:
            # The rest of the page is taken for its content, and all around it is open, too.
            self.left.append((self.section, f"<{self.open[-1][0]}> is not closed"))

    @property
    def section(self) -> str:
        """The id of the section that the parser is in."""
        return next((each for each in reversed(self.sections) if each), "")

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag not in VOID:
            is_formula = "arithmatex" in (given.get("class") or "").split()
            is_verbatim = tag in (*VERBATIM, *FOREIGN) or is_formula
            self.open.append((tag, is_verbatim or self.is_verbatim))
        if tag == "section":
            self.sections.append(given.get("id") or "")
        if tag == "a" and given.get("href") == "":
            self.left.append((self.section, "a link to nothing"))
        if given.get("id"):
            self.names.append(given["id"] or "")
        if tag == "img" and "alt" not in given:
            self.silent.append(given.get("src") or "an image")
        several = [
            each.split()[0] for each in (given.get("srcset") or "").split(",") if each.strip()
        ]
        for link in (given.get("href") or "", given.get("src") or "", *several):
            is_elsewhere = link.startswith("//") or tag in ("use", "base")
            if ADDRESS.match(link) or (link and not is_elsewhere):
                self.links.append(Link(link, self.section, tag == "img"))

    @property
    def is_verbatim(self) -> bool:
        return bool(self.open) and self.open[-1][1]

    def handle_data(self, data: str) -> None:
        if not self.is_verbatim and (found := LEFT.search(data)):
            end = 'has no end, or stands in HTML whose tag lacks markdown="1"'
            self.left.append((self.section, f"{found[0]!r} is left in the text: it {end}"))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        # The slash closes nothing in HTML, only in drawings and formulas.
        if any(name in FOREIGN for name, _ in self.open):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.close_tag(tag)
        if tag == "section" and len(self.sections) > 1:
            self.sections.pop()

    def close_tag(self, tag: str) -> None:
        """Close an element, and those inside it that were left open."""
        if tag not in [name for name, _ in self.open]:
            self.left.append((self.section, f"</{tag}> closes nothing"))
            return
        while (inner := self.open.pop()[0]) != tag:
            if inner not in OPTIONAL:
                self.left.append((self.section, f"<{inner}> is not closed"))
