"""Plain data of other classes: kept under the names of these, and neither imported nor lost."""

from __future__ import annotations

import datetime
import os
import pathlib
import pickle
import sys
from argparse import Namespace
from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import torch_files
from support.contracts import contents, contents_of
from support.torch_files import tensor

import gpt2_convert
from gpt2_convert.formats.pytorch.interpreter import interpret
from gpt2_convert.formats.pytorch.objects import OBJECTS, is_array, make_object
from gpt2_convert.formats.pytorch.values import Kind, Node, describe

if TYPE_CHECKING:
    from pathlib import Path

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3, 4, 5])
PLAIN: dict[str, Any] = {
    "argparse.Namespace": Namespace(lr=3e-4, layers=[1, 2], path=pathlib.PurePosixPath("/data")),
    "types.SimpleNamespace": SimpleNamespace(a=1, b={"c": None}),
    "pathlib.PurePosixPath": pathlib.PurePosixPath("/data/model.pt"),
    "pathlib.PureWindowsPath": pathlib.PureWindowsPath("C:/data"),
    "datetime.datetime": datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC),
    "datetime.date": datetime.date(2024, 2, 29),
    "datetime.timedelta": datetime.timedelta(hours=3),
    "numpy.generic": np.float64(2.5),
    "numpy.dtype": np.dtype("<f4"),
}
"""An object of each class, and what it is called."""


@PROTOCOLS
@pytest.mark.parametrize("name", PLAIN)
def test_what_python_and_numpy_pickle_is_kept_under_its_name(name: str, protocol: int) -> None:
    found = interpret(pickle.dumps(PLAIN[name], protocol), "x").value
    assert isinstance(found, Node)
    assert (found.kind, found.tensors) == (Kind.OBJECT, 0)
    assert describe(found) == f"an object of {name}"
    assert not is_array(found)


@pytest.mark.parametrize("number", [np.float32(1), np.int64(7), np.bool_(True), np.float16(0)])
def test_numbers_of_numpy_s_are_read_in_its_older_spelling_too(number: object) -> None:
    data = pickle.dumps(number, 2)
    assert b"numpy._core.multiarray" in data or b"numpy.core.multiarray" in data
    for module in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        older = data.replace(b"numpy._core.multiarray", module)
        assert describe(interpret(older, "x").value) == "an object of numpy.generic"


def test_an_array_counts_as_a_tensor() -> None:
    found = interpret(pickle.dumps({"a": [np.ones((2, 3), np.float32)]}, 2), "x").value
    assert isinstance(found, Node)
    assert found.tensors == 1
    ((_, inner),) = found.pairs()
    assert isinstance(inner, Node)
    assert is_array(inner[0])


def test_dicts_that_count_or_have_defaults_are_dicts() -> None:
    by_kind: defaultdict[str, list[int]] = defaultdict(list, {"a": [1]})
    for value in (Counter("aab"), by_kind):
        found = interpret(pickle.dumps(value, 2), "x").value
        assert isinstance(found, Node)
        assert (found.kind, len(found)) == (Kind.DICT, 2 * len(value))


def test_a_tensor_within_an_object_is_counted() -> None:
    value = {"args": Namespace(weights=tensor(np.ones(3, np.float32)))}
    found = interpret(torch_files.pickled(value)[0], "x").value
    assert isinstance(found, Node)
    assert found.tensors == 1


@pytest.mark.parametrize("format", torch_files.FORMATS)
def test_a_checkpoint_with_such_data_beside_its_weights_is_read(
    format: str, tmp_path: Path
) -> None:
    weights: dict[str, Any] = {
        "a": np.arange(6, dtype=np.float32),
        "b": np.ones((2, 2), np.float16),
    }
    beside = {
        "args": PLAIN["argparse.Namespace"],
        "best_val_loss": np.float64(1.5),
        "epochs": Counter(a=3),
        "log": defaultdict(list),
        "time": PLAIN["datetime.datetime"],
        "rng": np.random.RandomState(0).get_state(),
    }
    value = {"model": torch_files.state_dict(weights), **beside}
    path = torch_files.write(tmp_path / "x.pt", value, format)
    before = set(sys.modules)
    with gpt2_convert.open(path, as_is=True) as found:
        assert found.notes[0] == (
            "read from model; left out beside it: 'rng' (1 tensor), 'args', 'best_val_loss', "
            "'epochs', 'log', 'time'"
        )
    assert all(name.startswith("gpt2_convert.") for name in set(sys.modules) - before)
    assert contents(path) == contents_of(weights)
    among = torch_files.write(tmp_path / "y.pt", torch_files.state_dict(weights) | beside, format)
    assert "'rng'" in torch_files.refusal(among, gpt2_convert.UnsupportedError)


def test_nothing_is_made_of_what_is_known() -> None:
    class Path:
        def __reduce__(self) -> tuple[object, ...]:
            return pathlib.PurePosixPath, (Trap(),)

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.getcwd, ()

    for value in (Path(), Namespace(a=Trap()), [np.float64(1), Trap()]):
        with pytest.raises(gpt2_convert.UnsupportedError, match=r"asks for 'posix\.getcwd'"):
            interpret(pickle.dumps(value, 4), "x")


def test_every_name_makes_an_object_of_any_arguments() -> None:
    for name in OBJECTS:
        for args in ((), (1, "a"), (Node(Kind.TUPLE),)):
            made = make_object(name, Node(Kind.TUPLE, args))
            assert (made.kind, list(made)) == (Kind.OBJECT, list(args))
