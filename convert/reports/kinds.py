"""What kind of weight a tensor is, by its name: which number in it is the layer, and what is left.

It holds for canonical names (``blocks[3].attn.c_attn.w``), and for what other programs write
(``model/h3/attn/c_attn/w``, ``layers.3.self_attn.q_proj.weight``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_LAYER: Final = re.compile(r"(?<!\w)(h?)([0-9]{1,6})(?!\w)")
"""A number that is all of a part of a name, but for TensorFlow's ``h``."""
_BLOCK: Final = "blocks[*]."
_NORM: Final = re.compile(r"ln_[12f]")


@dataclass(frozen=True, slots=True)
class Place:
    """The ``kind``, a name with ``*`` for the layer, and the ``layer``; None outside of layers."""

    kind: str
    layer: int | None


def locate(name: str) -> Place:
    """Take the layer out of a name; canonical ones are told without the block, too."""
    found = _LAYER.search(name)
    if found is None:
        return Place(name, None)
    kind = f"{name[: found.start()]}{found[1]}*{name[found.end() :]}"
    return Place(kind.removeprefix(_BLOCK), int(found[2]))


def name_part(name: str) -> str:
    """Return the part of a model that a tensor belongs to: wte, wpe, attn, mlp, ln.

    Of other names, it is the kind without what stands last: weight or bias.
    """
    place = locate(name)
    if name.startswith("blocks[") or place.layer is None:
        first = place.kind.split(".")[0]
        return "ln" if _NORM.fullmatch(first) else first
    return re.split(r"[./](?=[^./]*$)", place.kind)[0]
