"""How the matrices of a file lie: with a unit axis or without, [in, out] or as nn.Linear has them.

GPT-2's conv1d is [in, out]; torch's nn.Linear, of which nanoGPT and its like are made, is [out,
in]. The shapes of c_attn and c_fc tell, and decide for c_proj in attention, which is square.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from ..tensors.transposed import transpose
from .schema import load_family

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ..tensors.tensor import LazyTensor
    from .names import Match

READ_TRANSPOSED: Final = "read transposed: nn.Linear's layout [out, in]"
"""What to say of a file whose matrices all are."""


def is_linear(found: Match, sizes: Mapping[str, int]) -> bool:
    """Whether every matrix whose shape can tell is [out, in], where the model has these sizes."""
    return _find_layouts(found, sizes) == {True}


def is_mixed(found: Match, sizes: Mapping[str, int]) -> bool:
    """Whether some matrices are [in, out] and the others [out, in]."""
    return _find_layouts(found, sizes) == {True, False}


def _find_layouts(found: Match, sizes: Mapping[str, int]) -> set[bool | None]:
    """Return what the shapes tell: True of [out, in], False of [in, out], None of neither."""
    family = load_family()
    layouts: set[bool | None] = set()
    for slot, tensor in found.tensors.values():
        shape = slot.shape(sizes) if slot.row.conv1d else None
        if shape and shape != shape[::-1]:
            stored = family.squeeze(slot, tensor.shape, found.spelling)
            layouts.add({shape: False, shape[::-1]: True}.get(stored))
    return layouts


def lay_out(found: Match, where: str, *, linear: bool) -> dict[str, LazyTensor]:
    """Return the tensors under their canonical names and as these have them.

    Unit axes are gone, and where the file is ``linear``, matrices are read transposed.

    Raises:
        UnsupportedError: one is too large for that.
    """
    family = load_family()
    tensors: dict[str, LazyTensor] = {}
    for name, (slot, stored) in found.tensors.items():
        shape = family.squeeze(slot, stored.shape, found.spelling)
        tensor = replace(stored, name=name, shape=shape)
        if linear and slot.row.conv1d and len(shape) == 2:
            try:
                tensor = transpose(tensor)
            except UnsupportedError as error:
                raise UnsupportedError(f"{where}: {error}") from None
        tensors[name] = tensor
    return tensors


def refuse_missing_biases(found: Match, where: str) -> None:
    """Refuse a model in nn.Linear's layout that was made without biases.

    Raises:
        UnsupportedError: it was.
    """
    if not any(slot.row.conv1d_bias for slot, _ in found.tensors.values()):
        raise UnsupportedError(
            f"{where}: a nanoGPT model without biases (bias=False), and GPT-2 has them: add a bias "
            "of zeros for every layer norm and linear map, which changes nothing that it computes"
        )
