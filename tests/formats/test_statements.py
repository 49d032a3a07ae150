"""The files beside the weights that state a configuration, and when they count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import raws

from gpt2_convert.checkpoint.raw import RawCheckpoint, RawConfig
from gpt2_convert.errors import FormatError, SourceNotFoundError, UnsupportedError
from gpt2_convert.formats.statements import MAX_CONFIG_BYTES, read_beside, spell_config

if TYPE_CHECKING:
    from pathlib import Path


def raw(folder: Path, *configs: RawConfig) -> RawCheckpoint:
    where = str(folder / "model.x")
    return replace(raws.raw({}), where=where, configs=configs)


def test_both_files_count_and_are_listed(tmp_path: Path) -> None:
    (tmp_path / "hparams.json").write_bytes(b"{}")
    (tmp_path / "config.json").write_bytes(b'{"a": 1}')
    found = read_beside(raw(tmp_path))
    assert [(config.where, config.text) for config in found.configs] == [
        (str(tmp_path / "hparams.json"), b"{}"),
        (str(tmp_path / "config.json"), b'{"a": 1}'),
    ]
    assert [(file.path, file.nbytes) for file in found.files] == [
        (str(tmp_path / "hparams.json"), 2),
        (str(tmp_path / "config.json"), 8),
    ]
    assert not any(config.complete for config in found.configs)


def test_beside_a_file_that_states_its_own_they_count_only_where_the_folder_was_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    own = RawConfig("own", b"{}", complete=True)
    assert read_beside(raw(tmp_path, own)).configs == (own,)
    # One that was converted as it is says nothing of the model.
    as_is = RawConfig("own", b"{}", complete=True, as_is=True)
    assert len(read_beside(raw(tmp_path, as_is)).configs) == 2
    first, second = read_beside(replace(raw(tmp_path, own), folder_named=True)).configs
    assert first == own
    assert second.where == str(tmp_path / "config.json")


def test_what_is_there_and_cannot_be_read_is_a_fault_and_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.symlink_to("nowhere")
    found = read_beside(raw(tmp_path))
    (fault,) = found.faults
    assert isinstance(fault, SourceNotFoundError)
    assert str(fault) == f"{path}: a link that leads nowhere"
    assert [(file.path, file.nbytes) for file in found.files] == [(str(path), None)]
    path.unlink()
    path.write_bytes(b" " * (MAX_CONFIG_BYTES + 1))
    (fault,) = read_beside(raw(tmp_path)).faults
    assert isinstance(fault, FormatError)
    assert str(fault) == f"{path}: 1,048,577 bytes, where at most 1,048,576 make sense"


def test_a_config_is_spelled_a_field_a_line_in_its_own_order_or_sorted() -> None:
    fields = {"b": 1, "a": {"é": [None]}}
    text = b'{\n  "b": 1,\n  "a": {\n    "\\u00e9": [\n      null\n    ]\n  }\n}\n'
    assert spell_config(fields, "x") == text
    assert spell_config({"b": 1, "a": 2}, "x", sort_keys=True) == b'{\n  "a": 2,\n  "b": 1\n}\n'


def test_a_config_that_no_reader_would_take_is_refused() -> None:
    room = MAX_CONFIG_BYTES - len(spell_config({"a": ""}, "x"))
    assert len(spell_config({"a": room * "a"}, "x")) == MAX_CONFIG_BYTES
    with pytest.raises(UnsupportedError, match=r"^x: its configuration takes 1,048,577 bytes as "):
        spell_config({"a": (room + 1) * "a"}, "x")
