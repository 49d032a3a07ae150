"""What an unknown tensor may be: a misspelt one, the head of another task, or another model's.

Advice to rename a tensor is followed, and a wrong one makes another model. So a name is called
misspelt only where a tensor of the model is missing whose shape is that of the unknown one, whose
name has the same numbers in it, and is nearly the same otherwise. ``kv_attn`` is no ``c_attn``, and
``ln_3`` no ``ln_1``.

Nor is anything to be left out that a model computes with: what belongs to another architecture, or
stands in a layer, may be taken as it is, and no pattern that drops it is advised.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import Advice, Problem
from ..quoting import clip, quote
from .scopes import describe_scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from ..tensors.tensor import LazyTensor
    from .family import Family, Slot
    from .names import Match

_SUGGESTIONS: Final = 3
"""How many unknown names get advice: it may cost a comparison with every known one."""
_LONGEST: Final = 200
_MOST_CANDIDATES: Final = 5000
"""Names with which an unknown one is compared: ten times those of the largest GPT-2."""
_ALIKE: Final = 0.85
"""The share of the characters, as difflib counts them."""
_NUMBER: Final = re.compile(r"[0-9]+")
AS_IS: Final = Advice("convert takes it under its own names with {}", "as_is", True)


def find_name_problems(found: Match, family: Family, sizes: Mapping[str, int]) -> list[Problem]:
    """Return what speaks against the names of a checkpoint, and what would help.

    ``sizes`` are those of the model, as far as they are known.
    """
    scope = describe_scope(found.scope)
    problems = [Problem(f"{quote(tensor.name)} stands twice") for tensor in found.repeated]
    for count, tensor in enumerate(found.unknown):
        text = f"{quote(tensor.name)} {list(tensor.shape)} is in no row of {family.file}"
        advice: Advice | None = None
        if not tensor.name.startswith(found.scope):
            text += f", and outside the scope {scope}"
            advice = Advice("{} leaves it out", "scope", scope)
        elif what := find_architecture([tensor.name], family)[1]:
            text += f": it belongs to {what}, which is not handled"
            advice = AS_IS
        elif head := find_head(tensor.name, family):
            text += f": it belongs to {head}, and not to the language model"
            advice = Advice("{} leaves it out", "drop", clip(tensor.name))
        elif count < _SUGGESTIONS and (meant := find_misspelt(tensor, found, family, sizes)):
            text += f"; did you mean {quote(meant)}?"
        elif count < _SUGGESTIONS:
            owner, _, slot = _strip(tensor.name, found).rpartition("/")
            advice = Advice("if it is no part of the model, {} leaves it out", "drop")
            if owner in {each.spell(found.spelling) for each, _ in found.tensors.values()}:
                pattern = f"*/{slot}{found.ending}"
                advice = Advice("if it is an optimizer's, {} leaves it out", "drop", pattern)
            elif family.is_in_layer(_strip(tensor.name, found), found.spelling):
                text += ", and stands in a layer, so another architecture may need it"
                advice = AS_IS
        problems.append(Problem(text, advice))
    return problems


def find_misspelt(
    tensor: LazyTensor, found: Match, family: Family, sizes: Mapping[str, int]
) -> str | None:
    """Return the name that an unknown tensor should have; None where it may be something else.

    ``sizes`` are those of the model, as far as they are known.
    """
    name = _strip(tensor.name, found)
    if len(name) > _LONGEST:
        return None
    candidates = []
    for slot in family.slots(found.n_layer, found.spelling):
        if slot.row.tied_to is not None or slot.name in found.tensors:
            continue  # which need not be there, or is
        shape = slot.shape(sizes)
        wanted = slot.spell(found.spelling)
        if (
            shape is not None
            and family.squeeze(slot, tensor.shape, found.spelling) in _layouts(slot, shape)
            and _numbers(wanted) == _numbers(name)
        ):
            candidates.append(wanted)
    if not 0 < len(candidates) < _MOST_CANDIDATES:
        return None
    import difflib

    close = difflib.get_close_matches(name.lower(), candidates, 1, _ALIKE)
    return found.scope + close[0] + found.ending if close else None


def _layouts(slot: Slot, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that a tensor may have in a file: a matrix may be nn.Linear's."""
    return (shape, shape[::-1]) if slot.row.conv1d else (shape,)


def find_architecture(names: Sequence[str], family: Family) -> tuple[str, str]:
    """Return the first name that is another architecture's, and what that is; or two empty texts.

    Of several the one whose piece stands first in the schema counts.
    """
    looked_at = [f".{name}" for name in names]
    for piece, what in family.architectures.items():
        name = next((each for each in looked_at if piece in each), None)
        if name is not None:
            return name[1:], what
    return "", ""


def find_head(name: str, family: Family) -> str | None:
    """Return what the head of another task is that a tensor belongs to, by a part of its name."""
    parts = re.split("[./]", name)
    return next((what for part, what in family.heads.items() if part in parts), None)


def _strip(name: str, found: Match) -> str:
    """Return a name without what stands in front of, and behind, all of them."""
    return name.removeprefix(found.scope).removesuffix(found.ending)


def _numbers(name: str) -> list[int]:
    """Return the numbers in a name, in its order."""
    return [int(digits) for digits in _NUMBER.findall(name)]
