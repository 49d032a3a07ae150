"""The elements of a tensor from the parts that tile it: any tiling, in order, in little memory."""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import bundles, contracts
from support.contracts import contents, contents_of, find_tensor
from support.measure import measure
from support.tf_writers import UNREADABLE, WHOLE, grid, load
from support.tilings import numbers, tilings, write_tiling

from gpt2_convert import ChecksumError, FormatError, UnsupportedError
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.tensorflow import assembly
from gpt2_convert.formats.tensorflow.shards import Cursor
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from support.bundles import Extents


@settings(
    derandomize=True,
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    tiling=tilings(),
    dtype=st.sampled_from(["uint8", "float16", "float32", "float64", "complex128"]),
    shards=st.integers(1, 3),
    run=st.sampled_from([16, 40, 100, assembly.RUN]),
)
def test_any_tiling_of_any_shape_is_put_together_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiling: tuple[tuple[int, ...], list[Extents]],
    dtype: str,
    shards: int,
    run: int,
) -> None:
    shape, slices = tiling
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    _, prefix = write_tiling(tmp_path, array, slices, shards)
    monkeypatch.setattr(assembly, "RUN", run)
    assert contents(prefix) == contents_of({"w": array})
    for file in tmp_path.iterdir():
        file.unlink()


@pytest.mark.parametrize("dtype", bundles.DTYPE_NUMBERS)
def test_a_big_endian_bundle_is_read_as_tensorflow_reads_it(
    tf: ModuleType, tmp_path: Path, dtype: str
) -> None:
    random = np.random.default_rng(0)
    arrays = {
        name: random.integers(0, 2, shape).astype(dtype)
        if dtype == "bool"
        else random.integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8).view(dtype)[
            ..., 0
        ]
        for name, shape in {"a": (), "b": (3, 5), "c": (0, 2), "d": (70_000, 5)}.items()
    }
    bundle = bundles.Bundle(
        header=bundles.header(2, endianness=1), shards=[bytearray(), bytearray()]
    )
    swapped = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in arrays.items()}
    for name in "abc":
        bundle.add(name, swapped[name])
    if dtype in UNREADABLE:
        bundle.add("d", swapped["d"], 1)
    else:
        bundle.add_slices("d", swapped["d"], [((0, -1), (0, 2)), ((0, -1), (2, 3))])
    prefix = bundle.write(tmp_path / "m")
    assert contents(prefix) == contents_of(arrays) == contents_of(load(tf, prefix))


def test_a_large_tensor_is_cut_into_chunks_like_any_other(tmp_path: Path) -> None:
    array = numbers(1_500, 1_001)
    _, prefix = write_tiling(tmp_path, array, grid(array.shape, [[700], [300, 301]]))
    with open_raw(prefix) as raw:
        chunks = list(raw.tensors[0].chunks())
    data = array.tobytes()
    assert chunks == [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]


def test_thousands_of_columns_of_one_element_are_read(tmp_path: Path) -> None:
    array = numbers(100, 3_000)
    edges = [[], list(range(1, 3_000))]
    _, prefix = write_tiling(tmp_path, array, grid(array.shape, edges))
    with open_raw(prefix) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array)


def test_a_column_cut_into_rows_does_not_multiply_the_reads_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = numbers(200, 200)
    cells: list[Extents] = [((row, 1), (0, 1)) for row in range(200)]
    slices = [*cells, *((WHOLE, (column, 1)) for column in range(1, 200))]
    _, prefix = write_tiling(tmp_path, array, slices)
    sizes: list[int] = []
    read = Cursor.read

    def count(cursor: Cursor, size: int) -> bytes:
        sizes.append(size)
        return read(cursor, size)

    monkeypatch.setattr(Cursor, "read", count)
    with open_raw(prefix) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array)
    assert sorted(sizes) == [4] * 200 + [800] * 199


def test_the_checksum_error_of_a_slice_comes_after_all_chunks_and_names_the_slice(
    tmp_path: Path,
) -> None:
    array = numbers(1_200, 500)
    bundle, prefix = write_tiling(tmp_path, array, grid(array.shape, [[], [200, 350]]))
    entry = bundle.slices[bundles.slice_key("w", (WHOLE, (200, 150)))]
    data = tmp_path / "m.data-00000-of-00001"
    contracts.flip_bit(data, 8 * entry.offset)
    found: list[bytes] = []
    with open_raw(prefix) as raw, pytest.raises(ChecksumError) as caught:
        found.extend(raw.tensors[0].chunks())
    assert str(caught.value).startswith(f"{data}: 'w' [0:1200, 200:350]: crc32c ")
    damaged = np.frombuffer(b"".join(found), np.float32).reshape(array.shape)
    assert np.argwhere(damaged != array).tolist() == [[0, 200]]


