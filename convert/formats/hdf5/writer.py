"""HDF5 files: a group for each level of a name, a dataset for each tensor.

``blocks[0].attn.c_attn.w`` is ``/blocks/0/attn/c_attn/w``, ``ln_f.g`` is ``/ln_f/g``; where a
checkpoint is taken as it is, names are paths already (:mod:`.paths`). The order of creation is
tracked, so programs that ask for it list the layers 0, 1, 2 … 10. The attributes of the root are
what :mod:`..provenance` says. Every HDF5 library since 1.8 reads the file. It depends on no clock,
host or path: the same tensors and configuration give the same bytes with the same libraries (a
release of HDF5 may arrange its metadata in another way, one of libdeflate compress in another way).

Stored: each dataset is one contiguous run of bytes. The library creates the tree and reserves the
room, and the bytes are then written where it says that they belong. Compressed: chunks of whole
rows, shuffled and deflated by threads (:mod:`.deflating`), and handed to the library ready-made.

Limits: HDF5 1.x has no bfloat16. A file of opaque or home-made types would be a lie, so it is
refused. So is a configuration that is too large for an attribute as the reader wants it.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import product
from typing import TYPE_CHECKING

from ...checkpoint.canonical import Checkpoint
from ...errors import Advice, UnsupportedError
from ...io.processors import count_processors
from ...quoting import quote
from ...tensors.dtype import numpy_dtype
from ...tensors.read_ahead import read_ahead
from ..provenance import state_in_attributes
from .deflating import deflate_planes, load_deflate, shuffle
from .library import load_h5py
from .paths import split_canonical, split_own_names
from .tree import Tree, os_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path
    from typing import Any, Final

    from ...checkpoint.collection import TensorCollection
    from ...tensors.tensor import LazyTensor

    _Deflated = tuple[tuple[int, ...], int, Future[bytes]]
    """The corner of a chunk, the bytes it stands for, and the bytes to come."""

NAME: Final = "hdf5"
_MAX_WORKERS: Final = 6
"""Threads that deflate; each holds a few chunks."""
_CHUNK: Final = 256 << 10
"""Bytes of a compressed chunk: a few of them fit into the library's default cache of 1 MiB."""


def load(proof: bool) -> None:
    """Import what writing takes, and with ``proof`` what reading back does."""
    import concurrent.futures.thread  # noqa: F401

    load_h5py()
    load_deflate()  # where chunks are to be compressed
    if proof:
        from . import reader  # noqa: F401


def write(
    checkpoint: TensorCollection,
    path: Path,
    advance: Callable[[int], None],
    *,
    compress: str | None = None,
) -> None:
    """Write every tensor of ``checkpoint`` into the file at ``path``.

    ``compress`` is None or "gzip". ``advance`` is called with the number of tensor bytes after each
    chunk.

    Raises:
        UnsupportedError: a tensor is of a dtype that HDF5 does not have or of a name that no path
            can be, or the configuration is too large for an attribute.
        Gpt2ConvertError: a tensor cannot be read.
        OSError: the file cannot be written.
    """
    for tensor in checkpoint.values():
        try:
            numpy_dtype(tensor.dtype)
        except UnsupportedError:
            text = f"{checkpoint.raw.where}: {quote(tensor.source_name)}: HDF5 has no native "
            text += tensor.dtype
            if tensor.dtype.is_floating:
                text += "; safetensors holds it, or convert to another dtype"
                raise UnsupportedError(text) from None
            text += "; safetensors holds it" if tensor.dtype.is_float8 else ""
            advice = Advice("{} leaves it out", "drop", tensor.source_name)
            raise UnsupportedError(text, advice) from None
    if isinstance(checkpoint, Checkpoint):
        paths: Mapping[str, tuple[str, ...]] = {name: split_canonical(name) for name in checkpoint}
    else:
        paths = split_own_names(checkpoint, checkpoint.raw.where)
    tree = Tree(path, state_in_attributes(checkpoint), paths)
    if compress is None:
        _write_stored(checkpoint, tree, path, advance)
    else:
        _write_compressed(checkpoint, tree, advance)


def _write_stored(
    checkpoint: TensorCollection, tree: Tree, path: Path, advance: Callable[[int], None]
) -> None:
    with tree:
        places = {name: tree.reserve(tensor) for name, tensor in checkpoint.items()}
    with open(path, "r+b") as file:
        for tensor, chunks in read_ahead(checkpoint.values()):
            file.seek(places[tensor.name])
            for chunk in chunks:
                file.write(chunk)
                advance(len(chunk))


def _write_compressed(
    checkpoint: TensorCollection, tree: Tree, advance: Callable[[int], None]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    workers = min(count_processors(), _MAX_WORKERS)
    with tree, ThreadPoolExecutor(workers) as pool:
        for tensor, chunks in read_ahead(checkpoint.values()):
            if not tensor.shape:  # which cannot be in chunks
                tree.write_scalar(tensor, b"".join(chunks))
                advance(tensor.nbytes)
                continue
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
    with os_errors():
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
    """Apply the filters to the bytes of a chunk of ``size``, once it is filled up with zeros."""
    return deflate_planes(shuffle(data.ljust(size, b"\0"), itemsize), size // itemsize)
