"""A faster CRC-32 is the same CRC-32, and nobody else's zipfile knows of it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
import zlib
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

import gpt2_convert
from gpt2_convert.formats.npz.crc32 import crc32, load_zipfile

if TYPE_CHECKING:
    from pathlib import Path


@given(data=st.binary(max_size=5000), before=st.integers(0, 2**32 - 1))
def test_it_is_the_checksum_that_zlib_computes(data: bytes, before: int) -> None:
    assert crc32(data) == zlib.crc32(data)
    assert crc32(data, before) == zlib.crc32(data, before)


def test_zipfile_stays_as_it_is_for_everybody_else() -> None:
    own = load_zipfile()
    assert own is not zipfile
    assert own.crc32 is crc32
    assert sys.modules["zipfile"] is zipfile
    assert zipfile.crc32 is zlib.crc32  # type: ignore[attr-defined]


def test_without_isal_the_archive_has_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    with_it, without = tmp_path / "with.npz", tmp_path / "without.npz"
    gpt2_convert.convert(tiny, with_it)
    program = (
        "import sys\n"
        "sys.modules['isal'] = None\n"
        "import gpt2_convert, gpt2_convert.formats.npz.crc32, zlib\n"
        "assert gpt2_convert.formats.npz.crc32.crc32 is zlib.crc32\n"
        "gpt2_convert.convert(*sys.argv[1:])\n"
    )
    subprocess.run([sys.executable, "-c", program, tiny, without], check=True)
    assert without.read_bytes() == with_it.read_bytes()
    with zipfile.ZipFile(without) as archive:
        assert archive.testzip() is None
