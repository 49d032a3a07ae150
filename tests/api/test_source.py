"""The keywords that the verbs share: one meaning, one default, one type, documented once."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws
from support.contracts import open_descriptors

import gpt2_convert
from gpt2_convert.api.source import Source, build_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

VERBS: dict[str, Callable[..., Any]] = {
    "open": gpt2_convert.open,
    "convert": gpt2_convert.convert,
    "verify": gpt2_convert.verify,
    "inspect": gpt2_convert.inspect,
    "digest": gpt2_convert.digest,
    "load": gpt2_convert.load,
}
SHARED = tuple(inspect.signature(gpt2_convert.open).parameters)
TAKEN_BY = {verb: SHARED if verb != "load" else SHARED[:-1] for verb in VERBS}
"""What is taken as it is cannot be run, so that is for every verb but load."""


@pytest.mark.parametrize("verb", VERBS)
def test_the_keywords_of_a_source_are_the_same_in_every_verb(verb: str) -> None:
    expected = inspect.signature(gpt2_convert.open).parameters
    found = inspect.signature(VERBS[verb]).parameters
    for name in TAKEN_BY[verb]:
        # Names, kinds, defaults and annotations.
        assert found[name] == expected[name]
    # And in the same order, before those of the verb itself.
    keywords = [name for name, each in found.items() if each.kind is each.KEYWORD_ONLY]
    assert keywords[: len(TAKEN_BY[verb]) - 1] == list(TAKEN_BY[verb][1:])


def test_the_keywords_are_the_fields_of_a_source() -> None:
    assert [field.name for field in fields(Source)] == ["path", *SHARED[1:]]
    built = inspect.signature(build_source).parameters
    assert list(built) == ["path", *SHARED[1:]]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_hands_every_keyword_on(verb: str) -> None:
    assert SHARED[-1] == "as_is"
    (tree,) = ast.parse(inspect.getsource(VERBS[verb])).body
    (call,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "build_source"
    )
    handed = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    assert handed == {name: name for name in TAKEN_BY[verb][1:]}


def test_the_keywords_are_documented_with_open_and_nowhere_else() -> None:
    described = re.findall(r"^ *- ``(\w+)``", inspect.getdoc(gpt2_convert.open) or "", re.MULTILINE)
    assert described == [name for name in SHARED[1:] if name != "allow_overflow"]
    assert "``allow_overflow``" in (gpt2_convert.open.__doc__ or "")
    for name, verb in VERBS.items():
        if name != "open":
            assert ":func:`.open`" in (verb.__doc__ or "")
            assert "- ``" not in (verb.__doc__ or "")


def unknown(folder: Path) -> Path:
    """A model with two tensors that GPT-2 does not know."""
    extra = {"value/w": np.ones(3, np.float32), "value/b": np.ones(2, np.float32)}
    return bundles.write_gpt2(folder, arrays={**bundles.gpt2_arrays(), **extra})


@pytest.mark.parametrize("drop", ["value/*", ["value/*"], ("value/w", "value/?")])
def test_a_single_text_is_one_pattern(drop: str | list[str], tmp_path: Path) -> None:
    source = unknown(tmp_path / "model")
    with pytest.raises(gpt2_convert.SchemaError, match="value/"):
        gpt2_convert.open(source)
    with gpt2_convert.open(source, drop=drop) as checkpoint:
        assert {each.source_name for each in checkpoint.dropped} == {"value/w", "value/b"}
        assert list(checkpoint) == list(raws.canonical())


def test_no_verb_takes_a_dtype_that_weights_cannot_have(tiny: Path, tmp_path: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: gpt2_convert.open(tiny, dtype="int8"),  # type: ignore[call-overload]
        lambda: gpt2_convert.inspect(tiny, dtype="int8"),  # type: ignore[arg-type]
        lambda: gpt2_convert.digest(tiny, dtype="int8"),  # type: ignore[arg-type]
        lambda: gpt2_convert.verify(tiny, tiny, dtype="int8"),  # type: ignore[arg-type]
        lambda: gpt2_convert.convert(tiny, tmp_path / "a.npz", dtype="int8"),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(gpt2_convert.UsageError, match="int8"):
            call()


def test_every_verb_insists_on_the_format_that_was_asked_for(tiny: Path, tmp_path: Path) -> None:
    for verb in ("open", "inspect", "digest"):
        with pytest.raises(gpt2_convert.Gpt2ConvertError) as caught:
            VERBS[verb](tiny, format="hdf5")
        assert str(tiny) in str(caught.value)
    for verb in ("verify", "convert"):
        with pytest.raises(gpt2_convert.Gpt2ConvertError) as caught:
            VERBS[verb](tiny, tmp_path / "a.npz", format="hdf5")
        assert str(tiny) in str(caught.value)
    assert not (tmp_path / "a.npz").exists()


def test_a_model_that_cannot_be_adopted_gives_its_descriptors_back(tmp_path: Path) -> None:
    source = unknown(tmp_path / "model")
    before = open_descriptors()
    with pytest.raises(gpt2_convert.SchemaError):
        gpt2_convert.open(source)
    assert open_descriptors() <= before
