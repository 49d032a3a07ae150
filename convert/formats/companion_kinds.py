"""What a file beside the weights is, by its name and its first bytes, and whether it can be that.

Names are compared without regard to case. A vocabulary is a JSON object of tokens and numbers; a
list of merges has two pieces a line; any other text of a tokenizer is UTF-8; a SentencePiece model
starts as its protobuf does; JSON is JSON. None of them is a page, a pointer or an answer that a
download left in the place of the file.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from array import array
from fnmatch import fnmatchcase, translate
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from ..errors import FormatError, Gpt2ConvertError
from ..io.json_scan import Allowance, check_json, scan_numbers, spell_key
from ..io.source import SourceFile
from ..quoting import quote
from .foreign import explain_page, is_other_weights

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

_LEFT: Final = {
    "a trainer's state": (
        "optimizer*", "scheduler*", "rng_state*", "scaler.pt", "trainer_state.json",
        "trainer_log.*", "training_args.*", "events.out.tfevents.*", "global_step*", "latest",
        "graph.pbtxt", "*.meta", "checkpoint", "counter",
    ),
    "weights in another container": (
        "*.safetensors*", "*.bin", "*.bin.index.json", "*.h5", "*.hdf5", "*.h5.index.json",
        "*.msgpack", "*.msgpack.index.json", "*.npz", "*.npy", "*.pt", "*.pth", "*.pkl",
        "*.pickle", "*.ckpt", "*.ckpt-*", "*.keras", "*.onnx", "*.onnx_data", "*.gguf", "*.ggml",
        "*.tflite", "*.pb", "*.ot", "*.mlmodel", "*.distcp", "*.index", "*.data-?????-of-?????",
    ),
    "an archive": ("*.zip", "*.tar", "*.tar.*", "*.tgz", "*.gz", "*.bz2", "*.xz", "*.zst", "*.7z"),
    "an unfinished file": ("*.partial", "*.part", "*.crdownload", "*.incomplete", "*.tmp"),
}  # fmt: skip
"""What stays behind, by name in small letters, and why."""
_MODEL_FOLDER: Final = (
    "vocab.json", "vocab.txt", "merges.txt", "encoder.json", "vocab.bpe", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "spiece.model",
    "tokenizer.model", "bpe.model", "sentencepiece.bpe.model", "*.tiktoken",
    "chat_template.jinja", "chat_template.json",
    "generation_config.json", "preprocessor_config.json", "modelcard.json", "readme.md", "license",
    "license.txt", "license.md",
)  # fmt: skip
"""What a model folder has as a rule, beside its code."""
_CODE: Final = ("configuration_*.py", "modeling_*.py", "tokenization_*.py")
_CONFIGS: Final = ("config.json", "hparams.json")
_VOCABULARIES: Final = ("vocab.json", "encoder.json")
_MERGES: Final = ("merges.txt", "vocab.bpe")
_TEXTS: Final = ("*.txt", "*.bpe", "*.tiktoken", "*.jinja")
_SENTENCEPIECE: Final = ("spiece.model", "sentencepiece.*model", "*.spm")
_PROSE: Final = ("*.md", "*.html", "*.xml", "license*", "*.rst")
"""What may well begin with a bracket."""
_NO_MERGE: Final = re.compile(rb"^(?![^ \r\n]+ [^ \r\n]+\r?$|[ \r]*$)", re.MULTILINE)
MAX_VOCABULARY: Final = 16 << 20
"""Bytes: a token has twenty of them, and a GPT-2 100,000 tokens at most."""
_MAX_NUMBERED: Final = 500_000
"""Tokens of a vocabulary: OpenAI's has 50,257, and the largest of any language model half of that
number."""
_MAX_SCANNED: Final = 4 << 20
"""Bytes up to which a JSON file is looked at whole; of a longer one the first and the last are."""
_MAX_MERGES: Final = 16 << 20
"""Bytes of a list of merges whose lines are looked at; OpenAI's has half a megabyte."""
_MAX_LINE: Final = 1 << 16
_TOKENS_A_PAIR: Final = 4
_HEAD: Final = 1024


def find_reason_to_leave(path: Path, *, look: bool = True) -> str | None:
    """Return why what lies at ``path`` does not travel; None if it does.

    Files are opened only where ``look`` says so. What cannot be looked at counts as a file that
    does travel, so that it is refused by its name later.
    """
    if path.is_dir():
        return "a folder"
    name = path.name.lower()
    for reason, pattern in _compile_left():
        if pattern.match(name):
            return reason
    if not look:
        return None
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        file = SourceFile(path)
    except (OSError, Gpt2ConvertError):
        return None
    try:
        return "weights in another container" if is_other_weights(file) else None
    finally:
        file.close()


@cache
def _compile_left() -> list[tuple[str, re.Pattern[str]]]:
    """Return each reason and one expression for its names: a folder may have 100,000."""
    return [(why, re.compile("|".join(map(translate, names)))) for why, names in _LEFT.items()]


def is_replaceable(name: str) -> bool:
    """Whether a file of that name is one that model folders have as a rule."""
    return _fits(name, (*_MODEL_FOLDER, *_CODE))


def belongs_to_weights(name: str) -> bool:
    """Whether a file of that name is a model's wherever it lies, in a folder of other things too.

    Code is none of that: the program that trained a model may well lie beside it.
    """
    return _fits(name, _MODEL_FOLDER)


