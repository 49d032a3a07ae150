"""Which tensors of a saved object are the model's, and what is said of the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gpt2_convert import FormatError, UnsupportedError
from gpt2_convert.formats import limits
from gpt2_convert.formats.pytorch.objects import make_object
from gpt2_convert.formats.pytorch.state_dict import find_state_dict
from gpt2_convert.formats.pytorch.values import Kind, Name, Node, Storage, Tensor
from gpt2_convert.tensors.dtype import DType

if TYPE_CHECKING:
    from collections.abc import Callable

STORAGE = Storage("0", DType.FLOAT32, 6)
A, B, C = (Tensor(STORAGE, offset, (), (), DType.FLOAT32) for offset in range(3))
STATE = {"wte.weight": A, "wpe.weight": B}


def node(value: object) -> object:
    """Return a value with its dicts and lists as nodes."""
    if isinstance(value, Node):
        return value
    if isinstance(value, dict):
        return Node(Kind.DICT, [node(each) for pair in value.items() for each in pair])
    if isinstance(value, list):
        return Node(Kind.LIST, [node(each) for each in value])
    return value


def find(value: object) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    found = find_state_dict(node(value), "x.pt")
    return dict(found.tensors), found.notes


def test_a_state_dict_alone_is_all_there_is() -> None:
    assert find(STATE) == (STATE, ())
    assert find({}) == ({}, ())


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", "module"])
def test_a_state_dict_is_found_under_the_keys_of_trainers(key: str) -> None:
    assert find({key: STATE}) == (STATE, ())


def test_a_state_dict_within_two_of_the_keys_is_found() -> None:
    assert find({"state_dict": {"model": STATE}}) == (STATE, ())
    assert find({"model": {"module": {"state_dict": STATE}}}) == (STATE, ())


def test_what_stands_beside_it_is_left_out_and_said() -> None:
    checkpoint = {
        "model": STATE,
        "optimizer": {"state": {0: {"step": C, "exp_avg": C}}, "param_groups": [{"lr": 0.1}]},
        "iter_num": 7,
        "best_val_loss": C,
        "config": None,
    }
    tensors, notes = find(checkpoint)
    assert tensors == STATE
    (note,) = notes
    assert note == (
        "read from model; left out beside it: 'optimizer' (2 tensors), "
        "'best_val_loss' (1 tensor), 'iter_num', 'config'"
    )
    assert find({"epoch": 3, "state_dict": {"model": STATE, "ema": {"x": C}}})[1] == (
        "read from state_dict; left out beside it: 'epoch'",
        "read from state_dict/model; left out beside it: 'ema' (1 tensor)",
    )


def test_many_names_beside_it_are_counted() -> None:
    (note,) = find({"model": STATE, **{f"x{number}": [C, C] for number in range(11)}})[1]
    assert note.endswith("'x6' (2 tensors), 'x7' (2 tensors), 3 more (6 tensors)")


def test_arrays_of_numpy_s_are_not_left_out_of_a_state_dict() -> None:
    array = make_object("numpy.core.multiarray._reconstruct", Node(Kind.TUPLE))
    for value in ({**STATE, "x": array}, {"model": {"x": array}}):
        with pytest.raises(UnsupportedError, match="'x': arrays of NumPy's and no tensors"):
            find(value)
    with pytest.raises(UnsupportedError, match="tensors are in 'x', deeper than a state dict"):
        find({**STATE, "x": [array]})
    assert find({"model": STATE, "loss": array})[1] == (
        "read from model; left out beside it: 'loss' (1 tensor)",
    )


@pytest.mark.parametrize("outer", [lambda value: value, lambda value: {"state_dict": value}])
def test_nanogpt_s_model_args_are_handed_on(outer: Callable[[object], object]) -> None:
    args = {"n_layer": 2, "block_size": 8, "bias": True, "dropout": 0.1, "init": None, "name": "x"}
    found = find_state_dict(node(outer({"model": STATE, "model_args": args})), "x.pt")
    assert found.model_args is not None
    assert json.loads(found.model_args) == args
    assert (dict(found.tensors), found.notes) == (STATE, ())


def test_model_args_that_json_has_no_word_for_are_described() -> None:
    args = {"n_layer": [2], "dtype": Name("torch.float16"), 7: 8}
    found = find_state_dict(node({"model": STATE, "model_args": args}), "x.pt")
    assert found.model_args is not None
    assert json.loads(found.model_args) == {
        "n_layer": "a list", "dtype": "the name 'torch.float16'", "7": 8,
    }  # fmt: skip


def test_model_args_that_are_something_else_are_left_out_and_said() -> None:
    for other in ([1], "x", None):
        found = find_state_dict(node({"model": STATE, "model_args": other}), "x.pt")
        assert found.model_args is None
        assert found.notes == ("read from model; left out beside it: 'model_args'",)
    found = find_state_dict(node({"model": STATE, "model_args": {"x": C}}), "x.pt")
    assert found.model_args is None
    assert found.notes == ("read from model; left out beside it: 'model_args' (1 tensor)",)
    # Beside no state dict they are plain data.
    assert find_state_dict(node({**STATE, "model_args": {"n_layer": 2}}), "x.pt").model_args is None


def test_a_wrapper_s_name_for_something_else_is_no_wrapper() -> None:
    assert find({**STATE, "model": "gpt2", "module": {"n": 1}})[0] == STATE
    tensors, notes = find({"model": {"name": "gpt2"}, "state_dict": STATE})
    assert tensors == STATE
    assert notes == ("read from state_dict; left out beside it: 'model'",)


def test_plain_data_among_the_tensors_are_left_out_and_said() -> None:
    tensors, notes = find(STATE | {"step": 7, "_extra_state": None, "names": ["a"]} | {3: "b"})
    assert tensors == STATE
    assert notes == ("left out, as it is no tensor: 'step', '_extra_state', 'names', '3'",)


def test_a_name_that_stands_twice_is_listed_twice() -> None:
    twice = Node(Kind.DICT, ["a", A, "a", B])
    assert find_state_dict(twice, "x.pt").tensors == [("a", A), ("a", B)]


@pytest.mark.parametrize("value", [None, 7, [A], A, "text"])
def test_what_is_no_dict_is_refused(value: object) -> None:
    with pytest.raises(UnsupportedError, match=r"^x\.pt: a dict of names and tensors expected"):
        find(value)


def test_several_state_dicts_are_refused() -> None:
    with pytest.raises(
        UnsupportedError, match="2 dicts could be the state dict: 'model', 'module'"
    ):
        find({"model": STATE, "module": STATE})


def test_a_state_dict_under_another_key_is_refused_with_that_key() -> None:
    with pytest.raises(UnsupportedError, match="no state dict: tensors are in 'net', and it is"):
        find({"net": STATE, "epoch": 3})


def test_tensors_that_stand_deeper_are_never_lost() -> None:
    with pytest.raises(UnsupportedError, match=r"x\.pt: model: tensors are in 'v_head', deeper"):
        find({"model": {**STATE, "v_head": {"weight": C}}})
    with pytest.raises(UnsupportedError, match="tensors are in 'heads', deeper"):
        find({**STATE, "heads": [[C]]})


def test_a_tensor_whose_name_is_no_text_is_refused() -> None:
    with pytest.raises(FormatError, match="the name of a tensor expected, found 7"):
        find(STATE | {7: C})


def test_more_tensors_than_any_model_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_TENSORS", 2)
    find(STATE)
    with pytest.raises(UnsupportedError, match="more than 2 tensors"):
        find({**STATE, "c": C})


def test_messages_and_notes_stay_short() -> None:
    long = {f"{number}{'x' * 9999}": 1 for number in range(1000)}
    _, notes = find({"model": {**STATE, **long}, **long})
    assert max(map(len, notes)) < 600
