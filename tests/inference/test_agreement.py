"""Two models' logits are compared as their definitions say, however they are cut into slices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws

from gpt2_convert.errors import ComputationError
from gpt2_convert.inference import agreement, streamed
from gpt2_convert.inference.agreement import (
    NO_ID,
    Agreement,
    Compared,
    Output,
    compare_outputs,
    sum_up_agreement,
)

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]

WIDTH = 8


def make(tokens: int, n_vocab: int, seed: int = 0, spread: float = 1.0) -> tuple[Array, Array]:
    """What went through all blocks, and a head."""
    random = np.random.default_rng(seed)
    hidden = random.standard_normal((tokens, WIDTH), np.float32) * np.float32(spread)
    return hidden, random.standard_normal((n_vocab, WIDTH), np.float32)


def output(hidden: Array, head: Array, where: str = "m") -> Output:
    return Output(hidden, raws.lazy("wte", head), where)


def compare(
    ours: tuple[Array, Array], theirs: tuple[Array, Array], following: Array | None = None
) -> Compared:
    if following is None:
        following = np.full(len(ours[0]), NO_ID)
    with np.errstate(all="ignore"):
        return compare_outputs(output(*ours, "a"), output(*theirs, "b"), following)


def logarithms(hidden: Array, head: Array) -> Array:
    """The logarithms of the probabilities, all of them at once."""
    logits = (hidden @ head.T).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    found: Array = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return found


@pytest.mark.parametrize(("tokens", "n_vocab"), [(1, 5), (7, 61), (600, 61), (40, 9000), (3, 3)])
@pytest.mark.parametrize("spread", [0.1, 1.0, 30.0])
def test_it_is_what_the_definitions_say(tokens: int, n_vocab: int, spread: float) -> None:
    ours = make(tokens, n_vocab, spread=spread)
    random = np.random.default_rng(9)
    theirs = (ours[0] + random.standard_normal(ours[0].shape, np.float32) / 10, ours[1])
    following = random.integers(0, n_vocab, tokens)
    found = compare(ours, theirs, following)
    one, other = logarithms(*ours), logarithms(*theirs)
    np.testing.assert_allclose(
        found.divergences, (np.exp(one) * (one - other)).sum(axis=1), rtol=1e-9, atol=1e-12
    )
    differences = np.abs((ours[0] @ ours[1].T).astype(np.float64) - theirs[0] @ theirs[1].T)
    assert found.max_abs_diff == pytest.approx(differences.max(), rel=1e-5)
    assert found.sum_abs_diff == pytest.approx(differences.sum(), rel=1e-5)
    assert found.logits == differences.size
    np.testing.assert_array_equal(found.same_first, one.argmax(axis=1) == other.argmax(axis=1))
    count = min(5, n_vocab)
    firsts = [np.argsort(-each, axis=1, kind="stable")[:, :count] for each in (one, other)]
    shared = [
        len({*a} & {*b}) / count for a, b in zip(*map(np.ndarray.tolist, firsts), strict=True)
    ]
    np.testing.assert_array_equal(found.shared, shared)
    for surprises, known in zip(found.surprises, (one, other), strict=True):
        expected = -known[np.arange(tokens), following]
        np.testing.assert_allclose(surprises, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (7, 3), (60, 100)])
def test_how_it_is_cut_into_slices_changes_nothing(
    rows: int, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = make(20, 61), make(20, 61, seed=1)
    whole = compare(ours, theirs, np.arange(20))
    monkeypatch.setattr(streamed, "ROWS", rows)
    monkeypatch.setattr(agreement, "_TOKENS", tokens)
    cut = compare(ours, theirs, np.arange(20))
    # BLAS may add up in another order.
    np.testing.assert_allclose(cut.divergences, whole.divergences, rtol=1e-5)
    np.testing.assert_allclose(cut.surprises, whole.surprises, rtol=1e-5)
    np.testing.assert_array_equal(cut.same_first, whole.same_first)
    np.testing.assert_array_equal(cut.shared, whole.shared)
    assert cut.max_abs_diff == pytest.approx(whole.max_abs_diff, rel=1e-5)


def test_equal_models_agree_to_the_bit() -> None:
    ours = make(30, 5000, spread=20)
    found = sum_up_agreement([compare(ours, ours)], None)
    assert found == Agreement(30, 0, 0, 0, 0, 0, 1, 1)


def test_what_all_logits_have_in_common_is_no_divergence() -> None:
    hidden, head = make(10, 61)
    hidden[:, 0], head[:, 0] = 1, 0
    shifted = head.copy()
    shifted[:, 0] = 4  # added to every logit
    found = compare((hidden, head), (hidden, shifted))
    assert found.max_abs_diff == pytest.approx(4, rel=1e-6)
    assert found.divergences.max() < 1e-12
    assert found.same_first.all()


def test_divergences_far_below_the_precision_of_the_logits_are_told_apart() -> None:
    hidden, head = make(10, 61)
    scales = [np.float32(1 + each) for each in (2e-6, 2e-5, 2e-4)]
    means = [compare((hidden, head), (hidden * s, head)).divergences.mean() for s in scales]
    # A divergence grows as the square of the difference.
    assert means[1] / means[0] == pytest.approx(100, rel=0.2)
    assert means[2] / means[1] == pytest.approx(100, rel=0.2)


def test_of_equal_logits_the_lower_id_is_the_first_choice() -> None:
    hidden = np.ones((1, WIDTH), np.float32)
    flat, last = np.zeros((61, WIDTH), np.float32), np.zeros((61, WIDTH), np.float32)
    last[60] = 1
    found = compare((hidden, flat), (hidden, last))
    assert not found.same_first[0]
    # 0 to 4, and 60 with 0 to 3.
    assert found.shared[0] == pytest.approx(0.8)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["a", "b"])
def test_logits_that_are_not_finite_are_an_error_of_their_model(side: str, value: float) -> None:
    ours, theirs = make(5, 61), make(5, 61)
    (ours if side == "a" else theirs)[0][3, 2] = value
    with pytest.raises(ComputationError, match=f"^{side}: its logits are not finite"):
        compare(ours, theirs)


def compared(divergences: list[float], **fields: Any) -> Compared:  # noqa: ANN401
    count = len(divergences)
    given: dict[str, Any] = {
        "divergences": np.array(divergences),
        "same_first": np.array([True] * count),
        "shared": np.ones(count),
        "surprises": (np.full(count, np.nan), np.full(count, np.nan)),
        "max_abs_diff": 0.5,
        "sum_abs_diff": 2.0,
        "logits": 10,
    }
    return Compared(**{**given, **fields})


def test_parts_are_summed_up_by_their_tokens() -> None:
    parts = [
        compared([0.1] * 98, same_first=np.array([False] + [True] * 97)),
        compared([0.3, 0.7], max_abs_diff=0.75, sum_abs_diff=6.0, shared=np.array([0.2, 0.4])),
    ]
    found = sum_up_agreement(parts, None)
    assert (found.tokens, found.max_abs_diff, found.mean_abs_diff) == (100, 0.75, 0.4)
    assert found.kl_mean == pytest.approx(0.108)
    assert found.kl_p99 == pytest.approx(0.304)  # between the two largest of a hundred
    assert found.kl_max == 0.7
    assert found.top1 == 0.99
    assert found.top5 == pytest.approx(0.986)
    assert (found.text, found.perplexity_source, found.perplexity_target) == (None, None, None)


def test_perplexities_are_of_the_tokens_that_have_a_next_one() -> None:
    surprises = np.log([2.0, 8.0, math.nan]), np.log([4.0, 4.0, math.nan])
    found = sum_up_agreement([compared([0, 0, 0], surprises=surprises)], "a.txt")
    assert found.perplexity_source == pytest.approx(4)
    assert found.perplexity_target == pytest.approx(4)
    beyond = np.array([800.0, 700.0, math.nan]), np.array([math.nan] * 3)
    found = sum_up_agreement([compared([0, 0, 0], surprises=beyond)], "a.txt")
    assert (found.perplexity_source, found.perplexity_target) == (None, None)


def test_the_document_has_every_number() -> None:
    found = Agreement(100, 0.5, 0.1, 0.01, 0.02, 0.03, 0.9, 0.8)
    document = {
        "tokens": 100,
        "text": None,
        "max_abs_diff": 0.5,
        "mean_abs_diff": 0.1,
        "kl": {"mean": 0.01, "p99": 0.02, "max": 0.03},
        "top1": 0.9,
        "top5": 0.8,
        "perplexity": None,
    }
    assert found.as_json() == document
    with_text = Agreement(100, 0.5, 0.1, 0.01, 0.02, 0.03, 0.9, 0.8, "a.txt", 31.5, None)
    assert with_text.as_json() == {
        **document, "text": "a.txt", "perplexity": {"source": 31.5, "target": None},
    }  # fmt: skip
