"""Data files: several, missing, too short, and damaged."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles
from support.console import SCRIPT
from support.contracts import contents, contents_of, find_tensor
from support.tf_writers import grid, load
from support.tilings import HALVES, numbers, write_tiling

import gpt2_convert
from gpt2_convert import ChecksumError, FormatError, SourceNotFoundError, UnsupportedError
from gpt2_convert.formats import limits
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.tensorflow import shards
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def test_more_shards_than_a_process_usually_opens_are_converted(tmp_path: Path) -> None:
    bundle = bundles.Bundle(shards=[bytearray() for _ in range(100)])
    for number, (name, array) in enumerate(bundles.gpt2_arrays().items()):
        bundle.add(name, array, number % 100)
    prefix = bundle.write(tmp_path / "model.ckpt")
    command: list[str | Path] = ["sh", "-c", 'ulimit -S -n 128; exec "$@"', "sh", SCRIPT]
    done = subprocess.run(
        [*command, "tf2npz", "-q", prefix, tmp_path / "out.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_shard_is_a_fault_that_names_it_and_the_rest_can_be_listed_and_read(
    tmp_path: Path,
) -> None:
    bundle = bundles.Bundle(shards=[bytearray(), bytearray(), bytearray()])
    for number in range(3):
        bundle.add(f"t{number}", np.full(3, number, np.float32), number)
    bundle.write(tmp_path / "m")
    missing = tmp_path / "m.data-00001-of-00003"
    missing.unlink()
    with open_raw(tmp_path) as raw:
        assert [tensor.name for tensor in raw.tensors] == ["t0", "t1", "t2"]
        (fault,) = raw.faults
        assert isinstance(fault, SourceNotFoundError)
        assert str(missing) in str(fault)
        assert "3 data files" in str(fault)
        assert {file.path: file.nbytes for file in raw.files}[str(missing)] is None
        assert [int(raw.tensors[number].array()[0]) for number in (0, 2)] == [0, 2]
        with pytest.raises(SourceNotFoundError, match="'t1'"):
            raw.tensors[1].array()


def test_a_shard_of_another_count_is_not_taken(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    bundle.add("x", np.ones(3, np.float32))
    prefix = bundle.write(tmp_path / "m")
    data = prefix.with_name("m.data-00000-of-00001")
    data.rename(prefix.with_name("m.data-00000-of-00002"))
    with open_raw(prefix) as raw:
        (fault,) = raw.faults
        assert str(data) in str(fault)


@pytest.mark.parametrize(("missing", "listed"), [(100, True), (101, False), (99_999, False)])
def test_so_many_data_files_may_be_missing_for_the_rest_to_be_listed(
    missing: int, listed: bool, tmp_path: Path
) -> None:
    bundle = bundles.Bundle(header=bundles.header(missing))
    bundle.add("x", np.ones(3, np.float32))
    prefix = bundle.write(tmp_path / "m")
    if listed:
        with open_raw(prefix) as raw:
            assert [tensor.name for tensor in raw.tensors] == ["x"]
            assert len(raw.faults) == missing
    else:
        name = f"m.data-00000-of-{missing:05d}: missing"
        with pytest.raises(gpt2_convert.SourceNotFoundError, match=name):
            open_raw(prefix)


def test_a_missing_shard_is_a_fault_and_nothing_is_read(tmp_path: Path) -> None:
    _, prefix = write_tiling(tmp_path, numbers(4, 3), list(HALVES), shards=2)
    (tmp_path / "m.data-00001-of-00002").unlink()
    with open_raw(prefix) as raw:
        (fault,) = raw.faults
        assert isinstance(fault, SourceNotFoundError)
        assert [file.nbytes for file in raw.files][2] is None
        with pytest.raises(SourceNotFoundError, match=r"00001-of-00002: missing: 'w' \[2:4, 0:3\]"):
            next(raw.tensors[0].chunks())


def test_of_a_truncated_shard_the_first_tensor_that_is_cut_off_is_named(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    for name in "bac":
        bundle.add(name, np.arange(25, dtype=np.float32))
    prefix = bundle.write(tmp_path / "m")
    data = tmp_path / "m.data-00000-of-00001"
    os.truncate(data, 150)
    with open_raw(prefix) as raw:
        (fault,) = raw.faults
        assert isinstance(fault, FormatError)
        assert f"{data}: truncated: 'a' needs bytes 100 to 200, but the file has 150" in str(fault)
        assert len(find_tensor(raw, "b").array()) == 25
        for name in "ac":
            with pytest.raises(FormatError, match=f"truncated: '{name}'"):
                find_tensor(raw, name).array()
    os.truncate(data, 300)
    with open_raw(prefix) as raw:
        assert not raw.faults


def test_a_truncated_tensor_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    # 4 EB announced; the first chunks are there.
    bundle = bundles.Bundle()
    bundle.add("x", np.zeros(CHUNK, np.uint8))
    entry = bundle.entries["x"]
    entry.shape, entry.size = (1 << 62,), 1 << 62
    with open_raw(bundle.write(tmp_path / "m")) as raw:
        assert raw.tensors[0].nbytes == 1 << 62
        with pytest.raises(FormatError, match="truncated: 'x'"):
            raw.tensors[0].array()
        with pytest.raises(FormatError, match="truncated: 'x'"):
            next(raw.tensors[0].chunks())


def test_a_truncation_names_the_first_slice_that_is_cut_off(tmp_path: Path) -> None:
    array = numbers(100, 6)
    _, prefix = write_tiling(tmp_path, array, grid((100, 6), [[], [2, 4]]))
    data = tmp_path / "m.data-00000-of-00001"
    os.truncate(data, 1_000)
    with open_raw(prefix) as raw:
        (fault,) = raw.faults
        assert str(fault).startswith(
            f"{data}: truncated: 'w' [0:100, 2:4] needs bytes 800 to 1,600"
        )
        with pytest.raises(FormatError, match="truncated: 'w'"):
            next(raw.tensors[0].chunks())


def test_data_that_became_shorter_after_opening_is_refused(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    bundle.add("x", np.zeros(2 * CHUNK, np.uint8))
    prefix = bundle.write(tmp_path / "m")
    with open_raw(prefix) as raw:
        chunks = raw.tensors[0].chunks()
        next(chunks)
        os.truncate(tmp_path / "m.data-00000-of-00001", CHUNK + 5)
        with pytest.raises(FormatError, match="became shorter"):
            next(chunks)


def test_holes_and_shared_places_in_the_data_are_legal(tf: ModuleType, tmp_path: Path) -> None:
    bundle = bundles.Bundle(shards=[bytearray(b"padding")])
    bundle.add("a", np.arange(3, dtype=np.float32))
    bundle.shards[0] += b"more"
    bundle.add("b", np.arange(4, dtype=np.float32))
    bundle.entries["c"] = bundle.entries["b"]
    bundle.shards[0] += b"rest"
    prefix = bundle.write(tmp_path / "m")
    assert contents(prefix) == contents_of(load(tf, prefix))
    assert len(contents(prefix)) == 3


def test_a_file_is_not_read_over_and_over_under_other_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "FREE_EXPANSION", 1_000)
    bundle = bundles.Bundle()
    bundle.add("a", np.zeros(60, np.float32))
    for name in "bcd":
        bundle.entries[name] = bundle.entries["a"]
    prefix = bundle.write(tmp_path / "m")
    assert len(contents(prefix)) == 4
    bundle.entries["e"] = bundle.entries["a"]
    with pytest.raises(
        UnsupportedError, match=r"m\.data-00000-of-00001: 'e' .* take 1,200, where .* has 240$"
    ):
        open_raw(bundle.write(tmp_path / "m"))
    # A large file may have as much as it has.
    bundle = bundles.Bundle()
    bundle.add("a", np.zeros(600, np.float32))
    assert len(contents(bundle.write(tmp_path / "m"))) == 1


def test_one_file_is_not_two_shards(tmp_path: Path) -> None:
    bundle = bundles.Bundle(shards=[bytearray(), bytearray()])
    bundle.add("a", np.zeros(3, np.float32))
    prefix = bundle.write(tmp_path / "m")
    second = tmp_path / "m.data-00001-of-00002"
    second.unlink()
    second.hardlink_to(tmp_path / "m.data-00000-of-00002")
    with pytest.raises(
        FormatError, match=r"00001-of-00002: the same file as m\.data-00000-of-00002"
    ):
        open_raw(prefix)


def test_more_data_files_than_may_be_open_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = bundles.Bundle(shards=[bytearray(b"%d" % number) for number in range(4)]).write(
        tmp_path / "m"
    )
    for most in (4, 3):
        monkeypatch.setattr(limits, "MAX_SHARDS", most)
        monkeypatch.setattr(shards, "MAX_SHARDS", most)
        if most == 4:
            open_raw(prefix).close()
            continue
        with pytest.raises(UnsupportedError, match=r"/m: more than 3 shards, "):
            open_raw(prefix)


def test_a_checksum_error_names_tensor_place_and_both_checksums(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    bundle.add("before", np.zeros(3, np.float32))
    bundle.add("x", np.arange(5, dtype=np.float32))
    expected = int.from_bytes(bundle.entries["x"].crc32c, "little")
    bundle.shards[0][-1] ^= 0x80
    found = int.from_bytes(bundles.masked_crc(bytes(bundle.shards[0][12:])), "little")
    prefix = bundle.write(tmp_path / "m")
    with open_raw(prefix) as raw, pytest.raises(ChecksumError) as caught:
        raw.tensors[1].array()
    assert str(caught.value).startswith(f"{prefix}.data-00000-of-00001: 'x': crc32c ")
    assert f"{expected:#010x} expected from the index, found {found:#010x}" in str(caught.value)
    assert "in bytes 12 to 32" in str(caught.value)


def test_an_entry_without_a_checksum_is_no_excuse(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    bundle.add("x", np.arange(5, dtype=np.float32))
    bundle.entries["x"].crc32c = b""
    with open_raw(bundle.write(tmp_path / "m")) as raw, pytest.raises(ChecksumError):
        raw.tensors[0].array()


def test_a_data_file_that_is_a_link_to_nowhere_is_called_that(tiny: Path) -> None:
    path = tiny / "model.ckpt.data-00000-of-00001"
    path.unlink()
    path.symlink_to("../blobs/gone")
    with open_raw(tiny) as raw:
        (fault,) = raw.faults
    assert isinstance(fault, SourceNotFoundError)
    assert str(fault) == f"{path}: a link that leads nowhere"


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".7z"])
def test_a_data_file_that_was_packed_is_to_be_unpacked(suffix: str, tiny: Path) -> None:
    path = tiny / "model.ckpt.data-00000-of-00001"
    path.rename(f"{path}{suffix}")
    with open_raw(tiny) as raw:
        (fault,) = raw.faults
    assert str(fault) == f"{path}: missing; unpack '{path.name}{suffix}' first"
