"""What the program says by how it ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from gpt2_convert.cli.exit_codes import COULD_NOT, DIFFERENT, EQUAL, INTERRUPTED
from gpt2_convert.cli.program import run as run_here

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from support.forked import Program


def test_verify_tells_equal_from_different_by_its_exit_code(
    program: Program, tiny: Path, npz: Path, changed: Path
) -> None:
    equal = program.run("verify", tiny, npz)
    assert (equal.code, equal.err) == (0, "")
    assert equal.out.startswith("equal ")
    different = program.run("verify", tiny, changed)
    assert (different.code, different.err) == (1, "")
    assert different.out.startswith("different ")
    assert "ln_f.g: 1 of 32 elements differ" in different.out


def test_the_four_ways_to_end_are_four_numbers() -> None:
    assert (EQUAL, DIFFERENT, COULD_NOT) == (0, 1, 2)
    assert INTERRUPTED == 128 + signal.SIGINT


def test_the_help_says_what_each_of_them_means(capsys: pytest.CaptureFixture[str]) -> None:
    run_here(["--help"])
    listed = capsys.readouterr().out.partition("Exit codes:\n")[2].splitlines()
    numbers = [int(line.split()[0]) for line in listed if line.strip()]
    assert numbers == [EQUAL, DIFFERENT, COULD_NOT, INTERRUPTED]
