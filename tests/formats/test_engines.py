"""Other programs that read a container: their names, and what is said where one is missing."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, get_args

import pytest

import gpt2_convert
from gpt2_convert.formats.engines import NATIVE, DeclinedError, EngineName
from gpt2_convert.formats.readers import READERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec

ENGINES = {name: engine for reader in READERS.values() for name, engine in reader.engines.items()}


def test_the_type_of_an_engine_s_name_has_the_native_one_and_the_keys() -> None:
    assert get_args(EngineName) == (NATIVE, *ENGINES)
    assert NATIVE not in ENGINES


def test_what_is_declined_is_unsupported_to_whoever_knows_no_engine() -> None:
    with pytest.raises(gpt2_convert.UnsupportedError, match="of version 1"):
        raise DeclinedError("of version 1")


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_that_is_not_installed_says_how_to_install_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable[..., ModuleSpec | None] = importlib.util.find_spec
    from gpt2_convert.formats.tensorflow.engine import reader

    monkeypatch.setattr(
        reader, "find_spec", lambda module, *more: None if module == name else find(module, *more)
    )
    with pytest.raises(gpt2_convert.UnsupportedError, match=rf"pip install.*\[{name}\]"):
        ENGINES[name].require()
