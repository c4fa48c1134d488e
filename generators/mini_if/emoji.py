"""All emoji, by name: Unicode's list and the keywords of CLDR, read where they are installed."""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from generators.errors import AuthorError

NAMES = Path("/usr/share/unicode/emoji/emoji-test.txt")
KEYWORDS = Path("/usr/share/unicode/cldr/common/annotations/en.xml")
VARIANT = "\ufe0f"
"""Says that a character is meant as a picture; CLDR leaves it out."""


class Emoji(NamedTuple):
    """One emoji, several characters if need be, and the words that CLDR knows it alone by."""

    text: str
    keywords: tuple[str, ...]


@cache
def emoji() -> dict[str, Emoji]:
    """Return every emoji by its English name, without those of a skin tone and without flags.

    Raises: AuthorError naming the file that is not installed.
    """
    for path, package in ((NAMES, "unicode-data"), (KEYWORDS, "unicode-cldr-core")):
        if not path.is_file():
            raise AuthorError(f"{path}: not found, expected Debian's package {package}")
    words = {
        each.get("cp", ""): [word.strip() for word in (each.text or "").split("|")]
        for each in ElementTree.parse(KEYWORDS).iter("annotation")
        if each.get("type") != "tts"
    }
    counts = Counter(word for several in words.values() for word in several)
    return {
        name: Emoji(text, tuple(w for w in words.get(plain(text), ()) if is_telling(w, counts)))
        for text, name in listed(NAMES.read_text(encoding="utf-8"))
        if "skin tone" not in name and not name.startswith("flag:")
    }


def is_telling(word: str, counts: Counter[str]) -> bool:
    return counts[word] == 1 and word.isalpha() and len(word) > 2


def plain(text: str) -> str:
    return text.replace(VARIANT, "")


def listed(lines: str) -> list[tuple[str, str]]:
    """Return characters and name of each line like `1F436 ; fully-qualified # … E0.6 dog face`."""
    found = []
    for line in lines.splitlines():
        codes, _, rest = line.partition(";")
        status, _, comment = rest.partition("#")
        if status.strip() == "fully-qualified":
            text = "".join(chr(int(code, 16)) for code in codes.split())
            found.append((text, comment.split(maxsplit=2)[2]))
    return found
