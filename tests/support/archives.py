"""An archive as a target: what is refused, and what is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path

OLD = b"an older file"


def refuse(
    error: type[gpt2_convert.Gpt2ConvertError],
    says: str,
    source: Path,
    target: Path,
    force: bool = True,
) -> None:
    with pytest.raises(error, match=says) as caught:
        gpt2_convert.convert(source, target, to="npz", force=force)
    assert "\n" not in str(caught.value)


def assert_complete(target: Path) -> None:
    """Whether ``target`` holds all of the small checkpoint, by NumPy's own reading."""
    weights = bundles.gpt2_arrays()
    with np.load(target) as archive:
        assert len(archive.files) == len(weights)
        for name in archive.files:
            assert archive[name].dtype == np.float32
        np.testing.assert_array_equal(archive["wte"], weights["model/wte"])
        np.testing.assert_array_equal(archive["ln_f.b"], weights["model/ln_f/b"])
        np.testing.assert_array_equal(
            archive["blocks[2].mlp.c_proj.w"], weights["model/h2/mlp/c_proj/w"][0]
        )


def spoil(folder: Path) -> None:
    """Flip a bit of the last tensor, which is found only when nearly all is written."""
    data = folder / "model.ckpt.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
