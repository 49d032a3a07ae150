"""Activations are what transformers and torch define, and one that is not known is refused."""

from __future__ import annotations

import numpy as np
import pytest
from support import oracle

from gpt2_convert.errors import UnsupportedError
from gpt2_convert.inference.activations import ACTIVATIONS, activate, find_activation

NUMBERS = np.concatenate(
    [np.linspace(-12, 12, 9_601), np.linspace(-150, 150, 1_201), [0.0, -0.0, 1e-30, -1e-30]]
).astype(np.float32)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_its_formula_up_to_float32(name: str) -> None:
    found = NUMBERS.copy()
    with np.errstate(all="ignore"):
        activate(ACTIVATIONS[name], found)
    expected = np.array([oracle.ACTIVATIONS[name](float(x)) for x in NUMBERS])
    assert found.dtype == np.float32
    # Two units in the last place of numbers around one, and as much in proportion of larger ones.
    assert np.all(np.abs(found - expected) <= 2.4e-7 * np.maximum(1, np.abs(expected)))


def test_every_activation_has_a_formula_to_be_held_against() -> None:
    assert ACTIVATIONS.keys() == oracle.ACTIVATIONS.keys()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_numbers_as_large_as_they_get_are_no_nan(name: str) -> None:
    found = np.array([3e38, -3e38, 1e19, -1e19], np.float32)
    with np.errstate(all="ignore"):
        activate(ACTIVATIONS[name], found)
    assert not np.isnan(found).any()


@pytest.mark.parametrize("shape", [(1, 5), (7, 3000), (1 << 14,), ((1 << 14) + 1,), (0,)])
def test_all_of_an_array_is_activated_in_place_however_large_it_is(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).standard_normal(shape, np.float32)
    expected = np.where(array > 0, array, 0)
    activate(ACTIVATIONS["relu"], array)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("name", ["prelu", "xielu", "GELU", "", "a\nb"])
def test_an_unknown_activation_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        find_activation(name, "m/config.json")
    text = str(caught.value)
    assert text.startswith(f"m/config.json: no such activation_function: {name!r}; there are: gelu")
    assert "\n" not in text


def test_a_known_activation_is_found() -> None:
    assert find_activation("gelu_new", "m") is ACTIVATIONS["gelu_new"]
