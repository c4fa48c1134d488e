"""Words as embeddings: the right vocabulary, each prompt encoded once, dictionaries of others."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from cascades import WIDTH, small_cascade
from torch import Tensor, nn
from transformers import AutoTokenizer, T5EncoderModel

from generators.diffusion import text
from generators.diffusion.loading import embed, open_cascade
from generators.diffusion.reading import read_network
from generators.diffusion.text import looked_up, read_dictionary, read_tokenizer, remembered
from generators.errors import AuthorError
from generators.models import find_model

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cascade(tmp_path_factory.mktemp("cascade"), 8)


@pytest.fixture
def stage(cascade: Path, tmp_path: Path) -> Path:
    for part in ("tokenizer", "text_encoder"):
        shutil.copytree(cascade / "stage_1" / part, tmp_path / "stage_1" / part)
    return tmp_path / "stage_1"


class Encoder:
    """Counts what it is asked to encode."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        self.asked += prompts
        return torch.stack([torch.full((77, 4), float(len(prompt))) for prompt in prompts])


def test_a_prompt_is_encoded_once_for_each_encoder(tmp_path: Path) -> None:
    encoder = Encoder()
    first = remembered(["a dog", "a cat", "a dog"], tmp_path, "one", encoder)
    assert encoder.asked == ["a dog", "a cat"]
    assert first.shape == (3, 77, 4)
    again = remembered([" A Cat"], tmp_path, "one", encoder)
    assert torch.equal(again, first[1:2])
    assert encoder.asked == ["a dog", "a cat"], "the words are the same when cleaned"
    remembered(["a cat"], tmp_path, "another", encoder)
    assert len(encoder.asked) == 3


def test_a_damaged_embedding_is_made_again(tmp_path: Path) -> None:
    encoder = Encoder()
    before = remembered(["a dog"], tmp_path, "one", encoder)
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:50])
    assert torch.equal(remembered(["a dog"], tmp_path, "one", encoder), before)
    assert len(encoder.asked) == 2


def test_nine_prompts_are_encoded_as_each_alone(stage: Path) -> None:
    prompts = [f"a photo of {number} dogs" for number in range(9)]
    rows = embed(prompts, stage, CPU, torch.float32)
    assert rows.shape == (9, 77, WIDTH)
    assert torch.allclose(rows[8:], embed(prompts[8:], stage, CPU, torch.float32), atol=1e-6)


def test_half_precision_leaves_what_overflows_in_single(stage: Path) -> None:
    encoder = read_network(T5EncoderModel, stage / "text_encoder", torch.float16)
    types = {name.split(".")[-2]: each.dtype for name, each in encoder.named_parameters()}
    assert types["wo"] == torch.float32
    assert types["q"] == torch.float16
    assert not encoder.training


