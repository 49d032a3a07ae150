"""A comparison of two checkpoints as a library call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def near(tmp_path: Path) -> Path:
    """The weights of ``tiny`` as an archive, one of them a little larger."""
    arrays = raws.canonical()
    arrays["wpe"][3, 4] += np.float32(0.25)
    np.savez(tmp_path / "near.npz", allow_pickle=False, **arrays)
    return tmp_path / "near.npz"


def test_differences_are_findings_and_no_errors(tiny: Path, near: Path) -> None:
    report = gpt2_convert.verify(tiny, near)
    assert not report.ok
    (finding,) = report.findings
    assert (finding.tensor, finding.kind) == ("wpe", gpt2_convert.Kind.VALUES)
    assert (finding.differing, finding.first_index) == (1, (3, 4))
    before, after = raws.canonical()["wpe"][3, 4], np.float32(0.25)
    assert finding.max_abs_diff == float(np.float32(before + after)) - float(before)


def test_a_tolerance_is_relative_to_the_source(tiny: Path, near: Path) -> None:
    value = abs(float(raws.canonical()["wpe"][3, 4]))
    difference = gpt2_convert.verify(tiny, near).findings[0].max_abs_diff
    assert difference is not None
    assert gpt2_convert.verify(tiny, near, atol=difference).ok
    assert not gpt2_convert.verify(tiny, near, atol=difference * 0.999).ok
    assert gpt2_convert.verify(tiny, near, rtol=difference / value * 1.001).ok
    assert not gpt2_convert.verify(tiny, near, rtol=difference / value * 0.999).ok


@pytest.mark.parametrize("tolerance", [-1e-9, float("nan")])
def test_a_tolerance_that_is_none_is_a_usage_error(tolerance: float, tiny: Path) -> None:
    with pytest.raises(gpt2_convert.UsageError):
        gpt2_convert.verify(tiny, tiny, atol=tolerance)


def test_the_keywords_are_those_of_the_source_alone(tmp_path: Path, tiny: Path) -> None:
    extra = {"value/w": np.ones(3, np.float32)}
    other = bundles.write_gpt2(tmp_path / "b", arrays={**bundles.gpt2_arrays(), **extra})
    assert gpt2_convert.verify(other, tiny, drop="value/*").ok
    (finding,) = gpt2_convert.verify(tiny, other).findings
    assert (finding.kind, finding.tensor) == (gpt2_convert.Kind.EXTRA, "value/w")


def test_with_a_dtype_the_source_is_cast_before(tiny: Path, tmp_path: Path) -> None:
    halves = {name: array.astype(np.float16) for name, array in raws.canonical().items()}
    np.savez(tmp_path / "half.npz", allow_pickle=False, **halves)
    assert gpt2_convert.verify(tiny, tmp_path / "half.npz", dtype="float16").ok
    report = gpt2_convert.verify(tiny, tmp_path / "half.npz")
    assert {finding.kind for finding in report.findings} == {gpt2_convert.Kind.DTYPE}


def test_a_target_that_cannot_be_read_is_an_error(tiny: Path) -> None:
    with pytest.raises(gpt2_convert.SourceNotFoundError, match="absent"):
        gpt2_convert.verify(tiny, tiny / "absent")
    (tiny / "model.ckpt.data-00000-of-00001").unlink()
    whole = bundles.write_gpt2(tiny.with_name("whole"))
    with pytest.raises(gpt2_convert.SourceNotFoundError, match="data-00000-of-00001"):
        gpt2_convert.verify(whole, tiny)
