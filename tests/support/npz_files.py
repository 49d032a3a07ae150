"""NumPy archives built member by member, and damage to them."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.contracts import contents

from gpt2_convert import Gpt2ConvertError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)


def header(
    descr: object = "<f4", fortran_order: object = False, shape: object = (2, 3), version: int = 1
) -> bytes:
    """A .npy header as the format's specification describes it; values are put in as they are."""
    fields = f"{{'descr': {descr!r}, 'fortran_order': {fortran_order!r}, 'shape': {shape!r}, }}"
    return raw_header(fields.encode(), version)


def raw_header(text: bytes, version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + b"\n"


def archive(
    path: Path,
    members: Mapping[str, bytes],
    *,
    comment: bytes = b"",
    method: int = zipfile.ZIP_STORED,
) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.comment = comment
        for name, data in members.items():
            file.writestr(name, data)
    return path


def refusal(path: Path, kind: type[Gpt2ConvertError]) -> str:
    """Return the message of the error, which is of exactly this kind."""
    with pytest.raises(Gpt2ConvertError) as caught:
        contents(path)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def patch_directory(path: Path, offset: int, data: bytes) -> Path:
    """Overwrite bytes of the first record of the zip directory."""
    whole = bytearray(path.read_bytes())
    start = whole.index(b"PK\x01\x02") + offset
    whole[start : start + len(data)] = data
    path.write_bytes(whole)
    return path
