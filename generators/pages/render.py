"""The pages: one per part, an index, and what a host and a search engine want beside them."""

import json
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypedDict

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from markupsafe import Markup

from generators.content import Part, Section
from generators.errors import AuthorError, nearest
from generators.pages.facts import card_facts, run_facts
from generators.pages.lint import page_findings, section_findings
from generators.pages.mathematics import Mathematics, formulas
from generators.pages.pictures import FINE, SMALL, Picture, heading, picture, tile
from generators.pages.prose import Prose, linked
from generators.pages.sharing import HEIGHT, WIDTH, card, card_name
from generators.project import Project, Status, is_on_stand_in
from generators.stand_in import NAME as STAND_IN
from generators.store import Record, Shown, listed, seal_of

ASSETS = ("style.css", "page.js", "figures.js")
FORMULAS = "mathematics.json"


def formulas_in(folder: Path) -> dict[str, str]:
    """Return the formulas of a site's last build, none if their file is not as it was written."""
    try:
        kept = json.loads((folder / FORMULAS).read_bytes())
        found: dict[str, str] = kept["formulas"]
        return found if kept["seal"] == seal_of(found) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


class Rendered(NamedTuple):
    """Pages and assets by file name, what the lint found, pages whose formulas need a script."""

    files: dict[str, bytes]
    findings: list[str]
    scripted: list[str]


class SectionView(TypedDict):
    """What the templates know of a section."""

    name: str
    label: str
    title: str
    html: Markup
    state: str
    facts: list[tuple[str, str]]
    picture: Picture | None


class Card(TypedDict):
    """The picture of a page for those who share its address."""

    file: str
    alt: str


class PartView(TypedDict):
    """What the templates know of a part."""

    name: str
    file: str
    title: str
    html: Markup
    sections: list[SectionView]
    card: Card | None


