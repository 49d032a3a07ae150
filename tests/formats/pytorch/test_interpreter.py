"""The interpreter of pickles: plain data come out as Python's has them, and programs do not run."""

from __future__ import annotations

import pickle
import pickletools
import struct
import sys
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.torch_files import Call, Global, Storage, View, pickled

import gpt2_convert
from gpt2_convert.formats.pytorch import budget
from gpt2_convert.formats.pytorch.interpreter import OPCODES, interpret
from gpt2_convert.formats.pytorch.machine import TruncatedError
from gpt2_convert.formats.pytorch.values import Kind, Node

if TYPE_CHECKING:
    from pathlib import Path

PLACE = "x.pt: data.pkl"
NAMESPACE = b"cargparse\nNamespace\n)\x81"
PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3, 4, 5])
NAMES = {
    "MARK", "STOP", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
    "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS",
    "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "FROZENSET", "BINPUT",
    "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
    "BINPERSID", "PROTO", "FRAME", "NEWOBJ",
}  # fmt: skip
"""What torch.save writes in protocols 2 to 4, typed out from disassembled files; the last for
plain data of other classes."""


def plain(value: object) -> Any:  # noqa: ANN401
    """Return what Python would have made of it."""
    if not isinstance(value, Node):
        return value
    if value.kind is Kind.DICT:
        return {key: plain(each) for key, each in value.pairs()}
    items = [plain(each) for each in value]
    return {Kind.TUPLE: tuple, Kind.LIST: list, Kind.SET: frozenset}[value.kind](items)


def refusal(data: bytes, kind: type[Exception]) -> str:
    with pytest.raises(gpt2_convert.Gpt2ConvertError) as caught:
        interpret(data, PLACE)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.startswith(f"{PLACE}: ")
    assert message.isprintable()
    assert len(message) < 700
    return message


# What comes out.


def test_the_opcodes_are_those_that_torch_writes() -> None:
    known = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
    assert {known[code] for code in OPCODES} == NAMES - {"STOP"}


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 2000), 1 << 2000)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
)
BYTES = st.binary(max_size=300)
"""What protocol 2 pickles as a call of a codec instead of as bytes."""


def values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.lists(inner, max_size=5).map(tuple)
            | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=5)
        ),
        max_leaves=30,
    )


@PROTOCOLS
@settings(max_examples=60, deadline=None)
@given(value=values(LEAVES))
def test_plain_data_are_what_python_pickled(protocol: int, value: object) -> None:
    data = pickle.dumps(value, protocol)
    found = interpret(data, PLACE)
    assert plain(found.value) == value
    assert found.end == len(data)


@settings(max_examples=60, deadline=None)
@given(value=values(BYTES | st.frozensets(st.integers(), max_size=5)))
def test_bytes_and_sets_are_what_python_pickled(value: object) -> None:
    assert plain(interpret(pickle.dumps(value, 4), PLACE).value) == value


@PROTOCOLS
def test_long_containers_and_texts_are_read_whole(protocol: int) -> None:
    value = [
        list(range(3000)),
        {str(number): number * 1.5 for number in range(2500)},
        tuple(range(400)),
        "x" * 70_000,
        [["again"]] * 3,
    ]
    assert plain(interpret(pickle.dumps(value, protocol), PLACE).value) == value


def test_what_python_2_wrote_is_text() -> None:
    # {'wte': 1L} of Python 2.7's cPickle.dumps(…, 2).
    data = b"\x80\x02}q\x01U\x03wteq\x02\x8a\x01\x01s."
    assert plain(interpret(data, PLACE).value) == {"wte": 1}


@PROTOCOLS
@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(a=1, b=OrderedDict()),
        pickle.loads(pickle.dumps(OrderedDict(a=1))),  # noqa: S301 - what was just pickled
    ],
)
def test_an_ordered_dict_is_a_dict(protocol: int, value: object) -> None:
    assert plain(interpret(pickle.dumps(value, protocol), PLACE).value) == value


def test_attributes_of_a_dict_are_forgotten() -> None:
    value: OrderedDict[str, int] = OrderedDict(a=1)
    value._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    data = pickle.dumps(value, 2)
    assert b"b." in data[-2:]
    assert plain(interpret(data, PLACE).value) == {"a": 1}


