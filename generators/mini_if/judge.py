"""The judge: says how well a picture fits a text, by a network apart from the model.

Trained contrastively (Radford et al. 2021, CLIP) on scenes of another seed, under noise and blur,
so that it can be asked about pictures that a sampler made.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from generators.errors import AuthorError

SIDE = 64
WIDTH = 128
WEIGHTS = Path(__file__).parent / "weights" / "judge.safetensors"


class Residual(nn.Module):
    """x + f(x) with two 3×3 convolutions, (B, C, H, W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(x + self.layers(x))


def halving(before: int, after: int) -> list[nn.Module]:
    """Return layers from (B, before, H, W) to (B, after, H/2, W/2)."""
    convolution = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.GELU(), Residual(after)]


class Judge(nn.Module):
    """Two towers into one space: pictures (B, 3, 64, 64) in [-1, 1], and bags of words."""

    def __init__(self, vocabulary: Sequence[str]):
        super().__init__()
        self.vocabulary = {word: number for number, word in enumerate(vocabulary)}
        widths = ((3, 32), (32, 64), (64, 128), (128, 192))
        layers = [layer for before, after in widths for layer in halving(before, after)]
        del layers[3]
        self.picture = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(192, WIDTH)
        )
        self.words = nn.EmbeddingBag(len(vocabulary), WIDTH, mode="mean")
        self.text = nn.Sequential(nn.Linear(WIDTH, 256), nn.GELU(), nn.Linear(256, WIDTH))
        self.log_scale = nn.Parameter(torch.tensor(2.5))

    def see(self, pictures: Tensor) -> Tensor:
        """Return where pictures (B, 3, H, W) lie, (B, 128) of length 1; they are reduced to 64."""
        if pictures.shape[-1] != SIDE:
            pictures = interpolate(pictures, (SIDE, SIDE), mode="area")
        return normalize(self.picture(pictures), dim=1)

    def read(self, texts: Sequence[str]) -> Tensor:
        """Return where texts lie, (N, 128) of length 1; words never trained with are passed over.

        Raises: AuthorError naming a text of which it knows no word.
        """
        bags = [self.numbers(text) for text in texts]
        starts = torch.tensor([0, *(len(bag) for bag in bags[:-1])]).cumsum(0)
        flat = torch.tensor([number for bag in bags for number in bag])
        device = self.log_scale.device
        return normalize(self.text(self.words(flat.to(device), starts.to(device))), dim=1)

    def numbers(self, text: str) -> list[int]:
        known = [self.vocabulary[word] for word in text.lower().split() if word in self.vocabulary]
        if not known:
            raise AuthorError(f"the judge knows no word of {text!r}")
        return known

    @torch.inference_mode()
    def similarities(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """Return the cosines (B, N) between pictures (B, 3, H, W) in [-1, 1] and texts."""
        return self.see(pictures.to(self.log_scale.device)) @ self.read(texts).T


def save_judge(judge: Judge, path: Path) -> None:
    """Write the network in half precision with its vocabulary in the metadata."""
    tensors = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in judge.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"vocabulary": json.dumps(list(judge.vocabulary))})


def load_judge(path: Path = WEIGHTS) -> Judge:
    """Read the judge, ready to be asked, in float32 on the CPU.

    Raises: AuthorError when the file is missing, damaged or something else.
    """
    try:
        with safe_open(path, "pt") as file:
            vocabulary = json.loads((file.metadata() or {})["vocabulary"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        judge = Judge(vocabulary)
        judge.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise AuthorError(f"{path}: not the weights of the judge ({reason})") from None
    return judge.eval()