def test_slices_of_exabytes_are_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    bundle, prefix = write_tiling(tmp_path, numbers(2, 2), [((0, 1), WHOLE), ((1, 1), WHOLE)])
    bundle.slices.clear()
    for start in (0, 1 << 30):
        extents = ((start, 1 << 30), (0, -1))
        entry = bundles.Entry(1, (1 << 30, 1 << 30), 1 << 62, bytes(4))
        bundle.slices[bundles.slice_key("w", extents)] = entry
    spans = [((0, 1 << 30), (0, -1)), ((1 << 30, 1 << 30), (0, -1))]
    whole = bundle.entries["w"]
    whole.shape = (1 << 31, 1 << 30)
    whole.extra = b"".join(bundles.proto_bytes(7, bundles.slice_proto(each)) for each in spans)
    bundle.write(prefix)
    with open_raw(prefix) as raw:
        (tensor,) = raw.tensors
        assert (tensor.shape, tensor.nbytes) == ((1 << 31, 1 << 30), 1 << 63)
        for read in (tensor.array, lambda: next(tensor.chunks())):
            with pytest.raises(FormatError, match=r"truncated: 'w' \[0:1073741824, 0:1073741824\]"):
                read()


def test_slices_that_take_a_read_for_a_few_bytes_are_refused(tmp_path: Path) -> None:
    # 1,000 rows of 1,600 columns, of which each is a slice: a run of 327 rows takes 1,600 reads.
    columns = list(range(1, 1_600))
    array = numbers(1_000, 1_600)
    _, prefix = write_tiling(tmp_path, array, grid(array.shape, [[], columns]))
    assert contents(prefix)["w"][2] == array.tobytes()
    # In eight times as many columns, eight times as many reads of an eighth of the bytes.
    array = numbers(1_000, 12_800)
    _, prefix = write_tiling(tmp_path, array, grid(array.shape, [[], range(1, 12_800)]))
    with open_raw(prefix) as raw, pytest.raises(UnsupportedError) as caught:
        next(raw.tensors[0].chunks())
    assert "'w': its 12,800 slices are so narrow that 51,200,000 bytes take" in str(caught.value)


# Memory.

READ = """
import sys
from gpt2_convert.formats.opening import open_raw
with open_raw(sys.argv[1]) as raw:
    print(sum(len(chunk) for tensor in raw.tensors for chunk in tensor.chunks()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("axis", [0, 1])
def test_a_partitioned_tensor_of_300_mb_is_read_in_bounded_memory(
    tmp_path: Path, axis: int
) -> None:
    shape = (97_656, 768)
    slices = grid(shape, [[24_414, 50_000] if axis == 0 else [], [1, 256, 512] if axis else []])
    bundle = bundles.Bundle()
    bundle.entries["w"] = bundles.Entry(
        dtype=1,
        shape=shape,
        size=0,
        crc32c=b"",
        extra=b"".join(bundles.proto_bytes(7, bundles.slice_proto(each)) for each in slices),
    )
    prefix = bundle.write(tmp_path / "m")
    with open(tmp_path / "m.data-00000-of-00001", "wb") as file:
        for extents in slices:
            part = tuple(
                dim if length == -1 else length
                for (_, length), dim in zip(extents, shape, strict=True)
            )
            data = np.random.default_rng(0).bytes(4 * part[0] * part[1])
            bundle.slices[bundles.slice_key("w", extents)] = bundles.Entry(
                1, part, len(data), bundles.masked_crc(data), offset=file.tell()
            )
            file.write(data)
    (tmp_path / "m.index").write_bytes(bundles.encode_table(bundle.records()))
    done = measure([sys.executable, "-c", READ, prefix], tmp_path)
    assert done.code == 0, done.stderr
    assert int(done.stdout) == 4 * 97_656 * 768 > 299_000_000
    assert done.peak <= 100_000_000


@pytest.mark.slow
def test_what_is_held_does_not_grow_with_the_number_of_slices(tmp_path: Path) -> None:
    array = numbers(1_000, 8_000)
    peaks = []
    for columns in (2, 4_000):
        edges = list(range(8_000 // columns, 8_000, 8_000 // columns))
        _, prefix = write_tiling(tmp_path, array, grid(array.shape, [[], edges]))
        with open_raw(prefix) as raw:
            chunks = find_tensor(raw, "w").chunks()
            next(chunks)
            tracemalloc.start()
            try:
                for _ in chunks:
                    pass
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
    assert max(peaks) < 6 * assembly.RUN
