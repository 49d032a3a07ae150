"""PyTorch files: a state dict, alone or in what a trainer saved, in one file or several.

Two layouts: :mod:`.archive` and, before torch 1.6, :mod:`.legacy`. Both are a pickle of what was
saved and the numbers of its storages. The pickle is interpreted (:mod:`.interpreter`) and never
loaded, so that torch is not needed and nothing in it is run. A model in several files:
:mod:`.sharded`.

Tensors may be views of any kind, and share storages. Limits: sparse, quantised, nested and meta
tensors are refused, as are whole models that were saved as objects; so is a file whose tensors
would have GROWTH times its size, which needs tensors that are expanded or storages shared by the
hundred.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawCheckpoint, RawConfig
from ...errors import FormatError, UnsupportedError
from ...io.source import SourceFile
from ...quoting import quote
from ...tensors.byte_order import fill_swapped
from ...tensors.runs import Seekable
from ...tensors.tensor import LazyTensor
from ..foreign import explain_file
from .archive import open_zip
from .budget import Budget
from .legacy import open_legacy
from .signature import HEAD, NAME, has_signature, is_zip
from .state_dict import MODEL_ARGS, find_state_dict
from .views import fill_tensor, is_run, read_tensor, read_tensor_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Final

    from ...tensors.runs import Fill
    from .records import Record
    from .values import Tensor

GROWTH: Final = 100
"""How many times the bytes of a file its tensors may have: a model of 48 layers that share all
their weights has 48 times as many."""
FREE: Final = 64 << 20
"""Bytes that the tensors of any checkpoint may have: those of a causal mask of 4,096 positions,
expanded."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file, and the tensors of the state dict in it.

    ``fault`` is why they cannot all be read, ``stated`` what it says of the model beside them.
    """

    file: SourceFile
    tensors: tuple[LazyTensor, ...]
    notes: tuple[str, ...]
    fault: FormatError | None
    stated: RawConfig | None = None


def open_part(path: Path, budget: Budget) -> Part:
    """Open one file; its pickle is read, and none of its numbers are.

    Raises:
        SourceNotFoundError, UnreadableError: it cannot be opened.
        FormatError: it is damaged, or something else.
        UnsupportedError: its pickle asks for what no weights need, or there is no state dict.
    """
    file = SourceFile(path)
    try:
        budget.add_shard(file)
        return _open_part(file, budget)
    except BaseException:
        file.close()
        raise


def open_file(path: Path) -> RawCheckpoint:
    """Open a model that is one file; raises as open_part."""
    part = open_part(path, Budget(str(path)))
    check_growth([part], path)
    return RawCheckpoint(
        format=NAME,
        where=str(path),
        tensors=part.tensors,
        files=(FileInfo(str(path), part.file.size),),
        open_files=(part.file,),
        configs=(part.stated,) if part.stated else (),
        faults=(part.fault,) if part.fault else (),
        folder=path.parent,
        notes=part.notes,
    )


def _open_part(file: SourceFile, budget: Budget) -> Part:
    path = file.path
    head = file.read(0, min(file.size, HEAD), "the signature")
    if not has_signature(head):
        raise explain_file(file) or FormatError(
            f"{path}: no PyTorch file: it starts with {head[:8]!r}"
        )
    contents = (open_zip if is_zip(head) else open_legacy)(file, budget)
    state = find_state_dict(contents.value, str(path))
    for name, tensor in state.tensors:
        budget.add(name, len(tensor.shape))
    tensors = tuple(
        LazyTensor(
            name=name,
            shape=tensor.shape,
            dtype=tensor.dtype,
            nbytes=tensor.size * (tensor.dtype.itemsize or 1),
            read=_find_way(
                contents.records[tensor.storage.key], tensor, quote(name), swap=contents.swap
            ),
            source_name=name,
        )
        for name, tensor in state.tensors
    )
    stated = None
    if state.model_args is not None:
        budget.add_header(len(state.model_args))
        stated = RawConfig(f"{path}: {MODEL_ARGS}", state.model_args)
    return Part(file, tensors, (*state.notes, *contents.notes), contents.fault, stated)


def _find_way(record: Record, tensor: Tensor, label: str, *, swap: bool) -> Seekable:
    run = is_run(tensor.shape, tensor.strides)
    fill: Fill | None = partial(fill_tensor, record, tensor, label) if run else None
    if swap and fill is not None:
        fill = partial(fill_swapped, fill, tensor.dtype)
    return Seekable(
        partial(read_tensor, record, tensor, label, swap=swap),
        partial(read_tensor_at, record, tensor, label, swap=swap),
        direct=run,
        fill=fill,
    )


def check_growth(parts: Sequence[Part], path: Path) -> None:
    """Refuse files whose tensors would have far more bytes than they have; ``path`` names them.

    Raises:
        UnsupportedError: they would.
    """
    announced = sum(tensor.nbytes for part in parts for tensor in part.tensors)
    stored = sum(part.file.size for part in parts)
    if announced > GROWTH * stored + FREE:
        for part in parts:
            part.file.close()
        raise UnsupportedError(
            f"{path}: its tensors would have {announced:,} bytes, more than {GROWTH} times the "
            f"{stored:,} of {'the file' if len(parts) == 1 else 'its files'}"
        )
