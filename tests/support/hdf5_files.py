"""HDF5 files made by h5py, as the tests want them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import h5py
import numpy as np
from support import bundles, raws

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from gpt2_convert.checkpoint.raw import RawCheckpoint


Make: TypeAlias = "Callable[[h5py.File], object]"
LARGE = (1031, 17, 41)
"""Of float32: 2.9 MB, several pieces, and no piece ends with a row."""


def make(path: Path, fill: Make, **options: Any) -> Path:  # noqa: ANN401
    with h5py.File(path, "w", **options) as file:
        fill(file)
    return path


def one(name: str, data: Any = None, **options: Any) -> Make:  # noqa: ANN401
    return lambda file: file.create_dataset(name, data=data, **options)


def random(shape: tuple[int, ...], dtype: str = "f4") -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def read_all(raw: RawCheckpoint) -> dict[str, bytes]:
    return {tensor.name: b"".join(tensor.chunks()) for tensor in raw.tensors}


def write_canonical(file: h5py.File, sizes: dict[str, int] = bundles.TINY, **options: Any) -> None:  # noqa: ANN401
    for name, weights in raws.canonical(sizes).items():
        path = name.replace("[", "/").replace("]", "").replace(".", "/")
        file.create_dataset(path, data=weights, **options)
