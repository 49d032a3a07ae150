"""PyTorch files as torch.save writes them, made without torch.

The pickler is Python's own; what it is told of torch, names and persistent ids, stands here. The
tests in interop/ show that torch writes the same pickles and reads these files.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from support.contracts import contents

from gpt2_convert import Gpt2ConvertError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    Array = np.ndarray[Any, Any]

MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {
    "float16": "HalfStorage", "bfloat16": "BFloat16Storage", "float32": "FloatStorage",
    "float64": "DoubleStorage", "int8": "CharStorage", "int16": "ShortStorage",
    "int32": "IntStorage", "int64": "LongStorage", "uint8": "ByteStorage", "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage", "complex128": "ComplexDoubleStorage",
}  # fmt: skip
"""torch's storages by NumPy's names; other dtypes have one of bytes."""


@dataclass(frozen=True)
class Global:
    """A name that is pickled as if it were that of a class or a function."""

    module: str
    name: str

    def __call__(self) -> None:
        """Nothing; a pickler wants to be able to."""


@dataclass(eq=False)
class Storage:
    """A storage of numbers; the pickler gives it its key."""

    array: Array
    key: str = ""
    view: tuple[str, int, int] | None = None

    @property
    def typed(self) -> bool:
        return self.array.dtype.name in TYPES

    @property
    def kind(self) -> Global:
        name = self.array.dtype.name
        return Global("torch", TYPES[name]) if name in TYPES else UNTYPED

    @property
    def numel(self) -> int:
        return self.array.size if self.typed else self.array.nbytes


UNTYPED = Global("torch.storage", "UntypedStorage")
_PARAMETER = Global("torch._utils", "_rebuild_parameter")


@dataclass(eq=False)
class View:
    """A tensor: what of a storage it is. The strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    metadata: Mapping[str, bool] | None = None
    function: str | None = None
    parameter: bool = False

    def reduce(self) -> tuple[Global, tuple[object, ...]]:
        """Return the call that makes it."""
        args: tuple[object, ...] = (self.storage, self.offset, self.shape, self.strides)
        if self.function == "_rebuild_tensor":
            return Global("torch._utils", self.function), args
        args += (self.parameter, OrderedDict())
        if not self.storage.typed:
            args += (Global("torch", self.storage.array.dtype.name),)
        if self.metadata is not None:
            args += (self.metadata,)
        version = "v2" if self.storage.typed else "v3"
        return Global("torch._utils", f"_rebuild_tensor_{version}"), args


@dataclass(eq=False)
class Call:
    """What a call of a name with arguments makes."""

    function: object
    args: tuple[object, ...]
    state: object = None


def tensor(array: Array, **more: Any) -> View:  # noqa: ANN401
    """Return a tensor that is its own storage, in C order."""
    return view(np.ascontiguousarray(array).reshape(-1), array.shape, **more)


def view(
    storage: Storage | Array,
    shape: Iterable[int],
    strides: Iterable[int] | None = None,
    offset: int = 0,
    **more: Any,  # noqa: ANN401
) -> View:
    """Return a tensor that is a view of a storage, by default the first elements in C order."""
    shape = tuple(shape)
    if strides is None:
        strides = [1] * len(shape)
        for axis in range(len(shape) - 2, -1, -1):
            strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    storage = storage if isinstance(storage, Storage) else Storage(storage)
    return View(storage, offset, shape, tuple(strides), **more)


_PYTHONS: Any = vars(pickle)["_Pickler"]
"""The pickler that is written in Python, so that a subclass can say how classes are pickled."""


