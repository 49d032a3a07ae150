"""NumPy archives written: what NumPy and zipfile find in them."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from typing import TYPE_CHECKING

import numpy as np
from support import contracts, raws
from support.contracts.writer import in_memory
from support.statements import statement
from support.writers import WRITERS

import gpt2_convert
from gpt2_convert.tensors import side_by_side

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class TestNpz(contracts.WriterContract):
    writer = WRITERS["npz"]

    def hparams(self, path: Path) -> dict[str, object]:
        with zipfile.ZipFile(path) as archive:
            stated: dict[str, object] = json.loads(archive.comment)["hparams"]
        return stated

    def test_members_are_what_numpy_writes_in_canonical_order(self, target: Path) -> None:
        arrays = self.arrays()
        self.write(in_memory(arrays), target)
        with zipfile.ZipFile(target) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == [f"{name}.npy" for name in arrays]
            for name, array in arrays.items():
                npy = io.BytesIO()
                np.lib.format.write_array(npy, array, version=(1, 0))
                assert archive.read(f"{name}.npy") == npy.getvalue()

    def test_members_have_no_time_no_owner_and_no_compression(self, target: Path) -> None:
        self.write(in_memory(raws.canonical()), target)
        with zipfile.ZipFile(target) as archive:
            for member in archive.infolist():
                assert member.date_time == (1980, 1, 1, 0, 0, 0)
                assert (member.create_system, member.external_attr >> 16) == (3, 0o100644)
                assert member.compress_type == zipfile.ZIP_STORED
                assert member.extra == b""


def test_an_archive_of_numpy_is_written_anew_with_the_same_members(tmp_path: Path) -> None:
    np.savez(tmp_path / "numpy.npz", allow_pickle=False, **raws.canonical())
    gpt2_convert.convert(tmp_path / "numpy.npz", tmp_path / "out.npz", n_head=4)
    with (
        zipfile.ZipFile(tmp_path / "numpy.npz") as first,
        zipfile.ZipFile(tmp_path / "out.npz") as second,
    ):
        assert second.namelist() == first.namelist()
        for name in first.namelist():
            assert second.read(name) == first.read(name)
        assert json.loads(second.comment) == statement()


def test_the_archive_of_a_small_model_is_written_without_a_thread_and_is_the_same(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def record(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", record)
    gpt2_convert.convert(tiny, tmp_path / "held.npz", verify=False)
    assert started == []
    monkeypatch.setattr(side_by_side, "SHARE", 1)
    gpt2_convert.convert(tiny, tmp_path / "behind.npz", verify=False)
    assert started == ["gpt2-convert write-behind"]
    assert (tmp_path / "behind.npz").read_bytes() == (tmp_path / "held.npz").read_bytes()
