"""The proof notices every difference, names tensor and kind, and says what it can tell."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert
from gpt2_convert.compare.checkpoints import compare
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.model.adopt import adopt
from gpt2_convert.reports.verification import Kind
from gpt2_convert.tensors.tolerance import Tolerance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from gpt2_convert import Finding, VerificationReport
    from gpt2_convert.checkpoint.raw import RawCheckpoint

    Arrays = dict[str, np.ndarray[Any, Any]]

CHUNK_CROSSING = {**bundles.TINY, "n_vocab": 20_000}
"""wte then has 2.5 chunks."""


def compared(
    target: Arrays | list[tuple[str, Any]],
    sizes: dict[str, int] = bundles.TINY,
    hparams: dict[str, int] | None = None,
) -> VerificationReport:
    source = adopt(raws.raw(bundles.gpt2_arrays(sizes), sizes))
    return compare(source, raws.raw(target, sizes if hparams is None else hparams or None))


def only(report: VerificationReport) -> Finding:
    assert not report.ok
    (finding,) = report.findings
    return finding


def test_equal_weights_are_equal() -> None:
    assert compared(raws.canonical()).ok


def test_the_same_weights_in_another_spelling_are_equal() -> None:
    assert compared(bundles.gpt2_arrays()).ok


def test_order_does_not_matter() -> None:
    assert compared(dict(reversed(raws.canonical().items()))).ok


@pytest.mark.parametrize("bit", [0, 7, 31])
@pytest.mark.parametrize("element", [0, 262_143, 262_144, 20_000 * 32 - 1])
def test_one_flipped_bit_is_found_wherever_it_is(element: int, bit: int) -> None:
    target = raws.canonical(CHUNK_CROSSING)
    before = target["wte"].reshape(-1)[element]
    target["wte"].reshape(-1).view(np.uint32)[element] ^= 1 << bit
    after = target["wte"].reshape(-1)[element]
    finding = only(compared(target, CHUNK_CROSSING))
    assert (finding.kind, finding.tensor) == (Kind.VALUES, "wte")
    assert (finding.differing, finding.elements) == (1, 20_000 * 32)
    assert finding.first_index == np.unravel_index(element, (20_000, 32))
    assert finding.max_abs_diff == abs(float(before) - float(after))


def test_signed_zero_and_nan_payloads_are_bits_too() -> None:
    weights = bundles.gpt2_arrays()
    weights["model/ln_f/g"][:3] = 0.0, np.nan, np.nan
    source = adopt(raws.raw(weights, bundles.TINY))
    equal = {name: tensor.array() for name, tensor in source.items()}
    assert compare(source, raws.raw(equal)).ok
    equal["ln_f.g"][0] = -0.0
    equal["ln_f.g"].view(np.uint32)[1] ^= 1
    finding = only(compare(source, raws.raw(equal)))
    assert finding.differing == 2
    assert finding.first_index == (0,)
    assert finding.max_abs_diff is None


def transpose_square(target: Arrays) -> None:
    name = "blocks[1].attn.c_proj.w"
    target[name] = np.ascontiguousarray(target[name].T)


def swap(first: str, second: str) -> Callable[[Arrays], None]:
    def mutate(target: Arrays) -> None:
        target[first], target[second] = target[second], target[first]

    return mutate


def copy_over(target: Arrays) -> None:
    target["blocks[2].ln_1.g"] = target["blocks[0].ln_1.g"]


def swap_q_and_v(target: Arrays) -> None:
    q, k, v = np.split(target["blocks[0].attn.c_attn.w"], 3, axis=1)
    target["blocks[0].attn.c_attn.w"] = np.concatenate([v, k, q], axis=1)


def zero_a_row(target: Arrays) -> None:
    target["wpe"][3] = 0


def through_half(target: Arrays) -> None:
    target["wte"] = target["wte"].astype(np.float16).astype(np.float32)


def through_bfloat16(target: Arrays) -> None:
    target["wte"] = target["wte"].astype(ml_dtypes.bfloat16).astype(np.float32)


def cut_to_bfloat16(target: Arrays) -> None:
    target["wte"].view(np.uint32)[...] &= 0xFFFF0000


VALUE_MUTATIONS: dict[str, tuple[Callable[[Arrays], None], dict[str, str | None]]] = {
    "a transposed square": (transpose_square, {"blocks[1].attn.c_proj.w": "transposed"}),
    "ln_1 and ln_2 swapped": (
        swap("blocks[0].ln_1.g", "blocks[0].ln_2.g"),
        {
            "blocks[0].ln_1.g": "swapped with blocks[0].ln_2.g",
            "blocks[0].ln_2.g": "swapped with blocks[0].ln_1.g",
        },
    ),
    "two layers swapped": (
        swap("blocks[0].mlp.c_fc.w", "blocks[2].mlp.c_fc.w"),
        {
            "blocks[0].mlp.c_fc.w": "swapped with blocks[2].mlp.c_fc.w",
            "blocks[2].mlp.c_fc.w": "swapped with blocks[0].mlp.c_fc.w",
        },
    ),
    "one tensor twice": (
        copy_over,
        {"blocks[2].ln_1.g": "it holds the values of blocks[0].ln_1.g"},
    ),
    "q and v swapped": (swap_q_and_v, {"blocks[0].attn.c_attn.w": None}),
    "a row of zeros": (zero_a_row, {"wpe": None}),
    "half precision": (through_half, {"wte": "rounded to float16 on the way"}),
    "bfloat16": (through_bfloat16, {"wte": "rounded to bfloat16 on the way"}),
    "bfloat16, cut off": (
        cut_to_bfloat16,
        {"wte": "rounded to bfloat16 (cut off, not rounded) on the way"},
    ),
}


@pytest.mark.parametrize("case", VALUE_MUTATIONS)
def test_a_common_mistake_is_found_and_told(case: str) -> None:
    mutate, hints = VALUE_MUTATIONS[case]
    target = raws.canonical()
    mutate(target)
    report = compared(target)
    assert {finding.tensor: finding.hint for finding in report.findings} == hints
    assert {finding.kind for finding in report.findings} == {Kind.VALUES}


def test_a_rounding_is_told_beside_a_nan_too() -> None:
    weights = bundles.gpt2_arrays()
    weights["model/wte"].view(np.uint32)[0, 0] = 0x7F800001  # its upper half alone is infinity
    target = raws.canonical()
    with np.errstate(invalid="ignore"):
        target["wte"] = weights["model/wte"].astype(ml_dtypes.bfloat16).astype(np.float32)
    source = adopt(raws.raw(weights, bundles.TINY))
    finding = only(compare(source, raws.raw(target, bundles.TINY)))
    assert finding.hint == "rounded to bfloat16 on the way"
    assert finding.max_abs_diff is None


def test_signalling_nans_of_bfloat16_are_compared() -> None:
    weights = bundles.gpt2_arrays()
    weights["model/ln_f/g"] = weights["model/ln_f/g"].astype(ml_dtypes.bfloat16)
    source = adopt(raws.raw(weights, bundles.TINY))
    target = {name: tensor for name, tensor in raws.canonical().items() if name != "ln_f.g"}
    changed = weights["model/ln_f/g"].copy()
    changed.view(np.uint16)[5] = 0x7F81
    finding = only(compare(source, raws.raw({**target, "ln_f.g": changed}, bundles.TINY)))
    assert (finding.tensor, finding.differing, finding.first_index) == ("ln_f.g", 1, (5,))
    assert finding.max_abs_diff is None


def test_counts_and_distances_are_exact() -> None:
    target = raws.canonical()
    target["wpe"][3] = 0
    finding = only(compared(target))
    row = raws.canonical()["wpe"][3]
    assert finding.differing == row.size
    assert finding.first_index == (3, 0)
    assert finding.max_abs_diff == float(np.abs(row.astype(np.float64)).max())


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
    np.savez(tmp_path / "stored.npz", **raws.canonical())
    np.savez_compressed(tmp_path / "deflated.npz", **raws.canonical())
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


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_widths_are_compared_as_they_are(dtype: str) -> None:
    weights = bundles.gpt2_arrays(dtype=dtype)
    source = adopt(raws.raw(weights, bundles.TINY))
    assert compare(source, raws.raw(weights)).ok
    weights["model/wpe"][5, 7] += 1
    finding = only(compare(source, raws.raw(weights)))
    assert finding.first_index == (5, 7)
    before = float(bundles.gpt2_arrays(dtype=dtype)["model/wpe"][5, 7])
    assert finding.max_abs_diff == abs(before - float(weights["model/wpe"][5, 7]))


def test_a_target_must_state_the_hparams_when_it_was_just_written() -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    silent = raws.raw(raws.canonical())
    assert compare(source, silent).ok
    finding = only(compare(source, silent, strict=True))
    assert (finding.kind, finding.message) == (Kind.HPARAMS, "the target does not state them")
    without_heads = {key: value for key, value in bundles.TINY.items() if key != "n_head"}
    assert compare(source, raws.raw(raws.canonical(), without_heads)).ok
    finding = only(compare(source, raws.raw(raws.canonical(), without_heads), strict=True))
    assert (finding.kind, finding.tensor) == (Kind.HPARAMS, "n_head")


def test_hparams_that_make_no_sense_are_a_difference() -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    finding = only(compare(source, raws.raw(raws.canonical(), {**bundles.TINY, "n_head": -4})))
    assert finding.kind == Kind.HPARAMS


@pytest.mark.parametrize("cut", ["}", '"n_head"', "hparams"])
def test_a_comment_that_was_damaged_is_no_proof_of_the_hparams(
    cut: str, tiny: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.npz"
    gpt2_convert.convert(tiny, target)
    data = target.read_bytes()
    at = data.rindex(cut.encode())
    target.write_bytes(data[:at] + b"~" + data[at + 1 :])
    with gpt2_convert.open(tiny) as source:
        report = compare(source, open_raw(target), strict=True)
    assert {finding.kind for finding in report.findings} == {Kind.HPARAMS}


@pytest.mark.parametrize(
    ("cut", "differing"),
    [(slice(0, 0), 61 * 32), (slice(0, 4000), 61 * 32 - 1000), (slice(0, -4), 1)],
)
def test_a_target_that_ends_early_differs_by_what_it_lacks(cut: slice, differing: int) -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    data = raws.canonical()["wte"].tobytes()[cut]
    finding = only(compare(source, with_wte(data)))
    assert (finding.kind, finding.tensor) == (Kind.VALUES, "wte")
    assert finding.differing == differing
    assert finding.first_index == np.unravel_index(len(data) // 4, (61, 32))


def test_a_target_that_runs_on_differs() -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    finding = only(compare(source, with_wte(raws.canonical()["wte"].tobytes() + b"junk")))
    assert finding.tensor == "wte"
    assert finding.hint is not None
    assert "more bytes" in finding.hint


def test_a_source_that_ends_early_proves_nothing() -> None:
    raw = with_wte(raws.canonical()["wte"].tobytes()[:-4])
    with pytest.raises(gpt2_convert.FormatError, match=r"7,808 bytes announced, found 7,804"):
        compare(adopt(raw), raws.raw(raws.canonical()))


def test_a_source_that_fails_before_its_first_piece_is_an_error() -> None:
    def fail() -> Iterator[bytes]:
        raise gpt2_convert.UnreadableError("wte: gone")

    raw = raws.raw(raws.canonical(), bundles.TINY)
    first, *others = raw.tensors
    failing = dataclasses.replace(raw, tensors=(dataclasses.replace(first, read=fail), *others))
    with pytest.raises(gpt2_convert.UnreadableError, match="gone"):
        compare(adopt(failing), raw)


def with_wte(data: bytes) -> RawCheckpoint:
    """A raw checkpoint whose wte yields ``data``, whatever its shape."""
    raw = raws.raw(raws.canonical(), bundles.TINY)
    tensors = [
        dataclasses.replace(tensor, read=lambda: iter([data] if data else []))
        if tensor.name == "wte"
        else tensor
        for tensor in raw.tensors
    ]
    return dataclasses.replace(raw, tensors=tuple(tensors))


def test_with_a_tolerance_an_infinity_is_near_to_nothing_but_itself() -> None:
    weights = bundles.gpt2_arrays()
    weights["model/wte"][0, :4] = np.inf, np.inf, -np.inf, np.nan
    source = adopt(raws.raw(weights, bundles.TINY))
    target = {name: tensor.array() for name, tensor in source.items()}
    assert compare(source, raws.raw(target), tolerance=Tolerance(rtol=1e-6)).ok
    target["wte"][0, :3] = 5, -np.inf, np.inf
    finding = only(compare(source, raws.raw(target), tolerance=Tolerance(rtol=1e-6)))
    assert finding.differing == 3


def test_an_extra_tensor_with_a_mask_s_name_is_no_mask() -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    masks = {"h.0.attn.bias": np.zeros((1, 1, 16, 16), np.float32)}
    assert compare(source, raws.raw({**raws.huggingface(), **masks})).ok
    masks = {"h.0.attn.bias": np.zeros(5, np.float32)}
    finding = only(compare(source, raws.raw({**raws.huggingface(), **masks})))
    assert (finding.kind, finding.tensor) == (Kind.EXTRA, "h.0.attn.bias")


def test_heads_of_many_tensors_are_read_once() -> None:
    reads: list[str] = []
    raw = raws.raw(bundles.gpt2_arrays({**bundles.TINY, "n_layer": 12}))
    counted = [
        dataclasses.replace(
            tensor, read=lambda tensor=tensor: reads.append(tensor.name) or tensor.read()
        )
        for tensor in raw.tensors
    ]
    source = adopt(dataclasses.replace(raw, tensors=tuple(counted)))
    report = compare(source, raws.raw(raws.canonical({**bundles.TINY, "n_layer": 12}, seed=1)))
    assert len(report.findings) == 148
    assert len(reads) <= 5 * 148