class Pickler(_PYTHONS):  # type: ignore[misc]
    """One that knows of the classes above, and of torch's persistent ids."""

    dispatch: ClassVar[dict[type, Callable[[Any, Any], None]]] = dict(_PYTHONS.dispatch)

    def __init__(self, stream: io.BytesIO, protocol: int, *, legacy: bool) -> None:
        super().__init__(stream, protocol)
        self.legacy = legacy
        self.storages: list[Storage] = []

    def persistent_id(self, obj: object) -> object:
        if not isinstance(obj, Storage):
            return None
        if obj not in self.storages:
            # In the older format keys are addresses.
            obj.key = obj.key or str(len(self.storages) + (94_000_000 if self.legacy else 0))
            self.storages.append(obj)
        known = ("storage", obj.kind, obj.key, "cpu", obj.numel)
        return (*known, obj.view) if self.legacy else known

    def save_name(self, obj: Global) -> None:
        if obj is not unique(obj):
            self.save(unique(obj))
            return
        if self.proto >= 4:
            self.save(obj.module)
            self.save(obj.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        self.memoize(obj)

    def save_view(self, obj: View) -> None:
        function, args = obj.reduce()
        if obj.parameter:
            data = Call(function, (*args[:4], False, *args[5:]))
            function, args = (
                Global("torch._utils", "_rebuild_parameter"),
                (data, True, OrderedDict()),
            )
        self.save_reduce(function, args, obj=obj)

    def save_call(self, obj: Call) -> None:
        self.save_reduce(obj.function, obj.args, obj.state, obj=obj)

    dispatch[Global] = save_name
    dispatch[View] = save_view
    dispatch[Call] = save_call


_NAMES: dict[Global, Global] = {}


def unique(name: Global) -> Global:
    """Return the one object that stands for a name: the memo goes by identity."""
    return _NAMES.setdefault(name, name)


def pickled(
    value: object, protocol: int = 2, *, legacy: bool = False
) -> tuple[bytes, list[Storage]]:
    """Return the pickle of a value, and its storages in the order of their keys."""
    stream = io.BytesIO()
    pickler = Pickler(stream, protocol, legacy=legacy)
    pickler.dump(value)
    return stream.getvalue(), pickler.storages


def numbers(storage: Storage) -> bytes:
    return storage.array.tobytes()


def each_member(value: object, protocol: int = 2) -> Iterator[tuple[str, bytes]]:
    """Yield the members of a zip file one by one, as torch 2.1 writes them."""
    data, storages = pickled(value, protocol)
    yield "data.pkl", data
    yield "byteorder", b"little"
    for storage in storages:
        yield f"data/{storage.key}", numbers(storage)
    yield "version", b"3\n"


def members(value: object, protocol: int = 2) -> dict[str, bytes]:
    return dict(each_member(value, protocol))


def write_zip(
    stream: IO[bytes],
    contents: Iterable[tuple[str, bytes]],
    name: str = "archive",
    method: int = zipfile.ZIP_STORED,
) -> None:
    """Write a zip file whose members begin at multiples of 64 bytes, as torch's do."""
    with zipfile.ZipFile(stream, "w", method) as archive:
        for member, data in contents:
            info = zipfile.ZipInfo(f"{name}/{member}")
            info.compress_type = method
            start = stream.tell() + 30 + len(info.filename.encode()) + 4
            padding = -start % 64
            info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
            archive.writestr(info, data)


def zipped(
    contents: Mapping[str, bytes], name: str = "archive", method: int = zipfile.ZIP_STORED
) -> bytes:
    stream = io.BytesIO()
    write_zip(stream, contents.items(), name, method)
    return stream.getvalue()


def zip_file(value: object, protocol: int = 2) -> bytes:
    return zipped(members(value, protocol))


def legacy_file(value: object, protocol: int = 2, little_endian: bool = True) -> bytes:
    """Return a file as torch wrote it before 1.6."""
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": sizes}
    data, storages = pickled(value, protocol, legacy=True)
    storages = [each for each in storages if each.view is None]
    storages.sort(key=lambda storage: storage.key)
    head = [pickle.dumps(each, protocol) for each in (MAGIC, 1001, system)]
    keys = pickle.dumps([storage.key for storage in storages], protocol)
    tail = [struct.pack("<q", each.numel) + numbers(each) for each in storages]
    return b"".join([*head, data, keys, *tail])


FORMATS: dict[str, Callable[[object], bytes]] = {"zip": zip_file, "legacy": legacy_file}


def state_dict(arrays: Mapping[str, Array]) -> OrderedDict[str, View]:
    """Return a state dict of tensors that are each a storage of their own."""
    return OrderedDict((name, tensor(array)) for name, array in arrays.items())


def write(path: Path, value: object, format: str = "zip") -> Path:
    path.write_bytes(FORMATS[format](value))
    return path


# The oracle: Python's own unpickler and zipfile, and NumPy's views.


class _Named:
    """What stands for a name of torch's while a pickle is loaded."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> Any:  # noqa: ANN401
        """Make a tensor, or give back the one that a parameter is."""
        if self.name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return args[0]
        array, offset, shape, strides = args[:4]
        if self.name == "_rebuild_tensor_v3":
            array = array.view(args[6].name)
        if 0 in shape:
            return np.empty(shape, array.dtype)
        size = array.itemsize
        return np.ndarray(shape, array.dtype, array, offset * size, [size * s for s in strides])


class OracleUnpickler(pickle.Unpickler):
    """Python's unpickler, which makes arrays of tensors; a subclass finds the storages."""

    def find_class(self, module: str, name: str) -> object:
        return OrderedDict if name == "OrderedDict" else _Named(name)

    @staticmethod
    def dtype_of(kind: Any) -> str:  # noqa: ANN401
        return {name: dtype for dtype, name in TYPES.items()}.get(kind.name, "uint8")


def load_zip(path: Path) -> dict[str, Array]:
    """Return the arrays of a zip file of this module's, by name."""
    with zipfile.ZipFile(path) as archive:

        class Unpickler(OracleUnpickler):
            def persistent_load(self, pid: tuple[object, ...]) -> Array:
                _, kind, key, _, _ = pid
                return np.frombuffer(archive.read(f"archive/data/{key}"), self.dtype_of(kind))

        loaded = Unpickler(io.BytesIO(archive.read("archive/data.pkl"))).load()
        return {name: np.array(array) for name, array in loaded.items()}


def refusal(path: Path, kind: type[Exception]) -> str:
    """Return the message of the error, which is of exactly this kind and begins with the path."""
    with pytest.raises(Gpt2ConvertError) as caught:
        contents(path)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message
