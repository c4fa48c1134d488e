"""What prompts are turned into: embeddings by a cascade's own text encoder, each made once."""

import json
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from generators.errors import AuthorError, nearest
from generators.files import digest, write
from generators.weights import read_tensors

TOKENS = 77
CLEANING = "lower case, stripped"
T5_WIDTH, T5_WORDS = 4096, 32_100
KNOWN = ("The house is wonderful.", [37, 629, 19, 1627, 5, 1])
"""A sentence in the vocabulary of all T5, from the library's own documentation."""


def cleaned(prompt: str) -> str:
    """Return a prompt in lower case and stripped; nothing else is cleaned."""
    return prompt.lower().strip()


def unknown_words(prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the words of prompts that a vocabulary of whole words lacks (one of pieces, T5's
    for instance, lacks foreign letters only).
    """
    words = dict.fromkeys(word for each in prompts for word in re.findall(r"\w{2,}", cleaned(each)))
    pieces = {word: tokenizer.tokenize(word) for word in words}
    return [
        word
        for word, found in pieces.items()
        if tokenizer.unk_token in found or any(each.startswith("##") for each in found)
    ]


def encode(
    prompts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    encoder: nn.Module,
    device: torch.device,
) -> Tensor:
    """Return the embeddings (N, 77, C) of prompts; padded positions are part of them."""
    tokens = tokenizer(
        [cleaned(prompt) for prompt in prompts],
        padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt",
    ).to(device)  # fmt: skip
    with torch.inference_mode():
        hidden = encoder(tokens.input_ids, tokens.attention_mask)[0]
    return torch.as_tensor(hidden).cpu().clone()


def remembered(
    prompts: Sequence[str], memory: Path, encoder: str, make: Callable[[list[str]], Tensor]
) -> Tensor:
    """Return embeddings (N, 77, C) kept in the folder `memory`, making only those it lacks.

    `encoder` says what makes them: together with the cleaned words it is the key.
    """
    files = {}
    for prompt in prompts:
        key = json.dumps([cleaned(prompt), encoder, CLEANING, TOKENS])
        files[prompt] = memory / f"{digest(key.encode())[:32]}.safetensors"
    unknown = [prompt for prompt, file in files.items() if not is_whole(file)]
    if unknown:
        for prompt, row in zip(unknown, make(unknown), strict=True):
            write(files[prompt], save({"embedding": row.contiguous()}))
    return torch.stack([read_tensors(files[prompt])["embedding"] for prompt in prompts]).float()


def is_whole(file: Path) -> bool:
    try:
        return file.is_file() and "embedding" in read_tensors(file)
    except ValueError:
        return False


def read_tokenizer(folder: Path, width: int, words: int) -> PreTrainedTokenizerBase:
    """Return a stage 1 tokenizer for an encoder of `width` channels that knows `words` tokens.

    Raises: AuthorError naming the folder when its vocabulary is missing or another one's: the
    library reads a folder without it in silence, and every word is then the same.
    """
    if not any((folder / name).is_file() for name in ("spiece.model", "tokenizer.json")):
        raise AuthorError(f"{folder}: found neither spiece.model nor tokenizer.json, expected one")
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    except (ImportError, ValueError) as error:
        hint = "pip install sentencepiece protobuf, which read spiece.model"
        is_short = not (folder / "tokenizer.json").is_file()
        said = hint if is_short else str(error).strip().partition("\n")[0]
        raise AuthorError(f"{folder}: cannot be read; {said}") from None
    text, ids = KNOWN
    expected = T5_WORDS if width == T5_WIDTH else words * 9 // 10
    if not expected <= len(tokenizer) <= words:
        found = f"a vocabulary of {len(tokenizer)} tokens, expected {expected} to {words}"
        raise AuthorError(f"{folder}: {found}: the wrong tokenizer, or its file is missing")
    if width == T5_WIDTH and tokenizer(text).input_ids != ids:
        raise AuthorError(f"{folder}: not the vocabulary of T5, which the encoder was trained with")
    return tokenizer


def read_dictionary(path: Path, width: int) -> dict[str, Tensor]:
    """Return a file {prompt: embedding (1, 77, width)} that torch.save wrote.

    Raises: AuthorError naming the file when it is anything else; it is never unpickled as code.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise AuthorError(f"{path}: {error.strerror}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError):
        raise AuthorError(f"{path}: damaged, or holds more than tensors") from None
    expected = (1, TOKENS, width)
    if not isinstance(content, dict) or not content:
        raise AuthorError(f"{path}: expected {{prompt: tensor of {expected}}}")
    for prompt, row in content.items():
        if not isinstance(prompt, str) or not isinstance(row, Tensor) or row.shape != expected:
            found = f"{tuple(row.shape)}" if isinstance(row, Tensor) else type(row).__name__
            raise AuthorError(f"{path}: {prompt!r} has {found}, expected a tensor of {expected}")
    return dict(content)


def looked_up(prompts: Sequence[str], dictionary: dict[str, Tensor], path: Path) -> Tensor:
    """Return embeddings (N, 77, C) from a dictionary, whose prompts may be cleaned or not.

    Raises: AuthorError naming the prompts that are missing, and those that there are.
    """
    there = {cleaned(prompt): row for prompt, row in dictionary.items()}
    missing = [prompt for prompt in dict.fromkeys(prompts) if cleaned(prompt) not in there]
    if missing:
        near = [nearest(cleaned(prompt), there).partition(" (")[0] for prompt in missing]
        lacks = "; ".join(f"{prompt!r}{each}" for prompt, each in zip(missing, near, strict=True))
        names = ", ".join(map(repr, sorted(there)))
        raise AuthorError(f"{path.name}: no prompt {lacks}; it has {names}")
    return torch.cat([there[cleaned(prompt)] for prompt in prompts]).float()
