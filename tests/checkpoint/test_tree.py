"""A tree is dicts and lists in all but how it prints."""

from __future__ import annotations

import copy
import json
import pickle
import pprint
import subprocess
import sys

import numpy as np
import pytest

import gpt2_convert
from gpt2_convert.checkpoint.tree import Blocks, Tree


def make() -> Tree:
    blocks = Blocks(
        Tree(attn=Tree(w=np.full((2, 3), layer, np.float32)), ln=np.zeros(2)) for layer in range(3)
    )
    return Tree(wte=np.arange(6.0).reshape(2, 3), blocks=blocks)


def test_it_is_a_dict_of_lists_and_dicts() -> None:
    tree = make()
    assert isinstance(tree, dict)
    assert isinstance(tree["blocks"], list)
    assert isinstance(tree["blocks"][1]["attn"], dict)
    assert type(tree["blocks"][1]["attn"]["w"]) is np.ndarray
    assert {**tree}.keys() == tree.keys()
    assert json.loads(json.dumps(gpt2_convert.shape_tree(tree))) == {
        "wte": [2, 3],
        "blocks": [{"attn": {"w": [2, 3]}, "ln": [2]}] * 3,
    }
    assert json.loads(json.dumps(Tree(a=Tree(b=1), c=Blocks([Tree(d=2)])))) == {
        "a": {"b": 1},
        "c": [{"d": 2}],
    }

    def call(attn: dict[str, object], ln: object) -> object:
        return attn["w"]

    assert call(**tree["blocks"][2]) is tree["blocks"][2]["attn"]["w"]


@pytest.mark.parametrize("show", [repr, str, "{}".format, pprint.pformat])
def test_it_prints_in_a_line(show: object) -> None:
    assert callable(show)
    assert show(make()) == "{'wte': float64 (2, 3), 'blocks': [3 of {'attn', 'ln'}]}"
    assert show(Tree()) == "{}"
    assert show(Blocks()) == "[]"


@pytest.mark.parametrize("kind", [Tree, Blocks])
def test_ipython_takes_the_line_too(kind: type) -> None:
    """It walks the classes for the first with a printer or a __repr__; dict and list have one."""
    first = next(cls for cls in kind.__mro__ if cls in (dict, list) or "__repr__" in vars(cls))
    assert first is kind


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, Tree.copy])
def test_a_copy_is_a_tree(make_copy: object) -> None:
    assert callable(make_copy)
    tree = make()
    again = make_copy(tree)
    assert type(again) is Tree
    assert type(again["blocks"]) is Blocks
    assert repr(again) == repr(tree)
    shared = make_copy is not copy.deepcopy
    assert (again["wte"] is tree["wte"]) is shared
    np.testing.assert_array_equal(again["blocks"][2]["attn"]["w"], tree["blocks"][2]["attn"]["w"])
    again["x"] = 1
    assert "x" not in tree
    blocks = copy.copy(tree["blocks"])
    assert type(blocks) is type(tree["blocks"].copy()) is Blocks
    assert blocks[0] is tree["blocks"][0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_holds_plain_dicts_and_needs_nothing_of_ours(protocol: int) -> None:
    data = pickle.dumps(make(), protocol)
    program = (
        "import pickle, sys\n"
        "tree = pickle.loads(sys.stdin.buffer.read())\n"
        "print(type(tree), type(tree['blocks']), type(tree['blocks'][0]), tree['wte'].tolist())\n"
        "assert not any(name.startswith('gpt2_convert') for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True)
    assert done.stdout.decode().strip() == (
        "<class 'dict'> <class 'list'> <class 'dict'> [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]"
    )


def test_plain_dicts_are_to_be_had_for_code_that_asks_for_their_type() -> None:
    tree = make()
    plain = tree.to_dict()
    assert type(plain) is type(plain["blocks"][0]) is type(plain["blocks"][0]["attn"]) is dict
    assert type(plain["blocks"]) is list
    assert plain["blocks"][1]["attn"]["w"] is tree["blocks"][1]["attn"]["w"]
