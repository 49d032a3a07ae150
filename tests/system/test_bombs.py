"""Whatever a checkpoint is made to cost, it is refused or done within seconds and 300 MB."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from support.bombs import BOMBS, LISTINGS
from support.bombs.commands import COMMANDS, MOST_MEMORY, SECONDS, spell
from support.console import SCRIPT
from support.measure import measure

if TYPE_CHECKING:
    from pathlib import Path

    from support.bombs import Bomb
    from support.forked import Program

PATIENCE = 5 * SECONDS
"""Seconds of the processor, which takes longer for everything where others work, too."""
OF_LIBRARIES = 30_000_000
"""Bytes of their code, which a forked run shares with its parent."""
BOUNDED = f"""
import resource
resource.setrlimit(resource.RLIMIT_CPU, ({PATIENCE}, {PATIENCE + 1}))
import gpt2_convert.cli
gpt2_convert.cli.main()
"""
REPORTED = {
    "npz: 4,900 axes": "inspect",
    "safetensors: 200 links to 4 MB of metadata": "inspect",
    "TensorFlow: 100 names of a table in Snappy": "inspect",
    "TensorFlow: names of 60 MB": "json",
    "TensorFlow: names of 4 MB to be escaped": "json",
    "beside: a pair that begins alike": "verify",
}
"""Those that once took minutes, or most of the memory, and the command that they did it to."""


def check(bomb: Bomb, command: str, code: int, out: str, err: str) -> None:
    """It is done, or refused in one line that says why; and a document is one."""
    says = bomb.refusal(command)
    if not says:
        assert code == (1 if bomb.target and command == "verify" else 0), err
    else:
        assert code == 2, err
        assert re.fullmatch(r"gpt2-convert: .*\n", err)
        assert re.search(says, err), err
        assert len(err) < 1_000
    if command == "json":
        assert json.loads(out)["ok"] is not bool(says)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_no_command_takes_more_than_it_should(name: str, program: Program, tmp_path: Path) -> None:
    bomb = BOMBS[name]
    made, out = tmp_path / "made", tmp_path / "out"
    made.mkdir()
    out.mkdir()
    bomb.write(made)
    for command in COMMANDS:
        arguments = spell(bomb, command, made, out)
        done = program.run(*arguments, code=BOUNDED)
        check(bomb, command, done.code, done.out, done.err)
        assert done.peak < MOST_MEMORY - OF_LIBRARIES, command
        if bomb.refusal(command):
            assert not list(out.glob(f"*{command}*"))


@pytest.mark.parametrize("name", REPORTED)
def test_so_it_is_of_an_installed_program(name: str, tmp_path: Path) -> None:
    bomb, command = BOMBS[name], REPORTED[name]
    made = tmp_path / "made"
    made.mkdir()
    bomb.write(made)
    bounded = f'ulimit -t {PATIENCE}; exec "$@"'
    arguments = spell(bomb, command, made, tmp_path)
    done = measure(["sh", "-c", bounded, "sh", SCRIPT, *arguments], tmp_path)
    check(bomb, command, done.code, done.stdout, done.stderr)
    assert done.peak < MOST_MEMORY


def test_listings_are_commands() -> None:
    assert set(LISTINGS) < set(COMMANDS)
    assert {name for bomb in BOMBS.values() for name in bomb.only} < set(COMMANDS)
