"""What a comparison refuses to be asked, and what it advises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("value", ["-1", "x"])
def test_a_tolerance_is_no_negative_number(
    value: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", "tiny", "model", "--atol", value]) == 2
    assert "--atol" in capsys.readouterr().err


def test_a_difference_in_dtype_says_how_to_compare(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["convert", "tiny", "half.npz", "--dtype", "float16", "--quiet"]) == 0
    assert run(["verify", "tiny", "half.npz"]) == 1
    assert "--dtype float16" in capsys.readouterr().out
    assert run(["verify", "tiny", "half.npz", "--dtype", "float16", "-q"]) == 0
