"""The tests' own writer of bundles, against TensorFlow's: the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    Array = np.ndarray[Any, Any]


def assert_same_bytes(tf: ModuleType, folder: Path, arrays: Mapping[str, Array]) -> bytes:
    """Write ``arrays`` twice, compare the files, and return the index."""
    bundle = bundles.Bundle()
    for name, array in arrays.items():
        bundle.add(name, array)
    bundle.write(folder / "ours" / "x")
    (folder / "theirs").mkdir()
    tf.raw_ops.SaveV2(
        prefix=str(folder / "theirs" / "x"),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(array) for array in arrays.values()],
    )
    ours, theirs = (
        {file.name: file.read_bytes() for file in (folder / side).iterdir()}
        for side in ("ours", "theirs")
    )
    assert ours.keys() == theirs.keys() == {"x.index", "x.data-00000-of-00001"}
    assert ours == theirs
    return ours["x.index"]


def test_a_gpt2_is_one_block_of_the_same_bytes(tf: ModuleType, tmp_path: Path) -> None:
    index = assert_same_bytes(tf, tmp_path, bundles.gpt2_arrays())
    assert bundles.data_blocks(index) == 1


def test_a_long_index_is_several_blocks_of_the_same_bytes(tf: ModuleType, tmp_path: Path) -> None:
    # Shared prefixes, restarts, keys that are prefixes of others, bytes on both sides of 0x7f.
    names = [f"scope{i % 7}/variable_{i:05d}/{'long' * (i % 5)}é" for i in range(9_000)]
    arrays = {name: np.array(i, np.int32) for i, name in enumerate(sorted(names))}
    index = assert_same_bytes(tf, tmp_path, arrays)
    assert len(index) > 256 << 10
    assert bundles.data_blocks(index) == 2


@pytest.mark.parametrize("dtype", bundles.DTYPE_NUMBERS)
def test_every_dtype_has_the_same_bytes(tf: ModuleType, tmp_path: Path, dtype: str) -> None:
    array = np.arange(6).astype(dtype).reshape(1, 2, 3)
    assert_same_bytes(tf, tmp_path, {"x": array})


def test_scalars_and_empty_tensors_have_the_same_bytes(tf: ModuleType, tmp_path: Path) -> None:
    arrays: dict[str, Array] = {
        "a": np.array(3.5, np.float32),
        "b": np.zeros((0, 4), np.float32),
        "b/c": np.zeros((300, 0, 70_000), np.int64),
        "z": np.array(True),
    }
    assert_same_bytes(tf, tmp_path, arrays)
