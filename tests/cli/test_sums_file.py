"""What --sums writes is taken by sha256sum, from the directory that the command was run in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from support import mirrors
from support.console import run_in_terminal
from support.mirrors import Hub

from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from pathlib import Path

    from support.web import Server

    Capture = pytest.CaptureFixture[str]

sha256sum = pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")


def check(place: Path, sums: str = "S") -> int:
    """Return how many files sha256sum finds right; none may be wrong."""
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", sums], cwd=place, capture_output=True, text=True, check=True
    )
    return done.stdout.count("OK\n")


@pytest.fixture
def place(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@sha256sum
@pytest.mark.parametrize(
    ("target", "options", "files"),
    [
        ("out.npz", [], 1),
        ("a b\\c\nd.npz", [], 1),
        ("out.h5", ["--compress", "gzip"], 1),
        ("./sub/../out.safetensors", [], 1),
        ("folder/", ["--to", "hf"], 2),
        ("folder", ["--to", "tensorflow", "--no-verify"], 4),
    ],
)
def test_a_conversion_s_sums_are_checked_by_sha256sum(
    target: str, options: list[str], files: int, place: Path, capsys: Capture
) -> None:
    (place / "sub").mkdir()
    assert run(["convert", "models/tiny", target, *options, "--sums", "S", "--json"]) == 0
    assert check(place) == files
    document = json.loads(capsys.readouterr().out)
    listed = (place / "S").read_text()
    assert len(document["files"]) == files
    assert all(each["sha256"] in listed for each in document["files"])
    assert sum(each["bytes"] for each in document["files"]) == document["target"]["bytes"]


@sha256sum
def test_a_fetch_s_sums_are_of_all_files_those_that_were_there_included(
    web: Server, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = mirrors.make_hf(place / "origin")
    Hub(web, files, ("model.safetensors",), "o/m")
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    for _ in range(2):
        assert run(["fetch", "o/m", "-q", "--sums", "S"]) == 0
        assert check(place) == len(files)
    assert "  models/o/m/model.safetensors\n" in (place / "S").read_text()
    assert run(["fetch", "o/m", "-q", "--sums", "models/o/m/S"]) == 2
    assert not (place / "models/o/m/S").exists()


@pytest.mark.parametrize("more", [[], ["-q"]])
def test_stdout_has_the_sums_and_nothing_else(
    more: list[str], place: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(["tf2npz", "models/tiny", "caf\udce9.npz", "--sums", "-", *more]) == 0
    out = capfdbinary.readouterr().out
    assert out.endswith(b"  caf\xe9.npz\n")
    assert out.count(b"\n") == 1


@pytest.mark.parametrize("other", [["--json"], ["--report", "markdown:-"]])
def test_two_things_on_stdout_are_refused(other: list[str], place: Path, capsys: Capture) -> None:
    assert run(["tf2npz", "models/tiny", "out.npz", "--sums", "-", *other]) == 2
    assert "two things would go to stdout" in capsys.readouterr().err
    assert not (place / "out.npz").exists()


def test_what_is_no_list_of_sums_is_never_replaced_and_one_that_is_one_is(place: Path) -> None:
    (place / "mine.txt").write_text("mine\n")
    (place / "S").write_text("")
    assert run(["tf2npz", "models/tiny", "out.npz", "--sums", "mine.txt"]) == 2
    assert (place / "mine.txt").read_text() == "mine\n"
    assert not (place / "out.npz").exists()
    for name in ("out.npz", "other.npz"):
        assert run(["tf2npz", "models/tiny", name, "-q", "--sums", "S"]) == 0
        assert (place / "S").read_text().endswith(f"  {name}\n")


def test_a_job_that_fails_leaves_the_older_list(place: Path) -> None:
    assert run(["tf2npz", "models/tiny", "out.npz", "-q", "--sums", "S"]) == 0
    before = (place / "S").read_bytes()
    assert run(["tf2npz", "models/tiny", "out.npz", "-q", "--sums", "S"]) == 2  # it exists
    assert (place / "S").read_bytes() == before
    assert run(["tf2npz", "absent", "b.npz", "-q", "--sums", "T"]) == 2
    assert not (place / "T").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_list_that_cannot_be_written_after_all_is_told(place: Path, capsys: Capture) -> None:
    assert run(["tf2npz", "models/tiny", "out.npz", "-q", "--sums", "/dev/full"]) == 2
    assert capsys.readouterr().err == (
        "gpt2-convert: /dev/full: cannot be written: no space left on device; "
        "out.npz is complete and verified\n"
    )
    assert (place / "out.npz").exists()


def test_a_terminal_gets_nothing_that_would_move_its_cursor(place: Path) -> None:
    done = run_in_terminal("tf2npz", "models/tiny", "a\x9b31m.npz", "--sums", "-", "-q")
    assert done.code == 0
    assert done.err.endswith("  a\\x9b31m.npz\r\n")
