"""The promises of a reader of bundles, with TensorFlow as the writer and the oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import contracts
from support.tf_writers import load, save

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from support.contracts import Array


class BundleContract(contracts.ChecksumContract):
    """The promises of a bundle of one shard; subclasses write others."""

    format = "tensorflow"

    @pytest.fixture(autouse=True)
    def with_tensorflow(self, tf: ModuleType) -> None:
        self.tf = tf

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        save(self.tf, folder / "model.ckpt", arrays)
        return folder

    def oracle(self, path: Path) -> dict[str, Array]:
        return load(self.tf, path / "model.ckpt")

    def extra_arrays(self) -> dict[str, Array]:
        return {
            "complex64": np.array([1 + 2j, -3j], np.complex64),
            "complex128": np.array([[1 + 2j, np.nan]], np.complex128),
            "a name/with: spaces 'and' \u00e4": np.arange(3.0),
        }
