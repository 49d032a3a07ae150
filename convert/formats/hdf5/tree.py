"""The tree of an HDF5 file in the making: its groups and datasets, created by the library.

The order of creation is tracked, no time is, and every library since 1.8 reads the file. Where the
elements go is :mod:`.writer`'s matter.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...tensors.dtype import numpy_dtype
from .deflating import LEVEL
from .library import load_h5py, locked

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping
    from typing import Any, Self

    from ...tensors.tensor import LazyTensor
    from .paths import Path


class Tree:
    """An HDF5 file in the making, as a context that closes it."""

    def __init__(
        self,
        path: pathlib.Path,
        attributes: Mapping[str, bytes],
        paths: Mapping[str, Path],
    ) -> None:
        """Create the file with these attributes of the root; ``paths`` are those of the tensors.

        Raises:
            OSError: it cannot be written.
        """
        h5py = load_h5py()
        from h5py import h5f, h5g, h5p

        access = h5p.create(h5p.FILE_ACCESS)
        access.set_fapl_sec2()  # whatever the environment says
        access.set_libver_bounds(h5f.LIBVER_V18, h5f.LIBVER_V18)
        access.set_fclose_degree(h5f.CLOSE_STRONG)
        access.set_file_locking(False, ignore_when_disabled=True)
        plist = _track_order(h5p.create(h5p.FILE_CREATE))
        self._paths = paths
        self._groups: dict[tuple[str, ...], Any] = {}
        with os_errors():
            self._file = h5f.create(os.fsencode(path), h5f.ACC_TRUNC, plist, access)
        try:
            with os_errors():
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
            with os_errors():
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
        with os_errors():
            return self._create(tensor, plist).get_offset() or 0

    def create_chunked(self, tensor: LazyTensor, chunk: tuple[int, ...]) -> Any:  # noqa: ANN401
        """Create and return a dataset of shuffled and deflated chunks."""
        from h5py import h5p

        plist = h5p.create(h5p.DATASET_CREATE)
        if tensor.size:  # chunks would be larger than nothing
            plist.set_chunk(chunk)
            plist.set_shuffle()
            plist.set_deflate(LEVEL)
        with os_errors():
            return self._create(tensor, plist)

    def write_scalar(self, tensor: LazyTensor, data: bytes) -> None:
        """Create a dataset of one element, and write it."""
        import numpy as np
        from h5py import h5p, h5s

        with os_errors():
            dataset = self._create(tensor, h5p.create(h5p.DATASET_CREATE))
            dataset.write(h5s.ALL, h5s.ALL, np.frombuffer(data, numpy_dtype(tensor.dtype)))

    def _create(self, tensor: LazyTensor, plist: Any) -> Any:  # noqa: ANN401
        from h5py import h5d, h5s, h5t

        *parents, leaf = self._paths[tensor.name]
        plist.set_obj_track_times(False)
        return h5d.create(
            self._group(tuple(parents)),
            _encode(leaf),
            h5t.py_create(numpy_dtype(tensor.dtype)),
            h5s.create_simple(tensor.shape),
            plist,
            _link(leaf),
        )

    def _group(self, path: tuple[str, ...]) -> Any:  # noqa: ANN401
        from h5py import h5g, h5p

        if path not in self._groups:
            plist = _track_order(h5p.create(h5p.GROUP_CREATE))
            parent, name = self._group(path[:-1]), path[-1]
            self._groups[path] = h5g.create(parent, _encode(name), _link(name), plist)
        return self._groups[path]


def _encode(name: str) -> bytes:
    """Return a link's name; the bytes that are no UTF-8 are those of the source."""
    return name.encode("utf-8", "surrogateescape")


def _link(name: str) -> Any:  # noqa: ANN401
    """Return the creation properties of a link of that name; None for an ASCII one."""
    from h5py import h5p, h5t

    if name.isascii():
        return None
    plist = h5p.create(h5p.LINK_CREATE)
    plist.set_char_encoding(h5t.CSET_UTF8)
    return plist


def _track_order(plist: Any) -> Any:  # noqa: ANN401
    """Set a group's creation properties: order of links and attributes, no times."""
    from h5py import h5p

    plist.set_link_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
    plist.set_attr_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
    plist.set_obj_track_times(False)
    return plist


@contextmanager
def os_errors() -> Iterator[None]:
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
