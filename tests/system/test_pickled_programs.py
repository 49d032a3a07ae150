"""A program in a PyTorch file is refused at once, and nothing that it names is imported or run."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
from support import torch_files
from support.corpus import CASES
from support.corpus.pytorch import FAMILY, FLOATS, MALICIOUS
from support.measure import measure

import gpt2_convert
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 20.0
"""Seconds after which it is taken to hang; how long it takes is `robustness.py`'s to say."""
MOST_MEMORY = 100_000_000
LOOK = """
import json, os, sys
good, bad, place = sys.argv[1:]
from gpt2_convert.errors import Gpt2ConvertError
from gpt2_convert.formats.opening import open_raw
open_raw(good).close()
import pickletools  # it names an opcode in an error
os.chdir(place)
seen = []
before = set(sys.modules)
sys.addaudithook(lambda event, args: seen.append([event, repr(args)[:300]]))
told = None
try:
    open_raw(bad)
except Gpt2ConvertError as error:
    told = str(error)
events = list(seen)
print(json.dumps([told, events, sorted(set(sys.modules) - before)]))
"""
"""Open one file that is sound, so that all is loaded that reading takes, and then another."""
HARMLESS = {"open", "os.listdir", "os.scandir"}
"""What opening a file is, for the interpreter's auditors: an import or a call is another event."""


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return torch_files.write(tmp_path / "sound.pt", {"x": torch_files.tensor(FLOATS)})


@pytest.mark.parametrize("name", MALICIOUS)
def test_it_is_refused_with_nothing_imported_and_nothing_done(
    name: str, sound: Path, tmp_path: Path
) -> None:
    case = CASES[f"{FAMILY}: {name}"]
    for folder in ("made", "place"):
        (tmp_path / folder).mkdir()
    case.write(tmp_path / "made")
    bad = tmp_path / "made" / case.source
    command = [sys.executable, "-I", "-c", LOOK]
    done = measure([*command, sound, bad, tmp_path / "place"], tmp_path, PATIENCE)
    assert (done.code, done.stderr) == (0, "")
    told, events, imported = json.loads(done.stdout)
    assert told is not None
    assert re.search(case.says, told)
    assert told.isprintable()
    assert imported == []
    assert {event for event, _ in events} <= HARMLESS, events
    assert all(str(bad.parent) in args for event, args in events if event == "open"), events
    assert os.listdir(tmp_path / "place") == []
    assert done.peak < MOST_MEMORY


def test_the_auditor_sees_what_a_loader_would_do(sound: Path, tmp_path: Path) -> None:
    # Or the tests above could not fail.
    (tmp_path / "place").mkdir()
    program = LOOK.replace("    open_raw(bad)\n", "    import pickle; pickle.loads(TRAP)\n")
    trap = b"cos\nsystem\nX\x04\0\0\0true\x85R."
    command = [sys.executable, "-I", "-c", f"TRAP = {trap!r}\n{program}"]
    done = measure([*command, sound, sound, tmp_path / "place"], tmp_path, PATIENCE)
    assert done.code == 0, done.stderr
    _, events, _ = json.loads(done.stdout)
    assert "os.system" in {event for event, _ in events}


def test_the_older_format_has_four_pickles_more_and_each_may_be_a_program(tmp_path: Path) -> None:
    good = torch_files.legacy_file({"x": torch_files.tensor(FLOATS)})
    ends = [at + 1 for at in range(len(good)) if good[at : at + 3] == b".\x80\x02"]
    trap = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."
    assert len(ends) == 4
    for end in ends:
        path = tmp_path / "x.pt"
        path.write_bytes(good[:end] + trap)
        with pytest.raises(gpt2_convert.UnsupportedError, match=r"asks for 'os\.system'"):
            open_raw(path)
