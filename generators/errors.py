"""Errors that an author can cause and mend: one line, no traceback."""

from collections.abc import Iterable


class AuthorError(ValueError):
    """Something in content/ or on the command line is wrong; the message is one line."""


class MissingDataError(AuthorError):
    """The data set `data` is not on this machine and cannot be fetched: nobody's mistake."""

    def __init__(self, data: str, message: str) -> None:
        super().__init__(message)
        self.data = data


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ", did you mean …?" with the nearest of `names`, or what there is, or ""."""
    import difflib

    names = sorted(names)
    close = difflib.get_close_matches(name, names, 1, 0.5)
    if close:
        return f", did you mean {close[0]!r}?"
    return f" (there are: {', '.join(names)})" if names else ""
