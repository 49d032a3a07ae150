"""Raw checkpoints: what a source states is parsed when asked for, and what is open gets closed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import raws

from gpt2_convert.checkpoint.raw import RawConfig, Skipped, describe_skipped
from gpt2_convert.errors import FormatError


class File:
    """Something open, that can fail to close."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_config_is_the_object_that_its_text_says() -> None:
    config = RawConfig("x/config.json", b'{"n_head": 12, "a": [null, true, 0.5], "b": {"c": ""}}')
    assert config.fields() == {"n_head": 12, "a": [None, True, 0.5], "b": {"c": ""}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[12]", "a JSON object expected, found list"),
        (b"", "not JSON "),
        (b'{"n_head": 1, "n_head": 2}', "the key 'n_head' stands twice"),
        (b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}", "nested too deeply"),
    ],
)
def test_a_config_that_is_none_is_refused_only_when_it_is_asked_for(
    text: bytes, message: str
) -> None:
    config = RawConfig("x/config.json", text)
    with pytest.raises(FormatError) as caught:
        config.fields()
    assert str(caught.value).startswith("x/config.json: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_every_file_is_closed_with_the_checkpoint_even_after_an_error() -> None:
    files = File(), File()
    raw = replace(raws.raw({"x": np.zeros(1)}), open_files=files)
    with raw as entered:
        assert entered is raw
        assert [file.closed for file in files] == [0, 0]
    assert [file.closed for file in files] == [1, 1]
    with pytest.raises(LookupError), raw:
        raise LookupError
    assert [file.closed for file in files] == [2, 2]


def test_a_checkpoint_keeps_the_order_and_the_repetitions_of_its_container() -> None:
    pairs = [(name, np.zeros(1)) for name in ("b", "a", "b")]
    assert [tensor.name for tensor in raws.raw(pairs).tensors] == ["b", "a", "b"]


def test_what_was_skipped_has_a_note_for_each_reason_and_not_too_many() -> None:
    skipped = [Skipped("a", "a string"), Skipped("b", "a link"), Skipped("c", "a string")]
    assert describe_skipped(skipped) == ("skipped 'a', 'c': a string", "skipped 'b': a link")
    many = [Skipped(str(number), f"{number} bytes") for number in range(5000)]
    notes = describe_skipped(many)
    assert len(notes) == 9
    assert notes[-1] == "skipped 4,992 more, which are no tensors either"
    assert max(map(len, describe_skipped([Skipped("x" * 9999, "a string")] * 999))) < 500
