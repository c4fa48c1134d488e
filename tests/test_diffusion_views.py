"""Views: orthogonal, invertible, the same at every size; and the animations that show them."""

from collections.abc import Callable

import pytest
import torch
from oracles import images

from generators.diffusion import views
from generators.diffusion.jigsaw import cut
from generators.diffusion.turning import positions, splat, turning
from generators.diffusion.views import View

VIEWS: dict[str, Callable[[], View]] = {
    "identity": views.identity,
    "flip": views.flip,
    "90°": lambda: views.rotation(1),
    "180°": lambda: views.rotation(2),
    "270°": lambda: views.rotation(3),
    "negative": views.negative,
    "inner circle": views.inner_circle,
    "jigsaw": lambda: views.jigsaw(1),
    "another jigsaw": lambda: views.jigsaw(2),
    "patches": lambda: views.patches(8, 1),
    "pixels": lambda: views.pixels(1),
    "skew": views.skew,
    "steep skew": lambda: views.skew(1.5),
    "hinge": views.hinge,
}
every_view = pytest.mark.parametrize("view", [make() for make in VIEWS.values()], ids=list(VIEWS))


@every_view
@pytest.mark.parametrize("size", [64, 256])
def test_a_view_is_orthogonal_and_has_an_exact_inverse(view: View, size: int) -> None:
    a, b = images(2, size, seed=1).double(), images(2, size, seed=2).double()
    assert torch.equal(view.invert(view.apply(a)), a)
    assert torch.equal(view.apply(view.invert(a)), a)
    inner = (view.apply(a) * view.apply(b)).sum()
    assert inner.item() == pytest.approx((a * b).sum().item(), abs=1e-8)
    assert torch.equal(view.apply(a + b), view.apply(a) + view.apply(b))


@every_view
def test_a_view_moves_pixels_or_says_that_it_does_not(view: View) -> None:
    x = torch.arange(3 * 64 * 64.0).reshape(1, 3, 64, 64) + 1
    moved = view.apply(x)
    for channel in range(3):
        values = moved[:, channel].flatten().sort().values
        assert torch.equal(values, x[:, channel].flatten()) == view.moves_pixels
    assert view.moves_pixels or torch.equal(moved.abs(), x)


EXACT_AT_EVERY_SIZE = ("flip", "90°", "negative", "patches", "hinge", "270°")


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_the_small_image_is_the_view_of_the_large(name: str) -> None:
    """Whole fours of pixels, as stage 2 sees them, go where the pixel of stage 1 goes."""
    view = VIEWS[name]()
    small = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(small, 17, 1, 8, count_include_pad=False)
    large = smooth.repeat_interleave(4, -1).repeat_interleave(4, -2)
    shown = torch.nn.functional.avg_pool2d(view.apply(large), 4)
    error = (shown - view.apply(smooth)).abs().mean() / smooth.std()
    assert error < (1e-5 if name in EXACT_AT_EVERY_SIZE or name == "pixels" else 0.2)


def test_views_turn_the_way_they_are_named() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert views.flip().apply(x)[0, 0, 0].tolist() == [12, 13, 14, 15]
    assert views.rotation(1).apply(x)[0, 0, :, -1].tolist() == [0, 1, 2, 3], "top to the right"
    assert views.rotation(3).apply(x)[0, 0, :, 0].tolist() == [3, 2, 1, 0], "top to the left"
    assert views.rotation(2).apply(x)[0, 0, 0].tolist() == [15, 14, 13, 12]
    assert torch.equal(views.negative().apply(x), -x)
    skewed = views.skew().apply(x)[0, 0]
    assert skewed[:, 2].tolist() == x[0, 0, :, 2].tolist(), "the middle stays"
    assert skewed[:, 3].tolist() == [15, 3, 7, 11]
    assert skewed[:, 0].tolist() == [8, 12, 0, 4]
    hinged = views.hinge(2).apply(x)[0, 0]
    assert hinged.tolist() == [[4, 0, 3, 7], [5, 1, 2, 6], [9, 13, 14, 10], [8, 12, 15, 11]]
    with pytest.raises(ValueError, match="4 quarter turns, expected 1, 2 or 3"):
        views.rotation(4)


def test_the_inner_circle_leaves_the_border() -> None:
    x = images(1, 64)
    moved = views.inner_circle().apply(x)
    assert torch.equal(moved[..., :7, :], x[..., :7, :])
    assert torch.equal(moved[..., 20:44, 20:44], x[..., 20:44, 20:44].rot90(2, (2, 3)))


def test_a_seed_names_a_permutation_whatever_was_drawn_before() -> None:
    x = images(1, 64)
    for make in (views.jigsaw, views.pixels, lambda seed: views.patches(8, seed)):
        first = make(3).apply(x)
        torch.rand(5)
        state = torch.random.get_rng_state()
        assert torch.equal(make(3).apply(x), first)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert not torch.equal(make(4).apply(x), first)


