"""Malformed checkpoints of every family, each written into an empty folder by a function.

Every case is a small GPT-2 that would convert but for one thing: truncated, flipped, or built byte
by byte to lie. Nothing in them is random. `test_corpus.py` passes each to the program, and
`robustness.py` to the libraries that other programs read such files with, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import hdf5, npz, pytorch, safetensors, sharded, tables, tensorflow, texts
from .case import HPARAMS, Case

if TYPE_CHECKING:
    from .case import Write

__all__ = ["CASES", "SOUND", "Case"]

SOUND: dict[str, tuple[Write, str]] = {
    "TensorFlow": (tensorflow.changed_index(bytes), "m"),
    "TensorFlow, slices": (tensorflow.sliced((0, 5), (5, 6)), "m"),
    "checkpoint file": (texts.beside_bundle("checkpoint", texts.named(b"model.ckpt")), ""),
    "hparams.json": (texts.beside_bundle("hparams.json", HPARAMS), ""),
    "config.json": (texts.config("").write, ""),
    "zip comment": (texts.in_comment(texts.provenance()), "x.npz"),
    "metadata": (texts.in_metadata(texts.provenance().decode()), "x.safetensors"),
    "attribute": (texts.in_attribute(HPARAMS), "x.h5"),
    "safetensors": (safetensors.changed(bytes), safetensors.FILE),
    "sharded safetensors": (sharded.index_text(bytes), sharded.INDEX),
    "PyTorch": (pytorch.changed(bytes), pytorch.FILE),
    "PyTorch, before 1.6": (pytorch.legacy(bytes), pytorch.FILE),
    "PyTorch, a program's place": (pytorch.program(pytorch.in_state(b"N")), pytorch.FILE),
    "npz": (npz.changed(bytes), npz.FILE),
    "deflated npz": (npz.changed(bytes, npz.DEFLATED), npz.FILE),
    "HDF5": (hdf5.bytes_of(bytes), hdf5.FILE),
    "HDF5 of before 1.8": (hdf5.bytes_of(bytes, "earliest"), hdf5.FILE),
    "HDF5 in chunks": (hdf5.bytes_of(bytes, chunks=(4, 4), fletcher32=True), hdf5.FILE),
}
"""What the cases are made of, before anything was done to it."""

CASES: dict[str, Case] = {}
for _module in (tensorflow, tables, texts, safetensors, sharded, pytorch, npz, hdf5):
    for _name, _case in _module.CASES.items():
        CASES[f"{_case.family}: {_name}"] = _case
