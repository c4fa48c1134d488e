"""Networks from a folder in diffusers' layout: safetensors only, whole, and nothing made up."""

import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from generators import processes
from generators.errors import AuthorError
from generators.machine import bfloat16_pays, main_memory
from generators.models import MANIFEST, digest_of_file

GIB = 1 << 30
HEADROOM = 2 * GIB
"""Bytes that a forward may need beside the weights."""
MOST_OF_MEMORY = 0.75


class Pretrained(Protocol):
    """What networks of diffusers and transformers have in common."""

    def from_pretrained(self, folder: Path, **options: object) -> object:
        """Return the network in a folder, and what was found in its files."""


def precision(device: torch.device) -> torch.dtype:
    """Return in what a network computes: half where the device is fast and sound in it."""
    if device.type == "cuda":
        return torch.float16
    is_fast = device.type == "cpu" and bfloat16_pays(device)
    return torch.bfloat16 if is_fast else torch.float32


def affordable(folder: Path, dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """Return in what to read the weights in a folder: narrower where main memory is too short.

    For a graphics card they only pass through it. Embeddings made in fewer bits are kept so.
    Raises: AuthorError where not even half of it is enough; the kernel would only kill the build.
    """
    files = sorted(folder.glob("*.safetensors"))
    half = [file for file in files if ".fp16" in file.name]
    count = sum(file.stat().st_size for file in half or files) // (2 if half else 4)
    room = main_memory() / processes.here()
    if count * dtype.itemsize < MOST_OF_MEMORY * room:
        return dtype
    there = f"{folder}: {count / 1e9:.1f} billion weights, {room / GIB:.0f} GiB of memory"
    if count * torch.bfloat16.itemsize > MOST_OF_MEMORY * room:
        instead = ", or embeddings made elsewhere: --model MODEL,prompts.pt"
        hint = instead if folder.name == "text_encoder" else ""
        raise AuthorError(f"{there}, which is too little; take a smaller model{hint}")
    if device.type == "cuda":
        return dtype
    if processes.rank() == 0:
        print(f"build.py: {there}: read in bfloat16")
    return torch.bfloat16


def verify(folder: Path, parts: Sequence[str]) -> None:
    """Compare parts of a stage, such as its unet/, with the manifest that lies beside the stage.

    Raises: AuthorError naming the first file that is missing, damaged or not in the manifest.
    """
    path = folder.parent / MANIFEST
    if not path.is_file():
        return
    try:
        manifest = dict(json.loads(path.read_text()))
    except ValueError:
        raise AuthorError(f"{path}: damaged, expected {{file: sha256}}") from None
    for part in parts:
        place = folder / part
        found = {each for each in place.rglob("*") if each.is_file()}
        listed = {path.parent / name for name in manifest}
        for file in sorted(found | {each for each in listed if each.is_relative_to(place)}):
            expected = manifest.get(file.relative_to(path.parent).as_posix())
            if file not in found:
                raise AuthorError(f"{file}: missing, but listed in {MANIFEST}")
            if expected is None or digest_of_file(file) != expected:
                raise AuthorError(f"{file}: damaged or foreign, its digest is not in {MANIFEST}")


def read_network(kind: object, folder: Path, dtype: torch.dtype) -> nn.Module:
    """Read a network of a class of diffusers or transformers, ready to be asked, on the CPU.

    Weights in half precision are taken where the folder has them and half is wanted, or where it
    has nothing else. T5 keeps its `wo` in float32 by itself.
    Raises: AuthorError naming the folder or file when weights are missing, cut short or foreign.
    """
    files = sorted(folder.glob("*.safetensors"))
    half = [file for file in files if ".fp16" in file.name]
    if not files:
        raise AuthorError(f"{folder}: found no .safetensors file, expected one (no .bin is read)")
    for file in files:
        check_whole(file)
    use_half = half and (dtype != torch.float32 or len(half) == len(files))
    quieten()
    try:
        network, told = cast(
            tuple[nn.Module, dict[str, list[object]]],
            cast(Pretrained, kind).from_pretrained(
                folder,
                dtype=dtype,
                variant="fp16" if use_half else None,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            ),
        )
    except (OSError, ValueError, RuntimeError) as error:
        said = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise AuthorError(f"{folder}: weights of another network? {said}") from None
    lacking = [*told["missing_keys"], *told["mismatched_keys"]]
    if lacking:
        raise AuthorError(f"{folder}: weights of another network, {lacking[0]} is not in them")
    return network.eval().requires_grad_(False)


def check_whole(file: Path) -> None:
    try:
        with safe_open(file, "pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise AuthorError(f"{file} is no whole safetensors file ({error})") from None


def quieten() -> None:
    """Keep the libraries' progress bars and advice out of the build's output."""
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    for logging in (diffusers, transformers):
        logging.set_verbosity_error()
        logging.disable_progress_bar()


def settle(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device; where it has no room, let each layer visit it in its turn.

    Its convolutions get their weights with channels last, in which they are faster: mini-if by a
    quarter on a CPU. Apple's GPUs are left out, where nobody has measured it.
    """
    size = sum(each.numel() * each.element_size() for each in network.parameters())
    if size + HEADROOM > (free := free_memory(device)):
        from accelerate import cpu_offload

        if processes.rank() == 0:
            found = f"{size / GIB:.1f} GiB of weights, {free / GIB:.1f} GiB free on {device}"
            print(f"build.py: {found}: its layers come there in turn, which is slow")
        return cast(nn.Module, cpu_offload(network, device))
    layout = torch.preserve_format if device.type == "mps" else torch.channels_last
    # The stub of Module.to() does not know memory_format.
    return network.to(device, memory_format=layout)  # type: ignore


def free_memory(device: torch.device) -> float:
    """Return how many bytes a device has free; main memory is not counted."""
    if device.type != "cuda":
        return float("inf")
    # What torch keeps for later is free as well, and so is what only points to itself.
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0]
