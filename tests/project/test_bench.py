"""The benchmark compares each job with its peer, and every row of it can be computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.measure import Measured
from tools.bench_rows import list_stages
from tools.timing import Row, list_rows, time_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def test_a_row_is_the_median_of_its_rounds_over_that_of_its_peer(tmp_path: Path) -> None:
    seconds = {"cp": [9.0, 1.0, 1.5, 1.2, 7.0, 1.1], "cmp": [9.0] + [0.8] * 5, "ours": [3.0]}
    ran: list[str] = []

    def measure(command: Sequence[str | Path], _: Path) -> Measured:
        name = str(command[0])
        (tmp_path / "made").touch(exist_ok=False)
        ran.append(name)
        return Measured(0, seconds[name].pop(0), {"cp": 5, "cmp": 2_000_000}.get(name, 7), "", "")

    made = (tmp_path / "made",)
    peers = [
        Row("cp", (["cp"],), makes=made),
        Row("cmp", (["cmp"],), makes=made),
        Row("ours", (["ours"],), ("cp", "cmp"), made, rounds=1),
    ]
    figures = time_rows(peers, tmp_path, measure)
    assert ran[:5] == ["cp", "cmp", "cp", "cmp", "ours"]
    assert len(ran) == 13
    lines = [" ".join(line.split()) for line in list_rows("124M", peers, figures)]
    assert lines == [
        "124M cp 1.200 s 0 MB",
        "124M cmp 0.800 s 2 MB",
        "124M ours 3.000 s 0 MB 2.50 x cp 3.75 x cmp",
    ]


def test_commands_of_a_row_add_up_and_one_that_fails_ends_it(tmp_path: Path) -> None:
    def measure(command: Sequence[str | Path], _: Path) -> Measured:
        return Measured(int(command[0] == "no"), 0.5, len(command), "", "why")

    row = Row("two", (["a"], ["b", "c"]), rounds=1)
    figures = time_rows([row], tmp_path, measure)
    assert (figures["two"].seconds, figures["two"].peak) == (1.0, 2)
    with pytest.raises(SystemExit, match="two: why"):
        time_rows([Row("two", (["a"], ["no"]))], tmp_path, measure)


def test_every_peer_is_measured_in_the_same_stage_and_what_is_made_is_not_needed_again(
    tmp_path: Path,
) -> None:
    source = tmp_path / "124M"
    made: list[Path] = []

    def convert(_: Path, target: Path, __: str) -> Path:
        made.append(target)
        target.touch()
        return target

    names: list[str] = []
    for rows in list_stages(source, convert):
        stage = {row.name for row in rows}
        for row in rows:
            assert set(row.peers) <= stage - {row.name}
            assert not {source, *made} & set(row.makes)
        names += [row.name for row in rows]
    assert len(set(names)) == len(names)
    assert made
    assert not any(path.exists() for path in made)
