"""Colours: as the option says, or else NO_COLOR, or else FORCE_COLOR, or else for a terminal."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from support.console import ESCAPE, run, run_in_terminal

from gpt2_convert.cli.color import CHOICES, has_color, paint

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = (None, *CHOICES)
VARIABLES = (None, "", "1", "0")


def expect(option: str | None, no: str | None, force: str | None, *, terminal: bool) -> bool:
    """Return what the README says of it, in the order in which it says it."""
    if option in ("always", "never"):
        return option == "always"
    if no:
        return False
    return bool(force) or terminal


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("option", OPTIONS)
def test_who_has_a_say(
    option: str | None, terminal: bool, monkeypatch: pytest.MonkeyPatch, npz: Path
) -> None:
    import io
    import sys

    from gpt2_convert.cli.program import run as run_here

    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setenv("TERM", "xterm-256color")
    for no, force in product(VARIABLES, VARIABLES):
        for name, value in (("NO_COLOR", no), ("FORCE_COLOR", force)):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        stream = Stream()
        monkeypatch.setattr(sys, "stdout", stream)
        assert run_here(["inspect", str(npz), *(["--color", option] if option else [])]) == 0
        found = ESCAPE in stream.getvalue()
        assert found == expect(option, no, force, terminal=terminal), (no, force)


def test_a_dumb_terminal_gets_colours_if_they_are_asked_for(npz: Path) -> None:
    for arguments, env, styled in (
        ([], {}, False),
        (["--color", "always"], {}, True),
        ([], {"FORCE_COLOR": "1"}, True),
    ):
        done = run_in_terminal("inspect", npz, *arguments, env={"TERM": "dumb", **env})
        assert done.code == 0
        assert (ESCAPE in done.err) == styled


def test_json_and_digests_never_have_colours(npz: Path) -> None:
    for arguments in (["inspect", "--json"], ["digest"], ["inspect", "--help"]):
        done = run(*arguments, "--color", "always", npz)
        assert done.code == 0
        assert ESCAPE not in done.out + done.err


@pytest.mark.parametrize(("option", "red"), [([], True), (["--color", "never"], False)])
def test_the_bar_has_the_same_colours(
    option: list[str], red: bool, tiny: Path, tmp_path: Path
) -> None:
    done = run_in_terminal("tf2npz", tiny, tmp_path / "out.npz", *option)
    assert done.code == 0
    assert "verifying" in done.err
    assert (f"{ESCAPE}[3" in done.err) == red


def test_another_word_is_a_usage_error(npz: Path) -> None:
    done = run("inspect", npz, "--color", "sometimes")
    assert (done.code, done.out) == (2, "")
    assert "'always'" in done.err


def test_a_style_is_words() -> None:
    # The numbers of ECMA-48: 1 bold, 2 faint, 31 red, 32 green, 36 cyan, 0 none of them.
    assert paint("x", "dim") == "\x1b[2mx\x1b[0m"
    assert paint("x", "cyan") == "\x1b[36mx\x1b[0m"
    assert sorted(paint("x", "bold green").split("x")[0].split("\x1b")) == ["", "[1m", "[32m"]


def test_without_a_command_line_the_stream_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert not has_color(sys.stdout)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert has_color(sys.stdout)
