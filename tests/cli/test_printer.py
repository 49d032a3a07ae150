"""Lines on stdout, and the flags in them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from support.console import (
    ESCAPE,
    run,
    run_in_terminal,
)
from support.forked import MAIN

from gpt2_convert.cli.printer import Printer, spell_flag

if TYPE_CHECKING:
    from pathlib import Path

    from support.forked import Program


def test_pipes_get_neither_colour_nor_bar(
    program: Program, tiny: Path, npz: Path, tmp_path: Path
) -> None:
    wishes = {"TERM": "xterm-256color", "COLUMNS": "20"}
    runs: tuple[list[str | Path], ...] = (
        ["tf2npz", tiny, tmp_path / "new.npz"],
        ["verify", tiny, npz],
        ["inspect", tiny],
        ["inspect", tmp_path / "absent"],
    )
    for arguments in runs:
        done = program.run(*arguments, code=f"import os; os.environ.update({wishes}); {MAIN}")
        assert ESCAPE not in done.out + done.err
        assert "\r" not in done.out + done.err


def test_terminal_wishes_for_no_colour_are_kept(tiny: Path) -> None:
    done = run_in_terminal("inspect", tiny, env={"NO_COLOR": "1"})
    assert done.code == 0
    assert f"{ESCAPE}[3" not in done.err


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("arguments", [[], ["--flat"], ["--stats"]])
def test_a_narrow_terminal_shows_all_of_the_report_in_lines_that_fit(
    arguments: list[str], columns: int, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.parent)
    narrow = run_in_terminal(
        "inspect", tiny.name, *arguments, columns=columns, env={"TERM": "dumb"}
    )
    shown = narrow.err.replace("\r\n", "\n")
    assert max(map(len, shown.splitlines())) <= columns
    whole = run("inspect", tiny.name, *arguments).out
    # Statistics have the names of their columns once, or in each of the lines.
    names = {"min", "max", "mean", "std", "NaN", "inf"}
    found, expected = (
        [word for word in text.split() if word not in names] for text in (shown, whole)
    )
    assert found == expected


def test_a_narrow_terminal_shows_all_of_the_findings(
    tiny: Path, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(changed.parent)
    arguments: list[str | Path] = ["verify", tiny.relative_to(changed.parent), changed.name]
    narrow = run_in_terminal(*arguments, columns=40, env={"TERM": "dumb"})
    assert narrow.code == 1
    shown = narrow.err.replace("\r\n", "\n")
    assert max(map(len, shown.splitlines())) <= 40
    assert shown.split() == run(*arguments).out.split()


def test_lines_for_other_programs_are_never_broken(npz: Path) -> None:
    narrow = run_in_terminal("digest", npz, columns=40, env={"TERM": "dumb"})
    assert narrow.err.replace("\r\n", "\n") == run("digest", npz).out


@pytest.mark.parametrize(
    ("option", "value", "flag"),
    [
        ("force", True, "--force"),
        ("verify", False, "--no-verify"),
        ("n_head", None, "--n-head"),
        ("n_head", 12, "--n-head 12"),
        ("dtype", "float16", "--dtype float16"),
        ("allow_overflow", True, "--allow-overflow"),
    ],
)
def test_a_keyword_is_spelled_as_the_flag_that_the_program_takes(
    option: str, value: object, flag: str
) -> None:
    assert spell_flag(option, value) == flag


@pytest.mark.parametrize("pattern", ["score.*", "it's", "a b", "$HOME/`x`"])
def test_a_shell_takes_a_spelled_pattern_for_what_it_was(pattern: str) -> None:
    assert shlex.split(spell_flag("drop", pattern)) == ["--drop", pattern]


def test_a_line_in_a_pipe_has_no_styles_and_no_spaces_at_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Printer().line("  equal ", ("bold", "bold"), " \x1b[2J  ", "   ")
    assert capsys.readouterr().out == "  equal bold \\x1b[2J\n"
