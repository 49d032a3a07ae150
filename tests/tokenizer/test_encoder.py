"""Text to ids and back: the ids of OpenAI's own encoder, and no id or character lost on the way."""

from __future__ import annotations

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tokenizer_files import END, TEXTS, alphabet, load_tiktoken, train, write_pair
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from gpt2_convert.api.encoder import load_encoder
from gpt2_convert.errors import FormatError, UnsupportedError, UsageError
from gpt2_convert.tokenizer.byte_level import SPELLED

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert.tokenizer.encoder import Encoder

HEROES = "Not all heroes wear capes."
ANY_TEXT = st.text() | st.lists(
    st.sampled_from(
        [END, "'s", "'LL", "don't", " ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u200d",
         "a", "Z", "é", "日", "\u0661", "½", "_", "...", "\0", "🎉", "e\u0301", "Ġ", "\U0010ffff"]
    )
    | st.text(max_size=3)
).map("".join)  # fmt: skip
"""Texts of any characters, and of those that OpenAI's pattern tells apart."""
STRINGS, EXAMPLES = 200, 100
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""What is a word, in OpenAI's src/encoder.py."""


@pytest.fixture(scope="module")
def openai(shared_data: Path) -> Encoder:
    return load_encoder(shared_data / "openai-124M-index")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(write_pair(tmp_path_factory.mktemp("trained"), *train()))


def save(folder: Path, model: models.Model, **parts: Any) -> Encoder:  # noqa: ANN401
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.save(str(folder / "tokenizer.json"))
    return load_encoder(folder)


# OpenAI's.


def test_the_cells_of_the_notebook_that_explains_picogpt(openai: Encoder) -> None:
    ids = openai.encode(HEROES)
    assert ids == [3673, 477, 10281, 5806, 1451, 274, 13]
    assert openai.decode(ids) == HEROES
    assert [openai.decoder[number] for number in ids] == [
        "Not", "Ġall", "Ġheroes", "Ġwear", "Ġcap", "es", ".",
    ]  # fmt: skip
    assert len(openai.encoder) == 50257
    assert openai.end_of_text == 50256


def test_tokens_and_ids_are_those_of_the_file(openai: Encoder, shared_data: Path) -> None:
    text = (shared_data / "openai-124M-index" / "encoder.json").read_text(encoding="utf-8")
    assert openai.encoder == json.loads(text)
    assert list(openai.encoder.values()) == list(range(50257))
    assert openai.decoder == dict(enumerate(openai.encoder))


@pytest.mark.slow
def test_every_text_has_the_ids_that_openai_s_own_program_gives_it(
    openai: Encoder, shared_data: Path
) -> None:
    judge = load_tiktoken(shared_data / "openai-124M-index")
    seen = 0

    @settings(derandomize=True, deadline=None, max_examples=EXAMPLES, database=None)
    @given(st.lists(ANY_TEXT, min_size=STRINGS, max_size=STRINGS))
    def compare(texts: list[str]) -> None:
        nonlocal seen
        seen += len(texts)
        for text in texts:
            ids = judge.encode_ordinary(text)
            assert openai.encode(text) == ids
            assert openai.encode(text, allow_special=True) == judge.encode(
                text, allowed_special="all"
            )
            assert openai.decode(ids) == text

    compare()
    assert seen >= 20_000


@pytest.mark.slow
def test_every_character_has_the_ids_that_openai_s_own_program_gives_it(
    openai: Encoder, shared_data: Path
) -> None:
    # The two have different libraries, and versions of Unicode, to tell letters from other signs.
    judge = load_tiktoken(shared_data / "openai-124M-index")
    characters = [chr(point) for point in (*range(0xD800), *range(0xE000, 0x110000))]
    for start in range(0, len(characters), 64):
        text = "".join(
            f"a{char}b {char}{char}1  {char} " for char in characters[start : start + 64]
        )
        assert openai.encode(text) == judge.encode_ordinary(text)


