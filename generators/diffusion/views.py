"""Orthogonal views: the ways of looking at an image under which noise stays noise.

All but the negative move whole pixels. Each is given by how it arranges a square grid of any size,
so that a view of 64 × 64 is the same view at 256 × 256; the seeded ones draw from their own stream.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

from generators.diffusion.jigsaw import KINDS, SEAMS, cut

Arrange: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class View:
    """An orthogonal map of images (…, H, H) and its inverse.

    `moves_pixels` is False where values change in place: what has no sign, such as a variance,
    is then left alone. `angle` in radians, clockwise, is how far moved pixels turn about the
    centre, which only an animation shows.
    """

    apply: Arrange
    invert: Arrange
    moves_pixels: bool = True
    angle: float = 0.0


def moving(arrange: Arrange, angle: float = 0.0) -> View:
    """Return the view that arranges pixels as `arrange` does a grid (H, H)."""

    @lru_cache(maxsize=8)
    def tables(size: int) -> tuple[Tensor, Tensor]:
        source = arrange(torch.arange(size * size).reshape(size, size)).flatten()
        return source, source.argsort()

    def gather(x: Tensor, inverse: bool) -> Tensor:
        if x.shape[-2] != x.shape[-1]:
            raise ValueError(f"a view of {tuple(x.shape[-2:])} pixels, expected a square")
        table = tables(x.shape[-1])[inverse].to(x.device)
        return x.flatten(-2).index_select(-1, table).reshape(x.shape)

    return View(lambda x: gather(x, False), lambda x: gather(x, True), angle=angle)


def identity() -> View:
    """Return the view of the image as it is."""
    return moving(lambda grid: grid)


def flip() -> View:
    """Return the image upside down, mirrored: its first row last."""
    return moving(lambda grid: grid.flipud())


def rotation(quarters: int) -> View:
    """Return the image turned clockwise by 90°, 180° or 270°.

    Raises: ValueError when the quarters are not 1, 2 or 3.
    """
    if quarters not in (1, 2, 3):
        raise ValueError(f"{quarters} quarter turns, expected 1, 2 or 3")
    angle = math.remainder(quarters * math.pi / 2, 2 * math.pi)
    return moving(lambda grid: grid.rot90(-quarters), angle)


def negative() -> View:
    """Return the image with dark and light, and every colour and its opposite, exchanged."""
    return View(torch.neg, torch.neg, moves_pixels=False)


def inner_circle() -> View:
    """Return the image with the disc of ¾ its width turned by 180°."""

    def arrange(grid: Tensor) -> Tensor:
        centred = torch.arange(len(grid)) - (len(grid) - 1) / 2
        distance = torch.hypot(centred[:, None], centred[None, :])
        return torch.where(distance < 3 / 8 * len(grid), grid.rot90(2), grid)

    return moving(arrange, angle=math.pi)


def patches(per_side: int, seed: int) -> View:
    """Return the image with its per_side × per_side square patches in an order drawn by `seed`.

    Raises: ValueError, on use, when the image does not divide into such patches.
    """
    order = torch.randperm(per_side**2, generator=torch.Generator().manual_seed(seed))

    def arrange(grid: Tensor) -> Tensor:
        return joined(tiles(grid, per_side)[order], per_side)

    return moving(arrange)


def pixels(seed: int, size: int = 64) -> View:
    """Return all pixels in an order drawn by `seed`; a larger image moves blocks of them."""
    return patches(size, seed)


def hinge(per_side: int = 4) -> View:
    """Return the image with its square tiles turned by 90°, neighbours in opposite senses.

    Raises: ValueError, on use, when the image does not divide into such tiles.
    """

    def arrange(grid: Tensor) -> Tensor:
        turned = [
            tile.rot90(1 if (number // per_side + number) % 2 else -1)
            for number, tile in enumerate(tiles(grid, per_side))
        ]
        return joined(torch.stack(turned), per_side)

    return moving(arrange)


def skew(factor: float = 1.0) -> View:
    """Return the image with each column shifted down by `factor` × its distance from the middle.

    What leaves at one edge enters at the other.
    """

    def arrange(grid: Tensor) -> Tensor:
        middle = len(grid) // 2
        columns = [
            column.roll(round(factor * (number - middle)))
            for number, column in enumerate(grid.unbind(1))
        ]
        return torch.stack(columns, dim=1)

    return moving(arrange)


def jigsaw(seed: int) -> View:
    """Return the image as a puzzle of 16 pieces with tabs, put together another way.

    Every piece takes the place of one of its shape, and turns; cut and places are drawn by `seed`.
    """
    generator = torch.Generator().manual_seed(seed)
    tabs = torch.randint(2, (len(SEAMS),), generator=generator)
    cycles = torch.stack([torch.randperm(4, generator=generator) for _ in KINDS])
    origin = torch.empty_like(cycles).scatter_(1, cycles, cycles.roll(1, dims=1))

    def arrange(grid: Tensor) -> Tensor:
        kind, place = cut(tabs, len(grid))
        result = grid
        for turns in range(4):
            # The piece that comes here was as many quarter turns before.
            here = (place - origin[kind, place]) % 4 == turns
            result = torch.where(here, grid.rot90(turns), result)
        return result

    return moving(arrange)


def tiles(grid: Tensor, per_side: int) -> Tensor:
    """Return a grid (H, H) as its tiles (per_side², H / per_side, H / per_side), row by row."""
    size, rest = divmod(len(grid), per_side)
    if rest:
        raise ValueError(f"{len(grid)} pixels do not divide into {per_side} tiles a side")
    rows = grid.reshape(per_side, size, per_side, size)
    return rows.transpose(1, 2).reshape(-1, size, size)


def joined(parts: Tensor, per_side: int) -> Tensor:
    """Put tiles together again, the inverse of `tiles`."""
    size = parts.shape[-1]
    rows = parts.reshape(per_side, per_side, size, size).transpose(1, 2)
    return rows.reshape(per_side * size, per_side * size)
