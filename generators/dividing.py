"""Work that several processes do as one would: each asks a network about its part of a batch.

All of them run the same code on the same numbers. Only where a network is asked do they divide:
each answers for some of the rows, and every one is told all the answers. So what is trained or
sampled is, but for rounding, what one process would make of the same batch.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, distributed, nn

from generators.processes import count, rank

IS_DIVIDED = ContextVar("IS_DIVIDED", default=False)


@contextmanager
def dividing() -> Iterator[None]:
    """Divide what networks are asked, as long as this lasts; all processes must have joined."""
    before = IS_DIVIDED.set(True)
    try:
        yield
    finally:
        IS_DIVIDED.reset(before)


def divides(rows: int = sys.maxsize) -> bool:
    """Whether a batch of so many rows is divided now: each process must get one at least."""
    return IS_DIVIDED.get() and rows >= count()


def part_of(rows: int) -> slice:
    """Return which of the rows of a batch are this process's."""
    ends = [rows * number // count() for number in (rank(), rank() + 1)]
    return slice(*ends)


def spread(ask: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """Return ask(*given), all of which have a row for each image; no gradient passes through."""
    rows = len(given[0])
    if not divides(rows):
        return ask(*given)
    mine = part_of(rows)
    return whole(ask(*(each[mine] for each in given)), mine, rows)


def whole(part: Tensor, mine: slice, rows: int) -> Tensor:
    """Return all the rows of what this process has some of, as float32."""
    found = part.new_zeros(rows, *part.shape[1:], dtype=torch.float32)
    found[mine] = part
    distributed.all_reduce(found)
    return found


# The stub of Function.apply() has no types.
def gathered(part: Tensor, mine: slice, rows: int) -> Tensor:
    return torch.as_tensor(Gathered.apply(part, mine, rows))  # type: ignore


def summed(mine: Tensor) -> Tensor:
    return torch.as_tensor(Summed.apply(mine))  # type: ignore


class Kept(Protocol):
    """What `Gathered` keeps from its way forward for its way back."""

    mine: slice
    dtype: torch.dtype


class Gathered(torch.autograd.Function):
    """All the rows of an answer; every process knows the gradient of all, and keeps its own."""

    @staticmethod
    def forward(ctx: Kept, part: Tensor, mine: slice, rows: int) -> Tensor:
        ctx.mine, ctx.dtype = mine, part.dtype
        return whole(part, mine, rows)

    @staticmethod
    def backward(ctx: Kept, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.mine].to(ctx.dtype).contiguous(), None, None


class Summed(torch.autograd.Function):
    """The sum of what all processes have; what it does to all of them is their gradient."""

    @staticmethod
    def forward(ctx: object, mine: Tensor) -> Tensor:
        total = mine.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def tie(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Let a network that is trained by all processes learn as it would in one.

    Its inputs, tensors with a row for each image, are the whole batch in every process, and so are
    its outputs and the loss. Batches are normalised by the moments of the whole.
    """
    for each in network.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.forward = partial(normalised, each)  # type: ignore
    rows = 0

    @torch.compiler.disable  # type: ignore
    def divide(trained: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        nonlocal rows
        rows = len(given[0])
        if not trained.training:
            return given
        return tuple(each[part_of(rows)] for each in given)

    @torch.compiler.disable  # type: ignore
    def gather(trained: nn.Module, _: tuple[Tensor, ...], answer: Tensor) -> Tensor:
        return gathered(answer, part_of(rows), rows) if trained.training else answer

    network.register_forward_pre_hook(divide)
    network.register_forward_hook(gather)
    optimizer.register_step_pre_hook(sum_gradients)


@torch.compiler.disable  # type: ignore
def normalised(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Do what BatchNorm2d does, in training with a batch (B, C, H, W) of which this is a part."""
    if not norm.training:
        return torch.as_tensor(nn.BatchNorm2d.forward(norm, x))
    y = x.float()
    mean, variance, size = moments(y)
    with torch.no_grad():
        unbiased = variance * size / (size - 1)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.num_batches_tracked is not None
        assert norm.momentum is not None
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(unbiased, norm.momentum)
        norm.num_batches_tracked += 1
    factor: Tensor = norm.weight * (variance + norm.eps).rsqrt()
    normal = (y - across(mean)) * across(factor) + across(norm.bias)
    return torch.as_tensor(normal).to(x.dtype)


def moments(mine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each channel's mean and variance (C,), and how many values it has in all processes.

    What each has of them is joined as Chan, Golub and LeVeque (1979) do; the difference of two
    large sums would leave nothing of the variance of values far from zero.
    """
    size = mine.new_full((1,), mine.numel() / mine.shape[1])
    mean = mine.sum((0, 2, 3)) / size.clamp(min=1)
    squares = (mine - across(mean)).square().sum((0, 2, 3))
    row = torch.cat([mean, squares, size])
    others = row.new_zeros(1, len(row))
    rows = [row[None] if number == rank() else others for number in range(count())]
    means, squares, sizes = summed(torch.cat(rows)).tensor_split((len(mean), -1), dim=1)
    total = sizes.sum()
    mean = (sizes * means).sum(0) / total
    between = (sizes * (means - mean).square()).sum(0)
    return mean, (squares.sum(0) + between) / total, total


def across(channels: Tensor) -> Tensor:
    return channels[:, None, None]


def sum_gradients(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Give every process the gradient of the whole batch before the optimizer takes its step."""
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    gradients = [each.grad for each in parameters if each.grad is not None]
    flat = torch.cat([each.flatten() for each in gradients])
    distributed.all_reduce(flat)
    for each, total in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        each.copy_(total.view_as(each))
