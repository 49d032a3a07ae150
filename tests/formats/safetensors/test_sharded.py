"""Models in several safetensors files: index and shards have to agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.safetensors_files import ONE, encode, entry, read, write_index, write_shards

import gpt2_convert
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return write_shards(tmp_path / "model")


@pytest.mark.parametrize("name", ["", "model.safetensors.index.json"])
def test_a_sharded_model_is_read_by_its_folder_and_by_its_index(sharded: Path, name: str) -> None:
    assert read(sharded / name) == {"a": b"a", "b": b"bbb", "c": b"cc"}
    with open_raw(sharded / name) as raw:
        assert [(file.path.rpartition("/")[2], file.nbytes) for file in raw.files] == [
            (path.name, path.stat().st_size)
            for path in (sharded / "model.safetensors.index.json", *sorted(sharded.glob("s*")))
        ]


@pytest.mark.parametrize(
    "shard",
    ["../s1.safetensors", "/etc/passwd", "sub/s1.safetensors", "..", ".", "", "s1\0", "a\\b", "C:x",
     None, 1, ["s1.safetensors"], "x" * 100_000],
    ids=lambda shard: str(shard)[:20],
)  # fmt: skip
def test_a_shard_that_is_not_a_plain_file_name_is_refused(sharded: Path, shard: object) -> None:
    (sharded.parent / "s1.safetensors").write_bytes(encode(ONE))
    path = write_index(sharded, a=shard, c="s2.safetensors")
    with pytest.raises(gpt2_convert.FormatError, match="file beside the index expected") as caught:
        open_raw(path)
    assert len(str(caught.value)) < 1_000


def test_a_missing_shard_is_a_fault_and_the_rest_is_listed(sharded: Path) -> None:
    (sharded / "s1.safetensors").unlink()
    report = gpt2_convert.inspect(sharded)
    assert [tensor.name for tensor in report.tensors] == ["c"]
    (fault,) = report.faults
    assert fault.startswith(f"{sharded / 's1.safetensors'}: missing: the index has 2 tensors in it")
    with pytest.raises(gpt2_convert.SourceNotFoundError, match=r"s1\.safetensors: missing"):
        gpt2_convert.open(sharded)


def spoil_shard(folder: Path) -> None:
    (folder / "s2.safetensors").write_bytes(encode("{", b""))


def truncate_shard(folder: Path) -> None:
    (folder / "s2.safetensors").write_bytes(encode({"c": entry(0, 2)}, b"c"))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda folder: write_index(folder, a="s1.safetensors", b="s1.safetensors",
                                    c="s2.safetensors", d="s2.safetensors"),
         "s2.safetensors: has no 'd', which model.safetensors.index.json puts there"),
        (lambda folder: write_index(folder, a="s1.safetensors", c="s2.safetensors"),
         "s1.safetensors: has 'b', which model.safetensors.index.json does not put there"),
        (lambda folder: (folder / "s2.safetensors").write_bytes(
            encode({"a": entry(0, 2), "c": entry(2, 4)})),
         "s2.safetensors: has 'a', which"),
        (spoil_shard, "s2.safetensors: header: not valid JSON"),
        (truncate_shard, "s2.safetensors: truncated: 'c'"),
    ],
    ids=["absent from the shard", "absent from the index", "in two shards", "spoilt", "truncated"],
)  # fmt: skip
def test_index_and_shards_must_agree(
    sharded: Path, spoil: Callable[[Path], object], fault: str
) -> None:
    spoil(sharded)
    with open_raw(sharded) as raw:
        assert {"a", "b"} <= {tensor.name for tensor in raw.tensors}
        assert len(raw.faults) == 1
        assert fault in str(raw.faults[0])
        assert isinstance(raw.faults[0], gpt2_convert.FormatError)
    with pytest.raises(gpt2_convert.FormatError, match=r"s[12]\.safetensors"):
        gpt2_convert.open(sharded)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"weight_map":[]}', '{"weight_map":{"a":"s1","a":"s2"}}', "{" * 9, '"',
     "\xff", '{"metadata":NaN,"weight_map":{}}', '{"a":' * 100_000],
)  # fmt: skip
def test_an_index_that_is_none_is_refused(sharded: Path, text: str) -> None:
    path = sharded / "model.safetensors.index.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(gpt2_convert.FormatError) as caught:
        open_raw(sharded)
    assert str(caught.value).startswith(str(path))


# What shards cost together.


def write_headers(folder: Path, nbytes: int) -> Path:
    """Write four shards whose headers have so many bytes each."""
    shards = {}
    for name in "abcd":
        header = json.dumps({name: entry(0, 4)}).encode().ljust(nbytes)
        (folder / f"{name}.safetensors").write_bytes(encode(header))
        shards[name] = f"{name}.safetensors"
    return write_index(folder, **shards)


def test_the_headers_of_all_shards_count_together(tmp_path: Path) -> None:
    path = write_headers(tmp_path, (5 << 20) // 4)
    assert read(path).keys() == set("abcd")
    path = write_headers(tmp_path, (5 << 20) // 4 + 1)
    with pytest.raises(
        gpt2_convert.UnsupportedError, match=r"index\.json: more than 5,242,880 bytes of headers"
    ):
        open_raw(path)


def test_a_shard_under_two_names_is_a_fault_and_not_read_again(sharded: Path) -> None:
    (sharded / "s3.safetensors").hardlink_to(sharded / "s1.safetensors")
    (sharded / "s4.safetensors").symlink_to("s2.safetensors")
    write_index(
        sharded,
        a="s1.safetensors",
        b="s1.safetensors",
        c="s2.safetensors",
        d="s3.safetensors",
        e="s4.safetensors",
    )
    report = gpt2_convert.inspect(sharded)
    assert [tensor.name for tensor in report.tensors] == ["a", "b", "c"]
    for fault, again, first in zip(report.faults, ("s3", "s4"), ("s1", "s2"), strict=True):
        assert f"{again}.safetensors: the same file as {first}.safetensors, under an" in fault
    with pytest.raises(gpt2_convert.FormatError, match=r"s3\.safetensors: the same file"):
        gpt2_convert.open(sharded)


def test_a_model_in_five_hundred_shards_is_read(tmp_path: Path) -> None:
    shards = {}
    for number in range(500):
        shards[f"t{number}"] = f"model-{number + 1:05d}-of-00500.safetensors"
        header = encode({f"t{number}": entry(0, 4)}, number.to_bytes(4, "little"))
        (tmp_path / shards[f"t{number}"]).write_bytes(header)
    write_index(tmp_path, **shards)
    expected = {f"t{number}": number.to_bytes(4, "little") for number in range(500)}
    assert read(tmp_path) == expected


def test_a_shard_that_is_a_link_to_nowhere_is_called_that(tmp_path: Path) -> None:
    shard = "model-00001-of-00001.safetensors"
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"wte.weight": shard}}))
    (tmp_path / shard).symlink_to("../blobs/gone")
    with open_raw(tmp_path) as raw:
        (fault,) = raw.faults
    assert str(fault) == f"{tmp_path / shard}: a link that leads nowhere"
