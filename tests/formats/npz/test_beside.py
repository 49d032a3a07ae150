"""Members that are no tensors are passed over, and no damage can make a tensor one of them."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws
from support.npz_files import FLOATS, archive, header, patch_directory, refusal

import gpt2_convert
from gpt2_convert import ChecksumError, UnsupportedError
from gpt2_convert.formats.npz import beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.contracts import Array


def save(path: Path, arrays: Mapping[str, Array]) -> None:
    np.savez(path, allow_pickle=True, **arrays)


GOOD = header() + FLOATS.tobytes()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_checksum_of_what_is_skipped_is_found_at_once(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "x.npz", {"notes.txt": b"hello" * 50, "x.npy": GOOD}, method=method)
    patch_directory(path, 16, b"\1\2\3\4")
    message = refusal(path, ChecksumError)
    assert "'notes.txt': CRC-32 0x04030201 expected" in message


def test_a_flipped_bit_makes_no_array_one_of_strings(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": GOOD, "y.npy": GOOD})
    data = bytearray(path.read_bytes())
    at = data.index(b"<f4") + 1
    data[at : at + 1] = b"U"
    path.write_bytes(data)
    assert "'x.npy': CRC-32" in refusal(path, ChecksumError)


def test_what_is_skipped_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = {"a": bytes(60), "b": bytes(60), "x.npy": GOOD}
    path = archive(tmp_path / "x.npz", members)
    monkeypatch.setattr(beside, "MAX_SKIPPED", 119)
    assert "'b': no array of numbers, and more than 119 bytes" in refusal(path, UnsupportedError)


def test_what_is_skipped_is_a_few_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "x.npz", {"a": b"", "b": b"", "x.npy": GOOD, "c": b""})
    monkeypatch.setattr(beside, "MAX_MEMBERS", 2)
    assert "'c': no array of numbers, and there are more than 2" in refusal(path, UnsupportedError)


ODD: dict[str, Array] = {
    "meta": np.array("GPT-2"),
    "vocabulary": np.array(["a", "b"], object),
    "when": np.array(["2019-02-14"], "M8[D]"),
    "table": np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")]),
}


def test_a_model_with_odd_members_converts_with_notes_of_them(tmp_path: Path) -> None:
    save(tmp_path / "m.npz", {**raws.canonical(), **ODD})
    with zipfile.ZipFile(tmp_path / "m.npz", "a") as file:
        file.writestr("config.json", "{}")
        file.writestr("empty/", b"")
    report = gpt2_convert.convert(tmp_path / "m.npz", tmp_path / "out.h5", drop=["meta", "config*"])
    notes = "\n".join(report.notes)
    for name in (*ODD, "config.json", "empty/"):
        assert f"'{name}'" in notes
    save(tmp_path / "plain.npz", raws.canonical())
    assert gpt2_convert.verify(tmp_path / "plain.npz", tmp_path / "out.h5").ok


@pytest.mark.parametrize("name", ["wte", "blocks[0].ln_1.g", "blocks[2].mlp.c_fc.w"])
@pytest.mark.parametrize("drop", [False, True])
def test_a_weight_that_is_an_array_of_objects_is_refused(
    name: str, drop: bool, tmp_path: Path
) -> None:
    arrays = raws.canonical()
    arrays[name] = arrays[name].astype(object)
    save(tmp_path / "m.npz", arrays)
    with pytest.raises(gpt2_convert.UnsupportedError, match="pickled Python objects; they are ne"):
        gpt2_convert.open(tmp_path / "m.npz", drop=[name] if drop else [])


def test_a_last_layer_of_objects_makes_no_smaller_model(tmp_path: Path) -> None:
    arrays = {
        name: array.astype(object) if name.startswith("blocks[2]") else array
        for name, array in raws.canonical().items()
    }
    save(tmp_path / "m.npz", arrays)
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"'blocks\[2\]\.ln_1\.g': pickled"):
        gpt2_convert.open(tmp_path / "m.npz", drop=["blocks*"])


def test_the_size_of_what_is_skipped_is_that_of_the_directory(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"a": bytes(60), "x.npy": GOOD}, method=zipfile.ZIP_DEFLATED)
    patch_directory(path, 24, struct.pack("<I", 70))
    assert "'a'" in refusal(path, ChecksumError)
