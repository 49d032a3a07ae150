"""Every malformed file ends in one line and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import collections
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.console import SCRIPT
from support.corpus import CASES, SOUND

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path

    from support.corpus import Case
    from support.forked import Program

PATIENCE = 20.0
"""Seconds after which the program is taken to hang; how long it takes is `robustness.py`'s."""
MOST_MEMORY = 270_000_000
"""Bytes of a forked run: 300 million of the whole process, less the code of its libraries."""
ONE_A_FAMILY = {case.family: name for name, case in reversed(CASES.items())}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def write(case: Case, tmp_path: Path) -> Path:
    """Write the files of a case into a folder of their own, and return what to pass."""
    made = tmp_path / "made"
    made.mkdir()
    case.write(made)
    return made / case.source


def check(case: Case, stderr: str, tmp_path: Path) -> None:
    """It is one line that says what is wrong, and where in which file."""
    assert re.fullmatch(r"gpt2-convert: .*\n", stderr)
    message = stderr.replace(str(tmp_path / "made"), "")
    assert case.file in message
    assert re.search(case.says, message), message
    assert "internal error" not in message
    assert len(message) < 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_malformed_file_ends_in_one_line_that_names_the_place(
    name: str, program: Program, tmp_path: Path, place: Path
) -> None:
    case = CASES[name]
    source = write(case, tmp_path)
    done = program.run("convert", source, place / "out.npz", patience=PATIENCE)
    assert (done.code, done.out, os.listdir(place)) == (2, "", []), done.err
    check(case, done.err, tmp_path)
    assert done.peak < MOST_MEMORY


@pytest.mark.parametrize("family", ONE_A_FAMILY)
def test_so_it_ends_as_an_installed_program(family: str, tmp_path: Path, place: Path) -> None:
    case = CASES[ONE_A_FAMILY[family]]
    command = [str(SCRIPT), "convert", str(write(case, tmp_path)), str(place / "out.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.returncode, done.stdout, os.listdir(place)) == (2, "", []), done.stderr
    check(case, done.stderr, tmp_path)


@pytest.mark.parametrize("name", SOUND)
def test_what_the_malformed_files_are_made_of_converts(name: str, tmp_path: Path) -> None:
    write, source = SOUND[name]
    (tmp_path / "made").mkdir()
    write(tmp_path / "made")
    assert gpt2_convert.convert(tmp_path / "made" / source, tmp_path / "out.npz").ok


def test_there_are_cases_of_every_family() -> None:
    families = collections.Counter(case.family for case in CASES.values())
    assert sum(families.values()) >= 200
    assert min(families.values()) >= 30
