"""TOML that an author wrote: read, and refused in one line where it is not as expected."""

import re
import tomllib
from pathlib import Path
from typing import TypeVar

from generators.errors import AuthorError, nearest

FENCE = "+++"
KINDS = {str: "text in quotes", int: "a whole number", list: "a list", dict: "a table"}
Kind = TypeVar("Kind")


def split(path: Path) -> tuple[str, str]:
    """Return a Markdown file's front matter, on the lines that it has in the file, and its body."""
    text = text_of(path)
    pieces = re.split(rf"(?m)^{re.escape(FENCE)}[ \t]*$\n?", text, maxsplit=2)
    if len(pieces) < 3 or pieces[0].strip():
        raise AuthorError(f"content/{path.name}: expected front matter between two lines {FENCE}")
    return "\n" * (pieces[0].count("\n") + 1) + pieces[1], pieces[2]


def text_of(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AuthorError(f"content/{path.name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise AuthorError(f"content/{path.name}: not UTF-8 at byte {error.start}") from None
    before, nul, _ = text.partition("\0")
    if nul:
        line = before.count("\n") + 1
        raise AuthorError(f"content/{path.name}: a NUL byte in line {line}")
    return text


def parsed(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AuthorError(f"content/{path.name}: {error}") from None


def refuse_unknown(table: dict[str, object], known: set[str], path: Path) -> None:
    for name in table:
        if name not in known:
            raise AuthorError(f"content/{path.name}: unknown key {name!r}{nearest(name, known)}")


def tables(table: dict[str, object], name: str, path: Path) -> dict[str, dict[str, object]]:
    """Return `table[name]`, a table of tables."""
    entries = typed(table, name, dict, path, {})
    for key, value in entries.items():
        if not isinstance(value, dict):
            raise AuthorError(f"content/{path.name}: {name}.{key} = {value!r}, expected a table")
    return entries


def typed(
    table: dict[str, object], name: str, kind: type[Kind], path: Path, default: Kind | None = None
) -> Kind:
    """Return `table[name]`, which must be of type `kind`."""
    value = table.get(name, default)
    where = f"content/{path.name}"
    if value is None:
        raise AuthorError(f"{where}: {name} is missing, expected {KINDS[kind]}")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise AuthorError(f"{where}: {name} = {value!r}, expected {KINDS[kind]}")
    if default is None and isinstance(value, str) and not value.strip():
        raise AuthorError(f"{where}: {name} is empty")
    return value
