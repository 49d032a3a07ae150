"""What comes next is the likeliest, or is drawn as the logits, top_k and top_p say."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpt2_convert.errors import UsageError
from gpt2_convert.inference.sampling import Sampling, seed_random

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]

DRAWS = 4000
ODDS = (0.2, 0.4, 0.1, 0.3)
LOGITS = np.log(np.array(ODDS)).astype(np.float32) + 7


def draw(logits: Array, draws: int = DRAWS, **fields: Any) -> Counter[int]:  # noqa: ANN401
    sampling, random = Sampling(**fields), seed_random(0)
    return Counter(sampling.choose(logits, random) for _ in range(draws))


def assert_shares(found: Counter[int], expected: dict[int, float]) -> None:
    """The ids were drawn, and as often as expected, within four standard deviations."""
    assert found.keys() == expected.keys()
    for each, share in expected.items():
        deviation = math.sqrt(share * (1 - share) * DRAWS)
        assert abs(found[each] - share * DRAWS) <= 4 * deviation, each


def test_at_temperature_zero_it_is_the_likeliest_and_of_two_the_lower_id() -> None:
    assert draw(LOGITS).keys() == {1}
    assert draw(LOGITS, top_k=3, top_p=0.9).keys() == {1}
    assert draw(np.array([1, 5, 5], np.float32)).keys() == {1}


def test_at_temperature_one_ids_are_drawn_as_the_logits_say() -> None:
    assert_shares(draw(LOGITS, temperature=1), dict(enumerate(ODDS)))


def test_a_temperature_sharpens_or_flattens() -> None:
    for temperature in (0.5, 2.0):
        powers = [share ** (1 / temperature) for share in ODDS]
        expected = {id_: power / sum(powers) for id_, power in enumerate(powers)}
        assert_shares(draw(LOGITS, temperature=temperature), expected)


@pytest.mark.parametrize(
    ("top_k", "expected"),
    [
        (1, {1: 1.0}),
        (2, {1: 4 / 7, 3: 3 / 7}),
        (3, {1: 4 / 9, 3: 3 / 9, 0: 2 / 9}),
        (4, dict(enumerate(ODDS))),
        (50_000, dict(enumerate(ODDS))),
    ],
)
def test_top_k_leaves_the_likeliest(top_k: int, expected: dict[int, float]) -> None:
    assert_shares(draw(LOGITS, temperature=1, top_k=top_k), expected)


def test_of_equally_likely_ids_top_k_leaves_the_lower_ones() -> None:
    logits = np.array([0, 3, 3, 3, 3, 0], np.float32)
    assert_shares(draw(logits, temperature=1, top_k=2), {1: 0.5, 2: 0.5})


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (1e-9, {1: 1.0}),
        (0.39, {1: 1.0}),
        (0.41, {1: 4 / 7, 3: 3 / 7}),  # the one that reaches it is included
        (0.69, {1: 4 / 7, 3: 3 / 7}),
        (0.71, {1: 4 / 9, 3: 3 / 9, 0: 2 / 9}),
        (1.0, dict(enumerate(ODDS))),
    ],
)
def test_top_p_leaves_the_likeliest_that_reach_it(top_p: float, expected: dict[int, float]) -> None:
    assert_shares(draw(LOGITS, temperature=1, top_p=top_p), expected)


def test_top_p_counts_what_top_k_has_left() -> None:
    # Of 4/7 and 3/7 the first alone reaches a half; of all four ids it would not.
    assert_shares(draw(LOGITS, temperature=1, top_k=2, top_p=0.5), {1: 1.0})


@pytest.mark.parametrize("size", [1000, 1024, 5000, 50_000])
def test_top_p_counts_all_of_a_large_vocabulary(size: int) -> None:
    found = draw(np.zeros(size, np.float32), draws=50, temperature=1, top_p=0.5)
    assert max(found) < size / 2
    assert max(found) > 0.4 * size, "no more is left out than has to be"


@pytest.mark.parametrize("temperature", [1e-300, 5e-324, 1e-3])
def test_a_tiny_temperature_is_nearly_none(temperature: float) -> None:
    assert draw(LOGITS, temperature=temperature).keys() == {1}
    assert draw(LOGITS, temperature=temperature, top_p=0.9).keys() == {1}


def test_a_huge_temperature_makes_all_equal() -> None:
    assert_shares(draw(LOGITS, temperature=1e300), dict.fromkeys(range(4), 0.25))


def test_logits_of_minus_infinity_never_come() -> None:
    logits = np.array([0, -np.inf, 0], np.float32)
    assert_shares(draw(logits, temperature=1, top_p=1.0), {0: 0.5, 2: 0.5})


def test_a_seed_draws_the_same_ids_and_none_draws_others() -> None:
    logits = np.zeros(1 << 20, np.float32)
    sampling = Sampling(temperature=1)

    def once(seed: int | None) -> list[int]:
        random = seed_random(seed)
        return [sampling.choose(logits, random) for _ in range(3)]

    assert once(7) == once(7) != once(8)
    assert once(None) != once(None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": -0.1}, "temperature: a number that is not negative expected, found -0.1"),
        ({"temperature": math.nan}, "temperature: a number that is not negative expected"),
        ({"temperature": math.inf}, "temperature: a number that is not negative expected"),
        ({"top_k": 0}, "top_k: a number of tokens expected, found 0"),
        ({"top_k": -1}, "top_k: a number of tokens expected, found -1"),
        ({"top_p": 0}, r"top_p: a number in \(0, 1\] expected, found 0"),
        ({"top_p": 1.01}, r"top_p: a number in \(0, 1\] expected, found 1.01"),
        ({"top_p": math.nan}, r"top_p: a number in \(0, 1\] expected, found nan"),
    ],
)
def test_what_makes_no_sense_is_misuse(fields: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sampling(**fields)  # type: ignore[arg-type]


def test_a_negative_seed_is_misuse() -> None:
    with pytest.raises(UsageError, match="seed: a number that is not negative expected, found -1"):
        seed_random(-1)
