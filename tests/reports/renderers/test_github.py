"""Annotations are workflow commands of GitHub's grammar, a line each."""

from __future__ import annotations

import re

import pytest
from support.hostile import NAMES, shown
from support.reports import FINDINGS, WRITTEN, conversion, verification

from gpt2_convert.errors import spell_keyword
from gpt2_convert.reports.findings import Finding, Kind
from gpt2_convert.reports.outcome import Failure, Outcome, Report
from gpt2_convert.reports.renderers.github import MOST, render

COMMAND = re.compile(r"::(error|warning|notice) title=([^:,\r\n]*)::([^\r\n]*)\n")


def read(report: Report | None, failure: Failure | None = None) -> list[tuple[str, ...]]:
    """Return level, title and message of each, as a runner takes the lines apart."""
    lines = "".join(render(Outcome("verify", "0.1.0", 1.0, report, failure), spell_keyword))
    found = [COMMAND.fullmatch(line) for line in lines.splitlines(keepends=True)]
    assert all(found)
    return [tuple(map(unescape, each.groups())) for each in found if each]


def unescape(text: str) -> str:
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


def test_a_success_is_a_notice_and_an_error_is_an_error() -> None:
    ((level, title, message),) = read(conversion())
    assert (level, title) == ("notice", "gpt2-convert verify")
    assert message.startswith("verified: out.npz; every bit equals the source")
    ((level, _, message),) = read(None, Failure("FormatError", "x: 100% of it\n::warning::a"))
    assert (level, message) == ("error", r"could not: verify; x: 100% of it\n::warning::a")


def test_every_finding_is_an_error_and_a_waived_proof_a_warning() -> None:
    levels = [level for level, _, _ in read(verification(*FINDINGS))]
    assert levels == ["error"] * 4
    assert [each[0] for each in read(conversion(verification=None))] == [
        "notice",
        "warning",
    ]


@pytest.mark.parametrize("count", [MOST - 2, MOST - 1, MOST, 500])
def test_no_more_than_github_shows_and_the_last_says_how_many(count: int) -> None:
    found = read(verification(*(FINDINGS[2] for _ in range(count))))
    assert len(found) == min(count + 1, MOST)
    if count > MOST - 1:
        assert found[-1][2].startswith(f"and {count - MOST + 2:,} more")


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_stays_in_the_message_of_its_line(name: str) -> None:
    found = read(verification(Finding(Kind.EXTRA, name, name), notes=(name,)))
    assert [each[0] for each in found] == ["error", "error"]
    assert found[1][2] == f"extra: {shown(name)}: {shown(name)}"


def test_a_failed_proof_is_the_error_and_its_findings() -> None:
    found = read(verification(*FINDINGS), Failure("VerificationError", "it was discarded"))
    assert len(found) == 4
    assert found[0][2].endswith("; it was discarded")


def test_sums_are_notices() -> None:
    found = read(conversion(files=(WRITTEN,)))
    assert [each[0] for each in found] == ["notice", "notice"]
    assert found[1][2] == f"out.npz: SHA-256 {'5' * 64}"
