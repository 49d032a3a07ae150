"""What a file beside the weights is, told by name and bytes, and whether it can be that."""

from __future__ import annotations

import json
import os
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save as save_safetensors

from gpt2_convert.errors import FormatError
from gpt2_convert.formats import companion_kinds
from gpt2_convert.formats.companion_kinds import (
    check_contents,
    find_reason_to_leave,
    is_replaceable,
)
from gpt2_convert.io.json_scan import Allowance
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path


def check(path: Path, data: bytes, n_vocab: int = 100) -> list[str]:
    path.write_bytes(data)
    file = SourceFile(path)
    try:
        return check_contents(file, n_vocab)
    finally:
        file.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("PYTORCH_MODEL.BIN", "weights in another container"),
        ("model.safetensors.bak", "weights in another container"),
        ("model.onnx_data", "weights in another container"),
        ("optimizer", "a trainer's state"),
        ("trainer_log.jsonl", "a trainer's state"),
        ("model.tar.gz", "an archive"),
        ("vocab.json.partial", "an unfinished file"),
        ("Vocab.json", None),
        ("README.md", None),
    ],
)
def test_a_name_tells_without_regard_to_case(name: str, reason: str | None, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    assert find_reason_to_leave(tmp_path / name) == reason


@pytest.mark.parametrize("kind", ["pickle", "safetensors", "npy", "GGUF", "HDF5", "zip"])
def test_weights_are_told_by_their_bytes_whatever_they_are_called(
    kind: str, tmp_path: Path
) -> None:
    array = np.zeros(3, np.float32)
    np.save(tmp_path / "x.npy", array)
    data = {
        "pickle": pickle.dumps({"wte": [1.0]}, protocol=2),
        "safetensors": save_safetensors({"wte": array}),
        "npy": (tmp_path / "x.npy").read_bytes(),
        "GGUF": b"GGUF\x03\0\0\0",
        "HDF5": b"\x89HDF\r\n\x1a\n\0",
        "zip": b"PK\x03\x04\x14\0",
    }[kind]
    (tmp_path / "weights").write_bytes(data)
    assert find_reason_to_leave(tmp_path / "weights") == "weights in another container"


def test_what_cannot_be_looked_at_travels_so_that_it_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("loop", "dangling", "pipe"):
        assert find_reason_to_leave(tmp_path / name) is None
    (tmp_path / "vocab.json").mkdir()
    assert find_reason_to_leave(tmp_path / "vocab.json") == "a folder"


@pytest.mark.parametrize("name", ["merges.txt", "vocab.bpe", "MERGES.TXT"])
def test_merges_have_two_pieces_a_line(name: str, tmp_path: Path) -> None:
    assert check(tmp_path / name, "#version: 0.2\nĠ t\nh e\n".encode()) == []
    assert check(tmp_path / name, b"a b\r\nc d\r\n\r\n") == []
    assert check(tmp_path / name, b"#version: 0.2") == []
    assert check(tmp_path / name, b"a b") == []
    for bad in (b"a b c\n", b"ab\n", b"a b\n#x\n"):
        with pytest.raises(FormatError, match="two pieces with a space between expected"):
            check(tmp_path / name, bad)


def test_a_vocabulary_has_each_token_and_each_number_once(tmp_path: Path) -> None:
    path = tmp_path / "vocab.json"
    assert check(path, json.dumps({f"t{n}": n for n in range(100)}).encode()) == []
    assert check(path, b'{"a": 0, "b": 100}') == [
        "'vocab.json' numbers tokens up to 100, but n_vocab is 100"
    ]
    for data, expected in (
        (b'{"a": 0, "\\u0061": 1}', "a token stands twice"),
        (b'{"a": 7, "b": 7}', "a number 7 stands twice"),
        (b"{}", "a vocabulary without tokens"),
    ):
        with pytest.raises(FormatError, match=expected):
            check(path, data)


@pytest.mark.parametrize(
    "name", ["x.json", "x.txt", "x.jinja", "x.py", "x.tiktoken", "spiece.model", "x.data", "x"]
)
@pytest.mark.parametrize(
    "page",
    [b"<!DOCTYPE html><p>", b"\xef\xbb\xbf <HTML>", b" " * 300 + b"<?xml?>", b"404: Not Found"],
)
def test_a_page_in_the_place_of_a_file_is_refused(name: str, page: bytes, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="fetch it again"):
        check(tmp_path / name, page)


def test_code_may_be_empty_and_hold_any_bytes(tmp_path: Path) -> None:
    assert check(tmp_path / "__init__.py", b"") == []
    assert check(tmp_path / "modeling_own.py", b"\0\xff") == []


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "page.html"])
def test_prose_may_begin_with_a_bracket(name: str, tmp_path: Path) -> None:
    assert check(tmp_path / name, b"<p align=center>") == []
    assert check(tmp_path / name, b"<!-- x -->") == []


def test_a_sentencepiece_model_begins_as_its_protobuf_does(tmp_path: Path) -> None:
    assert check(tmp_path / "spiece.model", b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02") == []
    with pytest.raises(FormatError, match="no SentencePiece model"):
        check(tmp_path / "spiece.model", bytes(100))


def test_only_what_model_folders_have_may_be_replaced() -> None:
    assert is_replaceable("modeling_own.py")
    assert is_replaceable("LICENSE")
    assert not is_replaceable("LICENSE.mine")
    assert not is_replaceable("train.py")


# What would take long.


def test_a_vocabulary_has_no_more_tokens_than_any_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vocab.json"
    monkeypatch.setattr(companion_kinds, "_MAX_NUMBERED", 3)
    assert check(path, b'{"a": 0, "b": 1, "c": 2}') == []
    with pytest.raises(FormatError, match=r"vocab\.json: more than 3 tokens, which no vocabulary"):
        check(path, b'{"a": 0, "b": 1, "c": 2, "d": 3}')


def test_the_tokenizer_of_a_large_vocabulary_is_looked_at_twice(tmp_path: Path) -> None:
    # Of each a hundred thousand, twice those of OpenAI; before the copy and on the way.
    tokens = {f"token{number}": number for number in range(100_000)}
    allowance = Allowance()
    for _ in range(2):
        path = tmp_path / "vocab.json"
        path.write_text(json.dumps(tokens))
        file = SourceFile(path)
        assert check_contents(file, 100_000, allowance) == []
        file.close()
    assert allowance.tokens > 0


def test_a_vocabulary_is_looked_at_from_its_ends_where_the_allowance_is_used_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "vocab.json"
    path.write_bytes(b'{"a": 0, "a": 0}')
    file = SourceFile(path)
    allowance = Allowance(1)
    with pytest.raises(FormatError, match="a token stands twice"):
        check_contents(file, 10, allowance)
    assert allowance.tokens == 0
    assert check_contents(file, 10, allowance) == []
    file.close()


@pytest.mark.parametrize("byte", [b"a", b" "])
def test_a_line_of_merges_is_no_longer_than_a_page(tmp_path: Path, byte: bytes) -> None:
    path = tmp_path / "merges.txt"
    with pytest.raises(FormatError, match=r"merges\.txt: a line of more than 65,536 bytes"):
        check(path, b"a b\n" + byte * (3 << 20))


def test_only_the_first_megabytes_of_merges_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companion_kinds, "_MAX_MERGES", 10)
    assert check(tmp_path / "merges.txt", b"a b\nc d\ne f and more") == []
    with pytest.raises(FormatError, match="line 2: two pieces"):
        check(tmp_path / "merges.txt", b"a b\nabc\ne f and more")
