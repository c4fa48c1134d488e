"""Tensors from safetensors files, or one line that says why not."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a safetensors file.

    Raises: ValueError naming the file when it is cut short or of another format.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no whole safetensors file ({error})") from None


def load_weights(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put tensors, which came from `path`, into a network.

    Raises: ValueError naming the file when they are those of another network.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    different = [name for name in expected | found if expected.get(name) != found.get(name)]
    if different:
        name = different[0]
        raise ValueError(
            f"{path} holds another network: {name} is {found.get(name, 'missing')}, "
            f"expected {expected.get(name, 'nothing of that name')}"
        )
    network.load_state_dict(tensors)
