"""The signature of HDF5 is found where the format allows it, and nothing that waits is read."""

from __future__ import annotations

import os
from pathlib import Path

from gpt2_convert.formats.hdf5.signature import recognises


def test_only_the_signature_where_hdf5_may_have_it_is_recognised(tmp_path: Path) -> None:
    signature = b"\x89HDF\r\n\x1a\n"
    path = tmp_path / "m"
    for offset in (0, 512, 1024, 65536):
        path.write_bytes(bytes(offset) + signature)
        assert recognises(path)
    for data in (b"", signature[:-1], bytes(8) + signature, bytes(511) + signature, bytes(9999)):
        path.write_bytes(data)
        assert not recognises(path)
    os.mkfifo(tmp_path / "pipe")
    assert not any(map(recognises, [tmp_path, tmp_path / "pipe", Path("/dev/zero")]))
