"""What is asked of every bomb, and what it may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .bomb import Bomb

SECONDS = 2
"""Where nothing else runs."""
MOST_MEMORY = 300_000_000
"""Bytes."""
COMMANDS = {
    "inspect": ("inspect", "SOURCE"),
    "json": ("inspect", "--json", "SOURCE"),
    "stats": ("inspect", "--stats", "SOURCE"),
    "digest": ("digest", "SOURCE"),
    "verify": ("verify", "SOURCE", "TARGET"),
    "npz": ("convert", "SOURCE", "OUT/x.npz"),
    "safetensors": ("convert", "SOURCE", "OUT/x.safetensors"),
    "hdf5": ("convert", "SOURCE", "OUT/x.h5"),
    "hf": ("convert", "SOURCE", "OUT/x", "--to", "hf"),
    "tf": ("convert", "SOURCE", "OUT/tf", "--to", "tensorflow"),
}


def spell(bomb: Bomb, command: str, made: Path, out: Path) -> list[str]:
    """Return the arguments of a command."""
    target = bomb.source if bomb.target is None else bomb.target
    words = {"SOURCE": str(made / bomb.source), "TARGET": str(made / target)}
    return [words.get(each, each.replace("OUT", str(out))) for each in COMMANDS[command]]
