"""What files say is what is applied, and no more; what they contradict each other in is refused."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.tokenizer_files import END, TEXTS, alphabet, train, write_pair
from tokenizers import ByteLevelBPETokenizer, Tokenizer

from gpt2_convert.errors import FormatError, UnsupportedError
from gpt2_convert.tokenizer.build import NO_TOKEN, build_tokenizer
from gpt2_convert.tokenizer.locate import find_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

OPENAI = ("encoder.json", "vocab.bpe")
CUSTOM = {char: number * 3 + 1 for number, char in enumerate(reversed(alphabet()))} | {"he": 0}
"""Ids in another order than the tokens, and with holes."""


def build(path: Path) -> Tokenizer:
    return build_tokenizer(find_tokenizer(path))


def save(folder: Path, **parts: Any) -> Path:  # noqa: ANN401
    """Write the tokenizer.json of a small byte-level BPE with other parts than the library's."""
    vocabulary, merges = train()
    tokenizer = ByteLevelBPETokenizer(vocabulary, merges)
    tokenizer.add_special_tokens([END])
    document = json.loads(tokenizer.to_str())
    document["model"] |= parts.pop("model", {})
    (folder / "tokenizer.json").write_text(json.dumps({**document, **parts}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("names", [OPENAI, ("vocab.json", "merges.txt")])
def test_a_pair_gives_what_the_library_trained(names: tuple[str, str], tmp_path: Path) -> None:
    vocabulary, merges = train()
    found = build(write_pair(tmp_path, vocabulary, merges, names))
    expected = ByteLevelBPETokenizer(vocabulary, merges)
    for text in TEXTS:
        ids = expected.encode(text.replace(END, "")).ids
        assert found.encode(text.replace(END, "")).ids == ids
        assert found.decode(ids) == text.replace(END, "")


def test_merges_apply_as_they_stand(tmp_path: Path) -> None:
    # "abc" is a token; only "ab" and "c" are ever merged to it.
    vocabulary = {"a": 0, "b": 1, "c": 2, "bc": 3, "ab": 4, "abc": 5}
    both = [("b", "c"), ("ab", "c"), ("a", "b")]
    assert build(write_pair(tmp_path / "1", vocabulary, both)).encode("abc").ids == [0, 3]
    assert build(write_pair(tmp_path / "2", vocabulary, both[::-1])).encode("abc").ids == [5]


def test_ids_may_come_in_any_order_and_have_holes(tmp_path: Path) -> None:
    found = build(write_pair(tmp_path, CUSTOM, [("h", "e")]))
    assert found.encode("hex").ids == [0, CUSTOM["x"]]
    assert found.decode([0, CUSTOM["Ġ"], CUSTOM["x"]]) == "he x"
    assert found.get_vocab() == CUSTOM


def test_added_tokens_have_the_ids_that_are_stated_and_not_the_next(tmp_path: Path) -> None:
    write_pair(tmp_path, CUSTOM, [("h", "e")])
    (tmp_path / "added_tokens.json").write_text('{"<x>": 5000, "<y>": 4000}')
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": "<y>"}')
    found = build(tmp_path)
    assert found.encode("<x><y>he").ids == [5000, 4000, 0]
    assert found.decode([5000, 4000, 0], skip_special_tokens=True) == "<x>he"


def test_a_space_goes_in_front_if_the_folder_says_so(tmp_path: Path) -> None:
    write_pair(tmp_path, CUSTOM, [("h", "e")])
    assert build(tmp_path).encode("he").ids == [0]
    (tmp_path / "tokenizer_config.json").write_text('{"add_prefix_space": true}')
    assert build(tmp_path).encode("he").ids == [CUSTOM["Ġ"], 0]


def test_texts_are_neither_cut_nor_padded_and_merges_not_left_out(tmp_path: Path) -> None:
    plain = Tokenizer.from_file(str(save(tmp_path) / "tokenizer.json"))
    save(
        tmp_path,
        truncation={
            "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0,
        },
        padding={
            "strategy": {"Fixed": 50}, "direction": "Left", "pad_to_multiple_of": None,
            "pad_id": 7, "pad_type_id": 0, "pad_token": "x",
        },
        model={"dropout": 0.9},
    )  # fmt: skip
    found = build(tmp_path)
    for text in TEXTS:
        assert found.encode(text).ids == plain.encode(text).ids


@pytest.mark.parametrize("kind", ["pair", "document"])
def test_what_the_vocabulary_lacks_is_an_error_and_not_dropped(kind: str, tmp_path: Path) -> None:
    vocabulary = {"a": 0, "b": 1, NO_TOKEN: 2, "<|endoftext|>": 3}
    if kind == "pair":
        found = build(write_pair(tmp_path, vocabulary, []))
    else:
        found = build(save(tmp_path, added_tokens=[], model={"vocab": vocabulary, "merges": []}))
    assert found.encode("abba").ids == [0, 1, 1, 0]
    with pytest.raises(Exception, match=NO_TOKEN):
        found.encode("abc")


def test_a_document_s_own_unknown_token_stays(tmp_path: Path) -> None:
    save(
        tmp_path,
        added_tokens=[],
        model={"vocab": {"a": 0, "<unk>": 1}, "merges": [], "unk_token": "<unk>"},
    )
    assert build(tmp_path).encode("ab").ids == [0, 1]


def test_files_that_say_the_same_may_lie_side_by_side(tmp_path: Path) -> None:
    vocabulary, merges = train()
    save(write_pair(write_pair(tmp_path, vocabulary, merges), vocabulary, merges, OPENAI))
    expected = build(tmp_path).encode(TEXTS[0]).ids
    (tmp_path / "tokenizer.json").unlink()
    assert build(tmp_path).encode(TEXTS[0]).ids == expected
    # A merge that stands twice counts where it stands last.
    write_pair(tmp_path, vocabulary, [merges[5], *merges])
    assert build(tmp_path).encode(TEXTS[0]).ids == expected


@pytest.mark.parametrize("first", ["tokenizer.json", "vocab.json"])
def test_files_that_contradict_each_other_are_refused(first: str, tmp_path: Path) -> None:
    vocabulary, merges = train()
    if first == "tokenizer.json":
        save(tmp_path)
    else:
        write_pair(tmp_path, vocabulary, merges)
    advice = "; name the file that is to be used, or remove the other"
    token, number = "he", vocabulary["he"]

    write_pair(tmp_path, vocabulary | {"zz": 5000}, merges, OPENAI)
    with pytest.raises(FormatError) as caught:
        build(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'encoder.json'}: 'zz' is 5,000, but no token in {first}{advice}"
    )
    write_pair(tmp_path, vocabulary | {token: 5000}, merges, OPENAI)
    with pytest.raises(FormatError) as caught:
        build(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'encoder.json'}: {token!r} is 5,000, but {number} in {first}{advice}"
    )
    write_pair(tmp_path, vocabulary, merges[::-1], OPENAI)
    with pytest.raises(FormatError) as caught:
        build(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'vocab.bpe'}: other merges than {first} has{advice}"
    # Which one is meant can be said.
    assert build(tmp_path / first).encode("he").ids != []