def test_words_that_a_vocabulary_lacks_are_told(
    cascade: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embed(["a dog"], cascade / "stage_1", CPU, torch.float32)
    assert not capsys.readouterr().out, "what knows letters alone lacks no word"
    embed(["a dog", "a dög"], cascade / "stage_1", CPU, torch.float32)
    assert capsys.readouterr().out.endswith("stage_1 has no word for 'dög'\n")
    embedded = AutoTokenizer.from_pretrained(ROOT / "generators/mini_if/weights/stage_1/tokenizer")
    assert text.unknown_words(["a photo of a Dog, 1 tree"], embedded) == []
    assert text.unknown_words(["Alan by the sea", "a dogs alan"], embedded) == ["alan", "dogs"]


def test_a_tokenizer_without_its_vocabulary_is_refused(stage: Path) -> None:
    (stage / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(AuthorError, match="found neither spiece"):
        embed(["a dog"], stage, CPU, torch.float32)


def test_a_vocabulary_of_another_size_is_refused(stage: Path) -> None:
    with pytest.raises(AuthorError, match="a vocabulary of 98 tokens, expected 900 to 1000"):
        read_tokenizer(stage / "tokenizer", WIDTH, 1000)
    with pytest.raises(AuthorError, match="expected 45 to 50"):
        read_tokenizer(stage / "tokenizer", WIDTH, 50)
    with pytest.raises(AuthorError, match="expected 32100 to 32128: the wrong tokenizer"):
        read_tokenizer(stage / "tokenizer", 4096, 32128)


class Fake:
    """A tokenizer as long as T5's that numbers the words as it likes."""

    def __init__(self, ids: list[int]) -> None:
        self.input_ids = ids

    def __len__(self) -> int:
        return 32_100

    def __call__(self, words: str) -> "Fake":
        return self


def test_t5_must_know_its_own_words(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def given(ids: list[int]) -> None:
        monkeypatch.setattr(text.AutoTokenizer, "from_pretrained", lambda folder: Fake(ids))

    given([37, 629, 19, 1627, 5, 1])
    assert len(read_tokenizer(stage / "tokenizer", 4096, 32128)) == 32_100
    given([3, 2, 3, 2, 5, 1])
    with pytest.raises(AuthorError, match="not the vocabulary of T5"):
        read_tokenizer(stage / "tokenizer", 4096, 32128)


def test_a_sentencepiece_file_without_its_library_says_what_to_install(
    stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(folder: Path) -> None:
        raise ValueError("`tiktoken` is required to read a `tiktoken` file.")

    (stage / "tokenizer" / "tokenizer.json").rename(stage / "tokenizer" / "spiece.model")
    monkeypatch.setattr(text.AutoTokenizer, "from_pretrained", missing)
    with pytest.raises(AuthorError, match="pip install sentencepiece protobuf"):
        read_tokenizer(stage / "tokenizer", WIDTH, 98)


def test_a_dictionary_of_embeddings_takes_the_place_of_the_encoder(
    cascade: Path, tmp_path: Path
) -> None:
    rows = {"A dog": torch.ones(1, 77, WIDTH).half(), "": torch.zeros(1, 77, WIDTH).half()}
    torch.save(rows, tmp_path / "words.pth")
    model = find_model(f"{cascade},words.pth", tmp_path)
    assert model.embeddings == str(tmp_path / "words.pth")
    assert "model embeddings" in model.identity
    opened = open_cascade(model, CPU, tmp_path, torch.float32)
    assert torch.equal(opened.embed(["a dog", ""])[:, 0, 0], torch.tensor([1.0, 0.0]))
    assert not list(tmp_path.glob("*.safetensors"))
    with pytest.raises(AuthorError) as error:
        opened.embed(["a dig", "", "ships"])
    assert str(error.value) == (
        "words.pth: no prompt 'a dig', did you mean 'a dog'?; 'ships'; it has '', 'a dog'"
    )
    with pytest.raises(AuthorError, match="'ships'; it has '', 'a dog'"):
        looked_up(["ships"], rows, tmp_path / "words.pth")


@pytest.mark.parametrize(
    "content",
    [[1.0], {}, {"a dog": torch.ones(77, 4)}, {3: torch.ones(1, 77, 4)}, nn.Linear(1, 1)],
)
def test_a_dictionary_of_anything_else_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "words.pt")
    with pytest.raises(AuthorError, match=r"words.pt: .*(expected|holds more than tensors)"):
        read_dictionary(tmp_path / "words.pt", 4)
    for noise in (b"PK no archive", b"abc", b"", bytes(range(256))):
        (tmp_path / "words.pt").write_bytes(noise)
        with pytest.raises(AuthorError, match=r"words.pt: damaged"):
            read_dictionary(tmp_path / "words.pt", 4)


def test_a_dictionary_of_another_width_is_refused(cascade: Path, tmp_path: Path) -> None:
    torch.save({"a dog": torch.ones(1, 77, 4096).half()}, tmp_path / "words.pt")
    opened = open_cascade(find_model(f"{cascade},words.pt", tmp_path), CPU, tmp_path)
    expected = r"'a dog' has \(1, 77, 4096\), expected a tensor of \(1, 77, 16\)"
    with pytest.raises(AuthorError, match=expected):
        opened.embed(["a dog"])
