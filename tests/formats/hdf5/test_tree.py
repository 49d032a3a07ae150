"""The tree in the making: groups and datasets where they belong, as h5py finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from support import raws

from gpt2_convert.formats.hdf5.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    Array = np.ndarray[Any, Any]


def make(path: Path, arrays: dict[str, Array]) -> None:
    """Write scalars, and the room of all else, at the paths that their names are."""
    with Tree(path, {"a": b"text"}, {name: tuple(name.split("/")) for name in arrays}) as tree:
        for name, array in arrays.items():
            tensor = raws.lazy(name, array)
            if array.shape:
                assert tree.reserve(tensor) > 0
            else:
                tree.write_scalar(tensor, array.tobytes())


def test_groups_are_made_once_and_kept_in_the_order_of_creation(tmp_path: Path) -> None:
    arrays: dict[str, Array] = {
        "z/b": np.ones(2),
        "a": np.ones(1),
        "z/a/x": np.ones((2, 3), np.int8),
    }
    make(tmp_path / "x.h5", arrays)
    with h5py.File(tmp_path / "x.h5", "r", track_order=True) as file:
        assert file.attrs["a"] == b"text"
        assert list(file) == ["z", "a"]
        assert list(file["z"]) == ["b", "a"]
        assert {name: file[name].shape for name in arrays} == {
            name: array.shape for name, array in arrays.items()
        }


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "complex128"])
def test_a_scalar_is_written_whole(dtype: str, tmp_path: Path) -> None:
    scalar = np.array(3, dtype)
    make(tmp_path / "x.h5", {"s": scalar})
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(np.asarray(file["s"][()]), scalar, strict=True)


def test_names_beyond_ascii_are_utf_8_for_the_library(tmp_path: Path) -> None:
    make(tmp_path / "x.h5", {"ü/\N{SNOWMAN}": np.ones(1), "plain": np.ones(1)})
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["ü/\N{SNOWMAN}"].shape == (1,)
        links = {name: file.id.links.get_info(name.encode()).cset for name in ("ü", "plain")}
    assert links == {"ü": h5py.h5t.CSET_UTF8, "plain": h5py.h5t.CSET_ASCII}


def test_bytes_that_are_no_text_stay_what_they_are(tmp_path: Path) -> None:
    make(tmp_path / "x.h5", {"a\udcff": np.ones(1)})
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.id.links.exists(b"a\xff")


def test_what_the_system_refuses_is_its_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Tree(tmp_path / "missing" / "x.h5", {}, {})
