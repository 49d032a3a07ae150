"""The registry: every format is a module with ``render``, and its suffixes belong to it alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.reports import conversion

from gpt2_convert.errors import spell_keyword
from gpt2_convert.reports import renderers
from gpt2_convert.reports.outcome import Failure, Outcome
from gpt2_convert.reports.renderers import RENDERERS, starts_as_report
from gpt2_convert.reports.summary import Side


@pytest.mark.parametrize("name", RENDERERS)
def test_every_format_has_a_module_that_renders(name: str) -> None:
    assert callable(RENDERERS[name].load())


def test_every_module_is_a_format() -> None:
    modules = {path.stem for path in Path(renderers.__file__).parent.glob("*.py")}
    assert modules - {"__init__"} == {each.module for each in RENDERERS.values()}


def test_no_suffix_is_of_two_formats() -> None:
    suffixes = [suffix for each in RENDERERS.values() for suffix in each.suffixes]
    assert len(suffixes) == len(set(suffixes))


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("command", ["tf2npz", "verify"])
def test_a_report_is_told_by_its_first_bytes(name: str, command: str) -> None:
    long = Side("x" * 3000, "npz")
    failed = Outcome(command, "0.1.0", 1.0, None, Failure("FormatError", "x" * 3000))
    for outcome in (Outcome(command, "0.1.0", 1.0, conversion(source=long, target=long)), failed):
        text = "".join(RENDERERS[name].load()(outcome, spell_keyword))
        assert starts_as_report(text.encode()[:1000])


@pytest.mark.parametrize(
    "beginning", [b"", b"gpt2-convert", b"# gpt2-convert\n", b'{"tool": "gpt2-convert"}', b"<html>"]
)
def test_other_files_are_no_reports(beginning: bytes) -> None:
    assert not starts_as_report(beginning)
