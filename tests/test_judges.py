"""Judges of pictures: CLIP in the format of the Hub, and the embedded one."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedTokenizerFast,
)

from generators.diffusion.clip import Clip
from generators.diffusion.pictures import to_bytes
from generators.errors import AuthorError
from generators.mini_if.judge import Judge, load_judge, save_judge

WORDS = ["<pad>", "<start>", "<end>", "a", "dog", "cat", "red"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A CLIP with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
        text = CLIPTextConfig(vocab_size=7, eos_token_id=2, max_position_embeddings=8, **small)
        vision = CLIPVisionConfig(image_size=32, patch_size=8, **small)
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    model.save_pretrained(tmp_path)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", model_max_length=8
    ).save_pretrained(tmp_path)
    return tmp_path


def test_clip_sees_what_transformers_own_preparation_shows_it(clip: Path) -> None:
    judge = Clip(str(clip), torch.device("cpu"))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    images = (images * 127.5).round() / 127.5
    expected = CLIPImageProcessorPil(size={"height": 32, "width": 32}, do_center_crop=False)(
        list(to_bytes(images)), return_tensors="pt"
    )
    assert torch.allclose(judge.prepared(images), expected.pixel_values, atol=0.02)


def test_clip_gives_a_cosine_for_each_picture_and_text(clip: Path) -> None:
    judge = Clip(str(clip), torch.device("cpu"))
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    cosines = judge.similarities(images, ["a dog", "a cat"])
    assert cosines.shape == (3, 2)
    assert cosines.abs().max() <= 1
    assert torch.allclose(judge.similarities(images[1:2], ["a cat"]), cosines[1:2, 1:], atol=1e-5)


def test_a_folder_that_is_no_clip_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(AuthorError, match="expected a CLIP"):
        Clip(str(tmp_path), torch.device("cpu"))


def test_the_judge_says_the_same_after_it_was_written_and_read(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        judge = Judge(["a", "cat", "dog"]).eval()
    path = tmp_path / "judge.safetensors"
    save_judge(judge, path)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    before, after = (
        each.similarities(images, ["a dog", "a cat"]) for each in (judge, load_judge(path))
    )
    assert torch.allclose(before, after, atol=2e-3)
    assert not torch.allclose(before[:, 0], before[:, 1], atol=1e-2)


def test_the_judge_passes_over_words_it_never_met_but_needs_one_that_it_knows() -> None:
    judge = Judge(["a", "cat"]).eval()
    assert torch.equal(judge.read(["a fine cat"]), judge.read(["a cat"]))
    with pytest.raises(AuthorError, match="'zebra'"):
        judge.read(["zebra"])


def test_a_damaged_judge_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    save_judge(Judge(["a", "cat"]), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AuthorError, match="not the weights of the judge"):
        load_judge(path)
