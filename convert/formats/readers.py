"""The containers this tool reads. A reader knows bytes and not GPT-2.

To add one: a module with ``NAME``, a test whether a path is its own, and a function that opens it,
and a line in READERS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .engines import Engine
from .hdf5 import reader as hdf5
from .npz import reader as npz
from .safetensors import reader as safetensors
from .tensorflow import reader as tf_bundle
from .tensorflow.engine import reader as tf_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Final

    from ..checkpoint.canonical import RawCheckpoint


@dataclass(frozen=True, slots=True)
class Reader:
    """How to tell that a path is of this container, and how to open it (path, step).

    Where ``has_steps``, a folder may hold several checkpoints and a step chooses one. A target that
    was just written is opened with ``reopen`` to prove it, where the official library has a word
    to say that ``open`` does not ask for. ``engines`` are other programs that read it, by name.
    """

    title: str
    has_steps: bool
    recognises: Callable[[Path], bool]
    open: Callable[[Path, int | None], RawCheckpoint]
    reopen: Callable[[Path, int | None], RawCheckpoint] | None = None
    engines: Mapping[str, Engine] = field(default_factory=dict)


READERS: Final[dict[str, Reader]] = {
    npz.NAME: Reader("NumPy archive (.npz)", False, npz.recognises, npz.open_npz),
    tf_bundle.NAME: Reader(
        "TensorFlow checkpoint",
        True,
        tf_bundle.recognises,
        tf_bundle.open_bundle,
        engines={
            tf_engine.ENGINE: Engine(
                "TensorFlow", tf_engine.require, tf_engine.open_through_tensorflow
            )
        },
    ),
    safetensors.NAME: Reader(
        "safetensors file or Hugging Face model",
        False,
        safetensors.recognises,
        safetensors.open_safetensors,
        reopen=safetensors.open_written,
    ),
    # The last: its signature may stand at many places, also by chance in another container.
    hdf5.NAME: Reader("HDF5 file (.h5)", False, hdf5.recognises, hdf5.open_hdf5),
}
