"""The command line as a whole: help, version, misuse, completion."""

from __future__ import annotations

import os

import pytest
from support.console import (
    is_one_error_line,
    run,
)

from gpt2_convert.cli.program import run as run_here

COMMANDS = {"tf2npz": 2, "verify": 2, "inspect": 1}
"""The commands, and how many paths each takes."""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tf2npz"], "missing argument 'SOURCE'"),
        (["tf2npz", "a"], "missing argument 'TARGET'"),
        (["verify", "a", "b", "c"], "unexpected extra argument"),
        (["inspect", "--falt", "a"], "no such option"),
        (["inspect", "--step", "x", "a"], "invalid value for '--step'"),
        (["inspect", "--step", "-1", "a"], "invalid value for '--step'"),
        (["--wrong"], "no such option"),
        (["tf2nzp", "a", "b"], "no such command: 'tf2nzp'; did you mean 'tf2npz'?"),
        (["qqq"], "no such command: 'qqq'; there are: "),
        (["inspect", ""], "empty path"),
    ],
)
def test_misuse_is_one_line_that_says_what_to_do(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    assert says in printed.err


def test_no_arguments_print_the_help_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: gpt2-convert ")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_explains_itself(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here([option]) == 0
    overview = capsys.readouterr().out
    assert "\n  130  interrupted\n" in overview
    assert "\b" not in overview
    for command in COMMANDS:
        assert f"\n  {command} " in overview
        assert run_here([command, option]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        assert printed.out.startswith(f"Usage: gpt2-convert {command} ")
        assert all(shared in printed.out for shared in ("--quiet", "--json", "--step", "SOURCE"))


def test_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert run_here(["--version"]) == 0
    assert capsys.readouterr().out == f"gpt2-convert {version('gpt2-convert')}\n"


def test_shells_are_told_how_a_command_line_goes_on() -> None:
    asked = {
        **os.environ,
        "_GPT2_CONVERT_COMPLETE": "bash_complete",
        "COMP_WORDS": "gpt2-convert v",
    }
    done = run(env={**asked, "COMP_CWORD": "1"})
    assert (done.code, done.out) == (0, "plain,verify\n")
    done = run(env={**asked, "COMP_WORDS": "gpt2-convert verify a", "COMP_CWORD": "2"})
    assert (done.code, done.out) == (0, "file,a\n")


def test_shells_that_show_summaries_get_them_whole() -> None:
    asked = {"_GPT2_CONVERT_COMPLETE": "zsh_complete", "COMP_CWORD": "1"}
    done = run(env={**os.environ, **asked, "COMP_WORDS": "gpt2-convert ver"})
    assert done.out.splitlines() == [
        "plain",
        "verify",
        "Compare any two checkpoints: names, shapes, dtypes and every bit.",
    ]
