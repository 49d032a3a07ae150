"""The commands, one a module, each imported when it is asked for.

To add one: a module in this room with ``COMMANDS``, a dict of click commands by name, and a line a
name in MODULES.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

    import click


def find_command(name: str) -> click.Command | None:
    """Return a command, whose module is imported now; None if there is none of that name."""
    if name not in MODULES:
        return None
    module = import_module(f".{MODULES[name]}", __name__)
    command: click.Command = module.COMMANDS[name]
    return command


MODULES: Final = {
    "tf2npz": "conversions",
    "tf2safetensors": "conversions",
    "tf2hdf5": "conversions",
    "tf2hf": "conversions",
    "hf2npz": "conversions",
    "hf2safetensors": "conversions",
    "hf2hdf5": "conversions",
    "hf2tf": "conversions",
    "convert": "conversions",
    "verify": "verify",
    "inspect": "inspect",
    "digest": "digest",
    "fetch": "fetch",
    "generate": "generate",
    "completion": "completion",
}
"""The module of each command, in the order of the help."""
