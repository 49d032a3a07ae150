"""The safetensors library as witness: what it reads differently is an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.safetensors_files import ONE, encode, entry

import gpt2_convert
from gpt2_convert.formats.huggingface.reader import open_written
from gpt2_convert.formats.safetensors import cross_check
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


WRITTEN = {"__metadata__": {"k": "v"}, "a": entry(0, 1), "e": entry(1, 1), "b": entry(1, 4)}


def test_the_library_confirms_what_we_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode(WRITTEN))
    with open_written(path) as raw:
        assert len(raw.tensors) == 3


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda text: text.replace('"a"', '"z"'), "'a'"),
        (lambda text: text.replace('"U8"', '"I8"', 1), "'a'"),
        (lambda text: text.replace("[3]", "[3,1]"), "'b'"),
        (lambda text: text.replace('"e"', '"f"'), "'e'"),
        (lambda text: text.replace('"v"', '"w"'), "metadata"),
    ],
    ids=["name", "dtype", "shape", "empty", "metadata"],
)
def test_a_header_that_the_library_reads_differently_is_an_error(
    change: Callable[[str], str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    path.write_bytes(encode(WRITTEN))
    other.write_bytes(encode(change(json.dumps(WRITTEN))))
    monkeypatch.setattr(cross_check, "SourceFile", lambda _: SourceFile(other))
    with pytest.raises(gpt2_convert.FormatError, match=f"x.safetensors.*{word}"):
        cross_check.confirm(path)


def test_another_order_than_the_library_finds_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    path.write_bytes(encode({"a": entry(0, 2), "b": entry(2, 4)}))
    other.write_bytes(encode({"b": entry(0, 2), "a": entry(2, 4)}))
    monkeypatch.setattr(cross_check, "SourceFile", lambda _: SourceFile(other))
    with pytest.raises(gpt2_convert.FormatError, match="another order"):
        cross_check.confirm(path)


def test_a_file_that_the_library_refuses_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, good = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    path.write_bytes(encode(ONE, b""))
    good.write_bytes(encode(ONE))
    monkeypatch.setattr(cross_check, "SourceFile", lambda _: SourceFile(good))
    with pytest.raises(gpt2_convert.FormatError, match="the safetensors library refuses it"):
        cross_check.confirm(path)
