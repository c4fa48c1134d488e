"""What a stage makes small while it learns."""

import torch
from torch import Tensor, nn

from generators.diffusion.schedule import Schedule
from generators.mini_if.examples import Example


class HybridLoss(nn.Module):
    """L_simple of v plus 0.001 L_vlb, which teaches the variance alone.

    Nichol & Dhariwal 2021, eq. 16 with v = √ᾱ ε - √(1-ᾱ) x_0 in the place of ε; the mean in
    L_vlb is held fixed. L_vlb is estimated by T times the term of one t, in nats a dimension. Its
    term for the last step is left out: sampling draws no noise there.
    """

    tables: Tensor

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        times = range(1, len(schedule.alpha_bar))
        rows = [(schedule.alpha_bar[0].item(), 1.0, 1.0, 1.0)]
        for t in times:
            stride = schedule.stride(t, t - 1)
            rows.append((schedule.at(t), stride.beta, stride.beta_tilde, stride.of_x_0))
        self.register_buffer("tables", torch.tensor(rows, dtype=torch.float64), persistent=False)
        self.weight = 0.001 * len(schedule.alpha_bar)

    def forward(self, painter: nn.Module, example: Example) -> tuple[Tensor, Tensor]:
        """Return L_simple and the weighted L_vlb, both means over the batch, as scalars.

        A painter without spread, of the inner levels alone, has nothing to learn from L_vlb: 0.
        """
        alpha_bar, beta, beta_tilde, of_x_0 = self.at(example.t)
        root, rest = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        x_t = root * example.x + rest * example.noise
        output = painter(x_t, example).float()
        v, spread = output[:, :3], output[:, 3:]
        simple = (v - (root * example.noise - rest * example.x)).square().mean()
        if not spread.numel():
            return simple, torch.zeros_like(simple)
        x_0 = root * x_t - rest * v.detach()
        f = (spread + 1) / 2
        log_sigma = f * beta.log() + (1 - f) * beta_tilde.log()
        apart = (of_x_0 * (example.x - x_0.clamp(-1, 1))).square()
        ratio = beta_tilde.log() - log_sigma
        divergence = (ratio.exp() - 1 - ratio + apart * (-log_sigma).exp()) / 2
        divergence = divergence.mean(dim=(1, 2, 3)) * (example.t > 0)
        return simple, self.weight * divergence.mean()

    def at(self, t: Tensor) -> tuple[Tensor, ...]:
        """Return ᾱ, β, β̃ and x_0's share in the mean, each (B, 1, 1, 1) in float32."""
        return self.tables[t].float()[:, :, None, None, None].unbind(dim=1)
