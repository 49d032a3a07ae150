"""Print what makes a shell complete command lines of this program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..exit_codes import EQUAL
from ..help import Command, Table
from ..streams import COMPLETE, PROGRAM, print_result

if TYPE_CHECKING:
    from typing import Final

_PLACES: Final = (
    ("bash", f"~/.local/share/bash-completion/completions/{PROGRAM}"),
    ("zsh", f"_{PROGRAM} in a folder of $fpath"),
    ("fish", f"~/.config/fish/completions/{PROGRAM}.fish"),
)
"""The shells, and where each looks for such a script."""


@click.command(cls=Command, tables=[Table("SHELL is, and looks for the script in", _PLACES)])
@click.argument("shell", type=click.Choice([shell for shell, _ in _PLACES]), metavar="SHELL")
def completion(shell: str) -> int:
    """Print a script with which a shell completes commands, options and paths.

    Save it where the shell looks for it, and start the shell again.
    """
    from click import shell_completion as known

    kinds = {"bash": known.BashComplete, "zsh": known.ZshComplete, "fish": known.FishComplete}
    program = click.get_current_context().find_root().command
    made = kinds[shell](program, {}, PROGRAM, COMPLETE)
    # click's source() would run bash, to ask for its version.
    script = made.source_template % made.source_vars()
    # Its script for fish ends a description at the first comma.
    script = script.replace('string split ","', 'string split -m 1 ","')
    return print_result(EQUAL, lambda: sys.stdout.write(script))


COMMANDS: Final = {"completion": completion}
