"""Pages in step with the records: what they were rendered from, and whether they are whole."""

import json
from typing import TYPE_CHECKING, TypedDict, cast

from generators.files import digest, sweep, write
from generators.project import Project, Status
from generators.store import RECORD, damage_of, listed, read_sealed, seal_of, write_sealed

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from generators.pages.render import Rendered


class PagesRecord(TypedDict):
    """The pages as published; `scripted` are those with formulas that MathJax has not rendered."""

    key: str
    scripted: list[str]
    files: dict[str, str]


def pages_key(project: Project, statuses: list[Status]) -> str:
    """Return the digest of all that pages are made from: words, templates, records, states."""
    states = [[s.section.name, seal_of(s.record), str(s.is_fresh)] for s in statuses]
    return digest(json.dumps([project.words + states, project.draft]).encode())


def pages_are_fresh(project: Project, statuses: list[Status]) -> bool:
    """Whether the pages are whole and made from what there is now."""
    found = read_sealed(project.out)
    record = cast(PagesRecord | None, found.record)
    if record is None or found.damage or record["key"] != pages_key(project, statuses):
        return False
    if record["scripted"]:
        from generators.pages.mathematics import can_render

        return not can_render(project.root / "templates")
    return True


def page_lock(project: Project) -> "BaseFileLock":
    """Return the lock of the pages, held for a moment: sections may be made meanwhile."""
    from filelock import FileLock

    locks = project.cache / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / f"pages-{digest(str(project.out.resolve()).encode())[:16]}.lock")


def publish_pages(project: Project, statuses: list[Status]) -> list[str]:
    """Render all pages and write those that changed; return what the lint found.

    Pages with findings are written, to be looked at, but are not fresh until the findings are gone.
    """
    from generators.pages.render import Renderer

    rendered = Renderer(project, statuses).render()
    with page_lock(project):
        return write_pages(project, statuses, rendered)


def write_pages(project: Project, statuses: list[Status], rendered: "Rendered") -> list[str]:
    """Do what `publish_pages` does with pages that are rendered; return what the lint found."""
    from generators.pages.mathematics import can_render

    before = listed(project.out)
    sweep(project.out)
    for name in [] if can_render(project.root / "templates") else rendered.scripted:
        hint = "npm ci --prefix templates, with Node, renders them"
        print(f"build.py: {name} has new formulas and loads MathJax for them; {hint}")
    for name, content in rendered.files.items():
        if damage_of(project.out / name, digest(content)):
            write(project.out / name, content)
    record: PagesRecord = {
        "key": "" if rendered.findings else pages_key(project, statuses),
        "scripted": rendered.scripted,
        "files": {name: digest(content) for name, content in rendered.files.items()},
    }
    write_sealed(project.out, record)
    for name in before:
        if name not in rendered.files:
            (project.out / name).unlink(missing_ok=True)
    sections = {status.section.name for status in statuses}
    for folder in sorted(project.out.iterdir()):
        if (folder / RECORD).is_file() and folder.name not in sections:
            print(
                f"build.py: {folder.name}/ belongs to no section any more; delete it from the site"
            )
    return rendered.findings
