"""The containers this tool writes. A writer knows a Checkpoint and not where it came from.

To add one: a module in this room with ``NAME``, ``load`` and ``write``, and a line in WRITERS.
``write`` fills a file, or a folder, that exists and is empty; to create it, to make it durable and
to give it its name is not its business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..model.document import build_document
from .companions import OPENAI_NAMES
from .hdf5 import writer as hdf5
from .huggingface import writer as huggingface
from .npz import writer as npz
from .provenance import state_config
from .safetensors import writer as safetensors
from .tensorflow import writer as tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Final

    from ..checkpoint.canonical import Checkpoint

    Write = Callable[[Checkpoint, Path, Callable[[int], None]], None]

TargetFormat: TypeAlias = Literal["npz", "safetensors", "hdf5", "hf", "tensorflow"]
"""The keys of WRITERS."""
Compression: TypeAlias = Literal["gzip"]
"""What some of them can compress with."""


def _note_nothing(checkpoint: Checkpoint) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Writer:
    """``write(checkpoint, path, advance)``; ``advance`` is told of each run of bytes written.

    ``load(proof)`` imports the libraries that writing takes and, with ``proof``, those that reading
    back takes, so that what goes wrong with that does so before anything is written.
    ``suffixes`` are the ends of names that ask for it. ``read_as`` is the key of READERS that reads
    it. ``config(checkpoint)`` is the configuration that the target states, and
    ``notes(checkpoint)`` what should be known of how it does. ``compressed`` has another function
    to write for each compression that the container offers. ``folder_of`` are the names that it may
    write where it fills a folder, and ``companion_names`` those that it has for files beside the
    weights, by Hugging Face's.
    """

    title: str
    write: Write
    load: Callable[[bool], None]
    suffixes: tuple[str, ...]
    read_as: str
    config: Callable[[Checkpoint], Mapping[str, object]]
    compressed: Mapping[str, Write] = field(default_factory=dict)
    folder_of: frozenset[str] = frozenset()
    companion_names: Mapping[str, str] = field(default_factory=dict)
    notes: Callable[[Checkpoint], tuple[str, ...]] = _note_nothing


WRITERS: Final[dict[str, Writer]] = {
    npz.NAME: Writer("NumPy archive (.npz)", npz.write, npz.load, (".npz",), "npz", state_config),
    safetensors.NAME: Writer(
        "safetensors",
        safetensors.write,
        safetensors.load,
        (".safetensors",),
        "safetensors",
        state_config,
    ),
    hdf5.NAME: Writer(
        "HDF5",
        hdf5.write,
        hdf5.load,
        (".h5", ".hdf5"),
        "hdf5",
        state_config,
        compressed={"gzip": partial(hdf5.write, compress="gzip")},
    ),
    huggingface.NAME: Writer(
        "Hugging Face model folder",
        huggingface.write,
        safetensors.load,
        ("/",),
        "safetensors",
        build_document,
        folder_of=huggingface.FILES,
    ),
    tensorflow.NAME: Writer(
        "TensorFlow checkpoint in OpenAI's layout",
        tensorflow.write,
        tensorflow.load,
        (),
        "tensorflow",
        tensorflow.state_config,
        folder_of=tensorflow.FILES,
        companion_names=OPENAI_NAMES,
        notes=tensorflow.note,
    ),
}
