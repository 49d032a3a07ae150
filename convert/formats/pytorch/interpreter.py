"""An interpreter of pickles that knows the opcodes which torch.save writes, and refuses all others.

A pickle is a program. The opcodes here let it build containers, numbers, texts and tensors, and
nothing else: what it asks for by name is compared with a list (:mod:`.names`) and never imported,
and what it calls is one of our functions. Sources: Lib/pickletools.py of CPython for each opcode;
torch writes protocol 2, or up to 5 where it was asked for, and Python 2 wrote its own texts.

Everything is bounded: the opcodes that are run, and with them the values, the stack and the memo;
the depth of containers and marks; the length of the pickle, and with it that of each text. A whole
number has 255 bytes at most, since the opcode of longer ones is none of these.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError
from ...quoting import quote
from .budget import Budget
from .machine import Machine, TruncatedError
from .names import SAVE_WEIGHTS, call, check_name, create
from .rebuild import refuse_hidden, refuse_special
from .storages import parse_storage
from .values import Kind, Node, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from .values import Storage

    Opcode = Callable[[Machine], None]

MAX_PICKLE: Final = 4 << 20
"""Bytes: 200 for each of as many tensors as may be. A GPT-2's has some tens of kilobytes, three
times as many with its optimizer's."""
_LAST_PROTOCOL: Final = 5
_STATES: Final = {Kind.DICT: (Kind.DICT,), Kind.OBJECT: (Kind.DICT, Kind.TUPLE)}
"""What the state of each may be: an array's is a tuple."""


@dataclass(frozen=True, slots=True)
class Pickle:
    """What a pickle holds, where it ends, and the storages of its tensors by key."""

    value: object
    end: int
    storages: Mapping[str, Storage]


def interpret(
    data: bytes,
    place: str,
    start: int = 0,
    *,
    whole: bool = True,
    budget: Budget | None = None,
) -> Pickle:
    """Run the pickle that begins at ``start``; ``place`` is what errors say of where it is.

    Its opcodes are taken from the ``budget``, or from one of its own.

    Raises:
        FormatError: it is damaged, or too deep, or describes what cannot be.
        UnsupportedError: it asks for what no weights need, or is larger than makes sense.
        TruncatedError: it goes on behind ``data``, which are not the ``whole`` of what there is.
    """
    machine = Machine(data, start, place)
    try:
        value = _run(machine, budget or Budget(place))
    except TruncatedError as error:
        if whole:
            raise machine.damaged(f"it ends in the middle{error}") from None
        raise
    return Pickle(value, machine.position, machine.storages)


def _run(machine: Machine, budget: Budget) -> object:
    """Run up to STOP and return the value that is left."""
    count = 0
    try:
        for count in range(1, budget.opcodes + 1):  # noqa: B007 - used in the end
            code = machine.take_byte()
            if code == _STOP:
                break
            opcode = OPCODES.get(code)
            if opcode is None:
                raise _refuse(code, machine)
            opcode(machine)
        else:
            raise budget.refuse_opcodes(machine.place)
    finally:
        budget.opcodes -= count
    if machine.position < machine.frame_end:
        raise machine.damaged("its last FRAME goes on behind its end")
    value = machine.pop()
    if machine.stack or machine.suspended:
        raise machine.damaged("more than one value is left at its end")
    return value


def _refuse(code: int, machine: Machine) -> FormatError | UnsupportedError:
    """Return the error for an opcode that is not in the table."""
    import pickletools  # slow to import

    known = next((each for each in pickletools.opcodes if each.code == chr(code)), None)
    if known is None:
        return machine.damaged(f"byte {code:#04x} at {machine.position - 1:,} is no opcode")
    return UnsupportedError(
        f"{machine.place}: the opcode {known.name} at byte {machine.position - 1:,}, which "
        f"torch.save does not write; {SAVE_WEIGHTS}"
    )


def _long(machine: Machine) -> None:
    digits = machine.take(machine.take_byte())
    machine.push(int.from_bytes(digits, "little", signed=True))


def _text(size_bytes: int) -> Opcode:
    return lambda machine: machine.push(machine.take_text(machine.take_number(size_bytes)))


def _bytes(size_bytes: int) -> Opcode:
    return lambda machine: machine.push(machine.take(machine.take_number(size_bytes)))


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.add([key, value], Kind.DICT)


def _set_items(machine: Machine) -> None:
    items = machine.pop_marked()
    if len(items) % 2:
        raise machine.damaged("a key without a value")
    machine.add(items, Kind.DICT)


def _tuple(machine: Machine, size: int) -> None:
    items = [machine.pop() for _ in range(size)]
    machine.push(Node(Kind.TUPLE, items[::-1]))


def _global(machine: Machine) -> None:
    module = machine.take_line()
    machine.push(check_name(module, machine.take_line(), machine.place))


