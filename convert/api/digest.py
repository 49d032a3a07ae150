"""The fingerprint of a checkpoint, computed: :mod:`..reports.digest` says of what."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from ..checkpoint.canonical import Checkpoint
from ..progress import ignore_progress
from ..reports.digest import DigestReport, TensorDigest
from ..reports.summary import Side
from ..tensors.read_ahead import read_ahead
from .listing import compare_listing, read_listing
from .source import build_source

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from ..checkpoint.collection import TensorCollection
    from ..formats.engines import EngineName
    from ..formats.readers import SourceFormat
    from ..progress import Progress
    from ..tensors.dtype import DTypeName
    from ..tensors.tensor import LazyTensor


def digest(
    source: str | os.PathLike[str],
    *,
    format: SourceFormat | None = None,
    step: int | None = None,
    scope: str | None = None,
    drop: Sequence[str] = (),
    n_head: int | None = None,
    dtype: DTypeName | None = None,
    allow_overflow: bool = False,
    engine: EngineName | None = None,
    as_is: bool = False,
    check: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> DigestReport:
    """Compute the digests of the checkpoint at ``source``; :mod:`..reports.digest` has their rule.

    ``check`` is a file with a listing that was printed earlier; what differs from it is in the
    report's findings. The other keywords are those of :func:`.open`. With ``dtype`` the digests are
    those of the weights as they are after the cast.

    Raises:
        FormatError: the file to check with is no such listing.
        Gpt2ConvertError: as open(); or a file cannot be read to its end.
    """
    listing = None if check is None else read_listing(check, as_is=as_is)
    origin = build_source(
        source,
        format=format,
        step=step,
        scope=scope,
        drop=drop,
        n_head=n_head,
        dtype=dtype,
        allow_overflow=allow_overflow,
        engine=engine,
        as_is=as_is,
    )
    with origin.open() as checkpoint:
        tensors = digest_tensors(checkpoint.values(), progress or ignore_progress)
        report = DigestReport(
            Side(checkpoint.raw.where, checkpoint.format),
            tuple(tensors),
            _find_config(checkpoint),
            checkpoint.raw.engine,
            checkpoint.notes,
        )
    if listing is None:
        return report
    return replace(report, findings=compare_listing(report, listing))


def list_digests(
    side: Side, checkpoint: TensorCollection, hashes: Mapping[str, str]
) -> DigestReport:
    """Return the digests of what was written of ``checkpoint``; ``hashes`` are the tensors'."""
    tensors = tuple(
        TensorDigest(name, tensor.dtype.value, tensor.shape, hashes[name])
        for name, tensor in checkpoint.items()
    )
    return DigestReport(side, tensors, _find_config(checkpoint))


def _find_config(checkpoint: TensorCollection) -> Mapping[str, object]:
    """Return what decides the output beside the weights; nothing of what is taken as it is."""
    return checkpoint.config.effective() if isinstance(checkpoint, Checkpoint) else {}


def digest_tensors(tensors: Iterable[LazyTensor], progress: Progress) -> list[TensorDigest]:
    """Compute the digest of each tensor, in their order."""
    tensors = list(tensors)
    total, done = sum(tensor.nbytes for tensor in tensors), 0
    digests: list[TensorDigest] = []
    for tensor, chunks in read_ahead(tensors):
        running = hashlib.sha256()
        for chunk in chunks:
            running.update(chunk)
            done += len(chunk)
            progress("digesting", done, total)
        digests.append(
            TensorDigest(tensor.name, tensor.dtype.value, tensor.shape, running.hexdigest())
        )
    return digests
