"""Plain data of other classes, which trainers save beside the weights: kept, and never opened.

The arguments of a run (argparse), paths, times and NumPy's numbers stand in many training
checkpoints, and say nothing that a state dict needs. They become a :class:`.values.Node` of the
kind OBJECT, which has the name of its class and, as its items, whatever it was made of: so a tensor
within is counted, and none is lost without a word. No class is imported, and nothing is called.

NumPy's arrays count as tensors, too: there are files whose weights are such, and these are refused
by name rather than left out. Sources: the reductions of CPython's argparse, pathlib, datetime and
types, of numpy/_core/src/multiarray and of torch/torch_version.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .values import Kind, Node

if TYPE_CHECKING:
    from typing import Final

_PATHS: Final = ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
_NUMPY: Final = ("numpy.core", "numpy._core")
"""Where NumPy keeps its functions, before version 2 and since."""
_ARRAYS: Final = frozenset(f"{room}.multiarray._reconstruct" for room in _NUMPY)
OBJECTS: Final[dict[str, str]] = {
    "argparse.Namespace": "argparse.Namespace",
    "types.SimpleNamespace": "types.SimpleNamespace",
    "torch.torch_version.TorchVersion": "torch.torch_version.TorchVersion",
    "numpy.dtype": "numpy.dtype",
    **{f"{room}.multiarray.scalar": "numpy.generic" for room in _NUMPY},
    **dict.fromkeys(_ARRAYS, "numpy.ndarray"),
    **{
        f"{module}.{name}": f"pathlib.{name}"
        for module in ("pathlib", "pathlib._local")
        for name in _PATHS
    },
    **{
        f"datetime.{name}": f"datetime.{name}"
        for name in ("date", "datetime", "time", "timedelta", "timezone")
    },
}
"""The classes, or the functions that make one, and what they are called in a message."""


def make_object(name: str, args: Node) -> Node:
    """Return what stands for an object that is made of ``args`` by what has that name."""
    made = Node(Kind.OBJECT, args)
    made.name = OBJECTS[name]
    if name in _ARRAYS:
        made.tensors += 1
    return made


def is_array(value: object) -> bool:
    """Whether a value stands for an array of NumPy's."""
    return isinstance(value, Node) and value.name == "numpy.ndarray"
