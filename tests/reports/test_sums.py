"""Lists of SHA-256 sums are those that sha256sum prints, and that it reads again."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from gpt2_convert.reports.sums import WrittenFile, list_sums, starts_as_sums

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    b"plain.npz", b"with space", b" front", b"a\\b", b"a\nb", b"a\rb", b"end\r", b"\\", b"*star",
    b"-dash", b"caf\xc3\xa9", b"\xff\xfe", b"\x1b[31m", b"Z", b"a", b"B",
]  # fmt: skip
sha256sum = pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")


def written(folder: Path, name: bytes) -> WrittenFile:
    """Write a file with contents of its own, and return what a report says of it."""
    (folder / os.fsdecode(name)).write_bytes(b"of " + name)
    digest = hashlib.sha256(b"of " + name).hexdigest()
    return WrittenFile(os.fsdecode(name), len(name) + 3, digest)


@sha256sum
def test_the_list_is_what_sha256sum_prints_and_checks(tmp_path: Path) -> None:
    files = [written(tmp_path, name) for name in NAMES]
    ours = b"".join(list_sums(files))
    arguments = ["sha256sum", "--", *(os.fsdecode(name) for name in sorted(NAMES))]
    theirs = subprocess.run(arguments, cwd=tmp_path, capture_output=True, check=True).stdout
    assert ours == theirs
    subprocess.run(["sha256sum", "-c", "--strict"], input=ours, cwd=tmp_path, check=True)
    (tmp_path / "plain.npz").write_bytes(b"something else")
    done = subprocess.run(["sha256sum", "-c"], input=ours, cwd=tmp_path, check=False)
    assert done.returncode == 1


def test_the_order_is_that_of_the_bytes() -> None:
    files = [WrittenFile(name, 1, "0" * 64) for name in ("a", "é", "B", "b")]
    names = [line.decode().split("  ")[1].strip() for line in list_sums(files)]
    assert names == ["B", "a", "b", "é"]


@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (b"a" * 64 + b"  x\n", True),
        (b"\\" + b"0" * 64 + b"  a\\\\b\n", True),
        (b"0" * 64 + b" *binary", True),
        (b"0" * 64 + b"  ", False),
        (b"0" * 63 + b"  x\n", False),
        (b"", False),
        (b"{}", False),
        (b"\n" + b"0" * 64 + b"  x\n", False),
    ],
)
def test_a_list_is_told_by_its_first_line(beginning: bytes, expected: bool) -> None:
    assert starts_as_sums(beginning) is expected


def test_a_file_has_a_document() -> None:
    assert WrittenFile("a", 3, "f" * 64).as_json() == {"path": "a", "bytes": 3, "sha256": "f" * 64}
