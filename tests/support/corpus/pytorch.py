"""PyTorch files: pickles that would run programs, tensors that lead astray, and damage."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
from support import raws, torch_files
from support.torch_files import Call, Global, Storage, View, tensor, view

from .case import CUTS, SIZES, Case, cut_at, flip, patch
from .npz import CENTRAL, END, LOCAL, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .case import Write

FAMILY = "PyTorch"
FILE = "pytorch_model.bin"
WTE = "'wte.weight'"
FLOATS = np.arange(44, dtype=np.float32)


def state(**changes: object) -> OrderedDict[str, object]:
    """Return the good state dict, some of its tensors other ones."""
    arrays = raws.huggingface(SIZES)
    return OrderedDict({name: tensor(array) for name, array in arrays.items()} | changes)


def good_wte() -> bytes:
    return raws.huggingface(SIZES)["wte.weight"].tobytes()


def file_of(content: Callable[[], bytes]) -> Write:
    return lambda folder: (folder / FILE).write_bytes(content())


def saved(value: object, format: str = "zip") -> Write:
    return file_of(lambda: torch_files.FORMATS[format](value))


def changed(change: Callable[[bytes], bytes], format: str = "zip") -> Write:
    return file_of(lambda: change(torch_files.FORMATS[format](state())))


def wte(value: object) -> Write:
    """Write the good state dict with another value in the place of its first tensor."""
    return saved(state(**{"wte.weight": value}))


def members(change: Callable[[dict[str, bytes]], object], method: int = 0) -> Write:
    """Write a zip file whose members were changed, their checksums right."""

    def content() -> bytes:
        found = torch_files.members(state())
        change(found)
        return torch_files.zipped(found, method=method)

    return file_of(content)


def replaced(**contents: bytes) -> Write:
    renamed = {name.replace("_", "/"): data for name, data in contents.items()}
    return members(lambda found: found.update(renamed))


def program(data: bytes) -> Write:
    """Write a file around any pickle."""
    return members(lambda found: found.update({"data.pkl": data}))


def in_state(data: bytes) -> bytes:
    """Return the pickle of a state dict whose first value is made by these opcodes."""
    good = torch_files.pickled(state())[0]
    start = good.index(b"X\x0a\0\0\0wte.weight")
    return good[:start] + b"X\1\0\0\0x" + data + good[start:]


class Trap:
    """Its pickle is a call of any function, which loading it would make."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def trap(function: object, *args: object, protocol: int = 2) -> Write:
    return program(pickle.dumps({"wte.weight": Trap(function, *args)}, protocol))


def doubled(levels: int) -> bytes:
    """Return opcodes for a list within lists, each of which holds the one before it twice."""
    return b"]q\0" + b"".join(b"(h%ch%ctq%c" % (level, level, level + 1) for level in range(levels))


def called(module: str, name: str, *args: Any) -> Write:  # noqa: ANN401
    return wte(Call(Global(module, name), args))


def built(**fields: object) -> Write:
    """Write a wte whose call has other arguments, in their order."""
    good: dict[str, object] = {
        "storage": Storage(FLOATS), "offset": 0, "size": (11, 4), "stride": (4, 1),
        "requires_grad": False, "hooks": OrderedDict(),
    }  # fmt: skip
    args = tuple((good | fields).values())
    return wte(Call(Global("torch._utils", "_rebuild_tensor_v2"), args))


def record(magic: bytes, name: bytes, offset: int, new: bytes) -> Write:
    """Overwrite bytes of a record of a member: its local header, or that of the directory."""
    before = 30 if magic == LOCAL else 46

    def change(data: bytes) -> bytes:
        starts = [
            at
            for at in range(len(data) - before)
            if data.startswith(magic, at) and data.startswith(name, at + before)
        ]
        return patch(data, starts[0] + offset, new)

    return changed(change)


def without_directory(data: bytes) -> bytes:
    return data[: data.index(CENTRAL)] + data[data.rindex(END) :]


def legacy(change: Callable[[bytes], bytes]) -> Write:
    return changed(change, "legacy")