def neighbours_kept(view: View) -> float:
    """The share of neighbouring pixels that are neighbours in the view as well."""
    grid = torch.arange(64 * 64).reshape(64, 64)
    seen = view.apply(grid)
    place = seen.flatten().argsort()
    row, column = place // 64, place % 64
    steps = [
        (row[a] - row[b]).abs() + (column[a] - column[b]).abs()
        for a, b in ((grid[1:].flatten(), grid[:-1].flatten()), (grid[:, 1:].flatten(), grid[:, :-1].flatten()))
    ]  # fmt: skip
    return (torch.cat(steps) == 1).double().mean().item()


def test_pieces_stay_whole() -> None:
    assert neighbours_kept(views.jigsaw(1)) > 0.85
    assert neighbours_kept(views.patches(8, 1)) > 0.85
    assert neighbours_kept(views.hinge()) > 0.9
    assert neighbours_kept(views.pixels(1)) < 0.01
    grid = torch.arange(64 * 64).reshape(64, 64)
    for seed in range(5):
        assert (views.jigsaw(seed).apply(grid) != grid).all(), "and no piece stays"


@pytest.mark.parametrize("tabs", [[0] * 6, [1] * 6, [1, 0, 1, 1, 0, 0]])
def test_pieces_of_a_kind_are_one_shape_with_tabs(tabs: list[int]) -> None:
    kind, place = cut(torch.tensor(tabs), 64)
    for number in range(4):
        shapes = [(kind == number) & (place == turns) for turns in range(4)]
        assert all(torch.equal(shapes[0].rot90(turns), shapes[turns]) for turns in range(4))
        row, column = shapes[0].nonzero().T
        height, width = row.max() - row.min() + 1, column.max() - column.min() + 1
        assert shapes[0].sum() < height * width, "no square"
        assert 16 <= min(height, width) <= max(height, width) <= 16 + 2 * 5
    assert sum(((kind == k) & (place == p)).sum() for k in range(4) for p in range(4)) == 64 * 64


def test_a_tab_is_narrower_where_it_is_joined() -> None:
    kind, place = cut(torch.ones(6, dtype=torch.int64), 256)
    corner = (kind == 0) & (place == 0)
    widths = corner[:, 64:].sum(dim=0)
    assert 0 < widths[0] < widths.max()
    assert (widths > 0).sum() == 19, "0.3 of a side deep"


@pytest.mark.parametrize(
    ("view", "size", "message"),
    [
        (views.patches(8, 1), 60, "60 pixels do not divide into 8 tiles a side"),
        (views.jigsaw(1), 62, "62 pixels do not divide into 4 pieces a side"),
    ],
)
def test_an_image_that_does_not_divide_is_refused(view: View, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        view.apply(images(1, size))
    with pytest.raises(ValueError, match=r"a view of \(4, 8\) pixels, expected a square"):
        view.apply(torch.zeros(1, 3, 4, 8))


@every_view
def test_an_animation_ends_in_the_view_to_the_bit(view: View) -> None:
    image = images(1, 64)[0].double().clamp(-1, 1)
    before = image.clone()
    frames = turning(view, image, 7)
    assert frames.shape == (7, 3, 64, 64)
    assert torch.equal(frames[0], image)
    assert torch.equal(frames[-1], view.apply(image))
    assert torch.equal(image, before)
    assert frames.abs().max() <= 1 + 1e-6
    with pytest.raises(ValueError, match="an animation of 1 frames, expected 2 or more"):
        turning(view, image, 1)


@every_view
def test_an_animation_moves_without_a_jump(view: View) -> None:
    if view.moves_pixels:
        path = torch.stack([positions(view, 64, index / 50) for index in range(51)])
        assert path.diff(dim=0).abs().max() < 64 * 3.2 / 50
    else:
        levels = turning(view, torch.full((3, 64, 64), 0.5), 5)[:, 0, 0, 0]
        assert levels.tolist() == pytest.approx([0.5, 0.25, 0, -0.25, -0.5])


@pytest.mark.parametrize(
    ("name", "progress", "sense"), [("90°", 0.5, 1), ("180°", 0.25, 1), ("270°", 0.5, -1)]
)
def test_a_rotation_is_rigid_and_goes_the_short_way(name: str, progress: float, sense: int) -> None:
    """After an eighth of a turn the middle of the top edge is up on one side."""
    where = positions(VIEWS[name](), 64, progress) - 31.5
    start = positions(views.identity(), 64, 0.0) - 31.5
    assert torch.allclose(where.norm(dim=1), start.norm(dim=1), atol=1e-4)
    row, column = where[32].tolist()
    assert (row, column) == pytest.approx((-22.3, 22.3 * sense), abs=0.4)


def test_between_the_pixels_it_is_white() -> None:
    image = torch.full((3, 64, 64), -1.0)
    middle = splat(image, positions(views.rotation(1), 64, 0.5))
    assert (middle[:, 0, 0] == 1).all(), "a corner that nothing covers"
    assert torch.allclose(middle[:, 20:44, 20:44], torch.tensor(-1.0), atol=1e-6), "no holes"
    closing = splat(image, positions(views.flip(), 64, 0.5))
    assert (closing[:, 0] == 1).all()
    assert (closing[:, 31:33] == -1).all()
