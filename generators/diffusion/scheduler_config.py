"""The part of a diffusers scheduler_config.json that sampling depends on."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

from generators.errors import AuthorError


@dataclass(frozen=True)
class SchedulerConfig:
    """What this project reads of a diffusers scheduler_config.json, with the defaults there."""

    num_train_timesteps: int = 1000
    beta_schedule: str = "linear"
    beta_start: float = 0.0001
    beta_end: float = 0.02
    trained_betas: None = None
    rescale_betas_zero_snr: bool = False
    prediction_type: str = "epsilon"
    variance_type: str = "fixed_small"
    thresholding: bool = False
    dynamic_thresholding_ratio: float = 0.995
    sample_max_value: float = 1.0
    clip_sample: bool = True
    clip_sample_range: float = 1.0

    def __post_init__(self) -> None:
        """Raises: ValueError naming the first entry that has a value not provided for."""
        for name, possible in POSSIBLE.items():
            if (found := getattr(self, name)) not in possible:
                expected = " or ".join(map(str, possible))
                raise ValueError(f"{name} is {found!r}, expected {expected}")


SPREADS = {"fixed_small": -1.0, "fixed_large": 1.0, "learned_range": None}
"""The fixed variances are the two ends of the learned range."""

POSSIBLE: dict[str, tuple[object, ...]] = {
    "beta_schedule": ("linear", "squaredcos_cap_v2"),
    "trained_betas": (None,),
    "rescale_betas_zero_snr": (False,),
    "prediction_type": ("epsilon", "v_prediction"),
    "variance_type": tuple(SPREADS),
}


def read_config(path: Path) -> SchedulerConfig:
    """Read a scheduler_config.json; entries that concern other samplers are passed over.

    Raises: AuthorError naming the file when it is no JSON object or asks for what is not here.
    """
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError(f"found a {type(content).__name__}, expected an object")
        names = {field.name for field in fields(SchedulerConfig)} & content.keys()
        return SchedulerConfig(**{name: content[name] for name in names})
    except ValueError as error:
        raise AuthorError(f"{path}: {error}") from None
