"""Each byte has one visible character, the one that the tokenizers library gives it."""

from __future__ import annotations

import pytest
from tokenizers import decoders, pre_tokenizers

from gpt2_convert.tokenizer.byte_level import SPELLED, find_missing, read_bytes


def test_every_character_of_a_text_is_spelled_as_the_library_spells_it() -> None:
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    # Each byte that UTF-8 has stands in one of these.
    text = "".join(
        map(chr, [*range(0x800), *range(0x800, 0xD800, 7), *range(0x10000, 0x110000, 4093)])
    )
    ((expected, _),) = spell.pre_tokenize_str(text)
    assert "".join(SPELLED[byte] for byte in text.encode()) == expected
    assert len(set(SPELLED)) == 256
    assert set(SPELLED) == set(pre_tokenizers.ByteLevel.alphabet())


def test_a_token_is_read_as_the_library_reads_it() -> None:
    decoder = decoders.ByteLevel()
    for token in ("Ġall", "ĠÃ©", "<|endoftext|>", "日本", "<日>", "Ġ日", "a b", "Ã", ""):
        assert read_bytes(token).decode(errors="replace") == decoder.decode([token])
    assert read_bytes("".join(SPELLED)) == bytes(range(256))


@pytest.mark.parametrize(
    ("text", "lacks", "said"),
    [
        ("abc", "", None),
        ("", "abc", None),
        ("a c", "Ġ", "the byte 0x20 ('Ġ')"),
        ("naïve", "¯", "the byte 0xAF ('¯'), a part of 'ï'"),
        ("\n", "Ċ", "the byte 0x0A ('Ċ')"),
    ],
)
def test_the_first_byte_that_is_missing_is_named(text: str, lacks: str, said: str | None) -> None:
    assert find_missing(text, lambda token: token not in lacks) == said