def test_attributes_of_a_dict_that_are_tensors_are_never_lost() -> None:
    import numpy as np

    view = View(Storage(np.arange(6, dtype=np.float16)), 0, (2, 3), (3, 1))
    for hidden in (view, {"": {"scale": [view]}}):
        value: OrderedDict[str, object] = OrderedDict(a=1)
        value._metadata = hidden  # type: ignore[attr-defined]
        data, _ = pickled(value)
        with pytest.raises(gpt2_convert.UnsupportedError, match="tensors as attributes of others"):
            interpret(data, PLACE)


def test_the_storages_are_listed_by_key_and_where_the_pickle_ends_is_told() -> None:
    import numpy as np

    storage = Storage(np.arange(6, dtype=np.float16))
    views = [View(storage, 0, (2, 3), (3, 1)), View(storage, 5, (), ())]
    data, _ = pickled({"a": views})
    found = interpret(b"before" + data + b"after", PLACE, 6)
    assert found.end == 6 + len(data)
    assert [(each.key, each.dtype, each.numel) for each in found.storages.values()] == [
        ("0", "float16", 6)
    ]


# Damage.


def test_a_pickle_that_ends_early_is_damaged_wherever_it_does() -> None:
    data = pickle.dumps({"a": [1, 2.5, (None, "text", 1 << 70)], "b": OrderedDict(c=True)}, 4)
    for size in range(len(data)):
        assert "a broken pickle: it ends in the middle" in refusal(
            data[:size], gpt2_convert.FormatError
        )


def test_what_runs_over_the_bytes_that_were_read_is_told_from_damage() -> None:
    data = pickle.dumps("x" * 500, 2)
    with pytest.raises(TruncatedError):
        interpret(data[:100], PLACE, whole=False)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b".", "the stack is empty"),
        (b"NN.", "more than one value"),
        (b"(N.", "more than one value is left"),
        (b"t.", "there is no mark"),
        (b"\x85.", "the stack is empty"),
        (b"K\x01(\x85.", "the stack is empty"),
        (b"K\x01K\x02K\x03s.", "items of a dict for 1"),
        (b"Ns.", "the stack is empty"),
        (b"}(K\x01u.", "a key without a value"),
        (b"]K\x01K\x02s.", "items of a dict for a list"),
        (b"}K\x01a.", "items of a list for a dict"),
        (b"h\x00.", "it fetches the value 0"),
        (b"q\x00.", "the stack is empty"),
        (b"X\x01\0\0\0\xff.", "no text in UTF-8"),
        (b"\xff.", "byte 0xff at 0 is no opcode"),
        (b"NN\x93.", "a name expected, found None of None"),
        (b"NNR.", "arguments expected, found None"),
        (b"c" + b"x" * 1001 + b"\n", "a name of more than 1,000 bytes"),
        (b"c\xff\n", "no text in UTF-8"),
    ],
)
def test_what_breaks_the_rules_of_pickles_is_refused(data: bytes, words: str) -> None:
    assert words in refusal(data, gpt2_convert.FormatError)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=60))
def test_whatever_the_bytes_are_there_is_a_value_or_an_error_of_ours(data: bytes) -> None:
    for head in (b"", b"\x80\x02", b"}(X\x01\0\0\0a"):
        with suppress(gpt2_convert.Gpt2ConvertError):
            interpret(head + data, PLACE)


# Programs.