@settings(deadline=None)
@given(ids=st.lists(st.integers(0, 50256), max_size=20))
def test_any_ids_decode_to_what_openai_s_own_program_says(
    openai: Encoder, shared_data: Path, ids: list[int]
) -> None:
    judge = load_tiktoken_once(shared_data)
    expected = judge.decode(ids)
    assert openai.decode(ids) == expected
    assert "".join(openai.decode_each(ids)) == expected


_judges: dict[Path, Any] = {}


def load_tiktoken_once(shared_data: Path) -> Any:  # noqa: ANN401
    if shared_data not in _judges:
        _judges[shared_data] = load_tiktoken(shared_data / "openai-124M-index")
    return _judges[shared_data]


def test_a_trained_model_s_texts_have_the_ids_that_stand_beside_it(shared_data: Path) -> None:
    folder = shared_data / "hf-aitextgen-dangus"
    encoder = load_encoder(folder / "aitextgen.tokenizer.json")
    reference = json.loads((folder / "reference" / "texts.json").read_text(encoding="utf-8"))
    assert len(reference["texts"]) == 2
    for text, ids in zip(reference["texts"], reference["ids"], strict=True):
        assert encoder.encode(text) == ids
        assert encoder.decode(ids) == text
    assert encoder.end_of_text == 0


# Any other.


