"""Names of tensors: views that read well, and help with one that is not there."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from support import raws

from gpt2_convert.checkpoint.lookup import Items, Names, Tensors, UnknownTensorError, find_meant

TENSORS = {name: raws.lazy(name, np.zeros(3, np.float32)) for name in ("wte", "b\x1b[0m\n")}
MANY = {name: raws.lazy(name, np.zeros(1)) for name in map("tensor.{:05d}".format, range(16_000))}


def test_views_show_the_names_in_a_line() -> None:
    assert repr(Names(TENSORS)) == r"<2 names: 'wte', 'b\x1b[0m\n'>"
    assert repr(Tensors(TENSORS)) == r"<2 tensors: 'wte', 'b\x1b[0m\n'>"
    assert repr(Items(TENSORS)) == r"<2 tensors by name: 'wte', 'b\x1b[0m\n'>"
    assert repr(Names({})) == "<0 names: >"
    for view in (Names(MANY), Tensors(MANY), Items(MANY)):
        assert repr(view).startswith("<16,000 ")
        assert repr(view).endswith(", ...>")
        assert len(repr(view)) < 300


def test_views_are_those_of_a_dict_in_all_else() -> None:
    assert list(Names(TENSORS)) == list(TENSORS)
    assert list(Tensors(TENSORS)) == list(TENSORS.values())
    assert list(Items(TENSORS)) == list(TENSORS.items())
    assert Names(TENSORS) == TENSORS.keys()
    assert Names(TENSORS) - {"wte"} == {"b\x1b[0m\n"}


@pytest.mark.parametrize(
    ("key", "meant"),
    [("wtf", "wte"), ("model/wte", "wte"), ("h.0.ln_1.g", "blocks[0].ln_1.g"), ("nothing", None)],
)
def test_what_may_be_meant(key: str, meant: str | None) -> None:
    names = [("wte", "model/wte"), ("blocks[0].ln_1.g", "model/h0/ln_1/g")]
    assert find_meant(key, names) == meant


def test_the_message_is_one_line_whatever_the_key() -> None:
    hostile = "\x1b[31m\u202e\n" + "x" * 100_000
    text = str(UnknownTensorError(hostile, [("w" * 100_000, hostile[:-1])]))
    assert text.isprintable()
    assert len(text) < 300
    assert str(UnknownTensorError(3)) == "no tensor 3: names are texts"
    error = pickle.loads(pickle.dumps(UnknownTensorError("wet", [("wte", "")])))  # noqa: S301
    assert str(error) == "no tensor 'wet' among 1; did you mean 'wte'?"