def _stack_global(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise machine.damaged(f"a name expected, found {describe(name)} of {describe(module)}")
    machine.push(check_name(module, name, machine.place))


def _reduce(machine: Machine) -> None:
    args, function = machine.pop(), machine.pop()
    machine.push(call(function, args, machine.place))


def _new_object(machine: Machine) -> None:
    args, kind = machine.pop(), machine.pop()
    machine.push(create(kind, args, machine.place))


def _build(machine: Machine) -> None:
    """Take the state of an object, or the attributes of a dict, which are forgotten.

    They are such as the ``_metadata`` of a module's.
    """
    state, value = machine.pop(), machine.top()
    known = _STATES.get(value.kind, ()) if isinstance(value, Node) else ()
    if not isinstance(value, Node) or not isinstance(state, Node) or state.kind not in known:
        raise UnsupportedError(
            f"{machine.place}: sets the state of {describe(value)}, which no weights need; "
            f"{SAVE_WEIGHTS}"
        )
    refuse_special([state], machine.place)
    if value.kind is Kind.OBJECT:
        machine.add([state], Kind.OBJECT)
    else:
        refuse_hidden([state], machine.place)


def _persistent_id(machine: Machine) -> None:
    root, part = parse_storage(machine.pop(), machine.place)
    known = machine.storages.setdefault(root.key, root)
    if (known.dtype, known.numel) != (root.dtype, root.numel):
        raise FormatError(
            f"{machine.place}: the storage {quote(root.key)} has {root.numel:,} elements of "
            f"{root.dtype} here and {known.numel:,} of {known.dtype} elsewhere"
        )
    machine.push(part)


def _protocol(machine: Machine) -> None:
    protocol = machine.take_byte()
    if protocol > _LAST_PROTOCOL:
        raise UnsupportedError(
            f"{machine.place}: a pickle of protocol {protocol}, where the last one known is "
            f"{_LAST_PROTOCOL}"
        )


def _frame(machine: Machine) -> None:
    """Check the length of a frame, which is there for those who read piece by piece."""
    size = machine.take_number(8)
    if machine.position < machine.frame_end:
        raise machine.damaged(f"FRAME at byte {machine.position - 9:,} is within another")
    left = len(machine.data) - machine.position
    if size > left:
        raise TruncatedError(
            f": FRAME at byte {machine.position - 9:,} is of {size:,} bytes, and {left:,} are left"
        )
    machine.frame_end = machine.position + size


_STOP: Final = ord(".")
OPCODES: Final[dict[int, Opcode]] = {
    # Numbers, texts and the like.
    ord("N"): lambda machine: machine.push(None),  # NONE
    0x88: lambda machine: machine.push(True),  # NEWTRUE
    0x89: lambda machine: machine.push(False),  # NEWFALSE
    ord("K"): lambda machine: machine.push(machine.take_byte()),  # BININT1
    ord("M"): lambda machine: machine.push(machine.take_number(2)),  # BININT2
    ord("J"): lambda machine: machine.push(struct.unpack("<i", machine.take(4))[0]),  # BININT
    0x8A: _long,  # LONG1
    ord("G"): lambda machine: machine.push(struct.unpack(">d", machine.take(8))[0]),  # BINFLOAT
    ord("X"): _text(4),  # BINUNICODE
    0x8C: _text(1),  # SHORT_BINUNICODE
    ord("U"): _text(1),  # SHORT_BINSTRING
    ord("B"): _bytes(4),  # BINBYTES
    ord("C"): _bytes(1),  # SHORT_BINBYTES
    # Containers.
    ord("("): lambda machine: machine.mark(),  # MARK
    ord(")"): lambda machine: _tuple(machine, 0),  # EMPTY_TUPLE
    0x85: lambda machine: _tuple(machine, 1),  # TUPLE1
    0x86: lambda machine: _tuple(machine, 2),  # TUPLE2
    0x87: lambda machine: _tuple(machine, 3),  # TUPLE3
    ord("t"): lambda machine: machine.push(Node(Kind.TUPLE, machine.pop_marked())),  # TUPLE
    ord("]"): lambda machine: machine.push(Node(Kind.LIST)),  # EMPTY_LIST
    ord("a"): lambda machine: machine.add([machine.pop()], Kind.LIST),  # APPEND
    ord("e"): lambda machine: machine.add(machine.pop_marked(), Kind.LIST),  # APPENDS
    ord("}"): lambda machine: machine.push(Node(Kind.DICT)),  # EMPTY_DICT
    ord("s"): _set_item,  # SETITEM
    ord("u"): _set_items,  # SETITEMS
    0x8F: lambda machine: machine.push(Node(Kind.SET)),  # EMPTY_SET
    0x90: lambda machine: machine.add(machine.pop_marked(), Kind.SET),  # ADDITEMS
    0x91: lambda machine: machine.push(Node(Kind.SET, machine.pop_marked())),  # FROZENSET
    # The memo.
    ord("q"): lambda machine: machine.store(machine.take_byte()),  # BINPUT
    ord("r"): lambda machine: machine.store(machine.take_number(4)),  # LONG_BINPUT
    0x94: lambda machine: machine.store(len(machine.memo)),  # MEMOIZE
    ord("h"): lambda machine: machine.fetch(machine.take_byte()),  # BINGET
    ord("j"): lambda machine: machine.fetch(machine.take_number(4)),  # LONG_BINGET
    # What is asked for by name.
    ord("c"): _global,  # GLOBAL
    0x93: _stack_global,  # STACK_GLOBAL
    ord("R"): _reduce,  # REDUCE
    ord("b"): _build,  # BUILD
    0x81: _new_object,  # NEWOBJ
    ord("Q"): _persistent_id,  # BINPERSID
    # What is around it all.
    0x80: _protocol,  # PROTO
    0x95: _frame,  # FRAME
}
"""What is done for each opcode beside STOP. There is no other way in which anything is."""