def merge(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Return the tokens of a word, by the definition of byte pair encoding and as slowly."""
    parts = list(word)
    while known := [pair for pair in pairwise(parts) if pair in ranks]:
        first, second = min(known, key=ranks.__getitem__)
        merged: list[str] = []
        for part in parts:
            if merged and (merged[-1], part) == (first, second):
                merged[-1:] = [first + second]
            else:
                merged.append(part)
        parts = merged
    return parts


@settings(deadline=None)
@given(text=ANY_TEXT | st.text("aelnorstw <|>'", max_size=60))
def test_merges_apply_by_their_rank_within_the_words_of_openai_s_pattern(
    trained: Encoder, text: str
) -> None:
    vocabulary, merges = train()
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    expected = [
        vocabulary[token]
        for word in regex.findall(PATTERN, text)
        for token in merge("".join(SPELLED[byte] for byte in word.encode()), ranks)
    ]
    assert trained.encode(text) == expected


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_a_text_comes_back_and_its_pieces_are_whole(trained: Encoder, text: str) -> None:
    ids = trained.encode(text)
    assert trained.decode(ids) == text
    pieces = list(trained.decode_each(iter(ids)))
    assert "".join(pieces) == text
    assert all(pieces)


@pytest.mark.parametrize("text", [END, f"a{END}b", f" {END}{END} ", END.upper(), END[:-1]])
def test_a_special_token_is_text_unless_it_is_allowed(trained: Encoder, text: str) -> None:
    number = trained.end_of_text
    assert number is not None
    plain = trained.encode(text)
    assert number not in plain
    assert plain == trained.encode(text, allow_special=False)
    allowed = trained.encode(text, allow_special=True)
    assert allowed.count(number) == text.count(END)
    assert trained.decode(plain) == trained.decode(allowed) == text
    between = chain.from_iterable(trained.encode(part) for part in text.split(END))
    assert [each for each in allowed if each != number] == list(between)


def test_a_vocabulary_without_the_end_of_text_has_none(tmp_path: Path) -> None:
    encoder = load_encoder(write_pair(tmp_path, {char: n for n, char in enumerate(alphabet())}, []))
    assert encoder.end_of_text is None
    assert encoder.encode(END) == encoder.encode(END, allow_special=True)
    assert encoder.decode(encoder.encode(END)) == END


def test_nothing_is_added_that_the_text_does_not_have(tmp_path: Path) -> None:
    encoder = save(
        tmp_path,
        models.WordLevel({"[CLS]": 0, "[SEP]": 1, "a": 2}, unk_token="[SEP]"),  # noqa: S106
        post_processor=processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0)),
    )
    assert encoder.encode("a") == [2]
    assert encoder.encode("a", allow_special=True) == [2]


def test_an_empty_text_has_no_ids(trained: Encoder) -> None:
    assert trained.encode("") == []
    assert trained.decode([]) == ""
    assert list(trained.decode_each([])) == []


@pytest.mark.parametrize("ids", [(40, 41), range(40, 42), iter([40, 41]), np.array([40, 41])])
def test_ids_may_be_of_any_kind_that_is_whole_numbers(trained: Encoder, ids: Any) -> None:  # noqa: ANN401
    expected = trained.decoder[40] + trained.decoder[41]
    assert trained.decode(ids) == expected
    assert "".join(trained.decode_each(np.array([40, 41], np.uint16))) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"abc", "a text to encode is a str, found bytes"),
        (None, "a text to encode is a str, found NoneType"),
        (["a", "b"], "a text to encode is a str, found list"),
        ("ab\ud800", r"the text has half a surrogate pair, '\ud800', at character 2"),
    ],
)
def test_what_is_no_text_is_refused(trained: Encoder, text: Any, reason: str) -> None:  # noqa: ANN401
    for allow in (False, True):
        with pytest.raises(UsageError) as caught:
            trained.encode(text, allow_special=allow)
        assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ([0, 300], "no token has the id 300; the largest is 299"),
        ([-1], "no token has the id -1; the largest is 299"),
        ([1 << 32], "no token has the id 4,294,967,296; the largest is 299"),
        ([10**5000], "no token has an id of 16,610 bits; the largest is 299"),
        ([1.0], "an id is a whole number, found float"),
        (["a"], "an id is a whole number, found str"),
        ("ab", "an id is a whole number, found str"),
        ([None], "an id is a whole number, found NoneType"),
        ([[1, 2]], "an id is a whole number, found list"),
        (3, "the ids of tokens expected, found int"),
        (None, "the ids of tokens expected, found NoneType"),
    ],
)
def test_what_is_no_id_is_refused(trained: Encoder, ids: Any, reason: str) -> None:  # noqa: ANN401
    for decode in (trained.decode, lambda ids: list(trained.decode_each(ids))):
        with pytest.raises(UsageError) as caught:
            decode(ids)
        assert str(caught.value).endswith(reason)


def test_text_that_came_before_a_wrong_id_was_told(trained: Encoder) -> None:
    pieces = trained.decode_each([trained.encoder["a"], 300])
    assert next(pieces) == "a"
    with pytest.raises(UsageError, match="no token has the id 300"):
        next(pieces)


def test_an_id_in_a_hole_is_refused(tmp_path: Path) -> None:
    encoder = load_encoder(write_pair(tmp_path, {"a": 0, "b": 7}, []))
    assert encoder.decode([0, 7]) == "ab"
    assert encoder.decoder == {0: "a", 7: "b"}
    with pytest.raises(UsageError, match="no token has the id 3; the largest is 7"):
        encoder.decode([0, 3])


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("abc", "the byte 0x63 ('c')"),
        ("a b", "the byte 0x20 ('Ġ')"),
        ("aé", "the byte 0xC3 ('Ã'), a part of 'é'"),
        (f"a{END}", "the byte 0x3C ('<')"),
    ],
)
def test_a_byte_that_the_vocabulary_lacks_is_named(text: str, missing: str, tmp_path: Path) -> None:
    encoder = load_encoder(write_pair(tmp_path, {"a": 0, "b": 1, "©": 2, END: 3}, []))
    for _ in range(2):  # the library has a cache of words
        assert encoder.encode("ab") == [0, 1]
        with pytest.raises(UnsupportedError) as caught:
            encoder.encode(text)
        assert str(caught.value) == f"{tmp_path}: no token for {missing}"
    assert encoder.encode(f"a{END}", allow_special=True) == [0, 3]


def test_a_character_that_a_vocabulary_of_characters_lacks_is_an_error(tmp_path: Path) -> None:
    encoder = save(tmp_path, models.BPE({"a": 0, "b": 1}, []))
    assert encoder.encode("ab") == [0, 1]
    with pytest.raises(UnsupportedError, match=r"no token for a character of the text$"):
        encoder.encode("abc")


def test_a_text_that_the_library_refuses_is_one_line(tmp_path: Path) -> None:
    encoder = save(tmp_path, models.WordLevel({"a\n": 0}, unk_token="no\nsuch"))  # noqa: S106
    assert encoder.encode("a\n") == [0]
    with pytest.raises(FormatError) as caught:
        encoder.encode("b")
    assert str(caught.value).startswith(f"{tmp_path}: the tokenizers library says ")
    assert len(str(caught.value).splitlines()) == 1


# Of other kinds.


def wordpiece(folder: Path) -> Encoder:
    vocabulary = {"[UNK]": 0, "play": 1, "##ing": 2, ",": 3, "we": 4, "'": 5, "re": 6}
    return save(
        folder,
        models.WordPiece(vocabulary, unk_token="[UNK]"),  # noqa: S106
        normalizer=normalizers.BertNormalizer(),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        decoder=decoders.WordPiece(),
    )


def unigram(folder: Path) -> Encoder:
    pieces = [("<unk>", 0.0), ("▁", -3.0), ("▁we", -1.0), ("p", -4.0), ("lay", -2.0), (",", -2.0)]
    return save(
        folder,
        models.Unigram(pieces, 0),
        pre_tokenizer=pre_tokenizers.Metaspace(),
        decoder=decoders.Metaspace(),
    )


def test_wordpiece_is_applied_as_it_says(tmp_path: Path) -> None:
    encoder = wordpiece(tmp_path)
    ids = encoder.encode("We're playing, WE are")
    assert ids == [4, 5, 6, 1, 2, 3, 4, 0]
    assert encoder.decode(ids) == "we ' re playing, we [UNK]"
    assert list(encoder.decode_each(ids)) == [
        "we",
        " '",
        " re",
        " play",
        "ing",
        ",",
        " we",
        " [UNK]",
    ]


def test_unigram_is_applied_as_it_says(tmp_path: Path) -> None:
    encoder = unigram(tmp_path)
    ids = encoder.encode("we play, we")
    assert ids == [2, 1, 3, 4, 5, 2]
    assert encoder.decode(ids) == "we play, we"
    assert list(encoder.decode_each(ids)) == ["we", " ", "p", "lay", ",", " we"]


# As an object.


def repickle(encoder: Encoder) -> Any:  # noqa: ANN401
    return pickle.loads(pickle.dumps(encoder))  # noqa: S301


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, repickle])
def test_a_copy_and_a_pickle_encode_as_the_first(trained: Encoder, way: Any) -> None:  # noqa: ANN401
    trained.encode(END, allow_special=True)
    found = way(trained)
    for text in TEXTS:
        assert found.encode(text) == trained.encode(text)
        assert found.encode(text, allow_special=True) == trained.encode(text, allow_special=True)
    assert found.encode(END) != found.encode(END, allow_special=True)
    assert found.decoder == trained.decoder


def test_threads_may_share_one(trained: Encoder) -> None:
    jobs = [(text, allow) for text in TEXTS * 20 for allow in (True, False)]

    def work(job: tuple[str, bool]) -> list[int]:
        return trained.encode(job[0], allow_special=job[1])

    expected = [work(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, jobs)) == expected


def test_it_says_what_it_is(tmp_path: Path) -> None:
    encoder = load_encoder(write_pair(tmp_path, *train()))
    assert repr(encoder) == f"<Encoder {str(tmp_path)!r}: 300 tokens>"
