"""Markdown as the author writes it: mathematics, figures and numbers by name."""

import re
from collections.abc import Callable

import markdown

FIGURE = re.compile(r'<p>\s*<img alt="[^"]*" src="figure:([^"]*)" />\s*</p>')
NUMBER = re.compile(r'<a href="number:([^"]*)">[^<]*</a>')
REFERENCE = re.compile(r'href="section:([^"]*)"')
QUOTED = re.compile("“([^”]*)”")
MARKS = re.compile(r"[!-/:-@\[-`{-~]")
"""ASCII's punctuation, which may mean something in Markdown or HTML."""
EXTENSIONS = [
    "tables", "md_in_html", "pymdownx.superfences", "footnotes", "pymdownx.arithmatex", "smarty",
]  # fmt: skip
OPTIONS = {
    "footnotes": {"UNIQUE_IDS": True},
    "pymdownx.arithmatex": {"generic": True, "preview": False},
    "smarty": {"smart_quotes": False, "smart_dashes": True},
}


class Prose:
    """Turns Markdown into HTML, asking for the HTML of figures, numbers and links by name."""

    def __init__(self) -> None:
        self.converter = markdown.Markdown(
            extensions=EXTENSIONS, extension_configs=OPTIONS, output_format="xhtml"
        )

    def html(self, text: str) -> str:
        self.converter.reset()
        return self.converter.convert(text)

    def line(self, text: str) -> str:
        """Return one paragraph, such as a caption, without its <p>."""
        return self.html(text).removeprefix("<p>").removesuffix("</p>")

    def caption(self, text: str) -> str:
        """Return a caption; what it quotes is no Markdown, but a prompt, and shown as it is."""
        return self.line(QUOTED.sub(lambda quoted: f"“{literal(quoted[1])}”", text))

    def page(
        self,
        text: str,
        figure: Callable[[str], str],
        number: Callable[[str], str],
        address: Callable[[str], str],
    ) -> str:
        """Convert a section's text, its figures, numbers and `section:` links filled in."""
        html = self.html(text)
        html = FIGURE.sub(lambda match: figure(match[1]), html)
        html = NUMBER.sub(lambda match: number(match[1]), html)
        return linked(html, address)


def literal(text: str) -> str:
    """Return the Markdown that shows a text as it is."""
    return MARKS.sub(lambda mark: f"&#{ord(mark[0])};", text)


def linked(html: str, address: Callable[[str], str]) -> str:
    """Return HTML with the addresses of `section:` links filled in."""
    return REFERENCE.sub(lambda match: f'href="{address(match[1])}"', html)
