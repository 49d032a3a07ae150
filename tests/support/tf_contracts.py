"""The promises of a reader of bundles, with TensorFlow as the writer and the oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import contracts
from support.contracts import contents, contents_of, open_descriptors
from support.tf_writers import load, save

from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from support.contracts import Array


class BundleContract(contracts.ChecksumContract):
    """The promises of a bundle of one shard; subclasses write others."""

    format = "tensorflow"
    direct = True

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


class EngineContract(contracts.ReaderContract):
    """The promises of what TensorFlow opens in a process of its own."""

    direct = False

    def test_closing_gives_the_descriptors_back(self, folder: Path) -> None:
        """None is taken: the files are open in the other process, which others use."""
        path = self.write(folder, self.small())
        assert contents(path) == contents_of(self.small())
        before = open_descriptors()
        raw = open_raw(path)
        assert open_descriptors() == before
        raw.close()
        assert open_descriptors() == before
        raw.close()
