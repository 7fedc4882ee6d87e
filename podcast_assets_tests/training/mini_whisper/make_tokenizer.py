"""A small byte-level BPE with Whisper's special tokens behind it.

    python -m podcast_assets_tests.training.mini_whisper.make_tokenizer two tokenizer.json

Requirements of faster-whisper and CTranslate2:

- CTranslate2 treats a Whisper model as multilingual if and only if its vocabulary has the empty token "";
- it counts the languages as id(<|nospeech|>) - id(<|startoftranscript|>) - 5, so the order of the specials matters;
- faster-whisper suppresses the first token of " -", " '" and " ♪": in a small BPE that would be the bare space, the
  start of every word, unless these pairs have been merged.
"""

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from podcast_assets_tests.training.mini_whisper.languages import MODELS, Language

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TIMESTAMPS = 1501
"""0.00 to 30.00 s in steps of 0.02 s."""
PUNCTUATION = " - ' ♩ ♪ ♫ ♬ ♭ ♮ ♯"
TASKS = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]


def build_tokenizer(texts: Iterable[str], vocabulary_size: int, languages: Sequence[str]) -> "Tokenizer":
    """Train the BPE on `texts`, then lay the special tokens behind it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=1,
    )
    bpe.train_from_iterator([*texts, *[PUNCTUATION] * 5000], trainer)

    layout = json.loads(bpe.to_str())
    layout["model"]["vocab"][""] = len(layout["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(layout))
    specials = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{language}|>" for language in languages), *TASKS]
    specials += [f"<|{i * 0.02:.2f}|>" for i in range(TIMESTAMPS)]
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    return tokenizer


def vocabulary_tokenizer(languages: Sequence[Language]) -> "Tokenizer":
    """A tokenizer with Whisper's language tokens, in which every word of `languages` is one token."""
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    r = random.Random(0)
    texts = [" " + " ".join(r.sample(spoken.vocabulary, 8)) + "." for spoken in languages for _ in range(3000)]
    tokenizer = build_tokenizer(texts, 1200, list(_LANGUAGE_CODES))
    split = [w for spoken in languages for w in spoken.vocabulary if len(tokenizer.encode(f" {w}").ids) != 1]
    if split:
        raise ValueError(f"these words are more than one token: {', '.join(split)}")
    if tokenizer.encode(" -").ids[0] == tokenizer.token_to_id("Ġ"):
        raise ValueError('" -" begins with the bare space: it would be suppressed')
    return tokenizer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    made = vocabulary_tokenizer(MODELS[args.model])
    made.save(str(args.out), pretty=False)
    print(f"{args.out}: {made.get_vocab_size()} tokens")
