"""Nobody but this program says how it ended: neither a library that exits nor a lack of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.console import is_one_error_line
from support.documents import validator

if TYPE_CHECKING:
    from pathlib import Path

ENDING = """
import ctypes, os, sys, threading
import gpt2_convert, gpt2_convert.cli

phase, how = sys.argv.pop(1), sys.argv.pop(1)
convert = gpt2_convert.convert

def leave():
    ctypes.CDLL(None).exit(1)

def end():
    if how == "main":
        leave()
    if how == "thread":
        thread = threading.Thread(target=leave)
        thread.start()
        thread.join()
    if how == "python":
        sys.exit(1)
    if how == "child":
        child = os.fork()
        if not child:
            leave()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2

def ending(*arguments, progress, **options):
    def watch(now, done, total):
        progress(now, done, total)
        if now == phase and done == total:
            end()
    return convert(*arguments, progress=watch, **options)

gpt2_convert.convert = ending
gpt2_convert.cli.main()
"""
"""The program, which somebody ends at the end of the phase that is its first argument."""

BARREN = """
import gpt2_convert, gpt2_convert.cli, gpt2_convert.cli.failures as failures

def fail(*arguments, **options):
    raise MemoryError

gpt2_convert.convert = failures.describe_failure = fail
gpt2_convert.cli.main()
"""
"""The program, which has no memory for its job, and none to say so."""


def run(code: str, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **more},
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("command", ["tf2npz", "tf2hf"])
@pytest.mark.parametrize("phase", ["writing", "verifying"])
@pytest.mark.parametrize("how", ["main", "thread", "python"])
def test_a_library_that_exits_is_a_failure_with_a_line_and_leaves_nothing(
    how: str, phase: str, command: str, tiny: Path, place: Path
) -> None:
    done = run(ENDING, phase, how, command, tiny, place / "out", "--json")
    assert done.returncode == 2
    assert is_one_error_line(done.stderr)
    document = json.loads(done.stdout)
    validator("report").validate(document)
    assert document["error"]["type"] == "InternalError"
    assert document["error"]["message"] in done.stderr
    assert os.listdir(place) == []


def test_without_json_there_is_no_document(tiny: Path, place: Path) -> None:
    done = run(ENDING, "writing", "main", "tf2npz", tiny, place / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gpt2-convert: a library has ended the program, ")
    assert is_one_error_line(done.stderr)


def test_a_child_of_a_library_exits_without_a_word_and_takes_nothing_away(
    tiny: Path, place: Path
) -> None:
    done = run(ENDING, "verifying", "child", "tf2npz", tiny, place / "out.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(place) == ["out.npz"]


def test_a_library_that_exits_when_it_is_imported_finds_no_half_target(
    tiny: Path, tmp_path: Path, place: Path
) -> None:
    # As OpenBLAS does, of which NumPy is one user, where it gets no memory.
    (tmp_path / "numpy.py").write_text("import ctypes\nctypes.CDLL(None).exit(1)\n")
    code = "import gpt2_convert.cli; gpt2_convert.cli.main()"
    for command in ("tf2npz", "tf2safetensors", "tf2hdf5", "tf2hf"):
        done = run(code, command, tiny, place / "out", PYTHONPATH=str(tmp_path))
        assert done.returncode == 2
        assert is_one_error_line(done.stderr)
        assert os.listdir(place) == []


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "document"])
def test_memory_that_is_too_little_even_for_words_is_said_all_the_same(
    form: list[str], tiny: Path, place: Path
) -> None:
    done = run(BARREN, "tf2npz", tiny, place / "out.npz", *form)
    assert done.returncode == 2
    assert done.stderr.startswith("gpt2-convert: not enough memory even to say what for; ")
    assert is_one_error_line(done.stderr)
    if not form:
        assert done.stdout == ""
        return
    document = json.loads(done.stdout)
    validator("report").validate(document)
    assert document["error"]["type"] == "MemoryError"


def test_another_program_s_process_ends_as_it_wants() -> None:
    code = (
        "import ctypes\n"
        "from gpt2_convert.cli.last_words import outlive_exits\n"
        "outlive_exits()\n"
        "ctypes.CDLL(None).exit(7)\n"
    )
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
