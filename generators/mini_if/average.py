"""The average of the weights along the training, which draws better than the last of them."""

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of the parameters that learn, with warm-up.

    After n updates the decay is (1 + n) / (10 + n), at most `longest`: early on it looks back
    over a tenth of the training, not over random weights.
    """

    def __init__(self, network: nn.Module, longest: float) -> None:
        self.longest = longest
        self.parameters = learning(network)
        self.values = {name: each.detach().clone() for name, each in self.parameters.items()}

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take in the parameters as they are after `updates` updates."""
        decay = min(self.longest, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(list(self.values.values()), list(self.parameters.values()), 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average and the parameters; a second call takes that back."""
        for name, parameter in self.parameters.items():
            kept = parameter.detach().clone()
            parameter.copy_(self.values[name])
            self.values[name].copy_(kept)


def learning(network: nn.Module) -> dict[str, Tensor]:
    """Return the parameters of a network that have a gradient, by name."""
    return {name: each for name, each in network.named_parameters() if each.requires_grad}