@pytest.mark.parametrize(
    ("added", "reason"),
    [
        ({"id": 999}, "the added token '<x>' has the id 999, but the tokenizers library gives it"),
        ({"id": 1, "content": "!"}, None),
        ({"id": 0, "content": "!"}, "two tokens have the id 0: '<|endoftext|>' and '!'"),
    ],
)
def test_an_added_token_has_the_id_that_is_stated_or_is_refused(
    added: dict[str, Any], reason: str | None, tmp_path: Path
) -> None:
    traits = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    save(tmp_path, added_tokens=[{"content": "<x>", **traits, **added}])
    if reason is None:
        assert build(tmp_path).encode("!").ids == [1]
    else:
        with pytest.raises(FormatError) as caught:
            build(tmp_path)
        assert reason in str(caught.value)


def test_what_only_the_library_finds_wrong_is_one_line(tmp_path: Path) -> None:
    save(tmp_path, decoder={"type": "No\nSuch"})
    with pytest.raises(FormatError) as caught:
        build(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/tokenizer.json: the tokenizers library says ")
    assert len(str(caught.value).splitlines()) == 1


def test_without_the_library_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizer.json").write_text("no JSON")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UnsupportedError, match="pip install"):
        build(tmp_path)


def test_openai_s_own_files_agree_with_what_is_made_of_them(
    shared_data: Path, tmp_path: Path
) -> None:
    for name in OPENAI:
        shutil.copy(shared_data / "openai-124M-index" / name, tmp_path)
    build(tmp_path).save(str(tmp_path / "tokenizer.json"))
    assert build(tmp_path).encode("Not all heroes").ids == [3673, 477, 10281]
