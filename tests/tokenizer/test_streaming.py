"""Text that comes in pieces is, joined, the text at once, and each piece is whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tokenizer_files import TEXTS, alphabet
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from gpt2_convert.tokenizer.byte_level import SPELLED
from gpt2_convert.tokenizer.streaming import decode_bytes, decode_windows

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = [
    "▁Hello",
    "▁",
    "wor",
    "ld",
    "##ld",
    "##.",
    ".",
    "'",
    "s",
    "日",
    "本</w>",
    "a</w>",
    " b ",
    "�",
]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
TOKENS = [*WORDS, *BYTES]
DECODERS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "WordPiece": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "Metaspace": {
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True,
    },
    "BPEDecoder": {"type": "BPEDecoder", "suffix": "</w>"},
    "Llama's": {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    },
    "byte level within": {
        "type": "Sequence",
        "decoders": [
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
        ],
    },
}  # fmt: skip


def make(decoder: dict[str, Any] | None) -> Tokenizer:
    tokens = list(dict.fromkeys([*TOKENS, *alphabet()]))
    model = models.WordLevel({token: number for number, token in enumerate(tokens)}, unk_token=".")  # noqa: S106
    document = json.loads(Tokenizer(model).to_str())
    return Tokenizer.from_str(json.dumps({**document, "decoder": decoder}))


def stream(tokenizer: Tokenizer, ids: list[int]) -> Iterator[str]:
    tokens = ((number, tokenizer.id_to_token(number)) for number in ids)
    return decode_windows(tokens, lambda window: tokenizer.decode(window, False))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(alphabet()), max_size=12), st.lists(st.binary(max_size=4)))
def test_bytes_in_any_order_join_to_what_the_library_decodes_at_once(
    singles: list[str], pieces: list[bytes]
) -> None:
    tokens = [*singles, *("".join(SPELLED[byte] for byte in piece) for piece in pieces)]
    assert "".join(decode_bytes(tokens)) == decoders.ByteLevel().decode(tokens)


@pytest.mark.parametrize("text", TEXTS)
def test_a_character_comes_when_its_last_byte_does(text: str) -> None:
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokens = list(spell.pre_tokenize_str(text)[0][0]) if text else []
    assert len(tokens) == len(text.encode())
    assert list(decode_bytes(tokens)) == list(text)


def test_what_never_ends_is_replaced_at_the_end() -> None:
    assert list(decode_bytes(["a", "ð", "Ł", "ĺ"])) == ["a", "�"]
    assert list(decode_bytes(["ð", "a", "Ł"])) == ["�a", "�"]
    assert list(decode_bytes([])) == []


def test_text_comes_before_the_next_token_is_asked_for() -> None:
    seen: list[str] = []

    def produce() -> Iterator[str]:
        for token in ("Not", "Ġall", "Ã", "©"):
            yield token
            seen.append(token)

    pieces = decode_bytes(produce())
    assert (next(pieces), seen) == ("Not", [])
    assert (next(pieces), seen) == (" all", ["Not"])
    assert (next(pieces), seen) == ("é", ["Not", "Ġall", "Ã"])


@pytest.mark.parametrize("name", DECODERS)
@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_pieces_of_any_decoder_join_to_its_text_at_once(name: str, data: st.DataObject) -> None:
    tokenizer = make(DECODERS[name])
    choice = st.sampled_from([*WORDS, *alphabet()]) if "level" in name else st.sampled_from(TOKENS)
    ids = [tokenizer.token_to_id(token) for token in data.draw(st.lists(choice, max_size=12))]
    assert "".join(stream(tokenizer, ids)) == tokenizer.decode(ids, False)


@pytest.mark.parametrize(
    ("name", "tokens", "pieces"),
    [
        ("WordPiece", ["wor", "##ld", ".", "s"], ["wor", "ld", ".", " s"]),
        ("Metaspace", ["▁Hello", "▁", "wor", "ld"], ["Hello", " ", "wor", "ld"]),
        ("Llama's", ["▁Hello", "<0xC3>", "<0xA9>", "s"], ["Hello", "és"]),
        ("Llama's", ["▁Hello", "<0xC3>", "s", "<0xC3>"], ["Hello", "�s", "�"]),
        ("BPEDecoder", ["a</w>", "wor", "a</w>"], ["a", " wor", "a"]),
        ("byte level within", ["a", "Ã", "©", "Ã"], ["a", "é", "�"]),
        ("none", ["a</w>", "日"], ["a</w>", " 日"]),
    ],
)
def test_a_piece_comes_as_soon_as_it_is_whole(
    name: str, tokens: list[str], pieces: list[str]
) -> None:
    tokenizer = make(DECODERS[name])
    assert list(stream(tokenizer, [tokenizer.token_to_id(token) for token in tokens])) == pieces
