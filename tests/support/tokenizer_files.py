"""Files of small tokenizers, and programs that read them otherwise than this package does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenizers import ByteLevelBPETokenizer, pre_tokenizers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tiktoken import Encoding

TEXTS = [
    "Not all heroes wear capes.",
    "unbelievable naïve façades don't, won't; they've",
    "a b  c\n\td \r\n\n  1,024 €  ",
    "日本 Über 🎉👩\u200d👩 e\u0301",
    "<|endoftext|> is a text <|endoftext|>",
    "",
    " ",
    "\0\x7f\u2028\u00a0\ufeff\uffff",
]
END = "<|endoftext|>"


def alphabet() -> list[str]:
    """Return the 256 characters that stand for bytes, as the tokenizers library spells them."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def train(size: int = 300) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the vocabulary and the merges of a byte-level BPE of that size, by the library."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        TEXTS * 10, vocab_size=size, show_progress=False, special_tokens=[END]
    )
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], [(first, second) for first, second in model["merges"]]


def write_pair(
    folder: Path,
    vocabulary: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    names: tuple[str, str] = ("vocab.json", "merges.txt"),
) -> Path:
    """Write a vocabulary and its merges, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{first} {second}" for first, second in merges)]
    (folder / names[1]).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def load_tiktoken(folder: Path) -> Encoding:
    """Return OpenAI's own encoder, made of the files in OpenAI's folder and not of a download."""
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    from tiktoken_ext.openai_public import r50k_pat_str

    ranks = data_gym_to_mergeable_bpe_ranks(
        vocab_bpe_file=str(folder / "vocab.bpe"), encoder_json_file=str(folder / "encoder.json")
    )
    return tiktoken.Encoding(
        "gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={END: len(ranks)}
    )
