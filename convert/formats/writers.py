"""The containers this tool writes. A writer knows a Checkpoint and not where it came from.

To add one: a module with ``NAME`` and ``write``, and a line in WRITERS. ``write`` fills a file, or
a folder, that exists and is empty; to create it, to make it durable and to give it its name is not
its business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from .hdf5 import writer as hdf5
from .huggingface import writer as hf
from .npz import writer as npz
from .safetensors import writer as safetensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Final

    from ..checkpoint.canonical import Checkpoint

    Write = Callable[[Checkpoint, Path, Callable[[int], None]], None]


@dataclass(frozen=True, slots=True)
class Writer:
    """``write(checkpoint, path, advance)``; ``advance`` is told of each run of bytes written.

    ``suffixes`` are the ends of names that ask for it. ``compressed`` has another such function for
    each compression that the container offers. ``reader`` is the key of READERS that reads it, if
    that is not its own. ``folder_of`` are the names that it may write where it fills a folder.
    """

    title: str
    write: Write
    suffixes: tuple[str, ...]
    compressed: Mapping[str, Write] = field(default_factory=dict)
    reader: str | None = None
    folder_of: frozenset[str] = frozenset()


WRITERS: Final[dict[str, Writer]] = {
    npz.NAME: Writer("NumPy archive (.npz)", npz.write, (".npz",)),
    safetensors.NAME: Writer("safetensors", safetensors.write, (".safetensors",)),
    hdf5.NAME: Writer(
        "HDF5",
        hdf5.write,
        (".h5", ".hdf5"),
        compressed={"gzip": partial(hdf5.write, compress="gzip")},
    ),
    hf.NAME: Writer(
        "Hugging Face model folder",
        hf.write,
        ("/",),
        reader=safetensors.NAME,
        folder_of=hf.FILES,
    ),
}
