"""CLIP as the judge of pictures, from a folder or the Hub (Radford et al. 2021)."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize
from transformers import AutoTokenizer, CLIPModel

from generators.diffusion import hub
from generators.diffusion.reading import read_network
from generators.errors import AuthorError

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Of the channels of the pictures that CLIP was trained on, in [0, 1]."""


class Clip:
    """A CLIP, asked for cosines between pictures and texts."""

    def __init__(self, place: str, device: torch.device) -> None:
        """Read it from a folder or a Hub id.

        Raises: AuthorError when it is not there, or no CLIP.
        """
        folder = Path(place) if Path(place).is_dir() else hub.fetch(place, ["*.json", "*.txt"])
        if not Path(place).is_dir():
            hub.fetch(place, ["*.safetensors"])
        if not (folder / "config.json").is_file():
            raise AuthorError(f"{folder}: found no config.json, expected a CLIP")
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        network = read_network(CLIPModel, folder, torch.float32).to(device)
        self.network = cast(CLIPModel, network)
        self.device = device

    @torch.inference_mode()
    def similarities(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return the cosines (B, P) between images (B, 3, H, W) in [-1, 1] and prompts."""
        tokens = self.tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt")
        words = self.network.get_text_features(**tokens.to(self.device)).pooler_output
        seen = self.network.get_image_features(self.prepared(images)).pooler_output
        return (normalize(seen, dim=1) @ normalize(words, dim=1).T).cpu()

    def prepared(self, images: Tensor) -> Tensor:
        """Return images as CLIP was trained on them: its size, channels of mean 0, deviation 1."""
        side = self.network.vision_model.config.image_size
        resized = interpolate(
            images.to(self.device).float(), (side, side), mode="bicubic", antialias=True
        )
        mean, deviation = (
            torch.tensor(each, device=self.device)[:, None, None] for each in (MEAN, DEVIATION)
        )
        return (resized.clamp(-1, 1) / 2 + 0.5 - mean) / deviation