def after(mark: bytes, place: int, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: patch(data, data.index(mark) + place, new)


def case(write: Write, says: str, *, legal: bool = False) -> Case:
    return Case(FAMILY, write, FILE, FILE, says, legal)


PROLOGUE: tuple[object, ...] = (torch_files.MAGIC, 1001, {})
HEAD = b"".join(pickle.dumps(each, 2) for each in PROLOGUE)
ASKS = "asks for '{}', which no state dict needs"
DEEP = "nested more than 64 levels deep"
BROKEN = "a broken pickle"
FIRST = b"archive/data/0"
MALICIOUS: Mapping[str, tuple[Write, str]] = {
    "os.system": (trap(os.system, "echo trapped > trapped"), ASKS.format("posix.system")),
    "os.system in protocol 5": (trap(os.system, "x", protocol=5), ASKS.format("posix.system")),
    "eval": (trap(eval, "__import__('os').abort()"), ASKS.format("builtins.eval")),
    "exec": (trap(exec, "import os; os.abort()"), ASKS.format("builtins.exec")),
    "open": (trap(open, "trapped", "w"), ASKS.format("_?io.open")),
    "getattr of an import": (
        trap(getattr, Trap(__import__, "os"), "system"), ASKS.format("builtins.getattr")
    ),
    "__import__ by Python 2's name": (
        program(b"c__builtin__\n__import__\nX\2\0\0\0os\x85R."),
        ASKS.format("builtins.__import__"),
    ),
    "a call within calls": (
        trap(list, Trap(map, Trap(eval, "print"), [1])), "asks for '|calls the name"
    ),
    "a module that is torch's": (called("torch.hub", "load", "x"), ASKS.format("torch.hub.load")),
    "torch.load": (called("torch.serialization", "load", "x"), ASKS.format(".*load")),
    "torch's loading of bytes": (
        called("torch.storage", "_load_from_bytes", pickle.dumps(Trap(os.system, "x"))),
        ASKS.format("torch.storage._load_from_bytes"),
    ),
    "a module that is run": (called("runpy", "run_path", "x.py"), ASKS.format("runpy.run_path")),
    "a name with a dot": (
        called("torch", "serialization.os.system", "x"), ASKS.format(".*os.system")
    ),
    "a name that is put together": (
        program(in_state(b"\x8c\5posix\x8c\6system\x93\x8c\2ls\x85R")), ASKS.format("posix.system")
    ),
    "a name of 100,000 bytes": (program(b"c" + b"x" * 100_000 + b"\nx\n."), "a name of more than"),
    "a name without an end": (program(b"cos"), BROKEN),
    "a class of NumPy's": (
        called("numpy.core.multiarray", "fromfile"), ASKS.format(".*fromfile")
    ),
    "a class of argparse": (
        called("argparse", "ArgumentParser"), ASKS.format("argparse.ArgumentParser")
    ),
    "an optimizer": (called("torch.optim.adam", "Adam"), ASKS.format("torch.optim.adam.Adam")),
    "a whole model": (
        called("transformers.models.gpt2.modeling_gpt2", "GPT2LMHeadModel"), ".*GPT2LMHeadModel"
    ),
    "a call of a dtype": (called("torch", "float32"), "calls the name 'torch.float32'"),
    "a call of a storage": (called("torch", "FloatStorage", 4), "calls the name 'torch.FloatSt"),
    "a call of a text": (program(in_state(b"X\1\0\0\0x)R")), "calls 'x'"),
    "a call of a call": (program(in_state(b"ccollections\nOrderedDict\n)R)R")), "calls a dict"),
    "a new object": (program(in_state(b"ccollections\nOrderedDict\n)\x81")), "makes an object of"),
    "an instance": (program(b"(ios\nsystem\n."), "the opcode INST"),
    "an object": (program(b"(cos\nsystem\no."), "asks for 'os.system'"),
    "an extension": (program(in_state(b"\x82\1")), "the opcode EXT1"),
    "a persistent id that is text": (program(in_state(b"Pos.system\n")), "the opcode PERSID"),
    "a persistent id that is a class": (
        program(in_state(b"(X\6\0\0\0modulecos\nsystem\nNNtQ")), "asks for 'os.system'"
    ),
    "a persistent id of something else": (
        program(in_state(b"X\1\0\0\0xQ")), "a storage expected, found 'x'"
    ),
    "a state of a tensor": (
        program(in_state(b"ctorch\nSize\n)\x85R}b")), "sets the state of a tuple"
    ),
    "bytes out of band": (program(in_state(b"\x97")), "the opcode NEXT_BUFFER"),
    "a pickle in another one": (program(pickle.dumps(pickle.dumps(1), 4)), "found b'"),
    "a tuple of 200,000 levels": (program(in_state(b")" + b"\x85" * 200_000)), DEEP),
    "lists of 100,000 levels": (program(in_state(b"](" * 100_000)), DEEP),
    "dicts of 100,000 levels": (program(in_state(b"}(X\1\0\0\0x" * 100_000)), DEEP),
    "a list in itself, a hundred times": (program(in_state(b"]q\0" + b"h\0a" * 100)), DEEP),
    "marks alone": (program(in_state(b"(" * 500_000)), DEEP),
    "a million opcodes": (program(in_state(b"]" + b"Na" * 600_000)), "more than 300,000 opcodes"),
    "values that fill the stack": (program(in_state(b"]" * 900_000)), "more than 300,000 opcodes"),
    "a memo of 4,294,967,295 entries": (
        program(in_state(b"Nr\xff\xff\xff\xff" * 300_000)), "more than 300,000 opcodes"
    ),
    "a memo that doubles": (program(in_state(doubled(100))), DEEP),
    "a value that was not kept": (program(in_state(b"j\xff\xff\xff\xff")), "it fetches the value"),
    "a number of 2 GB": (program(in_state(b"\x8b\xff\xff\xff\x7f")), "the opcode LONG4"),
    "a number of a million digits": (
        program(in_state(b"L" + b"9" * 1_000_000 + b"L\n")), "the opcode LONG"
    ),
    "a text of 4 GB": (program(in_state(b"X\xff\xff\xff\xff")), "ends in the middle"),
    "bytes of 16 EB": (program(in_state(b"\x8e" + b"\xff" * 8)), "the opcode BINBYTES8"),
    "an array of 16 EB": (program(in_state(b"\x96" + b"\xff" * 8)), "the opcode BYTEARRAY8"),
    "a value put on the stack again and again": (program(in_state(b"]" + b"2" * 500_000)), "DUP"),
    "tuples of a thousand values, each of which is a thousand": (
        program(in_state(b")q\0" + b"".join(
            b"(" + b"h%c" % turn * 1000 + b"tq%c" % (turn + 1) for turn in range(70)
        ))), DEEP,
    ),
    "a number of 255 bytes for a size": (
        built(size=(1 << 2000, 4)), "a tensor's size: a tuple of whole numbers expected"
    ),
    "a text of 16 EB": (program(in_state(b"\x8d" + b"\xff" * 8)), "the opcode BINUNICODE8"),
    "a frame of 16 EB": (program(b"\x80\4\x95" + b"\xff" * 8 + b"N."), "FRAME at byte 2 is"),
    "a frame of 4 EB": (
        program(b"\x80\4\x95\0\0\0\0\0\0\0\x40}."), "FRAME at byte 2 is of 4,611,686"
    ),
    "an object of another class": (
        program(in_state(b"ccollections\nOrderedDict\n)R}X\t\0\0\0__class__K\1sb")),
        "sets the attribute '__class__'",
    ),
    "a protocol of tomorrow": (program(b"\x80\7N."), "protocol 7"),
    "whole pickles after the first": (program(b"N." * 1000), "1,998 bytes after its end"),
}  # fmt: skip
"""What a loader of pickles would do, run out of memory over, or never finish."""

CASES: dict[str, Case] = {
    **{name: case(write, says) for name, (write, says) in MALICIOUS.items()},
    # The file as a whole.
    **{f"cut at {cut:.0%}": case(changed(cut_at(cut)), "not a readable zip") for cut in CUTS},
    **{f"legacy file cut at {cut:.0%}": case(legacy(cut_at(cut)), "in the middle|truncated")
       for cut in CUTS},
    "file without its last byte": case(changed(lambda data: data[:-1]), "not a readable zip"),
    "file without its directory": case(changed(without_directory), "zip"),
    "file of zeros": case(changed(lambda data: bytes(len(data))), "zeros"),
    "TorchScript archive": case(
        members(lambda found: found.update({"constants.pkl": b"N."})), "a TorchScript archive"
    ),
    "zip file of a model that is none": case(members(lambda found: found.pop("data.pkl")), "."),
    "deflated members": case(
        members(lambda found: None, zipfile.ZIP_DEFLATED), "zip compression 8", legal=True
    ),
    "version of tomorrow": case(replaced(version=b"11\n"), "version b'11"),
    "byte order of the middle": case(replaced(byteorder=b"middle"), "little or big expected"),
    "pickle of 5 MB": case(program(b"N." + bytes(5 << 20)), "at most 4,194,304 make sense"),
    # The members.
    "flipped bit in the pickle": case(
        changed(lambda data: flip(data, data.index(b"wte.weight"))), r"data\.pkl': CRC-32"
    ),
    "flipped bit in a storage": case(
        changed(lambda data: flip(data, data.index(good_wte()))),
        f"{WTE}: CRC-32",
    ),
    "flipped bit in the byte order": case(
        changed(lambda data: flip(data, data.index(b"little"))), "byteorder': CRC-32"
    ),
    "wrong CRC-32 of a storage": case(
        record(CENTRAL, FIRST, 16, b"\1\2\3\4"), f"{WTE}: CRC-32 0x04030201"
    ),
    "storage that is missing": case(members(lambda found: found.pop("data/0")), "'data/0' is miss"),
    "storage a byte longer": case(replaced(data_0=bytes(177)), "176 bytes expected"),
    "storage a byte shorter": case(replaced(data_0=bytes(175)), "176 bytes expected"),
    "storage that is encrypted": case(record(CENTRAL, FIRST, 8, b"\1\0"), "encrypted", legal=True),
    "storage that is another": case(record(CENTRAL, FIRST, 42, number(0)), "archive/data/0|data"),
    "storage that starts beyond the file": case(
        record(CENTRAL, FIRST, 42, number(1 << 30)), "truncated|data/0"
    ),
    "storage that claims gigabytes": case(
        record(CENTRAL, FIRST, 20, number(1 << 30) * 2), "data/0|bytes"
    ),
    "header that is none": case(record(LOCAL, FIRST, 0, b"PK\5\3"), "data/0"),
    "header of another name": case(record(LOCAL, FIRST, 30, b"Archive"), "data/0"),
    "header whose extra field leads out": case(record(LOCAL, FIRST, 28, b"\xff\xff"), "data/0"),
    # Tensors.
    "offset beyond the storage": case(built(offset=1), "ends at byte 180 of a storage of 176"),
    "offset before the storage": case(built(offset=-1), "a tensor's offset: found -1"),
    "offset that is a truth": case(built(offset=True), "a tensor's offset: found True"),
    "offset beyond all numbers": case(built(offset=1 << 80), "a tensor's offset"),
    "size beyond the storage": case(built(size=(12, 4)), "of a storage of 176"),
    "size that is negative": case(built(size=(-11, 4)), "a tensor's size"),
    "size that wraps": case(built(size=(1 << 62, 1 << 62)), "more elements than can exist"),
    "size that is a list": case(built(size=[11, 4]), "a tensor's size: .* found a list"),
    "size of 100,000 axes": case(built(size=(1,) * 9999, stride=(1,) * 9999), "9,999 axes"),
    "stride that is negative": case(built(stride=(-4, 1)), "a tensor's stride"),
    "stride that wraps": case(built(stride=((1 << 62) + 4, 1)), "of a storage of 176"),
    "strides of fewer axes": case(built(stride=(1,)), "has strides for 1 of them"),
    "storage that is none": case(built(storage=None), "a tensor's storage expected, found None"),
    "tensor of too few arguments": case(
        called("torch._utils", "_rebuild_tensor_v2", 1), "arguments of a tensor expected, found 1"
    ),
    "tensor that is expanded to exabytes": case(
        wte(View(Storage(FLOATS[:1]), 0, (1 << 30, 1 << 27), (0, 0))), "more than 100 times"
    ),
    "tensor that is sparse": case(
        called("torch._utils", "_rebuild_sparse_tensor"), "a sparse tensor", legal=True
    ),
    "tensor that is quantised": case(
        called("torch._utils", "_rebuild_qtensor"), "a quantised tensor", legal=True
    ),
    "tensor without values": case(
        called("torch._utils", "_rebuild_meta_tensor_no_storage"), "the device 'meta'", legal=True
    ),
    "tensor that is conjugated": case(
        wte(tensor(FLOATS.reshape(11, 4), metadata={"conj": True})), "marked 'conj'", legal=True
    ),
    "parameter of nothing": case(
        called("torch._utils", "_rebuild_parameter", None), "a tensor to be a parameter expected"
    ),
    "weights that are whole numbers": case(
        wte(tensor(np.ones((11, 4), np.int32))), f"{WTE} is int32", legal=True
    ),
    "weights of another shape": case(wte(tensor(np.ones((4, 11), np.float32))), "wte|n_"),
    # What is saved.
    "number in the place of a state dict": case(saved(7), "found 7"),
    "list in the place of a state dict": case(saved([state()]), "found a list"),
    "dict without a tensor": case(saved({"a": 1}), "it has no tensors"),
    "two state dicts": case(saved({"model": state(), "module": state()}), "2 dicts could be"),
    "state dict under another name": case(saved({"net": state()}), "tensors are in 'net'"),
    "tensors in a tensor's place": case(wte([tensor(FLOATS)]), "tensors are in 'wte.weight'"),
    "tensor whose name is a number": case(
        saved({7: tensor(FLOATS)}), "the name of a tensor expected"
    ),
    "tensors missing": case(saved({"wte.weight": tensor(FLOATS.reshape(11, 4))}), "n_layer would"),
    "name that stands twice": case(
        program(torch_files.pickled(state())[0].replace(b"wpe.weight", b"wte.weight")),
        f"{WTE} stands twice",
    ),
    "more tensors than a model has": case(
        saved({str(turn): view(FLOATS, (1,)) for turn in range(11_000)}), "opcodes"
    ),
    # Files of before torch 1.6.
    "legacy file of another version": case(
        file_of(lambda: HEAD.replace(b"M\xe9\3", b"M\xea\3") + b"N."), "version 1002"
    ),
    "legacy file with a program": case(
        file_of(lambda: HEAD + pickle.dumps(Trap(os.system, "x"), 2)), "posix.system"
    ),
    "legacy file with another magic number": case(
        legacy(lambda data: flip(data, 5)), "a pickle that torch.save did not write"
    ),
    "legacy storage that is missing": case(
        file_of(lambda: HEAD + torch_files.pickled(state(), legacy=True)[0]
                + pickle.dumps([], 2)), "of a tensor is missing",
    ),
    "legacy storage of another length": case(
        legacy(after(number(44, 8), 0, number(45, 8))), "44 elements expected by the pickle"
    ),
    "legacy storage of negative length": case(
        legacy(after(number(44, 8), 0, b"\xff" * 8)), "44 elements expected by the pickle, found -1"
    ),
    "legacy file with a byte more": case(
        legacy(lambda data: data + b"\0"), "1 bytes after the last storage"
    ),
    "legacy storage that is a part of too much": case(
        saved(state(**{"wte.weight": view(Storage(FLOATS, "7", ("8", 40, 44)), (11, 4))}),
              "legacy"), "the elements 40 to 84 of a storage of 44",
    ),
}  # fmt: skip
