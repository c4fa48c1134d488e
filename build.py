"""Build the write-up: make the sections that are stale, render the pages.

python build.py                    make what is stale, render, print a table
python build.py noising denoiser   only these sections (all pages are rendered)
"""

import argparse
import errno
import io
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TypeGuard

from generators.errors import AuthorError, MissingDataError, nearest
from generators.explaining import expectations, explained, size, standing, why
from generators.files import write
from generators.processes import count
from generators.project import Project, Status, locked, open_project, status
from generators.publishing import pages_are_fresh, publish_pages
from generators.reporting import Outcome, progress_shown, table

ROOT = Path(__file__).resolve().parent
MARK = ".nojekyll"
"""A file of every site: a folder that has it may be written to."""
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""Errors that say enough without the line of code they came from."""


def options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="build.py", description="Make the sections that are stale and render the write-up."
    )
    add = parser.add_argument
    add("sections", nargs="*", metavar="SECTION", help="make only these (default: all)")
    how = parser.add_mutually_exclusive_group().add_argument
    how("--force", action="store_true", help="make them even if fresh, networks of theirs included")
    how("--accept", action="store_true", help="only code changed, no result: take them as made")
    how("--render-only", action="store_true", help="render pages, run nothing")
    told = parser.add_mutually_exclusive_group().add_argument
    told("--check", action="store_true", help="change nothing; exit 1 and say why if stale")
    told(
        "--explain",
        type=something,
        metavar="SECTION",
        help="say what changed since a section was made",
    )
    told("--dry-run", action="store_true", help="say what would be made, and how long it took last")
    told("--list", action="store_true", help="list sections")
    told("--serve", action="store_true", help="serve the site, render and reload on every change")
    add("--port", type=int, default=8000, metavar="N", help="for --serve (default: 8000; 0: any)")
    add("--draft", action="store_true", help="quick version, marked, in .cache/draft/site")
    add(
        "--model",
        type=something,
        metavar="NAME",
        help="mini-if, a folder, a Hub id: the cascade of every part",
    )
    add("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    add("--threads", type=positive, metavar="N", help="CPU threads (default: one per core)")
    add("--out", type=Path, metavar="DIR", help="write the site there (default: site)")
    chosen = parser.parse_intermixed_args(arguments)
    others = ("check", "explain", "dry_run", "list", "serve")
    if chosen.accept and any(getattr(chosen, each) for each in others):
        parser.error("--accept: it takes over, and does none of --check, --explain, --list, …")
    return chosen


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1 on")
    return int(text)


def something(text: str) -> str:
    """Return what was said; an unset variable of a shell says nothing."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty, expected a name")
    return text


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run one build; return 0 if all is well, 1 if something failed or is stale, 2 if misused."""
    started = time.monotonic()
    chosen = options(arguments)
    if count() == 1:
        return build(chosen, root, started)
    from generators.helping import in_company

    def opened() -> Project:
        return open_project(root, None, chosen.draft, chosen.model)

    return in_company(partial(build, chosen, root, started), opened, chosen.device, chosen.threads)


def build(chosen: argparse.Namespace, root: Path, started: float) -> int:
    """Do what was chosen in this process; return the exit status."""
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")
    try:
        refuse_folder(chosen.out, root, chosen.draft)
        out = chosen.out and chosen.out.resolve()
        project = open_project(root, out, chosen.draft, chosen.model)
        names = [*chosen.sections, *([chosen.explain] if chosen.explain else [])]
        refuse_unknown(names, project)
        code = act(project, chosen, started)
        project.code.save()
        return code
    except AuthorError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"build.py: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("build.py: stopped; the next build goes on from the last checkpoint", file=sys.stderr)
        return 130


def act(project: Project, chosen: argparse.Namespace, started: float) -> int:
    """Answer what is asked, or make what is stale and render the pages."""
    statuses = read_statuses(project)
    if chosen.list:
        return say(f"{s.section.label:8} {s.section.name:24} {s.section.title}" for s in statuses)
    if chosen.explain:
        return say(explained(next(s for s in statuses if s.section.name == chosen.explain)))
    if chosen.check:
        return check(project, statuses, chosen.sections)
    if chosen.serve:
        from generators.pages.serve import serve

        return serve(project.root, project.out, chosen.draft, chosen.port, chosen.model)
    stale = wanted(statuses, chosen)
    if chosen.dry_run:
        return say(expectations(project, stale, chosen.force))
    if not chosen.render_only and resolve(stale):
        project = reopened(project, chosen)
        statuses = read_statuses(project)
        stale = wanted(statuses, chosen)
    outcomes: dict[str, Outcome] = {}
    findings: list[str] = []
    if not pages_are_fresh(project, statuses) or (stale and not chosen.render_only):
        with locked(project) as waited:
            project = reopened(project, chosen) if waited else project
            statuses, outcomes, findings = write_up(project, chosen)
    if chosen.render_only:
        findings += [s.damage or f"{s.section.name}: never made" for s in statuses if s.is_missing]
    folder = project.out
    rows = [outcomes.get(s.section.name) or standing(s, folder / s.section.name) for s in statuses]
    print(table(rows, started))
    for finding in findings:
        print(f"build.py: {finding}", file=sys.stderr)
    is_failed = any(outcome.state == "failed" for outcome in outcomes.values())
    return 1 if findings or is_failed else 0


def write_up(
    project: Project, chosen: argparse.Namespace
) -> tuple[list[Status], dict[str, Outcome], list[str]]:
    """Make and render what is stale; return how sections stand, what was made, findings."""
    if not (project.out / MARK).exists():
        write(project.out / MARK, b"")
    if chosen.accept:
        from generators.accepting import accept

        say(accept(project, wanted(read_statuses(project), chosen)))
    statuses = read_statuses(project)
    outcomes = {} if chosen.render_only else make(project, wanted(statuses, chosen), chosen)
    findings: list[str] = []
    if outcomes:
        # That took its time, and words may have been edited meanwhile.
        try:
            project = reopened(project, chosen)
        except AuthorError as error:
            findings.append(str(error))
        statuses = read_statuses(project)
    try:
        findings += publish_pages(project, statuses)
    except OSError as error:
        findings.append(f"{error.filename}: {error.strerror}")
    return statuses, outcomes, findings


def reopened(project: Project, chosen: argparse.Namespace) -> Project:
    """Read the write-up again, as it is now."""
    return open_project(project.root, project.out, chosen.draft, chosen.model)


def read_statuses(project: Project) -> list[Status]:
    return [status(project, section) for section in project.site.sections]


def wanted(statuses: list[Status], chosen: argparse.Namespace) -> list[Status]:
    """Return the sections that are to be made."""
    of_these = [s for s in statuses if not chosen.sections or s.section.name in chosen.sections]
    return [s for s in of_these if chosen.force or not s.is_fresh]


def resolve(stale: list[Status]) -> bool:
    """Ask the Hub for the commits, which are part of the keys, of models that are not here yet."""
    models = {s.section.model.name: s.section.model for s in stale if s.section.model}
    unresolved = [model for model in models.values() if model.is_unresolved]
    for model in unresolved:
        from generators.diffusion.hub import resolve

        resolve(model)
    return bool(unresolved)


def make(project: Project, stale: list[Status], chosen: argparse.Namespace) -> dict[str, Outcome]:
    """Make sections one after the other; one that fails keeps its figures and stops nobody."""
    if not stale:
        return {}
    from generators.machine import own_cores
    from generators.making import Maker

    try:
        maker = Maker(project, chosen.device, chosen.threads or own_cores())
    except ValueError as error:
        raise AuthorError(str(error)) from None
    outcomes: dict[str, Outcome] = {}
    for each in stale:
        name, began = each.section.name, time.monotonic()
        state, reason = "made", why(each, chosen.force)
        if each.damage:
            print(f"build.py: {each.damage}; it is made again", file=sys.stderr)
        try:
            with progress_shown(name) as progress:
                maker.make(each, progress, chosen.force)
        except MissingDataError as error:
            state, reason = "skipped", str(error)
        except AuthorError as error:
            state, reason = "failed", str(error)
        except Exception as error:
            state, reason = "failed", f"{type(error).__name__}: {error}"
            if is_of_the_disk(error, project.out):
                reason = f"{error.filename}: {error.strerror}"
            else:
                import traceback

                traceback.print_exc()
        seconds = time.monotonic() - began
        outcomes[name] = Outcome(name, state, reason, seconds, size(project.out / name))
    return outcomes


def is_of_the_disk(error: Exception, out: Path) -> TypeGuard[OSError]:
    """Whether a section failed for the disk, or for what lies in the folder it is written to."""
    if not isinstance(error, OSError):
        return False
    return error.errno in DISK or Path(str(error.filename)).is_relative_to(out)


def check(project: Project, statuses: list[Status], names: list[str]) -> int:
    """Say what is stale among all sections and the pages, or among the sections named."""
    asked = [s for s in statuses if not names or s.section.name in names]
    lines = [f"{s.section.name}: {why(s)}" for s in asked if not s.is_fresh]
    if not names and not lines and not pages_are_fresh(project, statuses):
        lines = ["the pages are not those of the records, texts and templates"]
    say(lines)
    return 1 if lines else 0


def refuse_folder(out: Path | None, root: Path, draft: bool) -> None:
    """Raise an AuthorError for an output folder that is not ours to write to."""
    if out is None:
        return
    if draft and out.resolve() == (root / "site").resolve():
        raise AuthorError("--draft: a draft is never written to site/")
    if out.exists() and not out.is_dir():
        raise AuthorError(f"--out {out}: not a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).exists():
        raise AuthorError(f"--out {out}: not empty, and no site of this program (it has no {MARK})")


def refuse_unknown(names: list[str], project: Project) -> None:
    known = [section.name for section in project.site.sections]
    for name in names:
        if name not in known:
            raise AuthorError(f"unknown section {name!r}{nearest(name.lower(), known)}")


def say(lines: Iterable[str]) -> int:
    for line in lines:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
