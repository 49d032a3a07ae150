"""The proof notices every difference, names tensor and kind, and says what it can tell."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import bundles, raws
from support.comparisons import compared, only

import gpt2_convert
from gpt2_convert.checkpoint.raw import Skipped
from gpt2_convert.compare.checkpoints import compare
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.model.adopt import adopt
from gpt2_convert.reports.findings import Kind
from gpt2_convert.tensors.tolerance import Tolerance

if TYPE_CHECKING:
    from pathlib import Path

    Arrays = dict[str, np.ndarray[Any, Any]]


def test_equal_weights_are_equal() -> None:
    assert compared(raws.canonical()).ok


def test_the_same_weights_in_another_spelling_are_equal() -> None:
    assert compared(bundles.gpt2_arrays()).ok


def test_order_does_not_matter() -> None:
    assert compared(dict(reversed(raws.canonical().items()))).ok


def test_a_missing_tensor() -> None:
    target = raws.canonical()
    del target["blocks[1].ln_2.b"]
    finding = only(compared(target))
    assert (finding.kind, finding.tensor) == (Kind.MISSING, "blocks[1].ln_2.b")


def test_a_missing_last_layer() -> None:
    target = {name: value for name, value in raws.canonical().items() if "[2]" not in name}
    report = compared(target, hparams={})
    assert [finding.kind for finding in report.findings] == [Kind.MISSING] * 12


def test_an_extra_tensor_and_an_extra_layer() -> None:
    larger = {**bundles.TINY, "n_layer": 4}
    target = {**raws.canonical(larger), **raws.canonical(), "stranger": np.zeros(2, np.float32)}
    report = compared(target, hparams={})
    assert {finding.kind for finding in report.findings} == {Kind.EXTRA}
    names = {finding.tensor for finding in report.findings}
    assert names == {"stranger"} | {name for name in raws.canonical(larger) if "[3]" in name}


def test_a_renamed_tensor_is_missing_and_extra() -> None:
    target = raws.canonical()
    target["wpe2"] = target.pop("wpe")
    kinds = {finding.tensor: finding.kind for finding in compared(target).findings}
    assert kinds == {"wpe": Kind.MISSING, "wpe2": Kind.EXTRA}


def test_a_duplicate_tensor() -> None:
    pairs = [*raws.canonical().items(), ("wpe", raws.canonical()["wpe"])]
    finding = only(compared(pairs))
    assert (finding.kind, finding.tensor) == (Kind.DUPLICATE, "wpe")


def test_the_tensors_whose_values_were_compared_are_named() -> None:
    target = raws.canonical()
    names = list(target)
    assert compared(target).compared == tuple(names)
    del target["wpe"]
    target["ln_f.g"] = target["ln_f.g"].astype(np.float64)
    target["ln_f.b"] = target["ln_f.b"] + 1
    left = [name for name in names if name not in ("wpe", "ln_f.g")]
    assert compared(target).compared == tuple(left)


def test_a_transposed_shape() -> None:
    target = raws.canonical()
    target["wte"] = np.ascontiguousarray(target["wte"].T)
    finding = only(compared(target))
    assert (finding.kind, finding.tensor, finding.hint) == (Kind.SHAPE, "wte", "transposed")
    assert "[61, 32] in the source, [32, 61] in the target" in finding.message


def test_another_dtype() -> None:
    target = raws.canonical()
    target["wte"] = target["wte"].astype(np.float64)
    finding = only(compared(target))
    assert (finding.kind, finding.tensor) == (Kind.DTYPE, "wte")


def test_another_number_of_heads() -> None:
    finding = only(compared(raws.canonical(), hparams={**bundles.TINY, "n_head": 8}))
    assert (finding.kind, finding.tensor) == (Kind.HPARAMS, "n_head")
    assert finding.message == "4 in the source, 8 in the target"


def test_another_checkpoint_of_the_same_size() -> None:
    report = compared(raws.canonical(seed=1))
    assert len(report.findings) == 40
    assert {finding.kind for finding in report.findings} == {Kind.VALUES}
    assert {finding.hint for finding in report.findings} == {None}


def test_any_two_checkpoints_on_disk(tiny: Path, tmp_path: Path) -> None:
    other = bundles.write_gpt2(tmp_path / "other", arrays=bundles.gpt2_arrays(seed=1))
    gpt2_convert.convert(tiny, tmp_path / "a.npz")
    gpt2_convert.convert(tiny, tmp_path / "b.npz")
    assert gpt2_convert.verify(tiny, tmp_path / "a.npz").ok
    assert gpt2_convert.verify(tmp_path / "a.npz", tiny).ok
    assert gpt2_convert.verify(tmp_path / "a.npz", tmp_path / "b.npz").ok
    assert gpt2_convert.verify(tiny, tiny).ok
    assert not gpt2_convert.verify(tiny, other).ok
    assert not gpt2_convert.verify(other, tmp_path / "a.npz").ok


def test_an_archive_of_numpy_s_own_is_compared(tiny: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "stored.npz", allow_pickle=False, **raws.canonical())
    np.savez_compressed(tmp_path / "deflated.npz", allow_pickle=False, **raws.canonical())
    assert gpt2_convert.verify(tiny, tmp_path / "stored.npz").ok
    assert gpt2_convert.verify(tiny, tmp_path / "deflated.npz").ok


def test_a_damaged_target_is_a_difference_and_told(tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    gpt2_convert.convert(tiny, target)
    data = bytearray(target.read_bytes())
    at = data.index(raws.canonical()["blocks[1].mlp.c_fc.w"].tobytes())
    data[at + 4] ^= 1
    target.write_bytes(data)
    finding = only(gpt2_convert.verify(tiny, target))
    assert (finding.kind, finding.tensor) == (Kind.VALUES, "blocks[1].mlp.c_fc.w")
    assert (finding.differing, finding.first_index) == (1, (0, 1))
    assert finding.hint is not None
    assert finding.hint.startswith("damaged after it was written")


def test_a_damaged_source_cannot_prove_anything(tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, tmp_path / "out.npz")
    shard = tiny / "model.ckpt.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(gpt2_convert.ChecksumError, match="'model/wte'"):
        gpt2_convert.verify(tiny, tmp_path / "out.npz")


WRITTEN: dict[str, Any] = {**bundles.TINY, "x": 1}


def test_a_target_must_state_every_field_when_it_was_just_written() -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    silent = raws.raw(raws.canonical())
    assert compare(source, silent).ok
    finding = only(compare(source, silent, expected_config=WRITTEN))
    assert (finding.kind, finding.tensor) == (Kind.CONFIG, "config")
    assert finding.message == "stated nowhere in the target"
    for field in WRITTEN.keys() - {"n_vocab", "n_ctx", "n_embd", "n_layer"}:
        fields = {key: value for key, value in WRITTEN.items() if key != field}
        assert compare(source, raws.raw(raws.canonical(), fields)).ok
        finding = only(compare(source, raws.raw(raws.canonical(), fields), expected_config=WRITTEN))
        assert (finding.kind, finding.tensor) == (Kind.CONFIG, field)
        assert finding.message == f"{WRITTEN[field]} in the source, nothing in the target"
    assert compare(source, raws.raw(raws.canonical(), WRITTEN), expected_config=WRITTEN).ok


def test_heads_that_only_one_side_states_are_named_as_not_compared() -> None:
    report = compared(raws.canonical(), hparams={})
    assert report.ok
    assert report.not_compared == ("n_head",)
    assert compared(raws.canonical()).not_compared == ()


def test_hparams_that_make_no_sense_are_a_difference() -> None:
    finding = only(compared(raws.canonical(), hparams={**bundles.TINY, "n_head": -4}))
    assert (finding.kind, finding.tensor) == (Kind.CONFIG, "config")
    assert finding.message.startswith("hparams.json: 'n_head': a positive whole number expected")


@pytest.mark.parametrize("proof", [False, True])
@pytest.mark.parametrize("cut", ["}", '"n_head"', "hparams", "checksum"])
def test_a_comment_that_was_damaged_is_no_proof_of_the_configuration(
    cut: str, proof: bool, tiny: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.npz"
    gpt2_convert.convert(tiny, target)
    data = target.read_bytes()
    at = data.rindex(cut.encode())
    target.write_bytes(data[:at] + b"~" + data[at + 1 :])
    with gpt2_convert.open(tiny) as source, open_raw(target) as raw:
        report = compare(source, raw, expected_config=bundles.TINY if proof else None)
    assert {finding.kind for finding in report.findings} == {Kind.CONFIG}
    assert all(": zip comment: damaged: " in each.message for each in report.findings)


def test_digests_of_the_target_are_kept_where_they_are_asked_for() -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    target = raws.canonical(seed=1)
    hashes: dict[str, str] = {}
    assert not compare(source, raws.raw(target, bundles.TINY), hashes=hashes)
    assert hashes == {
        name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in target.items()
    }


@pytest.mark.parametrize("difference", [0.0, 0.5, np.inf, np.nan])
def test_the_largest_difference_is_said_within_the_tolerance_and_beyond(difference: float) -> None:
    target = raws.canonical()
    target["wte"][1, 2] += np.float32(difference)
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    expected = float(abs(np.float64(target["wte"][1, 2]) - raws.canonical()["wte"][1, 2]))
    for atol in (0.0, 1.0):
        report = compare(source, raws.raw(target, bundles.TINY), tolerance=Tolerance(atol))
        assert report.ok is (difference <= atol)
        assert report.max_abs_diff == (expected if np.isfinite(difference) else None)


def test_an_extra_tensor_with_a_mask_s_name_is_dropped_only_for_what_it_holds() -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    mask = np.tril(np.ones((1, 1, 16, 16), np.float32))
    assert compare(source, raws.raw({**raws.huggingface(), "h.0.attn.bias": mask})).ok
    for other in (np.zeros((1, 1, 16, 16), np.float32), np.ones_like(mask), mask[..., :5]):
        finding = only(compare(source, raws.raw({**raws.huggingface(), "h.0.attn.bias": other})))
        assert (finding.kind, finding.tensor) == (Kind.EXTRA, "h.0.attn.bias")
        assert finding.message.startswith("'h.0.attn.bias' is no causal mask: ")


def test_a_weight_that_the_target_has_as_something_else_is_a_finding() -> None:
    source = adopt(raws.raw(raws.canonical()))
    arrays = raws.canonical()
    del arrays["ln_f.b"]
    skipped = tuple(Skipped(name, "a soft link") for name in ("ln_f.b", "lm_head.w", "title"))
    report = compare(source, replace(raws.raw(arrays), skipped=skipped))
    found = {(finding.kind.value, finding.tensor) for finding in report.findings}
    assert found == {("missing", "ln_f.b"), ("extra", "ln_f.b"), ("extra", "lm_head.w")}
