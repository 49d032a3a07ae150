"""The containers this tool reads. A reader knows bytes and not GPT-2.

To add one: a module in this room with ``NAME``, a test whether a path is its own and a function
that opens it, and a line in READERS.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from .engines import TENSORFLOW, Engine
from .hdf5 import signature as hdf5
from .huggingface import reader as huggingface
from .huggingface.folder import KERAS_MODEL
from .npz import reader as npz
from .pytorch import signature as pytorch
from .safetensors import reader as safetensors
from .tensorflow import reader as tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Final

    from ..checkpoint.raw import RawCheckpoint

SourceFormat: TypeAlias = Literal["npz", "tensorflow", "safetensors", "pytorch", "hdf5"]
"""The keys of READERS."""


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


def _recognises_hdf5(path: Path) -> bool:
    """Whether it is an HDF5 file, or the folder of one that transformers wrote and of nothing else.

    The folders of the Hub have a model in several containers, of which HDF5 is the last choice.
    """
    if not path.is_dir():
        return hdf5.recognises(path)
    others = (reader for name, reader in READERS.items() if name != hdf5.NAME)
    is_there = os.path.lexists(path / KERAS_MODEL)
    return is_there and not any(reader.recognises(path) for reader in others)


def _open_hdf5(path: Path, step: int | None) -> RawCheckpoint:
    """Open an HDF5 file; its reader is imported for that, since few commands need it."""
    from .hdf5.reader import open_hdf5

    folder_named = path.is_dir()
    path = path / KERAS_MODEL if folder_named else path
    raw = open_hdf5(path, step)
    # As with safetensors: what lies beside a file of this tool need not belong to it.
    belongs = path.name == KERAS_MODEL and (folder_named or not raw.configs)
    return replace(raw, folder=path.parent) if belongs else raw


def _reopen_hdf5(path: Path, step: int | None) -> RawCheckpoint:
    """Open an HDF5 file that was just written; imported late as above."""
    from .hdf5.reader import open_written

    return open_written(path, step)


def _open_pytorch(path: Path, step: int | None) -> RawCheckpoint:
    """Open a PyTorch file; imported late as above."""
    from .pytorch.sharded import open_pytorch

    return open_pytorch(path, step)


def _require_tensorflow() -> None:
    """Make sure that TensorFlow is there; imported late as above."""
    from .tensorflow.engine.reader import require

    require()


def _open_through_tensorflow(path: Path, step: int | None) -> RawCheckpoint:
    """Open a checkpoint through TensorFlow; imported late as above."""
    from .tensorflow.engine.reader import open_through_tensorflow

    return open_through_tensorflow(path, step)


READERS: Final[dict[str, Reader]] = {
    npz.NAME: Reader("NumPy archive (.npz)", False, npz.recognises, npz.open_npz),
    tensorflow.NAME: Reader(
        "TensorFlow checkpoint",
        True,
        tensorflow.recognises,
        tensorflow.open_bundle,
        engines={TENSORFLOW: Engine("TensorFlow", _require_tensorflow, _open_through_tensorflow)},
    ),
    safetensors.NAME: Reader(
        "safetensors file or Hugging Face model",
        False,
        huggingface.recognises,
        huggingface.open_model,
        reopen=huggingface.open_written,
    ),
    pytorch.NAME: Reader("PyTorch file", False, pytorch.recognises, _open_pytorch),
    # The last: its signature may stand at many places, also by chance in another container.
    hdf5.NAME: Reader("HDF5 file (.h5)", False, _recognises_hdf5, _open_hdf5, reopen=_reopen_hdf5),
}
