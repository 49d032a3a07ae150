"""Checkpoints in the V1 format: their names, and how they are told from bundles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import bundles
from support.contracts import contents, no_hang
from support.tf_v1 import save_v1_as_a_trainer, saved_slices

from gpt2_convert import FormatError, UnsupportedError
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.tensorflow import v1

if TYPE_CHECKING:
    from types import ModuleType


# How it is told from a bundle.


def test_the_v1_format_is_declined_by_name(tf: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    tf.raw_ops.Save(filename=str(path), tensor_names=["a"], data=[tf.ones(3)])
    assert tf.train.list_variables(str(path)) == [("a", [3])]
    with pytest.raises(
        UnsupportedError, match=r"in the V1 format.*; allow it with engine='tensorflow'$"
    ):
        open_raw(path, engine="native")


def test_an_index_that_lost_its_suffix_is_not_taken_for_v1(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.write_bytes((tiny / "model.ckpt.index").read_bytes())
    with pytest.raises(FormatError, match=r"its name must end in \.index"):
        open_raw(path)


def test_a_file_called_like_the_prefix_is_not_taken_for_v1(tiny: Path) -> None:
    (tiny / "model.ckpt").write_text("notes")
    assert len(contents(tiny / "model.ckpt")) == 40


# What its files are called.

NAMES = {
    "model.ckpt": "model.ckpt",
    "m-00001-of-00002": "m-?????-of-00002",
    "m-?????-of-00002": "m-?????-of-00002",
    "m-5-00000-of-00001": "m-5-?????-of-00001",
    "a\nb-00000-of-00001": "a\nb-?????-of-00001",
    "m-00000-of-00001-00000-of-00002": "m-00000-of-00001-?????-of-00002",
    # No shard's: a number of another length, no number, nothing before it, or something after it.
    "m-0000-of-00002": "m-0000-of-00002",
    "m-00000-of-000002": "m-00000-of-000002",
    "m-????-of-00002": "m-????-of-00002",
    "m-abcde-of-00002": "m-abcde-of-00002",
    "m-00000-of-?????": "m-00000-of-?????",
    "-00000-of-00001": "-00000-of-00001",
    "m-00000-of-00001.bak": "m-00000-of-00001.bak",
    "m.data-00000-of-00001": "m.data-?????-of-00001",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_shard_and_the_pattern_of_all_mean_the_same_checkpoint(name: str) -> None:
    folder = Path("/x-00000-of-00001")
    assert v1.whole_name(folder / name) == folder / NAMES[name]


def test_the_files_of_a_checkpoint_are_numbered_from_zero() -> None:
    assert v1.list_files(Path("/x/m.ckpt")) == [Path("/x/m.ckpt")]
    expected = [Path(f"/x/m-0000{number}-of-00003") for number in range(3)]
    assert v1.list_files(Path("/x/m-?????-of-00003")) == expected
    # Of any shard as of them all.
    assert v1.list_files(Path("/x/m-00002-of-00003")) == expected
    assert v1.list_files(Path("/x/m-?????-of-00000")) == []


def test_no_name_makes_a_list_of_a_hundred_thousand_files() -> None:
    assert len(v1.list_files(Path("m-?????-of-99999"))) == 1_000


def test_only_what_a_pattern_of_five_characters_or_bytes_matches_looks_like_a_shard(
    tmp_path: Path,
) -> None:
    lookalikes = [
        "m-00002-of-00002",
        "m-junk5-of-00002",
        "m-j\u00fcnk-of-00002",
        "m-a.b-c-of-00002",
    ]
    lookalikes += ["m-j\u00fcnk5-of-00002"]  # five characters, six bytes
    others = ["m-00000-of-00002", "m-00001-of-00002", "m-0000-of-00002", "m-000002-of-00002"]
    others += ["m-00000-of-00003", "n-00002-of-00002", "m-00002-of-00002.x", "m", "m-?????-of-0002"]
    for name in lookalikes + others:
        (tmp_path / name).touch()
    expected = sorted(tmp_path / name for name in lookalikes)
    assert v1.list_lookalikes(tmp_path / "m-?????-of-00002") == expected
    assert v1.list_lookalikes(tmp_path / "m") == []


def test_a_saver_s_files_have_the_names_that_are_looked_for(tf: ModuleType, tmp_path: Path) -> None:
    saved = Path(save_v1_as_a_trainer(tf, tmp_path / "sharded", sharded=True))
    assert saved.name == "model.ckpt-7-?????-of-00001"
    (file,) = v1.list_files(saved)
    assert file.is_file()
    assert v1.whole_name(file) == saved
    assert v1.is_v1(saved)
    assert v1.is_v1(Path(save_v1_as_a_trainer(tf, tmp_path / "whole")))


# What its first file holds.

EMPTY_BLOCK = bytes(4) + b"\1\0\0\0" + bundles.trailer(bytes(4) + b"\1\0\0\0", 0)
WHOLE = bundles.encode_table([(b"", saved_slices(b"a", (2,))), (b"b", b"")])


def test_a_table_whose_first_entry_is_metadata_is_v1(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(WHOLE)
    assert v1.is_v1(path)
    # Metadata of megabytes are not read.
    path.write_bytes(bundles.encode_table([(b"", saved_slices(b"a" * (2 << 20), (2,)))]))
    assert v1.is_v1(path)


@pytest.mark.parametrize(
    "data",
    {
        "nothing": b"",
        "a text": b"notes",
        "no magic": WHOLE[:-1],
        "the magic alone": WHOLE[-8:],
        "a footer alone": WHOLE[-48:],
        "no entries": 2 * EMPTY_BLOCK + bytes([0, 8, 13, 8]).ljust(40, b"\0") + WHOLE[-8:],
        "a bundle's index": bundles.encode_table([(b"", bundles.header())]),
        "a first key that is not empty": bundles.encode_table([(b"\n", saved_slices(b"a", (2,)))]),
        "an empty first value": bundles.encode_table([(b"", b""), (b"b", b"")]),
        "data first": bundles.encode_table([(b"", bundles.proto_bytes(2, b"x"))]),
        "a compressed block": bundles.encode_table([(b"", saved_slices(b"a", (2,)))], snappy=True),
        "a damaged index block": WHOLE[:-60] + bytes([WHOLE[-60] ^ 1]) + WHOLE[-59:],
    }.items(),
    ids=lambda item: item[0],
)
def test_anything_else_is_no_v1_and_no_error(tmp_path: Path, data: tuple[str, bytes]) -> None:
    path = tmp_path / "m"
    path.write_bytes(data[1])
    assert not v1.is_v1(path)


def test_an_index_block_of_megabytes_is_not_read_to_find_out(tmp_path: Path) -> None:
    # Each value closes its block, and each block has an entry of some 70 bytes in the index block.
    value = bytes(100)
    for count, found in ((10_000, True), (20_000, False)):
        names = [b"%060d" % number for number in range(count)]
        records = [(b"", saved_slices(b"a", (2,))), *((name, value) for name in names)]
        path = tmp_path / "m"
        path.write_bytes(bundles.encode_table(records, block_size=100))
        assert v1.is_v1(path) == found


def test_what_is_no_file_is_no_v1_and_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(v1, "SourceFile", refuse)
    path = tmp_path / "m"
    assert not v1.is_v1(path)
    path.mkdir()
    assert not v1.is_v1(path)
    path.rmdir()
    os.mkfifo(path)
    with no_hang():
        assert not v1.is_v1(path)
    assert not v1.is_v1(tmp_path / ("m" * 5_000))


def test_of_several_files_the_first_decides(tmp_path: Path) -> None:
    whole = tmp_path / "m-?????-of-00002"
    (tmp_path / "m-00001-of-00002").write_bytes(WHOLE)
    assert not v1.is_v1(whole)
    (tmp_path / "m-00000-of-00002").write_bytes(WHOLE)
    (tmp_path / "m-00001-of-00002").write_bytes(b"")
    assert v1.is_v1(whole)
    assert not v1.is_v1(tmp_path / "m-?????-of-00000")
