"""A conversion: open, write beside the target, prove, rename. The target exists only after that."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ..checkpoint.canonical import Checkpoint
from ..compare.checkpoints import compare
from ..errors import UsageError
from ..formats.companions import copy_companion
from ..formats.engines import NATIVE
from ..formats.opening import find_engine, open_written
from ..formats.writers import WRITERS
from ..io.json_scan import Allowance
from ..io.source import check_path
from ..model.adopt import adopt, drop_tied
from ..model.as_is import take_as_is
from ..progress import ignore_progress
from ..reports.conversion import ConversionReport
from ..reports.summary import Side, sum_up
from ..reports.verification import VerificationError
from ..tensors.loss import CastLoss
from .companions import check_companions, choose_companions, prove_companions
from .digest import digest_tensors, list_digests
from .source import build_source
from .sums import hash_target
from .target import choose_format, partial_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..checkpoint.collection import TensorCollection
    from ..formats.companions import Beside
    from ..formats.engines import EngineName
    from ..formats.readers import SourceFormat
    from ..formats.writers import Compression, TargetFormat, Writer
    from ..progress import Progress
    from ..reports.verification import VerificationReport
    from ..tensors.dtype import DTypeName
    from .source import Source


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
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
    to: TargetFormat | None = None,
    compress: Compression | None = None,
    digest: bool = False,
    sums: bool = False,
    force: bool = False,
    verify: bool = True,
    weights_only: bool = False,
    progress: Progress | None = None,
) -> ConversionReport:
    """Convert the checkpoint at ``source`` into the file or folder ``target``.

    ``to`` is a key of WRITERS; without it the suffix of ``target`` decides, and a folder becomes a
    Hugging Face model. What is taken ``as_is`` goes into single files alone: npz, safetensors and
    hdf5. ``compress`` is "gzip", for HDF5. ``digest`` adds SHA-256 digests to the report, of the
    target as it was read back. ``sums`` adds the SHA-256 of every file that was written.
    ``force`` allows an existing target to be replaced. ``verify=False`` waives the proof.
    ``weights_only`` leaves the files beside the weights behind, which travel otherwise from folder
    to folder, the tokenizer's for example. The other keywords are those of :func:`.open`
    and say how the source is to be read; with the ``engine`` "tensorflow" the proof re-reads it
    through TensorFlow, so that no mistake of the native reader can be in both. Memory stays within
    some tens of megabytes at any model size.

    Raises:
        TargetExistsError, TargetError: the target may not or cannot be written.
        VerificationError: what was written differs from the source; it was discarded.
        UnsupportedError: the target's format cannot hold what is asked for.
        CastError: a finite value would become infinite.
        Gpt2ConvertError: the source cannot be opened, as open() says, or read to its end. Whatever
            is raised, the target is as it was before.
    """
    path = check_path(target, "target")
    into = choose_format(target, to, compress, as_is=as_is)
    writer, target = WRITERS[into], path
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
    witness = None if engine == NATIVE else engine
    if witness and not verify:
        raise UsageError(f"the engine {witness} reads the source for the proof, which is waived")
    watch = progress or ignore_progress
    with (replace(origin, engine=None) if witness else origin).open() as checkpoint:
        if witness:
            find_engine(checkpoint.format, witness, checkpoint.raw.where)  # sooner than at the end
        totals = sum_up(list(checkpoint.values()))
        beside = choose_companions(checkpoint, writer, weights_only=weights_only)
        allowance = Allowance()
        # What lies beside a checkpoint that is taken as it is stays there.
        model = checkpoint if isinstance(checkpoint, Checkpoint) else None
        n_vocab = model.config.n_vocab if model else 0
        notes = check_companions(beside.companions, n_vocab, allowance)
        written = Side(os.fspath(target), into)
        verification = None
        hashes: dict[str, str] | None = None
        nbytes = 0 if compress else totals.nbytes  # how small it will be compressed nobody knows
        writer.load(verify or digest)
        with partial_target(target, writer, checkpoint, beside, nbytes, force=force) as made:
            partial = made.path
            _write(checkpoint, partial, writer, compress, totals.nbytes, watch)
            copied = tuple(
                copy_companion(each, partial, n_vocab, allowance) for each in beside.companions
            )
            if verify:
                hashes = {} if digest else None
                expected = writer.config(_as_written(checkpoint))
                verification = _prove(origin, partial, written, expected, beside, hashes, watch)
            elif digest:
                with open_written(partial, writer.read_as) as raw:
                    read = drop_tied(adopt(raw)) if model else take_as_is(raw)
                    digests = digest_tensors(read.values(), watch)
                    hashes = {each.name: each.sha256 for each in digests}
            target_nbytes = _count_bytes(partial)
            files = hash_target(partial, target, watch) if sums else None
        return ConversionReport(
            source=Side(checkpoint.raw.where, checkpoint.format),
            target=written,
            target_nbytes=target_nbytes,
            config=model.config if model else None,
            hparams_from=model.hparams_from if model else None,
            totals=totals,
            mapped=tuple((tensor.source_name, name) for name, tensor in checkpoint.items()),
            dropped=checkpoint.dropped,
            notes=(*checkpoint.notes, *writer.notes(_as_written(checkpoint)), *notes, *made.left),
            verification=verification,
            digests=None if hashes is None else list_digests(written, checkpoint, hashes),
            engine=checkpoint.raw.engine,
            companions=copied,
            left=beside.left,
            files=files,
        )


def _as_written(checkpoint: TensorCollection) -> Checkpoint:
    """Return the checkpoint as a writer takes it: one that needs a GPT-2 never gets another."""
    return cast("Checkpoint", checkpoint)


def _write(
    checkpoint: TensorCollection,
    partial: Path,
    writer: Writer,
    compress: str | None,
    total: int,
    progress: Progress,
) -> None:
    done = 0

    def advance(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        progress("writing", done, total)

    progress("writing", 0, total)
    write = writer.write if compress is None else writer.compressed[compress]
    write(_as_written(checkpoint), partial, advance)


def _count_bytes(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir())
    return path.stat().st_size


def _prove(
    origin: Source,
    partial: Path,
    target: Side,
    expected_config: Mapping[str, object],
    beside: Beside,
    hashes: dict[str, str] | None,
    progress: Progress,
) -> VerificationReport:
    """Open source and target anew and compare them; ``hashes`` as in :func:`.compare`.

    Raises:
        VerificationError: they differ.
    """
    loss = CastLoss()
    read_as = WRITERS[target.format].read_as
    with origin.open(loss) as afresh, open_written(partial, read_as) as written:
        report = compare(
            afresh,
            written,
            target_side=target,
            expected_config=expected_config,
            hashes=hashes,
            loss=None if origin.dtype is None else loss,
            progress=progress,
        )
    proven, findings = prove_companions(beside.companions, partial)
    report = replace(
        report,
        findings=(*report.findings, *findings),
        companions=tuple(each.name for each in proven),
        # What the target has was written whole and proven, so nothing is left to compare.
        not_compared=(),
    )
    if not report.ok:
        first = report.findings[0]
        raise VerificationError(
            f"{target.path}: what was written differs from {os.fspath(origin.path)} in "
            f"{len(report.findings)} places, first {first.tensor}: {first.message}; "
            "it was discarded",
            report,
        )
    return report