def is_model_file(name: str) -> bool:
    """Whether a file of that name means something in a model's folder, its weights included."""
    name = name.lower()
    left = any(pattern.match(name) for _, pattern in _compile_left())
    return left or name in _CONFIGS or is_replaceable(name)


def check_contents(file: SourceFile, n_vocab: int, allowance: Allowance | None = None) -> list[str]:
    """Look whether ``file`` is what its name says, and return notes of it.

    Where the allowance is used up, a JSON file is looked at like a long one, and a vocabulary too.

    Raises:
        FormatError: it is something else.
    """
    allowance = allowance or Allowance()
    name = file.path.name.lower()
    head = file.read(0, min(file.size, _HEAD), "the start").removeprefix(codecs.BOM_UTF8)
    tokenizer = _fits(name, (*_TEXTS, *_SENTENCEPIECE, "*.json", "*.model"))
    if tokenizer and not head.strip():
        raise FormatError(f"{file.path}: an empty file; fetch it again")
    if not _fits(name, _PROSE) and (page := explain_page(head, strict=not tokenizer)):
        raise FormatError(f"{file.path}: {page}")
    if name in _VOCABULARIES and allowance.tokens:
        return _check_vocabulary(file, n_vocab, allowance)
    if name.endswith(".json"):
        _check_json(file, name, head, allowance)
    elif name in _MERGES:
        _check_merges(file)
    elif _fits(name, _TEXTS):
        _check_text(file)
    elif _fits(name, _SENTENCEPIECE) and not head.startswith(b"\n"):
        # Field 1 of the ModelProto, its pieces, as messages.
        raise FormatError(f"{file.path}: no SentencePiece model: it starts with {head[:8]!r}")
    return []


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for pattern in patterns)


def _check_vocabulary(file: SourceFile, n_vocab: int, allowance: Allowance) -> list[str]:
    import numpy as np

    if file.size > MAX_VOCABULARY:
        raise FormatError(
            f"{file.path}: {file.size:,} bytes, where at most {MAX_VOCABULARY:,} make sense"
        )
    _check_text(file)
    text = file.read(0, file.size, "the vocabulary")
    hashes, numbers = array("q"), array("q")
    for key, number in scan_numbers(text, str(file.path)):
        # Escapes may spell one token in two ways.
        hashes.append(hash(spell_key(key)))
        numbers.append(number)
        if len(numbers) > _MAX_NUMBERED:
            raise FormatError(
                f"{file.path}: more than {_MAX_NUMBERED:,} tokens, which no vocabulary has"
            )
    allowance.tokens = max(0, allowance.tokens - _TOKENS_A_PAIR * len(numbers))
    if not numbers:
        raise FormatError(f"{file.path}: a vocabulary without tokens; fetch it again")
    for values, what in ((hashes, "token"), (numbers, "number")):
        found = np.frombuffer(values, np.int64).copy()
        found.sort()
        if (repeated := np.flatnonzero(found[1:] == found[:-1])).size:
            told = f" {found[int(repeated[0])]:,}" if what == "number" else ""
            raise FormatError(f"{file.path}: a {what}{told} stands twice")
    largest = int(found[-1])
    if largest < n_vocab:
        return []
    return [f"{quote(file.path.name)} numbers tokens up to {largest:,}, but n_vocab is {n_vocab:,}"]


def _check_json(file: SourceFile, name: str, head: bytes, allowance: Allowance) -> None:
    place = str(file.path)
    end = file.read(max(0, file.size - _HEAD), min(file.size, _HEAD), "the end")
    first, last = head.lstrip()[:1], end.rstrip()[-1:]
    if first + last not in (b"{}", b"[]"):
        raise FormatError(f"{place}: not JSON: it starts with {first!r} and ends with {last!r}")
    if file.size <= _MAX_SCANNED and allowance.tokens:
        text = file.read(0, file.size, "the file").removeprefix(codecs.BOM_UTF8)
        check_json(text, place, allowance)
        if name == "tokenizer.json" and b'"model"' not in text:
            raise FormatError(f"{place}: no tokenizer: there is no 'model' in it")


def _check_merges(file: SourceFile) -> None:
    """See that each line has two pieces; the first may be a comment, as ``#version: 0.2``."""
    _check_text(file)
    left, number = b"", 1
    # The end of what is looked at is none of a line.
    end = [b"\n"] if file.size <= _MAX_MERGES else []
    for chunk in chain(file.chunks(0, min(file.size, _MAX_MERGES), "the file"), end):
        lines, newline, left = (left + chunk).rpartition(b"\n")
        if len(left) > _MAX_LINE:
            raise FormatError(
                f"{file.path}: a line of more than {_MAX_LINE:,} bytes, where two pieces are "
                "expected"
            )
        if not newline:
            continue
        start = 0
        if number == 1 and lines.startswith(b"#"):
            start = lines.find(newline) + 1 or len(lines)
        if bad := _NO_MERGE.search(lines, start):
            raise FormatError(
                f"{file.path}: line {number + lines.count(newline, 0, bad.start()):,}: two pieces "
                "with a space between expected, found "
                f"{lines[bad.start() :].partition(newline)[0][:40]!r}"
            )
        number += lines.count(newline)


def _check_text(file: SourceFile) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in file.chunks(0, file.size, "the file"):
            if b"\0" in chunk:
                raise FormatError(f"{file.path}: a zero byte, which no text has")
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise FormatError(f"{file.path}: no text in UTF-8: {error.reason}") from None
