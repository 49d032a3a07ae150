"""The names that a pickle may mention, and what a call of each amounts to here.

A pickle asks for things by module and name and calls them with arguments: so it makes tensors, and
so it would run any program. Here a name is compared with this short list. What is not in it is
refused, and what is in it makes one of :mod:`.values`; nothing is imported, and nothing of torch's
or Python's is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError
from ...quoting import quote
from .dtypes import DTYPES, STORAGES
from .objects import OBJECTS, make_object
from .rebuild import (
    check_attributes,
    rebuild_parameter,
    rebuild_tensor,
    rebuild_tensor_v2,
    rebuild_tensor_v3,
)
from .values import Kind, Name, Node, describe

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    Call = Callable[[Node, str], object]
    """Makes a value of the arguments; the place is for errors."""

SAVE_WEIGHTS: Final = (
    "where you trust the file, load it with the program it belongs to and save the state_dict() of "
    "its model alone"
)
_MODULES: Final = {"__builtin__": "builtins", "torch.tensor": "torch._tensor"}
"""Older names of modules: Python 2's, which protocol 2 keeps to, and torch's."""
_REFUSED: Final[dict[str, str]] = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor; save what its to_dense() gives",
    "torch._utils._rebuild_sparse_csr_tensor": "a sparse tensor; save what its to_dense() gives",
    "torch._utils._rebuild_nested_tensor": "a nested tensor; save its parts",
    "torch._utils._rebuild_qtensor": "a quantised tensor; save what its dequantize() gives",
    "torch.float4_e2m1fn_x2": "numbers of four bits; save a model that is not quantised",
    "torch._utils._rebuild_meta_tensor_no_storage": (
        "a tensor of the device 'meta', which has a shape and no values; save the model once it "
        "has weights"
    ),
}
"""Tensors that are not handled, and what would be."""


def check_name(module: str, name: str, place: str) -> Name:
    """Return a name that a pickle asks for.

    Raises:
        UnsupportedError: it is not in the list.
    """
    full = f"{_MODULES.get(module, module)}.{name}"
    if full in _REFUSED:
        raise UnsupportedError(f"{place}: {_REFUSED[full]}")
    if full not in CALLS and full not in DTYPES and full not in STORAGES and full not in _TYPES:
        raise UnsupportedError(
            f"{place}: asks for {quote(full)}, which no state dict needs and which is not loaded "
            f"here; {SAVE_WEIGHTS}"
        )
    return Name(full)


def call(function: object, args: object, place: str) -> object:
    """Return what a call amounts to.

    Raises:
        UnsupportedError: it is no call that makes a tensor or plain data.
        FormatError: the arguments are not what they should be.
    """
    if not isinstance(args, Node) or args.kind is not Kind.TUPLE:
        raise FormatError(f"{place}: arguments expected, found {describe(args)}")
    if not isinstance(function, Name) or function.full not in CALLS:
        raise UnsupportedError(f"{place}: calls {describe(function)}, which makes no tensor")
    return CALLS[function.full](args, place)


def create(kind: object, args: object, place: str) -> Node:
    """Return what stands for a new object of a class, made without calling the class.

    Raises:
        UnsupportedError: it is none of those of plain data.
        FormatError: the arguments are not what they should be.
    """
    if not isinstance(kind, Name) or kind.full not in OBJECTS:
        raise UnsupportedError(f"{place}: makes an object of {describe(kind)}, which is no tensor")
    if not isinstance(args, Node) or args.kind is not Kind.TUPLE:
        raise FormatError(f"{place}: arguments expected, found {describe(args)}")
    return make_object(kind.full, args)


def _make_dict(args: Node, place: str) -> Node:
    """Return a dict: an empty one, or one of a list of pairs, as Python 2 has it."""
    made = Node(Kind.DICT)
    for pairs in args:
        if not isinstance(pairs, Node) or pairs.kind is not Kind.LIST:
            raise FormatError(f"{place}: a list of pairs expected, found {describe(pairs)}")
        for pair in pairs:
            if not isinstance(pair, Node) or len(pair) != 2:
                raise FormatError(f"{place}: a key and its value expected, found {describe(pair)}")
            made.add(pair)
    return made


def _make_defaultdict(args: Node, place: str) -> Node:
    return Node(Kind.DICT)


def _keep_first(args: Node, place: str) -> object:
    """Return a size: the tuple that it is made of."""
    return args[0] if args else Node(Kind.TUPLE)


def _keep_all(args: Node, place: str) -> Node:
    """Return what is nothing to a state dict: the arguments themselves."""
    return args


def _make_object(name: str) -> Call:
    return lambda args, place: make_object(name, args)


def _rebuild_from_type(args: Node, place: str) -> object:
    """Return a tensor that has attributes of Python's; they may be all but tensors.

    Its arguments are a function, the class, the function's arguments and the attributes.
    """
    if len(args) != 4:
        raise FormatError(f"{place}: 4 arguments of a tensor expected, found {len(args)}")
    kind = args[1]
    if not isinstance(kind, Name) or kind.full not in _CLASSES:
        raise UnsupportedError(f"{place}: a tensor of the class {describe(kind)}")
    check_attributes(args[3:], place)
    return call(args[0], args[2], place)


_CLASSES: Final = ("torch.Tensor", "torch.nn.parameter.Parameter")
_TYPES: Final = frozenset(
    {
        "torch.Tensor", "builtins.bool", "builtins.dict", "builtins.float", "builtins.int",
        "builtins.list", "builtins.str", "builtins.tuple", "numpy.ndarray",
    }
)  # fmt: skip
"""What may be mentioned and not called: a defaultdict says what its values are, and an array of
which class it is."""
CALLS: Final[dict[str, Call]] = {
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter,
    "torch.nn.parameter.Parameter": rebuild_parameter,
    "torch._tensor._rebuild_from_type": _rebuild_from_type,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "collections.OrderedDict": _make_dict,
    "collections.defaultdict": _make_defaultdict,
    "collections.Counter": _keep_first,
    "torch.Size": _keep_first,
    "torch.device": _keep_all,
    "torch.serialization._get_layout": _keep_all,
    "_codecs.encode": _keep_all,
    "builtins.bytearray": _keep_all,
    "builtins.complex": _keep_all,
    "builtins.frozenset": _keep_all,
    "builtins.set": _keep_all,
    **{name: _make_object(name) for name in OBJECTS},
}
"""What may be called."""
