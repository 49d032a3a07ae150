"""The names of places: several are of one."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from gpt2_convert.cli.places import name_place

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_all_names_of_stdout_are_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {name_place(each) for each in ("-", "/dev/stdout", "/dev/fd/1")} == {"-"}
    assert name_place("models/../r") == name_place("r")


def test_a_command_that_writes_no_files_beside_its_target_imports_nothing_for_them() -> None:
    program = "import sys, gpt2_convert.cli.commands.inspect; print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "gpt2_convert.cli.output_options" in done.stdout
    assert "gpt2_convert.cli.side_files" not in done.stdout
    assert "gpt2_convert.io.atomic" not in done.stdout
