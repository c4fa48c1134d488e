"""The tokenizer: a token for each word of the captions, letters for every other word."""

import string
from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from generators.diffusion.text import TOKENS

SPECIAL = ("<pad>", "</s>", "<unk>")
KNOWN = 2


def make_tokenizer(captions: Iterable[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer with every word found at least twice in `captions`.

    Lower case without accents; a word not known is spelt (the longest known beginning, then so
    on), so that no prompt is refused. Padding is 0, the end of a text 1.
    """
    counts = Counter(word for caption in captions for word in words_of(caption))
    known = sorted(word for word, count in counts.items() if count >= KNOWN)
    letters = string.ascii_lowercase + string.digits + string.punctuation
    spelt = [each for each in letters if each not in known] + [f"##{each}" for each in letters]
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *known, *spelt])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    tokenizer.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(  # type: ignore
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        model_max_length=TOKENS,
    )  # fmt: skip


def normalizer() -> normalizers.Normalizer:
    return normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )


def words_of(caption: str) -> list[str]:
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    return [word for word, _ in split(normalizer().normalize_str(caption))]
