"""Parts on which the tokenizers library breaks are refused; those that it applies are not."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from gpt2_convert.errors import FormatError
from gpt2_convert.tokenizer.components import check_components


def charsmap(size: int, table: bytes, texts: bytes) -> dict[str, Any]:
    data = base64.b64encode(struct.pack("<I", size) + table + texts).decode()
    return {"type": "Precompiled", "precompiled_charsmap": data}


SOUND: dict[str, tuple[str, dict[str, Any]]] = {
    "strip, a decoder": ("decoder", {"type": "Strip", "content": " ", "start": 1, "stop": 0}),
    "strip, a normalizer": (
        "normalizer", {"type": "Strip", "strip_left": True, "strip_right": True},
    ),
    "prepend": ("normalizer", {"type": "Prepend", "prepend": "▁"}),
    "replace": ("normalizer", {"type": "Replace", "pattern": {"String": " "}, "content": ""}),
    "length": ("pre_tokenizer", {"type": "FixedLength", "length": 2}),
    "map": ("normalizer", charsmap(1024, bytes(1024), b"abc\0")),  # a table of nothing
    "sequence": (
        "normalizer", {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Nmt"}]},
    ),
}  # fmt: skip
UNSOUND: dict[str, tuple[dict[str, Any], str]] = {
    "strip": (
        {"type": "Strip", "content": " ", "start": 0, "stop": 1},
        "Strip: it cannot take characters from the end of an empty text",
    ),
    "prepend": ({"type": "Prepend", "prepend": ""}, "Prepend: a text to prepend expected"),
    "replace": (
        {"type": "Replace", "pattern": {"Regex": ""}, "content": "x"},
        "Replace: a pattern expected, found ''",
    ),
    "length": (
        {"type": "FixedLength", "length": 0}, "FixedLength: a length of at least 1 expected",
    ),
    "a table that is too long": (
        charsmap(12, bytes(8), b""),
        "Precompiled: the character map has 12 bytes and a table of 12",
    ),
    "a table of gigabytes": (
        charsmap(0xFFFFFFFC, bytes(8), b""),
        "Precompiled: the character map has 12 bytes and a table of 4,294,967,292",
    ),
    "no table": (
        charsmap(0, b"", b""), "Precompiled: the character map has 4 bytes and a table of 0",
    ),
    "half an entry": (
        charsmap(6, bytes(8), b""), "Precompiled: the character map has 12 bytes and a table of 6",
    ),
    "texts that are none": (
        charsmap(4, bytes(4), b"\xff"), "Precompiled: no character map: 'utf-8' codec",
    ),
    "no base64": (
        {"type": "Precompiled", "precompiled_charsmap": "*"}, "Precompiled: no character map: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_what_the_library_applies_is_let_through(name: str) -> None:
    kind, part = SOUND[name]
    check_components(part, "x")
    document = json.loads(Tokenizer(models.BPE({"a": 0}, [])).to_str())
    tokenizer = Tokenizer.from_str(json.dumps({**document, kind: part}))
    for text in ("", " ", "a a", "日"):
        tokenizer.decode(tokenizer.encode(text).ids)


@pytest.mark.parametrize("name", UNSOUND)
@pytest.mark.parametrize("nested", [False, True])
def test_what_the_library_breaks_on_is_refused(name: str, nested: bool) -> None:
    part, reason = UNSOUND[name]
    if nested:
        part = {"type": "Sequence", "parts": [{"type": "NFC"}, {"of": [part]}]}
    with pytest.raises(FormatError) as caught:
        check_components(part, "a.json: decoder")
    assert str(caught.value).startswith(f"a.json: decoder: {reason}")


@pytest.mark.parametrize("part", [None, True, 3, "Strip", [], [None], {}, {"type": ["Strip"]}])
def test_what_is_no_part_is_left_to_the_library(part: object) -> None:
    check_components(part, "x")
