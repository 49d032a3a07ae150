"""Sums are of the bytes that were proven, file by file, and of every file of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from support.writers import Writer, every_writer

import gpt2_convert
from gpt2_convert.api.sums import hash_target
from gpt2_convert.progress import ignore_progress


@every_writer
def test_every_file_that_was_written_has_its_sha256(
    writer: Writer, tiny: Path, tmp_path: Path
) -> None:
    target = tmp_path / writer.name
    report = writer.convert(tiny, target, sums=True)
    files = sorted(target.iterdir()) if target.is_dir() else [target]
    assert report.files is not None
    expected = {
        str(file): (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in files
    }
    assert {each.path: (each.nbytes, each.sha256) for each in report.files} == expected


def test_nothing_is_hashed_unless_it_is_asked_for(tiny: Path, tmp_path: Path) -> None:
    phases = set()

    def watch(phase: str, done: int, total: int) -> None:
        phases.add(phase)

    report = gpt2_convert.convert(tiny, tmp_path / "a.npz", progress=watch)
    assert report.files is None
    assert "hashing" not in phases


def test_sums_are_taken_after_the_proof_and_before_the_target_has_its_name(
    tiny: Path, tmp_path: Path
) -> None:
    seen: list[tuple[str, bool]] = []
    target = tmp_path / "a.npz"

    def watch(phase: str, done: int, total: int) -> None:
        if not seen or seen[-1][0] != phase:
            seen.append((phase, target.exists()))

    gpt2_convert.convert(tiny, target, sums=True, progress=watch)
    assert seen == [("writing", False), ("verifying", False), ("hashing", False)]


def test_files_of_megabytes_are_hashed_in_pieces(tmp_path: Path) -> None:
    content = bytes(range(256)) * (5 << 12)
    (tmp_path / "made").write_bytes(content)
    reported: list[tuple[int, int]] = []
    (file,) = hash_target(
        tmp_path / "made",
        Path("a/b"),
        lambda phase, done, total: reported.append((done, total)),
    )
    assert (file.path, file.nbytes) == ("a/b", len(content))
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert len(reported) == 5
    assert reported[-1] == (len(content), len(content))


def test_a_path_is_that_of_the_target(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    for name in ("b", "a"):
        (tmp_path / "made" / name).write_bytes(b"")
    files = hash_target(tmp_path / "made", Path("out put"), ignore_progress)
    assert [each.path for each in files] == ["out put/a", "out put/b"]
