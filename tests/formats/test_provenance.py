"""What this tool's files state of their model, byte by byte, and what foreign statements are."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import bundles, raws

import gpt2_convert
from gpt2_convert import Checkpoint, HParams
from gpt2_convert.formats import provenance

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = Checkpoint(raws.raw({}), HParams(**bundles.TINY), "x/config.json", {}, dropped=())
WITH_CONFIG = replace(PLAIN, config={"n_embd": 32, "activation_function": "gelu_new"})


def test_a_zip_comment_is_the_statement_as_json() -> None:
    assert provenance.state_in_comment(PLAIN) == (
        b'{"hparams": {"n_vocab": 61, "n_ctx": 16, "n_embd": 32, "n_head": 4, "n_layer": 3}, '
        b'"source_format": "memory"}'
    )


def test_the_metadata_are_one_key_with_compact_and_sorted_json() -> None:
    assert provenance.state_in_metadata(WITH_CONFIG) == {
        "gpt2-convert": '{"config":{"activation_function":"gelu_new","n_embd":32},'
        '"hparams":{"n_ctx":16,"n_embd":32,"n_head":4,"n_layer":3,"n_vocab":61},'
        '"source_format":"memory"}'
    }


def test_attributes_are_text_and_objects_json() -> None:
    assert provenance.state_in_attributes(WITH_CONFIG) == {
        "hparams": b'{"n_vocab": 61, "n_ctx": 16, "n_embd": 32, "n_head": 4, "n_layer": 3}',
        "source_format": b"memory",
        "config": b'{"n_embd": 32, "activation_function": "gelu_new"}',
    }


def test_a_number_of_heads_that_nobody_states_is_left_out() -> None:
    headless = replace(PLAIN, hparams=replace(PLAIN.hparams, n_head=None))
    stated = json.loads(provenance.state_in_comment(headless))["hparams"]
    assert stated == {key: value for key, value in bundles.TINY.items() if key != "n_head"}


@pytest.mark.parametrize(
    ("checkpoint", "fields"), [(PLAIN, bundles.TINY), (WITH_CONFIG, WITH_CONFIG.config)]
)
def test_what_is_stated_comes_back(checkpoint: Checkpoint, fields: dict[str, object]) -> None:
    found = provenance.read_comment(provenance.state_in_comment(checkpoint), "x.npz")
    assert found is not None
    assert (found.where, found.fields()) == ("x.npz: zip comment", fields)
    (text,) = provenance.state_in_metadata(checkpoint).values()
    found = provenance.read_metadata(text, "x.safetensors")
    assert (found.where, found.fields()) == ("x.safetensors: metadata", fields)


FOREIGN = ["", "made by hand", "{}", "[]", "null", '{"hparams"', "[" * 100_000, '{"config": {}}']


@pytest.mark.parametrize("text", FOREIGN, ids=lambda text: text[:20])
def test_a_comment_of_another_program_states_nothing(text: str) -> None:
    assert provenance.read_comment(text.encode(), "x.npz") is None


@pytest.mark.parametrize("text", FOREIGN, ids=lambda text: text[:20])
def test_metadata_that_are_damaged_are_left_as_they_are(text: str) -> None:
    assert provenance.read_metadata(text, "x").text == text.encode()


@pytest.mark.parametrize(
    ("state", "room", "container"),
    [
        (provenance.state_in_comment, 65_535, "a zip comment"),
        (provenance.state_in_attributes, 65_536, "an HDF5 attribute"),
    ],
)
def test_a_config_is_stated_up_to_the_last_byte_that_there_is_room_for(
    state: Callable[[Checkpoint], bytes | dict[str, bytes]], room: int, container: str
) -> None:
    def longest(length: int) -> int:
        stated = state(replace(PLAIN, config={"n_embd": 32, "essay": "x" * length}))
        return len(stated) if isinstance(stated, bytes) else max(map(len, stated.values()))

    spare = room - longest(1_000) + 1_000
    assert longest(spare) == room
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        longest(spare + 1)
    message = str(caught.value)
    assert message.startswith(f"x/config.json: takes {room + 1:,} bytes as JSON, and {container} ")
    assert f"its largest field is 'essay' ({spare + 3:,} bytes)" in message
