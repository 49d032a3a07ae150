"""Every malformed file ends in one line and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import collections
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.console import SCRIPT
from support.corpus import CASES, SOUND, Case
from support.measure import Measured, measure

import gpt2_convert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_ONCE = 2
PATIENCE = 20.0
"""Seconds after which the program is taken to hang; how long it takes is `robustness.py`'s."""
MOST_MEMORY = 300_000_000
"""Bytes of the whole process, of which the interpreter and its libraries are some 60 million."""


@dataclass(frozen=True)
class Outcome:
    measured: Measured
    folder: Path
    left: list[str]


def convert(case: Case, folder: Path) -> Outcome:
    made, place = folder / "made", folder / "place"
    made.mkdir(parents=True)
    place.mkdir()
    case.write(made)
    command = [SCRIPT, "convert", made / case.source, place / "out.npz"]
    measured = measure(command, folder, PATIENCE)
    return Outcome(measured, made, os.listdir(place))


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Outcome]]]:
    """The conversions of all the cases that are to be tested, some at once."""
    wanted = [
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.originalname
        == test_a_malformed_file_ends_in_one_line_that_names_the_place.__name__
    ]
    folder = tmp_path_factory.mktemp("corpus")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(convert, CASES[name], folder / str(number))
            for number, name in enumerate(wanted)
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", CASES)
def test_a_malformed_file_ends_in_one_line_that_names_the_place(
    name: str, outcomes: dict[str, Future[Outcome]]
) -> None:
    case, outcome = CASES[name], outcomes[name].result()
    found = outcome.measured
    assert (found.code, found.stdout, outcome.left) == (2, "", []), found.stderr
    assert re.fullmatch(r"gpt2-convert: .*\n", found.stderr)
    message = found.stderr.replace(str(outcome.folder), "")
    assert case.file in message
    assert re.search(case.says, message), message
    assert "internal error" not in message
    assert len(message) < 1000
    assert found.peak < MOST_MEMORY


@pytest.mark.parametrize("name", SOUND)
def test_what_the_malformed_files_are_made_of_converts(name: str, tmp_path: Path) -> None:
    write, source = SOUND[name]
    (tmp_path / "made").mkdir()
    write(tmp_path / "made")
    assert gpt2_convert.convert(tmp_path / "made" / source, tmp_path / "out.npz").ok


def test_there_are_cases_of_every_family() -> None:
    families = collections.Counter(case.family for case in CASES.values())
    assert sum(families.values()) >= 200
    assert min(families.values()) >= 30
