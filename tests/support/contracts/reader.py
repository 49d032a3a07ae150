"""What every reader promises; each format derives a class from this one.

A derived class says how its official library writes arrays and reads them back. Everything else,
such as which file to damage and where in it a tensor lies, is found out here, so that no test
depends on what the reader believes.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpt2_convert
from gpt2_convert import Gpt2ConvertError, UnsupportedError
from gpt2_convert.formats import limits
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.io.source import CHUNK

from .contents import (
    contents,
    contents_of,
    descriptors_before,
    find_tensor,
    flip_bit,
    no_hang,
    open_descriptors,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from gpt2_convert.tensors.tensor import LazyTensor

    from .contents import Array

RANDOM_SEED = 20190214
ROWS = (
    slice(None), slice(1, 2), slice(1, None), slice(-2, None), slice(None, -1), slice(0, 0),
    slice(2, 1), slice(5, 30), slice(None, None, 2), slice(1, None, 3), slice(None, None, -1),
    slice(None, None, -2), slice(30, 3, -7), slice(-100, 100), slice(None, 69_000, 5),
)  # fmt: skip
"""Slices of rows, of which short tensors have few or none."""


def _outcomes(tensor: LazyTensor) -> Iterator[bytes | str]:
    """Yield what reading it chunk by chunk comes to, and reading it whole: bytes, or an error."""
    reads: list[Callable[[], bytes]]
    reads = [lambda: b"".join(tensor.chunks()), lambda: tensor.array().tobytes()]
    for read in reads:
        try:
            yield read()
        except Gpt2ConvertError as error:
            yield f"{type(error).__name__}: {error}"


class ReaderContract:
    """The promises of a reader. Subclasses set ``format`` and define `write` and `oracle`."""

    format: str
    """The reader's key in READERS."""
    checksums = False
    """Whether the container stores a checksum of each tensor; see ChecksumContract."""
    flip_stride = 1
    """Of the bits of a small checkpoint, every how many-th is flipped; best no multiple of 8."""
    direct = False
    """Whether rows are read where they lie, and nothing else is."""
    cut_stride = 1
    """Of the lengths that a small checkpoint could be cut to, every how many-th is tried."""

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        """Write a checkpoint into the empty ``folder`` and return the path to open."""
        raise NotImplementedError

    def oracle(self, path: Path) -> dict[str, Array]:
        """Read it back with the format's official library."""
        raise NotImplementedError

    def extra_arrays(self) -> dict[str, Array]:
        """Return arrays that this format can hold and others cannot."""
        return {}

    # What the tests write.

    def arrays(self) -> dict[str, Array]:
        random = np.random.default_rng(RANDOM_SEED)
        arrays: dict[str, Array] = {
            "scalar": np.array(random.standard_normal(), np.float32),
            "empty": np.zeros((0, 3), np.float32),
            "vector": random.standard_normal(7).astype(np.float64),
            "half": random.standard_normal((2, 3)).astype(np.float16),
            "deep": random.standard_normal((1, 2, 1, 3)).astype(np.float32),
            "special": np.array([np.nan, -0.0, np.inf, -np.inf, 5e-324], np.float64),
            "flags": np.array([[True, False], [False, True]]),
        }
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
            limits = np.iinfo(name)
            arrays[name] = np.array([limits.min, limits.max, 1], name)
        return arrays | self.extra_arrays()

    def small(self) -> dict[str, Array]:
        random = np.random.default_rng(RANDOM_SEED)
        return {
            name: random.standard_normal(shape, np.float32)
            for name, shape in (("a", (3, 2)), ("b/c", (5,)), ("d", ()))
        }

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "checkpoint_folder"
        folder.mkdir()
        return folder

    def small_copies(self, folder: Path) -> tuple[Path, list[str]]:
        """Write the small checkpoint; return its path and the names of its files."""
        path = self.write(folder, self.small())
        assert contents(path) == contents_of(self.small())
        return path, sorted(file.name for file in folder.iterdir())

    # What it gives.

    def test_names_shapes_dtypes_and_bytes_equal_the_oracle(self, folder: Path) -> None:
        path = self.write(folder, self.arrays())
        expected = self.oracle(path)
        assert contents_of(expected) == contents_of(self.arrays())
        assert contents(path) == contents_of(expected)

    def test_arrays_equal_the_oracle(self, folder: Path) -> None:
        path = self.write(folder, self.arrays())
        expected = self.oracle(path)
        with open_raw(path) as raw:
            assert raw.format == self.format
            for tensor in raw.tensors:
                array = tensor.array()
                assert array.flags.writeable
                assert array.dtype == expected[tensor.name].dtype
                np.testing.assert_array_equal(array, expected[tensor.name])

    def test_an_array_fails_where_its_chunks_do_and_says_the_same(self, folder: Path) -> None:
        path, names = self.small_copies(folder)
        failed = 0
        for name in names:
            file = folder / name
            whole = file.read_bytes()
            for at in range(0, len(whole), max(7, self.cut_stride)):
                for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]):
                    file.write_bytes(content)
                    with suppress(Gpt2ConvertError), open_raw(path) as raw:
                        for tensor in raw.tensors:
                            chunks, array = _outcomes(tensor)
                            assert array == chunks
                            failed += isinstance(chunks, str)
            file.write_bytes(whole)
        assert failed or not self.checksums

    def test_metadata_agree_with_each_other(self, folder: Path) -> None:
        with open_raw(self.write(folder, self.arrays())) as raw:
            for tensor in raw.tensors:
                assert tensor.source_name == tensor.name
                assert tensor.size == math.prod(tensor.shape)
                assert tensor.nbytes == tensor.size * (tensor.dtype.itemsize or 0)

    def test_files_are_listed_with_their_sizes(self, folder: Path) -> None:
        path = self.write(folder, self.small())
        with open_raw(path) as raw:
            listed = {file.path: file.nbytes for file in raw.files}
        assert listed == {str(file): file.stat().st_size for file in folder.iterdir()}

    def test_more_tensors_than_any_model_has_are_refused(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arrays: dict[str, Array] = {name: np.ones(3, np.float32) for name in "abc"}
        path = self.write(folder, arrays)
        monkeypatch.setattr(limits, "MAX_TENSORS", 3)
        assert contents(path) == contents_of(arrays)
        monkeypatch.setattr(limits, "MAX_TENSORS", 2)
        with pytest.raises(UnsupportedError, match="more than 2 tensors") as caught:
            contents(path)
        assert str(folder) in str(caught.value)

    # The chunks.

    @pytest.mark.parametrize("size", [1, CHUNK - 4, CHUNK, CHUNK + 4, 3 * CHUNK, 3 * CHUNK + 4])
    def test_chunks_have_the_size_of_a_chunk_and_only_the_last_is_shorter(
        self, folder: Path, size: int
    ) -> None:
        array = np.random.default_rng(size).integers(0, 256, size, np.uint8)
        with open_raw(self.write(folder, {"before": np.ones(3, np.uint8), "x": array})) as raw:
            chunks = list(find_tensor(raw, "x").chunks())
        data = array.tobytes()
        assert chunks == [data[start : start + CHUNK] for start in range(0, size, CHUNK)]

    def test_an_empty_tensor_has_no_chunks(self, folder: Path) -> None:
        with open_raw(self.write(folder, {"x": np.zeros((4, 0), np.float32)})) as raw:
            assert list(find_tensor(raw, "x").chunks()) == []
            assert find_tensor(raw, "x").array().shape == (4, 0)

    def test_each_pass_starts_afresh_even_while_another_is_under_way(self, folder: Path) -> None:
        array = np.random.default_rng(1).standard_normal((2 * CHUNK + 8) // 4).astype(np.float32)
        other = np.random.default_rng(2).standard_normal(CHUNK // 2).astype(np.float32)
        with open_raw(self.write(folder, {"other": other, "x": array})) as raw:
            tensor = find_tensor(raw, "x")
            passes = [tensor.chunks(), find_tensor(raw, "other").chunks(), tensor.chunks()]
            first, elsewhere, second = ([next(chunks)] for chunks in passes)
            first += passes[0]
            elsewhere += passes[1]
            second += passes[2]
            assert b"".join(first) == b"".join(second) == array.tobytes()
            assert b"".join(elsewhere) == other.tobytes()
            assert b"".join(tensor.chunks()) == array.tobytes()

    # Rows.

    def test_rows_are_those_that_numpy_takes(self, folder: Path) -> None:
        random = np.random.default_rng(RANDOM_SEED)
        arrays = self.arrays() | {
            "matrix": random.standard_normal((37, 5)).astype(np.float32),
            "long": random.standard_normal(70_001).astype(np.float32),
            "wide": random.integers(0, 256, (3, CHUNK + 3), np.uint8),
        }
        with open_raw(self.write(folder, arrays)) as raw:
            for name, array in arrays.items():
                tensor = find_tensor(raw, name)
                for rows in ROWS if array.shape else ():
                    found = tensor[rows]
                    np.testing.assert_array_equal(found, array[rows], strict=True)
                    assert found.flags.writeable
                if not array.shape:
                    with pytest.raises(IndexError, match="has no rows"):
                        tensor[0]
                for row in (0, -1) if array.shape and len(array) else ():
                    np.testing.assert_array_equal(tensor[row], array[row], strict=True)

    def test_no_more_than_the_rows_is_read(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arrays: dict[str, Array] = {
            "before": np.ones(3, np.float32),
            "x": np.random.default_rng(1).standard_normal((5000, 100)).astype(np.float32),
        }
        sizes: list[int] = []
        pread = os.pread

        def count(fd: int, size: int, offset: int) -> bytes:
            sizes.append(size)
            return pread(fd, size, offset)

        with open_raw(self.write(folder, arrays)) as raw:
            tensor = find_tensor(raw, "x")
            monkeypatch.setattr(os, "pread", count)
            for rows in (slice(10, 20), slice(-3, None), slice(0, 5000, 1000), slice(30, 10, -5)):
                sizes.clear()
                expected = arrays["x"][rows]
                np.testing.assert_array_equal(tensor[rows], expected)
                assert sum(sizes) == expected.nbytes or not self.direct
                assert sum(sizes) < 2 * arrays["x"].nbytes
            sizes.clear()
            np.testing.assert_array_equal(tensor[4321], arrays["x"][4321])
            assert sum(sizes) == 400 or not self.direct

    def test_a_closed_checkpoint_gives_no_rows(self, folder: Path) -> None:
        with open_raw(self.write(folder, self.small())) as raw:
            tensor = find_tensor(raw, "a")
        with pytest.raises(gpt2_convert.UsageError, match="closed"):
            tensor[1:]

    # Closing.

    def test_closing_gives_the_descriptors_back(self, folder: Path) -> None:
        path = self.write(folder, self.small())
        contents(path)  # whatever is imported late has been
        before = descriptors_before()
        raw = open_raw(path)
        assert open_descriptors() > before
        raw.close()
        assert open_descriptors() <= before
        raw.close()

    def test_a_closed_checkpoint_refuses_to_read_even_if_its_descriptor_is_in_use_again(
        self, folder: Path
    ) -> None:
        path = self.write(folder, self.small())
        with open_raw(path) as raw:
            tensor = find_tensor(raw, "a")
        # The operating system gives the lowest free number, so these now have the old ones.
        others = [os.open(file, os.O_RDONLY) for file in folder.iterdir()]
        try:
            with pytest.raises(gpt2_convert.UsageError, match="closed"):
                list(tensor.chunks())
        finally:
            for other in others:
                os.close(other)

    def test_a_checkpoint_that_cannot_be_opened_keeps_no_descriptor(self, folder: Path) -> None:
        path, names = self.small_copies(folder)
        for name in names:
            (folder / name).write_bytes((folder / name).read_bytes()[:-1])
        before = descriptors_before()
        for _ in range(3):
            with pytest.raises(Gpt2ConvertError):
                contents(path)
        assert open_descriptors() <= before

    # What is not there, or no file.

    def test_a_missing_file_is_not_found(self, folder: Path) -> None:
        path, names = self.small_copies(folder)
        for name in names:
            (folder / name).rename(folder / "aside")
            with pytest.raises(gpt2_convert.SourceNotFoundError) as caught:
                contents(path)
            assert isinstance(caught.value, FileNotFoundError)
            assert str(folder) in str(caught.value)
            (folder / "aside").rename(folder / name)

    @pytest.mark.parametrize("kind", ["directory", "fifo", "endless", "loop", "empty"])
    def test_what_is_no_regular_file_is_refused_without_hanging(
        self, folder: Path, kind: str
    ) -> None:
        path, names = self.small_copies(folder)
        for name in names:
            file = folder / name
            file.rename(folder / "aside")
            if kind == "directory":
                file.mkdir()
            elif kind == "fifo":
                os.mkfifo(file)
            elif kind == "endless":
                file.symlink_to("/dev/zero")
            elif kind == "loop":
                file.symlink_to(file)
            else:
                file.touch()
            with no_hang(), pytest.raises(Gpt2ConvertError) as caught:
                contents(path)
            assert "\n" not in str(caught.value)
            assert file.name in str(caught.value) or str(path) in str(caught.value)
            if kind == "directory":
                file.rmdir()
            else:
                file.unlink()
            (folder / "aside").rename(file)
        assert contents(path) == contents_of(self.small())

    # Damage.

    def test_every_truncation_is_an_error_of_ours(self, folder: Path) -> None:
        path, names = self.small_copies(folder)
        for name in names:
            file = folder / name
            whole = file.read_bytes()
            for size in range(0, len(whole), self.cut_stride):
                file.write_bytes(whole[:size])
                with pytest.raises(Gpt2ConvertError) as caught:
                    contents(path)
                assert "\n" not in str(caught.value)
            file.write_bytes(whole)

    def test_no_flipped_bit_crashes_or_changes_a_tensor_unseen(self, folder: Path) -> None:
        path, names = self.small_copies(folder)
        expected = contents_of(self.small())
        messages: list[str] = []
        for name in names:
            file = folder / name
            for bit in range(0, 8 * file.stat().st_size, self.flip_stride):
                flip_bit(file, bit)
                try:
                    found = contents(path)
                except Gpt2ConvertError as error:
                    messages.append(str(error))
                else:
                    # Without checksums nobody can tell what the values were.
                    assert found == expected or not self.checksums, f"{name}: bit {bit}"
                flip_bit(file, bit)
        assert messages
        assert not [message for message in messages if "\n" in message]
        assert contents(path) == expected

    def test_a_long_name_makes_no_long_message(self, folder: Path) -> None:
        name = "x" * 60_000
        path = self.write(folder, {name: np.random.default_rng(0).random(5_000)})
        messages: list[str] = []
        for file in folder.iterdir():
            whole = file.read_bytes()
            for place in range(0, len(whole), len(whole) // 20 + 1):
                for damaged in (
                    whole[:place],
                    whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
                ):
                    file.write_bytes(damaged)
                    try:
                        contents(path)
                    except Gpt2ConvertError as error:
                        messages.append(str(error))
            file.write_bytes(whole)
        assert messages
        assert max(map(len, messages)) < 1_000
