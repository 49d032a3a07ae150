"""The writers, as one table: what asks for each, and how its official library reads it back.

Every test that goes through the writers goes through this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import ml_dtypes
import numpy as np
import pytest
from safetensors import deserialize, safe_open
from support import raws, tf_writers

import gpt2_convert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Writer:
    """A way to write a target.

    ``spell`` makes a tensor's name in the file of its canonical one; ``load`` returns the arrays by
    these names. ``dtypes`` are those that the container holds.
    """

    to: str
    name: str
    spell: Callable[[str], str]
    load: Callable[[Path], Arrays]
    dtypes: frozenset[str]
    compress: str | None = None

    @property
    def options(self) -> dict[str, str]:
        """What asks for it in a call of the library."""
        return {"to": self.to} | ({"compress": self.compress} if self.compress else {})

    @property
    def arguments(self) -> list[str]:
        """What asks for it on a command line."""
        return [part for key, value in self.options.items() for part in (f"--{key}", value)]

    def convert(self, source: Path, target: Path, **more: Any) -> gpt2_convert.ConversionReport:  # noqa: ANN401
        return gpt2_convert.convert(source, target, **{**self.options, **more})


def load_npz(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive.items())


def load_hdf5(path: Path) -> Arrays:
    arrays: Arrays = {}

    def take(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(take)
    # A dataset without axes comes as a scalar.
    return {name: np.asarray(array) for name, array in arrays.items()}


FLOAT8_CODES: dict[str, Any] = {
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
}


def load_safetensors(path: Path) -> Arrays:
    """Read a file, or all those of a folder."""
    # safetensors finds NumPy's bfloat16 once this package has made it known.
    assert ml_dtypes.bfloat16
    arrays: Arrays = {}
    for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        # Floats of eight bits it gives out as bytes alone.
        parts = deserialize(file.read_bytes())  # type: ignore[no-untyped-call]
        arrays |= {
            name: np.frombuffer(part["data"], FLOAT8_CODES[part["dtype"]]).reshape(part["shape"])
            for name, part in parts
            if part["dtype"] in FLOAT8_CODES
        }
        with safe_open(file, "numpy") as opened:
            arrays |= {name: opened.get_tensor(name) for name in {*opened.keys()} - arrays.keys()}
    return arrays


def load_tensorflow(path: Path) -> Arrays:
    """Read a folder; a conv1d's weights come without the axis that OpenAI's layout has in front."""
    arrays = tf_writers.load(tf_writers.import_tensorflow(), path / "model.ckpt")
    return {name: array[0] if array.ndim == 3 else array for name, array in arrays.items()}


NUMPY_DTYPES = frozenset(
    {
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "float32", "float64", "complex64", "complex128",
    }
)  # fmt: skip
FLOAT8_DTYPES = frozenset(kind.__name__ for kind in FLOAT8_CODES.values())
SAFETENSORS_DTYPES = NUMPY_DTYPES - {"complex128"} | {"bfloat16"} | FLOAT8_DTYPES
TENSORFLOW_DTYPES = NUMPY_DTYPES | {"bfloat16"}


def spell_hdf5(name: str) -> str:
    return name.replace("[", "/").replace("]", "").replace(".", "/")


def spell_hf(name: str) -> str:
    return "transformer." + raws.huggingface_name(name)


def spell_openai(name: str) -> str:
    return "model/" + name.replace("blocks[", "h").replace("]", "").replace(".", "/")


WRITERS = {
    "npz": Writer("npz", "out.npz", str, load_npz, NUMPY_DTYPES),
    "safetensors": Writer(
        "safetensors", "out.safetensors", str, load_safetensors, SAFETENSORS_DTYPES
    ),
    "hdf5": Writer("hdf5", "out.h5", spell_hdf5, load_hdf5, NUMPY_DTYPES),
    "hdf5 gzip": Writer("hdf5", "out.h5", spell_hdf5, load_hdf5, NUMPY_DTYPES, compress="gzip"),
    "hf": Writer("hf", "out-hf", spell_hf, load_safetensors, SAFETENSORS_DTYPES),
    "tf": Writer("tensorflow", "out-tf", spell_openai, load_tensorflow, TENSORFLOW_DTYPES),
}
every_writer = pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