class Trap:
    """What pickles as a call of anything."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def named(module: str, name: str, protocol: int = 2) -> bytes:
    """Return the pickle of a call of a function without arguments, in a state dict."""
    return pickled({"a": Call(Global(module, name), ())}, protocol)[0]


PROGRAMS = {
    "os.system": ("posix", "system"),
    "the same by its usual name": ("os", "system"),
    "subprocess": ("subprocess", "Popen"),
    "eval": ("builtins", "eval"),
    "exec of Python 2": ("__builtin__", "execfile"),
    "getattr": ("builtins", "getattr"),
    "__import__": ("builtins", "__import__"),
    "a name with dots": ("collections", "OrderedDict.fromkeys"),
    "a module with the name in it": ("collections.OrderedDict", ""),
    "an attribute of torch": ("torch", "hub.load"),
    "torch.load": ("torch.serialization", "load"),
    "torch's own evaluation": ("torch.jit", "annotations.eval"),
    "another function of NumPy's": ("numpy.core.multiarray", "fromfile"),
    "another class of argparse": ("argparse", "ArgumentParser"),
    "what a path can do": ("pathlib", "PosixPath.unlink"),
    "any class of a module that is known": ("datetime", "datetime.now"),
    "a whole model": ("transformers.models.gpt2.modeling_gpt2", "GPT2LMHeadModel"),
    "an optimizer": ("torch.optim.adam", "Adam"),
    "a name that is empty": ("", ""),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("what", PROGRAMS)
def test_a_name_that_is_not_in_the_list_is_refused_by_it(what: str, protocol: int) -> None:
    module, name = PROGRAMS[what]
    message = refusal(named(module, name, protocol), gpt2_convert.UnsupportedError)
    module = "builtins" if module == "__builtin__" else module
    assert f"asks for '{module}.{name}', which no state dict needs" in message
    assert "save the state_dict() of its model alone" in message


def test_nothing_is_imported_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "sung"
    (tmp_path / "canary_module.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    refusal(b"\x80\x02", gpt2_convert.FormatError)
    before = set(sys.modules)
    for protocol in (2, 4):
        refusal(named("canary_module", "x", protocol), gpt2_convert.UnsupportedError)
        refusal(named("torch.canary_module", "x", protocol), gpt2_convert.UnsupportedError)
    assert set(sys.modules) == before
    assert not canary.exists()
    with pytest.raises(AttributeError):
        pickle.loads(named("canary_module", "x"))  # noqa: S301 - that it would have sung
    assert canary.exists()


@pytest.mark.parametrize(
    "program",
    [
        Trap(eval, "__import__('os').abort()"),
        Trap(getattr, Trap(__import__, "os"), "abort"),
        Trap(print, *["x" * 1000] * 10),
        [Trap(exec, "1")],
        {"model": {"a": Trap(exec, "1")}},
        (((Trap(exec, "1"),),),),
    ],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_programs_that_python_would_run_are_refused(program: object, protocol: int) -> None:
    message = refusal(pickle.dumps(program, protocol), gpt2_convert.UnsupportedError)
    assert "asks for 'builtins." in message


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cos\nsystem\n", "GLOBAL"),
        (b"(S'ls'\nios\nsystem\n.", "STRING"),
        (b"(ios\nsystem\n.", "INST"),
        (b"(cos\nsystem\no.", "GLOBAL"),
        (b"(No.", "OBJ"),
        (b"N)}\x92.", "NEWOBJ_EX"),
        (b"Pos\n.", "PERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"\x83\x01\0.", "EXT2"),
        (b"\x84\x01\0\0\0.", "EXT4"),
        (b"I" + b"9" * 100_000 + b"\n.", "INT"),
        (b"L" + b"9" * 100_000 + b"L\n.", "LONG"),
        (b"\x8b\xff\xff\xff\x7f.", "LONG4"),
        (b"F1e999\n.", "FLOAT"),
        (b"Vx\n.", "UNICODE"),
        (b"\x8d" + b"\xff" * 8 + b".", "BINUNICODE8"),
        (b"\x8e" + b"\xff" * 8 + b".", "BINBYTES8"),
        (b"\x96" + b"\xff" * 8 + b".", "BYTEARRAY8"),
        (b"T\1\0\0\0x.", "BINSTRING"),
        (b"\x97.", "NEXT_BUFFER"),
        (b"N0.", "POP"),
        (b"N2.", "DUP"),
        (b"(1.", "POP_MARK"),
        (b"(l.", "LIST"),
        (b"(d.", "DICT"),
        (b"Np0\n.", "PUT"),
        (b"g0\n.", "GET"),
    ],
)
def test_opcodes_that_torch_does_not_write_are_refused_by_name(data: bytes, name: str) -> None:
    message = refusal(b"\x80\x02" + data, gpt2_convert.UnsupportedError)
    if name == "GLOBAL":
        assert "asks for 'os.system'" in message
    else:
        assert f"the opcode {name} at byte " in message


def test_what_the_list_has_cannot_be_called_for_anything_else() -> None:
    for callee in (Global("torch", "FloatStorage"), Global("builtins", "list"), "text"):
        data = pickled(
            Call(callee if isinstance(callee, Global) else Global("torch", "float32"), ())
        )
        assert "calls the name" in refusal(data[0], gpt2_convert.UnsupportedError)
    assert "calls 'text'" in refusal(b"X\4\0\0\0text)R.", gpt2_convert.UnsupportedError)


def test_a_state_is_set_of_dicts_and_plain_objects_alone() -> None:
    for data in (b"]}b.", b"NNb.", b")}b.", b"}Nb.", b"})b.", b"c__builtin__\nset\n)R}b."):
        assert "sets the state of" in refusal(data, gpt2_convert.UnsupportedError)
    assert "sets the state of an object of argparse.Namespace" in refusal(
        NAMESPACE + b"Nb.", gpt2_convert.UnsupportedError
    )


@pytest.mark.parametrize("name", ["__class__", "__dict__", "__reduce__", "__setstate__"])
def test_an_attribute_that_python_gives_a_meaning_to_is_refused_by_name(name: str) -> None:
    state = b"}" + pickle.dumps(name, 2)[2:-1] + b"K\1s"
    for of in (b"}", b"ccollections\nOrderedDict\n)R", NAMESPACE):
        for data in (of + state + b"b.", of + b"N" + state + b"\x86b."):
            message = refusal(data, gpt2_convert.UnsupportedError)
            assert (
                f"sets the attribute '{name}'" in message or "sets the state of a dict" in message
            )


def test_a_new_object_is_one_of_plain_data() -> None:
    for kind in (b"N", b"X\1\0\0\0x", b"ccollections\nOrderedDict\n", b"ctorch\nTensor\n"):
        assert "makes an object of" in refusal(kind + b")\x81.", gpt2_convert.UnsupportedError)
    assert "arguments expected" in refusal(NAMESPACE[:-2] + b"N\x81.", gpt2_convert.FormatError)


# Frames.


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            b"\x95" + struct.pack("<Q", 1 << 62) + b"}.",
            "FRAME at byte 2 is of 4,611,686,018,427,387,904",
        ),
        (b"\x95" + struct.pack("<Q", 3) + b"}.", "FRAME at byte 2 is of 3 bytes, and 2 are left"),
        (
            b"\x95" + struct.pack("<Q", 12) + b"\x95" + struct.pack("<Q", 2) + b"}.  ",
            "FRAME at byte 11",
        ),
        (b"\x95" + struct.pack("<Q", 3) + b"}. ", "its last FRAME goes on behind its end"),
    ],
)
def test_a_frame_is_as_long_as_it_says(data: bytes, words: str) -> None:
    assert words in refusal(b"\x80\x04" + data, gpt2_convert.FormatError)


def test_a_frame_that_goes_on_behind_what_was_read_is_told_from_damage() -> None:
    data = pickle.dumps([1.5] * 500, 4)
    with pytest.raises(TruncatedError):
        interpret(data[:100], PLACE, whole=False)
    # Many frames, and bytes outside of any.
    value = [b"x" * 70_000, ["y" * 100] * 3, list(range(40_000)), b"z" * 70_000]
    assert plain(interpret(pickle.dumps(value, 4), PLACE).value) == value


def test_a_later_protocol_is_refused() -> None:
    assert "a pickle of protocol 6" in refusal(b"\x80\x06N.", gpt2_convert.UnsupportedError)


# Bombs.


def test_a_deep_tuple_is_refused_long_before_its_end() -> None:
    data = b")" + b"\x85" * 200_000 + b"."
    assert "nested more than 64 levels deep" in refusal(data, gpt2_convert.FormatError)


@pytest.mark.parametrize("opened", [b"(", b"](", b"}(K\1"])
def test_a_deep_container_is_refused(opened: bytes) -> None:
    data = opened * 100_000 + b"."
    assert "nested more than 64 levels deep" in refusal(data, gpt2_convert.FormatError)


def test_a_list_that_holds_itself_is_a_list() -> None:
    found = interpret(b"]q\0h\0a.", PLACE).value
    assert isinstance(found, Node)
    assert found[0] is found
    assert "nested more than 64 levels" in refusal(
        b"]q\0" + b"h\0a" * 100 + b".", gpt2_convert.FormatError
    )


def test_a_pickle_that_doubles_its_values_ends_at_once() -> None:
    # A billion laughs: sixty tuples, each of which is a thousand times the one before.
    data = b")q\0" + b"".join(
        b"(" + b"h" + bytes([turn]) + (b"h" + bytes([turn])) * 999 + b"tq" + bytes([turn + 1])
        for turn in range(60)
    )
    found = interpret(b"(" + data + b"t.", PLACE).value
    assert isinstance(found, Node)
    assert found.depth == 62


def test_more_opcodes_than_any_model_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_OPCODES", 100)
    interpret(b"]" + b"Na" * 49 + b".", PLACE)
    message = refusal(b"]" + b"Na" * 50 + b".", gpt2_convert.UnsupportedError)
    assert "more than 100 opcodes" in message


def test_numbers_have_an_end() -> None:
    number = interpret(b"\x8a\xff" + b"\xff" * 254 + b"\x7f.", PLACE).value
    assert number == (1 << 2039) - 1
