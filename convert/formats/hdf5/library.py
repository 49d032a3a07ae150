"""The HDF5 library as one process may use it: by this program's settings, one thread at a time."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import UnsupportedError
from ...quoting import clip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import Any, Final

_SETTINGS: Final = ("HDF5_", "H5FD_")
"""What the names of the environment variables begin with that the library reads."""
_PLUGINS: Final = "HDF5_PLUGIN_PRELOAD"
_loading: Final = threading.Lock()


def load_h5py() -> Any:  # noqa: ANN401
    """Import h5py, and with it the library, as if the environment had none of its variables.

    They name drivers, connectors and plugins, each of them code that would run or that would see
    to it that no file is written where it should be; locks, prefixes and debugging, too. The
    library reads them when it is loaded (1.14.6), and a program that uses this package may have
    set them for another one that it starts: so they are back afterwards. If it has loaded h5py
    already, that was by its own settings; therefore files are opened with drivers that are named.

    Raises:
        UnsupportedError: h5py cannot be loaded, for want of memory for example.
    """
    try:
        if "h5py" not in sys.modules:
            with _loading, _without_settings():
                import h5py
        import h5py
    except ImportError as error:
        reason = clip(" ".join(str(error).split()))
        raise UnsupportedError(
            f"h5py, which reads and writes HDF5, cannot be loaded: {reason}"
        ) from None
    return h5py


@contextmanager
def _without_settings() -> Iterator[None]:
    """Take the library's variables out of the environment for a while."""
    taken = take_settings()
    try:
        yield
    finally:
        del os.environ[_PLUGINS]
        os.environ.update(taken)


def take_settings() -> dict[str, str]:
    """Take the library's variables out of the environment, and return them.

    What is set instead forbids to look in a folder of plugins for filters that it does not have.
    Releases differ in when they look at that (2.0: not before there is such a filter), so a process
    that is only for the library keeps it so.
    """
    taken = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_SETTINGS)}
    os.environ[_PLUGINS] = "::"
    return taken


def locked() -> AbstractContextManager[Any]:
    """Return h5py's global lock, to be held in a block; the same thread may take it again.

    The library is not safe in threads, and some of h5py's methods do not take the lock themselves
    (write_direct_chunk). A target may be read by one thread while another writes or verifies
    another one. Python code that the library calls back needs the GIL besides, and waits for
    nothing else.
    """
    load_h5py()
    from h5py._objects import phil

    lock: AbstractContextManager[Any] = phil
    return lock
