"""Names as those of members: NumPy reads back whatever is not refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws

from gpt2_convert import UnsupportedError
from gpt2_convert.formats.npz.names import check_names
from gpt2_convert.formats.npz.writer import write
from gpt2_convert.model.as_is import take_as_is

if TYPE_CHECKING:
    from pathlib import Path

ODD = [
    "", "/etc/passwd", "../../x", "a/b:0", "a\\b", "a b", "ü/\N{SNOWMAN}", "a\nb", "a\x1b[31m",
    "[0]", "a.npy", "x" * 65_531, ".", "a/", "#", "file", "__metadata__",
]  # fmt: skip


def test_numpy_reads_every_name_that_is_taken(tmp_path: Path) -> None:
    arrays = {name: np.full(2, number, np.int16) for number, name in enumerate(ODD)}
    check_names(arrays.keys(), "x")
    write(take_as_is(raws.raw(arrays)), tmp_path / "x.npz", lambda nbytes: None)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == sorted(ODD)
        for name, array in arrays.items():
            np.testing.assert_array_equal(archive[name], array, strict=True)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a\0b", "there is a NUL in it"),
        ("a\udcff", "not Unicode"),
        ("x" * 65_532, "a name of 65,536 bytes"),
    ],
)
def test_a_name_that_no_member_can_have_is_refused(name: str, fault: str) -> None:
    with pytest.raises(UnsupportedError, match=f"^x: '.*: {fault}, so npz cannot hold it$"):
        check_names(["b", name], "x")


def test_a_name_that_numpy_takes_for_another_s_member_is_refused_with_both(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", allow_pickle=False, **{"a": np.zeros(1), "a.npy": np.ones(1)})
    with np.load(tmp_path / "x.npz") as archive:
        assert archive["a.npy"] == 0  # which is why
    with pytest.raises(UnsupportedError, match=r"^x: 'a' and 'a\.npy': .* cannot hold both$"):
        check_names(["a.npy", "b", "a"], "x")
