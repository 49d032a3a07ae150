"""The HDF5 library as one process may use it: without plugins, and one thread at a time."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def load_h5py() -> Any:  # noqa: ANN401
    """Import h5py, and with it the library.

    The library loads filters that it does not have from a folder of plugins, if a file asks for
    them. Only when it is loaded itself does it look at the variable that forbids this.
    """
    os.environ.setdefault("HDF5_PLUGIN_PRELOAD", "::")
    import h5py

    return h5py


@contextmanager
def locked() -> Iterator[None]:
    """Hold h5py's global lock, which the same thread may take again.

    The library is not safe in threads, and some of h5py's methods do not take the lock themselves
    (read_direct_chunk and write_direct_chunk). A source may be read by one thread while another
    writes or verifies the target. Python code that the library calls back needs the GIL besides,
    and waits for nothing else.
    """
    load_h5py()
    from h5py._objects import phil

    with phil:
        yield
