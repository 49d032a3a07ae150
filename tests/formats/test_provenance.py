"""What this tool's files state of their model, byte by byte, and what foreign statements are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import bundles, raws
from support.statements import compact, statement

import gpt2_convert
from gpt2_convert import Checkpoint, TensorCollection
from gpt2_convert.formats import provenance

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gpt2_convert.checkpoint.raw import RawConfig

PLAIN = Checkpoint(
    raw=raws.raw({}),
    config=raws.config(stated_in=dict.fromkeys(bundles.TINY, "x/config.json")),
    tensors={},
    dropped=(),
)


def carrying(document: dict[str, Any]) -> Checkpoint:
    return replace(PLAIN, config=replace(PLAIN.config, document=document))


DOCUMENT = {
    "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
    "n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 16, "tie_word_embeddings": True,
    "vocab_size": 61,
}  # fmt: skip
WITH_CONFIG = carrying({"n_embd": 32, "activation_function": "gelu_new"})
# As sha256sum prints them for the compact JSON of the other fields, keys sorted.
PLAIN_SUM = "d02e21233acf72d8df87e6eae1b71a07f2d144a5be1206c31ed3227967a18e4b"
CONFIG_SUM = "d3b8ea2974cf5f25c311e91a07ce1dc17d962b275be5b44987b0df8fddea4ad7"


def test_a_zip_comment_is_the_statement_as_json_and_ends_with_its_checksum() -> None:
    assert provenance.state_in_comment(PLAIN) == (
        b'{"hparams": {"n_vocab": 61, "n_ctx": 16, "n_embd": 32, "n_head": 4, "n_layer": 3}, '
        b'"checksum": "' + PLAIN_SUM.encode() + b'"}'
    )


def test_the_metadata_are_one_key_with_compact_and_sorted_json() -> None:
    assert provenance.state_in_metadata(WITH_CONFIG) == {
        "gpt2-convert": f'{{"checksum":"{CONFIG_SUM}",'
        f'"config":{compact(DOCUMENT)},'
        '"hparams":{"n_ctx":16,"n_embd":32,"n_head":4,"n_layer":3,"n_vocab":61}}'
    }


def test_attributes_are_text_and_objects_json() -> None:
    assert provenance.state_in_attributes(WITH_CONFIG) == {
        "hparams": b'{"n_vocab": 61, "n_ctx": 16, "n_embd": 32, "n_head": 4, "n_layer": 3}',
        "config": json.dumps(DOCUMENT).encode(),
        "checksum": CONFIG_SUM.encode(),
    }


def test_a_number_of_heads_that_nobody_states_is_left_out() -> None:
    headless = replace(PLAIN, config=replace(PLAIN.config, n_head=None))
    stated = json.loads(provenance.state_in_comment(headless))["hparams"]
    assert stated == {key: value for key, value in bundles.TINY.items() if key != "n_head"}


def test_a_width_of_the_mlp_that_the_others_do_not_imply_is_stated() -> None:
    wide = replace(PLAIN, config=replace(PLAIN.config, n_inner=64))
    stated = json.loads(provenance.state_in_comment(wide))["hparams"]
    assert stated == {**bundles.TINY, "n_inner": 64}


# What is read back.

AS_IS: dict[str, object] = {"as_is": True, "source_format": "memory"}
TAKEN = TensorCollection(raw=raws.raw({}), tensors={}, dropped=())


def sum_of(stated: dict[str, object]) -> str:
    return hashlib.sha256(compact(stated).encode()).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [{"as_is": False}, {"as_is": 1}, {"source_format": "memorz"}, {"hparams": {}}],
    ids=str,
)
def test_a_changed_statement_of_what_was_taken_as_it_is_is_damaged(
    changed: dict[str, object],
) -> None:
    stated = {**AS_IS, "checksum": sum_of(AS_IS), **changed}
    for read in READS.values():
        found = read(stated)
        assert found is not None
        with pytest.raises(gpt2_convert.FormatError, match="damaged: "):
            found.fields()


STATEMENTS = {
    "hparams": (PLAIN, statement(), bundles.TINY),
    "config": (WITH_CONFIG, statement(config=DOCUMENT), DOCUMENT),
    "as it is": (TAKEN, {**AS_IS, "checksum": sum_of(AS_IS)}, AS_IS),
}
every_statement = pytest.mark.parametrize(
    ("checkpoint", "stated", "fields"), STATEMENTS.values(), ids=STATEMENTS
)


def read_comment(stated: dict[str, Any]) -> RawConfig | None:
    return provenance.read_comment(json.dumps(stated).encode(), "x")


def read_metadata(stated: dict[str, Any]) -> RawConfig | None:
    return provenance.read_metadata({"gpt2-convert": compact(stated)}, "x")


def read_attributes(stated: dict[str, Any]) -> RawConfig | None:
    texts = {
        key: each if isinstance(each, str) else json.dumps(each) for key, each in stated.items()
    }
    return provenance.read_attributes({key: text.encode() for key, text in texts.items()}, "x")


READS = {
    "x: zip comment": read_comment,
    "x: metadata": read_metadata,
    "x: attributes": read_attributes,
}
every_reading = pytest.mark.parametrize(("place", "read"), READS.items(), ids=READS)


@every_statement
def test_what_is_stated_comes_back_and_is_complete(
    checkpoint: TensorCollection, stated: dict[str, Any], fields: dict[str, object]
) -> None:
    assert provenance.state(checkpoint) == stated
    for found, place in (
        (provenance.read_comment(provenance.state_in_comment(checkpoint), "x"), "zip comment"),
        (provenance.read_metadata(provenance.state_in_metadata(checkpoint), "x"), "metadata"),
        (provenance.read_attributes(provenance.state_in_attributes(checkpoint), "x"), "attributes"),
    ):
        assert found is not None
        assert (found.where, found.fields(), found.complete) == (f"x: {place}", fields, True)
        assert found.as_is is not isinstance(checkpoint, Checkpoint)
    assert provenance.state_config(checkpoint) == fields


@every_reading
@every_statement
def test_a_statement_of_before_there_were_checksums_is_read(
    checkpoint: TensorCollection,
    stated: dict[str, Any],
    fields: dict[str, object],
    place: str,
    read: Callable[[dict[str, Any]], RawConfig | None],
) -> None:
    found = read({key: value for key, value in stated.items() if key != "checksum"})
    assert found is not None
    assert (found.where, found.fields(), found.complete) == (place, fields, True)


@every_reading
@pytest.mark.parametrize(
    "changed",
    [
        {"source_format": "memorz"},
        {"hparams": {**bundles.TINY, "n_head": 8}},
        {"hparams": {**bundles.TINY, "n_heads": 4}},
        {"config": {**DOCUMENT, "activation_function": "gelu_mew"}},
        {"config": {**DOCUMENT, "n_embd": 32.0}},
        {"checksum": CONFIG_SUM[:-1] + "3"},
        {"checksum": ""},
    ],
    ids=str,
)
def test_a_statement_that_was_changed_does_not_match_its_checksum(
    changed: dict[str, Any], place: str, read: Callable[[dict[str, Any]], RawConfig | None]
) -> None:
    found = read({**statement(config=DOCUMENT), **changed})
    assert found is not None
    with pytest.raises(gpt2_convert.FormatError) as caught:
        found.fields()
    assert str(caught.value) == (
        f"{place}: damaged: it does not match its checksum; fetch or convert the file again"
    )


@pytest.mark.parametrize("field", ["source-format", "checksvm", "confog"])
def test_a_field_that_no_statement_has_is_damage(field: str) -> None:
    for read in (read_comment, read_metadata):
        found = read({**statement(), field: "x"})
        assert found is not None
        with pytest.raises(gpt2_convert.FormatError, match=f"damaged: '{field}', which no "):
            found.fields()


FOREIGN = ["", "made by hand", "{}", "[]", "null", "hparams", "[" * 100_000, '{"config": {}}']


@pytest.mark.parametrize("text", FOREIGN, ids=lambda text: text[:20])
def test_a_comment_of_another_program_states_nothing(text: str) -> None:
    assert provenance.read_comment(text.encode(), "x.npz") is None


@pytest.mark.parametrize(
    "text", ['{"hparams"', '"source_format"', '[{"checksum": 1}]', '~"hparams": {}}']
)
def test_a_comment_with_a_field_of_ours_that_is_no_statement_is_damaged(text: str) -> None:
    found = provenance.read_comment(text.encode(), "x.npz")
    assert found is not None
    with pytest.raises(gpt2_convert.FormatError, match=r"^x\.npz: zip comment: damaged: no state"):
        found.fields()


@pytest.mark.parametrize("text", FOREIGN, ids=lambda text: text[:20])
def test_metadata_under_our_key_are_left_as_they_are_to_fail_where_they_are_parsed(
    text: str,
) -> None:
    found = provenance.read_metadata({"gpt2-convert": text}, "x")
    assert found is not None
    assert (found.text, found.complete) == (text.encode(), False)


def test_metadata_of_another_program_state_nothing_and_ours_under_another_key_are_damaged() -> None:
    assert provenance.read_metadata({}, "x") is None
    assert provenance.read_metadata({"format": "pt", "hparams": "{}"}, "x") is None
    found = provenance.read_metadata({"gpt2-conwert": compact(statement())}, "x")
    assert found is not None
    with pytest.raises(gpt2_convert.FormatError, match=r"^x: metadata: damaged: the key "):
        found.fields()


def test_attributes_of_another_program_state_nothing() -> None:
    assert provenance.read_attributes({}, "x") is None
    assert provenance.read_attributes({"config": b"{}"}, "x") is None
    assert provenance.read_attributes({"config": None}, "x") is None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"hparams": None}, "hparams: a text expected"),
        ({"hparams": b"{}", "checksum": None}, "checksum: a text expected"),
        ({"source_format": b"npz"}, "damaged: no attribute 'hparams'"),
        ({"hparams": b"n_layer: 3"}, "not JSON"),
        ({"hparams": b"{}", "source_format": b"\xff"}, "not JSON"),
        ({"hparams": b"[" * 60_000}, "not JSON"),
    ],
    ids=str,
)
def test_attributes_that_are_no_statement_are_an_error(
    attributes: dict[str, bytes | None], expected: str
) -> None:
    found = provenance.read_attributes(attributes, "x")
    assert found is not None
    with pytest.raises(gpt2_convert.FormatError) as caught:
        found.fields()
    assert str(caught.value).startswith(f"x: attributes: {expected}")


# How much there is room for.


@pytest.mark.parametrize(
    ("state", "room", "container"),
    [
        (provenance.state_in_comment, 65_535, "a zip comment"),
        (provenance.state_in_attributes, 65_536, "an HDF5 attribute"),
        (provenance.state_in_metadata, 1 << 20, "the metadata of a safetensors file"),
    ],
)
def test_a_config_is_stated_up_to_the_last_byte_that_there_is_room_for(
    state: Callable[[Checkpoint], bytes | dict[str, bytes] | dict[str, str]],
    room: int,
    container: str,
) -> None:
    def longest(length: int) -> int:
        stated = state(carrying({"n_embd": 32, "essay": "x" * length}))
        return len(stated) if isinstance(stated, bytes) else max(map(len, stated.values()))

    spare = room - longest(1_000) + 1_000
    assert longest(spare) == room
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        longest(spare + 1)
    message = str(caught.value)
    assert message.startswith(f"x/config.json: takes {room + 1:,} bytes as JSON, and {container} ")
    assert f"its largest field is 'essay' ({spare + 3:,} bytes)" in message
    assert ("safetensors, which has room" in message) is (room < 1 << 20)


def test_metadata_of_megabytes_are_not_parsed() -> None:
    text = compact(statement(config={"essay": "x" * (1 << 20)}))
    found = provenance.read_metadata({"gpt2-convert": text}, "x")
    assert found is not None
    with pytest.raises(gpt2_convert.FormatError) as caught:
        found.fields()
    assert str(caught.value) == (
        f"x: metadata: {len(text):,} bytes, where at most 1,048,576 make sense; fetch or convert "
        "the file again"
    )
