"""A comparison of two checkpoints as a library call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


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


# What the models say.


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkpoint of weights as small as trained ones."""
    arrays = {name: array * np.float32(0.2) for name, array in bundles.gpt2_arrays().items()}
    return bundles.write_gpt2(tmp_path / "small", arrays=arrays)


def test_logits_are_compared_in_place_of_weights(small: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(small, tmp_path / "half.h5", dtype="float16")
    assert not gpt2_convert.verify(small, tmp_path / "half.h5").ok
    report = gpt2_convert.verify(small, tmp_path / "half.h5", logits=True)
    assert report.ok
    assert report.logits is not None
    assert report.logits.tokens == 1024
    assert 0 < report.logits.kl_mean < report.logits.kl_max < 1e-4
    assert report.logits.top1 > 0.98
    assert gpt2_convert.verify(small, small).logits is None


def test_a_cast_of_the_source_tells_what_it_would_cost(small: Path, tmp_path: Path) -> None:
    before = gpt2_convert.verify(small, small, logits=True, dtype="float16", tokens=64)
    gpt2_convert.convert(small, tmp_path / "half.npz", dtype="float16")
    after = gpt2_convert.verify(tmp_path / "half.npz", small, logits=True, tokens=64)
    assert before.logits == after.logits
    assert before.loss is not None
    assert before.loss.max_abs_error
    cast = gpt2_convert.verify(
        small, tmp_path / "half.npz", logits=True, dtype="float16", tokens=64
    )
    assert cast.logits is not None
    assert cast.logits.kl_max == 0


def test_bounds_are_findings(small: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(small, tmp_path / "rough.safetensors", dtype="bfloat16")
    report = gpt2_convert.verify(
        small, tmp_path / "rough.safetensors", logits=True, max_kl=1e-9, min_agreement=1
    )
    assert [finding.tensor for finding in report.findings] == ["kl", "top1"]
    assert {finding.kind for finding in report.findings} == {gpt2_convert.Kind.LOGITS}
    assert gpt2_convert.verify(
        small, tmp_path / "rough.safetensors", logits=True, max_kl=1, min_agreement=0
    ).ok


def test_the_heads_of_the_source_may_be_said(tmp_path: Path) -> None:
    bare = bundles.write_gpt2(tmp_path / "bare", hparams=False)
    with pytest.raises(gpt2_convert.UnsupportedError, match="n_head is unknown"):
        gpt2_convert.verify(bare, bare, logits=True, tokens=3)
    report = gpt2_convert.verify(bare, bare, logits=True, tokens=3, n_head=4)
    assert report.logits is not None
    assert report.logits.max_abs_diff == 0


def test_a_target_that_is_no_gpt2_cannot_be_run(small: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3, np.float32))
    with pytest.raises(gpt2_convert.SchemaError, match=r"other\.npz"):
        gpt2_convert.verify(small, tmp_path / "other.npz", logits=True)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"text": "a"}, "text is for a comparison of logits; ask for one with logits=True"),
        ({"tokenizer": "a"}, "tokenizer is for a comparison of logits"),
        ({"tokens": 5}, "tokens is for a comparison of logits"),
        ({"max_kl": 0.0}, "max_kl is for a comparison of logits"),
        ({"min_agreement": 0.0}, "min_agreement is for a comparison of logits"),
        ({"logits": True, "atol": 1e-9}, "atol and rtol are for weights"),
        ({"logits": True, "rtol": 1e-9}, "atol and rtol are for weights"),
        ({"logits": True, "tokens": 0}, "tokens: at least one expected, found 0"),
        ({"logits": True, "max_kl": -1.0}, "max_kl: a number that is not negative expected"),
        ({"logits": True, "min_agreement": 2.0}, "min_agreement: a share from 0 to 1 expected"),
        ({"logits": True, "tokenizer": "a"}, "a tokenizer is for a text"),
    ],
)
def test_keywords_that_make_no_sense_together_are_misuse(
    keywords: dict[str, Any], message: str, tiny: Path
) -> None:
    with pytest.raises(gpt2_convert.UsageError) as caught:
        gpt2_convert.verify(tiny, tiny, **keywords)
    assert str(caught.value).startswith(message)
