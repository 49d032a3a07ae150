"""Two checkpoints are compared by what they say, read block by block, and bounds decide."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, oracle, raws

from gpt2_convert.checkpoint.canonical import Checkpoint
from gpt2_convert.compare import logits as module
from gpt2_convert.compare.logits import Bounds, compare_logits, draw_ids
from gpt2_convert.errors import ComputationError, UnsupportedError, UsageError
from gpt2_convert.inference.agreement import Agreement
from gpt2_convert.reports.findings import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from gpt2_convert.reports.verification import VerificationReport

    Array = np.ndarray[Any, Any]

IDS = draw_ids(61, 40)


def checkpoint(weights: Mapping[str, Array] | None = None, **fields: Any) -> Checkpoint:  # noqa: ANN401
    weights = oracle.weights() if weights is None else weights
    tensors = {name: raws.lazy(name, array) for name, array in weights.items()}
    return Checkpoint(raw=raws.raw({}), config=raws.config(**fields), tensors=tensors, dropped=())


def rounded(dtype: str) -> dict[str, Array]:
    return {name: array.astype(dtype) for name, array in oracle.weights().items()}


def agreement(report: VerificationReport) -> Agreement:
    assert report.logits is not None
    return report.logits


def windows(weights: Mapping[str, Array], window: int = 16, **fields: Any) -> Array:  # noqa: ANN401
    """The logits after IDS, by the oracle."""
    parts = [
        oracle.logits(weights, IDS[at : at + window].tolist(), **fields)
        for at in range(0, len(IDS), window)
    ]
    return np.concatenate(parts)


def diverge(one: Array, other: Array) -> Array:
    """The divergence after each token."""
    first, second = (
        each - np.log(np.exp(each - each.max(1, keepdims=True)).sum(1, keepdims=True))
        - each.max(1, keepdims=True)
        for each in (one, other)
    )  # fmt: skip
    divergences: Array = (np.exp(first) * (first - second)).sum(1)
    return divergences


def test_a_model_says_what_it_says() -> None:
    report = compare_logits(checkpoint(), checkpoint(), IDS)
    assert agreement(report) == Agreement(40, 0, 0, 0, 0, 0, 1, 1)
    assert report.ok
    assert (report.max_abs_diff, report.findings, report.loss) == (None, (), None)
    assert report.totals.tensors == 40
    assert report.source.path == report.target.path == "memory"


def test_what_a_rounding_costs_is_what_the_formulas_say() -> None:
    halves = rounded("float16")
    found = agreement(compare_logits(checkpoint(), checkpoint(halves), IDS))
    one, other = windows(oracle.weights()), windows(halves)
    assert found.max_abs_diff == pytest.approx(np.abs(one - other).max(), rel=0.02)
    assert found.mean_abs_diff == pytest.approx(np.abs(one - other).mean(), rel=0.02)
    divergences = diverge(one, other)
    assert found.kl_mean == pytest.approx(divergences.mean(), rel=0.02)
    assert found.kl_p99 == pytest.approx(np.percentile(divergences, 99), rel=0.05)
    assert found.kl_max == pytest.approx(divergences.max(), rel=0.05)
    assert found.top1 == (one.argmax(1) == other.argmax(1)).mean()
    assert 0.9 < found.top5 <= 1


def test_models_of_other_sizes_and_behaviour_can_be_compared() -> None:
    sizes = {**bundles.TINY, "n_layer": 1, "n_embd": 16, "n_ctx": 10}
    small = oracle.weights(sizes, seed=3)
    fields = {"n_layer": 1, "n_embd": 16, "n_ctx": 10, "n_inner": 64, "n_head": 2}
    report = compare_logits(
        checkpoint(), checkpoint(small, **fields, activation_function="relu"), IDS
    )
    # In windows as long as the shorter context.
    one = windows(oracle.weights(), 10)
    other = windows(small, 10, n_head=2, activation="relu")
    found = agreement(report)
    assert found.kl_mean == pytest.approx(diverge(one, other).mean(), rel=1e-4)
    assert found.max_abs_diff == pytest.approx(np.abs(one - other).max(), rel=1e-4)


def test_a_head_of_its_own_is_what_a_model_says_it_with() -> None:
    weights = oracle.weights()
    weights["lm_head.w"] = weights["wte"] * np.float32(1.5)
    found = agreement(
        compare_logits(checkpoint(), checkpoint(weights, tie_word_embeddings=False), IDS)
    )
    one = windows(oracle.weights())
    assert found.max_abs_diff == pytest.approx(np.abs(one).max() / 2, rel=1e-4)
    assert found.top1 == 1


def test_perplexities_are_those_of_the_text() -> None:
    halves = rounded("float16")
    found = agreement(compare_logits(checkpoint(), checkpoint(halves), IDS, text="a.txt"))
    assert found.text == "a.txt"
    for perplexity, weights in (
        (found.perplexity_source, oracle.weights()), (found.perplexity_target, halves),
    ):  # fmt: skip
        logits = windows(weights)[:-1]
        odds = np.exp(logits - logits.max(1, keepdims=True))
        shares = odds[np.arange(39), IDS[1:]] / odds.sum(1)
        assert perplexity == pytest.approx(np.exp(-np.log(shares).mean()), rel=1e-5)


def test_many_tokens_are_run_in_turns_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = checkpoint(), checkpoint(rounded("float16"))
    whole = compare_logits(*pair, IDS, text="a.txt")
    monkeypatch.setattr(module, "_AT_ONCE", 20)  # one window of 16
    told: list[tuple[str, int, int]] = []
    turns = compare_logits(*pair, IDS, text="a.txt", progress=lambda *each: told.append(each))
    for name, value in agreement(whole).as_json().items():
        if isinstance(value, float):
            assert getattr(agreement(turns), name) == pytest.approx(value, rel=1e-3)
    assert agreement(turns).perplexity_target == pytest.approx(
        agreement(whole).perplexity_target, rel=1e-6
    )
    # What was read adds up, the embeddings twice a turn.
    tensors = [tensor for each in pair for tensor in (*each.values(), each["wte"])]
    total = 3 * sum(tensor.nbytes for tensor in tensors)
    assert {(phase, of) for phase, _, of in told} == {("running", total)}
    assert told[-1][1] == total


def test_drawn_ids_are_the_same_each_time_and_in_the_vocabulary() -> None:
    np.testing.assert_array_equal(draw_ids(61, 40), draw_ids(61, 40))
    assert draw_ids(50257, 5).tolist() == [39475, 2822, 23557, 37537, 21700]
    assert set(draw_ids(3, 200).tolist()) == {0, 1, 2}


@pytest.mark.parametrize(("ours", "theirs", "of"), [(4, None, "source"), (None, 8, "target")])
def test_heads_that_one_side_states_are_those_of_both(
    ours: int | None, theirs: int | None, of: str
) -> None:
    report = compare_logits(checkpoint(n_head=ours), checkpoint(n_head=theirs), IDS)
    assert agreement(report).kl_max == 0
    other = "target" if of == "source" else "source"
    assert report.notes == (
        f"n_head {ours or theirs} is stated for the {of} alone; the {other} was run with it, too",
    )
    assert agreement(compare_logits(checkpoint(n_head=4), checkpoint(n_head=8), IDS)).kl_max > 0


def test_what_cannot_be_run_or_compared_is_an_error() -> None:
    with pytest.raises(UnsupportedError, match="memory: n_head is unknown"):
        compare_logits(checkpoint(n_head=None), checkpoint(n_head=None), IDS)
    with pytest.raises(UnsupportedError, match="activation_function: 'prelu'"):
        compare_logits(checkpoint(), checkpoint(activation_function="prelu"), IDS)
    other = oracle.weights({**bundles.TINY, "n_vocab": 62})
    with pytest.raises(UsageError) as caught:
        compare_logits(checkpoint(), checkpoint(other, n_vocab=62), IDS)
    assert str(caught.value) == (
        "the logits of two vocabularies cannot be compared: n_vocab is 61 in memory and 62 in "
        "memory"
    )
    for ids, wrong in (([3, 61], 61), ([-1, 3], -1)):
        with pytest.raises(UsageError, match=f"memory: id {wrong} is not in the vocabulary"):
            compare_logits(checkpoint(), checkpoint(), ids)
    with pytest.raises(UsageError, match="no tokens"):
        compare_logits(checkpoint(), checkpoint(), [])
    broken = oracle.weights()
    broken["ln_f.g"][3] = np.nan
    with pytest.raises(ComputationError, match="its logits are not finite"):
        compare_logits(checkpoint(), checkpoint(broken), IDS)


def test_bounds_that_are_kept_are_no_findings_and_missed_ones_are() -> None:
    found = Agreement(100, 0.5, 0.1, 0.01, 0.02, 0.03, 0.9, 0.8)
    assert not list(Bounds().check(found))
    assert not list(Bounds(max_kl=0.03, min_agreement=0.9).check(found))
    kl, top1 = Bounds(max_kl=0.0299, min_agreement=0.91).check(found)
    assert (kl.kind, kl.tensor) == (Kind.LOGITS, "kl")
    assert kl.message == "0.03 after one token, where 0.0299 is allowed"
    assert (top1.kind, top1.tensor) == (Kind.LOGITS, "top1")
    assert top1.message == "0.9 of the tokens, where 0.91 are wanted"


def test_a_missed_bound_is_a_difference() -> None:
    pair = checkpoint(), checkpoint(rounded("float16"))
    assert compare_logits(*pair, IDS, bounds=Bounds(max_kl=1)).ok
    report = compare_logits(*pair, IDS, bounds=Bounds(max_kl=0))
    assert not report.ok
    assert [finding.tensor for finding in report.findings] == ["kl"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_kl": -1e-9}, "max_kl: a number that is not negative expected, found -1e-09"),
        ({"max_kl": float("nan")}, "max_kl: a number that is not negative expected, found nan"),
        ({"max_kl": float("inf")}, "max_kl: a number that is not negative expected, found inf"),
        ({"min_agreement": 1.01}, "min_agreement: a share from 0 to 1 expected, found 1.01"),
        ({"min_agreement": -0.1}, "min_agreement: a share from 0 to 1 expected, found -0.1"),
        ({"min_agreement": 99}, "min_agreement: a share from 0 to 1 expected, found 99"),
    ],
)
def test_a_bound_that_makes_no_sense_is_misuse(fields: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Bounds(**fields)
    assert str(caught.value) == message


def test_no_model_is_in_memory() -> None:
    sizes = {"n_vocab": 20_000, "n_ctx": 64, "n_embd": 256, "n_head": 4, "n_layer": 8}
    weights = oracle.weights(sizes)
    needed = sum(array.nbytes for array in weights.values())
    assert needed > 45_000_000
    fields = {**sizes, "n_inner": 1024}
    pair = checkpoint(weights, **fields), checkpoint(weights, **fields)
    ids = draw_ids(20_000, 128)
    compare_logits(*pair, ids[:1])  # what is imported stays
    tracemalloc.start()
    try:
        compare_logits(*pair, ids)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.7 * needed
