"""What prompts are turned into: embeddings by a cascade's own text encoder, each made once."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, T5EncoderModel

TOKENS = 77


def cleaned(prompt: str) -> str:
    """Return a prompt in lower case and stripped; nothing else is cleaned."""
    return prompt.lower().strip()


def encode(prompts: Sequence[str], folder: Path, device: torch.device) -> Tensor:
    """Return the embeddings (N, 77, C) of prompts by the text encoder in a stage 1 folder.

    Padded positions are part of the embedding. The encoder is read for this call and dropped after
    it: it may be larger than both stages.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    encoder: nn.Module = T5EncoderModel.from_pretrained(folder / "text_encoder")
    tokens = tokenizer(
        [cleaned(prompt) for prompt in prompts],
        padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt",
    ).to(device)  # fmt: skip
    with torch.inference_mode():
        hidden = encoder.eval().to(device)(tokens.input_ids, tokens.attention_mask)[0]
    return torch.as_tensor(hidden).clone()
