"""A jigsaw puzzle whose pieces fit in each other's places.

A board of 4 × 4 pieces that looks the same after a quarter turn has four kinds of piece (corner,
two of the edge, inner) with four pieces each, which are one shape in four orientations: any of a
kind fits in the place of any other, turned.
"""

import torch
from torch import Tensor

KINDS = ((0, 0), (0, 1), (0, 2), (1, 1))
"""One piece (row, column) of each kind."""

SEAMS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2))
"""One of every four seams that a quarter turn exchanges, by the piece to its left."""


def cut(tab_is_left: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return for each of size × size pixels its kind of piece and its place among these, 0 … 3.

    A quarter turn of `Tensor.rot90` takes a piece from its place to the next. `tab_is_left`
    (6,) says for each of the `SEAMS` whether the piece to its left has the tab.
    Raises: ValueError when the size is no multiple of 4.
    """
    if size % 4:
        raise ValueError(f"{size} pixels do not divide into 4 pieces a side")
    side = size // 4
    owner = torch.arange(16).reshape(4, 4).repeat_interleave(side, 0).repeat_interleave(side, 1)
    for (row, column), is_left in zip(SEAMS, tab_is_left.tolist(), strict=True):
        tab = disc(size, (row + 0.5) * side, (column + (1.1 if is_left else 0.9)) * side)
        for turns in range(4):
            piece = turned(row, column if is_left else column + 1, turns)
            owner = torch.where(tab.rot90(turns), 4 * piece[0] + piece[1], owner)
    kind, place = torch.zeros(2, 16, dtype=torch.int64)
    for number, (row, column) in enumerate(KINDS):
        for turns in range(4):
            piece = turned(row, column, turns)
            kind[4 * piece[0] + piece[1]] = number
            place[4 * piece[0] + piece[1]] = turns
    return kind[owner], place[owner]


def turned(row: int, column: int, turns: int) -> tuple[int, int]:
    """Return where `Tensor.rot90` takes the piece at (row, column) in so many quarter turns."""
    for _ in range(turns):
        row, column = 3 - column, row
    return row, column


def disc(size: int, y: float, x: float) -> Tensor:
    """Return which pixels (size, size) a tab with its centre at (y, x) covers."""
    centres = torch.arange(size) + 0.5
    return torch.hypot(centres[:, None] - y, centres[None, :] - x) < 0.2 * size / 4
