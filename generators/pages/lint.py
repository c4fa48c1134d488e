"""What must not be published: each finding is one line."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from generators.content import Section
from generators.pages.prose import STRAY
from generators.store import Record

PAGE_BYTES, FIGURE_BYTES = 2_000_000, 2_000_000
SCHEMES = ("http", "https", "mailto", "data")
PLACEHOLDER = re.compile(r"\b(TODO|FIXME|XXX|TBD|SEED_HERE|YOUR_\w+|[Ll]orem ipsum)\b")
MENTION = re.compile(r"!\[[^\]]*\]\(figure:([^)]*)\)")


def section_findings(section: Section, record: Record | None, folder: Path) -> Iterator[str]:
    """Check a section's text against its figures."""
    where = f"content/{section.path.name}"
    mentioned = MENTION.findall(section.text)
    shown = [figure["name"] for figure in record["shown"]] if record else []
    if record:
        yield from (
            f"{where}: figure {name!r} is made but not shown"
            for name in shown
            if name not in mentioned
        )
        yield from (
            f"{where}: figure {name!r} is shown but not made"
            for name in mentioned
            if name not in shown
        )
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
    for number, line in enumerate(section.text.splitlines(), 1):
        if found := PLACEHOLDER.search(line):
            yield f"{where}: {found[0]!r} in line {number} of the text"


def page_findings(pages: Mapping[str, str], out: Path, gone: Collection[str] = ()) -> Iterator[str]:
    """Check finished pages: broken links and anchors, images without alternatives, sizes.

    Files that are `gone` are still in the folder `out`, but not for long.
    """
    outlines = {name: Outline(page) for name, page in pages.items() if name.endswith(".html")}
    for name, outline in outlines.items():
        size = len(pages[name].encode())
        if size > PAGE_BYTES:
            yield f"{name}: {size:,} bytes, at most {PAGE_BYTES:,}"
        for figure in STRAY.findall(pages[name]):
            yield f"{name}: figure {figure!r} must stand in a paragraph of its own"
        for twin in sorted(each for each, count in Counter(outline.names).items() if count > 1):
            yield f"{name}: the id {twin!r} occurs twice"
        for image in outline.silent:
            yield f"{name}: {image} has no alternative text"
        for link in outline.foreign:
            if link.partition(":")[0] not in SCHEMES:
                yield f"{name}: link to {link}, which is neither an address nor a file"
        for link in outline.links:
            target, _, anchor = unquote(link).partition("#")
            target = target or name
            if target in outlines:
                if anchor and anchor not in outlines[target].names:
                    yield f"{name}: link to {link}, where there is no such anchor"
            elif target not in pages and (target in gone or not (out / target).is_file()):
                yield f"{name}: link to {link}, which does not exist"


class Outline(HTMLParser):
    """The links inside and to elsewhere, ids and images without alternative of one page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.foreign: list[str] = []
        self.names: list[str] = []
        self.silent: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if given.get("id"):
            self.names.append(given["id"] or "")
        if tag == "img" and "alt" not in given:
            self.silent.append(given.get("src") or "an image")
        for name in ("href", "src", "srcset"):
            link = given.get(name) or ""
            if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", link):
                self.foreign.append(link)
            elif link and not link.startswith("//") and tag not in ("use", "base"):
                self.links.append(link)
