"""The folder of a Hugging Face model: the names of its files, and which of them holds the weights.

transformers writes ``model.safetensors`` or, in shards, ``model.safetensors.index.json`` and
``model-00001-of-00002.safetensors``; it used to write PyTorch files, ``pytorch_model.bin`` or an
index and shards, too, and up to release 4 its TensorFlow models wrote ``tf_model.h5``, an HDF5
file. ``config.json`` beside them states the sizes and the behaviour. Source:
huggingface/transformers, utils/__init__.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import SourceNotFoundError, UsageError
from ..folders import list_names
from ..safetensors.reader import SUFFIX
from ..safetensors.sharded import INDEX

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

MODEL: Final = "model.safetensors"
MODEL_INDEX: Final = MODEL.removesuffix(SUFFIX) + INDEX
ADAPTERS: Final = ("adapter_model.safetensors", "adapter_model.bin")
PYTORCH_MODEL: Final = "pytorch_model.bin"
PYTORCH_INDEX: Final = f"{PYTORCH_MODEL}.index.json"
PYTORCH: Final = (PYTORCH_MODEL, PYTORCH_INDEX, ADAPTERS[1])
"""The weights in PyTorch files. Those of any other name may be a trainer's."""
KERAS_MODEL: Final = "tf_model.h5"
_OTHER_CONTAINERS: Final = {**dict.fromkeys(PYTORCH, "pytorch"), KERAS_MODEL: "hdf5"}
"""The containers other than safetensors that a model's weights may be in, by the file's name."""


def find_other_container(path: Path) -> str | None:
    """Return the key in READERS of what the weights of a Hugging Face model are in at ``path``.

    It is a file by whose name that is told, or a folder of nothing else. None for safetensors.
    """
    if not path.is_dir():
        return _OTHER_CONTAINERS.get(path.name)
    names = list_names(path)
    if any(name.endswith((SUFFIX, INDEX)) for name in names):
        return None
    return next((_OTHER_CONTAINERS[name] for name in _OTHER_CONTAINERS if name in names), None)


def holds_weights(folder: Path) -> bool:
    """Whether a file of ``folder`` may hold weights, by its name."""
    names = list_names(folder)
    return any(name.endswith((SUFFIX, INDEX)) or name in PYTORCH for name in names)


def find_weights(folder: Path) -> Path:
    """Return the file or the index of shards that holds the weights.

    ``model.safetensors`` goes before its index, as it does in transformers, and any other
    safetensors file is taken if it is the only one. PyTorch files come last.

    Raises:
        SourceNotFoundError: there is none.
        UsageError: several could be meant.
    """
    names = list_names(folder)
    for name in (MODEL, MODEL_INDEX):
        if name in names:
            return folder / name
    for suffix in (INDEX, SUFFIX):
        found = [name for name in names if name.endswith(suffix)]
        if len(found) == 1:
            return folder / found[0]
        if found:
            shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
            raise UsageError(
                f"{folder}: {len(found)} files could be meant and none is {MODEL} or its index: "
                f"{shown}; name one"
            )
    for name in PYTORCH:
        if name in names:
            return folder / name
    raise SourceNotFoundError(f"{folder}: no {SUFFIX} file in this folder")
