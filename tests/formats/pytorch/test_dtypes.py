"""The names of torch's dtypes and storages; that torch has the same is shown in interop/."""

from __future__ import annotations

import ml_dtypes
import numpy as np
from support.torch_files import TYPES

from gpt2_convert.formats.pytorch.dtypes import DTYPES, STORAGES
from gpt2_convert.tensors.dtype import DType


def test_storages_are_those_of_numpy_s_dtypes_by_torch_s_names() -> None:
    found = {name.removeprefix("torch."): dtype.value for name, dtype in STORAGES.items()}
    assert found == {name: dtype for dtype, name in TYPES.items()} | {
        "storage.UntypedStorage": "uint8"
    }


def test_every_dtype_has_the_size_that_numpy_gives_it() -> None:
    for name, dtype in DTYPES.items():
        plain = name.removeprefix("torch.")
        known = np.dtype(getattr(ml_dtypes, plain, None) or plain)
        assert dtype.itemsize == known.itemsize
    assert set(STORAGES.values()) <= set(DTYPES.values())


def test_what_torch_does_not_have_is_not_there() -> None:
    quantised = {dtype for dtype in DType if "q" in dtype}
    assert set(DType) - set(DTYPES.values()) == quantised | {
        DType.STRING, DType.RESOURCE, DType.VARIANT,
    }  # fmt: skip
