"""What every writer promises; each format derives a class from this one.

A derived class names its line in the table of writers, which knows how the official library reads
the file, and says where in the file the sizes of the model stand.
"""

from __future__ import annotations

import errno
import resource
import threading
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

from gpt2_convert import Checkpoint, ChecksumError, DType, UnsupportedError
from gpt2_convert.formats import writers
from gpt2_convert.formats.detect import detect
from gpt2_convert.io.source import CHUNK
from gpt2_convert.tensors.tensor import LazyTensor

from .contents import contents_of, descriptors_before, open_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from support.writers import Writer

    from .contents import Array


def as_checkpoint(tensors: Mapping[str, LazyTensor]) -> Checkpoint:
    """Return a checkpoint in memory: a GPT-2 by its names; no writer looks at the shapes."""
    return Checkpoint(raw=raws.raw({}), config=raws.config(), tensors=tensors, dropped=())


def in_memory(arrays: Mapping[str, Array]) -> Checkpoint:
    return as_checkpoint({name: raws.lazy(name, array) for name, array in arrays.items()})


def endless(name: str, chunk: bytes, count: int) -> LazyTensor:
    """Return a tensor of ``count`` equal chunks, which takes the memory of one."""

    def read() -> Iterator[bytes]:
        for _ in range(count):
            yield chunk

    shape = (count, len(chunk) // 4)
    return LazyTensor(name, shape, DType.FLOAT32, count * len(chunk), read, name)


class WriterContract:
    """The promises of a writer. Derived classes set ``writer`` and define `hparams`."""

    writer: Writer

    def hparams(self, path: Path) -> dict[str, object]:
        """Return the sizes that the target states, as its official library reads them."""
        raise NotImplementedError

    @pytest.fixture
    def target(self, tmp_path: Path) -> Path:
        """Return an empty file, or an empty folder where that is what is filled."""
        return self.empty(tmp_path / self.writer.name)

    def empty(self, path: Path) -> Path:
        path.parent.mkdir(exist_ok=True)
        if writers.WRITERS[self.writer.to].folder_of:
            path.mkdir()
        else:
            path.touch()
        return path

    def files(self, target: Path) -> dict[str, bytes]:
        paths = target.iterdir() if target.is_dir() else [target]
        return {path.name: path.read_bytes() for path in paths}

    def write(
        self,
        checkpoint: Checkpoint,
        target: Path,
        advance: Callable[[int], None] = lambda nbytes: None,
    ) -> None:
        found = writers.WRITERS[self.writer.to]
        compress = self.writer.compress
        write = found.write if compress is None else found.compressed[compress]
        write(checkpoint, target, advance)

    def arrays(self) -> dict[str, Array]:
        """The names of a small GPT-2, with every dtype that the container holds among them."""
        dtypes = sorted(self.writer.dtypes)
        arrays: dict[str, Array] = {}
        for number, (name, array) in enumerate(raws.canonical().items()):
            # By way of ml_dtypes, NumPy knows bfloat16.
            dtype = np.dtype(dtypes[number % len(dtypes)])
            arrays[name] = (100 * np.abs(array)).astype(dtype)
        arrays["ln_f.g"] = np.array([np.nan, -0.0, np.inf, -np.inf, 5e-324])
        arrays["ln_f.b"] = np.zeros((0, 3), np.float32)
        arrays["blocks[2].ln_1.g"] = np.array([-1.5], np.float16)  # GPT-2 has no scalar
        assert {array.dtype.name for array in arrays.values()} == self.writer.dtypes
        return arrays

    # What it writes.

    def test_the_library_reads_every_dtype_and_shape_back(self, target: Path) -> None:
        self.write(in_memory(self.arrays()), target)
        expected = {self.writer.spell(name): array for name, array in self.arrays().items()}
        assert contents_of(self.writer.load(target)) == contents_of(expected)

    @pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 1])
    def test_every_byte_is_written_and_told_once(self, size: int, target: Path) -> None:
        arrays: dict[str, Array] = {
            "wte": np.random.default_rng(size).integers(0, 256, size, np.uint8),
            "wpe": np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8),
        }
        told: list[int] = []
        self.write(in_memory(arrays), target, told.append)
        assert sum(told) == size + 35
        assert 0 < min(told) <= max(told) <= CHUNK
        expected = {self.writer.spell(name): array for name, array in arrays.items()}
        assert contents_of(self.writer.load(target)) == contents_of(expected)

    def test_bytes_depend_on_the_tensors_and_sizes_alone(
        self, target: Path, tmp_path: Path
    ) -> None:
        self.write(in_memory(self.arrays()), target)
        elsewhere = self.empty(tmp_path / "another folder" / f"of another name {target.name}")
        renamed = {
            name: replace(raws.lazy(name, array), source_name=f"read as {name}")
            for name, array in self.arrays().items()
        }
        self.write(as_checkpoint(renamed), elsewhere)
        assert list(self.files(elsewhere).values()) == list(self.files(target).values())

    def test_the_sizes_of_the_model_are_stated(self, target: Path) -> None:
        self.write(in_memory(raws.canonical()), target)
        assert self.hparams(target) == bundles.TINY

    def test_the_reader_that_is_to_read_it_knows_it_by_its_bytes(self, target: Path) -> None:
        self.write(in_memory(raws.canonical()), target)
        unnamed = target.rename(target.with_name("unnamed"))
        assert detect(unnamed) == writers.WRITERS[self.writer.to].read_as

    def test_a_folder_has_only_the_files_that_it_may_have(self, target: Path) -> None:
        self.write(in_memory(raws.canonical()), target)
        allowed = writers.WRITERS[self.writer.to].folder_of
        assert self.files(target).keys() <= (allowed or {target.name})

    # What it refuses.

    @pytest.mark.parametrize("dtype", DType)
    def test_a_dtype_is_held_or_refused_by_name_before_a_byte_of_it_is_read(
        self, dtype: DType, target: Path
    ) -> None:
        def read() -> Iterator[bytes]:
            pytest.fail("it is read")

        tensors = {
            "wpe": raws.lazy("wpe", np.ones(3, np.float32)),
            "wte": LazyTensor("wte", (0,), dtype, 0, lambda: iter(()), "model/wte"),
        }
        if dtype in self.writer.dtypes:
            self.write(as_checkpoint(tensors), target)
            found = self.writer.load(target)[self.writer.spell("wte")]
            assert (found.dtype, found.shape) == (np.dtype(dtype.value), (0,))
            return
        tensors["wte"] = LazyTensor("wte", (2,), dtype, 16, read, "model/wte")
        with pytest.raises(UnsupportedError, match=rf"'model/wte'.* {dtype}\b"):
            self.write(as_checkpoint(tensors), target)
        weights = [name for name in self.files(target) if name != "config.json"]
        assert not any(self.files(target)[name] for name in weights)

    # What goes wrong while it writes.

    def test_an_error_of_a_tensor_comes_through_as_it_is(self, target: Path) -> None:
        error = ChecksumError("damaged")

        def read() -> Iterator[bytes]:
            yield bytes(CHUNK)
            raise error

        broken = LazyTensor("wpe", (CHUNK // 2,), DType.FLOAT32, 2 * CHUNK, read, "wpe")
        tensors = {"wte": raws.lazy("wte", np.ones(3, np.float32)), "wpe": broken}
        self.fail(as_checkpoint(tensors), target, error)

    def test_an_interruption_comes_through_as_it_is(self, target: Path) -> None:
        interruption = KeyboardInterrupt()

        def interrupt(nbytes: int) -> None:
            raise interruption

        self.fail(
            as_checkpoint({"wte": endless("wte", bytes(CHUNK), 20)}),
            target,
            interruption,
            interrupt,
        )

    def fail(
        self,
        checkpoint: Checkpoint,
        target: Path,
        error: BaseException,
        advance: Callable[[int], None] = lambda nbytes: None,
    ) -> None:
        """Write in vain: the very error comes out, and neither thread nor descriptor is left."""
        self.write(in_memory(raws.canonical()), target)  # whatever is imported late has been
        threads, descriptors = set(threading.enumerate()), descriptors_before()
        with pytest.raises(type(error)) as caught:
            self.write(checkpoint, target, advance)
        assert caught.value is error
        # What an earlier test has left may come to its end here.
        assert set(threading.enumerate()) <= threads
        assert open_descriptors() <= descriptors

    @pytest.mark.parametrize("limit", [0, 5_000, 100_000])
    def test_a_file_that_may_not_grow_is_an_error_of_the_system(
        self, limit: int, target: Path
    ) -> None:
        checkpoint = in_memory(raws.canonical())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(OSError, match=r"[Ff]ile too large") as caught:
                self.write(checkpoint, target)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.errno in (errno.EFBIG, None)

    def test_memory_does_not_grow_with_a_tensor(self, target: Path) -> None:
        large = as_checkpoint({"wte": endless("wte", bytes(CHUNK), (64 << 20) // CHUNK)})
        tracemalloc.start()
        try:
            self.write(large, target)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # Not even half of it. 16 MiB are what the allocator is once asked for, to keep.
        assert peak < 32 << 20
