"""The registry: every format is a module with ``render``, and its suffixes belong to it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpt2_convert.reports import renderers
from gpt2_convert.reports.renderers import RENDERERS


@pytest.mark.parametrize("name", RENDERERS)
def test_every_format_has_a_module_that_renders(name: str) -> None:
    assert callable(RENDERERS[name].load())


def test_every_module_is_a_format() -> None:
    modules = {path.stem for path in Path(renderers.__file__).parent.glob("*.py")}
    assert modules - {"__init__"} == {each.module for each in RENDERERS.values()}


def test_no_suffix_is_of_two_formats() -> None:
    suffixes = [suffix for each in RENDERERS.values() for suffix in each.suffixes]
    assert len(suffixes) == len(set(suffixes))
