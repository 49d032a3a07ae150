"""Indexes, written: TensorFlow's bytes, and OpenAI's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles
from support.tf_writers import save

from gpt2_convert import DType
from gpt2_convert.formats.tensorflow.entries import Entry
from gpt2_convert.formats.tensorflow.index import read_index
from gpt2_convert.formats.tensorflow.index_writer import build_index
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    Array = np.ndarray[Any, Any]


def entries_of(arrays: Mapping[str, Array]) -> dict[str, Entry]:
    """The entries of arrays that lie one after the other."""
    entries: dict[str, Entry] = {}
    offset = 0
    for name, array in arrays.items():
        crc = int.from_bytes(bundles.masked_crc(array.tobytes()), "little")
        dtype = DType(array.dtype.name)
        entries[name] = Entry(dtype, array.shape, 0, offset, array.nbytes, crc)
        offset += array.nbytes
    return entries


def assert_same_bytes(tf: ModuleType, folder: Path, arrays: Mapping[str, Array]) -> bytes:
    """Have TensorFlow write ``arrays``, compare the index, and return it."""
    theirs = save(tf, folder / "x", arrays).with_name("x.index").read_bytes()
    assert build_index(entries_of(arrays)) == theirs
    return theirs


def test_the_index_of_a_gpt2_is_tensorflow_s(tf: ModuleType, tmp_path: Path) -> None:
    assert bundles.data_blocks(assert_same_bytes(tf, tmp_path, bundles.gpt2_arrays())) == 1


@pytest.mark.parametrize("dtype", [*bundles.DTYPE_NUMBERS, "bfloat16"])
def test_the_index_of_every_dtype_is_tensorflow_s(
    dtype: str, tf: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("ml_dtypes")  # by which NumPy knows bfloat16
    array = np.arange(6).astype(np.dtype(dtype)).reshape(1, 2, 3)
    assert_same_bytes(tf, tmp_path, {"x": array, "y": array[0]})


def test_scalars_and_empty_tensors_are_written_as_tensorflow_does(
    tf: ModuleType, tmp_path: Path
) -> None:
    arrays: dict[str, Array] = {
        "a": np.array(3.5, np.float32),
        "b": np.zeros((0, 4), np.float32),
        "b/c": np.zeros((300, 0, 70_000), np.int64),
        "z": np.array(True),
    }
    assert_same_bytes(tf, tmp_path, arrays)


def test_an_index_of_several_blocks_is_tensorflow_s(tf: ModuleType, tmp_path: Path) -> None:
    # Shared prefixes, restarts, keys that are prefixes of others, bytes on both sides of 0x7f.
    names = [f"scope{i % 7}/variable_{i:05d}/{'long' * (i % 5)}\u00e9" for i in range(20_000)]
    arrays = {name: np.array(i, np.int32) for i, name in enumerate(sorted(names))}
    index = assert_same_bytes(tf, tmp_path, arrays)
    assert bundles.data_blocks(index) > 2


def test_openai_s_own_index_is_written_again_byte_for_byte(shared_data: Path) -> None:
    path = shared_data / "openai-124M-index" / "model.ckpt.index"
    file = SourceFile(path)
    try:
        index = read_index(file)
    finally:
        file.close()
    found = build_index({variable.name: variable.parts[0].entry for variable in index.variables})
    assert found == path.read_bytes()
