"""HDF5 files: a group for each level of a name, a dataset for each tensor.

``blocks[0].attn.c_attn.w`` is ``/blocks/0/attn/c_attn/w``, ``ln_f.g`` is ``/ln_f/g``. The order of
creation is tracked, so programs that ask for it list the layers 0, 1, 2 … 10. The attributes of the
root are what :mod:`..provenance` says. Every HDF5 library since 1.8 reads the file. It depends on
no clock, host or path: the same tensors and configuration give the same bytes with the same
libraries (a release of HDF5 may arrange its metadata in another way, one of zlib compress in
another way).

Stored: each dataset is one contiguous run of bytes. The library creates the tree and reserves the
room, and the bytes are then written where it says that they belong. Compressed: chunks of whole
rows, shuffled and deflated by threads, and handed to the library ready-made.

Limits: HDF5 1.x has no bfloat16. A file of opaque or home-made types would be a lie, so it is
refused. So is a configuration that is too large for an attribute as the reader wants it.
"""

from __future__ import annotations

import math
import os
import zlib
from collections import deque
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING

from ...errors import UnsupportedError
from ...quoting import quote
from ...tensors.dtype import numpy_dtype
from ...tensors.read_ahead import read_ahead
from ..provenance import state_in_attributes
from .library import load_h5py, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path
    from typing import Any, Final, Self

    from ...checkpoint.canonical import Checkpoint
    from ...tensors.tensor import LazyTensor

    _Deflated = tuple[tuple[int, ...], int, Future[bytes]]
    """The corner of a chunk, the bytes it stands for, and the bytes to come."""

NAME: Final = "hdf5"
_LEVEL: Final = 1
"""Of deflate: after shuffling, level 6 gains 1 % on weights and takes three times as long."""
_MAX_WORKERS: Final = 6
"""Threads that deflate; each holds a few chunks."""
_CHUNK: Final = 256 << 10
"""Bytes of a compressed chunk: a few of them fit into the library's default cache of 1 MiB."""


def load(proof: bool) -> None:
    """Import what writing takes, and with ``proof`` what reading back does."""
    import concurrent.futures.thread  # noqa: F401

    load_h5py()
    if proof:
        from . import reader  # noqa: F401


def write(
    checkpoint: Checkpoint,
    path: Path,
    advance: Callable[[int], None],
    *,
    compress: str | None = None,
) -> None:
    """Write every tensor of ``checkpoint`` into the file at ``path``.

    ``compress`` is None or "gzip". ``advance`` is called with the number of tensor bytes after each
    chunk.

    Raises:
        UnsupportedError: a tensor is of a dtype that HDF5 does not have, or the configuration is
            too large for an attribute.
        Gpt2ConvertError: a tensor cannot be read.
        OSError: the file cannot be written.
    """
    for tensor in checkpoint.values():
        try:
            numpy_dtype(tensor.dtype)
        except UnsupportedError:
            raise UnsupportedError(
                f"{checkpoint.raw.where}: {quote(tensor.source_name)}: HDF5 has no native "
                f"{tensor.dtype}; safetensors holds it, or convert to another dtype"
            ) from None
    attributes = state_in_attributes(checkpoint)
    if compress is None:
        _write_stored(checkpoint, attributes, path, advance)
    else:
        _write_compressed(checkpoint, attributes, path, advance)


def _write_stored(
    checkpoint: Checkpoint,
    attributes: Mapping[str, bytes],
    path: Path,
    advance: Callable[[int], None],
) -> None:
    with _Tree(path, attributes) as tree:
        places = {name: tree.reserve(tensor) for name, tensor in checkpoint.items()}
    with open(path, "r+b") as file:
        for tensor, chunks in read_ahead(checkpoint.values()):
            file.seek(places[tensor.name])
            for chunk in chunks:
                file.write(chunk)
                advance(len(chunk))


