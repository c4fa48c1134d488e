"""The views by the names that front matter calls them."""

from collections.abc import Callable

from generators.diffusion import views
from generators.diffusion.views import View
from generators.errors import AuthorError, nearest

VIEWS: dict[str, Callable[[int, int], View]] = {
    "upright": lambda seed, size: views.identity(),
    "flip": lambda seed, size: views.flip(),
    "rotation-90": lambda seed, size: views.rotation(1),
    "rotation-180": lambda seed, size: views.rotation(2),
    "rotation-270": lambda seed, size: views.rotation(3),
    "negative": lambda seed, size: views.negative(),
    "inner-circle": lambda seed, size: views.inner_circle(),
    "jigsaw": lambda seed, size: views.jigsaw(seed),
    "patches": lambda seed, size: views.patches(4, seed),
    "pixels": views.pixels,
    "skew": lambda seed, size: views.skew(),
    "hinge": lambda seed, size: views.hinge(),
}


def view_named(name: str, seed: int, size: int) -> View:
    """Return a view by its name; `seed` draws those that are random, of `size` pixels a side.

    Raises: AuthorError for a name that is none.
    """
    if name not in VIEWS:
        raise AuthorError(f"unknown view {name!r}{nearest(name, VIEWS)}")
    return VIEWS[name](seed, size)
