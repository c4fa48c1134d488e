"""Animations from an image to a view of it."""

import math
from itertools import product

import torch
from torch import Tensor

from generators.diffusion.views import View

WHITE = 1.0


def turning(view: View, image: Tensor, frames: int) -> Tensor:
    """Return frames (frames, C, H, H) in which `image` (C, H, H) in [-1, 1] becomes its view.

    The first is the image, the last the view, both to the bit. Pixels move to their places, along
    arcs where the view turns about the centre; where none moves, the values change. What shows
    between the pixels is white. Drawn on the CPU.
    Raises: ValueError when there are fewer than two frames.
    """
    if frames < 2:
        raise ValueError(f"an animation of {frames} frames, expected 2 or more")
    image = image.cpu()
    progress = [index / (frames - 1) for index in range(frames)]
    if not view.moves_pixels:
        return torch.stack([image.lerp(view.apply(image), s) for s in progress])
    return torch.stack([splat(image, positions(view, image.shape[-1], s)) for s in progress])


def positions(view: View, size: int, progress: float) -> Tensor:
    """Return where each pixel is (size², 2), in rows and columns, between start and end."""
    number = torch.arange(size * size)
    end = places(view.invert(number.reshape(size, size)).flatten(), size)
    start = places(number, size)
    middle = (size - 1) / 2
    # Turned back and forth by the same angle, so that the last place is exact.
    unturned = rotated(end - middle, -view.angle)
    along = torch.lerp(start - middle, unturned, progress)
    moved = rotated(along, progress * view.angle) + middle
    stays = (start == end).all(dim=1, keepdim=True)
    return torch.where(stays, start, moved)


def places(number: Tensor, size: int) -> Tensor:
    return torch.stack([number // size, number % size], dim=1).double()


def rotated(offsets: Tensor, angle: float) -> Tensor:
    """Turn offsets (N, 2) from the centre, in rows and columns, clockwise by an angle."""
    y, x = offsets.unbind(1)
    cosine, sine = math.cos(angle), math.sin(angle)
    return torch.stack([x * sine + y * cosine, x * cosine - y * sine], dim=1)


def splat(image: Tensor, where: Tensor) -> Tensor:
    """Draw the pixels of an image (C, H, H) at positions (H², 2), each shared among the four next.

    A pixel that less than half of one reaches shows some of the white behind it.
    """
    channels, size, _ = image.shape
    values = torch.cat([image.flatten(1), torch.ones(1, size * size).to(image)]).double()
    total = torch.zeros_like(values)
    for corner in product((0, 1), repeat=2):
        cell = where.floor().long() + torch.tensor(corner)
        share = (1 - (where - cell).abs()).prod(dim=1)
        inside = ((cell >= 0) & (cell < size)).all(dim=1)
        total.index_add_(1, (cell @ torch.tensor([size, 1]))[inside], (values * share)[:, inside])
    weight = total[channels:]
    cover = (2 * weight).clamp(max=1)
    colour = total[:channels] / weight.clamp(min=1e-6)
    return (cover * colour + (1 - cover) * WHITE).reshape(image.shape).to(image)