def _write_compressed(
    checkpoint: Checkpoint,
    attributes: Mapping[str, bytes],
    path: Path,
    advance: Callable[[int], None],
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    workers = min(os.cpu_count() or 1, _MAX_WORKERS)
    with _Tree(path, attributes) as tree, ThreadPoolExecutor(workers) as pool:
        for tensor, chunks in read_ahead(checkpoint.values()):
            waiting: deque[_Deflated] = deque()
            itemsize = numpy_dtype(tensor.dtype).itemsize
            shape = _chunk_shape(tensor.shape, itemsize)
            size = math.prod(shape) * itemsize
            dataset = tree.create_chunked(tensor, shape)
            for corner, data in _cut(tensor, shape, itemsize, chunks):
                deflated = pool.submit(_deflate, data, size, itemsize)
                waiting.append((corner, len(data), deflated))
                if len(waiting) > workers:
                    advance(_put(dataset, *waiting.popleft()))
            for item in waiting:
                advance(_put(dataset, *item))


def _put(dataset: Any, corner: tuple[int, ...], nbytes: int, deflated: Future[bytes]) -> int:  # noqa: ANN401
    """Write a chunk once it is deflated, and return how many bytes it stands for."""
    chunk = deflated.result()
    with _os_errors():
        dataset.write_direct_chunk(corner, chunk)
    return nbytes


def _chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the largest box of up to _CHUNK bytes whose elements follow each other in C order."""
    room = _CHUNK // itemsize
    chunk: list[int] = []
    for dim in reversed(shape):
        chunk.append(max(1, min(dim, room)))
        room //= chunk[-1]
    return tuple(reversed(chunk))


def _cut(
    tensor: LazyTensor, chunk: tuple[int, ...], itemsize: int, pieces: Iterable[bytes]
) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Yield the corner and the bytes of each chunk; those at the end of an axis are shorter."""
    pieces = iter(pieces)
    held = bytearray()
    ranges = (range(0, dim, size) for dim, size in zip(tensor.shape, chunk, strict=True))
    for corner in product(*ranges):
        box = (
            min(size, dim - at) for at, size, dim in zip(corner, chunk, tensor.shape, strict=True)
        )
        nbytes = math.prod(box) * itemsize
        while len(held) < nbytes:
            held += next(pieces)
        yield corner, bytes(held[:nbytes])
        del held[:nbytes]


def _deflate(data: bytes, size: int, itemsize: int) -> bytes:
    """Apply the filters as the library does: to a whole chunk, which is padded with zeros.

    Shuffled, they are the first bytes of all elements, then the second ones, and so on.
    """
    import numpy as np

    elements = np.frombuffer(data.ljust(size, b"\0"), np.uint8).reshape(-1, itemsize)
    return zlib.compress(elements.T.tobytes(), _LEVEL)


class _Tree:
    """An HDF5 file in the making, as a context that closes it."""

    def __init__(self, path: Path, attributes: Mapping[str, bytes]) -> None:
        h5py = load_h5py()
        from h5py import h5f, h5g, h5p

        access = h5p.create(h5p.FILE_ACCESS)
        access.set_fapl_sec2()  # whatever the environment says
        access.set_libver_bounds(h5f.LIBVER_V18, h5f.LIBVER_V18)
        access.set_fclose_degree(h5f.CLOSE_STRONG)
        access.set_file_locking(False, ignore_when_disabled=True)
        plist = _track_order(h5p.create(h5p.FILE_CREATE))
        self._groups: dict[tuple[str, ...], Any] = {}
        with _os_errors():
            self._file = h5f.create(os.fsencode(path), h5f.ACC_TRUNC, plist, access)
        try:
            with _os_errors():
                self._groups[()] = h5g.open(self._file, b"/")
                stated = h5py.Group(self._groups[()]).attrs
                for key, data in attributes.items():
                    # Of fixed length: a variable one would lie in the global heap, without a
                    # checksum, while everything else about the tree has one.
                    stated.create(key, data, dtype=h5py.string_dtype("utf-8", len(data)))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        try:
            with _os_errors():
                self._file.close()
        except OSError:
            if kind is None:  # otherwise the first error says more
                raise

    def reserve(self, tensor: LazyTensor) -> int:
        """Create a contiguous dataset and return the position of its bytes in the file."""
        from h5py import h5d, h5p

        plist = h5p.create(h5p.DATASET_CREATE)
        plist.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5d.FILL_TIME_NEVER)
        with _os_errors():
            return self._create(tensor, plist).get_offset() or 0

    def create_chunked(self, tensor: LazyTensor, chunk: tuple[int, ...]) -> Any:  # noqa: ANN401
        """Create and return a dataset of shuffled and deflated chunks."""
        from h5py import h5p

        plist = h5p.create(h5p.DATASET_CREATE)
        if tensor.size:  # chunks would be larger than nothing
            plist.set_chunk(chunk)
            plist.set_shuffle()
            plist.set_deflate(_LEVEL)
        with _os_errors():
            return self._create(tensor, plist)

    def _create(self, tensor: LazyTensor, plist: Any) -> Any:  # noqa: ANN401
        from h5py import h5d, h5s, h5t

        # blocks[0].attn.c_attn.w: the same as /blocks/0/attn/c_attn/w.
        *parents, leaf = tensor.name.replace("[", ".").replace("]", "").split(".")
        plist.set_obj_track_times(False)
        return h5d.create(
            self._group(tuple(parents)),
            leaf.encode(),
            h5t.py_create(numpy_dtype(tensor.dtype)),
            h5s.create_simple(tensor.shape),
            plist,
        )

    def _group(self, path: tuple[str, ...]) -> Any:  # noqa: ANN401
        from h5py import h5g, h5p

        if path not in self._groups:
            plist = _track_order(h5p.create(h5p.GROUP_CREATE))
            parent = self._group(path[:-1])
            self._groups[path] = h5g.create(parent, path[-1].encode(), gcpl=plist)
        return self._groups[path]


def _track_order(plist: Any) -> Any:  # noqa: ANN401
    """Set a group's creation properties: order of links and attributes, no times."""
    from h5py import h5p

    plist.set_link_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
    plist.set_attr_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
    plist.set_obj_track_times(False)
    return plist


@contextmanager
def _os_errors() -> Iterator[None]:
    """Hold h5py's lock, and turn what it raises into an OSError in the system's words."""
    try:
        with locked():
            yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno)) from None
    except RuntimeError as error:
        text = str(error)
        system = text.partition("error message = '")[2].partition("'")[0]
        raise OSError(system or text) from None
