"""Diffusion in fewer steps than it was trained for: a schedule that visits some of its times."""

import torch
from torch import Tensor

from generators.digits.ddpm import Schedule
from generators.digits.sampling import Prediction
from generators.errors import AuthorError
from generators.processes import everywhere


def falling(last: int, count: int) -> list[int]:
    """Return `count` + 1 whole times from `last` down to 0, as evenly spaced as they can be.

    Raises: AuthorError when there are fewer times than that.
    """
    if count > last:
        raise everywhere(AuthorError(f"{count} evaluations of a diffusion that has {last} times"))
    return [round(last * (count - index) / count) for index in range(count + 1)]


def respaced(schedule: Schedule, times: list[int]) -> Schedule:
    """Return the schedule of the same ᾱ at falling `times`, which end in 0, and nowhere else.

    β_i = 1 - ᾱ_{t_i} / ᾱ_{t_{i-1}} (Nichol & Dhariwal 2021).
    """
    alpha_bar = schedule.alpha_bar[torch.tensor(times[::-1])]
    beta = torch.cat((alpha_bar[:1] * 0, 1 - alpha_bar[1:] / alpha_bar[:-1]))
    return Schedule(beta, alpha_bar)


def told_original_time(predict: Prediction, times: list[int], steps: int) -> Prediction:
    """Return a prediction that is called with i / n, n + 1 = len(times), and told t_i / `steps`."""
    original = torch.tensor(times[::-1]) / steps

    def of_original(x: Tensor, t: Tensor) -> Tensor:
        index = (t * (len(times) - 1)).round().long()
        return predict(x, original.to(t.device)[index])

    return of_original