class Renderer:
    """Renders all pages of a project from its records; no clock or machine has a say in it."""

    def __init__(self, project: Project, statuses: list[Status]) -> None:
        self.project = project
        self.statuses = {status.section.name: status for status in statuses}
        self.records = {name: s.record for name, s in self.statuses.items() if not s.damage}
        self.prose = Prose()
        self.templates = project.root / "templates"
        self.environment = Environment(
            loader=FileSystemLoader(self.templates),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.filters["caption"] = lambda text: Markup(self.prose.caption(text))
        self.findings: list[str] = []
        self.cards: dict[str, bytes] = {}

    def render(self) -> Rendered:
        """Return all files of the site beside the sections' folders.

        Raises: AuthorError naming a template that is wrong.
        """
        try:
            return self.rendered()
        except TemplateNotFound as error:
            raise AuthorError(f"templates/{error.name}: no such file") from None
        except TemplateSyntaxError as error:
            raise AuthorError(f"templates/{error.name}:{error.lineno}: {error.message}") from None
        except TemplateError as error:
            raise AuthorError(f"templates: {error}") from None

    def rendered(self) -> Rendered:
        site = self.project.site
        parts = [self.part(part) for part in site.parts]
        parts = [part for part in parts if part["sections"]]
        pages = {
            part["file"]: self.page("part.html", part=part, parts=parts, before=before, after=after)
            for before, part, after in zip([None, *parts], parts, [*parts[1:], None], strict=False)
        }
        style = (self.templates / "style.css").read_text(encoding="utf-8")
        pages["index.html"] = self.page("index.html", part=None, parts=parts)
        pages["404.html"] = self.page("404.html", part=None, parts=parts, style=Markup(style))
        mathematics = Mathematics(self.templates, self.known_formulas())
        pages = mathematics.insert(pages)
        for tex, reason in mathematics.refused.items():
            self.findings.append(f"{self.origin(tex)}: {reason} in {tex!r}")
        scripted = [name for name, page in pages.items() if formulas(page)]
        script = self.environment.get_template("mathjax.html").render()
        for name in scripted:
            pages[name] = pages[name].replace("</head>", f"{script}</head>")
        for status in self.statuses.values():
            folder = self.project.out / status.section.name
            record = self.records.get(status.section.name)
            self.findings += section_findings(status.section, record, folder)
        files = {name: page.encode() for name, page in pages.items()} | self.assets(parts)
        kept = {"formulas": mathematics.used, "seal": seal_of(mathematics.used)}
        files[FORMULAS] = json.dumps(kept, indent=0, sort_keys=True).encode()
        everything = pages | {name: "" for name in files if name not in pages}
        gone = set(listed(self.project.out)) - files.keys()
        self.findings += page_findings(
            everything, self.project.site.sections, self.project.out, gone
        )
        return Rendered(files, self.findings, scripted)

    def page(self, template: str, **values: object) -> str:
        return self.environment.get_template(template).render(
            site=self.project.site,
            card_size=(WIDTH, HEIGHT),
            draft=self.project.draft,
            made=self.last_made(),
            **values,
        )

    def origin(self, tex: str) -> str:
        """Return the file that a formula comes from: a text, or the module of a caption."""
        for section in self.project.site.sections:
            record = self.records.get(section.name)
            if tex in section.text:
                return f"content/{section.path.name}"
            if record and any(tex in figure["caption"] for figure in record["shown"]):
                return f"{section.generator.replace('.', '/')}.py"
        return "content/site.toml"

    def last_made(self) -> str:
        """Return the date of the newest experiment (ISO 8601), or "" before the first one."""
        records = [record for record in self.records.values() if record]
        return max((record["provenance"]["made"] for record in records), default="")

    def assets(self, parts: list[PartView]) -> dict[str, bytes]:
        files = {name: (self.templates / name).read_bytes() for name in ASSETS} | {".nojekyll": b""}
        files |= self.cards
        if self.project.site.address:
            files["sitemap.xml"] = self.page("sitemap.xml", parts=parts).encode()
        return files

    def known_formulas(self) -> dict[str, str]:
        """Return the formulas of earlier builds, here and in site/."""
        return formulas_in(self.project.root / "site") | formulas_in(self.project.out)

    def part(self, part: Part) -> PartView:
        sections = [
            self.section(each) for each in self.project.site.sections if each.part == part.name
        ]
        return {
            "name": part.name,
            "file": f"part-{part.name}.html",
            "title": part.title,
            "html": Markup(linked(self.prose.html(part.text), partial(self.address, "site.toml"))),
            "sections": sections,
            "card": self.card(part, sections) if self.project.site.address else None,
        }

    def card(self, part: Part, sections: list[SectionView]) -> Card | None:
        """Make the card of a part from the first picture of its sections."""
        for section in sections:
            record, found = self.records.get(section["name"]), section["picture"]
            if record and found and found["file"].endswith(".png"):
                name = card_name(part.name, record["files"][found["file"].partition("/")[2]])
                self.cards[name] = card(self.project.out, name, found["file"], found["tile"])
                return {"file": name, "alt": found["alt"]}
        return None

    def section(self, section: Section) -> SectionView:
        status = self.statuses[section.name]
        record = self.records.get(section.name)

        def figure(name: str) -> str:
            found = [each for each in record["shown"] if each["name"] == name] if record else []
            return (
                self.figure(section, record, found[0]) if record and found else self.missing(name)
            )

        def number(name: str) -> str:
            if record and name not in record["numbers"]:
                known = nearest(name, record["numbers"])
                self.find(section.path.name, f"unknown number {name!r}{known}")
            value = record["numbers"].get(name, "…") if record else "…"
            return self.prose.line(value).replace(" %", "\N{NO-BREAK SPACE}%")

        address = partial(self.address, section.path.name)
        html = self.prose.page(section.text, figure, number, address)
        state = "missing" if record is None else "fresh" if status.is_fresh else "stale"
        if record and state == "stale" and is_on_stand_in(record) and section.data != STAND_IN:
            state = "on stand-in"
        facts = run_facts(record) if record else []
        return {
            "name": section.name,
            "label": section.label,
            "title": section.title,
            "html": Markup(html),
            "state": state,
            "facts": facts,
            "picture": picture(record, section.picture) if record else None,
        }

    def address(self, file: str, name: str) -> str:
        """Return where a section is, asked for by a file below content/."""
        sections = {each.name: each for each in self.project.site.sections}
        if name not in sections:
            self.find(file, f"unknown section {name!r}{nearest(name, sections)}")
            return "#"
        return f"part-{sections[name].part}.html#{name}"

    def find(self, file: str, finding: str) -> None:
        self.findings.append(f"content/{file}: {finding}")

    def figure(self, section: Section, record: Record, shown: Shown) -> str:
        folder = self.project.out / section.name
        svg = ""
        if shown["kind"] == "plot":
            svg = (folder / shown["files"]["image"]).read_text(encoding="utf-8")
        stub, columns = heading(shown.get("columns", []))
        return self.environment.get_template(f"figures/{shown['kind']}.html").render(
            section=section,
            figure=shown,
            id=f"{section.name}-{shown['name']}",
            svg=Markup(svg),
            stub=stub,
            columns=columns,
            tile=tile(shown),
            is_small=tile(shown) < SMALL,
            is_fine=tile(shown) >= FINE,
            card=card_facts(record),
            command=f"python build.py {section.name} --force",
            draft=self.project.draft,
        )

    def missing(self, name: str) -> str:
        return self.environment.get_template("figures/missing.html").render(name=name)
