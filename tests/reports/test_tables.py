"""Tables have a cell a column, and every tensor, file and finding once."""

from __future__ import annotations

import pytest
from support.reports import COPIED, FINDINGS, LEFT, STATS, conversion, inspection

from gpt2_convert.checkpoint.collection import Dropped
from gpt2_convert.errors import spell_keyword
from gpt2_convert.reports.tables import (
    list_dropped,
    list_files,
    list_findings,
    list_ledger,
    list_tensors,
)

REPORT = conversion(dropped=(Dropped("global_step", "the training step"),))
TABLES = {
    "findings": list_findings(FINDINGS, spell_keyword),
    "ledger": list_ledger(REPORT),
    "dropped": list_dropped(REPORT.dropped),
    "files": list_files((COPIED,), LEFT),
    "tensors": list_tensors(inspection().tensors, None),
    "statistics": list_tensors(inspection().tensors, (STATS, None, STATS)),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_cell_for_each_column(name: str) -> None:
    table = TABLES[name]
    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_every_source_tensor_is_in_the_ledger_with_what_became_of_it() -> None:
    assert TABLES["ledger"].rows == [
        ("model/wte", "wte", "equal in every bit"),
        ("model/wpe", "wpe", "equal in every bit"),
        ("global_step", "", "dropped: the training step"),
    ]


def test_a_waived_proof_makes_nothing_equal() -> None:
    rows = list_ledger(conversion(verification=None)).rows
    assert {row[2] for row in rows} == {"written"}


def test_a_finding_has_its_hint_or_advice_in_the_voice_of_the_reader() -> None:
    rows = TABLES["findings"].rows
    assert [row[3] for row in rows] == ["transposed", "drop='*/Eve' would leave it out", ""]


def test_statistics_of_what_has_no_numbers_are_empty_cells() -> None:
    with_numbers, without, _ = TABLES["statistics"].rows
    assert with_numbers[4:] == ("-1.5", "2", "0.25", "1", "1", "2")
    assert set(without[4:]) == {""}
